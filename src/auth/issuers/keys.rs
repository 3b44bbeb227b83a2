//! The keys and addresses of issuers: read from files and servers, kept for a while, and fetched
//! again when a token names a key that is not among them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Deserialize;
use tokio::{sync::Semaphore, time::Instant};

use super::web;
use crate::{
    config::{Issuer, KeyPlace, WebAddress},
    regular_file,
    wire::jws::{KEY_SET_MAX, KeySet},
};

/// How often a server is asked because of a key that is not known.
const UNKNOWN: Duration = Duration::from_secs(300);
/// How often a server that has not answered is asked again while there are no keys.
const NOTHING: Duration = Duration::from_secs(10);
/// Keys older than this are fetched again.
const OLD: Duration = Duration::from_secs(3600);
/// Keys older than this count no more.
const STALE: Duration = Duration::from_secs(24 * 3600);
/// How often a file is read again.
const FILE: Duration = Duration::from_secs(1);

/// What an issuer says of itself (its discovery document).
#[derive(Clone, Debug, Deserialize)]
pub(in crate::auth) struct Discovery {
    issuer: String,
    jwks_uri: String,
    pub(super) authorization_endpoint: Option<String>,
    pub(super) token_endpoint: Option<String>,
    #[serde(default)]
    pub(super) token_endpoint_auth_methods_supported: Vec<String>,
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
}

/// What is known of an issuer.
#[derive(Clone, Debug, Default)]
struct Held {
    keys: Option<Arc<KeySet>>,
    discovery: Option<Arc<Discovery>>,
    /// When they were fetched.
    fetched: Option<Instant>,
    /// When that was last tried.
    tried: Option<Instant>,
}

impl Held {
    /// Whether to ask the server now; `unknown`: a token names a key that is not here.
    fn is_due(&self, now: Instant, unknown: bool) -> bool {
        let since = |moment: Option<Instant>| moment.map(|moment| now.duration_since(moment));
        let tried = since(self.tried);
        let Some(age) = since(self.fetched) else { return tried.is_none_or(|it| it >= NOTHING) };
        let wait = if age >= STALE { NOTHING } else { UNKNOWN };
        (unknown || age >= OLD) && tried.is_none_or(|it| it >= wait)
    }

    fn is_good(&self, now: Instant) -> bool {
        self.fetched.is_some_and(|fetched| now.duration_since(fetched) < STALE)
    }
}

#[derive(Debug)]
struct Source {
    held: Mutex<Held>,
    /// One at a time asks the server: others go on with what there is.
    asking: Semaphore,
}

impl Default for Source {
    fn default() -> Self {
        Self { held: Mutex::default(), asking: Semaphore::new(1) }
    }
}

impl Source {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The issuers' keys.
#[derive(Debug, Default)]
pub(in crate::auth) struct KeyStore {
    /// By what makes an issuer another one.
    sources: Mutex<HashMap<String, Arc<Source>>>,
}

/// The most issuers that are remembered, former ones among them.
const SOURCES_MAX: usize = 256;

impl KeyStore {
    /// `file`: what its file says, apart from what its server does.
    fn source(&self, issuer: &Issuer, file: bool) -> Arc<Source> {
        let mark = format!("{file} {:?} {} {:?}", issuer.keys, issuer.iss, issuer.ca);
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if sources.len() >= SOURCES_MAX && !sources.contains_key(&mark) {
            sources.clear();
        }
        Arc::clone(sources.entry(mark).or_default())
    }

    /// An issuer's keys; `unknown`: after those of the last call did not have the one in question.
    ///
    /// # Errors
    /// There are none that count: the text says why, for the log.
    pub(super) async fn keys(&self, issuer: &Issuer, unknown: bool) -> Result<Arc<KeySet>, String> {
        let held = match issuer.keys {
            KeyPlace::File(_) => Self::of_file(&self.source(issuer, true), issuer, Instant::now())?,
            KeyPlace::Url(_) | KeyPlace::Discovered => self.refreshed(issuer, unknown).await?,
        };
        held.keys.ok_or_else(|| "its keys are not known".to_owned())
    }

    /// What an issuer says of itself.
    ///
    /// # Errors
    /// As for [`Self::keys`].
    pub(super) async fn discovery(&self, issuer: &Issuer) -> Result<Arc<Discovery>, String> {
        let held = self.refreshed(issuer, false).await?;
        held.discovery.ok_or_else(|| "its addresses are not known".to_owned())
    }

    async fn refreshed(&self, issuer: &Issuer, unknown: bool) -> Result<Held, String> {
        let (source, now) = (self.source(issuer, false), Instant::now());
        if !source.held().is_due(now, unknown) {
            return good(&source, now);
        }
        // While there are good keys nobody waits for newer ones.
        let good_already = source.held().is_good(now) && !unknown;
        let turn = match source.asking.try_acquire() {
            Ok(turn) => turn,
            Err(_) if good_already => return good(&source, now),
            Err(_) => source.asking.acquire().await.map_err(|_| "stopped".to_owned())?,
        };
        // Somebody else may have asked meanwhile.
        if !source.held().is_due(Instant::now(), unknown) {
            return good(&source, Instant::now());
        }
        source.held().tried = Some(now);
        let asked = ask(issuer).await;
        drop(turn);
        match asked {
            Ok((keys, discovery)) => {
                let mut held = source.held();
                held.keys = Some(Arc::new(keys));
                held.discovery = discovery.map(Arc::new);
                held.fetched = Some(now);
            }
            Err(why) => {
                let left = source.held().is_good(now);
                tracing::warn!(issuer = issuer.iss, still_good = left, "keys: {why}");
                if !left {
                    return Err(why);
                }
            }
        }
        good(&source, now)
    }

    fn of_file(source: &Source, issuer: &Issuer, now: Instant) -> Result<Held, String> {
        let mut held = source.held();
        if held.tried.is_some_and(|tried| now.duration_since(tried) < FILE) {
            return if held.keys.is_some() { Ok(held.clone()) } else { Err("no keys".into()) };
        }
        held.tried = Some(now);
        match read_file(issuer) {
            Ok(keys) => {
                held.keys = Some(Arc::new(keys));
                Ok(held.clone())
            }
            Err(why) => {
                // A file that is being written, or a broken one: what it said may be revoked.
                held.keys = None;
                tracing::warn!(issuer = issuer.iss, "keys: {why}");
                Err(why)
            }
        }
    }
}

fn good(source: &Source, now: Instant) -> Result<Held, String> {
    let held = source.held();
    if held.is_good(now) { Ok(held.clone()) } else { Err("its keys cannot be had".into()) }
}

fn read_file(issuer: &Issuer) -> Result<KeySet, String> {
    let KeyPlace::File(file) = &issuer.keys else { return Err("its keys are in no file".into()) };
    let text = regular_file::read(file, KEY_SET_MAX);
    let text = text.map_err(|error| format!("{}: {error}", file.display()))?;
    KeySet::parse(&text).map_err(|why| format!("{}: {why}", file.display()))
}

/// Asks an issuer's server for its keys and, where that is needed, its addresses.
async fn ask(issuer: &Issuer) -> Result<(KeySet, Option<Discovery>), String> {
    let discovery = if issuer.oidc.is_some() || issuer.keys == KeyPlace::Discovered {
        let base = issuer.iss.strip_suffix('/').unwrap_or(&issuer.iss);
        let place = WebAddress::parse(&format!("{base}/.well-known/openid-configuration"))?;
        let found: Discovery = web::read(issuer, &place).await?;
        if found.issuer != issuer.iss {
            return Err(format!("{} speaks for issuer `{}`", place.text, found.issuer));
        }
        Some(found)
    } else {
        None
    };
    let from = match (&issuer.keys, &discovery) {
        (KeyPlace::File(_), _) => return Ok((read_file(issuer)?, discovery)),
        (KeyPlace::Url(place), _) => place.clone(),
        (KeyPlace::Discovered, Some(found)) => WebAddress::parse(&found.jwks_uri)?,
        (KeyPlace::Discovered, None) => return Err("it has no keys".into()),
    };
    let text = web::get(issuer, &from).await?;
    let keys = KeySet::parse(&text).map_err(|why| format!("{}: {why}", from.text))?;
    Ok((keys, discovery))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(fetched: Option<u64>, tried: Option<u64>, start: Instant) -> Held {
        let at = |ago: Option<u64>| ago.map(|ago| start + Duration::from_secs(ago));
        Held { fetched: at(fetched), tried: at(tried), ..Held::default() }
    }

    #[test]
    fn a_server_is_asked_rarely_and_old_keys_count_for_a_day() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let none = held(None, None, start);
        assert!(none.is_due(start, false) && !none.is_good(start));
        let failed = held(None, Some(0), start);
        assert!(!failed.is_due(after(9), true) && failed.is_due(after(10), false));
        let fresh = held(Some(0), Some(0), start);
        assert!(
            !fresh.is_due(after(299), true),
            "a stranger's key names cost one request in 5 min"
        );
        assert!(fresh.is_due(after(300), true) && !fresh.is_due(after(3599), false));
        assert!(fresh.is_due(after(3600), false) && fresh.is_good(after(24 * 3600 - 1)));
        assert!(!fresh.is_good(after(24 * 3600)));
        let refused = held(Some(0), Some(3600), start);
        assert!(!refused.is_due(after(3700), false) && refused.is_due(after(3900), false));
        assert!(refused.is_due(after(24 * 3600), false));
    }
}
