//! Log entries.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int32Array, RecordBatch, StringBuilder};
use arrow::datatypes::SchemaRef;
use lakepilot_query::Result;
use rand::Rng;
use rand::rngs::SmallRng;

use super::columns::{batch, keyed};
use super::events::{Origin, Sending, any_document, moments};
use super::fleet::{Fleet, Origins, Role};
use super::text::write_message;

pub(super) const TARGETS: [&str; 20] = [
    "gateway::http",
    "gateway::auth",
    "matchmaking::queue",
    "matchmaking::rating",
    "game::session",
    "game::physics",
    "game::replication",
    "storage::writer",
    "storage::compaction",
    "render::frame",
    "render::streaming",
    "assets::bake",
    "assets::cache",
    "telemetry::relay",
    "scheduler",
    "tokio::runtime",
    "hyper::client",
    "audio::mixer",
    "ui::menu",
    "build::steps",
];

/// Of ten thousand entries, how many have at most the severity of each level, from 1 (fatal) to 6 (trace).
const LEVELS: [u32; 6] = [4, 120, 600, 6_100, 9_300, 10_000];

#[derive(Debug, Default)]
pub(super) struct LogRows {
    origin: Origin,
    levels: Vec<i32>,
    targets: Vec<i32>,
    properties: Vec<i32>,
    messages: StringBuilder,
    message: String,
}

impl LogRows {
    pub(super) fn len(&self) -> usize {
        self.origin.len()
    }

    pub(super) fn add_window(
        &mut self,
        fleet: &Fleet,
        counts: &[usize],
        window: (i64, i64),
        sending: &mut Sending,
        random: &mut SmallRng,
    ) {
        let moments = moments(counts, window, random);
        let stream = |process: usize| fleet.processes[process].log();
        self.origin.extend(&moments, fleet.processes.len(), stream, sending);
        for (_, process) in moments {
            let drawn = random.random_range(0..10_000);
            let level = 1 + LEVELS.iter().take_while(|upto| drawn >= **upto).count();
            self.levels.push(level as i32);
            self.targets.push(target(process, random));
            self.properties.push(any_document(random));
            write_message(&mut self.message, level as u8, random);
            self.messages.append_value(&self.message);
        }
    }

    /// The rows so far, and the process of each; afterwards there are none.
    pub(super) fn take(
        &mut self,
        schema: SchemaRef,
        origins: &Origins,
        targets: &ArrayRef,
        documents: &ArrayRef,
    ) -> Result<(RecordBatch, Int32Array)> {
        let Self {
            origin,
            levels,
            targets: target_keys,
            properties,
            mut messages,
            ..
        } = std::mem::take(self);
        let (mut columns, processes) = origin.columns(origins, Role::Log);
        columns.extend([
            ("level", Arc::new(Int32Array::from(levels)) as Arc<dyn Array>),
            ("target", keyed(Int32Array::from(target_keys), targets)),
            ("properties", keyed(Int32Array::from(properties), documents)),
            ("msg", Arc::new(messages.finish())),
        ]);
        Ok((batch(schema, columns)?, processes))
    }
}

/// Few targets have most of the entries; which ones depends on the process.
pub(super) fn target(process: i32, random: &mut SmallRng) -> i32 {
    let skewed = random.random::<f64>().powi(3) * TARGETS.len() as f64;
    (skewed as i32 + process * 3) % TARGETS.len() as i32
}
