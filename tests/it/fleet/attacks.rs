//! What an attacker tries: on a hub, as a gateway of it, and as a hub on a gateway.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
};
use serde_json::json;
use tokio_tungstenite::tungstenite::{Message, WebSocket, protocol::Role};

use super::{ECHO, Gateway, Hub};
use crate::harness::{PATIENCE, client::status, until};

/// Believes everybody: an attacker does not mind whom he talks to.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// A connection to the hub as a gateway makes it, with the key and certificate of this one or with
/// none.
fn as_gateway(hub: &Hub, whose: Option<&Gateway>) -> StreamOwned<ClientConnection, TcpStream> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody));
    let mut config = match whose {
        None => builder.with_no_client_auth(),
        Some(gateway) => {
            let file = |name: &str| gateway.home().join(name);
            let certificate = CertificateDer::from_pem_file(file("identity.pem")).unwrap();
            let key = PrivateKeyDer::from_pem_file(file("identity.pem")).unwrap();
            builder.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"wsbridge-home".to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let tls = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(hub.gateways).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    StreamOwned::new(tls, stream)
}

/// What the hub answers there to a request.
fn asked(hub: &Hub, whose: Option<&Gateway>, request: &str) -> String {
    let mut stream = as_gateway(hub, whose);
    let sent = stream.write_all(format!("{request}\r\n\r\n").as_bytes());
    let mut answer = [0; 4096];
    let read = sent.and_then(|()| stream.read(&mut answer)).unwrap_or(0);
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

/// A control socket in a gateway's name, of whoever has its key.
fn called(hub: &Hub, gateway: &Gateway) -> WebSocket<StreamOwned<ClientConnection, TcpStream>> {
    let mut stream = as_gateway(hub, Some(gateway));
    stream.write_all(format!("{HOME}\r\n\r\n").as_bytes()).unwrap();
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert_eq!(status(&String::from_utf8_lossy(&head)), 101);
    WebSocket::from_raw_socket(stream, Role::Client, None)
}

const HOME: &str = "GET /home HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                    Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: wsbridge.home.v1";

#[test]
fn nobody_without_a_certificate_is_a_gateway_and_a_gateway_is_nothing_else() {
    let hub = Hub::start();
    let gateway = Gateway::start(ECHO, "");
    gateway.enrol(&hub, "gw-1");
    assert_eq!(status(&asked(&hub, None, HOME)), 401);
    let link = format!(
        "GET /link/{} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: wsbridge-link",
        "A".repeat(43)
    );
    assert_eq!(status(&asked(&hub, None, &link)), 401);
    assert_eq!(status(&asked(&hub, Some(&gateway), &link)), 404);
    // Nothing of what people reach is there, whatever it brings.
    for path in
        ["/api/endpoints", "/api/fleet", "/api/hub/tokens", "/", "/ws/", "/g/gw-1/api/endpoints"]
    {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer wsb_boss");
        assert_eq!(status(&asked(&hub, Some(&gateway), &request)), 404, "{path}");
    }
    // Nor is what gateways ask where people are.
    for path in ["/home", "/link/x", "/home/enrol"] {
        assert_eq!(hub.get(path, "boss").0, 404, "{path}");
    }
    // Nobody makes tokens or revokes from the network, whatever his rights.
    for path in ["/api/hub", "/api/hub/tokens", "/api/home"] {
        assert_eq!(hub.get(path, "boss").0, 403, "{path}");
    }
}

#[test]
fn names_that_lead_elsewhere_lead_nowhere() {
    let hub = Hub::start();
    let gateway = Gateway::start("  plc1:\n    sim: echo\n  secret:\n    sim: echo\n", "");
    gateway.enrol(&hub, "gw-1");
    for path in [
        "/g/../api/hub",
        "/g/gw-1/../gw-2/api/endpoints",
        "/g/gw-1/%2e%2e/%2e%2e/api/hub",
        "/g/gw-1//api/endpoints",
        "/g/GW-1/api/endpoints",
        "/g/gw-1%2fapi/endpoints",
        "/g//api/endpoints",
        "/ws/gw-1/plc1/../secret",
        "/ws/gw-1/%2e%2e%2fapi%2fsessions",
    ] {
        let (code, told) = hub.get(path, "plc");
        assert!(matches!(code, 400 | 403 | 404), "{path}: {code} {told}");
    }
    // A pattern of the hub's is no way to another line.
    let fields = "Authorization: Bearer wsb_plc\r\n";
    assert_eq!(hub.handshake("/ws/gw-1/secret", fields).0, 403);
    assert_eq!(hub.handshake("/ws/gw-1/plc1", fields).0, 101);
}

#[test]
fn a_hub_gives_no_more_than_the_gateways_own_configuration_lets_it() {
    let hub = Hub::start();
    let allow = "call_home: { allow: { plc1: [ read ], \"open\": [ read, write ] } }\n";
    let endpoints = "  plc1:\n    sim: echo\n  open:\n    sim: echo\n  closed:\n    sim: echo\n";
    let gateway = Gateway::start(endpoints, allow);
    gateway.enrol(&hub, "gw-1");
    let (_, listed) = hub.get("/g/gw-1/api/endpoints", "boss");
    let rights: Vec<_> = listed["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["name"].clone(), it["rights"].clone()))
        .collect();
    assert_eq!(
        rights,
        [(json!("open"), json!(["read", "write"])), (json!("plc1"), json!(["read"]))]
    );
    // What a hub may never do by itself unless it is listed: look at others, end them, lend.
    for path in ["/g/gw-1/api/sessions", "/g/gw-1/api/grants"] {
        let (code, told) = hub.get(path, "boss");
        assert_eq!(code, 200, "{path}: {told}");
        let list = told.as_object().unwrap().values().find_map(|it| it.as_array()).unwrap();
        assert!(list.is_empty(), "{path}: {told}");
    }
    // A reload that takes the rest away ends what runs.
    let (_, head) = crate::harness::Raw::handshake(
        hub.people,
        "/ws/gw-1/open",
        "Authorization: Bearer wsb_boss\r\n",
    );
    assert_eq!(status(&head), 101, "{head}");
    let text = std::fs::read_to_string(gateway.daemon.config())
        .unwrap()
        .replace("\"open\": [ read, write ]", "\"open\": [ read ]");
    gateway.daemon.reload(&text);
    until("less is allowed", || {
        let (_, listed) = hub.get("/g/gw-1/api/endpoints", "boss");
        (listed["endpoints"][0]["rights"] == json!(["read"])).then_some(())
    });
}

#[test]
fn a_gateway_that_sends_nonsense_is_cut_off_and_the_others_are_not() {
    let hub = Hub::start();
    let (good, bad) = (Gateway::start(ECHO, ""), Gateway::start(ECHO, ""));
    good.enrol(&hub, "gw-1");
    bad.enrol(&hub, "gw-2");
    for (said, fits) in [
        ("{\"type\":\"card\"}".to_owned(), false),
        ("nonsense".to_owned(), false),
        (
            format!(
                "{{\"type\":\"hello\",\"instance\":\"x\",\"version\":\"{}\"}}",
                "v".repeat(100_000)
            ),
            false,
        ),
        ("{\"type\":\"hello\",\"instance\":\"x\",\"version\":\"v\"}".to_owned(), true),
    ] {
        let mut socket = called(&hub, &bad);
        let _ = socket.send(Message::text(said.clone()));
        let answer =
            socket.read().map(|it| it.into_text().map(|it| it.to_string()).unwrap_or_default());
        let answer = answer.unwrap_or_default();
        // The second machine with that certificate is found; what is no hello is told so.
        let wanted = if fits { "clone" } else { "protocol" };
        assert!(answer.contains(wanted) || (!fits && answer.is_empty()), "{said:.40}: {answer}");
    }
    assert_eq!(hub.get("/g/gw-1/api/endpoints", "boss").0, 200);
}

#[test]
fn a_link_is_its_own_gateways_and_what_that_answers_cannot_become_a_page_of_the_hubs() {
    let hub = Hub::start();
    let gateway = Gateway::start(ECHO, "");
    gateway.enrol(&hub, "gw-1");
    let thief = Gateway::start(ECHO, "");
    thief.enrol(&hub, "gw-2");
    // From here on somebody else has its key: he takes its place, and answers in its name.
    gateway.daemon.signal(rustix::process::Signal::STOP);
    let mut socket = called(&hub, &gateway);
    let said = |text: &str| Message::text(text.to_owned());
    socket.send(said(r#"{"type":"hello","instance":"evil","version":"v"}"#)).unwrap();
    let welcome = socket.read().unwrap().into_text().unwrap().to_string();
    assert!(welcome.contains("\"welcome\""), "{welcome}");
    let hub = &hub;
    let (gateway, thief) = (&gateway, &thief);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let order = loop {
                let text = socket.read().unwrap().into_text().unwrap_or_default().to_string();
                if text.contains("\"link\"") {
                    break serde_json::from_str::<serde_json::Value>(&text).unwrap();
                }
            };
            let told = json!({ "type": "dialling", "re": order["id"] });
            socket.send(said(&told.to_string())).unwrap();
            let key = order["key"].as_str().unwrap();
            let ask = format!(
                "GET /link/{key} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: wsbridge-link"
            );
            // Another gateway that has learned the key has nothing of it, and takes nothing away.
            assert_eq!(status(&asked(hub, Some(thief), &ask)), 404);
            let mut link = as_gateway(hub, Some(gateway));
            link.write_all(format!("{ask}\r\n\r\n").as_bytes()).unwrap();
            let mut read = Vec::new();
            // The 101, and the request behind it.
            while String::from_utf8_lossy(&read).matches("\r\n\r\n").count() < 2 {
                let mut piece = [0; 4096];
                let length = link.read(&mut piece).unwrap();
                read.extend_from_slice(&piece[..length]);
            }
            let request = String::from_utf8_lossy(&read).into_owned();
            // Whoever asks has shown the hub something that is none of a gateway's business.
            assert!(!request.to_lowercase().contains("authorization"), "{request}");
            assert!(!request.to_lowercase().contains("cookie"), "{request}");
            let page = "<script>alert(1)</script>";
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nSet-Cookie: sid=x; Path=/\r\n\
                 Content-Security-Policy: default-src *\r\nAccess-Control-Allow-Origin: *\r\nLocation: https://evil.example/\r\n\r\n{page}",
                page.len()
            );
            link.write_all(answer.as_bytes()).unwrap();
        });
        let fields = "Authorization: Bearer wsb_boss\r\nCookie: sid=secret\r\n";
        let answer = crate::signing::ask(hub.people, "GET", "/g/gw-1/api/endpoints", fields, "");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(status(&answer), 200, "{answer}");
        let head = head.to_lowercase();
        assert!(body.contains("alert(1)"));
        assert!(head.contains("content-security-policy: default-src 'none'"), "{head}");
        assert!(head.contains("x-content-type-options: nosniff"), "{head}");
        for not in ["set-cookie", "access-control-allow-origin", "location:", "default-src *"] {
            assert!(!head.contains(not), "{head}");
        }
    });
}
