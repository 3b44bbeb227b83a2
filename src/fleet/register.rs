//! Which gateways are enrolled: their names and their certificates, and the tokens with which more of
//! them may come. One file, written whole, and on the disk before anybody is told.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::{FILE_MAX, random_key};
use crate::{regular_file, wire::home::is_gateway_name};

/// What every token begins with.
const TOKEN_PREFIX: &str = "wse_";
/// The most tokens at a time.
const TOKENS_MAX: usize = 1000;
/// The most gateways.
const GATEWAYS_MAX: usize = 50_000;

/// All that is enrolled.
#[derive(Debug)]
pub(crate) struct Register {
    file: PathBuf,
    state: Mutex<State>,
    /// Counts the gateways that were revoked.
    revoked: watch::Sender<u64>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct State {
    gateways: BTreeMap<String, Gateway>,
    tokens: BTreeMap<String, Token>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Gateway {
    /// When it was enrolled, in seconds since 1970.
    since: i64,
    /// SHA-256 of each certificate that lets it in, in hex, and the certificate's last second.
    certificates: BTreeMap<String, i64>,
    labels: BTreeMap<String, String>,
    /// Two machines have its certificate: neither gets links until it is enrolled anew or cleared.
    #[serde(default)]
    cloned: bool,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Token {
    /// SHA-256 of its text, in hex.
    sha256: String,
    uses: u32,
    until: i64,
    /// The name that it gives; `None`: whatever the gateway asks for.
    name: Option<String>,
    labels: BTreeMap<String, String>,
}

/// What a token is for.
#[derive(Clone, Debug)]
pub(crate) struct EnrolTerms {
    /// How many gateways it lets in.
    pub(crate) uses: u32,
    /// Its last second, since 1970.
    pub(crate) until: i64,
    /// The name that it gives, with one use.
    pub(crate) name: Option<String>,
    pub(crate) labels: BTreeMap<String, String>,
}

/// A token, as the list shows it.
#[derive(Clone, Debug)]
pub(crate) struct TokenInfo {
    pub(crate) id: String,
    pub(crate) terms: EnrolTerms,
}

/// A gateway, as the list shows it.
#[derive(Clone, Debug)]
pub(crate) struct GatewayInfo {
    pub(crate) name: String,
    pub(crate) since: i64,
    /// Its certificate's last second.
    pub(crate) until: Option<i64>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) cloned: bool,
}

/// A gateway that has just been enrolled.
#[derive(Clone, Debug)]
pub(crate) struct Enrolled {
    pub(crate) name: String,
    /// Its certificate as PEM.
    pub(crate) certificate: String,
}

/// Why a gateway was not enrolled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotEnrolled {
    /// The token is wrong, used up or over: all of that looks the same.
    #[error(
        "this token is wrong, used up or over; `wsbridge hub token new` on the hub makes another one"
    )]
    Token,
    /// The name is none.
    #[error("`{0}` cannot be a gateway's name: 1 to 63 of a-z, 0-9 and -")]
    Name(String),
    /// The name is another's.
    #[error(
        "a gateway `{0}` is enrolled; choose another name, or revoke it on the hub first (`wsbridge hub revoke {0}`)"
    )]
    Taken(String),
    /// There are too many.
    #[error("this hub has all the gateways it can have")]
    Full,
    /// Nothing could be issued or kept.
    #[error("{0}")]
    Failed(String),
}

impl Register {
    /// Reads the file; without one, nobody is enrolled.
    pub(crate) fn open(file: &Path) -> io::Result<Self> {
        let state = match regular_file::read(file, FILE_MAX) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => State::default(),
            Err(error) => return Err(error),
        };
        Ok(Self { file: file.to_owned(), state: Mutex::new(state), revoked: watch::Sender::new(0) })
    }

    /// Makes a token; its text, which is shown once, and its name. Slow: it waits for the disk.
    pub(crate) fn new_token(&self, terms: EnrolTerms, now: i64) -> io::Result<(String, String)> {
        let text = format!("{TOKEN_PREFIX}{}", random_key());
        let id: String = text.chars().skip(TOKEN_PREFIX.len()).take(8).collect();
        let EnrolTerms { uses, until, name, labels } = terms;
        let sha256 = digest(text.as_bytes());
        self.change(|state| {
            state.tokens.retain(|_, token| token.until >= now && token.uses > 0);
            if state.tokens.len() >= TOKENS_MAX {
                return Err(io::Error::other("there are a thousand tokens; revoke some"));
            }
            state.tokens.insert(id.clone(), Token { sha256, uses, until, name, labels });
            Ok(())
        })?;
        Ok((text, id))
    }

    /// Ends a token; false: there is none of that name. Slow.
    pub(crate) fn end_token(&self, id: &str) -> io::Result<bool> {
        self.change(|state| Ok(state.tokens.remove(id).is_some()))
    }

    /// The tokens that are good now.
    pub(crate) fn tokens(&self, now: i64) -> Vec<TokenInfo> {
        let state = self.lock();
        let good = state.tokens.iter().filter(|(_, token)| token.until >= now && token.uses > 0);
        good.map(|(id, token)| {
            let Token { uses, until, name, labels, .. } = token.clone();
            TokenInfo { id: id.clone(), terms: EnrolTerms { uses, until, name, labels } }
        })
        .collect()
    }

    /// Enrols a gateway that shows a token; `issue` makes the certificate for its name: as PEM, its
    /// DER and its last second. The use is on the disk when this returns. Slow.
    pub(crate) fn enrol(
        &self,
        token: &str,
        wish: &str,
        now: i64,
        issue: impl FnOnce(&str) -> Result<(String, Vec<u8>, i64), String>,
    ) -> Result<Enrolled, NotEnrolled> {
        let sha256 = digest(token.as_bytes());
        let mut made = Err(NotEnrolled::Token);
        let kept = self.change(|state| {
            let good =
                |token: &&mut Token| token.sha256 == sha256 && token.until >= now && token.uses > 0;
            let Some(token) = state.tokens.values_mut().find(good) else { return Ok(()) };
            let name = token.name.clone().unwrap_or_else(|| wish.to_owned());
            made = if !is_gateway_name(&name) {
                Err(NotEnrolled::Name(name))
            } else if state.gateways.contains_key(&name) {
                Err(NotEnrolled::Taken(name))
            } else if state.gateways.len() >= GATEWAYS_MAX {
                Err(NotEnrolled::Full)
            } else {
                issue(&name).map_err(NotEnrolled::Failed).map(|(certificate, der, until)| {
                    token.uses -= 1;
                    let certificates = [(digest(&der), until)].into();
                    let labels = token.labels.clone();
                    let gateway = Gateway { since: now, certificates, labels, cloned: false };
                    state.gateways.insert(name.clone(), gateway);
                    Enrolled { name, certificate }
                })
            };
            Ok(())
        });
        match kept {
            Ok(()) => made,
            Err(error) => Err(NotEnrolled::Failed(format!("the hub cannot keep it: {error}"))),
        }
    }

    /// Adds a certificate that lets a gateway in, besides those it has until their end. Slow.
    pub(crate) fn renew(&self, name: &str, der: &[u8], until: i64, now: i64) -> io::Result<bool> {
        self.change(|state| {
            let Some(gateway) = state.gateways.get_mut(name) else { return Ok(false) };
            gateway.certificates.retain(|_, until| *until >= now);
            gateway.certificates.insert(digest(der), until);
            Ok(true)
        })
    }

    /// Whether a certificate (its SHA-256) lets that gateway in.
    pub(crate) fn knows(&self, name: &str, sha256: &[u8; 32]) -> bool {
        let hash = hex(sha256);
        self.lock().gateways.get(name).is_some_and(|it| it.certificates.contains_key(&hash))
    }

    /// Forgets a gateway: nothing of it lets it in any more. False: there is none. Slow.
    pub(crate) fn revoke(&self, name: &str) -> io::Result<bool> {
        let revoked = self.change(|state| Ok(state.gateways.remove(name).is_some()))?;
        self.revoked.send_modify(|count| *count = count.wrapping_add(1));
        Ok(revoked)
    }

    /// Changes whenever a gateway is revoked.
    pub(crate) fn revocations(&self) -> watch::Receiver<u64> {
        self.revoked.subscribe()
    }

    /// Notes that two machines have a gateway's certificate, or that they no longer do. Slow.
    pub(crate) fn cloned(&self, name: &str, cloned: bool) -> io::Result<bool> {
        self.change(|state| {
            let found = state.gateways.get_mut(name);
            Ok(found.map(|gateway| gateway.cloned = cloned).is_some())
        })
    }

    /// A gateway.
    pub(crate) fn find(&self, name: &str) -> Option<GatewayInfo> {
        let state = self.lock();
        state.gateways.get(name).map(|gateway| info(name, gateway))
    }

    /// All gateways, by name.
    pub(crate) fn gateways(&self) -> Vec<GatewayInfo> {
        self.lock().gateways.iter().map(|(name, gateway)| info(name, gateway)).collect()
    }

    /// Changes what is kept: on the disk first, and only then for everybody.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.lock();
        let mut next = state.clone();
        let done = change(&mut next)?;
        let text = serde_json::to_vec(&next).map_err(io::Error::other)?;
        regular_file::replace(&self.file, 0o600, &text)?;
        *state = next;
        Ok(done)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn info(name: &str, gateway: &Gateway) -> GatewayInfo {
    GatewayInfo {
        name: name.to_owned(),
        since: gateway.since,
        until: gateway.certificates.values().copied().max(),
        labels: gateway.labels.clone(),
        cloned: gateway.cloned,
    }
}

fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes).into())
}

fn hex(bytes: &[u8; 32]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(uses: u32, name: Option<&str>) -> EnrolTerms {
        let labels = [("site".to_owned(), "north".to_owned())].into();
        EnrolTerms { uses, until: 1000, name: name.map(str::to_owned), labels }
    }

    #[expect(clippy::unnecessary_wraps, reason = "a hub may fail to")]
    fn issue(name: &str) -> Result<(String, Vec<u8>, i64), String> {
        Ok((format!("PEM of {name}"), name.as_bytes().to_vec(), 5000))
    }

    #[test]
    fn a_token_enrols_as_many_as_it_says_until_it_ends_and_all_of_it_outlives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gateways.json");
        let register = Register::open(&file).unwrap();
        let (text, id) = register.new_token(terms(2, None), 0).unwrap();
        assert!(text.starts_with("wse_") && text.len() == 47 && text.contains(&id));
        let first = register.enrol(&text, "north-7", 10, issue).unwrap();
        assert_eq!(
            (first.name.as_str(), first.certificate.as_str()),
            ("north-7", "PEM of north-7")
        );
        let no = |register: &Register, token: &str, name: &str, now| {
            register.enrol(token, name, now, issue).unwrap_err().to_string()
        };
        assert!(no(&register, &text, "north-7", 10).contains("is enrolled"));
        assert!(no(&register, &text, "../x", 10).contains("cannot be a gateway's name"));
        assert!(no(&register, "wse_x", "north-8", 10).contains("wrong, used up or over"));
        assert!(no(&register, &text, "north-8", 1001).contains("wrong, used up or over"));
        drop(register);
        let register = Register::open(&file).unwrap();
        register.enrol(&text, "north-8", 1000, issue).unwrap();
        assert!(no(&register, &text, "north-9", 1000).contains("wrong, used up or over"));
        assert!(register.tokens(1000).is_empty());
        let all = register.gateways();
        assert_eq!(
            all.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(),
            ["north-7", "north-8"]
        );
        assert_eq!((all[0].labels["site"].as_str(), all[0].until), ("north", Some(5000)));
        let kept = std::fs::read_to_string(&file).unwrap();
        assert!(!kept.contains(&text));
    }

    #[test]
    fn a_certificate_lets_its_own_gateway_in_until_that_is_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let register = Register::open(&folder.path().join("gateways.json")).unwrap();
        let (text, _) = register.new_token(terms(2, Some("plc-7")), 0).unwrap();
        // The token's name counts, whatever is asked for.
        assert_eq!(register.enrol(&text, "other", 0, issue).unwrap().name, "plc-7");
        let hash = |text: &str| -> [u8; 32] { Sha256::digest(text).into() };
        assert!(register.knows("plc-7", &hash("plc-7")));
        assert!(!register.knows("plc-8", &hash("plc-7")) && !register.knows("plc-7", &hash("x")));
        assert!(register.renew("plc-7", b"new", 9000, 4000).unwrap());
        assert!(register.knows("plc-7", &hash("plc-7")) && register.knows("plc-7", &hash("new")));
        assert!(register.renew("plc-7", b"newer", 9000, 5001).unwrap());
        assert!(!register.knows("plc-7", &hash("plc-7")));
        assert!(register.revoke("plc-7").unwrap() && !register.revoke("plc-7").unwrap());
        assert!(!register.knows("plc-7", &hash("new")));
        assert!(!register.renew("plc-7", b"again", 9000, 0).unwrap());
    }

    #[test]
    fn what_cannot_be_kept_has_not_happened() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gone/gateways.json");
        let register = Register::open(&file).unwrap();
        assert!(register.new_token(terms(1, None), 0).is_err());
        assert!(register.tokens(0).is_empty());
    }
}
