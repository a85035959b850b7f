//! The commands that README promises, as they stand there.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::cargo::Workspace;

/// README's two commands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Commands {
    /// The first: see it work.
    pub(crate) demo: String,
    /// The second: run the tests.
    pub(crate) test: String,
}

/// # Errors
/// When README cannot be read, or does not begin with its two commands.
pub(crate) fn read(workspace: &Workspace) -> Result<Commands> {
    parse(&fs::read_to_string(workspace.root().join("README.md")).context("read README.md")?)
}

fn parse(text: &str) -> Result<Commands> {
    let mut blocks = text
        .split("\n```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split("\n```").next())
        .map(str::trim);
    let mut next = |what: &str| {
        let block = blocks
            .next()
            .with_context(|| format!("README.md has no `sh` block for {what}"))?;
        ensure!(
            block.starts_with("cargo ") && !block.contains('\n'),
            "README.md's command for {what} is to be one line that begins with cargo, and is: {block}"
        );
        Ok(block.to_owned())
    };
    Ok(Commands {
        demo: next("the demonstration, its first command")?,
        test: next("the tests, its second command")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_two_blocks_are_the_commands() {
        let commands =
            parse("# X\n\n```sh\ncargo run\n```\ntext\n```text\nno\n```\n\n```sh\ncargo xtask test\n```\n").unwrap();
        assert_eq!(commands.demo, "cargo run");
        assert_eq!(commands.test, "cargo xtask test");
    }

    #[test]
    fn a_readme_without_them_is_an_error() {
        for text in [
            "",
            "# X\n```sh\ncargo run\n```\n",
            "\n```sh\ncargo a\ncargo b\n```\n\n```sh\ncargo c\n```\n",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn readme_tests_through_xtask() {
        let commands = read(&Workspace::locate().unwrap()).unwrap();
        assert_eq!(commands.test, "cargo xtask test");
        assert!(commands.demo.ends_with("-- demo"), "{}", commands.demo);
    }
}
