//! Pages behind proxies: their origin, their path, what they speak and what they are told.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{PROXY, guarded, through, users::named};
use crate::{
    harness::{
        Daemon, Raw, Target, access,
        client::{status, upgrade_head},
        daemon::OPEN,
    },
    signing::PASSWORD,
};

#[test]
fn a_subprotocol_of_the_endpoint_is_answered_and_another_named_in_the_log() {
    let echo = Target::echo();
    let daemon =
        Daemon::open(&format!("{}    subprotocols: [ mqtt, mqttv3.1 ]\n", echo.endpoint("broker")));
    let offer = |names: &str| {
        let more =
            format!("Origin: http://{}\r\nSec-WebSocket-Protocol: {names}\r\n", daemon.address());
        Raw::handshake(daemon.address(), "broker", &more)
    };
    let (mut raw, head) = offer("mqttv3.1, mqtt");
    assert!(head.contains("\r\nSec-WebSocket-Protocol: mqtt\r\n"), "{head}");
    raw.frame(2, b"CONNECT");
    assert_eq!(raw.data(7), b"CONNECT");
    let (_raw, head) = offer("arduino, ocpp1.6");
    assert_eq!(status(&head), 400);
    let told = daemon.wait_for("refused");
    assert!(told.contains("arduino, ocpp1.6") && told.contains("subprotocols:"), "{told}");
}

#[test]
fn a_listed_file_or_app_needs_a_token() {
    let listed = "origins: [ \"file://\", \"capacitor://localhost\" ]\n";
    let hash = wsbridge::testing::hash_password(PASSWORD).unwrap();
    let user = format!(
        "{listed}users:\n  alice: {{ password: \"{hash}\", rights: {{ echo: [ read ] }} }}\ntokens:"
    );
    let daemon = Daemon::start(
        &(access::tokens(&[("ci", "read")]).replace("tokens:", &user) + "  echo: { sim: echo }\n"),
    );
    let address = daemon.address();
    let basic =
        format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("alice:{PASSWORD}")));
    for page in ["file://", "capacitor://localhost"] {
        let from = |more: &str| Raw::status(address, "echo", &format!("Origin: {page}\r\n{more}"));
        assert_eq!(from("Authorization: Bearer wsb_ci\r\n"), 101, "{page}");
        assert_eq!(from(&basic), 403, "{page}");
        assert_eq!(from(""), 401, "{page}");
    }
    let null =
        Raw::handshake(address, "echo", "Origin: null\r\nAuthorization: Bearer wsb_ci\r\n").1;
    assert_eq!(status(&null), 403);
    assert_eq!(
        Raw::status(
            address,
            "echo",
            "Origin: ionic://localhost\r\nAuthorization: Bearer wsb_ci\r\n"
        ),
        403
    );
    // A script keeps cookies of other programs on the host.
    assert_eq!(Raw::status(address, "echo", &format!("{basic}Cookie: theirs=1\r\n")), 101);
}

#[test]
fn a_refused_page_is_told_what_was_compared_and_a_program_is_not_told_of_pages() {
    let daemon = Daemon::start(&guarded("[ 127.0.0.1 ]"));
    let address = daemon.address();
    let ask = |more: &str| {
        let answer = Raw::ask(
            address,
            &format!("GET /api/session HTTP/1.1\r\nConnection: close\r\n{more}\r\n"),
        );
        assert_eq!(status(&answer), 403, "{answer}");
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    };
    // A proxy that cuts off port and scheme, as many guides configure it.
    let cut = ask(
        "Host: gw.example\r\nX-Forwarded-For: 198.51.100.4\r\nOrigin: https://gw.example:8443\r\n",
    );
    for part in [
        "https://gw.example:8443",
        "http://gw.example as seen here",
        "X-Forwarded-Proto",
        "trusted_proxies",
    ] {
        assert!(cut.contains(part), "{part}\n{cut}");
    }
    let other = ask("Host: gw.example\r\nOrigin: https://tools.example\r\n");
    assert!(other.contains("`origins: [ \"https://tools.example\" ]`"), "{other}");
    assert!(!ask("Host: gw.example\r\nOrigin: null\r\n").contains("origins:"));
    assert!(
        daemon.wait_for("refused").contains("why=\"this page's origin is https://gw.example:8443")
    );
    let daemon = named("");
    let body = "{}";
    let change = format!(
        "Content-Type: application/json\r\nContent-Length: 2\r\nAuthorization: Basic {}\r\n",
        STANDARD.encode(format!("alice:{PASSWORD}"))
    );
    let program = Raw::ask(
        daemon.address(),
        &format!(
            "POST /api/ticket HTTP/1.1\r\nHost: gw.example\r\nConnection: close\r\n{change}\r\n{body}"
        ),
    );
    assert!(
        status(&program) == 403 && !program.contains("this page") && program.contains("Bearer"),
        "{program}"
    );
}

#[test]
fn a_page_in_a_frame_takes_nothing_over() {
    let hash = wsbridge::testing::hash_password(PASSWORD).unwrap();
    let access = format!(
        "frame_ancestors: [ \"https://portal.example\" ]\nusers:\n  alice: {{ password: \"{hash}\", rights: {{ \"*\": [ read, write, takeover ] }} }}\n"
    );
    let daemon =
        Daemon::start(&(OPEN.replace("auth: none\n", &access) + "  echo: { sim: echo }\n"));
    let address = daemon.address();
    let cookie = crate::signing::signed_in(address, "alice");
    let rights = |query: &str| {
        let answer =
            crate::signing::ask(address, "GET", &format!("/api/endpoints{query}"), &cookie, "");
        answer.split("\"rights\":").nth(1).unwrap().to_owned()
    };
    assert!(rights("").contains("takeover"));
    assert!(!rights("?framed").contains("takeover") && rights("?framed").contains("write"));
    assert!(
        crate::signing::ask(address, "GET", "/api/sessions?framed", &cookie, "")
            .ends_with("{\"sessions\":[]}")
    );
    let page = crate::signing::ask(address, "GET", "/", "", "");
    if page.contains("script-src") {
        assert!(page.contains("frame-ancestors https://portal.example;"), "{page}");
    }
}

#[test]
fn below_a_path_everything_is_there_and_the_sign_in_is_its_own() {
    let hash = wsbridge::testing::hash_password(PASSWORD).unwrap();
    let access = format!(
        "public: https://gw.example/a/serial/\norigins: [ \"https://tools.example\" ]\ntrusted_proxies: [ 127.0.0.1 ]\nusers:\n  alice: {{ password: \"{hash}\", rights: {{ echo: [ read ] }} }}\n"
    );
    let daemon =
        Daemon::start(&(OPEN.replace("auth: none\n", &access) + "  echo: { sim: echo }\n"));
    let address = daemon.address();
    let body = format!("{{\"user\": \"alice\", \"password\": \"{PASSWORD}\"}}");
    let mut cookies = Vec::new();
    // The proxy leaves the path, or cuts it off.
    for below in ["/a/serial", ""] {
        let preflight = Raw::ask(
            address,
            &format!(
                "OPTIONS {below}/api/pass HTTP/1.1\r\n{PROXY}Origin: https://tools.example\r\nConnection: close\r\n\
                 Access-Control-Request-Method: POST\r\n\r\n"
            ),
        );
        assert!(
            preflight.contains("access-control-allow-origin: https://tools.example\r\n"),
            "{below}: {preflight}"
        );
        assert_eq!(through(address, &format!("GET {below}/"), ""), 200);
        assert_eq!(through(address, &format!("GET {below}/healthz"), ""), 200);
        let answer = Raw::ask(
            address,
            &format!(
                "POST {below}/api/login HTTP/1.1\r\n{PROXY}Origin: https://gw.example\r\nConnection: close\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
        );
        assert!(answer.contains("set-cookie: __Host-sid!a!serial="), "{answer}");
        assert!(answer.contains("; Path=/; Secure; HttpOnly; SameSite=Strict"), "{answer}");
        let cookie = crate::signing::cookie(&answer);
        let page = format!("{cookie}Origin: https://gw.example\r\n");
        assert_eq!(through(address, &format!("GET {below}/api/session"), &page), 200);
        let head = upgrade_head(
            address,
            &format!("{below}/ws/echo"),
            &format!("{}{page}", PROXY.replace("Host: gw.example\r\n", "")),
        );
        let mut raw = Raw::connect(address);
        raw.send(head.replace(&format!("Host: {address}"), "Host: gw.example").as_bytes());
        assert_eq!(status(&raw.head()), 101, "{below}");
        cookies.push(cookie);
    }
    // A gateway at `/` of the same host has a cookie of another name.
    let theirs = cookies[0].replace("sid!a!serial", "sid");
    assert_eq!(
        through(
            address,
            "GET /a/serial/api/session",
            &format!("{theirs}Origin: https://gw.example\r\n")
        ),
        401
    );
    let answer =
        Raw::ask(address, &format!("GET /a/serial?x HTTP/1.1\r\n{PROXY}Connection: close\r\n\r\n"));
    assert!(status(&answer) == 308 && answer.contains("location: /a/serial/?x\r\n"), "{answer}");
    assert_eq!(through(address, "GET /a/serialx/", ""), 404);
    assert_eq!(through(address, "GET /a/serial//evil.example/", ""), 404);
}

#[test]
fn a_page_over_plain_http_is_not_asked_for_a_password_by_the_browser() {
    let daemon = Daemon::start(&guarded("[ 127.0.0.1 ]"));
    let ask = |more: &str| {
        Raw::ask(
            daemon.address(),
            &format!(
                "GET /api/session HTTP/1.1\r\nHost: gw.example\r\nConnection: close\r\n{more}\r\n"
            ),
        )
    };
    // A browser sends information about itself only to trustworthy origins; what our page adds
    // tells that it is a browser.
    assert!(!ask("X-Requested-With: XMLHttpRequest\r\n").contains("Basic"));
    assert!(ask("").contains("www-authenticate: Basic"), "programs are");
}

#[test]
fn plain_http_on_a_tls_port_is_told_the_address_that_would_do() {
    let daemon =
        Daemon::start(&(OPEN.replace("tls: none", "tls: self-signed") + "  echo: { sim: echo }\n"));
    let address = daemon.address();
    let answer = Raw::ask(address, &format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n"));
    assert_eq!(status(&answer), 400, "{answer}");
    assert!(answer.contains(&format!("https://{address}/")), "{answer}");
    assert!(status(&Raw::ask(address, "GET nonsense\r\n\r\n")) == 400);
    assert!(daemon.wait_for("refused").contains("plain HTTP on a port that speaks TLS"));
}
