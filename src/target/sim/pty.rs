//! A device behind a pty; a serial target opens the slave.

use std::{
    ffi::OsString,
    io::{self, ErrorKind},
    os::{fd::OwnedFd, unix::ffi::OsStringExt},
    path::PathBuf,
    pin::Pin,
    task::{Context, Poll, ready},
};

use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{OptionalActions, tcgetattr, tcsetattr},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::unix::pipe,
    task::JoinSet,
    time::Instant,
};

use super::drive::{SimulatedDevice, drive};
use crate::{
    config::{CarrierRules, PortIdentity, SerialTarget, Target},
    settings::{Levels, Settings},
};

/// Starts `device` behind a new pty; its task is in `tasks` and ends with it.
pub(super) fn start(tasks: &mut JoinSet<()>, device: impl SimulatedDevice) -> io::Result<Target> {
    let (reader, writer, path) = open()?;
    tasks.spawn(async move {
        if let Err(error) = drive(device, Instant::now(), reader, writer).await {
            tracing::warn!(%error, "a simulated device ended");
        }
    });
    Ok(Target::Serial(SerialTarget {
        port: PortIdentity::Path(path),
        settings: Settings::default(),
        rs485: None,
        on_open: Levels::default(),
        on_release: Levels::default(),
        carrier: CarrierRules::default(),
        removes_echo: false,
        low_latency: false,
        allow_console: false,
    }))
}

/// The device's end of a pty, for reading. Tokio's pipe ends are its only safe wrappers for an
/// arbitrary descriptor; reads and writes use only `try_io`, since a short read from a tty does not
/// mean that it is empty.
struct PtyReader {
    master: pipe::Receiver,
    /// While a slave is open, closing another does not end our reads with EIO (`pty(7)`).
    _slave: OwnedFd,
}

/// The device's end of a pty, for writing.
struct PtyWriter(pipe::Sender);

/// A new pty in raw mode, and the path of its slave.
fn open() -> io::Result<(PtyReader, PtyWriter, PathBuf)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let path = PathBuf::from(OsString::from_vec(ptsname(&master, Vec::new())?.into_bytes()));
    let slave =
        rustix::fs::open(&path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    let mut raw = tcgetattr(&slave)?;
    raw.make_raw();
    tcsetattr(&slave, OptionalActions::Now, &raw)?;
    rustix::fs::fcntl_setfl(&master, OFlags::RDWR | OFlags::NONBLOCK)?;
    let writer = PtyWriter(pipe::Sender::from_owned_fd_unchecked(master.try_clone()?)?);
    let reader =
        PtyReader { master: pipe::Receiver::from_owned_fd_unchecked(master)?, _slave: slave };
    Ok((reader, writer, path))
}

impl AsyncRead for PtyReader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.master.poll_read_ready(cx))?;
            match self.master.try_read(buf.initialize_unfilled()) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(|read| buf.advance(read))),
            }
        }
    }
}

impl AsyncWrite for PtyWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match self.0.try_write(buf) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
