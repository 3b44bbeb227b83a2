//! The checks that every request passes, each attacked in turn.

use super::*;

#[tokio::test]
async fn a_rebound_name_is_misdirected_on_every_page() {
    let gateway = start(config(open())).await;
    for path in ["/", "/healthz", "/metrics", "/api/endpoints", "/nothing"] {
        let answer = gateway.ask(&format!("GET {path}"), &["Host: evil.example"], "").await;
        assert_eq!(answer.status, 421, "{path}");
    }
    // Cable Haunt: a page on a rebound name opens the socket; its Origin and Host agree.
    let rebound =
        gateway.handshake("/ws/plc1", &["Host: evil.example", "Origin: http://evil.example"]).await;
    assert_eq!(rebound.status, 421);
}

#[tokio::test]
async fn another_sites_page_cannot_open_a_socket() {
    let gateway = start(config(open())).await;
    let own = format!("Origin: http://{}", gateway.address);
    for origin in [
        "Origin: http://evil.example",
        "Origin: null",
        "Origin: https://tools.example.evil.example",
    ] {
        let answer = gateway.handshake("/ws/plc1", &[origin]).await;
        assert_eq!((answer.status, answer.header("connection")), (403, Some("close")), "{origin}");
    }
    assert_eq!(
        gateway.handshake("/ws/plc1", &[&own, "Sec-Fetch-Site: cross-site"]).await.status,
        403
    );
    let origin = format!("http://{}", gateway.address);
    assert!(gateway.socket("/ws/plc1", &[("origin", &origin)]).await.is_ok());
    assert!(gateway.socket("/ws/plc1", &[("origin", "https://tools.example")]).await.is_ok());
}

#[tokio::test]
async fn without_a_login_a_program_on_this_machine_needs_no_origin_and_a_browser_does() {
    let gateway = start(config(open())).await;
    assert!(gateway.socket("/ws/plc1", &[]).await.is_ok());
    // What Node.js's WebSocket sends.
    assert!(gateway.socket("/ws/plc1", &[("sec-fetch-mode", "websocket")]).await.is_ok());
    for site in ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site"] {
        assert_eq!(
            gateway.handshake("/ws/plc1", &["Sec-Fetch-Mode: websocket", site]).await.status,
            403
        );
    }
    assert_eq!(gateway.handshake("/ws/plc1", &["Cookie: a=b"]).await.status, 101);
    let ours = format!("Cookie: a=b; sid-{}=x", gateway.address.port());
    assert_eq!(gateway.handshake("/ws/plc1", &[&ours]).await.status, 403);
    assert_eq!(gateway.handshake("/ws/plc1", &["Host: gateway.example"]).await.status, 421);
    assert_eq!(gateway.handshake("/ws/plc1", &["X-Forwarded-For: 192.0.2.1"]).await.status, 403);
}

#[tokio::test]
async fn a_password_a_token_and_a_token_among_the_subprotocols_open_the_door() {
    let gateway = start(config(access())).await;
    let refused = gateway.handshake("/ws/plc1", &[]).await;
    assert_eq!(refused.status, 401);
    assert!(refused.header("www-authenticate").unwrap().starts_with("Basic"));
    let own = format!("Origin: http://{}", gateway.address);
    let page = gateway.handshake("/ws/plc1", &[&own]).await;
    assert_eq!(
        (page.status, page.header("www-authenticate")),
        (401, Some("Bearer realm=\"wsbridge\""))
    );
    assert_eq!(gateway.handshake("/ws/plc1", &[&basic("alice", "wrong")]).await.status, 401);
    assert_eq!(
        gateway.handshake("/ws/plc1", &["Authorization: Bearer wsb_wrong"]).await.status,
        401
    );
    let basic = basic("alice", "s3cret");
    let basic = basic.strip_prefix("Authorization: ").unwrap();
    assert!(gateway.socket("/ws/plc1", &[("authorization", basic)]).await.is_ok());
    assert!(gateway.socket("/ws/plc1", &[("authorization", "Bearer wsb_plc")]).await.is_ok());
    let hidden = "binary, wsbridge.bearer.d3NiX3BsYw";
    assert!(gateway.socket("/ws/plc1", &[("sec-websocket-protocol", hidden)]).await.is_ok());
    let both = [
        "Authorization: Bearer wsb_plc",
        "Sec-WebSocket-Protocol: binary, wsbridge.bearer.d3NiX3BsYw",
    ];
    assert_eq!(gateway.handshake("/ws/plc1", &both).await.status, 400);
}

#[tokio::test]
async fn unknown_and_forbidden_endpoints_look_alike_to_who_has_no_right() {
    let gateway = start(config(access())).await;
    let ask = async |path: &str, token: &str| {
        let answer = gateway.handshake(path, &[&format!("Authorization: Bearer {token}")]).await;
        (answer.status, answer.body)
    };
    assert_eq!(ask("/ws/gone", "wsb_plc").await, ask("/ws/nothing", "wsb_plc").await);
    assert_eq!(ask("/ws/gone", "wsb_plc").await.0, 403);
    assert_eq!(ask("/ws/nothing", "wsb_admin").await.0, 404);
    assert_eq!(
        gateway.handshake("/ws/gone", &[]).await.body,
        gateway.handshake("/ws/nothing", &[]).await.body
    );
}

#[tokio::test]
async fn a_ticket_opens_its_endpoint_once_from_its_page() {
    let gateway = start(config(access())).await;
    let ask =
        async |headers: &[&str], body: &str| gateway.ask("POST /api/ticket", headers, body).await;
    let (json, bearer) = ("Content-Type: application/json", "Authorization: Bearer wsb_plc");
    let wish = r#"{"endpoint":"plc1","origin":"https://tools.example"}"#;
    assert_eq!(ask(&[json], wish).await.status, 401);
    assert_eq!(ask(&[bearer], wish).await.status, 415);
    assert_eq!(ask(&[bearer, json], "{}").await.status, 400);
    assert_eq!(ask(&[bearer, json], r#"{"endpoint":"gone"}"#).await.status, 403);
    let password = basic("alice", "s3cret");
    assert_eq!(
        ask(&[&password, json], wish).await.status,
        403,
        "a change by password alone could be a page's"
    );
    let given = ask(&[bearer, json], wish).await;
    assert_eq!(given.status, 200);
    let told: serde_json::Value = serde_json::from_str(&given.body).unwrap();
    assert_eq!(told["expires_in"], 15);
    let path = format!("/ws/plc1?ticket={}", told["ticket"].as_str().unwrap());
    assert!(gateway.socket(&path, &[("origin", "https://tools.example")]).await.is_ok());
    assert_eq!(gateway.handshake(&path, &["Origin: https://tools.example"]).await.status, 401);
}

#[tokio::test]
async fn twenty_wrong_passwords_close_the_door_for_that_source() {
    let gateway = start(config(access())).await;
    for _ in 0..20 {
        assert_eq!(
            gateway.handshake("/ws/plc1", &["Authorization: Bearer guess"]).await.status,
            401
        );
    }
    let answer = gateway.handshake("/ws/plc1", &["Authorization: Bearer wsb_plc"]).await;
    assert_eq!(answer.status, 429);
    assert!(answer.header("retry-after").unwrap().parse::<u32>().unwrap() > 50);
}

#[tokio::test]
async fn a_handshake_that_is_none_is_told_so() {
    let gateway = start(config(open())).await;
    let with = async |wrong: &str, other: [&str; 3]| {
        let all: Vec<&str> = other.into_iter().chain([wrong]).collect();
        gateway.ask("GET /ws/plc1", &all, "").await
    };
    let [connection, upgrade, version, key] = UPGRADE;
    let answer = with("Sec-WebSocket-Version: 8", [connection, upgrade, key]).await;
    assert_eq!((answer.status, answer.header("sec-websocket-version")), (426, Some("13")));
    assert_eq!(
        with("Sec-WebSocket-Key: c2hvcnQ=", [connection, upgrade, version]).await.status,
        400
    );
    assert_eq!(gateway.ask("GET /ws/plc1", &[], "").await.status, 426);
    assert_eq!(gateway.ask("POST /ws/plc1", &[], "").await.status, 405);
    let odd = ["Sec-WebSocket-Protocol: soap"];
    assert_eq!(gateway.handshake("/ws/plc1", &odd).await.status, 400);
}

#[tokio::test]
async fn a_head_that_could_be_read_in_two_ways_is_not_read() {
    let gateway = start(config(open())).await;
    let host = gateway.address;
    for head in [
        format!("GET /healthz HTTP/1.1\nHost: {host}\n\n"),
        format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n"),
        format!(
            "POST /api/ticket HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nX: a\r\n b\r\n\r\n"),
    ] {
        assert_eq!(parse(&gateway.raw(head.as_bytes()).await).status, 400, "{head:?}");
    }
    let large =
        format!("POST /api/ticket HTTP/1.1\r\nHost: {host}\r\nContent-Length: 16385\r\n\r\n");
    assert_eq!(parse(&gateway.raw(large.as_bytes()).await).status, 413);
    let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(3000));
    assert_eq!(parse(&gateway.raw(long.as_bytes()).await).status, 414);
}

#[tokio::test]
async fn a_request_that_dawdles_is_ended() {
    let mut config = config(open());
    config.limits.handshake = Duration::from_millis(200);
    let gateway = start(config).await;
    assert_eq!(parse(&gateway.raw(b"GET / HTTP/1.1\r\nHost:").await).status, 408);
    assert_eq!(gateway.raw(b"").await, "");
}

#[tokio::test]
async fn a_full_gateway_hears_only_an_administrator() {
    let mut config = config(access());
    config.limits.per_address = 1;
    let gateway = start(config).await;
    let _held = gateway.socket("/ws/plc1", &[("authorization", "Bearer wsb_plc")]).await.unwrap();
    let answer = gateway.handshake("/ws/plc1", &["Authorization: Bearer wsb_plc"]).await;
    assert_eq!(answer.status, 429);
    assert_eq!(gateway.ask("GET /healthz", &[], "").await.status, 429);
    let _administrator =
        gateway.socket("/ws/plc1", &[("authorization", "Bearer wsb_admin")]).await.unwrap();
    let page = gateway.ask("GET /api/session", &[], "").await;
    assert_eq!(page.status, 401, "who is not signed in sees the way to it");
}

#[tokio::test]
async fn slow_handshakes_of_one_source_do_not_keep_others_out() {
    let gateway = start(config(open())).await;
    let mut slow = Vec::new();
    for _ in 0..500 {
        slow.push(TcpStream::connect(gateway.address).await.unwrap());
    }
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = socket.connect(gateway.address).await.unwrap();
    let head =
        format!("GET /healthz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", gateway.address);
    other.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    other.read_to_string(&mut answer).await.unwrap();
    assert_eq!(parse(&answer).status, 200);
}
