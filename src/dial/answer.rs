//! An answer of an HTTP server as it comes: its head, then its body in pieces.

use httparse::{EMPTY_HEADER, Status};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The longest head that is read, in bytes.
const HEAD_MAX: usize = 64 << 10;

/// The most header fields of an answer that are read.
const FIELDS_MAX: usize = 64;

/// Said of what is no answer.
const NO_ANSWER: &str = " does not answer as an HTTP server does";

/// An answer whose head has come.
#[derive(Debug)]
pub(crate) struct Answer<S> {
    io: S,
    /// Read, and not given away yet.
    text: Vec<u8>,
    left: Left,
    /// The status.
    pub status: u16,
    /// Names in lower case, and values that are text.
    pub fields: Vec<(String, String)>,
}

/// What is left of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Bytes(u64),
    /// The size of a chunk comes next.
    Chunks,
    /// This much of a chunk, then its line end.
    Chunk(u64),
    ChunkEnd,
    /// Whatever comes.
    UntilEnd,
}

impl<S: AsyncRead + Unpin> Answer<S> {
    /// Reads the head. An error's text completes a sentence that begins with the name of the other
    /// end.
    pub(crate) async fn read(mut io: S) -> Result<Self, String> {
        let mut text = Vec::new();
        loop {
            if let Some((status, end, fields)) = head(&text)? {
                text.drain(..end);
                let left = body(status, &fields)?;
                return Ok(Self { io, text, left, status, fields });
            }
            if text.len() > HEAD_MAX {
                return Err(NO_ANSWER.to_owned());
            }
            match io.read_buf(&mut text).await {
                Ok(0) => return Err(NO_ANSWER.to_owned()),
                Ok(_) => {}
                Err(error) if text.is_empty() => return Err(format!(": {error}")),
                Err(_) => return Err(NO_ANSWER.to_owned()),
            }
        }
    }

    /// A field's value.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        field(&self.fields, name)
    }

    /// The next piece of the body, never empty; `None` at its end.
    pub(crate) async fn piece(&mut self) -> Result<Option<Vec<u8>>, String> {
        loop {
            match self.left {
                Left::Bytes(0) => return Ok(None),
                Left::Bytes(left) if !self.text.is_empty() => {
                    let (piece, left) = self.take(left);
                    self.left = Left::Bytes(left);
                    return Ok(Some(piece));
                }
                Left::Chunk(0) => self.left = Left::ChunkEnd,
                Left::Chunk(left) if !self.text.is_empty() => {
                    let (piece, left) = self.take(left);
                    self.left = Left::Chunk(left);
                    return Ok(Some(piece));
                }
                Left::ChunkEnd if self.text.len() >= 2 => {
                    if !self.text.starts_with(b"\r\n") {
                        return Err(NO_ANSWER.to_owned());
                    }
                    self.text.drain(..2);
                    self.left = Left::Chunks;
                }
                Left::Chunks => match httparse::parse_chunk_size(&self.text) {
                    Ok(Status::Complete((_, 0))) => self.left = Left::Bytes(0),
                    Ok(Status::Complete((start, length))) => {
                        self.text.drain(..start);
                        self.left = Left::Chunk(length);
                    }
                    Ok(Status::Partial) => self.more().await?,
                    Err(_) => return Err(NO_ANSWER.to_owned()),
                },
                Left::UntilEnd if !self.text.is_empty() => {
                    return Ok(Some(std::mem::take(&mut self.text)));
                }
                // Some servers end TLS without its closing message.
                Left::UntilEnd => match self.io.read_buf(&mut self.text).await {
                    Ok(0) | Err(_) => return Ok(None),
                    Ok(_) => {}
                },
                Left::Bytes(_) | Left::Chunk(_) | Left::ChunkEnd => self.more().await?,
            }
        }
    }

    /// The stream, and what came behind the head: after a 101 it speaks another protocol.
    pub(crate) fn into_parts(self) -> (S, Vec<u8>) {
        (self.io, self.text)
    }

    async fn more(&mut self) -> Result<(), String> {
        match self.io.read_buf(&mut self.text).await {
            Ok(1..) => Ok(()),
            Ok(0) => Err(" broke off".to_owned()),
            Err(error) => Err(format!(": {error}")),
        }
    }

    /// As much of `left` as is there, and what is left then.
    fn take(&mut self, left: u64) -> (Vec<u8>, u64) {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(self.text.len());
        let rest = self.text.split_off(most);
        (std::mem::replace(&mut self.text, rest), left - most as u64)
    }
}

/// Status, length of the head, fields.
type Head = (u16, usize, Vec<(String, String)>);

fn head(text: &[u8]) -> Result<Option<Head>, String> {
    let mut fields = [EMPTY_HEADER; FIELDS_MAX];
    let mut answer = httparse::Response::new(&mut fields);
    let end = match answer.parse(text) {
        Ok(Status::Complete(end)) => end,
        Ok(Status::Partial) => return Ok(None),
        Err(_) => return Err(NO_ANSWER.to_owned()),
    };
    let text = |value: &[u8]| Some(std::str::from_utf8(value).ok()?.trim().to_owned());
    let fields = answer.headers.iter();
    let fields = fields.filter_map(|it| Some((it.name.to_ascii_lowercase(), text(it.value)?)));
    Ok(Some((answer.code.unwrap_or_default(), end, fields.collect())))
}

fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// What a head says about the body after it.
fn body(status: u16, fields: &[(String, String)]) -> Result<Left, String> {
    let chunked = field(fields, "transfer-encoding")
        .is_some_and(|coding| coding.to_ascii_lowercase().ends_with("chunked"));
    match field(fields, "content-length") {
        _ if chunked => Ok(Left::Chunks),
        Some(length) => length.parse().map(Left::Bytes).map_err(|_| NO_ANSWER.to_owned()),
        None if status == 204 || status == 101 => Ok(Left::Bytes(0)),
        None => Ok(Left::UntilEnd),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Poll},
    };

    use tokio::io::ReadBuf;

    use super::*;

    async fn body(text: &str) -> Result<String, String> {
        let mut answer = Answer::read(Slow(text.as_bytes())).await?;
        let mut all = Vec::new();
        while let Some(piece) = answer.piece().await? {
            assert!(!piece.is_empty());
            all.extend(piece);
        }
        Ok(String::from_utf8(all).unwrap())
    }

    /// A stream that gives one byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl AsyncRead for Slow<'_> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<std::io::Result<()>> {
            if let Some((first, rest)) = self.0.split_first() {
                buf.put_slice(&[*first]);
                self.0 = rest;
            }
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn bodies_are_read_by_length_by_chunks_and_to_the_end() {
        let known = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokmore";
        assert_eq!(body(known).await.as_deref(), Ok("ok"));
        let chunks =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n3\r\nall\r\n0\r\n\r\n";
        assert_eq!(body(chunks).await.as_deref(), Ok("okall"));
        assert!(body(&chunks[..chunks.len() - 7]).await.unwrap_err().contains("broke off"));
        assert_eq!(body("HTTP/1.0 401 No\r\n\r\nwhy").await.as_deref(), Ok("why"));
        assert_eq!(body("HTTP/1.1 204 No Content\r\n\r\n").await.as_deref(), Ok(""));
        assert!(body("SSH-2.0-x\r\n").await.unwrap_err().contains("as an HTTP server does"));
        let short = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort";
        assert!(body(short).await.unwrap_err().contains("broke off"));
        let torn = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokXX";
        assert!(body(torn).await.is_err());
    }

    #[tokio::test]
    async fn after_a_101_the_stream_is_given_back_with_what_came_behind_it() {
        let text: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nearly";
        let answer = Answer::read(text).await.unwrap();
        assert_eq!((answer.status, answer.field("upgrade")), (101, Some("x")));
        assert_eq!(answer.into_parts().1, b"early");
    }
}
