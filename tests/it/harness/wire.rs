//! A `wsbridge.v1` socket that says exactly what a test wants.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::{
    self, Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

use super::{
    Daemon, PATIENCE,
    client::{Socket, connect_with},
};

/// What arrived.
#[derive(Debug, PartialEq)]
pub(crate) enum Came {
    Json(Value),
    Data(Vec<u8>),
    Close(u16, String),
}

/// A socket in control mode.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: Socket,
    /// Line bytes that came while something else was awaited.
    pub(crate) data: Vec<u8>,
    /// Messages that came while another was awaited.
    pub(crate) passed: Vec<Value>,
}

impl Wire {
    /// Connects to an endpoint (or to the bus, with an empty name); `hello` has yet to be read.
    pub(crate) async fn connect(daemon: &Daemon, endpoint: &str) -> Self {
        Self::try_connect(daemon, endpoint, &[]).await.unwrap()
    }

    /// Connects with the token of a user of this kind, then opens as asked; returns the `opened` or
    /// the `error`.
    pub(crate) async fn open_as(
        daemon: &Daemon,
        endpoint: &str,
        token: &str,
        open: Value,
    ) -> (Self, Value) {
        let bearer = format!("Bearer {token}");
        let mut wire =
            Self::try_connect(daemon, endpoint, &[("authorization", &bearer)]).await.unwrap();
        let opened = wire.open(open).await;
        (wire, opened)
    }

    /// Connects to the bus with a token; `hello` has been read.
    pub(crate) async fn bus_as(daemon: &Daemon, token: &str) -> Self {
        let bearer = format!("Bearer {token}");
        let mut bus = Self::try_connect(daemon, "", &[("authorization", &bearer)]).await.unwrap();
        bus.told("hello").await;
        bus
    }

    /// Connects with additional headers; a refusal is the error.
    pub(crate) async fn try_connect(
        daemon: &Daemon,
        endpoint: &str,
        headers: &[(&'static str, &str)],
    ) -> tungstenite::Result<Self> {
        Self::at(&daemon.url(endpoint), headers).await
    }

    /// The same at an address that a test knows.
    pub(crate) async fn at(
        url: &str,
        headers: &[(&'static str, &str)],
    ) -> tungstenite::Result<Self> {
        let all: Vec<_> =
            [("sec-websocket-protocol", "wsbridge.v1")].iter().chain(headers).copied().collect();
        let socket = connect_with(url, &all).await?;
        Ok(Self { socket, data: Vec::new(), passed: Vec::new() })
    }

    /// Connects and opens; returns the `opened` or the `error`.
    pub(crate) async fn opened(daemon: &Daemon, endpoint: &str, open: Value) -> (Self, Value) {
        let mut wire = Self::connect(daemon, endpoint).await;
        let opened = wire.open(open).await;
        (wire, opened)
    }

    /// Sends `open` with these members; returns the answer.
    pub(crate) async fn open(&mut self, open: Value) -> Value {
        self.ask("open", open).await
    }

    /// Sends a request with this type and these members; returns the answer, whatever comes before
    /// it.
    pub(crate) async fn ask(&mut self, kind: &str, members: Value) -> Value {
        let id: u64 = 4000 + u64::try_from(self.passed.len()).unwrap();
        let mut message = members;
        message["type"] = kind.into();
        message["id"] = id.into();
        self.say(message).await;
        self.until(|told| told["re"] == json!(id)).await
    }

    /// Sends a message.
    pub(crate) async fn say(&mut self, message: Value) {
        self.text(&message.to_string()).await;
    }

    /// Sends a text frame.
    pub(crate) async fn text(&mut self, text: &str) {
        self.socket.send(Message::Text(text.to_owned().into())).await.unwrap();
    }

    /// Sends line bytes.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.socket.send(Message::Binary(bytes.to_vec().into())).await.unwrap();
    }

    /// Sends the beginning of a message of line bytes.
    pub(crate) async fn send_part(&mut self, bytes: &[u8]) {
        let frame = Frame::message(bytes.to_vec(), OpCode::Data(Data::Binary), false);
        self.socket.send(Message::Frame(frame)).await.unwrap();
    }

    /// Sends a Close frame with this code.
    pub(crate) async fn close(&mut self, code: u16) {
        let frame = tungstenite::protocol::CloseFrame { code: code.into(), reason: "".into() };
        self.socket.send(Message::Close(Some(frame))).await.unwrap();
    }

    /// What comes next; an end of the connection without Close is code 1006.
    pub(crate) async fn next(&mut self) -> Came {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // Pings are not an answer.
            let next = timeout_at(deadline, self.socket.next()).await;
            let next = next.unwrap_or_else(|_| panic!("nothing came; passed {:?}", self.passed));
            return match next {
                Some(Ok(Message::Text(text))) => Came::Json(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Binary(bytes))) => Came::Data(bytes.to_vec()),
                Some(Ok(Message::Close(frame))) => {
                    let frame = frame.expect("a code");
                    Came::Close(frame.code.into(), frame.reason.to_string())
                }
                Some(Ok(_)) => continue,
                Some(Err(error)) => Came::Close(1006, error.to_string()),
                None => Came::Close(1006, "end".into()),
            };
        }
    }

    /// The next message that fits; data and other messages are kept.
    pub(crate) async fn until(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            match self.next().await {
                Came::Json(told) if fits(&told) => return told,
                Came::Json(told) => self.passed.push(told),
                Came::Data(bytes) => self.data.extend(bytes),
                Came::Close(code, reason) => {
                    panic!("closed with {code} {reason}; passed {:?}", self.passed)
                }
            }
        }
    }

    /// The next message of a type.
    pub(crate) async fn told(&mut self, kind: &str) -> Value {
        self.until(|told| told["type"] == kind).await
    }

    /// Exactly this many line bytes, acknowledged.
    pub(crate) async fn receive(&mut self, length: usize) -> Vec<u8> {
        while self.data.len() < length {
            match self.next().await {
                Came::Json(told) => self.passed.push(told),
                Came::Data(bytes) => self.data.extend(bytes),
                Came::Close(code, reason) => panic!("closed with {code} {reason}"),
            }
        }
        let rest = self.data.split_off(length);
        std::mem::replace(&mut self.data, rest)
    }

    /// Close code and reason, whatever comes before.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.next().await {
                Came::Json(told) => self.passed.push(told),
                Came::Data(bytes) => self.data.extend(bytes),
                Came::Close(code, reason) => return (code, reason),
            }
        }
    }

    /// Whether no line bytes come for this long: for what must not happen.
    pub(crate) async fn silent(&mut self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        while let Ok(next) = timeout_at(deadline, self.socket.next()).await {
            match next {
                Some(Ok(Message::Text(text))) => {
                    self.passed.push(serde_json::from_str(&text).unwrap());
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return false,
            }
        }
        true
    }
}
