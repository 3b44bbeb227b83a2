//! What is the user's alone: by owner and mode.

use std::{
    env,
    fs::{DirBuilder, File, symlink_metadata},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// Why there is no folder.
pub(super) const SAYS_NOT: &str = "neither XDG_CONFIG_HOME nor HOME says";

/// The user's folder of configurations.
pub(super) fn folder() -> Option<PathBuf> {
    let folder = |name: &str| env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    folder("XDG_CONFIG_HOME").or_else(|| folder("HOME").map(|it| it.join(".config")))
}

/// Makes a folder, and those above it, if it is not there.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Makes a file that is not there yet.
pub(super) fn create(file: &Path) -> io::Result<File> {
    File::options().write(true).create_new(true).mode(0o600).open(file)
}

/// Whether nobody else can have read or written it.
pub(super) fn ours_alone(file: &Path) -> io::Result<()> {
    let about = symlink_metadata(file)?;
    let ours = about.uid() == rustix::process::geteuid().as_raw();
    if !ours || about.mode() & 0o077 != 0 {
        let what = "other users may read or write it; sign in again, it is made anew";
        return Err(io::Error::other(what));
    }
    Ok(())
}
