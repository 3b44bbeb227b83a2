//! A grant and a request as they are kept: what is lent on which endpoint, by whom, to whom, from
//! when until when, and what became of it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::super::{PrincipalId, PrincipalKind, random};
use crate::config::{Rights, contain};

/// SHA-256 of a secret.
pub(super) type Mark = [u8; 32];

/// Access that somebody lends.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Grant {
    /// What people call it, `g_` and eight letters and digits: not secret.
    pub id: String,
    /// A name or a pattern of endpoints.
    pub endpoint: String,
    #[serde(with = "words")]
    pub rights: Rights,
    /// When it begins and ends, in seconds since 1970.
    pub from: i64,
    pub until: i64,
    /// Networks in which it can be used; none: everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<(IpAddr, u8)>,
    pub reason: String,
    /// Those who lend it: it gives what each of them may do, and no more.
    pub by: Vec<Whose>,
    pub to: Receiver,
    /// It is over before its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Over>,
}

/// Who uses a grant.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Receiver {
    /// Whoever brings its link or token.
    Bearer {
        /// SHA-256 of the token.
        #[serde(with = "hex")]
        mark: Mark,
        /// How often it may be exchanged for a sign-in, and how often it has been.
        uses: u32,
        used: u32,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        sign_ins: Vec<GrantSignIn>,
    },
    /// The one who asked for it.
    Asker(Whose),
}

/// A sign-in that a grant was exchanged for; it lasts as long as the grant.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct GrantSignIn {
    /// SHA-256 of its cookie or token.
    #[serde(with = "hex")]
    pub(super) mark: Mark,
    /// The computer whose program it is; `None`: a browser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// Where it was made from.
    pub client: String,
    /// When, in seconds since 1970.
    pub at: i64,
}

/// How something ended before its time.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Over {
    pub at: i64,
    pub why: EndOfGrant,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Whose>,
}

/// Why a grant is over.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EndOfGrant {
    /// Its time is up.
    Ended,
    /// Somebody took it back.
    Revoked,
    /// Who lent it may no longer do so.
    GiverLost,
}

impl EndOfGrant {
    /// Its word in the API and in records.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Revoked => "revoked",
            Self::GiverLost => "giver_lost_right",
        }
    }
}

/// Access that somebody asks for.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Request {
    /// `r_` and eight letters and digits.
    pub id: String,
    /// The name of one endpoint.
    pub endpoint: String,
    #[serde(with = "words")]
    pub rights: Rights,
    /// For how long, in seconds from the moment when it is approved.
    pub seconds: i64,
    pub reason: String,
    pub by: Whose,
    pub at: i64,
    /// Those who have approved so far.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved: Vec<Whose>,
    #[serde(default)]
    pub state: RequestState,
    /// The grant it led to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
    /// What whoever decided had to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub answer: String,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RequestState {
    /// Nobody has decided.
    #[default]
    Pending,
    Approved,
    Denied,
    /// Nobody decided in time.
    Expired,
    /// Taken back by whoever asked.
    Withdrawn,
}

impl RequestState {
    /// Its word in the API and in records.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// A principal, as it is kept: `user:alice`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Whose(pub PrincipalId);

impl Serialize for Whose {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{}:{}", self.0.kind.word(), self.0.name))
    }
}

impl<'de> Deserialize<'de> for Whose {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let read = text.split_once(':').and_then(|(kind, name)| {
            Some(Self(PrincipalId::new(PrincipalKind::of_word(kind)?, name)))
        });
        read.ok_or_else(|| serde::de::Error::custom("not KIND:NAME of a principal"))
    }
}

impl Grant {
    /// Whether it can be used from this address; a unix socket is every network's.
    pub(super) fn fits(&self, client: Option<IpAddr>) -> bool {
        self.networks.is_empty() || client.is_none_or(|ip| contain(&self.networks, ip))
    }

    /// The sign-ins that it was exchanged for.
    pub(crate) fn sign_ins(&self) -> &[GrantSignIn] {
        match &self.to {
            Receiver::Bearer { sign_ins, .. } => sign_ins,
            Receiver::Asker(_) => &[],
        }
    }

    /// Exchanges that are left.
    pub(crate) fn uses_left(&self) -> Option<u32> {
        match &self.to {
            Receiver::Bearer { uses, used, .. } => Some(uses.saturating_sub(*used)),
            Receiver::Asker(_) => None,
        }
    }
}

/// A new name, with this prefix: eight of the letters and digits that nobody mixes up.
pub(super) fn new_id(prefix: &str) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let letter = |byte: u8| {
        let chosen = LETTERS.get(usize::from(byte) % LETTERS.len());
        char::from(chosen.copied().unwrap_or(b'a'))
    };
    let name: String = random::<8>().into_iter().map(letter).collect();
    format!("{prefix}{name}")
}

mod words {
    //! Rights as their words.

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use crate::config::Rights;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
    pub(super) fn serialize<S: Serializer>(rights: &Rights, to: S) -> Result<S::Ok, S::Error> {
        rights.words().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Rights, D::Error> {
        let words = Vec::<String>::deserialize(from)?;
        Rights::of_words(&words)
            .map_err(|word| serde::de::Error::custom(format!("no right is called `{word}`")))
    }
}

mod hex {
    //! Hashes in hex.

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(mark: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::super::super::hex(mark))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(from)?;
        let mut mark = [0; 32];
        let pairs = text.as_bytes().chunks_exact(2);
        let whole = text.len() == 64;
        for (byte, pair) in mark.iter_mut().zip(pairs) {
            let pair = std::str::from_utf8(pair).ok();
            *byte = pair
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
                .filter(|_| whole)
                .ok_or_else(|| serde::de::Error::custom("not 64 digits in hex"))?;
        }
        if whole { Ok(mark) } else { Err(serde::de::Error::custom("not 64 digits in hex")) }
    }
}
