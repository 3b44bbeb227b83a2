//! The admin socket: where commands of this machine reach the gateway.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{
    cursor::{Either, Keys},
    units::Scalar,
    words::Off,
};

/// Where the admin socket is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AdminSocket {
    /// What systemd hands over as `admin`, or `admin.sock` in the run directory.
    #[default]
    Usual,
    /// At this path.
    At(PathBuf),
    /// There is none.
    Off,
}

/// `socket:`, a path or `none`.
#[derive(Clone, Debug)]
struct SocketPath(Option<PathBuf>);

/// Reads `admin:`.
pub(super) fn admin(k: &mut Keys<'_>) -> AdminSocket {
    let written = k
        .key(
            "admin",
            "the socket for the commands of this machine (`wsbridge sessions`, `kick`, `watch`): [below](#admin)",
        )
        .without("see below")
        .either::<Off, _>(socket);
    match written.map(|it| it.value) {
        None => AdminSocket::Usual,
        Some(Either::Word(Off)) => AdminSocket::Off,
        Some(Either::Map(socket)) => socket,
    }
}

fn socket(k: &mut Keys<'_>) -> AdminSocket {
    let socket = k
        .key(
            "socket",
            "its path, or `none`. **Whoever can open it may do everything on every endpoint**; the daemon makes it for its own \
             user and root alone",
        )
        .uci("admin_socket")
        .without(
            "what systemd hands over as FileDescriptorName `admin`, else `admin.sock` in the run directory; none where there \
             is no such directory and the gateway does not run as root",
        )
        .maybe::<SocketPath>();
    match socket.map(|it| it.value.0) {
        None => AdminSocket::Usual,
        Some(None) => AdminSocket::Off,
        Some(Some(path)) => AdminSocket::At(path),
    }
}

impl Scalar for SocketPath {
    fn read(text: &str) -> Result<Self, String> {
        if text == "none" { Ok(Self(None)) } else { PathBuf::read(text).map(|it| Self(Some(it))) }
    }

    fn kind() -> String {
        "path, or `none`".into()
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^(/|none$)" })
    }

    fn text(&self) -> String {
        self.0.as_ref().map_or_else(|| "none".to_owned(), Scalar::text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resolve::tests::{good, mistakes};

    #[test]
    fn the_socket_is_where_it_is_usual_elsewhere_or_nowhere() {
        let read = |text: &str| good(&format!("auth: none\n{text}")).0.admin;
        assert_eq!(read(""), AdminSocket::Usual);
        assert_eq!(read("admin: none"), AdminSocket::Off);
        assert_eq!(read("admin: { socket: none }"), AdminSocket::Off);
        assert_eq!(read("admin: { socket: /run/a.sock }"), AdminSocket::At("/run/a.sock".into()));
        let told = mistakes("auth: none\nadmin: { socket: a.sock }");
        assert!(told.contains("admin.socket: `a.sock` is not an absolute path"), "{told}");
    }
}
