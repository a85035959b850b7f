//! All checks in the order in which a failure is cheapest to learn of.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::cargo::{self, Workspace};
use crate::{bench, layers, readme, rules, violation};

#[derive(Args)]
pub(crate) struct Options {
    /// Run only these steps
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    only: Vec<String>,
    /// Run all steps but these
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    skip: Vec<String>,
}

struct Step {
    name: &'static str,
    run: fn(&Workspace) -> Result<()>,
}

const STEPS: &[Step] = &[
    Step {
        name: "format",
        run: format,
    },
    Step {
        name: "layers",
        run: |workspace| violation::report("layers", layers::check(workspace)?),
    },
    Step {
        name: "rules",
        run: |workspace| violation::report("rules", rules::check(workspace)?),
    },
    Step {
        name: "clippy",
        run: clippy,
    },
    Step {
        name: "client-only",
        run: client_only,
    },
    Step {
        name: "docs",
        run: docs,
    },
    Step {
        name: "readme-test",
        run: |workspace| shell(workspace, &readme::read(workspace)?.test),
    },
    Step {
        name: "benches",
        run: bench::smoke,
    },
    Step {
        name: "readme-demo",
        run: |workspace| shell(workspace, &readme::read(workspace)?.demo),
    },
];

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let steps = choose(options)?;
    let start = Instant::now();
    for step in &steps {
        println!("== {}", step.name);
        let start = Instant::now();
        (step.run)(workspace).with_context(|| format!("the step {} failed", step.name))?;
        println!("== {}: good, {}", step.name, told(start.elapsed()));
    }
    println!("== all {} steps: good, {}", steps.len(), told(start.elapsed()));
    Ok(())
}

fn choose(options: &Options) -> Result<Vec<&'static Step>> {
    let names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
    if let Some(unknown) = options
        .only
        .iter()
        .chain(&options.skip)
        .find(|name| !names.contains(&name.as_str()))
    {
        bail!("there is no step {unknown}; the steps are {}", names.join(", "));
    }
    Ok(STEPS
        .iter()
        .filter(|step| options.only.is_empty() || options.only.iter().any(|name| name == step.name))
        .filter(|step| !options.skip.iter().any(|name| name == step.name))
        .collect())
}

fn told(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{} min {:02} s", seconds / 60, seconds % 60)
}

fn format(workspace: &Workspace) -> Result<()> {
    cargo::run(&mut workspace.cargo(["fmt", "--all", "--check"]))?;
    // Workspaces of their own, which --all does not reach.
    for manifest in [
        "crates/micromegas-server/Cargo.toml",
        "benches/micromegas-client/Cargo.toml",
    ] {
        cargo::run(&mut workspace.cargo(["fmt", "--check", "--manifest-path", manifest]))?;
    }
    Ok(())
}

fn clippy(workspace: &Workspace) -> Result<()> {
    let arguments = [
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    cargo::run(&mut workspace.cargo(arguments))
}

fn client_only(workspace: &Workspace) -> Result<()> {
    cargo::run(&mut workspace.cargo(["check", "--locked", "-p", "lakepilot-cli", "--no-default-features"]))
}

fn docs(workspace: &Workspace) -> Result<()> {
    let mut command = workspace.cargo(["doc", "--locked", "--workspace", "--no-deps"]);
    cargo::run(command.env("RUSTDOCFLAGS", "-D warnings"))
}

/// Runs a command as a person types it, after telling it.
fn shell(workspace: &Workspace, command: &str) -> Result<()> {
    println!("$ {command}");
    cargo::run(
        Command::new("bash")
            .args(["-euo", "pipefail", "-c", command])
            .current_dir(workspace.root()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(only: &[&str], skip: &[&str]) -> Result<Vec<&'static str>> {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let options = Options {
            only: owned(only),
            skip: owned(skip),
        };
        Ok(choose(&options)?.into_iter().map(|step| step.name).collect())
    }

    #[test]
    fn steps_are_chosen_by_name() {
        assert_eq!(names(&[], &[]).unwrap().len(), STEPS.len());
        assert_eq!(names(&["rules", "format"], &[]).unwrap(), ["format", "rules"]);
        assert!(!names(&[], &["readme-demo"]).unwrap().contains(&"readme-demo"));
        assert!(names(&["rule"], &[]).is_err());
        assert!(names(&[], &["rule"]).is_err());
    }

    #[test]
    fn a_step_that_fails_fails_the_run() {
        let workspace = Workspace::locate().unwrap();
        assert!(shell(&workspace, "true").is_ok());
        assert!(shell(&workspace, "false | true").is_err());
    }
}
