//! What a hub knows of its fleet: which gateways are enrolled, which are connected now, and which
//! links are awaited.

mod homes;
mod links;
mod register;
mod standing;

use std::{
    fmt,
    path::Path,
    sync::{Arc, OnceLock},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls::ServerConfig;

pub(crate) use self::{
    homes::{Card, Home, HomeInfo, Homes, Order},
    links::Links,
    register::{EnrolTerms, GatewayInfo, NotEnrolled, Register},
    standing::Standing,
};
use crate::{
    auth::Admission,
    config::{HubRules, Limits},
    regular_file,
    tls::{FleetAuthority, FleetPin, TlsError},
    wire::jws::Signer,
};

/// The longest file of ours that is read, in bytes.
const FILE_MAX: usize = 64 << 20;

/// Connections of gateways: their sockets, and their links.
const CONNECTIONS: usize = 24_000;
/// Those of them that have not shown whose they are. When there are more, the oldest gives way.
const HANDSHAKES: usize = 1000;

/// A hub, once the configuration has made this daemon one.
#[derive(Debug, Default)]
pub(crate) struct Hub(OnceLock<Open>);

/// An open hub.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) rules: HubRules,
    pub(crate) register: Register,
    pub(crate) homes: Arc<Homes>,
    pub(crate) links: Links,
    pub(crate) signer: Signer,
    /// Places for gateways' connections: sockets and links.
    pub(crate) admission: Arc<Admission>,
    authority: FleetAuthority,
    tls: std::sync::Mutex<Option<(Arc<ServerConfig>, i64)>>,
}

/// Why a hub cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HubError {
    /// Its authority.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Another file.
    #[error("{file}: {what}")]
    File { file: String, what: String },
}

impl Hub {
    /// Opens it, once: `state_directory/hub` has its keys and its gateways, and what is missing is
    /// made. Reads and writes files.
    pub(crate) fn open(&self, state: &Path, rules: &HubRules, now: i64) -> Result<(), HubError> {
        if self.0.get().is_none() {
            let _ = self.0.set(Open::new(state, rules, now)?);
        }
        Ok(())
    }

    /// The hub, if this daemon is one.
    pub(crate) fn get(&self) -> Option<&Open> {
        self.0.get()
    }
}

impl Open {
    fn new(state: &Path, rules: &HubRules, now: i64) -> Result<Self, HubError> {
        let folder = state.join("hub");
        let authority = FleetAuthority::ensure(&folder, now)?;
        let signer = signer(&folder.join("assertions.key"))?;
        let register = folder.join("gateways.json");
        let register = Register::open(&register).map_err(|error| HubError::File {
            file: register.display().to_string(),
            what: error.to_string(),
        })?;
        Ok(Self {
            rules: rules.clone(),
            register,
            homes: Arc::default(),
            links: Links::default(),
            signer,
            admission: Arc::default(),
            authority,
            tls: std::sync::Mutex::default(),
        })
    }

    /// How many gateways are connected, and how many are away.
    pub(crate) fn counts(&self) -> [u64; 2] {
        let (all, here) = (self.register.gateways().len(), self.homes.list().len());
        [here as u64, all.saturating_sub(here) as u64]
    }

    /// What gateways know the fleet's authority by.
    pub(crate) fn pin(&self) -> FleetPin {
        self.authority.pin()
    }

    /// The authority, to issue certificates.
    pub(crate) fn authority(&self) -> &FleetAuthority {
        &self.authority
    }

    /// The TLS settings for the next handshake with a gateway.
    pub(crate) fn tls(&self, now: i64) -> Option<Arc<ServerConfig>> {
        /// A certificate that ends sooner than this is made anew, in seconds.
        const SOON: i64 = 30 * 24 * 3600;
        let mut tls = self.tls.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((config, until)) = &*tls
            && now + SOON < *until
        {
            return Some(Arc::clone(config));
        }
        match self.authority.server(&self.rules.public.0.host, now) {
            Ok((config, until)) => {
                *tls = Some((Arc::clone(&config), until));
                Some(config)
            }
            Err(error) => {
                tracing::error!("no certificate for gateways: {error}");
                tls.as_ref().map(|(config, _)| Arc::clone(config))
            }
        }
    }
}

/// How many connections of gateways there may be: all of them may be behind one address.
pub(crate) fn limits_of_gateways(usual: &Limits) -> Limits {
    Limits {
        connections: CONNECTIONS,
        per_address: CONNECTIONS,
        unauthenticated: HANDSHAKES,
        ..*usual
    }
}

fn signer(file: &Path) -> Result<Signer, HubError> {
    let wrong = |what: String| HubError::File { file: file.display().to_string(), what };
    if !file.exists() {
        let made = Signer::generate().ok_or_else(|| wrong("no key could be made".into()))?;
        regular_file::replace(file, 0o600, &made).map_err(|error| wrong(error.to_string()))?;
    }
    let document = regular_file::read(file, 4096).map_err(|error| wrong(error.to_string()))?;
    Signer::from_pkcs8(&document).ok_or_else(|| wrong("not a key of Ed25519 in PKCS #8".into()))
}

/// 256 random bits as 43 characters that need no escape in a URL.
pub(crate) fn random_key() -> String {
    let mut bytes = [0; 32];
    #[expect(
        clippy::panic,
        reason = "getrandom(2) fails on no kernel we run on; without it no secret is one"
    )]
    if let Err(error) = getrandom::fill(&mut bytes) {
        panic!("no randomness from the kernel: {error}");
    }
    URL_SAFE_NO_PAD.encode(bytes)
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hub {} at {}", self.rules.name, self.rules.public.0.text)
    }
}
