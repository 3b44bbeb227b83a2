//! A new endpoint in a file of its own, beside the configuration.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
    },
    path::Path,
};

use super::NewEndpoint;
use crate::cli::{
    CommandError, SysExit,
    load::{ConfigFile, folder_of_endpoints, load_with},
};

/// Checks the whole configuration with it, and writes it.
pub(super) fn add(
    source: &ConfigFile,
    file: &Path,
    endpoint: &NewEndpoint,
) -> Result<(), CommandError> {
    let path = folder_of_endpoints(file).join(format!("{}.yaml", endpoint.name));
    if path.symlink_metadata().is_ok() {
        let what = format!("{}: already exists; choose another name", path.display());
        return Err(CommandError::new(SysExit::Data, what));
    }
    let text = text(endpoint);
    load_with(source, Some((path.clone(), text.clone())))
        .map_err(|error| CommandError::from(&error))?;
    write(file, &path, &text).map_err(|error| {
        CommandError::new(SysExit::Io, format!("{}: {error}; nothing was added", path.display()))
    })
}

fn text(endpoint: &NewEndpoint) -> String {
    let title = endpoint
        .title
        .as_ref()
        .map(|title| format!("  title: {}\n", serde_json::Value::from(title.as_str())));
    format!("{}:\n{}{}", endpoint.name, title.unwrap_or_default(), endpoint.target.yaml())
}

/// Writes the file completely or not at all, readable by whoever may read the configuration.
fn write(file: &Path, path: &Path, text: &str) -> io::Result<()> {
    let folder = folder_of_endpoints(file);
    let group = fs::metadata(file)?.gid();
    match DirBuilder::new().mode(0o750).create(&folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => {
            made?;
            given(&File::open(&folder)?, group)?;
        }
    }
    // A name that is never read as a configuration.
    let draft =
        folder.join(format!(".{}.new", path.file_name().unwrap_or_default().to_string_lossy()));
    let _ = fs::remove_file(&draft);
    let written = || -> io::Result<()> {
        let mut open = File::options().write(true).create_new(true).mode(0o640).open(&draft)?;
        given(&open, group)?;
        open.set_permissions(Permissions::from_mode(0o640))?;
        open.write_all(text.as_bytes())?;
        open.sync_all()?;
        fs::rename(&draft, path)
    };
    written().inspect_err(|_| {
        let _ = fs::remove_file(&draft);
    })
}

fn given(file: &File, group: u32) -> io::Result<()> {
    if file.metadata()?.gid() == group { Ok(()) } else { fchown(file, None, Some(group)) }
}
