//! Pseudo terminals of ours: those of simulated devices, and the nodes that tools of this machine
//! open as if they were serial ports.

mod link;
mod node;
mod visit;

use std::{
    ffi::OsString,
    fs::File,
    io::{self, ErrorKind, Read as _, Write as _},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
        unix::ffi::OsStringExt as _,
    },
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::ioctl_fionread,
    pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, ptsname, unlockpt},
    termios::{LocalModes, OptionalActions, QueueSelector, tcflush, tcgetattr, tcsetattr},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, unix::AsyncFd};

use crate::sys::ioctl::set_packet_mode;

pub(crate) use self::{
    node::Node,
    visit::{Visit, VisitEnd, VisitStream},
};

/// What the line discipline of a slave holds for its reader; more waits in front of it, where
/// nobody can count it.
const COUNTED_MAX: u64 = 4095;

/// What a slave holds altogether: 13,824 bytes were measured, 18 KB in an older kernel.
const HELD_MAX: u64 = 20 * 1024;

/// Our end of a pty. The other one is the slave, which programs open by its path.
#[derive(Debug)]
pub(crate) struct Master {
    file: File,
    slave: PathBuf,
}

impl Master {
    /// A new pty; its slave is as the kernel makes it.
    pub(crate) fn open() -> io::Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        fcntl_setfl(&master, fcntl_getfl(&master)? | OFlags::NONBLOCK)?;
        let slave = OsString::from_vec(ptsname(&master, Vec::new())?.into_bytes());
        Ok(Self { file: master.into(), slave: slave.into() })
    }

    /// Where programs find its slave.
    pub(crate) fn slave_path(&self) -> &Path {
        &self.slave
    }

    /// Opens the slave, whatever its mode and wherever its path leads by now.
    pub(crate) fn slave(&self) -> io::Result<File> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let slave = ioctl_tiocgptpeer(&self.file, flags)?;
        fcntl_setfl(&slave, fcntl_getfl(&slave)? | OFlags::NONBLOCK)?;
        Ok(slave.into())
    }

    /// Whether some program has the slave open. A new one counts as open until it was closed once.
    fn is_open(&self) -> bool {
        !self.look().contains(PollFlags::HUP)
    }

    fn look(&self) -> PollFlags {
        let mut one = [PollFd::new(&self.file, PollFlags::IN | PollFlags::PRI)];
        // It fails for want of memory alone: then nothing is known to have ended.
        let asked = poll(&mut one, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        let [one] = one;
        if asked.is_ok() { one.revents() } else { PollFlags::empty() }
    }

    /// The speed that the slave has been set to, or was left at: of a slave's settings its driver
    /// keeps no other.
    pub(crate) fn speed(&self) -> io::Result<u32> {
        Ok(tcgetattr(&self.file)?.output_speed())
    }

    /// Sets it; nobody needs to have the slave open.
    pub(crate) fn set_speed(&self, speed: u32) -> io::Result<()> {
        let mut modes = tcgetattr(&self.file)?;
        if modes.output_speed() != speed {
            modes.set_speed(speed)?;
            tcsetattr(&self.file, OptionalActions::Now, &modes)?;
        }
        Ok(())
    }

    /// Tells us with what is read whatever programs do to the slave (`TIOCPKT`): see [`Visit`].
    fn report(&self) -> io::Result<()> {
        set_packet_mode(&self.file, true)
    }

    /// How much of what was written programs have not read, at most.
    fn unread(&self, written: u64) -> u64 {
        // One that was opened exclusively (`TIOCEXCL`) tells us no more than others.
        let counted = self.slave().and_then(|slave| Ok(ioctl_fionread(slave)?));
        match counted {
            Ok(counted) if counted < COUNTED_MAX => counted.min(written),
            Ok(_) | Err(_) => written.min(HELD_MAX),
        }
    }

    /// Makes the slave as a new one, raw, empty, at a speed; says how many bytes were in it. If a program
    /// has come already it keeps the modes that it has set.
    fn clear(&self, speed: Option<u32>) -> io::Result<u64> {
        let taken = self.is_open();
        let mut slave = self.slave()?;
        let mut modes = tcgetattr(&slave)?;
        if !taken {
            modes.make_raw();
            if let Some(speed) = speed {
                modes.set_speed(speed)?;
            }
        }
        // Without it the kernel does not tell that modes are changed; nor does it then touch what
        // is typed, in whatever modes.
        modes.local_modes |= LocalModes::EXTPROC;
        tcsetattr(&slave, OptionalActions::Now, &modes)?;
        let (mut left, mut buf) = (0, [0; 4096]);
        while let Ok(read @ 1..) = slave.read(&mut buf) {
            left += read as u64;
        }
        tcflush(&slave, QueueSelector::IFlush)?;
        Ok(left)
    }

    /// Discards what no program has read of the slave; gives back what was to be reported of it
    /// until then.
    fn discard(&self) -> io::Result<u8> {
        tcflush(&self.slave()?, QueueSelector::IFlush)?;
        Ok(self.take_report())
    }

    /// What is to be reported of the slave, apart from its data, as bits of the kernel's.
    fn take_report(&self) -> u8 {
        let mut report = [0];
        // One comes alone and ahead of data, so that none of those are read.
        if self.look().contains(PollFlags::PRI) {
            let _ = (&self.file).read(&mut report);
        }
        let [report] = report;
        report
    }
}

impl AsRawFd for Master {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

impl AsFd for Master {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// A master that a task reads and writes.
///
/// The kernel tells that the last program has closed the slave, and never that one has opened it
/// again; what tokio then takes for the end stays one. So this is good until that end, and is made
/// anew for the next program.
#[derive(Debug)]
pub(crate) struct Registered(AsyncFd<Arc<Master>>);

impl Registered {
    /// Registers it with the runtime.
    pub(crate) fn new(master: Arc<Master>) -> io::Result<Self> {
        #[expect(deprecated, reason = "a master owns its descriptor for as long as it lives")]
        AsyncFd::new(master).map(Self)
    }

    fn master(&self) -> &Arc<Master> {
        self.0.get_ref()
    }

    /// Reads; the end is when the last program has closed the slave, or had.
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(cx))?;
            let closed = ready.ready().is_read_closed();
            match ready.try_io(|master| (&master.get_ref().file).read(buf)) {
                // What it says when nobody has the slave open, and all was read.
                Ok(Err(error))
                    if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) =>
                {
                    return Poll::Ready(Ok(0));
                }
                Ok(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Ok(read) => return Poll::Ready(read),
                Err(_) if closed => return Poll::Ready(Ok(0)),
                Err(_) => {}
            }
        }
    }

    /// Writes; never to a slave that the last program has closed: the next one would read it.
    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.poll_write_ready(cx))?;
            if ready.ready().is_write_closed() || !self.master().is_open() {
                // The end is read.
                return Poll::Pending;
            }
            match ready.try_io(|master| (&master.get_ref().file).write(bytes)) {
                Ok(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Ok(written) => return Poll::Ready(written),
                Err(_) => {}
            }
        }
    }
}

impl AsyncRead for Registered {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(Self::poll_read(&self, cx, buf.initialize_unfilled()))?;
        buf.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Registered {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Self::poll_write(&self, cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
