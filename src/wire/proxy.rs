//! The header of the PROXY protocol, versions 1 and 2: whom a proxy's connection is for.
//!
//! <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>. What follows the header is the
//! client's, so not one byte beyond the header may be read: [`scan`] says how many bytes are
//! certain to be part of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest header of version 1, with its CRLF.
const LINE_MAX: usize = 107;

/// Length of the shortest header, which is one of version 1.
const HEADER_LEAST: usize = b"PROXY UNKNOWN\r\n".len();

/// The most bytes of type-length-value fields after the addresses in version 2.
pub const TLV_BYTES_MAX: usize = 4096;

/// The longest header that [`scan`] accepts.
pub const PROXY_HEADER_MAX: usize = FIXED + UNIX + TLV_BYTES_MAX;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, command, family, length.
const FIXED: usize = 16;
/// Bytes of two unix addresses.
const UNIX: usize = 216;
/// A field about the client's TLS (section 2.2.6).
const TLS_FIELD: u8 = 0x20;
/// A bit in it: the client came over TLS.
const CLIENT_TLS: u8 = 1;

/// A connection that a proxy passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The client.
    pub source: SocketAddr,
    /// The address it connected to.
    pub destination: SocketAddr,
    /// Whether the client came over TLS that ended at the proxy.
    pub tls: bool,
}

/// How far a header has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderProgress {
    /// At least this many more bytes are part of it.
    More(usize),
    /// It is complete. `None`: the connection is the proxy's own (a health check), or its client is
    /// not named.
    Done(Option<Announced>),
}

/// Reads the header at the front of `buf`, which holds no more than was asked for. An error says
/// what is wrong with it, as soon as nothing could mend it.
pub fn scan(buf: &[u8]) -> Result<HeaderProgress, &'static str> {
    if buf.is_empty() {
        return Ok(HeaderProgress::More(HEADER_LEAST));
    }
    let begins = |signature: &[u8]| {
        let length = buf.len().min(signature.len());
        buf.get(..length) == signature.get(..length)
    };
    if begins(SIGNATURE) {
        binary(buf)
    } else if begins(b"PROXY ") {
        line(buf)
    } else {
        Err("no PROXY protocol header: this listener accepts only connections that begin with one")
    }
}

/// Version 1, `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n`.
fn line(buf: &[u8]) -> Result<HeaderProgress, &'static str> {
    const LINE_UNREADABLE: &str = "the PROXY line cannot be read";
    if let Some(missing) = HEADER_LEAST.checked_sub(buf.len()).filter(|missing| *missing > 0) {
        return Ok(HeaderProgress::More(missing));
    }
    let Some(text) = buf.strip_suffix(b"\r\n") else {
        let whole = buf.len() < LINE_MAX && !buf.contains(&b'\n');
        return if whole {
            Ok(HeaderProgress::More(1))
        } else {
            Err("the PROXY line is over 107 bytes, or ends in LF alone")
        };
    };
    let text = str::from_utf8(text).map_err(|_| LINE_UNREADABLE)?;
    let words: Vec<_> = text.split(' ').collect();
    let &[_, family, source, destination, from, to] = words.as_slice() else {
        // Whatever follows UNKNOWN means nothing (section 2.1).
        let unknown = words.get(1) == Some(&"UNKNOWN") && !text.contains('\r');
        return if unknown { Ok(HeaderProgress::Done(None)) } else { Err(LINE_UNREADABLE) };
    };
    let address = |text: &str| match family {
        "TCP4" => text.parse().ok().map(IpAddr::V4),
        "TCP6" => text.parse().ok().map(IpAddr::V6),
        _ => None,
    };
    if family == "UNKNOWN" {
        return Ok(HeaderProgress::Done(None));
    }
    let socket = |ip, port| Some(SocketAddr::new(address(ip)?, number(port)?));
    let (source, destination) =
        socket(source, from).zip(socket(destination, to)).ok_or(LINE_UNREADABLE)?;
    Ok(HeaderProgress::Done(Some(Announced { source, destination, tls: false })))
}

/// Digits only, without leading zeros.
fn number(text: &str) -> Option<u16> {
    let plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

/// Version 2.
fn binary(buf: &[u8]) -> Result<HeaderProgress, &'static str> {
    let Some((fixed, rest)) = buf.split_first_chunk::<FIXED>() else {
        return Ok(HeaderProgress::More(FIXED - buf.len()));
    };
    let [.., command, family, high, low] = *fixed;
    let (proxied, addresses) = match (command, family) {
        (0x21, 0x11) => (true, 12),
        (0x21, 0x21) => (true, 36),
        (0x21, 0x31) => (false, UNIX),
        // The proxy's own connection, or a client that is not named.
        (0x20, _) | (0x21, 0x00) => (false, 0),
        (0x21, _) => return Err("the PROXY header is not for a TCP connection"),
        _ => return Err("the PROXY header has an unknown version or command"),
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    // What a LOCAL connection has there means nothing, but may be no longer than it could be.
    let most = TLV_BYTES_MAX + if command == 0x20 { UNIX } else { addresses };
    if length < addresses || length > most {
        return Err(
            "the PROXY header is shorter than its addresses, or has over 4 KiB of fields behind them",
        );
    }
    if let Some(missing) = length.checked_sub(rest.len()).filter(|missing| *missing > 0) {
        return Ok(HeaderProgress::More(missing));
    }
    let (addresses, fields) = rest.split_at_checked(addresses).unwrap_or_default();
    if !proxied {
        return Ok(HeaderProgress::Done(None));
    }
    let (source, destination) =
        sockets(addresses).ok_or("the addresses of the PROXY header cannot be read")?;
    Ok(HeaderProgress::Done(Some(Announced { source, destination, tls: came_by_tls(fields)? })))
}

/// Two addresses and two ports.
fn sockets(bytes: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let (ips, ports) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
    let (from, to) = ips.split_at_checked(ips.len() / 2)?;
    let ip = |bytes: &[u8]| match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(|octets| IpAddr::V4(Ipv4Addr::from(octets))),
        _ => <[u8; 16]>::try_from(bytes).ok().map(|octets| IpAddr::V6(Ipv6Addr::from(octets))),
    };
    let [a, b, c, d] = *<&[u8; 4]>::try_from(ports).ok()?;
    let socket = |bytes, port| Some(SocketAddr::new(ip(bytes)?, port));
    socket(from, u16::from_be_bytes([a, b])).zip(socket(to, u16::from_be_bytes([c, d])))
}

/// Looks through the fields for what they say about the client's TLS.
fn came_by_tls(fields: &[u8]) -> Result<bool, &'static str> {
    let (mut rest, mut tls) = (fields, false);
    while let [kind, high, low, behind @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (value, next) =
            behind.split_at_checked(length).ok_or("a field of the PROXY header is cut off")?;
        if *kind == TLS_FIELD {
            tls = value.first().is_some_and(|flags| flags & CLIENT_TLS != 0);
        }
        rest = next;
    }
    if rest.is_empty() { Ok(tls) } else { Err("a field of the PROXY header is cut off") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds bytes as they are asked for; returns the result and what was not read.
    fn fed(bytes: &[u8]) -> Result<(Option<Announced>, &[u8]), &'static str> {
        let mut have = 0;
        loop {
            match scan(&bytes[..have])? {
                HeaderProgress::Done(found) => return Ok((found, &bytes[have..])),
                HeaderProgress::More(more) => {
                    assert!(more > 0 && have + more <= PROXY_HEADER_MAX);
                    have += more;
                    if have > bytes.len() {
                        return Err("cut off");
                    }
                }
            }
        }
    }

    fn announced(source: &str, destination: &str, tls: bool) -> Announced {
        Announced {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            tls,
        }
    }

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [SIGNATURE.as_slice(), &[command, family], &length, body].concat()
    }

    const V4: [u8; 12] = [192, 0, 2, 1, 192, 0, 2, 2, 0xdc, 0x04, 0x01, 0xbb];

    #[test]
    fn a_line_names_client_and_address_and_not_a_byte_more_is_read() {
        let told = fed(b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nGET /").unwrap();
        assert_eq!(
            told,
            (Some(announced("192.0.2.1:56324", "192.0.2.2:443", false)), b"GET /".as_slice())
        );
        let told = fed(b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n").unwrap();
        assert_eq!(told.0, Some(announced("[2001:db8::1]:1", "[::1]:65535", false)));
        for unknown in [
            "PROXY UNKNOWN\r\n",
            "PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n",
            "PROXY UNKNOWN x\r\n",
        ] {
            assert_eq!(fed(unknown.as_bytes()), Ok((None, b"".as_slice())), "{unknown}");
        }
    }

    #[test]
    fn a_line_that_two_could_read_differently_is_refused() {
        for wrong in [
            "PROXY TCP4 192.0.2.1 192.0.2.2 56324\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443 \r\n",
            "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
            "PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
            "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY TCP4 192.0.2.1\r192.0.2.2 1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
            "proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
            "GET / HTTP/1.1\r\n\r\n",
        ] {
            let told = fed(wrong.as_bytes());
            assert!(told.is_err(), "{wrong} gives {told:?}");
        }
        assert!(fed(format!("PROXY UNKNOWN {}\r\n", "x".repeat(100)).as_bytes()).is_err());
        assert!(scan(b"\x16\x03\x01").is_err(), "TLS without a header");
    }

    #[test]
    fn the_binary_header_names_client_address_and_tls() {
        let header = v2(0x21, 0x11, &V4);
        let told = fed(&[header.as_slice(), b"\x16\x03"].concat())
            .map(|(found, rest)| (found, rest.to_vec()));
        assert_eq!(
            told,
            Ok((Some(announced("192.0.2.1:56324", "192.0.2.2:443", false)), b"\x16\x03".to_vec()))
        );
        let tls = [V4.as_slice(), &[0x04, 0, 1, 9], &[0x20, 0, 5, 0x01, 0, 0, 0, 0]].concat();
        assert_eq!(
            fed(&v2(0x21, 0x11, &tls)).unwrap().0,
            Some(announced("192.0.2.1:56324", "192.0.2.2:443", true))
        );
        let mut six = [0; 36];
        six[..2].copy_from_slice(&[0x20, 0x01]);
        six[31] = 1;
        six[35] = 80;
        assert_eq!(
            fed(&v2(0x21, 0x21, &six)).unwrap().0,
            Some(announced("[2001::]:0", "[::1]:80", false))
        );
        for own in [
            v2(0x20, 0x00, b""),
            v2(0x20, 0x11, &V4),
            v2(0x21, 0x00, b"xyz"),
            v2(0x21, 0x31, &[0; 216]),
        ] {
            assert_eq!(fed(&own), Ok((None, b"".as_slice())));
        }
    }

    #[test]
    fn a_binary_header_that_is_none_is_refused() {
        let fields = |length: usize| [V4.as_slice(), &vec![0; length]].concat();
        assert!(fed(&v2(0x21, 0x11, &fields(TLV_BYTES_MAX - TLV_BYTES_MAX % 3))).is_ok());
        for wrong in [
            v2(0x21, 0x11, &V4[..11]),
            v2(0x21, 0x11, &fields(TLV_BYTES_MAX + 1)),
            v2(0x21, 0x11, &fields(1)),
            v2(0x21, 0x11, &[V4.as_slice(), &[0x20, 0, 9, 1]].concat()),
            v2(0x21, 0x12, &V4),
            v2(0x11, 0x11, &V4),
            v2(0x22, 0x11, &V4),
            v2(0x20, 0x00, &vec![0; TLV_BYTES_MAX + 217]),
        ] {
            let told = fed(&wrong);
            assert!(told.is_err() && told != Err("cut off"), "{told:?}");
        }
        assert_eq!(fed(&v2(0x21, 0x11, &V4)[..27]), Err("cut off"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_read_beyond_its_limit(
            start in prop::sample::select(vec![b"PROXY ".to_vec(), SIGNATURE.to_vec(), Vec::new()]),
            more in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let _ = fed(&[start, more].concat());
        }
    }
}
