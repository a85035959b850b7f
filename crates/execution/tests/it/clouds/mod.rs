//! Object stores over the network: real requests to servers of S3 and of Azure blobs on this machine.
//!
//! No emulator has the requests of Google's that the store sends (`?uploads` of its XML interface); they are those of S3 but
//! for how they are signed, and an S3 that takes all comers answers them.
//!
//! `cargo xtask object-stores` runs these tests; they need its environment.

mod azure;
mod s3;
mod server;

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use lakepilot_execution::{BatchSink, FileFormat, FileSink};
use lakepilot_query::Result;
use rand::rngs::SmallRng;
use rand::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};

use self::server::Server;

/// So little that an object of some batches takes several parts.
const MEMORY_BYTES: usize = 30_000_000;

/// Three megabytes of text that nothing compresses well.
fn batch(number: u64) -> RecordBatch {
    const CHARACTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut random = SmallRng::seed_from_u64(number);
    let mut bytes = vec![0; 1_000];
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..3_000).map(|_| {
        random.fill_bytes(&mut bytes);
        let characters = bytes.iter().map(|byte| char::from(CHARACTERS[usize::from(byte % 64)]));
        characters.collect::<String>()
    })));
    RecordBatch::try_from_iter([("text", texts)]).unwrap()
}

fn batches() -> Vec<RecordBatch> {
    static BATCHES: OnceLock<Vec<RecordBatch>> = OnceLock::new();
    BATCHES.get_or_init(|| (0..4).map(batch).collect()).clone()
}

/// Writes all batches, and looks at what is there before the end.
async fn write(sink: &mut dyn BatchSink, mut look: impl FnMut()) -> Result<()> {
    sink.start(batches()[0].schema()).await?;
    for (index, batch) in batches().into_iter().enumerate() {
        sink.write(index as u64, batch).await?;
        look();
    }
    sink.finish().await?;
    Ok(())
}

/// The checksum of the file that a sink of this machine makes of the same batches.
async fn checksum_of_the_file(folder: &Path, format: FileFormat) -> String {
    let path = folder.join("rows");
    let mut sink = FileSink::create(&path, format).unwrap();
    // An object takes one half of its budget for what a file takes all of it.
    sink.limit_memory(MEMORY_BYTES / 2);
    write(&mut sink, || ()).await.unwrap();
    let digest = Sha256::digest(std::fs::read(path).unwrap());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes an object of several parts in every format: it is there when it is whole, and has what a file has.
async fn writes_what_a_file_has(server: &Server, sink_to: impl Fn(&str, FileFormat) -> Box<dyn BatchSink>) {
    let folder = tempfile::tempdir().unwrap();
    for format in [FileFormat::Parquet, FileFormat::Csv] {
        let name = format!("some/rows.{}", format.extension());
        let mut sink = sink_to(&name, format);
        sink.limit_memory(MEMORY_BYTES);
        let absent = || assert!(!server.objects().contains(&name), "{name} is there before it is whole");
        write(sink.as_mut(), absent).await.unwrap();
        assert!(server.objects().contains(&name), "{name} is not there");
        assert_eq!(
            server.ask(&format!("sha256 {name}")).as_str().unwrap(),
            checksum_of_the_file(folder.path(), format).await
        );
    }
}

/// Waits until something is so, within a bound.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let bound = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < bound, "{what} did not happen");
        tokio::task::yield_now().await;
    }
}
