//! What `--help` says, as a terminal of 80 columns shows it.

use crate::harness::command;

const COMMANDS: &[&[&str]] = &[
    &[],
    &["query"],
    &["schema"],
    &["check"],
    &["rules"],
    &["estimate"],
    &["run"],
    &["partitions"],
    &["partitions", "list"],
    &["partitions", "map"],
    &["partitions", "plan-retire"],
    &["partitions", "apply"],
    &["partitions", "verify"],
    &["partitions", "retention"],
    &["partitions", "retention", "plan"],
    &["partitions", "retention", "apply"],
    &["partitions", "history"],
    &["partitions", "retire"],
    &["partitions", "retire-instances"],
    &["partitions", "retire-process"],
    &["partitions", "materialize"],
    &["partitions", "regenerate"],
    &["processes"],
    &["streams"],
    &["doctor"],
    &["lake"],
    &["lake", "serve"],
    &["lake", "generate"],
    &["lake", "import"],
    &["lake", "info"],
    &["demo"],
    &["completions"],
];

#[test]
fn every_command_explains_itself() {
    for words in COMMANDS {
        let output = command()
            .args(*words)
            .arg("--help")
            .env("COLUMNS", "80")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        let help = String::from_utf8(output.stdout).unwrap();
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "{words:?}: {line}");
        }
        // The global options are the same everywhere: once is enough.
        let shown = match help.split_once("Global options:") {
            Some((own, _)) if !words.is_empty() => own.to_owned(),
            _ => help,
        };
        let name = if words.is_empty() {
            "lakepilot".to_owned()
        } else {
            words.join("_")
        };
        insta::assert_snapshot!(format!("help_{name}"), shown);
    }
}
