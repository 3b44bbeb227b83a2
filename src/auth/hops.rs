//! The elements of `Forwarded` (RFC 7239 section 4), one for each proxy on the way.

use std::net::IpAddr;

/// What one proxy wrote about whoever asked it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Hop<'a> {
    /// `for`, if it is an address.
    pub(super) address: Option<IpAddr>,
    /// `host`.
    pub(super) host: Option<&'a str>,
    /// `proto`.
    pub(super) proto: Option<&'a str>,
}

/// All elements, the nearest proxy's first. An element that breaks the grammar says nothing, and
/// nothing written before it is believed.
pub(super) fn read<'a>(lines: &[&'a str]) -> Vec<Hop<'a>> {
    let elements: Vec<_> = lines.iter().flat_map(|line| split(line, b',')).collect();
    let filled = elements.into_iter().rev().filter(|element| !element.trim().is_empty());
    filled.map(|element| hop(element).unwrap_or_default()).collect()
}

fn hop(element: &str) -> Option<Hop<'_>> {
    let mut hop = Hop::default();
    let mut named = Vec::new();
    for pair in split(element, b';') {
        if pair.trim().is_empty() {
            continue;
        }
        let (name, value) = pair.trim().split_once('=')?;
        let value = match value.strip_prefix('"') {
            // Escapes are legal, but no address, host or scheme has any.
            Some(rest) => rest.strip_suffix('"').filter(|inner| !inner.contains(['"', '\\']))?,
            None => value,
        };
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            "for" => hop.address = address(value),
            "host" => hop.host = Some(value),
            "proto" => hop.proto = Some(value),
            _ => {}
        }
        // Section 4: each parameter once.
        if named.contains(&name) {
            return None;
        }
        named.push(name);
    }
    Some(hop)
}

/// The parts between separators outside quotes.
fn split(text: &str, separator: u8) -> Vec<&str> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if byte == separator && !quoted => {
                parts.extend(text.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.extend(text.get(start..));
    parts
}

/// The address of a node: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`; `None`
/// for `unknown` and names.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    if let Some(rest) = text.strip_prefix('[') {
        let (inner, port) = rest.split_once(']')?;
        let address = inner.parse().ok().map(IpAddr::V6)?;
        return (port.is_empty() || is_port(port)).then_some(address);
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address);
    }
    let (address, port) = text.split_at_checked(text.find(':')?)?;
    address.parse().ok().map(IpAddr::V4).filter(|_| is_port(port))
}

/// `:80`, or an obfuscated port (section 6.3).
fn is_port(text: &str) -> bool {
    let port = text.strip_prefix(':').unwrap_or_default();
    !port.is_empty()
        && port.len() <= 32
        && port.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn elements_are_read_with_quotes_from_the_nearest_on() {
        let all = read(&[
            r#"for=192.0.2.1;Proto=https;host="a,b;c", For="[2001:db8::7]:99""#,
            "for=unknown",
        ]);
        let told: Vec<_> = all
            .iter()
            .map(|hop| (hop.address.map(|ip| ip.to_string()), hop.host, hop.proto))
            .collect();
        assert_eq!(
            told,
            [
                (None, None, None),
                (Some("2001:db8::7".into()), None, None),
                (Some("192.0.2.1".into()), Some("a,b;c"), Some("https")),
            ]
        );
    }

    #[test]
    fn what_breaks_the_grammar_says_nothing() {
        for wrong in [
            "for",
            "for=192.0.2.1;for=192.0.2.2",
            "for=\"192.0.2.1",
            "for=\"1\\92.0.2.1\"",
            "x;for=192.0.2.1",
        ] {
            assert_eq!(read(&[wrong]), [Hop::default()], "{wrong}");
        }
        assert!(read(&["", " , "]).is_empty());
    }

    #[test]
    fn a_node_is_an_address_with_or_without_a_port() {
        for (text, wanted) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1:80", Some("192.0.2.1")),
            ("192.0.2.1:_x", Some("192.0.2.1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:80", Some("2001:db8::1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("unknown", None),
            ("_hidden", None),
            ("192.0.2.1:", None),
            ("192.0.2.1 ", None),
            ("[2001:db8::1", None),
            ("[192.0.2.1]", None),
            ("0300.0.2.1", None),
            ("", None),
        ] {
            assert_eq!(address(text).map(|ip| ip.to_string()).as_deref(), wanted, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([a-z=;,\"\\\\\\[\\]:. ]|\\PC){0,60}") {
            let _ = (read(&[&text]), address(&text));
        }
    }
}
