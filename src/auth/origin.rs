//! The page a request comes from: ours, a listed one, none, or an attack (cross-site WebSocket
//! hijacking).

use super::host::Authority;
use crate::{config::Origin, wire::close::Refusal};

/// What kind of request it is; that decides how strictly a missing Origin is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A WebSocket handshake. Every browser sends Origin with it (RFC 6455 section 4.1).
    Upgrade,
    /// A read without effect. Browsers leave Origin out of these when they stay on one site;
    /// another site's page may send them but cannot read the answer.
    Read,
    /// A change. Browsers send Origin with every method but GET and HEAD (Fetch standard section
    /// 3.1).
    Change,
}

/// Where a request comes from, once the rules have let it pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AllowedOrigin {
    /// Our own page.
    Own,
    /// A listed page.
    Listed,
    /// A listed file or app page: any other of its kind has the same origin, so it needs a
    /// credential of its own.
    App,
    /// No page: a program, or a reading request from our own page.
    None,
}

/// What a browser says about a request's page.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Signs<'a> {
    /// `Origin`.
    pub origin: Option<&'a str>,
    /// `Sec-Fetch-Site`.
    pub site: Option<&'a str>,
    /// `Sec-Fetch-Mode`.
    pub mode: Option<&'a str>,
}

/// Said where the Origin that a browser would send is missing.
pub(super) const ABSENT: &str = "without an Origin this takes a token (`Authorization: Bearer`), or a password with nothing that a \
                                 browser adds";

/// The same, of what changes something: there a browser would send a password by itself.
pub(super) const ABSENT_CHANGE: &str = "without an Origin this takes a token (`Authorization: Bearer`); with a password POST /api/logins gives one";

/// Said where a file or an app's page brought no credential of its own.
pub(super) const APP_NEEDS_TOKEN: &str = "a file's or an app's page needs a token or a ticket: any other of that kind has the same origin";

/// Reads an Origin as browsers serialise it (RFC 6454 section 6.2): `scheme://host[:port]` in lower
/// case, nothing else. `None` for `null`, lists, paths, and anything else that no browser would
/// send.
pub(crate) fn parse(text: &str) -> Option<Origin> {
    let (scheme, rest) = text.split_once("://")?;
    if text == "file://" {
        return Some(Origin { scheme: scheme.to_owned(), host: String::new(), port: 0 });
    }
    let plain = !scheme.is_empty()
        && scheme.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte)
        })
        && !text.bytes().any(|byte| byte.is_ascii_uppercase());
    let authority = Authority::parse(rest).filter(|_| plain)?;
    // To a browser, `a.` and `a` are two origins; only the second can be ours.
    let dotted = rest.split(':').next().is_some_and(|host| host.ends_with('.'));
    let port = authority.port.unwrap_or_else(|| default_port(scheme));
    (!dotted).then(|| Origin { scheme: scheme.to_owned(), host: authority.host, port })
}

/// A scheme's default port; 0 for an extension's scheme, which has none.
pub(crate) fn default_port(scheme: &str) -> u16 {
    match scheme {
        "http" => 80,
        "https" => 443,
        _ => 0,
    }
}

/// Rules 2 and 3: Origin is exactly ours or listed, and Sec-Fetch-* does not contradict it. Whether
/// a missing Origin is acceptable depends on the credentials and is decided later
/// ([`absent_allowed`]).
pub(super) fn check(
    signs: Signs<'_>,
    own: &Origin,
    listed: &[Origin],
    purpose: Purpose,
) -> Result<AllowedOrigin, Refusal> {
    let page = match signs.origin {
        None => AllowedOrigin::None,
        Some(text) => match parse(text) {
            Some(origin) if origin == *own => AllowedOrigin::Own,
            Some(origin) if listed.contains(&origin) && origin.is_of_app() => AllowedOrigin::App,
            Some(origin) if listed.contains(&origin) => AllowedOrigin::Listed,
            other => return Err(Refusal::Origin(foreign(text, other.as_ref(), own))),
        },
    };
    let foreign = matches!(signs.site, Some("cross-site" | "same-site"));
    let wrong_mode =
        purpose == Purpose::Upgrade && signs.mode.is_some_and(|mode| mode != "websocket");
    if foreign && !matches!(page, AllowedOrigin::Listed | AllowedOrigin::App) {
        let why = "the browser says that the request comes from another site or origin (Sec-Fetch-Site), and that origin is not on the list";
        return Err(Refusal::Origin(why.to_owned()));
    }
    if wrong_mode {
        return Err(Refusal::Origin(
            "the browser says that this is not a WebSocket request (Sec-Fetch-Mode)".to_owned(),
        ));
    }
    Ok(page)
}

/// What was compared, and what to set if something would help.
fn foreign(text: &str, page: Option<&Origin>, own: &Origin) -> String {
    const SHOWN_MAX: usize = 200;
    let shown: String =
        text.chars().take(SHOWN_MAX).map(|c| if c.is_control() { '?' } else { c }).collect();
    let compared = format!("this page's origin is {shown}, and the gateway is {own} as seen here");
    let help = match page {
        None if text == "null" => {
            "null is the origin of sandboxed pages, and of files in Firefox: it can never be allowed. Serve the page, or open it \
             in a browser that calls a file file://"
                .to_owned()
        }
        None => "no browser sends such an origin".to_owned(),
        Some(page) if page.host == own.host => "if they are the same page, a proxy in front changes how the gateway is \
             seen: it passes Host with its port and X-Forwarded-Proto on, and is named in `trusted_proxies:`. Another program of \
             this host is added to `origins:`"
            .to_owned(),
        Some(page) => format!("if its pages may use the gateway: `origins: [ \"{page}\" ]`"),
    };
    format!("{compared}; {help}")
}

/// What came instead of an Origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// A bearer token or a ticket: no browser adds these by itself.
    Deliberate,
    /// A password or a client certificate: a browser may add these by itself, but then it also
    /// sends Origin with a handshake, or a cookie.
    Automatic,
    /// `auth: none`, asked from this machine for this machine.
    OpenHere,
    /// `auth: none` otherwise.
    OpenElsewhere,
}

/// Rule 2 for an absent Origin.
pub(super) fn absent_allowed(purpose: Purpose, proof: Proof, browser: bool) -> bool {
    match (purpose, proof) {
        (_, Proof::Deliberate) | (Purpose::Read, _) => true,
        (Purpose::Upgrade, Proof::Automatic) | (_, Proof::OpenHere) => !browser,
        (Purpose::Change, Proof::Automatic) | (_, Proof::OpenElsewhere) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Origin {
        parse("https://gateway.example:8443").unwrap()
    }

    fn judge(text: &str) -> Option<AllowedOrigin> {
        let listed =
            [parse("https://tools.example").unwrap(), parse("http://[2001:db8::1]:81").unwrap()];
        let signs = Signs { origin: Some(text), ..Signs::default() };
        check(signs, &own(), &listed, Purpose::Upgrade).ok()
    }

    #[test]
    fn our_own_page_and_the_listed_ones_pass() {
        assert_eq!(judge("https://gateway.example:8443"), Some(AllowedOrigin::Own));
        assert_eq!(judge("https://tools.example"), Some(AllowedOrigin::Listed));
        assert_eq!(judge("https://tools.example:443"), Some(AllowedOrigin::Listed));
        assert_eq!(judge("http://[2001:db8::1]:81"), Some(AllowedOrigin::Listed));
    }

    #[test]
    fn look_alikes_are_refused() {
        for origin in [
            "null",
            "",
            "*",
            "http://gateway.example:8443",
            "https://gateway.example",
            "https://gateway.example:443",
            "https://gateway.example:84430",
            "https://gateway.example:8443.evil.example",
            "https://gateway.example:8443/",
            "https://gateway.example:8443/path",
            "https://gateway.example:8443 https://evil.example",
            "https://gateway.example:8443, https://evil.example",
            "https://gateway.example.evil.example:8443",
            "https://evil-gateway.example:8443",
            "https://xgateway.example:8443",
            "https://evil.gateway.example:8443",
            "https://gateway.example.:8443",
            "https://gateway_example:8443",
            "https://GATEWAY.example:8443",
            "HTTPS://gateway.example:8443",
            "https://user@gateway.example:8443",
            "https://gateway.example@evil.example:8443",
            "https://gateway.example:8443@evil.example",
            "https://gateway.example:8443#",
            "https://gateway.example:8443?",
            "https://gateway.exam\u{0440}le:8443",
            "https:gateway.example:8443",
            "https:///gateway.example:8443",
            "wss://gateway.example:8443",
            "://gateway.example:8443",
            "gateway.example:8443",
            " https://gateway.example:8443",
            "http://tools.example",
            "https://tools.example.evil.example",
            "https://sub.tools.example",
            "https://tools.example:8443",
            "https://tools.exampl",
            "http://2001:db8::1:81",
        ] {
            assert_eq!(judge(origin), None, "{origin}");
        }
    }

    #[test]
    fn a_file_and_an_app_are_pages_of_their_own_kind_where_listed() {
        let listed = ["file://", "capacitor://localhost", "chrome-extension://abc"]
            .map(|text| parse(text).unwrap());
        let judge = |text| {
            check(
                Signs { origin: Some(text), ..Signs::default() },
                &own(),
                &listed,
                Purpose::Upgrade,
            )
            .ok()
        };
        assert_eq!(judge("file://"), Some(AllowedOrigin::App));
        assert_eq!(judge("capacitor://localhost"), Some(AllowedOrigin::App));
        assert_eq!(judge("chrome-extension://abc"), Some(AllowedOrigin::Listed));
        for other in ["null", "ionic://localhost", "file:///x", "capacitor://localhost:1"] {
            assert_eq!(judge(other), None, "{other}");
        }
    }

    #[test]
    fn a_refusal_says_what_was_compared_and_what_helps() {
        let said = |text| {
            let refused = check(
                Signs { origin: Some(text), ..Signs::default() },
                &own(),
                &[],
                Purpose::Upgrade,
            );
            let Err(Refusal::Origin(why)) = refused else { panic!("{refused:?}") };
            assert!(why.contains("the gateway is https://gateway.example:8443"), "{why}");
            why
        };
        assert!(said("https://tools.example").contains("`origins: [ \"https://tools.example\" ]`"));
        let proxy = said("https://gateway.example");
        assert!(
            proxy.contains("trusted_proxies") && proxy.contains("X-Forwarded-Proto"),
            "{proxy}"
        );
        assert!(said("null").contains("never be allowed") && !said("null").contains("origins:"));
        assert!(!said("https://a/b").contains("origins:"));
    }

    #[test]
    fn fetch_metadata_against_the_origin_is_refused() {
        let listed = [parse("https://tools.example").unwrap()];
        let verdict = |origin, site, mode| {
            check(
                Signs { origin, site: Some(site), mode: Some(mode) },
                &own(),
                &listed,
                Purpose::Upgrade,
            )
            .is_ok()
        };
        let (ours, theirs) = (Some("https://gateway.example:8443"), Some("https://tools.example"));
        assert!(verdict(ours, "same-origin", "websocket"));
        assert!(verdict(theirs, "cross-site", "websocket"));
        assert!(!verdict(ours, "cross-site", "websocket"));
        assert!(!verdict(ours, "same-site", "websocket"));
        assert!(!verdict(None, "cross-site", "websocket"));
        assert!(!verdict(ours, "same-origin", "no-cors"));
        assert!(!verdict(ours, "same-origin", "navigate"));
    }

    #[test]
    fn an_absent_origin_needs_a_credential_no_browser_adds() {
        use Proof::{Automatic, Deliberate, OpenElsewhere, OpenHere};
        assert!(absent_allowed(Purpose::Upgrade, Deliberate, true));
        assert!(absent_allowed(Purpose::Upgrade, Automatic, false));
        assert!(!absent_allowed(Purpose::Upgrade, Automatic, true));
        assert!(!absent_allowed(Purpose::Change, Automatic, false));
        assert!(absent_allowed(Purpose::Change, Deliberate, false));
        assert!(absent_allowed(Purpose::Upgrade, OpenHere, false));
        assert!(!absent_allowed(Purpose::Upgrade, OpenHere, true));
        assert!(!absent_allowed(Purpose::Upgrade, OpenElsewhere, false));
        assert!(absent_allowed(Purpose::Read, OpenElsewhere, true));
    }
}
