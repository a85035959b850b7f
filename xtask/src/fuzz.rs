//! The fuzz targets: of the analyser, from the queries of its corpus, and of the client's decoder, from streams of every kind
//! of column.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::cargo::{self, Workspace};

const ANALYSER: &str = "crates/analysis";
const CLIENT: &str = "crates/flight-client";
const TARGETS: [&str; 3] = ["analyse", "fix", "decode"];

/// How a line begins that says something of a query of the corpus, and is none of it.
const REMARKS: [&str; 2] = ["-- range:", "-- finds:"];

#[derive(Args)]
pub(crate) struct Options {
    /// Seconds for each target
    #[arg(long, value_name = "N", default_value_t = 300)]
    seconds: u32,
    /// The targets; all when none is named
    #[arg(value_name = "TARGET", value_parser = TARGETS)]
    targets: Vec<String>,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let targets: Vec<&str> = match options.targets.as_slice() {
        [] => TARGETS.to_vec(),
        named => named.iter().map(String::as_str).collect(),
    };
    for target in targets {
        let (home, seeds, longest) = match target {
            "decode" => {
                let home = workspace.root().join(CLIENT);
                let seeds = files(&home.join("fuzz/seeds"))?;
                (home, seeds, 65_536)
            }
            _ => {
                let home = workspace.root().join(ANALYSER);
                let queries = seeds(&home.join("tests/corpus"))?;
                (home, queries.into_iter().map(String::into_bytes).collect(), 4_096)
            }
        };
        let corpus = home.join("fuzz/corpus").join(target);
        fs::create_dir_all(&corpus).with_context(|| format!("create {}", corpus.display()))?;
        for (index, seed) in seeds.iter().enumerate() {
            let file = corpus.join(format!("seed-{index}"));
            fs::write(&file, seed).with_context(|| format!("write {}", file.display()))?;
        }
        // There is no unsafe code of ours to watch, and a target is three times as fast without a sanitizer.
        let mut command = Command::new("rustup");
        command.args(["run", "nightly", "cargo", "fuzz", "run", "--sanitizer", "none", target]);
        command.arg("--").arg(format!("-max_total_time={}", options.seconds));
        command.args([
            format!("-max_len={longest}"),
            "-timeout=20".to_owned(),
            "-print_final_stats=1".to_owned(),
        ]);
        // The cargo that runs this names itself and its compiler to its children, and nightly has others.
        command.current_dir(&home);
        for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
            command.env_remove(variable);
        }
        cargo::run(&mut command).with_context(|| {
            format!("fuzz {target}; it needs the nightly toolchain, and `cargo install cargo-fuzz`")
        })?;
    }
    Ok(())
}

/// The files of a folder, by name.
fn files(folder: &Path) -> Result<Vec<Vec<u8>>> {
    let read = || -> std::io::Result<Vec<_>> {
        let mut paths = fs::read_dir(folder)?
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<Vec<_>>>()?;
        paths.sort();
        paths.iter().map(fs::read).collect()
    };
    let files = read().with_context(|| format!("read {}", folder.display()))?;
    ensure!(!files.is_empty(), "{} has no files", folder.display());
    Ok(files)
}

/// The queries of a folder of corpus files, each by itself.
fn seeds(folder: &Path) -> Result<Vec<String>> {
    let mut seeds = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        seeds.extend(queries(&text));
    }
    ensure!(!seeds.is_empty(), "{} has no queries", folder.display());
    seeds.sort();
    Ok(seeds)
}

fn queries(text: &str) -> impl Iterator<Item = String> {
    text.split("-- name: ").skip(1).filter_map(|piece| {
        let (_, query) = piece.split_once('\n')?;
        let lines = query
            .lines()
            .filter(|line| !REMARKS.iter().any(|remark| line.starts_with(remark)));
        Some(lines.collect::<Vec<_>>().join("\n").trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_corpus_file_is_split_into_its_queries() {
        let text =
            "a remark\n-- name: one\n-- range: none\nSELECT 1\n\n-- name: two\n-- finds: x\nSELECT 2 -- é\nFROM a\n";
        let split: Vec<String> = queries(text).collect();
        assert_eq!(split, ["SELECT 1", "SELECT 2 -- é\nFROM a"]);
    }

    #[test]
    fn the_decoder_has_seeds() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        assert!(files(&root.join(CLIENT).join("fuzz/seeds")).unwrap().len() > 20);
    }

    #[test]
    fn the_corpus_of_the_analyser_has_queries() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        assert!(seeds(&root.join(ANALYSER).join("tests/corpus")).unwrap().len() > 150);
    }
}
