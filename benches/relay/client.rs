//! The browser's end: a raw socket, a WebSocket, or one under TLS; blocking, so that it costs next
//! to nothing itself.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    sync::{Arc, OnceLock},
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::{
    Outcome, fail,
    frames::{Reader, masked},
    pattern::Check,
};

/// Time after which a transfer that does not move has failed.
const STUCK: Duration = Duration::from_secs(60);

/// How a relay is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    /// The bytes as they are.
    Raw,
    /// WebSocket on this path.
    Ws(&'static str),
    /// The same under TLS.
    Wss(&'static str),
    /// Under TLS by ChaCha20-Poly1305, as on processors without AES instructions.
    WssChaCha(&'static str),
}

/// The stream below.
#[derive(Debug)]
pub(crate) enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buf),
            Self::Tls(stream) => stream.read(buf),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(buf),
            Self::Tls(stream) => stream.write(buf),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// A connection to a relay; `reader` is there when it speaks WebSocket.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) wire: Wire,
    pub(crate) reader: Option<Reader>,
}

impl Client {
    /// Connects, and shakes hands where there is something to shake.
    pub(crate) fn open(port: u16, speech: Speech) -> Outcome<Self> {
        let stream = tuned(TcpStream::connect((Ipv4Addr::LOCALHOST, port))?)?;
        let (mut wire, path) = match speech {
            Speech::Raw => return Ok(Self { wire: Wire::Plain(stream), reader: None }),
            Speech::Ws(path) => (Wire::Plain(stream), path),
            Speech::Wss(path) | Speech::WssChaCha(path) => {
                let name = ServerName::try_from("localhost")?;
                let tls =
                    ClientConnection::new(trusting(matches!(speech, Speech::WssChaCha(_))), name)?;
                (Wire::Tls(Box::new(StreamOwned::new(tls, stream))), path)
            }
        };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        wire.write_all(request.as_bytes())?;
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            wire.read_exact(&mut byte)?;
            head.extend(byte);
        }
        if !head.starts_with(b"HTTP/1.1 101") {
            return fail(format!("no WebSocket: {}", String::from_utf8_lossy(&head)));
        }
        Ok(Self { wire, reader: Some(Reader::default()) })
    }

    /// A second hold on the connection, to send with while this one receives; not under TLS.
    pub(crate) fn sender(&self) -> Outcome<Wire> {
        match &self.wire {
            Wire::Plain(stream) => Ok(Wire::Plain(stream.try_clone()?)),
            Wire::Tls(_) => fail("one direction at a time under TLS".into()),
        }
    }

    /// Receives so many bytes of data and checks each.
    pub(crate) fn receive(&mut self, check: &mut Check, total: u64) -> Outcome<()> {
        let until = check.count + total;
        let mut buf = vec![0; 256 * 1024];
        while check.count < until {
            let most = usize::try_from(until - check.count).unwrap_or(usize::MAX).min(buf.len());
            // Of frames the headers come too, but never more than belongs to the data: nothing is
            // sent behind it.
            let most = if self.reader.is_some() { buf.len() } else { most };
            let n = self.wire.read(buf.get_mut(..most).unwrap_or_default())?;
            if n == 0 {
                return fail(format!(
                    "the connection ended after {} of {until} bytes",
                    check.count
                ));
            }
            let bytes = buf.get(..n).unwrap_or_default();
            match &mut self.reader {
                Some(reader) => reader.feed(bytes, |payload| check.take(payload))?,
                None => check.take(bytes)?,
            }
        }
        Ok(())
    }

    /// Sends one message.
    pub(crate) fn send(&mut self, payload: &[u8]) -> Outcome<()> {
        let frame = if self.reader.is_some() { masked(2, payload) } else { payload.to_vec() };
        self.wire.write_all(&frame)?;
        Ok(self.wire.flush()?)
    }

    /// Answers every ping that has come, without waiting for one.
    pub(crate) fn answer_pings(&mut self) -> Outcome<()> {
        let Wire::Plain(stream) = &mut self.wire else { return Ok(()) };
        stream.set_nonblocking(true)?;
        let mut buf = [0; 64];
        while let Ok(n @ 1..) = stream.read(&mut buf) {
            if let Some(reader) = &mut self.reader {
                reader.feed(buf.get(..n).unwrap_or_default(), |_| Ok(()))?;
                for _ in 0..std::mem::take(&mut reader.pings) {
                    stream.write_all(&masked(10, b""))?;
                }
            }
        }
        Ok(stream.set_nonblocking(false)?)
    }
}

/// Small writes leave at once; what does not move for a minute has failed.
pub(crate) fn tuned(stream: TcpStream) -> Outcome<TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(STUCK))?;
    stream.set_write_timeout(Some(STUCK))?;
    Ok(stream)
}

/// A TLS client that resumes nothing and takes any certificate; of ciphers it knows all, or
/// ChaCha20-Poly1305 alone.
fn trusting(chacha: bool) -> Arc<ClientConfig> {
    static CONFIGS: [OnceLock<Arc<ClientConfig>>; 2] = [const { OnceLock::new() }; 2];
    let [all, alone] = &CONFIGS;
    let config = if chacha { alone } else { all }.get_or_init(|| {
        let mut provider = ring::default_provider();
        let wanted = ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256;
        provider.cipher_suites.retain(|suite| !chacha || *suite == wanted);
        let provider = Arc::new(provider);
        let verifier = Arc::new(Anyone(Arc::clone(&provider)));
        let versions = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13]);
        let builder = versions.unwrap_or_else(|error| unreachable!("{error}"));
        let mut config =
            builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        config.resumption = rustls::client::Resumption::disabled();
        Arc::new(config)
    });
    Arc::clone(config)
}

/// The gateway under test has a certificate of its own making.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
