//! Clients: one that sends whatever bytes a test wants, and a well-behaved WebSocket.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
};

use sha2::{Digest, Sha256};
use socket2::{Domain, Socket as Socket2, Type};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{self, client::IntoClientRequest, http::HeaderValue},
};

use super::{PATIENCE, target::Received};

/// A WebSocket that keeps the rules.
pub(crate) type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// Connects to an endpoint's URL.
pub(crate) async fn connect(url: &str) -> Socket {
    connect_with(url, &[]).await.unwrap()
}

/// Connects with additional headers; a refusal is the error.
pub(crate) async fn connect_with(
    url: &str,
    headers: &[(&'static str, &str)],
) -> tungstenite::Result<Socket> {
    let mut request = url.into_client_request()?;
    for (name, value) in headers {
        request.headers_mut().insert(*name, HeaderValue::from_str(value).unwrap());
    }
    Ok(tokio_tungstenite::connect_async(request).await?.0)
}

/// A connection that sends any bytes. Reads fail after `PATIENCE`.
#[derive(Debug)]
pub(crate) struct Raw {
    stream: TcpStream,
    early: Vec<u8>,
}

/// A frame as the daemon sent it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) fin: bool,
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// Code and reason of a Close.
    pub(crate) fn close(&self) -> Option<(u16, String)> {
        let (code, reason) = self.payload.split_first_chunk::<2>().filter(|_| self.opcode == 8)?;
        Some((u16::from_be_bytes(*code), String::from_utf8_lossy(reason).into_owned()))
    }
}

impl Raw {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, early: Vec::new() }
    }

    /// Connects to an endpoint and upgrades.
    pub(crate) fn upgrade(address: SocketAddr, endpoint: &str) -> Self {
        let mut raw = Self::connect(address);
        raw.send(upgrade_head(address, endpoint, "").as_bytes());
        let head = raw.head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        raw
    }

    /// Connects from this address of the machine.
    pub(crate) fn connect_from(source: &str, address: SocketAddr) -> Self {
        let socket = Socket2::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(source.parse().unwrap(), 0).into()).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::over(socket.into())
    }

    /// Asks for an upgrade at this path (or endpoint) with additional header lines; returns the
    /// answer's head.
    pub(crate) fn handshake(address: SocketAddr, path: &str, more: &str) -> (Self, String) {
        let mut raw = Self::connect(address);
        raw.send(upgrade_head(address, path, more).as_bytes());
        let head = raw.head();
        (raw, head)
    }

    /// The status of such an answer.
    pub(crate) fn status(address: SocketAddr, path: &str, more: &str) -> u16 {
        status(&Self::handshake(address, path, more).1)
    }

    /// Sends bytes.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends a frame with FIN, masked.
    pub(crate) fn frame(&mut self, opcode: u8, payload: &[u8]) {
        self.send(&masked(0x80 | opcode, payload));
    }

    /// A response's head, up to and including the empty line; empty if the connection ended before.
    pub(crate) fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.early.windows(4).position(|window| window == b"\r\n\r\n") {
                let rest = self.early.split_off(end + 4);
                return String::from_utf8(std::mem::replace(&mut self.early, rest)).unwrap();
            }
            if self.more() == 0 {
                return String::from_utf8_lossy(&std::mem::take(&mut self.early)).into_owned();
            }
        }
    }

    /// Sends a request and returns the whole answer of a connection that closes after it.
    pub(crate) fn ask(address: SocketAddr, request: &str) -> String {
        let mut raw = Self::connect(address);
        raw.send(request.as_bytes());
        raw.rest()
    }

    /// Everything until the end; a reset counts as one.
    pub(crate) fn rest(&mut self) -> String {
        while self.more() > 0 {}
        String::from_utf8_lossy(&std::mem::take(&mut self.early)).into_owned()
    }

    /// The same, as bytes.
    pub(crate) fn rest_bytes(&mut self) -> Vec<u8> {
        while self.more() > 0 {}
        std::mem::take(&mut self.early)
    }

    /// The next frame; `None` at the end of the stream.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        let head = self.exactly(2)?;
        let length = match head[1] {
            126 => u16::from_be_bytes(self.exactly(2)?.try_into().unwrap()).into(),
            127 => {
                usize::try_from(u64::from_be_bytes(self.exactly(8)?.try_into().unwrap())).unwrap()
            }
            short => usize::from(short),
        };
        let payload = self.exactly(length)?;
        Some(Frame { fin: head[0] & 0x80 != 0, opcode: head[0] & 0x0f, payload })
    }

    /// Payload of data frames until `length` bytes are there.
    pub(crate) fn data(&mut self, length: usize) -> Vec<u8> {
        let mut data = Vec::new();
        while data.len() < length {
            let frame = self.next().expect("a frame");
            assert!(frame.opcode <= 2 || frame.opcode == 9, "{frame:?}");
            if frame.opcode <= 2 {
                data.extend(frame.payload);
            }
        }
        data
    }

    /// Everything until the Close, and its code.
    pub(crate) fn drain(&mut self) -> (Received, Option<u16>) {
        let (mut digest, mut bytes) = (Sha256::new(), 0);
        loop {
            let frame = self.next();
            let close = frame.as_ref().map(Frame::close);
            let Some((frame, None)) = frame.zip(close.clone()) else {
                let code = close.flatten().map(|(code, _)| code);
                return (Received { bytes, sha256: digest.finalize().into() }, code);
            };
            if frame.opcode <= 2 {
                digest.update(&frame.payload);
                bytes += frame.payload.len() as u64;
            }
        }
    }

    /// The code and reason of the Close, whatever comes before it.
    pub(crate) fn closed(&mut self) -> Option<(u16, String)> {
        loop {
            if let Some(close) = self.next()?.close() {
                return Some(close);
            }
        }
    }

    /// Sends FIN.
    pub(crate) fn half_close(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// The connection itself.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.early.len() < length {
            if self.more() == 0 {
                return None;
            }
        }
        let rest = self.early.split_off(length);
        Some(std::mem::replace(&mut self.early, rest))
    }

    fn more(&mut self) -> usize {
        let mut buffer = [0; 16 * 1024];
        let read = match self.stream.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => 0,
            Err(error) => {
                panic!("nothing came: {error}; so far {:?}", String::from_utf8_lossy(&self.early))
            }
        };
        self.early.extend(&buffer[..read]);
        read
    }
}

/// The status of an answer; 0 for none.
pub(crate) fn status(answer: &str) -> u16 {
    answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok()).unwrap_or(0)
}

/// The head of an upgrade request for an endpoint, or for a whole path; `more` has additional
/// header lines, each with its line end.
pub(crate) fn upgrade_head(address: SocketAddr, endpoint: &str, more: &str) -> String {
    let path =
        if endpoint.starts_with('/') { endpoint.to_owned() } else { format!("/ws/{endpoint}") };
    format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

/// A masked frame with any first byte.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(0x80 | u8::try_from(short).unwrap()),
        middle @ 126..0x1_0000 => {
            bytes.push(0xfe);
            bytes.extend(u16::try_from(middle).unwrap().to_be_bytes());
        }
        long => {
            bytes.push(0xff);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    let start = bytes.len();
    bytes.extend(payload);
    let wide = u64::from_ne_bytes([mask, mask].concat().try_into().unwrap());
    // Eight at a time: unoptimised code masks 100 MB here.
    for chunk in bytes[start..].chunks_mut(8) {
        match <&mut [u8; 8]>::try_from(&mut *chunk) {
            Ok(eight) => *eight = (u64::from_ne_bytes(*eight) ^ wide).to_ne_bytes(),
            Err(_) => {
                chunk.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
            }
        }
    }
    bytes
}
