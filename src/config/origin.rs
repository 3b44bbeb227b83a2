//! The origin of a web page, as the configuration names it.

use std::fmt;

use serde_json::{Value, json};

use super::{addresses::host_name, units::Scalar};

/// Scheme, host and port of a page, exactly; the default port is filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// `http` or `https`, or an extension's scheme.
    pub scheme: String,
    /// Host, lower case, IPv6 in brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Origin {
    /// Whether it belongs to no web site: it is that of a file, or of an app on a phone or desktop.
    /// Any file or app of that kind has it.
    pub fn is_of_app(&self) -> bool {
        !matches!(self.scheme.as_str(), "http" | "https") && !self.scheme.ends_with("-extension")
    }
}

impl fmt::Display for Origin {
    /// As browsers write it: without the default port.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        match (self.scheme.as_str(), self.port) {
            ("http", 80) | ("https", 443) | (_, 0) => Ok(()),
            (_, port) => write!(f, ":{port}"),
        }
    }
}

impl Scalar for Origin {
    fn read(text: &str) -> Result<Self, String> {
        let say = |why: &str| {
            Err(format!("`{text}` is not an origin: {why}; write it like https://tools.example"))
        };
        if text == "null" {
            return say("null stands for any sandboxed page, so it can never be allowed");
        }
        if text.contains('*') {
            return say("wildcards are not allowed; name each origin");
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return say("the scheme is missing");
        };
        let scheme = scheme.to_ascii_lowercase();
        if scheme.is_empty()
            || !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        {
            return say("the scheme has wrong letters");
        }
        if matches!(scheme.as_str(), "ws" | "wss") {
            return say("pages come from http or https, an app's or an extension's scheme");
        }
        if scheme == "file" {
            let port = 0;
            return if rest.is_empty() {
                Ok(Self { scheme, host: String::new(), port })
            } else {
                say("all files have one origin, file://")
            };
        }
        if rest.contains(['/', '?', '#', '@']) {
            return say("an origin has no path, query or user");
        }
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !rest.ends_with(']') => (host, Some(port)),
            _ => (rest, None),
        };
        let bracketed = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
        let host = match bracketed.map(str::parse::<std::net::Ipv6Addr>) {
            Some(Ok(ip)) => format!("[{ip}]"),
            None if host_name(host) => host.to_ascii_lowercase(),
            _ => {
                return say(
                    "the host is not a name (write international names in their xn-- form)",
                );
            }
        };
        let port = match port.map(str::parse) {
            Some(Ok(0) | Err(_)) => return say("the port is not a number from 1 to 65535"),
            Some(Ok(port)) => port,
            None => match scheme.as_str() {
                "http" => 80,
                "https" => 443,
                _ => 0,
            },
        };
        Ok(Self { scheme, host, port })
    }

    fn kind() -> String {
        "origin".into()
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[a-z][a-z0-9+.-]*://[^/?#@*]+$", "examples": ["https://tools.example"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port_and_nothing_else() {
        let origin = |scheme: &str, host: &str, port| Origin {
            scheme: scheme.into(),
            host: host.into(),
            port,
        };
        assert_eq!(
            Origin::read("https://Tools.Example"),
            Ok(origin("https", "tools.example", 443))
        );
        assert_eq!(Origin::read("http://[::1]:8080"), Ok(origin("http", "[::1]", 8080)));
        assert_eq!(Origin::read("http://[::1]"), Ok(origin("http", "[::1]", 80)));
        assert_eq!(
            Origin::read("chrome-extension://abcdef"),
            Ok(origin("chrome-extension", "abcdef", 0))
        );
        for (wrong, why) in [
            ("null", "sandboxed"),
            ("*", "wildcards"),
            ("https://*.example", "wildcards"),
            ("tools.example", "scheme"),
            ("https://tools.example/", "no path"),
            ("https://a@tools.example", "no path, query or user"),
            ("wss://tools.example", "http"),
            ("https://tools.example:0", "port"),
            ("https://", "host"),
            ("https://bücher.example", "xn--"),
        ] {
            let error = Origin::read(wrong).unwrap_err();
            assert!(
                error.contains(why) && error.contains("https://tools.example"),
                "{wrong}: {error}"
            );
        }
    }

    #[test]
    fn it_prints_as_browsers_write_it() {
        for text in [
            "https://tools.example",
            "https://tools.example:8443",
            "file://",
            "capacitor://localhost",
        ] {
            assert_eq!(Origin::read(text).unwrap().to_string(), text);
        }
        assert_eq!(Origin::read("https://a:443").unwrap().to_string(), "https://a");
        let app = |text| Origin::read(text).unwrap().is_of_app();
        assert!(app("file://") && app("capacitor://localhost"));
        assert!(!app("https://localhost") && !app("chrome-extension://abc") && !app("http://a"));
    }
}
