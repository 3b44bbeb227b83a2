//! The admin socket that is in force: systemd's, one of ours, or none.

use std::{
    fs, io,
    os::{fd::OwnedFd, unix::fs::PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio_util::sync::CancellationToken;

use crate::{
    config::{Address, AdminSocket, Config},
    http::Bridge,
    listen::{AdminListener, ListenError},
    systemd::{self, PACKAGED_ADMIN_SOCKET, Sockets},
};

/// Where it is without systemd.
const RUN_FOLDER: &str = "/run/wsbridge";
/// Its name there.
const FILE: &str = "admin.sock";

/// The running admin socket.
#[derive(Debug, Default)]
pub(super) struct Admin {
    /// What systemd handed over.
    handed: Vec<OwnedFd>,
    running: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    place: Place,
    /// Ends it alone.
    stop: CancellationToken,
}

/// Where an admin socket is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// In systemd's hands; which one of those.
    Handed(usize),
    Path(PathBuf),
}

/// The admin sockets that a configuration wants: those that have been bound for it, and those that
/// go on.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    bound: Vec<(Place, AdminListener)>,
    kept: Vec<Place>,
}

impl Admin {
    /// Systemd's socket of that name is this one, unless a listener of the configuration has it.
    pub(super) fn new(inherited: &Sockets, config: &Config) -> io::Result<Self> {
        let name = AdminListener::SYSTEMD_NAME;
        let taken = |address: &Address| matches!(address, Address::Systemd(it) if it == name);
        let handed = if config.listen.iter().any(|it| taken(&it.address)) {
            Vec::new()
        } else {
            inherited.named(name)?
        };
        Ok(Self { handed, running: Vec::new() })
    }

    /// Binds what a configuration wants and does not run: systemd's socket in any case, which
    /// listens whatever we want. Nothing that runs is touched.
    pub(super) fn bind(&self, config: &Config) -> Result<Wanted, ListenError> {
        let mut places: Vec<_> = (0..self.handed.len()).map(Place::Handed).collect();
        match &config.admin {
            AdminSocket::At(path) => places.push(Place::Path(path.clone())),
            AdminSocket::Usual if places.is_empty() => places.extend(usual().map(Place::Path)),
            AdminSocket::Usual | AdminSocket::Off => {}
        }
        let mut wanted = Wanted::default();
        for place in places {
            if self.running.iter().any(|running| running.place == place) {
                wanted.kept.push(place);
                continue;
            }
            let bound = match &place {
                Place::Handed(index) => self.handed(*index),
                Place::Path(path) => AdminListener::bind(path).map(Some),
            };
            match bound {
                Ok(listener) => wanted.bound.extend(listener.map(|it| (place, it))),
                // A second gateway of this machine goes without.
                Err(error) if config.admin == AdminSocket::Usual => {
                    tracing::info!("no admin socket: {error}");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(wanted)
    }

    fn handed(&self, index: usize) -> Result<Option<AdminListener>, ListenError> {
        // Where there is no descriptor left for a copy, there is none for a client either.
        let copy = self.handed.get(index).and_then(|socket| socket.try_clone().ok());
        copy.map(AdminListener::handed).transpose()
    }

    /// Lets bound sockets accept, and ends those that are not wanted any more; connections they
    /// accepted go on. Each is a task on the bridge's tracker; it ends with the bridge's stop token,
    /// or here.
    pub(super) fn run(&mut self, wanted: Wanted, bridge: &Arc<Bridge>) {
        self.running.retain(|running| {
            let kept = wanted.kept.contains(&running.place);
            if !kept {
                running.stop.cancel();
            }
            kept
        });
        for (place, listener) in wanted.bound {
            tracing::debug!("admin socket {}", listener.name());
            let stop = CancellationToken::new();
            let (retired, accepting) = (stop.clone(), listener.run(Arc::clone(bridge)));
            bridge.tasks.spawn(async move { retired.run_until_cancelled(accepting).await });
            self.running.push(Running { place, stop });
        }
    }
}

/// The socket's path in the run directory, if there is one that is ours to use.
fn usual() -> Option<PathBuf> {
    let by_hand = || run_folder(Path::new(RUN_FOLDER), Path::new(PACKAGED_ADMIN_SOCKET));
    systemd::runtime_directory().or_else(by_hand).map(|folder| folder.join(FILE))
}

/// The run directory without a service manager that makes one: root has it, but not beside the
/// package's gateway, which commands are meant for.
fn run_folder(folder: &Path, packaged: &Path) -> Option<PathBuf> {
    if fs::symlink_metadata(packaged).is_ok() {
        let there = packaged.display();
        tracing::info!(
            "no admin socket: {there} is another gateway's; `admin: {{ socket: PATH }}` makes one for this"
        );
        return None;
    }
    if rustix::process::geteuid().is_root() && fs::create_dir(folder).is_ok() {
        // Whatever our umask is: others may have sockets in it, and each has a mode of its own.
        let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o755));
    }
    let writable = rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok();
    writable.then(|| folder.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_run_by_hand_has_no_admin_socket_beside_the_packages() {
        let folder = tempfile::tempdir().unwrap();
        let packaged = folder.path().join(FILE);
        let usual = || run_folder(folder.path(), &packaged);
        assert_eq!(usual(), Some(folder.path().to_owned()));
        fs::write(&packaged, "").unwrap();
        assert_eq!(usual(), None);
    }
}
