//! Sign-in by the proxy: a header in which a trusted proxy names the user of ours who has signed in
//! there.
//!
//! A browser sends its sign-in at the proxy whichever page asks, so the header is as ambient as a
//! cookie: it counts from our own page alone. Where no Origin names a page, it counts only for
//! reading, and only from a browser that says it is our page.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

use super::{
    AllowedOrigin, Auth, AuthRequest, ClientAddress, Peer, PresentedCredential, Principal,
    PrincipalId, PrincipalKind, Purpose, Visit, is_trusted,
};
use crate::{
    config::{Config, TrustedProxies},
    wire::close::Refusal,
};

/// Values of the headers that the configuration names, as they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProxyWord<'a> {
    /// The header with the user.
    pub user: Vec<&'a str>,
    /// The header with the secret.
    pub secret: Vec<&'a str>,
}

/// Whether this comes from the proxy itself, and from no other program that can reach us: by a unix
/// socket, from another machine's address, or with the secret.
fn is_vouched(peer: &Peer, word: &ProxyWord<'_>, trusted: &TrustedProxies) -> bool {
    if !is_trusted(peer, trusted) {
        return false;
    }
    if let Some(secret) = &trusted.secret {
        let &[shown] = word.secret.as_slice() else { return false };
        let shown: [u8; 32] = Sha256::digest(shown).into();
        return shown.ct_eq(&secret.sha256).into();
    }
    match peer.client {
        ClientAddress::Local => true,
        ClientAddress::Direct(address) => !address.ip().to_canonical().is_loopback(),
        // An announced address is that of whoever connected to the proxy.
        ClientAddress::Forwarded(_) | ClientAddress::Announced(_) => false,
    }
}

impl Auth {
    /// The user that the proxy names; `None` if its word does not count.
    pub(super) fn by_proxy(
        &self,
        config: &Config,
        peer: &Peer,
        ask: &AuthRequest<'_>,
        visit: &Visit,
    ) -> Result<Option<Principal>, Refusal> {
        let (word, trusted) = (&ask.proxy, &config.trusted_proxies);
        // Cookies know no ports, and neither does the proxy's sign-in: at an app's origin it would
        // speak for pages that are not ours.
        let counts =
            peer.app.is_none() && matches!(visit.page, AllowedOrigin::Own | AllowedOrigin::None);
        if word.user.is_empty() || !counts || !is_vouched(peer, word, trusted) {
            return Ok(None);
        }
        let &[name] = word.user.as_slice() else {
            return Err(Refusal::BadRequest("the proxy's user header came twice"));
        };
        if name.is_empty() {
            return Err(Refusal::BadRequest("the proxy's user header is empty"));
        }
        if !matches!(ask.shown, PresentedCredential::Nothing | PresentedCredential::Basic(..)) {
            return Err(Refusal::BadRequest(
                "more than one credential: the proxy's user, and a token or ticket",
            ));
        }
        let read_by_a_page =
            ask.purpose == Purpose::Read && matches!(ask.signs.site, Some("same-origin" | "none"));
        if visit.page == AllowedOrigin::None && !read_by_a_page {
            let why = "signed in by the proxy: only pages in a browser may use that, by their Origin. A program sends \
                       `Authorization: Bearer` past the proxy's sign-in";
            return Err(Refusal::Origin(why.to_owned()));
        }
        let user = PrincipalId::new(PrincipalKind::User, name);
        self.find(config, &user).map(Some).ok_or_else(|| {
            tracing::debug!("the proxy names a user who is not in `users:`");
            Refusal::Unauthorized
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ProxySecret;

    fn trusted(secret: Option<&str>) -> TrustedProxies {
        TrustedProxies {
            addresses: vec![("127.0.0.0".parse().unwrap(), 8), ("192.0.2.9".parse().unwrap(), 32)],
            user_header: Some("remote-user".into()),
            secret: secret.map(|text| ProxySecret {
                header: "x-secret".into(),
                sha256: Sha256::digest(text).into(),
            }),
            ..TrustedProxies::default()
        }
    }

    fn vouched(client: ClientAddress, secrets: &[&str], trusted: &TrustedProxies) -> bool {
        let word = ProxyWord { user: vec!["alice"], secret: secrets.to_vec() };
        is_vouched(&Peer { client, ..Peer::default() }, &word, trusted)
    }

    #[test]
    fn another_program_of_the_proxys_machine_is_not_believed() {
        let direct = |text: &str| ClientAddress::Direct(text.parse().unwrap());
        let plain = trusted(None);
        assert!(vouched(ClientAddress::Local, &[], &plain));
        assert!(vouched(direct("192.0.2.9:1"), &[], &plain));
        assert!(!vouched(direct("192.0.2.8:1"), &[], &plain), "no proxy of ours");
        assert!(!vouched(direct("127.0.0.1:1"), &[], &plain));
        assert!(!vouched(direct("[::ffff:127.0.0.1]:1"), &[], &plain));
        assert!(!vouched(ClientAddress::Announced("192.0.2.9:1".parse().unwrap()), &[], &plain));
    }

    #[test]
    fn where_there_is_a_secret_it_is_shown_once_and_right() {
        let client = ClientAddress::Direct("127.0.0.1:1".parse().unwrap());
        let guarded = trusted(Some("wsb_x"));
        assert!(vouched(client, &["wsb_x"], &guarded));
        for wrong in [&[][..], &["wsb_y"], &["wsb_x", "wsb_x"], &[""]] {
            assert!(!vouched(client, wrong, &guarded), "{wrong:?}");
        }
        assert!(!vouched(ClientAddress::Local, &[], &guarded));
    }
}
