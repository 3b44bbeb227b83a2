//! The strict reader for request heads of HTTP/1.1, and of HTTP/1.0 as far as proxies use it: the
//! only reader there is.
//!
//! RFC 9112 leaves a server room to be lenient; wherever it does, a proxy and we may read one
//! request differently. Here there is no such room: lines end in CRLF, fields that steer us come
//! once, and no body is chunked.

use super::{close::Refusal, home::LINK_UPGRADE};

/// The longest request line, in bytes without its CRLF.
pub const REQUEST_LINE_MAX: usize = 2048;

/// The longest header section unless the configuration says otherwise, in bytes with all CRLFs,
/// including that of the empty line.
pub const HEADERS_MAX: usize = 16 * 1024;

/// The most fields.
pub const FIELDS_MAX: usize = 64;

/// The longest head that is accepted with [`HEADERS_MAX`]; a buffer of this size is never too
/// small.
pub const HEAD_MAX: usize = REQUEST_LINE_MAX + 2 + HEADERS_MAX;

/// The head of a good request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// Its length in bytes, including the empty line; what follows is the body, or early data on an
    /// upgraded connection.
    pub len: usize,
    /// The method, a token.
    pub method: &'a [u8],
    /// Path and query, or `*`.
    pub target: &'a [u8],
    /// Names, each a token, and values without the white space around them.
    pub fields: Vec<(&'a [u8], &'a [u8])>,
    /// It asks for a WebSocket (RFC 6455 section 4.2.1, points 3 and 4): `Upgrade: websocket`,
    /// `Connection: upgrade`.
    pub upgrade: bool,
    /// The client sends nothing after it: `Connection: close`, or HTTP/1.0.
    pub last: bool,
    /// What the client speaks.
    pub version: HttpVersion,
    /// The client waits for our go-ahead before it sends the body (RFC 9110 section 10.1.1).
    pub expects: bool,
    /// Bytes of body that follow (Content-Length).
    pub body: u64,
}

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.0, which knows no chunks.
    Old,
    /// HTTP/1.1.
    Current,
}

/// Reads the head at the front of `buf`, whose header section has at most `headers_max` bytes:
/// `None` while it is incomplete, refused as soon as nothing could mend it. The result is the same
/// however it is split.
pub fn scan(buf: &[u8], headers_max: usize) -> Result<Option<Head<'_>>, Refusal> {
    match buf {
        [] | [0x16] => return Ok(None),
        // A TLS record (RFC 8446 section 5.1) that would hold a ClientHello.
        [0x16, 0x03, ..] => {
            return Err(bad(
                "this is a plain HTTP port: use http:// or ws://, or set `tls:` for it",
            ));
        }
        _ => {}
    }
    let Some((request, mut rest)) = line(buf, REQUEST_LINE_MAX, Refusal::UriTooLong)? else {
        return Ok(None);
    };
    let line = request_line(request)?;
    let mut fields = Fields::default();
    let mut free = headers_max;
    loop {
        let Some((field, behind)) =
            self::line(rest, free.saturating_sub(2), Refusal::HeadTooLarge)?
        else {
            return Ok(None);
        };
        rest = behind;
        if field.is_empty() {
            return fields.head(&line, buf.len() - rest.len()).map(Some);
        }
        free = free.saturating_sub(field.len() + 2);
        if free < 2 {
            return Err(Refusal::HeadTooLarge);
        }
        fields.take(field)?;
    }
}

fn bad(why: &'static str) -> Refusal {
    Refusal::BadRequest(why)
}

/// A line and what follows it.
type HeadLine<'a> = (&'a [u8], &'a [u8]);

/// The next line, without its CRLF, and what follows; `None` if it is not complete.
fn line(buf: &[u8], limit: usize, too_long: Refusal) -> Result<Option<HeadLine<'_>>, Refusal> {
    let end = buf.iter().position(|byte| byte.is_ascii_control() && *byte != b'\t');
    if end.unwrap_or(buf.len()) > limit {
        return Err(too_long);
    }
    let Some((line, behind)) = end.and_then(|end| buf.split_at_checked(end)) else {
        return Ok(None);
    };
    match behind {
        [b'\r', b'\n', rest @ ..] => Ok(Some((line, rest))),
        [b'\r'] => Ok(None),
        [b'\r', ..] => Err(bad("a CR without LF in the head")),
        [b'\n', ..] => Err(bad("a line of the head ends in LF without CR")),
        _ => Err(bad("a control byte in the head")),
    }
}

/// The first line of a head.
struct RequestLine<'a> {
    method: &'a [u8],
    target: &'a [u8],
    /// HTTP/1.0: what proxies and health checks speak unless told otherwise.
    old: bool,
}

impl RequestLine<'_> {
    /// Whether it is a health check, which may come without a Host (as a load balancer sends it by
    /// default).
    fn is_check(&self) -> bool {
        let path = self.target.split(|byte| *byte == b'?').next().unwrap_or_default();
        self.old
            && (path == b"/healthz" || (self.method == b"OPTIONS" && matches!(path, b"/" | b"*")))
    }
}

/// Method and target: RFC 9112 section 3, without absolute-form (we are not a proxy) and
/// authority-form (nor a tunnel).
fn request_line(line: &[u8]) -> Result<RequestLine<'_>, Refusal> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad("a request line is: method, target, HTTP/1.1, with one space between"));
    };
    if !is_token(method) {
        return Err(bad("the method is not a token"));
    }
    let old = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        _ => {
            return Err(bad(
                "only HTTP/1.1 is spoken here, and HTTP/1.0 for requests without a body",
            ));
        }
    };
    if old && !matches!(method, b"GET" | b"HEAD" | b"OPTIONS") {
        return Err(bad(
            "HTTP/1.0 is for GET, HEAD and OPTIONS; in nginx: `proxy_http_version 1.1`",
        ));
    }
    match target {
        b"*" if method == b"OPTIONS" => Ok(RequestLine { method, target, old }),
        [b'/', ..] if is_target(target) => Ok(RequestLine { method, target, old }),
        [b'/', ..] => Err(bad(
            "the target has a byte that must be percent-encoded, or a broken percent-encoding",
        )),
        _ => Err(bad("the target must begin with `/`")),
    }
}

/// A token of RFC 9110 section 5.6.2.
pub fn is_token(bytes: &[u8]) -> bool {
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(legal)
}

/// Path and query of RFC 3986, plus what browsers leave unencoded in a query although it is not
/// allowed there: ``[]{}|^` ``.
fn is_target(target: &[u8]) -> bool {
    let mut rest = target;
    while let [first, behind @ ..] = rest {
        rest = match (first, behind) {
            (b'%', [high, low, behind @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                behind
            }
            (byte, _)
                if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?[]{}|^`".contains(byte) =>
            {
                behind
            }
            _ => return false,
        };
    }
    true
}

/// Host and port of RFC 3986, as bytes; whether it is ours is decided elsewhere.
fn is_host(value: &[u8]) -> bool {
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]%".contains(byte);
    !value.is_empty() && value.iter().all(legal)
}

/// Fields that steer us, none of which may come twice. For these twice is never legal, except for
/// Upgrade, a list that no client splits.
const ONCE: [&str; 10] = [
    "host",
    "origin",
    "authorization",
    "cookie",
    "content-length",
    "content-type",
    "expect",
    "upgrade",
    "sec-websocket-key",
    "sec-websocket-version",
];

#[derive(Default)]
struct Fields<'a> {
    all: Vec<(&'a [u8], &'a [u8])>,
    /// A bit for each of [`ONCE`].
    seen: u16,
    host: bool,
    upgrades: bool,
    connection: ConnectionOptions,
    expects: bool,
    body: u64,
}

/// What `Connection` lists (RFC 9110 section 7.6.1), as far as it matters here.
#[derive(Default)]
struct ConnectionOptions {
    upgrade: bool,
    close: bool,
}

impl<'a> Fields<'a> {
    /// Takes one field line. Whatever two programs could read in different ways is refused: a proxy
    /// in front of us may read it the other way (request smuggling).
    fn take(&mut self, field: &'a [u8]) -> Result<(), Refusal> {
        if self.all.len() >= FIELDS_MAX {
            return Err(Refusal::HeadTooLarge);
        }
        if let [b' ' | b'\t', ..] = field {
            return Err(bad("a folded header field, or white space before the first"));
        }
        let Some(colon) = field.iter().position(|byte| *byte == b':') else {
            return Err(bad("a header field without a colon"));
        };
        let (name, value) = field.split_at_checked(colon).unwrap_or_default();
        if let [.., b' ' | b'\t'] = name {
            return Err(bad("white space between a header field's name and its colon"));
        }
        if !is_token(name) {
            return Err(bad("a header field's name is not a token"));
        }
        let value = value.strip_prefix(b":").unwrap_or_default().trim_ascii();
        self.all.push((name, value));
        self.once(name)?;
        self.note(name, value)
    }

    fn once(&mut self, name: &[u8]) -> Result<(), Refusal> {
        if let Some(place) =
            ONCE.iter().position(|known| name.eq_ignore_ascii_case(known.as_bytes()))
        {
            let bit = 1 << place;
            if self.seen & bit != 0 {
                return Err(bad("a header field that may come only once came twice"));
            }
            self.seen |= bit;
        }
        Ok(())
    }

    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("host") {
            self.host = is_host(value);
        } else if is("content-length") {
            self.body = length(value).ok_or(bad("Content-Length is not a number of bytes"))?;
        } else if is("transfer-encoding") {
            return Err(bad("Transfer-Encoding is not accepted here: send Content-Length"));
        } else if is("upgrade") {
            // A link is another protocol in the same place (`wire::home`).
            self.upgrades = lists(value, "websocket") || lists(value, LINK_UPGRADE);
        } else if is("connection") {
            self.connection.upgrade |= lists(value, "upgrade");
            self.connection.close |= lists(value, "close");
        } else if is("expect") {
            self.expects = value.eq_ignore_ascii_case(b"100-continue");
        }
        Ok(())
    }

    /// The whole head, with the rules that need more than one field.
    fn head(self, line: &RequestLine<'a>, len: usize) -> Result<Head<'a>, Refusal> {
        let RequestLine { method, target, old } = *line;
        let named = self.seen & 1 != 0;
        if !self.host && (named || !line.is_check()) {
            return Err(bad("no Host, or one that is not valid"));
        }
        let upgrade = self.upgrades && self.connection.upgrade;
        if old && upgrade {
            return Err(bad("a WebSocket takes HTTP/1.1; in nginx: `proxy_http_version 1.1`"));
        }
        if old && self.body > 0 {
            return Err(bad(
                "HTTP/1.0 is for requests without a body; in nginx: `proxy_http_version 1.1`",
            ));
        }
        if upgrade && self.body > 0 {
            return Err(bad("an upgrade has no body"));
        }
        let Self { all: fields, connection, expects, body, .. } = self;
        let (last, expects) = (connection.close || old, expects && !old);
        let version = if old { HttpVersion::Old } else { HttpVersion::Current };
        Ok(Head { len, method, target, fields, upgrade, last, version, expects, body })
    }
}

/// Digits only: no sign, no list.
fn length(value: &[u8]) -> Option<u64> {
    if !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(value).ok()?.parse().ok()
}

fn lists(value: &[u8], word: &str) -> bool {
    value
        .split(|byte| *byte == b',')
        .any(|entry| entry.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}

#[cfg(test)]
mod tests;
