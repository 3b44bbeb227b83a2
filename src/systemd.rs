//! What we tell systemd and what it hands over: readiness, reload, watchdog, sockets. Without
//! systemd all of it does nothing.
//!
//! Sources: `sd_notify(3)`, `sd_watchdog_enabled(3)`, `sd_listen_fds(3)`.

use std::{
    collections::BTreeMap,
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use systemd::daemon::{NotifyState, notify, watchdog_enabled};

/// The daemon is up, or up again after a reload; `status` is what `systemctl status` shows.
pub(crate) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status.to_owned())]);
}

/// A reload begins; [`ready`] ends it. `Type=notify-reload` wants the monotonic clock in the same
/// message.
pub(crate) fn reloading() {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let usec = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
    tell(&[NotifyState::Reloading, NotifyState::Other(format!("MONOTONIC_USEC={usec}"))]);
}

/// The daemon is stopping.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping".to_owned())]);
}

/// The daemon is alive.
pub(crate) fn watchdog() {
    tell(&[NotifyState::Watchdog]);
}

/// How often to call [`watchdog`]: half the time systemd waits; `None` without a watchdog.
pub(crate) fn watchdog_interval() -> Option<Duration> {
    watchdog_enabled(false).map(|limit| limit / 2)
}

fn tell(state: &[NotifyState]) {
    if let Err(error) = notify(false, state) {
        tracing::debug!(%error, "systemd was not told {state:?}");
    }
}

/// Listening sockets handed over by systemd, by FileDescriptorName. They stay open for the daemon's
/// life, so that a listener may go with one reload and come back with the next.
#[derive(Debug, Default)]
pub(crate) struct Sockets(BTreeMap<String, Vec<OwnedFd>>);

impl Sockets {
    /// Takes over what systemd handed us. Call it once, at the start.
    pub(crate) fn inherited() -> io::Result<Self> {
        let mut sockets: BTreeMap<String, Vec<OwnedFd>> = BTreeMap::new();
        for (name, socket) in sd_listen_fds::get().map_err(io::Error::other)? {
            let socket = socket.into_std();
            rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
            sockets.entry(name.unwrap_or_else(|| "unknown".to_owned())).or_default().push(socket);
        }
        Ok(Self(sockets))
    }

    /// Every socket of that name, duplicated; empty if systemd gave none.
    pub(crate) fn named(&self, name: &str) -> io::Result<Vec<OwnedFd>> {
        self.0.get(name).into_iter().flatten().map(OwnedFd::try_clone).collect()
    }
}

/// Where the package's socket unit has its admin socket.
pub(crate) const PACKAGED_ADMIN_SOCKET: &str = "/run/wsbridge-admin/admin.sock";

/// The folder that lasts while the machine is up (`RuntimeDirectory=`); the first, if there are
/// several.
pub(crate) fn runtime_directory() -> Option<PathBuf> {
    let all = std::env::var_os("RUNTIME_DIRECTORY")?;
    let first = all.to_str()?.split(':').next()?;
    Path::new(first).is_absolute().then(|| PathBuf::from(first))
}
