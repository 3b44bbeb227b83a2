//! What is the user's alone: what is below the profile, whose permissions new files inherit (the
//! user, the system and administrators).

use std::{
    env,
    fs::{DirBuilder, File},
    io,
    path::{Path, PathBuf},
};

/// Why there is no folder.
pub(super) const SAYS_NOT: &str = "APPDATA does not say";

/// The user's folder of configurations.
pub(super) fn folder() -> Option<PathBuf> {
    env::var_os("APPDATA").map(PathBuf::from).filter(|it| it.is_absolute())
}

/// Makes a folder, and those above it, if it is not there.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).create(folder)
}

/// Makes a file that is not there yet.
pub(super) fn create(file: &Path) -> io::Result<File> {
    File::options().write(true).create_new(true).open(file)
}

/// Whether it is there; the profile's permissions do the rest.
pub(super) fn ours_alone(file: &Path) -> io::Result<()> {
    file.metadata().map(drop)
}
