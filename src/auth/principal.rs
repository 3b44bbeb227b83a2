//! Who is asking, proved: a name identifies a principal only together with its kind.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::certificate::ClientCertificate;
use crate::config::{Rights, RightsTable};

/// A sign-in's number: not secret, never given twice.
pub(crate) type LoginId = u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum PrincipalKind {
    /// A person with a password.
    User,
    /// A program with a token.
    Token,
    /// A machine with a certificate.
    Certificate,
    /// Somebody whom an issuer of `issuers:` vouches for; its name is `ISSUER/NAME`.
    Identity,
    /// Whoever was lent access, by its link.
    Grant,
    /// Somebody whom a hub vouches for, by a link of this gateway's; its name is the one that it has
    /// at the hub.
    Link,
    /// Anyone, under `auth: none`.
    Open,
    /// Whoever may open the admin socket.
    Local,
}

impl PrincipalKind {
    /// The word for this kind in the API and in logs.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Token => "token",
            Self::Certificate => "certificate",
            Self::Identity => "identity",
            Self::Grant => "grant",
            Self::Link => "link",
            Self::Open => "open",
            Self::Local => "local",
        }
    }

    /// The kind of this word.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        const ALL: [PrincipalKind; 8] = [
            PrincipalKind::User,
            PrincipalKind::Token,
            PrincipalKind::Certificate,
            PrincipalKind::Identity,
            PrincipalKind::Grant,
            PrincipalKind::Link,
            PrincipalKind::Open,
            PrincipalKind::Local,
        ];
        ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// A principal's identity: a user `ci` and a token `ci` are two. People are shown only the name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PrincipalId {
    pub kind: PrincipalKind,
    /// Its name in the configuration.
    pub name: String,
}

impl PrincipalId {
    /// The principal of this kind and name.
    pub(crate) fn new(kind: PrincipalKind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }
}

impl fmt::Display for PrincipalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Who is asking, proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    /// Who it is.
    pub id: PrincipalId,
    /// What it may do.
    pub rights: RightsTable,
    /// The browser sign-in it came with: everything begun with it ends with it.
    pub login: Option<LoginId>,
    /// The certificate it came with; the same holds for it.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// What the pass it came with limits its rights to. `None`: it came with something else, or
    /// with a pass without a limit.
    pub only: Option<PassLimit>,
    /// When it last proved who it is, by password or the like, in seconds since 1970; `None`: it
    /// shows something that proves no presence (a token, a certificate).
    pub auth_time: Option<i64>,
}

/// What a pass limits its principal's rights to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PassLimit {
    /// Only these endpoints.
    pub endpoints: Arc<[String]>,
    /// In a frame on another site's page: one session, which takes over from nobody.
    pub once: Option<Arc<OneSession>>,
}

/// Whether the one session that somebody may have has begun.
#[derive(Debug, Default)]
pub(crate) struct OneSession(AtomicBool);

impl OneSession {
    pub(crate) fn has_begun(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Begins the session; false if it had begun before.
    pub(crate) fn begin(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

impl PartialEq for OneSession {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for OneSession {}

impl Principal {
    /// Somebody with these rights, who came with nothing that could end or limit them.
    pub(crate) fn new(id: PrincipalId, rights: RightsTable) -> Self {
        Self { id, rights, login: None, certificate: None, only: None, auth_time: None }
    }

    /// The one session it may have, if it came from another site's frame.
    pub(crate) fn one_session(&self) -> Option<&Arc<OneSession>> {
        self.only.as_ref().and_then(|limit| limit.once.as_ref())
    }

    /// Whether it may take over every endpoint: the reserved place is kept for such a principal.
    pub(crate) fn is_administrator(&self) -> bool {
        self.rights
            .0
            .iter()
            .any(|(pattern, rights)| pattern == "*" && rights.allows(Rights::TAKEOVER))
    }
}
