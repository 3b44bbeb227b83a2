//! How a command asks the gateway of this machine: one request by its admin socket.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use tokio::{net::UnixStream, runtime::Builder, time::timeout};

use super::{CommandError, SysExit};
use crate::{
    dial::{Fetched, Request, converse},
    systemd::PACKAGED_ADMIN_SOCKET,
};

/// Folders in which a gateway may have its run directory; on OpenWrt there is only the second.
const RUN_FOLDERS: [&str; 2] = ["/run", "/var/run"];
/// The names of run directories begin with this.
const USUAL: &str = "wsbridge";
/// The socket in it.
const FILE: &str = "admin.sock";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which gateway of this machine is asked.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct AdminPlace {
    /// The gateway's admin socket [default: the one there is under /run, of the package or of a gateway run by hand]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl AdminPlace {
    /// The socket that was named, if one was.
    pub(super) fn at(socket: Option<PathBuf>) -> Self {
        Self { socket }
    }

    /// The socket's path: as given, that of the package's gateway, or the only one there is.
    pub(super) fn path(&self) -> Result<PathBuf, CommandError> {
        if let Some(path) = &self.socket {
            return Ok(path.clone());
        }
        let mut found = found(Path::new(PACKAGED_ADMIN_SOCKET), &RUN_FOLDERS.map(Path::new));
        match found.len() {
            0 => Ok(Path::new(RUN_FOLDERS[0]).join(USUAL).join(FILE)),
            1 => Ok(found.remove(0)),
            _ => {
                let all: Vec<_> = found.iter().map(|path| path.display().to_string()).collect();
                let what = format!(
                    "there are several gateways; name one: --socket {}",
                    all.join(", or --socket ")
                );
                Err(CommandError::new(SysExit::Usage, what))
            }
        }
    }

    /// A connection to it.
    pub(super) async fn connect(&self) -> Result<UnixStream, CommandError> {
        let path = self.path()?;
        UnixStream::connect(&path).await.map_err(|error| unreached(&path, &error))
    }
}

/// The packaged gateway's socket alone if it is there, else those of all others: which of those is
/// meant, only whoever types the command knows.
fn found(packaged: &Path, folders: &[&Path]) -> Vec<PathBuf> {
    if is_there(packaged) {
        return vec![packaged.to_owned()];
    }
    for folder in folders {
        let all = fs::read_dir(folder).into_iter().flatten().flatten();
        let ours = all.filter(|entry| entry.file_name().to_string_lossy().starts_with(USUAL));
        let mut found: Vec<_> =
            ours.map(|it| it.path().join(FILE)).filter(|it| is_there(it)).collect();
        if found.len() > 1 {
            // A gateway that was killed leaves its file.
            found.retain(|path| !is_left_over(path));
        }
        if !found.is_empty() {
            found.sort();
            return found;
        }
    }
    Vec::new()
}

/// Whether something is there, or might be where we may not look.
fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path)
        .map_or_else(|error| error.kind() == io::ErrorKind::PermissionDenied, |_| true)
}

/// Whether nobody listens there.
fn is_left_over(path: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(path)
        .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Asks the API of the gateway; a body makes it a POST. An empty answer is `Null`.
///
/// # Errors
/// With the exit code and the sentence for whoever typed the command: the gateway does not run
/// (69), it may not be asked (77), it said no (1).
pub(super) fn ask(
    place: &AdminPlace,
    path: &str,
    body: Option<&Value>,
) -> Result<Value, CommandError> {
    read(&fetch(place, path, body)?)
}

/// The same about something that may not be there; `missing` says so in the words of the command.
pub(super) fn ask_about(
    place: &AdminPlace,
    path: &str,
    body: Option<&Value>,
    missing: &str,
) -> Result<Value, CommandError> {
    let answer = fetch(place, path, body)?;
    if matches!(answer.status, 403 | 404) {
        return Err(CommandError::new(SysExit::Refused, missing));
    }
    read(&answer)
}

fn fetch(place: &AdminPlace, path: &str, body: Option<&Value>) -> Result<Fetched, CommandError> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| {
        CommandError::new(SysExit::Unavailable, format!("cannot ask anybody: {error}"))
    })?;
    runtime.block_on(async {
        let mut stream = place.connect().await?;
        let body = body.map(Value::to_string);
        let request = Request { path, fields: &[], body: body.as_deref(), media: "" };
        let answer = timeout(PATIENCE, converse(&mut stream, "localhost", &request)).await;
        answer.map_err(|_| mute())?.map_err(|_| mute())
    })
}

fn read(answer: &Fetched) -> Result<Value, CommandError> {
    let text = String::from_utf8_lossy(&answer.body);
    match answer.status {
        200..=299 if text.trim().is_empty() => Ok(Value::Null),
        200..=299 => serde_json::from_str(&text).map_err(|_| mute()),
        status => {
            let said = text.lines().next().unwrap_or_default().trim();
            let said: String = said.chars().filter(|c| !c.is_control()).take(500).collect();
            let what = if said.is_empty() { format!("refused with HTTP {status}") } else { said };
            Err(CommandError::new(SysExit::Refused, what))
        }
    }
}

/// Something is there and says nothing that a gateway says.
fn mute() -> CommandError {
    let what = "the gateway does not answer at its admin socket: it is starting, has `admin: none`, or hangs (`systemctl status wsbridge`)";
    CommandError::new(SysExit::Unavailable, what)
}

/// Why nobody was reached, and what to do.
fn unreached(path: &Path, error: &io::Error) -> CommandError {
    let shown = path.display();
    let (code, what) = if error.kind() == io::ErrorKind::NotFound {
        let what = format!(
            "the gateway is not running (no {shown}); another one's is named with --socket"
        );
        (SysExit::Unavailable, what)
    } else if error.kind() == io::ErrorKind::ConnectionRefused {
        let what = format!("the gateway is not running (nobody listens at {shown})");
        (SysExit::Unavailable, what)
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        (SysExit::NoPermission, denied(path))
    } else {
        (SysExit::Unavailable, format!("{shown}: {error}"))
    };
    CommandError::new(code, what)
}

/// Who may open the socket instead.
fn denied(path: &Path) -> String {
    let shown = path.display();
    let group = fs::metadata(path).ok().filter(|it| it.mode() & 0o020 != 0).map(|it| it.gid());
    match group.and_then(|gid| group_name(&fs::read_to_string("/etc/group").ok()?, gid)) {
        Some(group) => format!(
            "you are not in group {group}, who may open {shown}: sudo usermod -aG {group} \"$USER\", then sign in again; \
             or put sudo before the command"
        ),
        None => format!("only its owner and root may open {shown}: put sudo before the command"),
    }
}

/// A group's name in `/etc/group`.
fn group_name(file: &str, gid: u32) -> Option<String> {
    let gid = gid.to_string();
    file.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == gid).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_by_its_number() {
        let file = "root:x:0:\nwsbridge-admin:x:998:anna\nother:x:99:\n";
        assert_eq!(group_name(file, 998).as_deref(), Some("wsbridge-admin"));
        assert_eq!(group_name(file, 9), None);
    }

    #[test]
    fn the_packaged_gateway_comes_first_and_of_others_all_that_run_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).join(FILE);
        let make = |name: &str| {
            fs::create_dir(folder.path().join(name)).unwrap();
            std::os::unix::net::UnixListener::bind(at(name)).unwrap()
        };
        let all = || found(&at("wsbridge-admin"), &[Path::new("/nowhere"), folder.path()]);
        assert_eq!(all(), Vec::<PathBuf>::new());
        let _main = make("wsbridge-main");
        assert_eq!(all(), [at("wsbridge-main")]);
        let lab = make("wsbridge-lab");
        assert_eq!(all(), [at("wsbridge-lab"), at("wsbridge-main")]);
        drop(lab);
        assert_eq!(all(), [at("wsbridge-main")]);
        // One run by hand is not preferred to the service's.
        let _by_hand = make("wsbridge");
        assert_eq!(all(), [at("wsbridge"), at("wsbridge-main")]);
        let _packaged = make("wsbridge-admin");
        assert_eq!(all(), [at("wsbridge-admin")]);
    }

    #[test]
    fn a_refusal_is_told_in_the_gateways_own_words() {
        let no = |status, body: &str| {
            let error = read(&Fetched { status, body: body.into() }).unwrap_err();
            (error.code, error.message)
        };
        assert_eq!(no(404, "no such session\n"), (1, "no such session".to_owned()));
        assert_eq!(no(500, ""), (1, "refused with HTTP 500".to_owned()));
        assert_eq!(no(200, "<html>").0, 69);
    }
}
