//! Tests of the HTTP side: real connections on loopback.

mod pages;
mod sessions;
mod walls;

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, client::IntoClientRequest as _, http::HeaderValue},
};

use super::*;
use crate::{
    auth::{ClientAddress, Peer, hash_password},
    config::{
        Access, Endpoint, EndpointLimits, Limits, OpenWhen, Pacing, Packing, Password, Rights,
        RightsTable, Target, TcpAddress, TcpTarget, Token, User,
    },
    stream::Stream,
};

/// A gateway on loopback with an echo behind `plc1`, and everything dropped at the end.
struct Gateway {
    address: SocketAddr,
    config: watch::Sender<Arc<Config>>,
    bridge: Arc<Bridge>,
    tasks: TaskTracker,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.bridge.stop.cancel();
        self.bridge.sessions.end(|_| Some(crate::wire::close::Ended::Stopping));
    }
}

fn rights(pattern: &str, rights: Rights) -> RightsTable {
    RightsTable(vec![(pattern.to_owned(), rights)])
}

fn token(text: &str, table: RightsTable) -> Token {
    Token { sha256: Sha256::digest(text).into(), expires: None, shared: false, rights: table }
}

/// `alice` with password `s3cret` (hashed cheaply), tokens `admin`, `plc` (plc* only) and
/// `scraper`.
fn access() -> Access {
    let user = User {
        password: Password::parse(&hash_password("s3cret").unwrap()).unwrap(),
        rights: rights("*", Rights::ALL),
    };
    Access {
        users: [("alice".into(), user)].into(),
        tokens: [
            ("admin".into(), token("wsb_admin", rights("*", Rights::ALL))),
            ("plc".into(), token("wsb_plc", rights("plc1", Rights::READ.with(Rights::WRITE)))),
            ("scraper".into(), token("wsb_scraper", rights("/metrics", Rights::READ))),
        ]
        .into(),
        ..Access::default()
    }
}

pub(crate) fn open() -> Access {
    Access { open: true, ..Access::default() }
}

fn endpoint(name: &str, address: SocketAddr) -> (String, Arc<Endpoint>) {
    let target = TcpTarget {
        address: TcpAddress::Host(address.ip().to_string(), address.port()),
        connect_timeout: Duration::from_secs(5),
        keepalive: None,
        dead_after: Duration::from_secs(30),
        user_timeout: None,
        tls: None,
        usb: None,
        heartbeat: None,
    };
    let endpoint = Endpoint {
        name: name.into(),
        title: None,
        target: Target::Tcp(target),
        share: None,
        history: 0,
        open: OpenWhen::OnDemand,
        lease_idle: None,
        reauth: None,
        packing: Packing::None,
        pacing: Pacing::default(),
        base64: false,
        subprotocols: vec![],
        limits: EndpointLimits {
            sessions: 4,
            idle: None,
            rate: None,
            linger: Duration::from_secs(2),
            linger_max: Duration::from_secs(600),
        },
        dead_man: None,
        record: None,
        doors: Vec::new(),
        macros: BTreeMap::new(),
    };
    (name.into(), Arc::new(endpoint))
}

pub(crate) fn config(access: Access) -> Config {
    Config {
        files: BTreeMap::new(),
        call_home: crate::config::CallHome::default(),
        hub: None,
        admin: crate::config::AdminSocket::Off,
        apps: BTreeMap::new(),
        listen: vec![],
        access,
        public: None,
        frame_ancestors: vec![],
        origins: vec![crate::auth::parse_origin("https://tools.example").unwrap()],
        hosts: vec!["gateway.example".into()],
        switch: None,
        trusted_proxies: crate::config::TrustedProxies::default(),
        mdns: false,
        audit: None,
        hsts: None,
        login: crate::config::Login::default(),
        lending: crate::config::Lending::default(),
        limits: Limits {
            connections: 64,
            per_address: 32,
            unauthenticated: 48,
            handshake: Duration::from_secs(10),
            head: crate::wire::head::HEADERS_MAX,
        },
        endpoints: BTreeMap::new(),
        state_directory: "/nonexistent".into(),
        dead_after: Duration::from_secs(30),
        resume: Duration::from_secs(60),
    }
}

/// Starts it; unless the configuration says otherwise, `plc1` is an echo and nobody listens at
/// `gone`.
async fn start(mut config: Config) -> Gateway {
    let tasks = TaskTracker::new();
    let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    config.endpoints.extend([endpoint("plc1", echo.local_addr().unwrap()), endpoint("gone", gone)]);
    let echoes = tasks.clone();
    tasks.spawn(async move {
        while let Ok((stream, _)) = echo.accept().await {
            let (mut reader, mut writer) = stream.into_split();
            echoes.spawn(async move { tokio::io::copy(&mut reader, &mut writer).await });
        }
    });
    let (bridge, sender) = bridge(config, tasks.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn(accept(listener, Arc::clone(&bridge)));
    Gateway { address, config: sender, bridge, tasks }
}

/// Does what the listener does, without TLS.
async fn accept(listener: TcpListener, bridge: Arc<Bridge>) {
    while let Some(Ok((stream, client))) = bridge.stop.run_until_cancelled(listener.accept()).await
    {
        let peer = Peer {
            client: ClientAddress::Direct(client),
            local: stream.local_addr().ok(),
            ..Peer::default()
        };
        let limits = bridge.config().limits;
        let slot =
            bridge.auth.admission.enter((bridge.auth.source(peer.client), false), false, &limits);
        let until = Instant::now() + limits.handshake;
        bridge.tasks.spawn(serve(Arc::clone(&bridge), Stream::from(stream), peer, slot, until));
    }
}

/// A bridge without listeners.
pub(crate) fn bridge(
    config: Config,
    tasks: TaskTracker,
) -> (Arc<Bridge>, watch::Sender<Arc<Config>>) {
    let (sender, receiver) = watch::channel(Arc::new(config));
    let events = Arc::new(Events::new(Arc::default()));
    let lines = Arc::new(Lines::new(tasks.clone(), Arc::clone(&events)));
    let edge = (tasks, CancellationToken::new());
    (Bridge::new(receiver, lines, Arc::default(), events, edge), sender)
}

/// An answer, read by hand.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

impl Gateway {
    /// Sends bytes as they are and reads until the gateway closes.
    async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// One request with `Connection: close`; `Host` is our address unless `headers` begins with
    /// one.
    async fn ask(&self, line: &str, headers: &[&str], body: &str) -> Answer {
        let host = format!("Host: {}", self.address);
        let given = headers.iter().any(|header| header.starts_with("Host:"));
        let mut head = format!("{line} HTTP/1.1\r\n");
        for header in (!given).then_some(host.as_str()).into_iter().chain(headers.iter().copied()) {
            head.extend([header, "\r\n"]);
        }
        if !headers.iter().any(|header| header.starts_with("Connection:")) {
            head += "Connection: close\r\n";
        }
        if !body.is_empty() {
            head.extend(["Content-Length: ", &body.len().to_string(), "\r\n"]);
        }
        parse(&self.raw(format!("{head}\r\n{body}").as_bytes()).await)
    }

    /// A handshake that is expected to be refused.
    async fn handshake(&self, path: &str, headers: &[&str]) -> Answer {
        let all: Vec<&str> = headers.iter().copied().chain(UPGRADE).collect();
        self.ask(&format!("GET {path}"), &all, "").await
    }

    async fn socket(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Socket, tungstenite::Error> {
        let mut request = format!("ws://{}{path}", self.address).into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().append(*name, HeaderValue::from_str(value).unwrap());
        }
        connect_async(request).await.map(|(socket, _)| socket)
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const UPGRADE: [&str; 4] = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

fn parse(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

fn basic(user: &str, password: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    format!("Authorization: Basic {}", STANDARD.encode(format!("{user}:{password}")))
}
