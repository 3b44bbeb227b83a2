//! The other programs that take part, if they are installed.

use std::path::{Path, PathBuf};

use crate::{
    Outcome,
    machine::version,
    relay::{self, Relay, Started, find},
};

/// Programs that are installed, and what is said of all.
#[derive(Debug)]
pub(crate) struct Peers {
    pub(crate) socat: Option<PathBuf>,
    pub(crate) websockify: Option<PathBuf>,
    pub(crate) websocat: Option<PathBuf>,
    pub(crate) ser2net: Option<PathBuf>,
    /// Versions, and what is missing.
    pub(crate) said: Vec<String>,
}

impl Peers {
    /// Looks for all of them.
    pub(crate) fn find(bridge: &Path) -> Self {
        let mut said = vec![version(bridge, &["--version"])];
        let mut missing = Vec::new();
        let mut look = |name: &'static str, asked: &str| {
            let found = find(name);
            match &found {
                Some(program) => said.push(version(program, &[asked])),
                None => missing.push(name),
            }
            found
        };
        let (socat, websocat) = (look("socat", "-V"), look("websocat", "--version"));
        let ser2net = look("ser2net", "-v");
        let websockify = find("websockify");
        match websockify {
            // It does not say its version; its package does.
            Some(_) => {
                said.push(format!(
                    "websockify {}",
                    version(Path::new("python3"), &["-c", WEBSOCKIFY])
                ));
            }
            None => missing.push("websockify"),
        }
        if !missing.is_empty() {
            said.push(format!("not installed, so not measured: {}", missing.join(", ")));
        }
        Self { socat, websockify, websocat, ser2net, said }
    }

    /// Those that reach a TCP port, started.
    pub(crate) fn start(&self, device: u16) -> Outcome<Vec<(Relay, Started)>> {
        let target = format!("TCP:127.0.0.1:{device}");
        let started = [
            self.socat.as_ref().map(|program| relay::socat(program, &target)),
            self.websockify.as_ref().map(|program| relay::websockify(program, device)),
            self.websocat.as_ref().map(|program| relay::websocat(program, device)),
        ];
        started.into_iter().flatten().collect()
    }
}

const WEBSOCKIFY: &str = "from importlib.metadata import version; print(version('websockify'))";
