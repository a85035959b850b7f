//! Plans as files: what was edited, is of another version or is damaged is refused.

use lakepilot_admin::{ApplyOptions, Guards, RetirementPlan, Selection, Silent};
use lakepilot_query::ErrorKind;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::lake::{FakeLake, by_range_only, empty, partition, time};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    futures::executor::block_on(future)
}

fn plan_of(lake: &FakeLake) -> RetirementPlan {
    let guards = Guards::default().with_keep_newest(1).with_max_partitions(9);
    let selection = Selection::everything().older_than(time(25));
    let admin = lake.admin().with_server("grpc://lake").with_guards(guards);
    block_on(admin.plan(selection)).unwrap()
}

fn partitions() -> Vec<lakepilot_catalog::Partition> {
    vec![
        partition("log_entries", "global", 0, 10),
        partition("log_entries", "it's\n'); DROP", 0, 10),
        partition("log_entries", "it's\n'); DROP", 10, 20),
        empty("log_entries", "it's\n'); DROP", 20, 22),
        partition("log_entries", "it's\n'); DROP", 30, 40),
    ]
}

fn plan() -> RetirementPlan {
    plan_of(&FakeLake::new(partitions()))
}

#[test]
fn a_plan_is_read_as_it_was_saved_and_applied() {
    for lake in [FakeLake::new(partitions()), by_range_only(partitions())] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plan.json");
        let plan = plan_of(&lake);
        plan.save(&file).unwrap();
        let loaded = RetirementPlan::load(&file).unwrap();
        assert_eq!(loaded, plan);
        // Other spaces are the same plan.
        let compact: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(RetirementPlan::from_json(&compact.to_string()).unwrap(), plan);
        let admin = lake.admin().with_server("grpc://lake");
        let report = block_on(admin.apply(&loaded, &ApplyOptions::default(), &Silent)).unwrap();
        assert!(report.is_complete());
        assert_eq!(report.plan_digest(), plan.digest());
        assert_eq!(lake.partitions().len(), 2);
    }
}

#[track_caller]
fn refused(text: &str, says: &str) {
    let error = RetirementPlan::from_json(text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains(says), "{error}");
}

#[test]
fn an_edited_plan_is_refused_with_the_place() {
    let whole = serde_json::to_value(plan()).unwrap();
    let edited = |edit: &dyn Fn(&mut Value)| {
        let mut value = whole.clone();
        edit(&mut value);
        value.to_string()
    };
    refused("{", "it is not JSON");
    refused("{\"format\": 3}", "it is not a plan");
    refused(
        &edited(&|plan| plan["version"] = json!(2)),
        "it has version 2 of the format",
    );
    refused(
        &edited(&|plan| plan["version"] = json!("1")),
        "it does not say its version",
    );
    refused(
        &edited(&|plan| plan["force"] = json!(true)),
        "a field 'force' that this version does not know",
    );
    refused(
        &edited(&|plan| plan["guards"]["force"] = json!(true)),
        "unknown field `force`",
    );
    let in_partition = |plan: &mut Value| plan["instances"][1]["partitions"][0]["x"] = json!(1);
    refused(&edited(&in_partition), "a field 'instances[1].partitions[0].x' that");
    refused(
        &edited(&|plan| plan["totals"]["rows"] = json!(0)),
        "'digest' is not what",
    );
    refused(
        &edited(&|plan| plan["server"] = json!("grpc://other")),
        "'digest' is not what",
    );
    refused(
        &edited(&|plan| plan["digest"] = json!("sha256:0")),
        "'digest' is not what",
    );
    let other_file = |plan: &mut Value| plan["instances"][1]["partitions"][0]["file_path"] = json!("other");
    refused(&edited(&other_file), "'digest' is not what");
    let gone = |plan: &mut Value| {
        plan["instances"][1].as_object_mut().unwrap().remove("partitions");
    };
    refused(&edited(&gone), "missing field `partitions`");
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let error = RetirementPlan::load(&folder.path().join("none")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().starts_with("load the plan "), "{error}");
}

proptest! {
    /// No single byte can be changed so that another plan is read.
    #[test]
    fn no_change_is_overlooked(at: prop::sample::Index, with in 0x20_u8..0x7f) {
        let plan = plan();
        let mut text = serde_json::to_vec(&plan).unwrap();
        let at = at.index(text.len());
        text[at] = with;
        if let Ok(text) = String::from_utf8(text)
            && let Ok(read) = RetirementPlan::from_json(&text)
        {
            prop_assert_eq!(read, plan);
        }
    }
}
