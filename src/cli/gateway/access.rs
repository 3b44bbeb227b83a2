//! What a command shows to get in: a token of a file or the environment, or a sign-in that was
//! kept; never an argument, which other users of the machine see.

use std::{env, fmt, path::Path};

use super::{Address, Kept};
use crate::{
    cli::{CommandError, SysExit},
    config::Secret,
    regular_file,
};

/// Where a token may be found.
const VARIABLE: &str = "WSBRIDGE_TOKEN";

/// Longest file with a token, in bytes.
const TOKEN_FILE_MAX: usize = 4096;

/// What is shown.
#[derive(Clone)]
pub(in crate::cli) struct Access {
    shown: Option<Secret>,
    from: From,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    File,
    Environment,
    SignIn,
    Nowhere,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Access({:?})", self.from)
    }
}

impl Access {
    /// The token of a file, else of the environment, else the sign-in that was kept.
    pub(in crate::cli) fn find(
        file: Option<&Path>,
        kept: Option<&Kept>,
    ) -> Result<Self, CommandError> {
        if let Some(file) = file {
            let wrong = |what: &dyn fmt::Display| {
                CommandError::new(SysExit::Data, format!("--token-file {}: {what}", file.display()))
            };
            let read = regular_file::read(file, TOKEN_FILE_MAX).map_err(|error| wrong(&error))?;
            let text = String::from_utf8(read).map_err(|_| wrong(&"it is not text"))?;
            let text = text.trim();
            if text.is_empty() || text.contains(char::is_whitespace) {
                return Err(wrong(&"it is to hold a token and nothing else"));
            }
            return Ok(Self { shown: Some(Secret::new(text)), from: From::File });
        }
        let variable = env::var(VARIABLE).unwrap_or_default();
        if !variable.trim().is_empty() {
            return Ok(Self { shown: Some(Secret::new(variable.trim())), from: From::Environment });
        }
        let shown = kept.map(|kept| Secret::new(kept.token.as_str()));
        let from = if shown.is_some() { From::SignIn } else { From::Nowhere };
        Ok(Self { shown, from })
    }

    /// Nothing.
    pub(in crate::cli) fn none() -> Self {
        Self { shown: None, from: From::Nowhere }
    }

    /// The sign-in alone, whatever the environment says.
    pub(in crate::cli) fn of(kept: &Kept) -> Self {
        Self { shown: Some(Secret::new(kept.token.as_str())), from: From::SignIn }
    }

    /// The token.
    pub(in crate::cli) fn token(&self) -> Option<&str> {
        self.shown.as_ref().map(Secret::reveal)
    }

    /// What to do when it is not good.
    pub(in crate::cli) fn advice(&self, gateway: &Address) -> String {
        match self.from {
            From::File => "the token of --token-file is not good there".into(),
            From::Environment => format!("the token in {VARIABLE} is not good there"),
            From::SignIn => {
                format!("the sign-in has ended; `wsbridge login {gateway}` begins another")
            }
            From::Nowhere => {
                format!("sign in with `wsbridge login {gateway}`, or put a token into {VARIABLE}")
            }
        }
    }
}
