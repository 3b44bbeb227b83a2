//! The embedded page: what its files may do, how long they are kept, and who may load them.

use std::net::SocketAddr;

use crate::harness::{Daemon, Raw, client::status};

/// An answer, head and body apart.
struct Answer {
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

fn ask(address: SocketAddr, request: &str, more: &str) -> Answer {
    let mut raw = Raw::connect(address);
    raw.send(
        format!("{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{more}\r\n")
            .as_bytes(),
    );
    let head = raw.head();
    Answer { head, body: raw.rest_bytes() }
}

/// The paths the page's text names.
fn linked(html: &str) -> Vec<String> {
    let all = html.split('"').filter(|text| text.starts_with("assets/"));
    all.map(|path| format!("/{path}")).collect()
}

#[test]
fn the_page_loads_its_own_scripts_and_nothing_else() {
    let daemon = Daemon::open("  echo:\n    sim: echo\n");
    let address = daemon.address();
    let page = ask(address, "GET /", "");
    assert_eq!(status(&page.head), 200, "{}", page.head);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self' ws://{address} \
         wss://{address}; img-src 'self' data:; font-src 'self'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    );
    assert_eq!(page.header("content-security-policy"), Some(policy.as_str()));
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(page.header(name), Some(value), "{name}");
    }
    let html = String::from_utf8(page.body).unwrap();
    let files = linked(&html);
    assert!(files.len() >= 2, "{html}");
    for path in files {
        let file = ask(address, &format!("GET {path}"), "");
        assert_eq!(
            file.header("cache-control"),
            Some("public, max-age=31536000, immutable"),
            "{path}"
        );
        assert_eq!(file.header("cross-origin-resource-policy"), Some("same-origin"));
        assert!(file.header("access-control-allow-origin").is_none());
    }
    // The name of SVG, in the tab's picture, is not an address that is requested.
    let html = html.replace("http://www.w3.org/2000/svg", "");
    assert!(
        !html.contains("<script>") && !html.contains("http:") && !html.contains("https:"),
        "{html}"
    );
    assert_eq!(status(&ask(address, "GET /assets/console.js", "").head), 404);
}

#[test]
fn pages_of_other_origins_may_load_the_clients_scripts() {
    let daemon = Daemon::open("  echo:\n    sim: echo\n");
    for path in ["/webserial.js", "/client.mjs"] {
        let file =
            ask(daemon.address(), &format!("GET {path}"), "Origin: https://tools.example\r\n");
        assert!(file.head.starts_with("HTTP/1.1 200 "), "{}", file.head);
        assert_eq!(file.header("content-type"), Some("text/javascript; charset=utf-8"));
        assert_eq!(file.header("cross-origin-resource-policy"), Some("cross-origin"));
        assert_eq!(file.header("access-control-allow-origin"), Some("*"));
        assert_eq!(file.header("cache-control"), Some("no-cache"));
    }
}

#[test]
fn a_file_comes_compressed_to_who_takes_that_and_not_at_all_to_who_has_it() {
    let daemon = Daemon::open("  echo:\n    sim: echo\n");
    let address = daemon.address();
    let plain = ask(address, "GET /webserial.js", "");
    assert_eq!(plain.header("content-encoding"), None);
    let small = ask(address, "GET /webserial.js", "Accept-Encoding: br, gzip\r\n");
    assert_eq!(small.header("content-encoding"), Some("gzip"));
    assert_eq!(small.header("vary"), Some("Accept-Encoding"));
    assert_eq!(&small.body[..2], [0x1f, 0x8b]);
    // The last four bytes of gzip are the length of what is in it (RFC 1952 section 2.3.1).
    let inside = u32::from_le_bytes(*small.body.last_chunk().unwrap());
    assert_eq!(usize::try_from(inside).unwrap(), plain.body.len());
    let tag = plain.header("etag").unwrap();
    assert_eq!(small.header("etag"), Some(tag));
    let known = ask(address, "GET /webserial.js", &format!("If-None-Match: {tag}\r\n"));
    assert!(known.head.starts_with("HTTP/1.1 304 ") && known.body.is_empty(), "{}", known.head);
    let head = ask(address, "HEAD /webserial.js", "");
    assert_eq!(head.header("content-length"), Some(plain.body.len().to_string().as_str()));
    assert!(head.body.is_empty());
    assert!(
        ask(address, "POST /webserial.js", "Content-Length: 0\r\n")
            .head
            .starts_with("HTTP/1.1 405 ")
    );
}

#[test]
fn the_page_is_for_the_gateways_own_names() {
    let daemon = Daemon::open("  echo:\n    sim: echo\n");
    let answer = Raw::ask(
        daemon.address(),
        "GET / HTTP/1.1\r\nHost: attacker.example\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(status(&answer), 421);
}
