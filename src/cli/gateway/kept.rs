//! Sign-ins that `wsbridge login` keeps: one file a gateway in the user's configuration, for its
//! owner alone.

#[cfg(unix)]
mod own;
#[cfg(windows)]
#[path = "kept/own_windows.rs"]
mod own;

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::Address;
use crate::{
    cli::{CommandError, SysExit},
    regular_file,
};

/// Longest file, in bytes.
const FILE_MAX: usize = 64 * 1024;

/// A sign-in.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::cli) struct Kept {
    /// The gateway, for people who read the file.
    pub(in crate::cli) gateway: String,
    /// Who.
    pub(in crate::cli) user: String,
    /// What is shown to the gateway.
    pub(in crate::cli) token: String,
    /// Whom to believe there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) trust: Option<KeptTrust>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kept({} at {})", self.user, self.gateway)
    }
}

/// Whom to believe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::cli) enum KeptTrust {
    /// The authorities of a file.
    Ca(PathBuf),
    /// A certificate.
    Fingerprint([u8; 32]),
}

impl Kept {
    /// The sign-in at a gateway, if there is one.
    pub(in crate::cli) fn find(address: &Address) -> Result<Option<Self>, CommandError> {
        let Some(file) = file(address) else { return Ok(None) };
        let wrong = |error: io::Error| {
            CommandError::new(SysExit::Io, format!("{}: {error}", file.display()))
        };
        match read(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some).map_err(wrong),
        }
    }

    /// Keeps it.
    pub(in crate::cli) fn keep(&self, address: &Address) -> Result<PathBuf, CommandError> {
        let file = file(address).ok_or_else(|| {
            CommandError::new(SysExit::Io, format!("{} where to keep the sign-in", own::SAYS_NOT))
        })?;
        write(&file, self).map_err(|error| {
            CommandError::new(SysExit::Io, format!("{}: {error}", file.display()))
        })?;
        Ok(file)
    }

    /// Forgets the one at a gateway.
    pub(in crate::cli) fn forget(address: &Address) -> Result<(), CommandError> {
        let Some(file) = file(address) else { return Ok(()) };
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(CommandError::new(SysExit::Io, format!("{}: {error}", file.display())))
            }
            _ => Ok(()),
        }
    }
}

/// `HOST_PORT.sign-in` in our folder.
fn file(address: &Address) -> Option<PathBuf> {
    let folder = own::folder()?;
    let site = &address.site;
    let plain = if site.secure { "" } else { "_plain" };
    let name = format!("{}_{}{}{plain}", site.host.to_lowercase(), site.port, address.prefix);
    Some(folder.join("wsbridge").join(format!("{}.sign-in", name.replace(['/', ':'], "!"))))
}

fn read(file: &Path) -> io::Result<Kept> {
    own::ours_alone(file)?;
    let text = regular_file::read(file, FILE_MAX)?;
    serde_json::from_slice(&text)
        .map_err(|error| io::Error::other(format!("not a sign-in: {error}")))
}

fn write(file: &Path, kept: &Kept) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        own::make_folder(folder)?;
    }
    let draft = file.with_extension("new");
    // What an interrupted one left.
    let _ = fs::remove_file(&draft);
    let mut new = own::create(&draft)?;
    new.write_all(serde_json::to_string_pretty(kept)?.as_bytes())?;
    new.sync_all()?;
    fs::rename(&draft, file)
}
