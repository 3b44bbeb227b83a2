//! A serial line without hardware: the test holds the device's end of a pty, the daemon opens the
//! other end.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{OptionalActions, tcgetattr, tcsetattr},
};

use super::PATIENCE;

/// A pty pair.
#[derive(Debug)]
pub(crate) struct Pty {
    device: File,
    path: PathBuf,
    /// Keeps the line up while the daemon has it closed: without it, reading the device's end fails
    /// with EIO.
    _held: File,
}

impl Pty {
    /// A new pair, raw from the start.
    pub(crate) fn new() -> Self {
        // A daemon that inherited the device's end would keep it from being unplugged.
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = PathBuf::from(ptsname(&master, Vec::new()).unwrap().into_string().unwrap());
        let nonblocking = i32::try_from(rustix::fs::OFlags::NOCTTY.bits()).unwrap();
        let held = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(nonblocking)
            .open(&path)
            .unwrap();
        let mut raw = tcgetattr(&held).unwrap();
        raw.make_raw();
        tcsetattr(&held, OptionalActions::Now, &raw).unwrap();
        Self { device: File::from(master), path, _held: held }
    }

    /// What goes after `path:` in a configuration.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The device sends.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.device.write_all(bytes).unwrap();
    }

    /// The device receives this many bytes.
    pub(crate) fn receive(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            let patience = Timespec { tv_sec: PATIENCE.as_secs().try_into().unwrap(), tv_nsec: 0 };
            let ready =
                poll(&mut [PollFd::new(&self.device, PollFlags::IN)], Some(&patience)).unwrap();
            assert!(ready > 0, "{filled} of {length} bytes came: {:?}", &bytes[..filled.min(200)]);
            filled += self.device.read(&mut bytes[filled..]).unwrap();
        }
        bytes
    }

    /// Whether something has arrived that was not received.
    pub(crate) fn has_input(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&self.device, PollFlags::IN)], Some(&now)).unwrap() > 0
    }

    /// The device's end, for a thread of its own.
    pub(crate) fn device(&self) -> File {
        self.device.try_clone().unwrap()
    }
}
