//! HTTP on one connection: reads one request after another, and writes the responses.
//!
//! Only `wire::head` reads heads. A body is complete before anybody sees its request. After a head
//! that asks for a WebSocket nothing more is read as HTTP.

use std::{future::pending, io, time::Duration};

use axum::{
    body::{Body, HttpBody as _},
    http::{
        HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header,
        response::Parts,
    },
};
use bytes::{Buf as _, BytesMut};
use futures_util::StreamExt as _;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::{
    auth::unix_now,
    config::Limits,
    wire::{
        close::Refusal,
        head::{self, Head, HttpVersion},
    },
};

/// The longest body of a request.
const BODY_MAX: usize = 16 * 1024;
/// Bytes kept while a request is being answered: pipelined requests, or what a client sends right
/// after its handshake. When full, nothing is read, and TCP holds the client back.
const PIPELINED_MAX: usize = 64 * 1024;
/// The least number of bytes to read in one go.
const READ_LEAST: usize = 4096;
/// How long a connection may wait between requests.
const IDLE: Duration = Duration::from_secs(30);
/// How long a client may go without taking any of a response.
const STALLED: Duration = Duration::from_secs(20);
/// The longest piece of a body that is sent together with the head.
const TOGETHER: usize = 8 * 1024;
/// How long a closed connection is still read, so that the client gets our last words and not a
/// reset.
const LINGER: Duration = Duration::from_secs(2);
/// Bytes read and thrown away during that time.
const LINGER_BYTES: u64 = 256 * 1024;

/// A connection, as far as HTTP goes.
#[derive(Debug)]
pub(super) struct Exchange<S> {
    stream: S,
    /// Read, but not yet part of a request.
    inbox: BytesMut,
    phase: ExchangePhase,
    /// When the client must have sent what we are waiting for.
    deadline: Instant,
    /// When we stop waiting for the client, whatever it sends.
    limit: Option<Instant>,
    /// The time for a request, from its first byte.
    patience: Duration,
    /// The longest header section.
    headers_max: usize,
    /// The client has ended its side.
    ended: bool,
    /// The last request was HTTP/1.0: what has no length ends with the connection (RFC 9112 section
    /// 6.1).
    old: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExchangePhase {
    /// Nothing has arrived yet.
    First,
    /// No byte of another request yet.
    Idle,
    /// In the middle of a request.
    Begun,
}

/// A request, and what its head says about the connection.
#[derive(Debug)]
pub(super) struct ReceivedRequest {
    pub(super) request: Request<Body>,
    /// It asks for a WebSocket.
    pub(super) upgrade: bool,
    /// The client sends nothing after it.
    pub(super) last: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Exchange<S> {
    /// A new connection, whose first request must have arrived by `until`; the limits apply to
    /// later ones.
    pub(super) fn new(stream: S, until: Instant, limits: &Limits) -> Self {
        Self {
            stream,
            inbox: BytesMut::new(),
            phase: ExchangePhase::First,
            deadline: until,
            limit: None,
            patience: limits.handshake,
            headers_max: limits.head,
            ended: false,
            old: false,
        }
    }

    /// The same, where these bytes of the client's have been read already.
    pub(super) fn after(mut self, early: &[u8]) -> Self {
        self.inbox.extend_from_slice(early);
        self
    }

    /// The stream, and what the client sent after its last request, mostly nothing: a copy, since
    /// the inbox would outlive the request by a whole session.
    pub(super) fn into_parts(self) -> (S, Vec<u8>) {
        (self.stream, self.inbox.to_vec())
    }

    /// The next request. `None`: the client has left, or never began one. Waits no longer than
    /// `limit`.
    pub(super) async fn request(
        &mut self,
        limit: Option<Instant>,
    ) -> Result<Option<ReceivedRequest>, Refusal> {
        self.limit = limit;
        let (mut incoming, expects, body) = loop {
            if let Some(found) = self.head()? {
                break found;
            }
            if !self.fill().await? {
                return Ok(None);
            }
        };
        let go_on = expects && self.inbox.len() < body;
        if go_on && self.write(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_err() {
            return Ok(None);
        }
        while self.inbox.len() < body {
            if !self.fill().await? {
                return Ok(None);
            }
        }
        *incoming.request.body_mut() = Body::from(self.inbox.split_to(body).freeze());
        Ok(Some(incoming))
    }

    /// Takes a complete head out of the inbox, along with whether the client waits for leave to go
    /// on (100 Continue), and the length of the body.
    fn head(&mut self) -> Result<Option<(ReceivedRequest, bool, usize)>, Refusal> {
        let Some(head) = head::scan(&self.inbox, self.headers_max)? else { return Ok(None) };
        let body = usize::try_from(head.body).ok().filter(|length| *length <= BODY_MAX);
        let body = body.ok_or(Refusal::BodyTooLarge)?;
        let incoming =
            ReceivedRequest { request: request(&head)?, upgrade: head.upgrade, last: head.last };
        let (expects, length) = (head.expects, head.len);
        self.old = head.version == HttpVersion::Old;
        self.inbox.advance(length);
        self.phase = ExchangePhase::Begun;
        Ok(Some((incoming, expects, body)))
    }

    /// Reads more. False: the client has left, or its time is up and it never began.
    async fn fill(&mut self) -> Result<bool, Refusal> {
        if self.ended {
            return Ok(false);
        }
        self.inbox.reserve(READ_LEAST);
        let deadline = self.limit.map_or(self.deadline, |limit| limit.min(self.deadline));
        match timeout_at(deadline, self.stream.read_buf(&mut self.inbox)).await {
            Err(_) if self.phase == ExchangePhase::Begun => return Err(Refusal::Timeout),
            Err(_) | Ok(Ok(0) | Err(_)) => return Ok(false),
            Ok(Ok(_)) => {}
        }
        if self.phase == ExchangePhase::Idle {
            self.deadline = Instant::now() + self.patience;
        }
        self.phase = ExchangePhase::Begun;
        Ok(true)
    }

    /// Ready when the client is gone while its request is being answered. A client that has only
    /// ended its own side still waits for the response; one that asked for an upgrade could do
    /// nothing with it.
    pub(super) async fn gone(&mut self, upgrade: bool) {
        while !self.ended && self.inbox.len() < PIPELINED_MAX {
            self.inbox.reserve(READ_LEAST);
            match self.stream.read_buf(&mut self.inbox).await {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(_) => return,
            }
        }
        if self.ended && upgrade {
            return;
        }
        pending::<()>().await;
    }

    /// Writes a response; `head_only` is the answer to HEAD. After that the client may send its
    /// next request.
    pub(super) async fn respond(
        &mut self,
        response: Response<Body>,
        head_only: bool,
    ) -> io::Result<()> {
        let (parts, body) = response.into_parts();
        let empty = head_only || has_no_body(parts.status);
        let length = length(&parts).or(body.size_hint().exact());
        let mut head = head_of(&parts, length, self.old);
        if let (false, None) = (empty, length) {
            self.pieces(head, body).await?;
            head = Vec::new();
        } else if !empty {
            let mut left = length.unwrap_or_default();
            let mut pieces = body.into_data_stream();
            while left > 0 {
                let piece = pieces.next().await.ok_or(io::ErrorKind::UnexpectedEof)?;
                let piece = piece.map_err(io::Error::other)?;
                left = left.checked_sub(piece.len() as u64).ok_or(io::ErrorKind::InvalidData)?;
                if piece.len() <= TOGETHER && !head.is_empty() {
                    head.extend_from_slice(&piece);
                    continue;
                }
                self.write(&std::mem::take(&mut head)).await?;
                self.write(&piece).await?;
            }
        }
        self.write(&head).await?;
        timeout(STALLED, self.stream.flush()).await??;
        self.phase = if self.inbox.is_empty() { ExchangePhase::Idle } else { ExchangePhase::Begun };
        let wait = if self.phase == ExchangePhase::Idle { IDLE } else { self.patience };
        self.deadline = Instant::now() + wait;
        Ok(())
    }

    /// Writes a body of unknown length as its pieces come, each a chunk for a client that knows
    /// those. A client that leaves meanwhile ends it.
    async fn pieces(&mut self, mut head: Vec<u8>, body: Body) -> io::Result<()> {
        let mut pieces = body.into_data_stream();
        loop {
            let piece = tokio::select! {
                biased;
                piece = pieces.next() => piece,
                () = self.left() => return Err(io::ErrorKind::ConnectionAborted.into()),
            };
            let Some(piece) = piece.transpose().map_err(io::Error::other)? else { break };
            if !piece.is_empty() {
                if !self.old {
                    head.extend(format!("{:x}\r\n", piece.len()).into_bytes());
                }
                head.extend_from_slice(&piece);
                if !self.old {
                    head.extend_from_slice(b"\r\n");
                }
                self.write(&std::mem::take(&mut head)).await?;
                timeout(STALLED, self.stream.flush()).await??;
            }
        }
        if !self.old {
            head.extend_from_slice(b"0\r\n\r\n");
        }
        self.write(&head).await
    }

    /// Ready when the client has left; some time after the end of its side, which may be all it has
    /// ended.
    async fn left(&mut self) {
        while !self.ended && self.inbox.len() < PIPELINED_MAX {
            self.inbox.reserve(READ_LEAST);
            match self.stream.read_buf(&mut self.inbox).await {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(_) => return,
            }
        }
        if self.ended { sleep(STALLED).await } else { pending().await }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let written = timeout(STALLED, self.stream.write(rest)).await??;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            rest.advance(written);
        }
        Ok(())
    }

    /// Closes the connection in such a way that the client can read the last response. Takes at
    /// most [`LINGER`].
    pub(super) async fn close(mut self) {
        let last = async {
            self.stream.shutdown().await?;
            tokio::io::copy(&mut (&mut self.stream).take(LINGER_BYTES), &mut tokio::io::sink())
                .await
        };
        // If anything fails here, nobody is left to be told.
        let _ = timeout(LINGER, last).await;
    }
}

/// A head, in the types that the routes are written in.
fn request(head: &Head<'_>) -> Result<Request<Body>, Refusal> {
    let bad = |_| Refusal::BadRequest("the target cannot be read");
    let mut request = Request::new(Body::empty());
    *request.method_mut() = Method::from_bytes(head.method)
        .map_err(|_| Refusal::BadRequest("the method cannot be read"))?;
    *request.uri_mut() = Uri::try_from(head.target).map_err(bad)?;
    for (name, value) in &head.fields {
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        else {
            return Err(Refusal::BadRequest("a header field cannot be read"));
        };
        request.headers_mut().append(name, value);
    }
    Ok(request)
}

/// Statuses without a body (RFC 9110 section 6.4.1).
fn has_no_body(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// The length that a handler gave.
fn length(parts: &Parts) -> Option<u64> {
    parts.headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The status line and fields of a response.
fn head_of(parts: &Parts, length: Option<u64>, old: bool) -> Vec<u8> {
    let status = parts.status;
    let reason = status.canonical_reason().unwrap_or_default();
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    let mut field = |name: &str, value: &[u8]| {
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    };
    for (name, value) in &parts.headers {
        let name =
            if status == StatusCode::SWITCHING_PROTOCOLS { spelt(name) } else { name.as_str() };
        field(name, value.as_bytes());
    }
    if !status.is_informational() {
        if let Some(length) = length
            && !has_no_body(status)
            && !parts.headers.contains_key(header::CONTENT_LENGTH)
        {
            field("content-length", length.to_string().as_bytes());
        }
        if length.is_none() && !has_no_body(status) && !old {
            field("transfer-encoding", b"chunked");
        }
        let now = jiff::Timestamp::from_second(unix_now()).unwrap_or_default();
        field("date", now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string().as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// A field's name as RFC 6455 spells it: clients on small devices compare letter by letter.
fn spelt(name: &HeaderName) -> &str {
    match name.as_str() {
        "connection" => "Connection",
        "upgrade" => "Upgrade",
        "sec-websocket-accept" => "Sec-WebSocket-Accept",
        "sec-websocket-protocol" => "Sec-WebSocket-Protocol",
        other => other,
    }
}

#[cfg(test)]
mod tests;
