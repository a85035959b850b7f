//! The password of a user, in a file or in the environment.

use std::path::PathBuf;

use lakepilot_query::{Error, ErrorKind, Result};

use crate::environment::Environment;
use crate::secret::Secret;

/// Where a password is.
#[derive(Clone, Debug)]
pub enum Password {
    /// In a file, which is read when a client is made. A line break at the end of the file is not part of the password.
    File(PathBuf),
    /// Here.
    Given(Secret),
}

impl Password {
    /// The password in `LAKEPILOT_PASSWORD`, if it is set.
    pub fn of_environment(environment: &Environment) -> Option<Self> {
        environment
            .variable("LAKEPILOT_PASSWORD")
            .map(|password| Self::Given(Secret::new(password)))
    }

    /// The password itself.
    ///
    /// # Errors
    /// `NotFound` or `Io` when the file cannot be read; `InvalidInput` when it is not text, or there is nothing in it. The
    /// password is never in the error.
    pub fn read(&self) -> Result<Secret> {
        let path = match self {
            Self::Given(password) => return Ok(password.clone()),
            Self::File(path) => path,
        };
        let in_file = |error: Error| error.context(format!("the password file {}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidData => in_file(Error::new(ErrorKind::InvalidInput, "is not text")),
            _ => in_file(Error::from(error)),
        })?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let password = line.strip_suffix('\r').unwrap_or(line);
        if password.is_empty() {
            return Err(in_file(Error::new(ErrorKind::InvalidInput, "is empty")));
        }
        Ok(Secret::new(password))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_a_file_without_its_last_line_break() {
        let folder = tempfile::tempdir().unwrap();
        let password = Password::File(folder.path().join("password"));
        for (content, expected) in [
            ("hunter2", "hunter2"),
            ("hunter2\n", "hunter2"),
            ("hunter2\r\n", "hunter2"),
            (" with blanks \n\n", " with blanks \n"),
        ] {
            std::fs::write(folder.path().join("password"), content).unwrap();
            assert_eq!(password.read().unwrap().reveal(), expected);
        }
        for content in [&b""[..], b"\n", b"\xff\xfe"] {
            std::fs::write(folder.path().join("password"), content).unwrap();
            let error = password.read().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            assert!(error.message().contains("password file"), "{error}");
        }
        let none = Password::File(folder.path().join("none")).read().unwrap_err();
        assert_eq!(none.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_password_of_the_environment_is_not_shown() {
        let environment = Environment::with_home("/nowhere").with_variable("LAKEPILOT_PASSWORD", "hunter2");
        let password = Password::of_environment(&environment).unwrap();
        assert_eq!(password.read().unwrap().reveal(), "hunter2");
        assert!(!format!("{password:?}").contains("hunter2"));
        assert!(Password::of_environment(&Environment::with_home("/nowhere")).is_none());
    }
}
