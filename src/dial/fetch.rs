//! One HTTP request and its answer, on a connection of its own.

use httparse::{EMPTY_HEADER, Status};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{DialError, Dialler, Site};

/// The longest answer that is read, head and body, in bytes.
const ANSWER_MAX: usize = 4 << 20;

/// The most header fields of an answer that are read.
const FIELDS_MAX: usize = 64;

/// A request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request<'a> {
    /// `/path?query`.
    pub path: &'a str,
    /// Fields besides `Host` and those of the body.
    pub fields: &'a [(&'a str, &'a str)],
    /// If there is one, the method is POST.
    pub body: Option<&'a str>,
    /// What the body is; empty: JSON.
    pub media: &'a str,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fetched {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Dialler {
    /// Sends a request, and reads the whole answer.
    pub(crate) async fn fetch(&self, site: &Site, ask: &Request<'_>) -> Result<Fetched, DialError> {
        let mut stream = self.dial(site).await?;
        let answer = converse(&mut stream, &site.authority(), ask).await;
        answer.map_err(|why| DialError::Unreachable(format!("{site}{why}")))
    }
}

/// The same on a stream that is there. An error's text completes a sentence that begins with the
/// name of the other end.
pub(crate) async fn converse(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    authority: &str,
    ask: &Request<'_>,
) -> Result<Fetched, String> {
    let lost = |error: std::io::Error| format!(": {error}");
    stream.write_all(written(authority, ask).as_bytes()).await.map_err(lost)?;
    stream.flush().await.map_err(lost)?;
    let mut text = Vec::new();
    loop {
        match stream.read_buf(&mut text).await {
            Ok(1..) if text.len() > ANSWER_MAX => return Err(": the answer is too long".to_owned()),
            Ok(1..) if !is_whole(&text) => {}
            // Some servers end TLS without its closing message; the text received shows whether it
            // is whole.
            Err(error) if text.is_empty() => return Err(lost(error)),
            Ok(_) | Err(_) => break,
        }
    }
    read(&text).ok_or_else(|| " does not answer as an HTTP server does".to_owned())
}

/// How an answer that comes in pieces came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Streamed {
    /// It ended.
    Ended,
    /// There was none: the status, and what was said.
    Refused(u16, String),
}

/// Sends a request and passes each piece of the answer's body on as it comes. An error's text
/// completes a sentence that begins with the name of the other end.
pub(crate) async fn stream(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin + ?Sized),
    authority: &str,
    ask: &Request<'_>,
    mut piece: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> Result<Streamed, String> {
    let lost = |error: std::io::Error| format!(": {error}");
    io.write_all(written(authority, ask).as_bytes()).await.map_err(lost)?;
    io.flush().await.map_err(lost)?;
    let mut text = Vec::new();
    let end = loop {
        let read = io.read_buf(&mut text).await.map_err(lost)?;
        match head(&text) {
            Some((200, end, Length::Chunked)) => break end,
            Some((status, ..)) if status != 200 && (read == 0 || is_whole(&text)) => {
                let body = self::read(&text).map(|it| it.body).unwrap_or_default();
                let said = String::from_utf8_lossy(&body).into_owned();
                return Ok(Streamed::Refused(status, said));
            }
            _ if read == 0 || text.len() > ANSWER_MAX => {
                return Err(" does not answer as a gateway does".to_owned());
            }
            _ => {}
        }
    };
    text.drain(..end);
    loop {
        while let Some((start, length)) = chunk(&text)? {
            if length == 0 {
                return Ok(Streamed::Ended);
            }
            piece(text.get(start..start + length).unwrap_or_default()).map_err(lost)?;
            text.drain(..start + length + 2);
        }
        if io.read_buf(&mut text).await.map_err(lost)? == 0 {
            return Err(" broke off".to_owned());
        }
    }
}

/// Where the bytes of the first chunk begin and how many there are, if it is whole.
fn chunk(text: &[u8]) -> Result<Option<(usize, usize)>, String> {
    match httparse::parse_chunk_size(text) {
        Ok(Status::Complete((start, length))) => {
            let length = usize::try_from(length).ok().filter(|length| *length <= ANSWER_MAX);
            let length = length.ok_or(": a piece of the answer is too long")?;
            Ok((text.len() >= start + length + 2).then_some((start, length)))
        }
        Ok(Status::Partial) => Ok(None),
        Err(_) => Err(" does not answer as an HTTP server does".to_owned()),
    }
}

fn written(authority: &str, ask: &Request<'_>) -> String {
    let method = if ask.body.is_some() { "POST" } else { "GET" };
    let mut text =
        format!("{method} {} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n", ask.path);
    for (name, value) in ask.fields {
        text.extend([name, ": ", value, "\r\n"]);
    }
    if let Some(body) = ask.body {
        let length = body.len().to_string();
        let media = if ask.media.is_empty() { "application/json" } else { ask.media };
        text.extend(["Content-Type: ", media, "\r\nContent-Length: ", &length, "\r\n"]);
    }
    text += "\r\n";
    text += ask.body.unwrap_or_default();
    text
}

/// What a head says about the body after it.
enum Length {
    Bytes(usize),
    Chunked,
    UntilEnd,
}

fn head(text: &[u8]) -> Option<(u16, usize, Length)> {
    let mut fields = [EMPTY_HEADER; FIELDS_MAX];
    let mut answer = httparse::Response::new(&mut fields);
    let Ok(Status::Complete(end)) = answer.parse(text) else { return None };
    let field = |wanted: &str| {
        let found = answer.headers.iter().find(|field| field.name.eq_ignore_ascii_case(wanted))?;
        std::str::from_utf8(found.value).ok().map(|text| text.trim().to_ascii_lowercase())
    };
    let length = match (field("transfer-encoding"), field("content-length")) {
        (Some(coding), _) if coding.ends_with("chunked") => Length::Chunked,
        (_, Some(length)) => Length::Bytes(length.parse().ok()?),
        _ if answer.code == Some(204) => Length::Bytes(0),
        _ => Length::UntilEnd,
    };
    Some((answer.code?, end, length))
}

fn is_whole(text: &[u8]) -> bool {
    let Some((_, end, length)) = head(text) else { return false };
    let body = text.get(end..).unwrap_or_default();
    match length {
        Length::Bytes(length) => body.len() >= length,
        Length::Chunked => unchunked(body).is_some(),
        Length::UntilEnd => false,
    }
}

fn read(text: &[u8]) -> Option<Fetched> {
    let (status, end, length) = head(text)?;
    let body = text.get(end..)?;
    let body = match length {
        Length::Bytes(length) => body.get(..length)?.to_vec(),
        Length::Chunked => unchunked(body)?,
        Length::UntilEnd => body.to_vec(),
    };
    Some(Fetched { status, body })
}

/// The chunks of a body, joined; `None` until the last one is there.
fn unchunked(mut left: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let Ok(Status::Complete((start, length))) = httparse::parse_chunk_size(left) else {
            return None;
        };
        if length == 0 {
            return Some(whole);
        }
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        whole.extend_from_slice(left.get(start..end)?);
        left = left.get(end..)?.strip_prefix(b"\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_read_by_length_by_chunks_and_to_the_end() {
        let body = |text: &str| read(text.as_bytes()).map(|it| String::from_utf8(it.body).unwrap());
        let known = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokmore";
        assert_eq!(body(known).as_deref(), Some("ok"));
        assert!(is_whole(known.as_bytes()) && !is_whole(&known.as_bytes()[..39]));
        let chunks =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n3\r\nall\r\n0\r\n\r\n";
        assert_eq!(body(chunks).as_deref(), Some("okall"));
        assert!(!is_whole(&chunks.as_bytes()[..chunks.len() - 5]));
        assert_eq!(body("HTTP/1.0 401 No\r\n\r\nwhy").as_deref(), Some("why"));
        assert_eq!(body("SSH-2.0-x\r\n"), None);
        assert_eq!(body("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort"), None);
    }
}
