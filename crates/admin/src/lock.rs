//! One run at a time against a server.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use chrono::Utc;
use lakepilot_query::{Error, ErrorKind, Result, to_rfc3339};
use sha2::{Digest, Sha256};

use crate::files::try_lock;

/// The right of this process to work on a server, among those that ask for it in the same folder. It is given back when
/// this is dropped, and when the process ends in whatever way.
#[derive(Debug)]
pub struct ServerLock {
    file: File,
}

impl Drop for ServerLock {
    fn drop(&mut self) {
        // Closing would do, but for a child that is being started meanwhile: it has the file too until it runs its program.
        let _ = self.file.unlock();
    }
}

impl ServerLock {
    /// Takes the lock of a server in a folder for state, which is made when it is not there.
    ///
    /// # Errors
    /// `Unavailable` when another process has it; the message says which, and since when. `Io` when the file cannot be
    /// written.
    pub fn acquire(folder: &Path, server: &str) -> Result<Self> {
        fs::create_dir_all(folder)
            .map_err(|error| Error::from(error).context(format!("make the folder {}", folder.display())))?;
        // A server's name may hold what a file's name may not.
        let name: String = Sha256::digest(server)
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let path = folder.join(format!("{name}.lock"));
        let context = |error: std::io::Error| Error::from(error).context(format!("lock {}", path.display()));
        // What the one who has it wrote must not be cut off before the lock is had.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(context)?;
        if !try_lock(&file)? {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!(
                    "another run is working on {server} ({}); wait for it to end",
                    holder.trim()
                ),
            ));
        }
        file.set_len(0).map_err(context)?;
        writeln!(file, "process {} since {}", std::process::id(), to_rfc3339(Utc::now())).map_err(context)?;
        Ok(Self { file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_for_each_server() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let first = ServerLock::acquire(&state, "grpc://a/../b").unwrap();
        let error = ServerLock::acquire(&state, "grpc://a/../b").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let process = format!("process {} since 2", std::process::id());
        assert!(error.message().contains(&process), "{error}");
        let _other = ServerLock::acquire(&state, "grpc://other").unwrap();
        drop(first);
        ServerLock::acquire(&state, "grpc://a/../b").unwrap();
    }
}
