//! A proxy on the way: `https_proxy`, `http_proxy`, `all_proxy` and `no_proxy`, as other programs
//! read them; HTTP CONNECT through it (RFC 9110 section 9.3.6).

use std::{fmt, net::IpAddr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{Site, reach::reach};

/// The longest answer to CONNECT, in bytes.
const ANSWER_MAX: usize = 16 * 1024;

/// What the environment says about proxies.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies {
    secure: Option<Result<Proxy, String>>,
    plain: Option<Result<Proxy, String>>,
    none: Vec<String>,
}

/// An HTTP proxy.
#[derive(Clone)]
pub(super) struct Proxy {
    host: String,
    port: u16,
    /// `Proxy-Authorization`.
    word: Option<String>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Proxies {
    /// The proxies that the environment names.
    pub(crate) fn of_environment() -> Self {
        Self::of_variables(|name| {
            let upper = name.to_uppercase();
            // A CGI program's HTTP_PROXY is a header of a request: only the name in lower case
            // counts.
            let upper = (name != "http_proxy").then(|| std::env::var(upper).ok()).flatten();
            std::env::var(name).ok().or(upper).filter(|text| !text.is_empty())
        })
    }

    fn of_variables(get: impl Fn(&str) -> Option<String>) -> Self {
        let named = |name| get(name).or_else(|| get("all_proxy"));
        let none = get("no_proxy").unwrap_or_default();
        let none = none.split([',', ' ']).map(|word| word.trim().to_lowercase());
        Self {
            secure: named("https_proxy").map(|text| Proxy::read(&text)),
            plain: named("http_proxy").map(|text| Proxy::read(&text)),
            none: none.filter(|word| !word.is_empty()).collect(),
        }
    }

    /// The proxy for a site; none for this machine's own addresses.
    pub(super) fn of(&self, site: &Site) -> Option<Result<&Proxy, &String>> {
        let proxy = if site.secure { self.secure.as_ref() } else { self.plain.as_ref() }?;
        let host = site.host.to_lowercase();
        let address = host.parse::<IpAddr>().ok();
        let here = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        let direct = here || self.none.iter().any(|word| excepts(word, &host, address, site.port));
        (!direct).then_some(proxy.as_ref())
    }
}

/// Whether an entry of `no_proxy` covers a host: a name and those below it, an address, a network.
fn excepts(word: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    if word == "*" {
        return true;
    }
    if let (Some(address), Some((network, bits))) = (address, word.split_once('/')) {
        return match (address, network.parse(), bits.parse::<u32>()) {
            (IpAddr::V4(address), Ok(IpAddr::V4(network)), Ok(bits @ 0..=32)) => {
                let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
                (address.to_bits() ^ network.to_bits()) & mask == 0
            }
            (IpAddr::V6(address), Ok(IpAddr::V6(network)), Ok(bits @ 0..=128)) => {
                let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
                (address.to_bits() ^ network.to_bits()) & mask == 0
            }
            _ => false,
        };
    }
    let bare = word.trim_matches(['[', ']']);
    if bare == host {
        return true;
    }
    let (name, its) = match word.rsplit_once(':') {
        Some((name, text)) if address.is_none() => (name, text.parse::<u16>().ok()),
        _ => (bare, Some(port)),
    };
    let name = name.trim_start_matches('*').trim_start_matches('.');
    let below = host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    address.is_none() && !name.is_empty() && its == Some(port) && below
}

impl Proxy {
    fn read(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        if scheme != "http" {
            return Err(format!(
                "the proxy of the environment is `{scheme}://`; only HTTP proxies (http://HOST:PORT) are spoken to"
            ));
        }
        let rest = rest.split('/').next().unwrap_or_default();
        let (word, place) = match rest.rsplit_once('@') {
            Some((word, place)) => (Some(STANDARD.encode(unescaped(word))), place),
            None => (None, rest),
        };
        let wrong = || "the proxy of the environment is not http://HOST:PORT".to_owned();
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| wrong())?)
            }
            _ => (place, 80),
        };
        let host = host.trim_matches(['[', ']']);
        if host.is_empty() {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port, word })
    }

    /// Opens a way through it.
    pub(super) async fn through(&self, site: &Site) -> Result<TcpStream, String> {
        let place = format!("{self:?}");
        let told = |what: &dyn fmt::Display| format!("{site} by the proxy {place}: {what}");
        let mut stream = reach(&self.host, self.port).await.map_err(|error| told(&error))?;
        let word = self.word.as_ref();
        let word = word.map(|word| format!("Proxy-Authorization: Basic {word}\r\n"));
        let ask =
            format!("CONNECT {site} HTTP/1.1\r\nHost: {site}\r\n{}\r\n", word.unwrap_or_default());
        stream.write_all(ask.as_bytes()).await.map_err(|error| told(&error))?;
        let mut head = Vec::new();
        // Byte by byte: what follows the head belongs to the other end.
        while !head.ends_with(b"\r\n\r\n") {
            let byte = stream.read_u8().await.map_err(|error| told(&error))?;
            head.push(byte);
            if head.len() > ANSWER_MAX {
                return Err(told(&"its answer is too long"));
            }
        }
        let first = String::from_utf8_lossy(&head);
        let first = first.lines().next().unwrap_or_default().trim();
        let status = first.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
        match status {
            Some(status) if status.starts_with('2') => Ok(stream),
            Some("407") => {
                Err(told(&"it wants a password; write it as http://USER:PASSWORD@HOST:PORT"))
            }
            _ => Err(told(&format!("it says `{}`", first.escape_debug()))),
        }
    }
}

/// Undoes percent escapes.
fn unescaped(text: &str) -> Vec<u8> {
    let (mut bytes, mut left) = (Vec::new(), text.as_bytes());
    while let Some((first, rest)) = left.split_first() {
        let pair = rest.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        let byte =
            pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).filter(|_| *first == b'%');
        bytes.push(byte.unwrap_or(*first));
        left = rest.get(if byte.is_some() { 2 } else { 0 }..).unwrap_or_default();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(pairs: &[(&str, &str)]) -> Proxies {
        let get = |name: &str| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, text)| (*text).to_owned())
        };
        Proxies::of_variables(get)
    }

    fn goes(all: &Proxies, secure: bool, host: &str) -> Option<String> {
        let site = Site { secure, host: host.into(), port: 8443 };
        all.of(&site).map(|proxy| format!("{proxy:?}"))
    }

    #[test]
    fn each_scheme_has_its_proxy_and_this_machine_none() {
        let all =
            proxies(&[("https_proxy", "http://proxy.example:3128/"), ("http_proxy", "10.0.0.1")]);
        assert_eq!(goes(&all, true, "gw.example").as_deref(), Some("Ok(proxy.example:3128)"));
        assert_eq!(goes(&all, false, "gw.example").as_deref(), Some("Ok(10.0.0.1:80)"));
        for here in ["localhost", "127.0.0.1", "::1"] {
            assert_eq!(goes(&all, true, here), None, "{here}");
        }
        assert_eq!(goes(&proxies(&[]), true, "gw.example"), None);
        let other = proxies(&[("all_proxy", "socks5://h:1080")]);
        assert!(goes(&other, true, "gw.example").unwrap().contains("only HTTP proxies"));
    }

    #[test]
    fn no_proxy_names_hosts_those_below_them_addresses_and_networks() {
        for (word, host, direct) in [
            ("*", "gw.example", true),
            ("gw.example", "gw.example", true),
            ("example", "gw.example", true),
            (".example", "gw.example", true),
            ("*.example", "gw.example", true),
            ("ample", "gw.example", false),
            ("gw.example:8443", "gw.example", true),
            ("gw.example:443", "gw.example", false),
            ("GW.example", "gw.EXAMPLE", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.0/24", "192.0.2.7", true),
            ("192.0.3.0/24", "192.0.2.7", false),
            ("0.0.0.0/0", "192.0.2.7", true),
            ("2001:db8::/32", "2001:db8::7", true),
            ("2001:db8::7", "2001:db8::7", true),
            ("2.7", "192.0.2.7", false),
        ] {
            let all = proxies(&[("https_proxy", "h:1"), ("no_proxy", &format!("x, {word}"))]);
            assert_eq!(goes(&all, true, host).is_none(), direct, "{word} {host}");
        }
    }

    #[test]
    fn a_proxys_password_is_read_and_not_shown() {
        let proxy = Proxy::read("http://anna:p%40ss@proxy:8080").unwrap();
        assert_eq!(proxy.word.as_deref(), Some(STANDARD.encode("anna:p@ss").as_str()));
        assert_eq!(format!("{proxy:?}"), "proxy:8080");
        for wrong in ["http://", "http://h:x", "https://h:1"] {
            assert!(Proxy::read(wrong).is_err(), "{wrong}");
        }
    }
}
