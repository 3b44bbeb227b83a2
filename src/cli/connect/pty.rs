//! A device node of this computer for tools that know nothing else: a session for as long as a
//! tool has it open.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{OptionalActions, QueueSelector, tcflush, tcgetattr, tcsetattr},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, unix::AsyncFd},
    time::sleep,
};

use super::{
    super::{CommandError, Outcome, SysExit},
    carry::carry,
    guard::Opening,
    line::{Line, Parted},
    stop::stopped,
};

/// How often it is looked whether a tool has come or left: nothing tells that of a pty.
const LOOK: Duration = Duration::from_millis(100);

/// Serves tools at a path until somebody wants the end, or the session is gone.
pub(super) async fn serve(line: &Line, path: &Path, keep: bool) -> Outcome {
    let failed = |error: io::Error| {
        CommandError::new(SysExit::Unavailable, format!("{}: {error}", path.display()))
    };
    let mut node = Node::new(path).map_err(failed)?;
    line.told.announce(&format!("{} of {} is at {}", line.name(), line.gateway(), path.display()));
    loop {
        let parted = tokio::select! {
            parted = served(line, &node) => parted,
            () = stopped() => return Ok(()),
        };
        match parted {
            // It has left, and the next finds nothing of what it did not read.
            Parted::Tool(_) => node.clear().map_err(failed)?,
            Parted::Refused(_) => return parted.outcome(),
            Parted::Gone(_) | Parted::Unreachable(_) if !keep => return parted.outcome(),
            Parted::Ended
            | Parted::Page(_)
            | Parted::Busy(_)
            | Parted::Incomplete(_)
            | Parted::Gone(_)
            | Parted::Unreachable(_) => {
                if let Err(error) = parted.outcome() {
                    let name = line.name();
                    line.told.fault(&format!("{name}: the tool was hung up on: {}", error.message));
                }
                // The old one's end is the hang-up.
                drop(node);
                node = Node::new(path).map_err(failed)?;
            }
        }
    }
}

/// One tool, from its coming to its leaving.
async fn served(line: &Line, node: &Node) -> Parted {
    while node.is_left() {
        sleep(LOOK).await;
    }
    let mut session = match line.open().await {
        Ok(session) => session,
        Err(parted) => return parted,
    };
    let (mut from, mut to) = (Half(node), Half(node));
    let parted = tokio::select! {
        parted = carry(line, &mut session, (&mut from, &mut to), Opening::Any) => parted,
        () = async {
            while !node.is_left() {
                sleep(LOOK).await;
            }
        } => Parted::Tool("it was closed".into()),
    };
    session.writer.client.end().await;
    parted
}

/// A pty, and the link that tools open.
#[derive(Debug)]
struct Node {
    master: AsyncFd<File>,
    slave: PathBuf,
    link: PathBuf,
}

impl Node {
    fn new(link: &Path) -> io::Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        fcntl_setfl(&master, fcntl_getfl(&master)? | OFlags::NONBLOCK)?;
        let slave = ptsname(&master, Vec::new())?.into_string().map_err(io::Error::other)?;
        #[expect(deprecated, reason = "a file owns its descriptor for as long as it lives")]
        let master = AsyncFd::new(File::from(master))?;
        match fs::read_link(link) {
            // What an earlier one left.
            Ok(old) if old.starts_with("/dev/pts") => fs::remove_file(link)?,
            _ => {}
        }
        symlink(&slave, link)?;
        let node = Self { master, slave: slave.into(), link: link.to_owned() };
        node.clear()?;
        Ok(node)
    }

    /// Raw, and empty.
    fn clear(&self) -> io::Result<()> {
        let flags = i32::try_from(OFlags::NOCTTY.bits()).unwrap_or_default();
        let slave = std::os::unix::fs::OpenOptionsExt::custom_flags(
            File::options().read(true).write(true),
            flags,
        )
        .open(&self.slave)?;
        let mut raw = tcgetattr(&slave)?;
        raw.make_raw();
        tcsetattr(&slave, OptionalActions::Now, &raw)?;
        tcflush(&slave, QueueSelector::IFlush)?;
        Ok(())
    }

    /// Whether no tool has it open, and what the last one wrote was read.
    fn is_left(&self) -> bool {
        let mut one = [PollFd::new(self.master.get_ref(), PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        if poll(&mut one, Some(&now)).is_err() {
            return false;
        }
        let [one] = one;
        let seen = one.revents();
        seen.contains(PollFlags::HUP) && !seen.contains(PollFlags::IN)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if fs::read_link(&self.link).is_ok_and(|slave| slave == self.slave) {
            // One that stays leads nowhere.
            let _ = fs::remove_file(&self.link);
        }
    }
}

/// Our end of it, one way.
struct Half<'a>(&'a Node);

impl AsyncRead for Half<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.0.master.poll_read_ready(cx))?;
            match ready.try_io(|master| master.get_ref().read(buf.initialize_unfilled())) {
                Ok(Ok(read)) => {
                    buf.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_) => {}
            }
        }
    }
}

impl AsyncWrite for Half<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.master.poll_write_ready(cx))?;
            if let Ok(written) = ready.try_io(|master| master.get_ref().write(bytes)) {
                return Poll::Ready(written);
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
