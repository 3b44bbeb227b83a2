//! What Wireshark is told of gateways before anybody asks them: their lines, in a cache.

use std::{
    env, fs, io,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use super::gateway::{Access, Gateway, Listed};

/// What is known of a gateway.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Known {
    /// Its address; empty: that of this machine.
    pub(super) host: String,
    /// When it was asked, in seconds since 1970.
    pub(super) at: u64,
    pub(super) lines: Vec<KnownLine>,
    pub(super) token_file: Option<PathBuf>,
}

/// One of its lines.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct KnownLine {
    pub(super) name: String,
    pub(super) title: Option<String>,
    pub(super) kind: String,
}

pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

pub(super) fn home(variable: &str, below: &str) -> Option<PathBuf> {
    let own = env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    own.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(below)))
}

pub(super) fn cache() -> Option<PathBuf> {
    Some(home("XDG_CACHE_HOME", ".cache")?.join("wsbridge/extcap.json"))
}

pub(super) fn read() -> Vec<Known> {
    let text = cache().and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Keeps what is known of a gateway beside what is known of others.
pub(super) fn keep(known: Known) -> io::Result<()> {
    let mut all = read();
    all.retain(|one| one.host != known.host);
    all.push(known);
    let path = cache().ok_or(io::ErrorKind::NotFound)?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, serde_json::to_string(&all).unwrap_or_default())
}

pub(super) fn lines(listed: &[Listed]) -> Vec<KnownLine> {
    let may = |one: &&Listed| one.rights.iter().any(|right| right == "recordings");
    let line = |one: &Listed| KnownLine {
        name: one.name.clone(),
        title: one.title.clone(),
        kind: one.kind.clone(),
    };
    listed.iter().filter(may).map(line).collect()
}

/// Notes what lines a gateway has, if it is one that Wireshark shows. Whether that works or not,
/// the capture goes on.
pub(super) async fn learn(gateway: &Gateway, access: &Access) {
    let host = gateway.address.to_string();
    let Some(before) = read().into_iter().find(|one| one.host == host) else { return };
    if let Ok((_, listed)) = gateway.endpoints(access).await {
        let _ = keep(Known { at: now(), lines: lines(&listed), ..before });
    }
}
