//! The suite on the embedded lake, against what was recorded of the real service.

use lakepilot_conformance::{CaseReport, EmbeddedLake, Recording, run, table};

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_lake_does_what_the_real_service_does() {
    let lake = EmbeddedLake::start().unwrap();
    let recorded = Recording::of_micromegas().unwrap();
    let reports = run("embedded", lake.connect().await.unwrap(), Some(&recorded), &[])
        .await
        .unwrap();
    let is_good = reports.iter().all(CaseReport::is_good);
    assert!(is_good, "\n{}", table(&[("embedded".to_owned(), reports)]));
}
