//! The first bytes of a raw connection: whether a web page, and not a tool, is at the other end.
//!
//! A page cannot open a TCP connection, but it can make the browser send something of its choice to
//! any port: `fetch` and forms send HTTP, and WebRTC sends STUN to whatever it is told is a TURN
//! server or a peer. A device that skips what it does not understand would obey the rest. Every
//! listener that hands raw bytes on asks here first.

/// So many bytes decide.
pub(crate) const ENOUGH: usize = 12;

/// The methods that a browser can be made to send, and those a proxy or a scanner begins with (RFC
/// 9110 section 9, RFC 5789; `PRI` is HTTP/2, RFC 9113 section 3.4).
const METHODS: [&[u8]; 10] = [
    b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"CONNECT", b"TRACE", b"PRI",
];

/// STUN's magic cookie (RFC 8489 section 5).
const COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];

/// What speaks at the other end, where it is no tool for this port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// A request line.
    Http,
    /// A TLS `ClientHello`, where no TLS is spoken.
    Tls,
    /// STUN or TURN, over TCP or in the frames of ICE-TCP (RFC 4571).
    Stun,
    /// What could have become one of these, and did not go on.
    Unclear,
}

impl Foreign {
    /// The word for logs and metrics.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Tls => "TLS",
            Self::Stun => "STUN",
            Self::Unclear => "the beginning of HTTP",
        }
    }
}

/// What the first bytes look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// A tool's.
    Clear,
    /// They may become one of the others.
    Undecided,
    /// No tool's.
    Foreign(Foreign),
}

/// Judges the first bytes of a connection, all that came so far.
///
/// HTTP may become of any first letter of a method. The binary protocols count as possible only
/// from the byte that makes them likely: each is sent in one piece, and a single 0x00 or Ctrl-V is
/// what tools send.
pub(crate) fn opening(bytes: &[u8]) -> Opening {
    let looks = [
        (http(bytes), Foreign::Http),
        (tls(bytes), Foreign::Tls),
        (stun(bytes), Foreign::Stun),
        (framed_stun(bytes), Foreign::Stun),
    ];
    if let Some((_, foreign)) = looks.iter().find(|(match_, _)| *match_ == Match::Whole) {
        return Opening::Foreign(*foreign);
    }
    if looks.iter().any(|(match_, _)| *match_ == Match::Prefix) {
        return Opening::Undecided;
    }
    Opening::Clear
}

/// How far a pattern fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Match {
    Whole,
    Prefix,
    Not,
}

/// A method, a space, and what a request target begins with (RFC 9112 section 3.2).
fn http(bytes: &[u8]) -> Match {
    let mut best = Match::Not;
    for method in METHODS {
        let Some(rest) = bytes.strip_prefix(method) else {
            if !bytes.is_empty() && method.starts_with(bytes) {
                best = Match::Prefix;
            }
            continue;
        };
        match rest {
            [] | [b' '] => best = Match::Prefix,
            [b' ', target, ..] if target.is_ascii_graphic() => return Match::Whole,
            _ => {}
        }
    }
    best
}

/// A record of type handshake (22), of version 3.x and of a length that a `ClientHello` (1) has,
/// whose own length and version fit it (RFC 8446 sections 4.1.2 and 5.1). A Modbus RTU request of
/// unit 22 begins with the same two bytes, and fits no further.
fn tls(bytes: &[u8]) -> Match {
    let at = |index: usize| bytes.get(index).copied();
    let two = |index: usize| Some(u16::from_be_bytes([at(index)?, at(index + 1)?]));
    let checks = [
        at(0).map(|kind| kind == 22),
        at(1).map(|major| major == 3),
        at(2).map(|minor| minor <= 4),
        two(3).map(|length| (40..=16_640).contains(&length)),
        at(5).map(|kind| kind == 1),
        at(6).map(|high| high == 0),
        two(9).map(|version| (0x0300..=0x0304).contains(&version)),
    ];
    matched(&checks, bytes.len() >= 2)
}

/// A request's type, its length, the cookie (RFC 8489 section 5): what a browser sends to a TURN
/// server.
fn stun(bytes: &[u8]) -> Match {
    stun_at(bytes, 0, bytes.len() >= 4)
}

/// The same behind two bytes of length (RFC 4571 section 2): what it sends to a peer.
fn framed_stun(bytes: &[u8]) -> Match {
    let length = bytes.first_chunk().map(|length| u16::from_be_bytes(*length));
    match length {
        Some(20..=1_500) => stun_at(bytes, 2, bytes.len() >= 6),
        Some(_) | None => Match::Not,
    }
}

fn stun_at(bytes: &[u8], start: usize, likely: bool) -> Match {
    let at = |index: usize| bytes.get(start + index).copied();
    let cookie = |index: usize| Some(at(4 + index)? == COOKIE.get(index).copied()?);
    let checks = [
        // The two highest bits are zero; requests and indications of the methods there are have no
        // more than the low byte.
        at(0).map(|high| high == 0),
        at(1).map(|low| low < 0x20),
        at(3).map(|length| length % 4 == 0),
        cookie(0),
        cookie(1),
        cookie(2),
        cookie(3),
    ];
    matched(&checks, likely)
}

/// Whether what is there passes every check; `likely` is whether so much of it makes a prefix.
fn matched(checks: &[Option<bool>], likely: bool) -> Match {
    if checks.contains(&Some(false)) {
        Match::Not
    } else if checks.contains(&None) {
        if likely { Match::Prefix } else { Match::Not }
    } else {
        Match::Whole
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hello() -> Vec<u8> {
        let mut hello = vec![22, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3];
        hello.extend([0x5A; 32]);
        hello
    }

    fn binding() -> Vec<u8> {
        let mut binding = vec![0, 1, 0, 0x58];
        binding.extend(COOKIE);
        binding.extend([7; 12]);
        binding
    }

    #[test]
    fn what_a_page_can_send_is_known_and_held_from_its_likely_beginning() {
        let framed = [&[0, 0x6C][..], &binding()].concat();
        let allocate = [&[0, 3, 0, 8][..], &COOKIE, &[1; 12]].concat();
        for (bytes, foreign, held_from) in [
            (b"POST / HTTP/1.1\r\n".to_vec(), Foreign::Http, 1),
            (b"GET http://x/ HTTP/1.1".to_vec(), Foreign::Http, 1),
            (b"OPTIONS * HTTP/1.1".to_vec(), Foreign::Http, 1),
            (b"CONNECT h:1 HTTP/1.1".to_vec(), Foreign::Http, 1),
            (b"PRI * HTTP/2.0\r\n\r\nSM".to_vec(), Foreign::Http, 1),
            (hello(), Foreign::Tls, 2),
            (binding(), Foreign::Stun, 4),
            (allocate, Foreign::Stun, 4),
            (framed, Foreign::Stun, 6),
        ] {
            let known = (1..=bytes.len())
                .find(|n| opening(&bytes[..*n]) != Opening::Undecided && *n >= held_from);
            let known = known.unwrap();
            assert!(known <= ENOUGH, "{foreign:?} takes {known} bytes");
            assert_eq!(opening(&bytes[..known]), Opening::Foreign(foreign));
            assert_eq!(opening(&bytes), Opening::Foreign(foreign));
            for n in held_from..known {
                assert_eq!(opening(&bytes[..n]), Opening::Undecided, "{foreign:?} {n}");
            }
        }
    }

    #[test]
    fn what_tools_send_first_is_clear() {
        for bytes in [
            &b"AT\r"[..],
            b"\r",
            b"\x03",
            b"\x00",
            b"\x01",
            b"\x16",
            b"GETTY",
            b"PUTS",
            b"POST\r\n",
            b"GET \r\n",
            b"P\r",
            // Modbus RTU of unit 22: read 1 to 125 registers, write one.
            &[0x16, 3, 1, 0, 0, 1, 0x87, 0x11],
            &[0x16, 3, 2, 0x90, 0, 0x7D, 0, 0],
            &[0x16, 6, 0, 1, 0, 3, 0, 0],
            // Modbus TCP, transactions 1, 3 and 20.
            &[0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1],
            &[0, 3, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1],
            &[0, 0x14, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1],
            // Zigbee's reset, SLIP of an ESP, telnet.
            &[0x1A, 0xC0, 0x38, 0xBC, 0x7E],
            &[0xC0, 0, 8, 0x24, 0, 0, 0, 0, 0, 7, 7, 0x12],
            &[0xFF, 0xFB, 0x2C],
        ] {
            assert_eq!(opening(bytes), Opening::Clear, "{bytes:?}");
        }
        assert_eq!(opening(b""), Opening::Clear);
        assert_eq!(opening(b"G"), Opening::Undecided);
        assert_eq!(opening(b"GET "), Opening::Undecided);
    }

    proptest! {
        /// More bytes never turn a clear opening of likely length into a foreign one.
        #[test]
        fn what_is_decided_stays_decided(bytes in prop::collection::vec(any::<u8>(), 6..40)) {
            for n in 6..bytes.len() {
                match opening(&bytes[..n]) {
                    Opening::Undecided => prop_assert!(n < ENOUGH),
                    decided @ (Opening::Clear | Opening::Foreign(_)) => prop_assert_eq!(opening(&bytes), decided),
                }
            }
        }
    }
}
