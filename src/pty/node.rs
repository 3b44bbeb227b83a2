//! A device node that tools open: one pty after another behind a link that stays.

use std::{
    fs::{self, Permissions},
    io::{self, ErrorKind},
    os::{
        fd::OwnedFd,
        unix::fs::{PermissionsExt as _, chown},
    },
    path::Path,
    sync::Arc,
    time::Duration,
};

use rustix::{
    event::PollFlags,
    fs::inotify::{CreateFlags, WatchFlags, add_watch, init},
    process::{getegid, geteuid},
};
use tokio::{io::unix::AsyncFd, time::sleep};

use super::{Master, VisitStream, link::NodeLink};

/// How often it is looked whether a tool has come, where the kernel has no more watchers for us.
const LOOK: Duration = Duration::from_millis(100);

/// Longer than any event of one file.
const EVENTS: usize = 4096;

/// A node. Its link is there from the beginning until it is dropped.
#[derive(Debug)]
pub(crate) struct Node {
    master: Arc<Master>,
    watch: Option<AsyncFd<OwnedFd>>,
    link: NodeLink,
    mode: u32,
    speed: Option<u32>,
}

impl Node {
    /// Makes one, for those whom `mode` lets open it.
    pub(crate) fn new(path: &Path, mode: u32) -> io::Result<Self> {
        let master = fresh(mode)?;
        let link = NodeLink::new(path, master.slave_path())?;
        let watch = watcher(master.slave_path());
        Ok(Self { master: Arc::new(master), watch, link, mode, speed: None })
    }

    /// Hangs up on whoever has it open: those find the end, and who comes next another pty.
    pub(crate) fn hang_up(&mut self) -> io::Result<()> {
        let master = fresh(self.mode)?;
        if let Some(speed) = self.speed {
            master.set_speed(speed)?;
        }
        self.link.turn(master.slave_path())?;
        self.watch = watcher(master.slave_path());
        self.master = Arc::new(master);
        Ok(())
    }

    /// The speed that tools find. One that has just come has found another, and may have set its
    /// own.
    pub(crate) fn set_speed(&mut self, speed: u32) -> io::Result<()> {
        if self.speed == Some(speed) || self.master.is_open() {
            return Ok(());
        }
        self.speed = Some(speed);
        self.master.set_speed(speed)
    }

    /// Ready when a tool is there, or has been and left what it wrote.
    pub(crate) async fn visited(&self) {
        while !self.is_visited() {
            self.moved().await;
        }
    }

    /// The visit of the tool that is there.
    pub(crate) fn visit(&self) -> io::Result<VisitStream> {
        VisitStream::new(Arc::clone(&self.master), self.speed)
    }

    fn is_visited(&self) -> bool {
        // What we did ourselves, or a tool that is there anyway.
        self.master.take_report();
        let seen = self.master.look();
        seen.contains(PollFlags::IN) || !seen.contains(PollFlags::HUP)
    }

    /// Ready when somebody has opened or closed it: a poll on the master does not tell that.
    async fn moved(&self) {
        let Some(watch) = &self.watch else { return sleep(LOOK).await };
        let Ok(mut ready) = watch.readable().await else { return sleep(LOOK).await };
        loop {
            let read =
                ready.try_io(|watch| Ok(rustix::io::read(watch.get_ref(), &mut [0; EVENTS][..])?));
            match read {
                Ok(Ok(_)) => {}
                Ok(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Ok(Err(_)) => return sleep(LOOK).await,
                Err(_) => return,
            }
        }
    }
}

/// A pty that is raw, empty, and open to whom it should be before anybody can find it.
fn fresh(mode: u32) -> io::Result<Master> {
    let master = Master::open()?;
    let slave = master.slave_path();
    // Another group cannot be had in a user namespace (`PrivateUsers=yes`), nor is it needed.
    let group = if geteuid().is_root() { own_group() } else { None };
    let group = group.unwrap_or_else(|| getegid().as_raw());
    chown(slave, None, Some(group)).map_err(|error| {
        io::Error::new(error.kind(), format!("it cannot be given to the group {group}: {error}"))
    })?;
    fs::set_permissions(slave, Permissions::from_mode(mode))?;
    master.report()?;
    // Until it was closed once, it counts as open.
    drop(master.slave()?);
    master.clear(None)?;
    Ok(master)
}

/// The group of that name: root's own is nobody else's.
fn own_group() -> Option<u32> {
    let groups = fs::read_to_string("/etc/group").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("wsbridge:"))?;
    own.split(':').nth(1)?.parse().ok()
}

/// Tells when somebody opens or closes a slave.
fn watcher(slave: &Path) -> Option<AsyncFd<OwnedFd>> {
    let made = || {
        let watch = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        add_watch(
            &watch,
            slave,
            WatchFlags::OPEN | WatchFlags::CLOSE_WRITE | WatchFlags::CLOSE_NOWRITE,
        )?;
        #[expect(deprecated, reason = "it owns its descriptor for as long as it lives")]
        AsyncFd::new(watch)
    };
    made().inspect_err(|error: &io::Error| tracing::debug!(%error, "no watcher of a node")).ok()
}
