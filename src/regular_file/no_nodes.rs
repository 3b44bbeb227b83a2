//! Files where only they, folders and links have names among them.

use std::{
    fs::{File, FileType},
    io,
    path::Path,
};

pub(super) fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// What one is that is neither file nor folder.
pub(super) fn name(_: FileType) -> &'static str {
    "a device"
}
