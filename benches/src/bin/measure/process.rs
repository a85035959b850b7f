//! A whole program, from start to end.

use std::io::{Read, Seek};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use wait4::Wait4;

use crate::meter::Measured;

pub(crate) fn run(command: &[String]) -> Result<Measured> {
    let Some((program, arguments)) = command.split_first() else {
        bail!("no program was named");
    };
    // A file and not a pipe: nobody reads while the program runs.
    let mut errors = tempfile::tempfile().context("make a temporary file")?;
    let start = Instant::now();
    let ended = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors.try_clone()?)
        .spawn()
        .with_context(|| format!("start {program}"))?
        .wait4()?;
    let seconds = start.elapsed().as_secs_f64();
    if !ended.status.success() {
        let mut told = String::new();
        errors.rewind()?;
        errors.read_to_string(&mut told)?;
        bail!("{program}: {}: {told}", ended.status);
    }
    ensure!(
        ended.rusage.maxrss > 0,
        "the system does not tell the memory of {program}"
    );
    Ok(Measured {
        seconds,
        processor_seconds: (ended.rusage.utime + ended.rusage.stime).as_secs_f64(),
        peak_bytes: ended.rusage.maxrss,
        ..Measured::default()
    })
}
