//! One HTTP request and its answer, on a connection of its own.

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use super::{Answer, DialError, Dialler, Site};

/// The longest body of an answer that is read as a whole, in bytes.
const ANSWER_MAX: usize = 4 << 20;

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
    let mut answer = Answer::read(stream).await?;
    let mut body = Vec::new();
    while let Some(piece) = answer.piece().await? {
        body.extend(piece);
        if body.len() > ANSWER_MAX {
            return Err(": the answer is too long".to_owned());
        }
    }
    Ok(Fetched { status: answer.status, body })
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
    let mut answer = Answer::read(io).await?;
    if answer.status == 200 && answer.field("transfer-encoding").is_none() {
        return Err(" does not answer as a gateway does".to_owned());
    }
    let mut said = Vec::new();
    while let Some(bytes) = answer.piece().await? {
        if answer.status == 200 {
            piece(&bytes).map_err(lost)?;
        } else if said.len() < ANSWER_MAX {
            said.extend(bytes);
        }
    }
    if answer.status == 200 {
        return Ok(Streamed::Ended);
    }
    Ok(Streamed::Refused(answer.status, String::from_utf8_lossy(&said).into_owned()))
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
