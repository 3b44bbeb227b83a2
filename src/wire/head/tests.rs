//! Tests of the request head's reader.

use proptest::prelude::*;

use super::*;

/// With the default limit.
fn scan(buf: &[u8]) -> Result<Option<Head<'_>>, Refusal> {
    super::scan(buf, HEADERS_MAX)
}

const HOST: &str = "Host: gateway.example\r\n";

fn refused(head: &str) -> &'static str {
    let result = scan(head.as_bytes());
    for cut in 0..head.len() {
        let early = scan(&head.as_bytes()[..cut]);
        assert!(early == Ok(None) || early == result, "{head:?} cut at {cut}: {early:?}");
    }
    match result {
        Err(Refusal::BadRequest(why)) => why,
        other => panic!("{head:?} gives {other:?}"),
    }
}

fn with(fields: &str) -> String {
    format!("GET /ws/plc1 HTTP/1.1\r\n{HOST}{fields}\r\n")
}

fn taken(head: &str) -> Head<'_> {
    let scanned =
        scan(head.as_bytes()).unwrap().unwrap_or_else(|| panic!("{head:?} is not complete"));
    assert_eq!(scanned.len, head.len());
    for cut in 0..head.len() {
        assert_eq!(scan(&head.as_bytes()[..cut]), Ok(None), "{head:?} cut at {cut}");
    }
    scanned
}

#[test]
fn a_browsers_upgrade_is_taken_and_what_follows_is_left() {
    let head = with(
        "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nOrigin: https://gateway.example\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: wsbridge.ticket.x\r\nSec-WebSocket-Protocol:binary \r\nCookie: a=b\r\n",
    );
    let read = taken(&head);
    assert_eq!((read.len, read.upgrade, read.last, read.body), (head.len(), true, false, 0));
    assert_eq!((read.method, read.target, read.fields.len()), (&b"GET"[..], &b"/ws/plc1"[..], 9));
    assert_eq!(read.fields[7], (&b"Sec-WebSocket-Protocol"[..], &b"binary"[..]));
    let longer = format!("{head}\u{1}frames");
    assert_eq!(scan(longer.as_bytes()).unwrap().unwrap().len, head.len());
}

#[test]
fn an_upgrade_takes_both_fields() {
    assert!(!taken(&with("Upgrade: websocket\r\n")).upgrade);
    assert!(!taken(&with("Connection: upgrade\r\n")).upgrade);
    assert!(!taken(&with("Connection: upgrade\r\nUpgrade: h2c\r\n")).upgrade);
    assert!(
        taken(&with("Connection: close\r\nconnection:UPGRADE\r\nupgrade: h2c, WebSocket/\r\n")).len
            > 0
    );
}

#[test]
fn lines_end_in_cr_lf_alone() {
    assert_eq!(refused("GET / HTTP/1.1\nHost: a\n\n"), "a line of the head ends in LF without CR");
    assert_eq!(
        refused("GET / HTTP/1.1\r\nHost: a\n\r\n"),
        "a line of the head ends in LF without CR"
    );
    assert_eq!(refused("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n"), "a CR without LF in the head");
    assert_eq!(refused("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"), "a CR without LF in the head");
    assert_eq!(
        refused("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        "a request line is: method, target, HTTP/1.1, with one space between"
    );
}

#[test]
fn control_bytes_are_refused_everywhere() {
    for byte in (0..32).chain([127]).filter(|byte| !b"\t\r\n".contains(byte)).map(char::from) {
        assert_eq!(refused(&format!("GET /{byte} HTTP/1.1\r\n")), "a control byte in the head");
        assert_eq!(refused(&with(&format!("X{byte}: a\r\n"))), "a control byte in the head");
        assert_eq!(refused(&with(&format!("X: a{byte}\r\n"))), "a control byte in the head");
    }
    taken(&with("X: a\tb\r\n"));
}

#[test]
fn a_request_line_is_method_target_and_version() {
    for good in
        ["GET /", "GET /ws/a?token=b%2Fc&d=[1]", "OPTIONS *", "BREW /pot", "DELETE /api/x//y;z=1:@"]
    {
        taken(&format!("{good} HTTP/1.1\r\n{HOST}\r\n"));
    }
    for wrong in [
        "GET /",
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "POST / HTTP/1.0",
        "GET / HTTP/0.9",
        "GET / HTTP/2.0",
        "GET / http/1.1",
        "GET / HTTP/1.1x",
        "G(T / HTTP/1.1",
        "GET * HTTP/1.1",
        "GET http://gateway.example/ HTTP/1.1",
        "CONNECT plc1:502 HTTP/1.1",
        "GET plc1 HTTP/1.1",
        "GET /#a HTTP/1.1",
        "GET /% HTTP/1.1",
        "GET /%2 HTTP/1.1",
        "GET /%zz HTTP/1.1",
        "GET /ü HTTP/1.1",
        "GET /\"<> HTTP/1.1",
        "GET /a\\b HTTP/1.1",
        "PRI * HTTP/2.0",
    ] {
        refused(&format!("{wrong}\r\n{HOST}\r\n"));
    }
}

#[test]
fn a_field_is_a_token_a_colon_and_a_value() {
    let folded = "a folded header field, or white space before the first";
    assert_eq!(refused(&with("X: a\r\n b\r\n")), folded);
    assert_eq!(refused(&with("X: a\r\n\tb\r\n")), folded);
    assert_eq!(
        refused(&with("X : a\r\n")),
        "white space between a header field's name and its colon"
    );
    assert_eq!(refused(&with(": a\r\n")), "a header field's name is not a token");
    assert_eq!(refused(&with("X Y: a\r\n")), "a header field's name is not a token");
    assert_eq!(refused(&with("Xü: a\r\n")), "a header field's name is not a token");
    assert_eq!(refused(&with("X\r\n")), "a header field without a colon");
    taken(&with("X:\r\nY:   \r\nZ: ü:\r\n"));
}

#[test]
fn fields_that_steer_us_come_once() {
    for name in ONCE {
        let name = name.to_uppercase();
        let why = refused(&with(&format!("{name}: 1\r\nX: y\r\n{}: 1\r\n", name.to_lowercase())));
        assert_eq!(why, "a header field that may come only once came twice");
    }
    taken(&with(
        "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\nConnection: a\r\nConnection: b\r\n",
    ));
}

#[test]
fn host_is_there_and_is_a_host() {
    for fields in ["", "Host:\r\n", "Host: \r\n", "Host: a b\r\n", "Host: a/b\r\n", "Host: u@a\r\n"]
    {
        let head = format!("GET / HTTP/1.1\r\n{fields}\r\n");
        assert_eq!(refused(&head), "no Host, or one that is not valid");
    }
    taken("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n");
}

#[test]
fn a_body_has_a_plain_length_and_never_follows_an_upgrade() {
    assert_eq!(taken(&with("Content-Length: 12\r\n")).body, 12);
    assert_eq!(taken(&with("Content-Length: 18446744073709551615\r\n")).body, u64::MAX);
    for wrong in ["", "+1", "-1", "1,1", "1 1", "0x1", "1.0", "18446744073709551616", "１"] {
        refused(&with(&format!("Content-Length: {wrong}\r\n")));
    }
    refused(&with("Transfer-Encoding: chunked\r\n"));
    refused(&with("transfer-encoding: identity\r\n"));
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\n";
    assert_eq!(
        refused(&with(&format!("{upgrade}Content-Length: 1\r\n"))),
        "an upgrade has no body"
    );
    assert!(taken(&with(&format!("{upgrade}Content-Length: 0\r\n"))).upgrade);
}

#[test]
fn limits_are_exact_and_bite_before_the_line_ends() {
    let target = format!("GET /{} HTTP/1.1", "a".repeat(REQUEST_LINE_MAX - 14));
    assert_eq!(target.len(), REQUEST_LINE_MAX);
    assert!(scan(format!("{target}\r\n{HOST}\r\n").as_bytes()).unwrap().is_some());
    assert_eq!(scan(&[b'a'; REQUEST_LINE_MAX]), Ok(None));
    assert_eq!(scan(&[b'a'; REQUEST_LINE_MAX + 1]), Err(Refusal::UriTooLong));

    let pad = HEADERS_MAX - HOST.len() - "X: \r\n\r\n".len();
    let head = |pad: usize| with(&format!("X: {}\r\n", "a".repeat(pad)));
    assert!(scan(head(pad).as_bytes()).unwrap().is_some());
    assert_eq!(scan(head(pad + 1).as_bytes()), Err(Refusal::HeadTooLarge));
    let endless = format!("GET / HTTP/1.1\r\n{HOST}X: {}", "a".repeat(HEADERS_MAX));
    assert_eq!(scan(endless.as_bytes()), Err(Refusal::HeadTooLarge));

    assert!(scan(with(&"X: y\r\n".repeat(FIELDS_MAX - 1)).as_bytes()).unwrap().is_some());
    assert_eq!(scan(with(&"X: y\r\n".repeat(FIELDS_MAX)).as_bytes()), Err(Refusal::HeadTooLarge));
}

#[test]
fn the_limit_of_the_header_section_is_the_configurations() {
    let head = with(&format!("X: {}\r\n", "a".repeat(5000)));
    assert!(super::scan(head.as_bytes(), 8192).unwrap().is_some());
    assert_eq!(super::scan(head.as_bytes(), 4096), Err(Refusal::HeadTooLarge));
}

#[test]
fn http_1_0_is_taken_where_nothing_is_sent_and_is_the_last() {
    for good in ["GET /healthz", "HEAD /", "OPTIONS /api/ticket", "OPTIONS *"] {
        let head =
            format!("{good} HTTP/1.0\r\n{HOST}Content-Length: 0\r\nExpect: 100-continue\r\n\r\n");
        let read = taken(&head);
        assert!(read.last && !read.expects && !read.upgrade, "{good}");
    }
    let upgrade =
        format!("GET /ws/a HTTP/1.0\r\n{HOST}Connection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert!(refused(&upgrade).contains("proxy_http_version 1.1"));
    assert!(
        refused(&format!("GET / HTTP/1.0\r\n{HOST}Content-Length: 1\r\n\r\n"))
            .contains("without a body")
    );
    refused(&format!("POST / HTTP/1.0\r\n{HOST}\r\n"));
}

#[test]
fn a_health_check_of_http_1_0_needs_no_host_and_nothing_else_does_without() {
    for good in ["OPTIONS /", "OPTIONS *", "GET /healthz", "HEAD /healthz?a"] {
        taken(&format!("{good} HTTP/1.0\r\n\r\n"));
        assert_eq!(
            refused(&format!("{good} HTTP/1.1\r\n\r\n")),
            "no Host, or one that is not valid"
        );
        assert_eq!(
            refused(&format!("{good} HTTP/1.0\r\nHost:\r\n\r\n")),
            "no Host, or one that is not valid"
        );
    }
    for wrong in ["GET /", "HEAD /", "GET /healthz/x", "GET /api/endpoints", "OPTIONS /api/ticket"]
    {
        assert_eq!(
            refused(&format!("{wrong} HTTP/1.0\r\n\r\n")),
            "no Host, or one that is not valid"
        );
    }
}

#[test]
fn tls_on_a_plain_port_is_told_so() {
    assert_eq!(scan(&[0x16]), Ok(None));
    let Err(Refusal::BadRequest(why)) = scan(&[0x16, 0x03, 0x01, 0x02]) else { panic!("refused") };
    assert!(why.starts_with("this is a plain HTTP port"));
}

proptest! {
    #[test]
    fn any_split_gives_the_same_result(
        parts in prop::collection::vec(prop_oneof![
            Just(b"GET / HTTP/1.1\r\n".to_vec()), Just(HOST.as_bytes().to_vec()), Just(b"\r\n".to_vec()),
            Just(b"Content-Length: 1\r\n".to_vec()), Just(b"X: y".to_vec()), Just(b"\r".to_vec()),
            prop::collection::vec(any::<u8>(), 0..6),
        ], 0..8),
    ) {
        let bytes = parts.concat();
        let whole = scan(&bytes);
        let first = (0..=bytes.len()).map(|cut| scan(&bytes[..cut])).find(|early| *early != Ok(None));
        prop_assert_eq!(first.unwrap_or(Ok(None)), whole);
    }
}
