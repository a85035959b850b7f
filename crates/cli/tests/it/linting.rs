//! `check` on files, and its settings, fixes and formats; `rules`.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Ran, Server, command, run};

/// A finding with a fix, a hint, and nothing.
const NAIVE: &str = "SELECT msg FROM log_entries WHERE time > '2026-02-28'\n";
const STAR: &str = "SELECT *\nFROM log_entries\n";
const GOOD: &str = "SELECT exe FROM processes\n";

/// A folder of queries, in which `check` runs.
struct Folder(TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = folder.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn check(&self, arguments: &[&str]) -> Ran {
        let mut command = command();
        command.current_dir(self.0.path()).args(["check", "--offline"]);
        command.args(arguments).output().unwrap().into()
    }
}

/// The file, the rule and the line of each finding.
fn findings(document: &Value) -> Vec<(String, String, u64)> {
    let statements = document["statements"].as_array().unwrap();
    let each = statements.iter().flat_map(|statement| {
        let findings = statement["findings"].as_array().unwrap();
        findings.iter().map(|finding| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (
                text(&statement["file"]),
                text(&finding["rule"]),
                finding["start"]["line"].as_u64().unwrap(),
            )
        })
    });
    each.collect()
}

fn with_stdin(arguments: &[&str], text: &str) -> Ran {
    let mut command = command();
    command.args(arguments).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

#[test]
fn what_is_given_is_checked_and_told_by_name() {
    let folder = Folder::new(&[
        ("a.sql", GOOD),
        ("queries/b.sql", "-- one\nSELECT nope FROM processes;\n\nSELEC 2;\n"),
        (
            "queries/c.md",
            "# Notes\n\n```sql\nSELECT nope FROM streams\n```\n\n```python\nSELEC\n```\n",
        ),
        ("queries/d.txt", "SELEC"),
        ("queries/.hidden.sql", "SELEC"),
    ]);
    let ran = folder.check(&[
        "a.sql",
        "SELECT nope FROM blocks",
        "queries",
        "./a.sql",
        "--format",
        "json",
    ]);
    assert_eq!(ran.code, 12, "{}", ran.stderr);
    let document = ran.json();
    let found = findings(&document);
    let found: Vec<_> = found
        .iter()
        .map(|(file, rule, line)| (file.as_str(), rule.as_str(), *line))
        .collect();
    assert_eq!(
        found,
        [
            ("<sql>", "unknown-column", 1),
            ("queries/b.sql", "unknown-column", 2),
            ("queries/b.sql", "syntax-error", 4),
            ("queries/b.sql", "multiple-statements", 4),
            ("queries/c.md", "unknown-column", 4),
        ]
    );
    assert_eq!(document["summary"]["files"], 4);
    assert_eq!(document["summary"]["online"], false);
    for statement in document["statements"].as_array().unwrap() {
        assert!(statement["sliceable"]["ok"].is_boolean());
        assert!(statement["time_bounds"].is_object());
    }
    assert_eq!(folder.check(&["a.sql"]).good().stdout, "no findings\n");
    let pattern = folder.check(&["queries/*.sql"]);
    assert!(pattern.stdout.contains("queries/b.sql:2:8"), "{}", pattern.stdout);
    assert_eq!(folder.check(&["--file", "queries/d.txt"]).code, 12);
    assert_eq!(with_stdin(&["check", "--offline", "-"], "SELEC").code, 12);

    for (arguments, code, told) in [
        (vec!["no-such.sql"], 4, "there is no file no-such.sql"),
        (vec!["none/*.sql"], 4, "no file matches none/*.sql"),
        (vec!["--file", "no-such"], 4, "cannot read no-such"),
        (vec![], 2, "SQL|PATH"),
    ] {
        let ran = folder.check(&arguments);
        assert_eq!(ran.code, code, "{}", ran.stderr);
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
    }
    fs::write(folder.path("latin.sql"), b"SELECT '\xe9'").unwrap();
    let latin = folder.check(&["latin.sql"]);
    assert_eq!(latin.code, 2);
    assert!(
        latin.stderr.contains("latin.sql is not text in UTF-8"),
        "{}",
        latin.stderr
    );
}

#[test]
fn people_read_the_source_of_each_file() {
    let folder = Folder::new(&[("errors.sql", NAIVE), ("all.sql", STAR), ("good.sql", GOOD)]);
    let range = ["--begin", "2026-02-27T00:00:00Z", "--end", "2026-03-01T00:00:00Z"];
    let ran = folder
        .check(&[&range[..], &["all.sql", "errors.sql", "good.sql"]].concat())
        .good();
    insta::assert_snapshot!(ran.stdout);
    let quiet = folder.check(&["--quiet", "good.sql"]).good();
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    let colored = folder.check(&["--color", "always", "all.sql"]).good();
    assert!(colored.stdout.contains("\u{1b}["), "{}", colored.stdout);
}

#[test]
fn settings_are_those_of_the_nearest_file() {
    let folder = Folder::new(&[
        ("lakepilot.toml", "[check.rules]\nselect-star = \"error\"\n"),
        ("star.sql", "SELECT * FROM log_entries"),
        ("inner/deep/star.sql", "SELECT * FROM log_entries"),
        ("inner/lakepilot.toml", "[check.rules]\nselect-star = \"off\"\n"),
    ]);
    let stars = |arguments: &[&str]| {
        let mut all = vec!["--format", "json", "--select", "select-star"];
        all.extend(arguments);
        let document = folder.check(&all).json();
        let severity = |statement: &Value| {
            statement["findings"][0]["severity"]
                .as_str()
                .unwrap_or("off")
                .to_owned()
        };
        let statements = document["statements"].as_array().unwrap();
        statements.iter().map(severity).collect::<Vec<_>>()
    };
    assert_eq!(stars(&["star.sql", "SELECT * FROM log_entries"]), ["error", "error"]);
    // What is selected is checked, also where the file says off.
    assert_eq!(stars(&["inner/deep/star.sql"]), ["hint"]);
    assert_eq!(stars(&["--no-config", "star.sql"]), ["hint"]);
    assert_eq!(stars(&["--rule", "select-star=warning", "star.sql"]), ["warning"]);
    assert_eq!(stars(&["--ignore", "select-star", "star.sql"]), ["off"]);
    let inner = folder.check(&[
        "--select",
        "select-star",
        "inner/deep/star.sql",
        "--config",
        "lakepilot.toml",
    ]);
    assert_eq!(inner.code, 12, "{}", inner.stdout);
    let off = folder.check(&["inner/deep/star.sql"]).good();
    assert!(!off.stdout.contains("select-star"), "{}", off.stdout);
}

#[test]
fn settings_that_are_wrong_are_told_with_their_place() {
    let folder = Folder::new(&[("lakepilot.toml", "[check]\nmax-colums = 3\n"), ("a.sql", GOOD)]);
    let ran = folder.check(&["a.sql"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr
            .ends_with("lakepilot.toml:2:1: there is no setting 'max-colums': did you mean max-columns?\n"),
        "{}",
        ran.stderr
    );
    folder.check(&["--no-config", "a.sql"]).good();
    for (arguments, told) in [
        (
            ["--rule", "select-stra=off"],
            "--rule: there is no rule 'select-stra': did you mean select-star?",
        ),
        (
            ["--select", "wide"],
            "--select: there is no rule 'wide': did you mean wide-row?",
        ),
        (["--ignore", "x"], "`lakepilot rules` lists them"),
        (["--rule", "select-star=loud"], "'loud' is not a level"),
        (["--config", "nowhere.toml"], "cannot read the settings in nowhere.toml"),
        (["--max-time-range", "soon"], "--max-time-range"),
    ] {
        let mut all = vec!["a.sql"];
        all.extend(arguments);
        let ran = folder.check(&all);
        assert!([2, 4].contains(&ran.code), "{}", ran.stderr);
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
    }
}

#[test]
fn limits_come_from_the_command_line() {
    let list = format!(
        "SELECT exe FROM processes WHERE exe IN ('{}')",
        vec!["x"; 20].join("','")
    );
    let found = |arguments: &[&str]| {
        let mut all = vec!["check", "--offline", "--format", "json", &list];
        all.extend(arguments);
        findings(&run(&all).json()).len()
    };
    assert_eq!(found(&[]), 0);
    assert_eq!(found(&["--max-in-list", "10"]), 1);
    let server = Server::start();
    let columns = |most: &str| {
        let sql = "SELECT exe, username, computer FROM processes";
        let ran = server.run(&["check", sql, "--format", "json", "--max-columns", most]);
        findings(&ran.good().json()).len()
    };
    assert_eq!((columns("2"), columns("3")), (1, 0));
}

#[test]
fn fixes_rewrite_files_whole_and_once() {
    let folder = Folder::new(&[
        ("errors.sql", NAIVE),
        ("notes.md", &format!("# é\n\n```sql\n{NAIVE}```\n")),
        ("good.sql", GOOD),
    ]);
    let before = fs::metadata(folder.path("good.sql")).unwrap().modified().unwrap();
    make_executable(&folder.path("errors.sql"));
    link(&folder, "errors.sql", "link.sql");

    let shown = folder.check(&["--diff", "link.sql", "notes.md", "good.sql"]);
    assert_eq!(shown.code, 12);
    insta::assert_snapshot!(shown.stdout);
    assert_eq!(folder.text("errors.sql"), NAIVE);

    let fixed = folder.check(&["--fix", "link.sql", "notes.md", "good.sql"]).good();
    assert!(fixed.stderr.contains("fixed 2 findings in 2 files"), "{}", fixed.stderr);
    assert!(!fixed.stdout.contains("naive-timestamp"), "{}", fixed.stdout);
    let text = folder.text("errors.sql");
    assert_eq!(text, NAIVE.replace("2026-02-28", "2026-02-28T00:00:00Z"));
    assert_eq!(folder.text("notes.md"), format!("# é\n\n```sql\n{text}```\n"));
    assert_eq!(
        fs::metadata(folder.path("good.sql")).unwrap().modified().unwrap(),
        before
    );
    assert_executable(&folder.path("errors.sql"));
    assert!(fs::symlink_metadata(folder.path("link.sql")).unwrap().is_symlink() || cfg!(not(unix)));
    assert_eq!(fs::read_dir(folder.0.path()).unwrap().count(), 4);

    let again = folder.check(&["--fix", "link.sql", "notes.md"]).good();
    assert!(!again.stderr.contains("fixed"), "{}", again.stderr);
    let nothing = folder.check(&["--diff", "link.sql", "notes.md"]).good();
    assert_eq!(
        (nothing.stdout.as_str(), nothing.stderr.as_str()),
        ("", "nothing to fix\n")
    );
}

#[cfg(unix)]
fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o754)).unwrap();
}

#[cfg(unix)]
fn assert_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o754);
}

#[cfg(unix)]
fn link(folder: &Folder, to: &str, name: &str) {
    std::os::unix::fs::symlink(folder.path(to), folder.path(name)).unwrap();
}

#[test]
fn fixed_text_is_printed_to_be_piped_on() {
    let after = NAIVE.replace("2026-02-28", "2026-02-28T00:00:00Z");
    let piped = with_stdin(&["check", "--offline", "--fix", "-"], NAIVE);
    assert_eq!(piped.stdout, after);
    assert!(piped.stderr.contains("unpruned-time-filter"), "{}", piped.stderr);
    let given = run(&["check", "--offline", "--fix", NAIVE.trim_end()]).good();
    assert_eq!(given.stdout, after);
    let untouched = with_stdin(&["check", "--offline", "--fix", "-"], "SELEC\n");
    assert_eq!((untouched.code, untouched.stdout.as_str()), (12, "SELEC\n"));
    assert_eq!(run(&["check", "--offline", "--fix", NAIVE, GOOD]).code, 2);
    assert_eq!(run(&["check", "--offline", "--fix", "--diff", NAIVE]).code, 2);
}

#[test]
fn other_programs_read_findings_too() {
    let folder = Folder::new(&[("a b.sql", "SELECT 1;\nSELECT nope FROM processes")]);
    let sarif = folder.check(&["a b.sql", "--format", "sarif"]);
    assert_eq!(sarif.code, 12);
    let results = &sarif.json()["runs"][0]["results"];
    assert_eq!(results[1]["ruleId"], "unknown-column");
    let place = &results[1]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "a%20b.sql");
    assert_eq!(place["region"]["startLine"], 2);
    let github = folder.check(&["a b.sql", "--format", "github"]);
    let lines: Vec<_> = github.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{}", github.stdout);
    assert!(lines[1].starts_with("::error file=a b.sql,line=2,"), "{}", lines[1]);
}

#[test]
fn a_linter_works_where_there_is_no_server() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("grpc://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let arguments = ["--url", &url, "check", "SELECT nope FROM processes"];
    let ran = run(&arguments);
    assert_eq!(ran.code, 12, "{}", ran.stderr);
    assert!(ran.stdout.contains("unknown-column"), "{}", ran.stdout);
    assert!(
        ran.stderr.starts_with("warning: checked without the server"),
        "{}",
        ran.stderr
    );
    let mut offline = arguments.to_vec();
    offline.push("--offline");
    assert_eq!(run(&offline).stderr, "");
    let mut online = arguments.to_vec();
    online.push("--online");
    let ran = run(&online);
    assert_eq!((ran.code, ran.stdout.as_str()), (6, ""), "{}", ran.stderr);
}

#[test]
fn the_server_says_what_it_does_not_accept_and_where() {
    let server = Server::start();
    let folder = Folder::new(&[(
        "a.md",
        "```sql\nSELECT time,\n  length(msg, 2, 3) FROM log_entries\n```\n",
    )]);
    let path = folder.path("a.md");
    let ran = server.run_ranged(&["check", "--online", path.to_str().unwrap(), "--format", "json"]);
    assert_eq!(ran.code, 12, "{}", ran.stderr);
    let document = ran.json();
    let found = findings(&document);
    assert!(
        found.iter().any(|(_, rule, _)| rule == "rejected-by-server"),
        "{document}"
    );
    assert_eq!(document["summary"]["online"], true);
    let unknown = server.run_ranged(&["check", "SELECT time,\n nope FROM log_entries", "--format", "json"]);
    let start = unknown.json()["statements"][0]["findings"][0]["start"].clone();
    assert_eq!(
        (&start["line"], &start["column"], &start["offset"]),
        (&2.into(), &2.into(), &14.into())
    );
}

#[test]
fn a_range_that_is_none_is_a_finding() {
    let checked = |range: &[&str]| {
        let mut arguments = vec!["check", "--offline", "SELECT msg FROM log_entries", "--format", "json"];
        arguments.extend(range);
        findings(&run(&arguments).json())
            .into_iter()
            .map(|(_, rule, _)| rule)
            .collect::<Vec<_>>()
    };
    assert_eq!(checked(&["--begin", "1h"]), Vec::<String>::new());
    assert_eq!(checked(&["--begin", "1h", "--end", "2h"]), ["invalid-time-range"]);
    assert!(checked(&["--end", "1h"]).contains(&"invalid-time-range".to_owned()));
}

#[test]
fn sql_may_begin_with_a_comment() {
    let server = Server::start();
    let sql = "-- lakepilot: ignore wide-row\nSELECT count(*) AS entries FROM log_entries";
    for command in ["query", "schema", "estimate", "run", "check"] {
        for arguments in [[command, sql, "--quiet"], [command, "--quiet", sql]] {
            let ran = server.run_ranged(&arguments).good();
            assert!(!ran.stderr.contains("unexpected argument"), "{}", ran.stderr);
        }
    }
    let misspelt = run(&["query", "SELECT 1", "--fromat", "csv"]);
    assert!(
        misspelt.stderr.contains("a similar argument exists: '--format'"),
        "{}",
        misspelt.stderr
    );
}

#[test]
fn rules_are_told() {
    let list = run(&["rules"]).good().stdout;
    assert!(
        list.contains("order-by-without-limit") && list.contains("unused-ignore"),
        "{list}"
    );
    insta::assert_snapshot!(run(&["rules", "offset-paging"]).good().stdout);
    let two = run(&["rules", "wide-row", "select-star", "--format", "json"])
        .good()
        .json();
    assert_eq!(
        (&two[0]["name"], &two[1]["severity"]),
        (&"wide-row".into(), &"hint".into())
    );
    let page = run(&["rules", "--format", "markdown"]).good().stdout;
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rules.md");
    assert_eq!(page, fs::read_to_string(kept).unwrap());
    let unknown = run(&["rules", "wide-rwo"]);
    assert_eq!(unknown.code, 4);
    assert!(unknown.stderr.contains("did you mean wide-row?"), "{}", unknown.stderr);
}

#[test]
fn a_thousand_files_are_checked_in_one_go() {
    let folder = Folder::new(&[]);
    for index in 0..1000 {
        fs::write(folder.path(&format!("{index:04}.sql")), NAIVE).unwrap();
    }
    let ran = folder.check(&[".", "--format", "json"]).good();
    let summary = &ran.json()["summary"];
    assert_eq!((&summary["files"], &summary["fixable"]), (&1000.into(), &1000.into()));
}
