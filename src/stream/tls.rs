//! TLS to a client through rustls' unbuffered interface: one read of the socket takes several
//! records, and an idle connection holds no buffer.
//!
//! rustls' own buffer reads 4 KiB from a socket at a time, grows and shrinks with each record, and
//! stays at 4 KiB for the life of a connection: a third of what an idle one cost
//! (docs/performance.md).

use std::{
    fmt,
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use rustls::{
    ServerConfig,
    pki_types::CertificateDer,
    server::{ServerConnectionData, UnbufferedServerConnection},
    unbuffered::{
        ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
    },
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most bytes of records handled at a time, in either direction.
const RECORDS_MAX: usize = 64 * 1024 + 16;

/// The fewest bytes asked of the socket, however little is wanted.
const READ_LEAST: usize = 4096;

/// The most plain bytes that a write takes at a time.
const PLAIN_WRITE_MAX: usize = 64 * 1024;

/// The longest handshake message that rustls assembles from records (it refuses longer ones), and
/// what else may come with it. A write's records, with what each adds to its 16 KiB (RFC 8446
/// section 5.2), are shorter.
const RECORDS: usize = 0x1_0000 + RECORDS_MAX;

/// A server's end of TLS, its handshake done or not.
pub(super) struct Tls<S> {
    io: S,
    connection: UnbufferedServerConnection,
    /// Bytes of records that have not arrived in full.
    incoming: Vec<u8>,
    /// Plain bytes that nobody has taken yet, from `taken` on.
    plain: Vec<u8>,
    taken: usize,
    /// Records that the socket has not taken yet, from `sent` on.
    outgoing: Vec<u8>,
    sent: usize,
    /// How the client's side has ended, if it has.
    end: Option<ClientEnd>,
    closing: bool,
}

/// How the client's side ended.
#[derive(Clone, Copy, Debug)]
enum ClientEnd {
    /// With `close_notify`.
    Closed,
    /// Without one, at the end of the stream: what came may have been cut short (RFC 8446 section
    /// 6.1).
    Cut,
    /// With something that TLS does not allow; rustls is not asked again.
    Failed,
}

impl<S> fmt::Debug for Tls<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("end", &self.end)
            .field("closing", &self.closing)
            .finish_non_exhaustive()
    }
}

/// What came of processing records.
enum RecordStep {
    /// Plain bytes were put where they were wanted.
    Data,
    /// The handshake, or the next record, needs more bytes.
    Hungry,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Tls<S> {
    /// Does the handshake. Fails with `InvalidData` if the client breaks TLS, after sending the
    /// alert that says so.
    pub(super) async fn accept(io: S, config: Arc<ServerConfig>) -> io::Result<Self> {
        let connection = UnbufferedServerConnection::new(config).map_err(invalid)?;
        let mut tls = Self {
            io,
            connection,
            incoming: Vec::new(),
            plain: Vec::new(),
            taken: 0,
            outgoing: Vec::new(),
            sent: 0,
            end: None,
            closing: false,
        };
        poll_fn(|cx| tls.poll_handshake(cx)).await?;
        Ok(tls)
    }

    /// The client's certificates, its own first; `None` if it showed none.
    pub(super) fn peer_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        self.connection.peer_certificates()
    }

    /// The stream underneath.
    pub(super) fn io(&self) -> &S {
        &self.io
    }

    /// Whether every record made so far is in the stream underneath.
    pub(super) fn has_sent_all(&self) -> bool {
        self.outgoing.is_empty()
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.connection.is_handshaking() {
            let read = self.poll_records(cx, &mut ReadBuf::new(&mut []));
            // Whatever this made us say goes out first: an alert, before the error is reported.
            ready!(self.poll_send(cx))?;
            ready!(read)?;
            if self.end.is_some() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        self.poll_send(cx)
    }

    /// Reads the socket once and puts what its records contain into `out`; what does not fit is
    /// kept. If it is ready without a byte in `out`, look at `end`, or ask again.
    fn poll_records(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        with_records(|records| {
            let kept = self.incoming.len();
            // No more than will fit once it is plain, but enough for the rest of a record that has
            // begun.
            let most = out.remaining().min(RECORDS_MAX).saturating_sub(kept).max(READ_LEAST);
            let Some((head, room)) =
                records.get_mut(..kept + most).and_then(|all| all.split_at_mut_checked(kept))
            else {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a handshake message without end",
                )));
            };
            let mut room = ReadBuf::new(room);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut room))?;
            let read = room.filled().len();
            if read == 0 {
                self.end = self.end.or(Some(ClientEnd::Cut));
                return Poll::Ready(Ok(()));
            }
            // A record that trickles in is neither looked at nor moved for each piece.
            if kept > 0 {
                self.incoming.extend_from_slice(room.filled());
                if !is_whole(&self.incoming) {
                    return Poll::Ready(Ok(()));
                }
                head.copy_from_slice(self.incoming.get(..kept).unwrap_or_default());
            }
            let all = records.get_mut(..kept + read).unwrap_or_default();
            let used = self.process(all, out)?;
            // An idle connection keeps no buffer.
            self.incoming = all.get(used..).unwrap_or_default().to_vec();
            Poll::Ready(Ok(()))
        })
    }

    /// Works through records; returns how many bytes of them are done with.
    fn process(&mut self, records: &mut [u8], out: &mut ReadBuf<'_>) -> io::Result<usize> {
        let mut used = 0;
        loop {
            let rest = records.get_mut(used..).unwrap_or_default();
            let UnbufferedStatus { discard, state, .. } = self.connection.process_tls_records(rest);
            used += discard;
            let step = match state {
                Ok(state) => {
                    Self::take(state, &mut self.plain, &mut self.outgoing, &mut self.end, out)?
                }
                Err(error) => {
                    self.end = Some(ClientEnd::Failed);
                    self.alert(records.get_mut(used..).unwrap_or_default());
                    return Err(invalid(error));
                }
            };
            if let RecordStep::Hungry = step {
                return Ok(used);
            }
        }
    }

    /// Does what one state of the connection calls for.
    fn take(
        state: ConnectionState<'_, '_, ServerConnectionData>,
        plain: &mut Vec<u8>,
        outgoing: &mut Vec<u8>,
        end: &mut Option<ClientEnd>,
        out: &mut ReadBuf<'_>,
    ) -> io::Result<RecordStep> {
        match state {
            ConnectionState::ReadTraffic(mut traffic) => {
                while let Some(record) = traffic.next_record() {
                    let payload = record.map_err(invalid)?.payload;
                    // In order: after what is already kept.
                    let fits =
                        if plain.is_empty() { payload.len().min(out.remaining()) } else { 0 };
                    let (now, later) = payload.split_at(fits);
                    out.put_slice(now);
                    plain.extend_from_slice(later);
                }
                Ok(RecordStep::Data)
            }
            ConnectionState::EncodeTlsData(mut data) => {
                encode(&mut data, outgoing)?;
                Ok(RecordStep::Data)
            }
            // What was encoded waits in `outgoing`, and goes out before anything encoded later.
            ConnectionState::TransmitTlsData(data) => {
                data.done();
                Ok(RecordStep::Data)
            }
            ConnectionState::PeerClosed => {
                *end = Some(ClientEnd::Closed);
                Ok(RecordStep::Data)
            }
            // We configure no early data; and a state that a later rustls adds asks for nothing we
            // know.
            ConnectionState::BlockedHandshake
            | ConnectionState::WriteTraffic(_)
            | ConnectionState::Closed
            | ConnectionState::ReadEarlyData(_)
            | _ => Ok(RecordStep::Hungry),
        }
    }

    /// Queues the alert of a connection that has failed; `rest` is what was not worked through.
    /// rustls must not look at that again, so it is only asked for what it has to say.
    fn alert(&mut self, rest: &mut [u8]) {
        while self.connection.wants_write() {
            let status = self.connection.process_tls_records(rest);
            let Ok(ConnectionState::EncodeTlsData(mut data)) = status.state else { return };
            if encode(&mut data, &mut self.outgoing).is_err() {
                return;
            }
        }
    }

    /// Writes what waits; ready when the socket has it all.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.outgoing.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.io).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.sent += n,
            }
        }
        (self.outgoing, self.sent) = (Vec::new(), 0);
        Poll::Ready(Ok(()))
    }

    /// Lets `put` encrypt, after anything else that the connection has to say was queued.
    fn encrypt<T>(
        &mut self,
        put: impl FnOnce(&mut WriteTraffic<'_, ServerConnectionData>) -> Result<T, EncryptError>,
    ) -> io::Result<T> {
        loop {
            if let Some(ClientEnd::Failed) = self.end {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            // Together with what is kept: rustls remembers how far into it it has looked.
            let UnbufferedStatus { state, discard, .. } =
                self.connection.process_tls_records(&mut self.incoming);
            let state = state.map_err(invalid)?;
            if let ConnectionState::WriteTraffic(mut traffic) = state {
                return put(&mut traffic).map_err(io::Error::other);
            }
            let none = &mut ReadBuf::new(&mut []);
            let step = Self::take(state, &mut self.plain, &mut self.outgoing, &mut self.end, none)?;
            self.incoming.drain(..discard);
            if let RecordStep::Hungry = step {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Tls<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if let Some(rest) = this.plain.get(this.taken..).filter(|rest| !rest.is_empty()) {
                let length = rest.len().min(buf.remaining());
                buf.put_slice(rest.get(..length).unwrap_or_default());
                this.taken += length;
                return Poll::Ready(Ok(()));
            }
            (this.plain, this.taken) = (Vec::new(), 0);
            match this.end {
                None => {}
                Some(ClientEnd::Closed) => return Poll::Ready(Ok(())),
                Some(ClientEnd::Cut) => {
                    let what = "the stream ended without TLS's close_notify";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, what)));
                }
                Some(ClientEnd::Failed) => {
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
            }
            let before = buf.filled().len();
            let read = this.poll_records(cx, buf);
            // An answer to a change of keys, or an alert. What the socket does not take goes out
            // with the next write.
            if let Poll::Ready(Err(error)) = this.poll_send(cx) {
                return Poll::Ready(Err(error));
            }
            // What arrived whole before a faulty record is delivered; the error waits for the next
            // call.
            if buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            ready!(read)?;
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Tls<S> {
    /// Takes up to 64 KiB once everything before has gone; records that the socket does not take
    /// wait.
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        let plain = buf.get(..PLAIN_WRITE_MAX).unwrap_or(buf);
        with_records(|records| {
            let length = this.encrypt(|traffic| traffic.encrypt(plain, records))?;
            let encrypted = records.get(..length).unwrap_or_default();
            let gone = if this.outgoing.is_empty() {
                match Pin::new(&mut this.io).poll_write(cx, encrypted) {
                    Poll::Ready(written) => written?,
                    Poll::Pending => 0,
                }
            } else {
                0
            };
            this.outgoing.extend_from_slice(encrypted.get(gone..).unwrap_or_default());
            Poll::Ready(Ok(plain.len()))
        })
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    /// Says that nothing follows (`close_notify`), and ends our side of the stream.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.closing {
            this.closing = true;
            let mut notify = [0; READ_LEAST];
            // A connection that failed has already said so with an alert.
            if let Ok(length) = this.encrypt(|traffic| traffic.queue_close_notify(&mut notify)) {
                this.outgoing.extend_from_slice(notify.get(..length).unwrap_or_default());
            }
        }
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}

/// Lends the thread's buffer for records for the duration of one poll.
fn with_records<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    thread_local! {
        static RECORD_BUFFER: std::cell::Cell<Option<Box<[u8]>>> = const { std::cell::Cell::new(None) };
    }
    let mut buffer = RECORD_BUFFER.take().unwrap_or_else(|| vec![0; RECORDS].into());
    let result = work(&mut buffer);
    RECORD_BUFFER.set(Some(buffer));
    result
}

/// Whether a record has arrived in full; its length follows its type and version (RFC 8446 section
/// 5.1).
fn is_whole(bytes: &[u8]) -> bool {
    matches!(bytes, [_, _, _, high, low, body @ ..] if body.len() >= usize::from(u16::from_be_bytes([*high, *low])))
}

/// Appends an encoded handshake record to `out`.
fn encode(data: &mut EncodeTlsData<'_, ServerConnectionData>, out: &mut Vec<u8>) -> io::Result<()> {
    let start = out.len();
    loop {
        match data.encode(out.get_mut(start..).unwrap_or_default()) {
            Ok(length) => {
                out.truncate(start + length);
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(least)) => out.resize(start + least.required_size, 0),
            Err(error @ EncodeError::AlreadyEncoded) => return Err(io::Error::other(error)),
        }
    }
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests;
