//! Where browsers find the gateway through its proxy: the name, and the path below which it is.

use serde_json::{Value, json};

use super::{Origin, units::Scalar};

/// The longest path, in bytes.
const PREFIX_MAX: usize = 64;

/// The first parts of the gateway's own paths: below one of these, it would be unclear which is
/// meant.
const TAKEN: [&str; 7] =
    ["/api", "/ws", "/websockify", "/healthz", "/metrics", "/assets", "/ca.crt"];

/// The address that people type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Public {
    /// Scheme, host and port.
    pub origin: Origin,
    /// The path without a trailing slash: `/serial`, or empty.
    pub prefix: String,
}

impl Scalar for Public {
    fn read(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let at = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(at).unwrap_or((rest, ""));
        if !matches!(scheme, "http" | "https") {
            return Err(format!(
                "`{text}` is not the address of a page; write it like https://gateway.example/serial/"
            ));
        }
        let origin = Origin::read(&format!("{scheme}://{authority}"))?;
        let what = || {
            format!(
                "`{path}` cannot be a path prefix: it has 1 to 8 parts of A-Z a-z 0-9 . _ ~ -, none beginning with a dot, 64 bytes in all"
            )
        };
        let prefix = prefix(path).ok_or_else(what)?;
        let first = prefix.split('/').nth(1).unwrap_or_default();
        if TAKEN.iter().any(|taken| taken.strip_prefix('/') == Some(first)) {
            return Err(format!(
                "`/{first}` is a page of the gateway's own; put it below another path"
            ));
        }
        Ok(Self { origin, prefix })
    }

    fn kind() -> String {
        "address".into()
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^https?://", "examples": ["https://gateway.example/serial/"] })
    }
}

/// A prefix for our paths, without a trailing slash: `/serial`. Nothing in it could mean something
/// else to a browser, a cookie or another proxy.
pub(crate) fn prefix(text: &str) -> Option<String> {
    let text = text.strip_suffix('/').unwrap_or(text);
    if text.is_empty() {
        return Some(String::new());
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_~-".contains(&byte);
    let segment = |part: &str| {
        part.bytes().next().is_some_and(plain)
            && part.bytes().all(|byte| plain(byte) || byte == b'.')
    };
    let parts: Vec<_> = text.strip_prefix('/')?.split('/').collect();
    (text.len() <= PREFIX_MAX && parts.len() <= 8 && parts.iter().all(|part| segment(part)))
        .then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_an_origin_and_a_path_of_plain_parts() {
        let read =
            |text| Public::read(text).map(|public| (public.origin.to_string(), public.prefix));
        let is = |origin: &str, prefix: &str| Ok((origin.to_owned(), prefix.to_owned()));
        assert_eq!(read("https://gw.example/serial/"), is("https://gw.example", "/serial"));
        assert_eq!(read("https://gw.example:8443/a/b"), is("https://gw.example:8443", "/a/b"));
        assert_eq!(read("http://gw.example"), is("http://gw.example", ""));
        for (wrong, why) in [
            ("gw.example/serial", "not the address of a page"),
            ("wss://gw.example/", "not the address of a page"),
            ("https://gw.example/api/", "own"),
            ("https://gw.example/ws", "own"),
            ("https://gw.example/a/../b", "cannot be a path prefix"),
            ("https://gw.example//a", "cannot be a path prefix"),
            ("https://gw.example/a?b", "cannot be a path prefix"),
            ("https://*.example/", "wildcards"),
        ] {
            let error = read(wrong).unwrap_err();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_prefix_is_plain_segments_and_nothing_else() {
        let eight = "/a".repeat(8);
        let long = format!("/{}", "a".repeat(63));
        for (text, wanted) in [
            ("/serial", "/serial"),
            ("/serial/", "/serial"),
            ("/a/b.c/~d_-", "/a/b.c/~d_-"),
            ("/", ""),
            ("", ""),
            (&eight, &eight),
            (&long, &long),
        ] {
            assert_eq!(prefix(text).as_deref(), Some(wanted), "{text}");
        }
        let (nine, longer) = (format!("{eight}/a"), format!("{long}a"));
        for wrong in [
            "serial", "//", "//a", "/a//b", "/.", "/..", "/a/../b", "/.a", "/a b", "/%2e", "/a;b",
            "/ä", &nine, &longer,
        ] {
            assert_eq!(prefix(wrong), None, "{wrong}");
        }
    }
}
