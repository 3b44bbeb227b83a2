//! Reading ahead under TLS: rustls asks for 4 KiB at a time, and a system call for each costs more than the decryption.

use std::{
    cell::Cell,
    io::{self, IoSlice},
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes of one read: two records.
const READ: usize = 2 * (16 * 1024 + 64);

thread_local! {
    /// The buffer that whoever reads borrows; it is kept by a stream only while there is something in it.
    static SPARE: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// A stream that is read in large pieces and handed out in small ones.
#[derive(Debug)]
pub struct Ahead<S> {
    stream: S,
    /// What was read and not handed out: `buffer[range]`.
    held: Option<(Box<[u8]>, Range<usize>)>,
}

impl<S> Ahead<S> {
    /// Nothing read yet.
    pub fn new(stream: S) -> Self {
        Self { stream, held: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Ahead<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let (buffer, range) = if let Some(held) = this.held.take() {
            held
        } else {
            let mut buffer = SPARE.take().unwrap_or_else(|| vec![0; READ].into());
            let mut space = ReadBuf::new(&mut buffer);
            let read = Pin::new(&mut this.stream).poll_read(cx, &mut space);
            let end = space.filled().len();
            if !matches!(read, Poll::Ready(Ok(()))) || end == 0 {
                SPARE.set(Some(buffer));
                ready!(read)?;
                return Poll::Ready(Ok(()));
            }
            (buffer, 0..end)
        };
        let rest = buffer.get(range.clone()).unwrap_or_default();
        let count = rest.len().min(buf.remaining());
        buf.put_slice(rest.get(..count).unwrap_or_default());
        if count < rest.len() {
            this.held = Some((buffer, range.start + count..range.end));
        } else {
            SPARE.set(Some(buffer));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Ahead<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn every_byte_comes_once_and_in_order_whatever_the_pieces_and_then_the_end() {
        let bytes: Vec<u8> = (0..=250).cycle().take(200_000).collect();
        let (near, mut far) = duplex(100_000);
        let mut near = Ahead::new(near);
        let sent = bytes.clone();
        let ((), got) = tokio::join!(
            async move {
                far.write_all(&sent).await.unwrap();
                far.shutdown().await.unwrap();
            },
            async {
                let mut got = Vec::new();
                for size in [1, 7, 4096, 33_000].into_iter().cycle() {
                    let mut piece = vec![0; size];
                    let n = near.read(&mut piece).await.unwrap();
                    got.extend_from_slice(&piece[..n]);
                    if n == 0 {
                        break;
                    }
                }
                got
            }
        );
        assert!(got == bytes);
    }

    #[tokio::test]
    async fn a_stream_with_nothing_left_holds_no_buffer() {
        let (near, mut far) = duplex(100_000);
        let mut near = Ahead::new(near);
        far.write_all(&[1; 5000]).await.unwrap();
        near.read_exact(&mut [0; 4096]).await.unwrap();
        assert!(near.held.is_some());
        near.read_exact(&mut [0; 904]).await.unwrap();
        assert!(near.held.is_none());
    }
}
