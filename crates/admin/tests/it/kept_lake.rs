//! A lake that outlives the process that works on it: its state is one file that is replaced as a whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::AsArray;
use async_trait::async_trait;
use futures::TryStreamExt;
use lakepilot_admin::{FakeLake, PartitionAdmin};
use lakepilot_catalog::Partition;
use lakepilot_query::{PreparedQuery, Query, QueryService, RecordBatchStream, Result};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) partitions: Vec<Partition>,
    /// In the order in which they were retired.
    pub(crate) retired: Vec<Partition>,
    /// What was asked for and was not there.
    pub(crate) asked_in_vain: u64,
}

impl Kept {
    pub(crate) fn load(folder: &Path) -> Self {
        serde_json::from_slice(&std::fs::read(file(folder)).unwrap()).unwrap()
    }

    pub(crate) fn save(&self, folder: &Path) {
        let temporary = folder.join("lake.tmp");
        std::fs::write(&temporary, serde_json::to_vec(self).unwrap()).unwrap();
        std::fs::rename(temporary, file(folder)).unwrap();
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("lake.json")
}

pub(crate) struct KeptLake {
    lake: FakeLake,
    asked_in_vain: AtomicU64,
    folder: PathBuf,
}

impl KeptLake {
    pub(crate) fn admin(folder: &Path) -> PartitionAdmin {
        let kept = Kept::load(folder);
        let lake = FakeLake::new(kept.partitions);
        lake.state().retired = kept.retired;
        PartitionAdmin::new(Arc::new(Self {
            lake,
            asked_in_vain: kept.asked_in_vain.into(),
            folder: folder.to_owned(),
        }))
    }
}

#[async_trait]
impl QueryService for KeptLake {
    async fn run(&self, query: &Query) -> Result<RecordBatchStream> {
        let answer = self.lake.run(query).await?;
        if !query.sql().contains("retire") {
            return Ok(answer);
        }
        let schema = answer.schema();
        let batches: Vec<_> = answer.try_collect().await?;
        let texts = batches.iter().flat_map(|batch| batch["msg"].as_string::<i32>());
        let in_vain = texts.flatten().filter(|text| text.contains("not found")).count() as u64;
        // Committed before it is answered.
        let asked_in_vain = self.asked_in_vain.fetch_add(in_vain, Ordering::Relaxed) + in_vain;
        let kept = Kept {
            partitions: self.lake.partitions(),
            retired: self.lake.state().retired.clone(),
            asked_in_vain,
        };
        kept.save(&self.folder);
        Ok(RecordBatchStream::from_batches(schema, batches))
    }

    async fn prepare(&self, query: &Query) -> Result<PreparedQuery> {
        self.lake.prepare(query).await
    }
}
