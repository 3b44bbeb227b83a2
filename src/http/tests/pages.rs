//! The pages besides the sockets.

use tower_service::Service as _;

use super::*;

#[tokio::test]
async fn health_is_for_everybody_and_one_connection_serves_many_requests() {
    let gateway = start(config(access())).await;
    let host = gateway.address;
    let first = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let last = format!("GET /nothing HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let text = gateway.raw(format!("{first}{first}{last}").as_bytes()).await;
    let statuses: Vec<&str> = text.lines().filter(|line| line.starts_with("HTTP/1.1")).collect();
    assert_eq!(statuses, ["HTTP/1.1 200 OK", "HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found"]);
    let answer = gateway.ask("GET /healthz", &[], "").await;
    assert_eq!(answer.body, "ok\n");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("cross-origin-resource-policy", "cross-origin"),
    ] {
        assert_eq!(answer.header(name), Some(value));
    }
    assert_eq!(gateway.ask("POST /healthz", &[], "").await.status, 405);
}

#[tokio::test]
async fn metrics_are_for_this_machine_and_for_who_has_the_right() {
    let gateway = start(config(access())).await;
    let ask = async |headers: &[&str]| gateway.ask("GET /metrics", headers, "").await;
    let answer = ask(&[]).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.ends_with("# EOF\n"), "{}", answer.body);
    assert_eq!(ask(&["Host: gateway.example"]).await.status, 401);
    assert_eq!(ask(&["X-Forwarded-For: 192.0.2.1"]).await.status, 401);
    let far = "Host: gateway.example";
    assert_eq!(ask(&[far, "Authorization: Bearer wsb_scraper"]).await.status, 200);
    assert_eq!(ask(&[far, "Authorization: Bearer wsb_plc"]).await.status, 403);
}

#[tokio::test]
async fn the_list_shows_what_the_caller_may_see() {
    let gateway = start(config(access())).await;
    let list = async |token: &str| {
        let answer = gateway
            .ask("GET /api/endpoints", &[&format!("Authorization: Bearer {token}")], "")
            .await;
        let told: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        told["endpoints"].as_array().unwrap().clone()
    };
    assert_eq!(list("wsb_admin").await.len(), 2);
    let seen = list("wsb_plc").await;
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0]["name"].as_str(), seen[0]["kind"].as_str()), (Some("plc1"), Some("tcp")));
    assert_eq!(seen[0]["rights"], serde_json::json!(["read", "write"]));
    assert!(list("wsb_scraper").await.is_empty());
    assert_eq!(gateway.ask("GET /api/endpoints", &[], "").await.status, 401);
}

#[tokio::test]
async fn a_preflight_is_answered_to_listed_pages_only() {
    let gateway = start(config(access())).await;
    let asked =
        ["Access-Control-Request-Method: POST", "Access-Control-Request-Private-Network: true"];
    let ask = async |origin: &str| {
        let headers: Vec<&str> = asked.into_iter().chain([origin]).collect();
        gateway.ask("OPTIONS /api/ticket", &headers, "").await
    };
    let listed = ask("Origin: https://tools.example").await;
    assert_eq!(listed.status, 204);
    assert_eq!(listed.header("access-control-allow-origin"), Some("https://tools.example"));
    assert_eq!(listed.header("access-control-allow-private-network"), Some("true"));
    assert!(listed.head.to_lowercase().contains("vary: origin"));
    let other = ask("Origin: https://evil.example").await;
    assert_eq!(other.status, 403);
    assert!(!other.head.to_lowercase().contains("access-control"), "{}", other.head);
}

#[tokio::test]
async fn a_client_that_has_ended_its_side_still_gets_its_answer() {
    let gateway = start(config(access())).await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let password = basic("alice", "s3cret");
    let head =
        format!("GET /api/endpoints HTTP/1.1\r\nHost: {}\r\n{password}\r\n\r\n", gateway.address);
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(parse(&answer).status, 200);
}

#[tokio::test]
async fn an_upgrade_where_there_is_none_ends_the_connection_after_the_answer() {
    let gateway = start(config(access())).await;
    let host = gateway.address;
    let head = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n{}\r\n\r\n", UPGRADE.join("\r\n"));
    let answer = parse(&gateway.raw(head.as_bytes()).await);
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
}

#[tokio::test]
async fn a_gateway_without_its_page_says_at_its_address_how_to_get_it() {
    let (bridge, _config) = bridge(config(open()), TaskTracker::new());
    let client = ClientAddress::Direct("127.0.0.1:9".parse().unwrap());
    let (source, limits) = ((bridge.auth.source(client), false), bridge.config().limits);
    let slot = bridge.auth.admission.enter(source, false, &limits);
    let open = bridge.metrics.connections_open.hold();
    let mut request = axum::extract::Request::get("/").body(axum::body::Body::empty()).unwrap();
    let visitor = visitor::Visitor {
        connection: Arc::new(visitor::Connection::new(Peer::default(), slot, open)),
        client,
        asked: Arc::new(visitor::RequestSummary::of(&request)),
        bridge,
    };
    request.extensions_mut().insert(visitor);
    let response = routes(&[]).call(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
    let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    let text = String::from_utf8(body.into()).unwrap();
    for words in ["built without its page", "Node.js 18 or newer", "sudo apt install npm"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}
