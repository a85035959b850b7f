//! The scripts that need Python, and the provider that is one.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The interpreter of the virtual environment with the Python client.
fn interpreter() -> PathBuf {
    let python = std::env::var_os("LAKEPILOT_PYTHON").map_or_else(
        || {
            // <target>/<profile>/deps/<test>
            let test = std::env::current_exe().unwrap();
            test.ancestors().nth(3).unwrap().join("python-env/bin/python")
        },
        PathBuf::from,
    );
    assert!(
        python.is_file(),
        "there is no Python at {}; make the environment with `cargo xtask python-env`, or name its interpreter in LAKEPILOT_PYTHON",
        python.display()
    );
    python
}

fn script(name: &str) -> Command {
    let mut command = Command::new(interpreter());
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(name));
    command
}

/// What a script prints, given its input.
pub(crate) fn run(name: &str, args: &[&str], input: &str) -> String {
    let mut child = script(name)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `oidc-provider-mock` from PyPI on a free port. It ends with its standard input, which ends with this.
pub(crate) struct Provider {
    child: Child,
    pub(crate) issuer: String,
}

impl Provider {
    pub(crate) fn start(token_seconds: u32) -> Self {
        let mut child = script("provider.py")
            .arg(token_seconds.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut port)
            .unwrap();
        let port: u16 = port.trim().parse().expect("the provider says its port");
        Self {
            child,
            issuer: format!("http://localhost:{port}"),
        }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
