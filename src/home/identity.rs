//! What makes a gateway known to its hub: a key, a certificate, and whom it believes. `wsbridge
//! enrol` makes it, in `state_directory/home`.

use std::{
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::ClientConfig;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    config::WebAddress,
    dial::{DialError, Dialler, Proxies, Request, Site, Trust},
    regular_file,
    tls::{FleetPin, GatewayKey, home_client, renewal_due},
    wire::{home::is_gateway_name, jws::KeySet},
};

/// The file with the key and its certificate.
const PAIR: &str = "identity.pem";

/// The longest of its files, in bytes.
const FILE_MAX: usize = 64 << 10;

/// A gateway as its hub knows it.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// Where the hub is.
    pub(crate) site: Site,
    /// The hub's name, in which it vouches for people.
    pub(crate) hub: String,
    /// This gateway's name there.
    pub(crate) gateway: String,
    /// The keys that the hub signs with.
    pub(crate) assertions: KeySet,
    pin: FleetPin,
}

/// `home.json`.
#[derive(Debug, Deserialize, Serialize)]
struct Kept {
    url: String,
    hub: String,
    gateway: String,
    fingerprint: String,
    assertions: Value,
}

/// What a hub answers.
#[derive(Debug, Deserialize)]
struct Answer {
    gateway: Option<String>,
    hub: Option<String>,
    certificate: String,
    assertions: Value,
}

/// Why a gateway was not enrolled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnrolError {
    /// The hub was not reached, or is not the one that the fingerprint names.
    #[error("{0}")]
    Unreached(String),
    /// The hub said no.
    #[error("{0}")]
    Refused(String),
    /// Nothing could be kept here.
    #[error("{0}")]
    NotKept(String),
}

impl Identity {
    /// Where it is kept.
    pub(crate) fn folder(state_directory: &Path) -> PathBuf {
        state_directory.join("home")
    }

    /// Reads it; `None`: this gateway is not enrolled.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, String> {
        let file = folder.join("home.json");
        let text = match regular_file::read(&file, FILE_MAX) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{}: {error}", file.display())),
        };
        let kept: Kept = serde_json::from_slice(&text)
            .map_err(|error| format!("{}: {error}", file.display()))?;
        Self::of(&kept).map(Some).map_err(|why| format!("{}: {why}", file.display()))
    }

    fn of(kept: &Kept) -> Result<Self, String> {
        let address = WebAddress::parse(&kept.url)?;
        if !is_gateway_name(&kept.gateway) {
            return Err(format!("`{}` is no name of a gateway", kept.gateway));
        }
        let keys = json!({ "keys": [kept.assertions] }).to_string();
        let (secure, host, port) = (address.secure, address.host, address.port);
        Ok(Self {
            site: Site { secure, host, port },
            hub: kept.hub.clone(),
            gateway: kept.gateway.clone(),
            assertions: KeySet::parse(keys.as_bytes())?,
            pin: FleetPin::parse(&kept.fingerprint).ok_or("`fingerprint` is none")?,
        })
    }

    /// The hub's address.
    pub(crate) fn url(&self) -> String {
        self.site.origin()
    }

    /// The TLS settings for it.
    pub(super) fn tls(&self, folder: &Path) -> Result<Arc<ClientConfig>, String> {
        home_client(self.pin, Some(&folder.join(PAIR))).map_err(|error| error.to_string())
    }

    /// Keeps a renewed certificate and its key, with what else the hub said.
    pub(super) fn renewed(&self, folder: &Path, key: &str, answer: &[u8]) -> Result<(), String> {
        let answer: Answer =
            serde_json::from_slice(answer).map_err(|error| format!("the hub's answer: {error}"))?;
        let kept = Kept {
            url: self.url(),
            hub: self.hub.clone(),
            gateway: self.gateway.clone(),
            fingerprint: self.pin.to_string(),
            assertions: answer.assertions,
        };
        Self::of(&kept)?;
        keep(folder, &kept, key, &answer.certificate)
    }
}

/// Whether a certificate is to be renewed: after two thirds of its life.
pub(super) fn is_due(folder: &Path, now: i64) -> bool {
    renewal_due(&folder.join(PAIR)).is_some_and(|due| now >= due)
}

/// A new private key as PEM, and its public half for the hub.
pub(super) fn new_key() -> Result<(String, String), String> {
    GatewayKey::generate().map_err(|error| format!("no key could be made: {error}"))
}

/// Random, and never the same twice.
pub(super) fn random_text() -> String {
    let mut bytes = [0; 16];
    // Without randomness a restart looks like the run before it, and no two machines are told apart.
    getrandom::fill(&mut bytes).ok();
    format!("{:032x}", u128::from_le_bytes(bytes))
}

/// Makes this gateway known to a hub, and keeps what it says.
pub(crate) async fn enrol(
    folder: &Path,
    (url, pin): (&WebAddress, FleetPin),
    (token, name): (&str, &str),
) -> Result<Identity, EnrolError> {
    make_folder(folder)?;
    let (key, public) = new_key().map_err(EnrolError::NotKept)?;
    let tls = home_client(pin, None).map_err(|error| EnrolError::NotKept(error.to_string()))?;
    let dialler = Dialler { proxies: Proxies::of_environment(), trust: Trust::Given(tls) };
    let site = Site { secure: true, host: url.host.clone(), port: url.port };
    let body = json!({ "token": token, "name": name, "key": public }).to_string();
    let ask =
        Request { path: "/home/enrol", fields: &[], body: Some(&body), media: "application/json" };
    let answer = dialler.fetch(&site, &ask).await.map_err(|error| match error {
        DialError::Untrusted(_) => EnrolError::Unreached(format!(
            "{site} is not the hub with that fingerprint. `wsbridge hub` on the hub prints the right one; a proxy that looks into \
             TLS on the way has to let this name pass"
        )),
        DialError::Unreachable(why) => EnrolError::Unreached(format!("the hub was not reached: {why}")),
    })?;
    let said = || String::from_utf8_lossy(&answer.body).trim().to_owned();
    match answer.status {
        200 => {}
        404 => {
            return Err(EnrolError::Refused(format!(
                "{site} is a gateway, and no hub: its configuration has no `hub:`"
            )));
        }
        _ => return Err(EnrolError::Refused(said())),
    }
    let read: Answer = serde_json::from_slice(&answer.body).map_err(|error| {
        EnrolError::Refused(format!("the hub's answer makes no sense: {error}"))
    })?;
    let kept = Kept {
        url: site.origin(),
        hub: read.hub.unwrap_or_default(),
        gateway: read.gateway.unwrap_or_default(),
        fingerprint: pin.to_string(),
        assertions: read.assertions,
    };
    let identity = Identity::of(&kept)
        .map_err(|why| EnrolError::Refused(format!("the hub's answer makes no sense: {why}")))?;
    keep(folder, &kept, &key, &read.certificate).map_err(EnrolError::NotKept)?;
    Ok(identity)
}

fn make_folder(folder: &Path) -> Result<(), EnrolError> {
    if folder.exists() {
        return Ok(());
    }
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    let made = made.and_then(|()| regular_file::given(folder));
    made.map_err(|error| EnrolError::NotKept(format!("{}: {error}", folder.display())))
}

/// Key and certificate are one file: a power cut leaves a pair that belongs together, the old one or
/// the new one.
fn keep(folder: &Path, kept: &Kept, key: &str, certificate: &str) -> Result<(), String> {
    let text = serde_json::to_string_pretty(kept).map_err(|error| error.to_string())?;
    for (name, text) in [(PAIR, format!("{key}{certificate}")), ("home.json", text)] {
        let file = folder.join(name);
        regular_file::replace(&file, 0o600, text.as_bytes())
            .map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}
