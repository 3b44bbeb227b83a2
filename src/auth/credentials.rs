//! The credentials that a client presents, and whom they prove it to be.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{ClientCertificate, Principal, PrincipalId, PrincipalKind};
use crate::config::{Access, Rights, RightsTable, Secret};

/// What a request presents.
#[derive(Clone, Debug)]
pub(crate) enum PresentedCredential {
    /// Nothing, or a client certificate alone.
    Nothing,
    /// A name and a password (RFC 7617).
    Basic(String, Secret),
    /// A token (RFC 6750, or `wsbridge.bearer.*`).
    Bearer(Secret),
    /// A one-time ticket.
    Ticket(Secret),
    /// Something that cannot be right: another scheme, not base64, not UTF-8.
    Unreadable,
}

impl PresentedCredential {
    /// Reads an `Authorization` header.
    pub(crate) fn authorization(value: &str) -> Self {
        let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") && !rest.is_empty() {
            return Self::Bearer(Secret::new(rest));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Self::Unreadable;
        }
        let decoded = STANDARD.decode(rest).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        match decoded.as_deref().and_then(|text| text.split_once(':')) {
            Some((name, password)) => Self::Basic(name.to_owned(), Secret::new(password)),
            None => Self::Unreadable,
        }
    }

    /// Whether there is nothing to evaluate.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}

/// The principal with this token. Every token is compared, in constant time.
pub(super) fn by_token(access: &Access, text: &Secret, now: i64) -> Option<Principal> {
    let hash: [u8; 32] = Sha256::digest(text.reveal()).into();
    let mut found = None;
    for (name, token) in &access.tokens {
        if bool::from(hash.ct_eq(&token.sha256)) {
            found = Some((name, token));
        }
    }
    let (name, token) =
        found.filter(|(_, token)| token.expires.is_none_or(|expires| now <= expires))?;
    Some(Principal::new(PrincipalId::new(PrincipalKind::Token, name), token.rights.clone()))
}

/// The principal of a certificate whose chain the TLS handshake has checked, while it is valid.
pub(super) fn by_certificate(access: &Access, shown: &Arc<ClientCertificate>) -> Option<Principal> {
    let (name, entry) = shown.principal(access).filter(|_| shown.is_good())?;
    let id = PrincipalId::new(PrincipalKind::Certificate, name);
    let certificate = Some(Arc::clone(shown));
    Some(Principal { certificate, ..Principal::new(id, entry.rights.clone()) })
}

/// A principal as the configuration has it now; `None` if it no longer is one.
pub(super) fn configured(access: &Access, id: &PrincipalId, now: i64) -> Option<Principal> {
    let name = &id.name;
    let rights = match id.kind {
        PrincipalKind::Open if access.open => return Some(open()),
        // The configuration knows none of the others.
        PrincipalKind::Open
        | PrincipalKind::Identity
        | PrincipalKind::Grant
        | PrincipalKind::Link => return None,
        PrincipalKind::Local => return Some(local()),
        PrincipalKind::User => &access.users.get(name)?.rights,
        PrincipalKind::Token => {
            let token = access.tokens.get(name)?;
            token.expires.is_none_or(|expires| now <= expires).then_some(&token.rights)?
        }
        PrincipalKind::Certificate => &access.certificates.get(name)?.rights,
    };
    Some(Principal::new(id.clone(), rights.clone()))
}

/// Who a door's client is: whom its certificate names, the user or token that the door names, or
/// anyone under `auth: none`; `None` where none of them is there now.
pub(crate) fn at_door(
    access: &Access,
    certificate: Option<&Arc<ClientCertificate>>,
    named: Option<&str>,
    now: i64,
) -> Option<Principal> {
    match (certificate, named) {
        (Some(certificate), None) => by_certificate(access, certificate),
        (_, Some(name)) => {
            let kind = if access.users.contains_key(name) {
                PrincipalKind::User
            } else {
                PrincipalKind::Token
            };
            let found = configured(access, &PrincipalId::new(kind, name), now)?;
            Some(Principal { certificate: certificate.cloned(), ..found })
        }
        (None, None) => access.open.then(open),
    }
}

/// Who everyone is under `auth: none`.
pub(super) fn open() -> Principal {
    Principal::new(PrincipalId::new(PrincipalKind::Open, "anyone"), everything())
}

/// Who everyone is at the admin socket. Its file's mode has decided who that may be; in a user
/// namespace, as in our unit, the kernel does not tell us more.
pub(super) fn local() -> Principal {
    Principal::new(PrincipalId::new(PrincipalKind::Local, "local"), everything())
}

fn everything() -> RightsTable {
    let everything = [("*", Rights::ALL), ("/*", Rights::READ)];
    RightsTable(everything.map(|(pattern, rights)| (pattern.to_owned(), rights)).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Token;

    fn access() -> Access {
        let token = |text: &str, expires| Token {
            sha256: Sha256::digest(text).into(),
            expires,
            shared: false,
            rights: RightsTable::default(),
        };
        Access {
            tokens: [("a".into(), token("wsb_a", None)), ("b".into(), token("wsb_b", Some(100)))]
                .into(),
            ..Access::default()
        }
    }

    #[test]
    fn a_token_names_its_principal_until_it_expires() {
        let named =
            |text, now| by_token(&access(), &Secret::new(text), now).map(|found| found.id.name);
        assert_eq!(named("wsb_a", 1_000_000).as_deref(), Some("a"));
        assert_eq!(named("wsb_b", 100).as_deref(), Some("b"));
        assert_eq!(named("wsb_b", 101), None);
        assert_eq!(named("wsb_", 0), None);
        assert_eq!(named("", 0), None);
    }

    #[test]
    fn authorization_headers_are_read_strictly() {
        let basic = |text: &str| {
            PresentedCredential::authorization(&format!("Basic {}", STANDARD.encode(text)))
        };
        assert!(
            matches!(basic("alice:a:b"), PresentedCredential::Basic(name, word) if name == "alice" && word.reveal() == "a:b")
        );
        assert!(
            matches!(PresentedCredential::authorization("bearer wsb_x"), PresentedCredential::Bearer(text) if text.reveal() == "wsb_x")
        );
        for wrong in ["Basic", "Basic %%%", "Basic YWxpY2U=", "Digest x", "Bearer", "Bearer ", ""] {
            assert!(
                matches!(
                    PresentedCredential::authorization(wrong),
                    PresentedCredential::Unreadable
                ),
                "{wrong}"
            );
        }
    }

    #[test]
    fn nothing_shown_is_ever_printed() {
        let shown = PresentedCredential::authorization("Bearer wsb_secret");
        assert!(!format!("{shown:?}").contains("wsb_secret"));
    }
}
