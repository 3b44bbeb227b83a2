//! Somebody's web tool at an origin of its own: its files, how its page is let in, and what it
//! cannot reach.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::unix::fs::symlink,
    path::Path,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    harness::{
        Daemon, Raw,
        client::{status, upgrade_head},
        daemon::OPEN,
        until,
    },
    signing::{PASSWORD, ask, cookie, own, session, signed_in},
};

/// A port that was free a moment ago: browsers are told an app's address, so it must be known
/// before.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A tool's folder.
fn tool() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write(
        "index.html",
        "<!doctype html><html><head><script src=\"tool.js\"></script></head></html>",
    );
    write("tool.js", "navigator.serial;");
    write(".secret", "hidden");
    write("firmware.bin", &"x".repeat(300_000));
    fs::create_dir(folder.path().join("sub")).unwrap();
    write("sub/index.html", "<p>below");
    folder
}

/// Alice may do everything and Bob nothing on `echo`; the app `tool` may use `echo`.
fn config(folder: &Path, address: SocketAddr, access: &str) -> String {
    let open =
        if access.is_empty() { OPEN.to_owned() } else { OPEN.replace("auth: none\n", access) };
    open + &format!(
        "  echo:\n    sim: echo\n  other:\n    sim: echo\napps:\n  tool:\n    title: A tool\n    directory: {}\n    \
         listen: {{ address: \"{address}\", tls: none }}\n    endpoints: [ echo ]\n",
        folder.display()
    )
}

fn users() -> String {
    let hash = wsbridge::testing::hash_password(PASSWORD).unwrap();
    format!(
        "users:\n  alice: {{ password: \"{hash}\", rights: {{ \"*\": [ read, write, signals, settings, takeover ] }} }}\n\
         \x20 bob: {{ password: \"{hash}\", rights: {{ other: [ read ] }} }}\n"
    )
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

fn json(answer: &str) -> Value {
    serde_json::from_str(body(answer)).unwrap_or_else(|error| panic!("{error}\n{answer}"))
}

/// A launch ticket, as the console asks for one.
fn launch(daemon: &Daemon, cookie: &str) -> String {
    let main = daemon.address();
    ask(main, "POST", "/api/ticket", &(own(main) + cookie), "{\"app\": \"tool\"}")
}

fn exchange(app: SocketAddr, ticket: &str) -> String {
    ask(app, "POST", "/api/pass", &own(app), &format!("{{\"ticket\": \"{ticket}\"}}"))
}

/// The status of a handshake at an origin, with a pass in the list of subprotocols.
fn opens(app: SocketAddr, endpoint: &str, pass: &str) -> u16 {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let bearer = URL_SAFE_NO_PAD.encode(pass);
    let more = format!(
        "Origin: http://{app}\r\nSec-WebSocket-Protocol: binary, wsbridge.bearer.{bearer}\r\n"
    );
    Raw::status(app, endpoint, &more)
}

#[test]
fn files_are_served_with_the_script_put_first_and_nothing_that_is_hidden_or_elsewhere() {
    let (folder, outside) = (tool(), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("passwd"), "secret").unwrap();
    symlink(outside.path().join("passwd"), folder.path().join("leak")).unwrap();
    symlink(folder.path().join("tool.js"), folder.path().join("alias.js")).unwrap();
    let address = free();
    let daemon = Daemon::start(&config(folder.path(), address, ""));
    let get = |path: &str| ask(address, "GET", path, "", "");
    let page = get("/");
    let main = daemon.address();
    let first = format!(
        "<head><script src=\"/webserial.js\" data-endpoints=\"echo\" data-entrance=\"http://127.0.0.1:{}/\"></script><script",
        wanted_port(&page)
    );
    assert!(body(&page).contains(&first), "{page}\n{main}");
    assert!(page.contains("content-type: text/html; charset=utf-8"), "{page}");
    assert!(page.contains("content-security-policy: frame-ancestors 'none'\r\n"), "{page}");
    assert!(!page.to_ascii_lowercase().contains("set-cookie"), "{page}");
    assert_eq!(body(&get("/tool.js")), "navigator.serial;");
    assert_eq!(body(&get("/alias.js")), "navigator.serial;", "a link inside is followed");
    assert_eq!(body(&get("/firmware.bin")).len(), 300_000);
    assert!(body(&get("/sub/")).ends_with("<p>below"));
    for path in [
        "/.secret",
        "/%2esecret",
        "/leak",
        "/../x",
        "/%2e%2e/x",
        "/sub%2f..%2f.secret",
        "/a%00b",
        "/sub",
        "/none",
        "/sub/none",
        "/%ff",
    ] {
        assert_eq!(status(&get(path)), 404, "{path}");
    }
    assert_eq!(status(&ask(address, "POST", "/tool.js", "", "")), 405);
    let tag = page.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    assert_eq!(status(&ask(address, "GET", "/", &format!("If-None-Match: {tag}\r\n"), "")), 304);
    // The app's origin has the client, and nothing of the gateway's own page.
    assert_eq!(status(&get("/webserial.js")), 200);
    for path in ["/api/session", "/api/sessions", "/api/ticket", "/metrics"] {
        assert_eq!(status(&get(path)), 404, "{path}");
    }
    assert_eq!(status(&ask(main, "GET", "/tool.js", "", "")), 404);
    // Another endpoint, with a name just as long, makes another page.
    let renamed = config(folder.path(), address, "")
        .replace("  echo:\n", "  tape:\n")
        .replace("[ echo ]", "[ tape ]");
    daemon.reload(&renamed);
    assert_eq!(status(&ask(address, "GET", "/", &format!("If-None-Match: {tag}\r\n"), "")), 200);
}

/// The port that a page names as the gateway's own: what the configuration says, which is 0 here.
fn wanted_port(page: &str) -> String {
    let rest = page.split("data-entrance=\"http://127.0.0.1:").nth(1).unwrap_or_default();
    rest.split('/').next().unwrap_or_default().to_owned()
}

#[test]
fn a_signed_in_user_opens_it_with_a_ticket_and_its_page_is_let_in_with_a_pass_until_the_sign_out() {
    let (folder, app) = (tool(), free());
    let daemon = Daemon::start(&config(folder.path(), app, &users()));
    let main = daemon.address();
    let alice = signed_in(main, "alice");
    let told = session(main, &alice).1;
    assert_eq!(told["apps"][0]["name"], "tool");
    assert_eq!(told["apps"][0]["url"], format!("http://{app}/"));
    let ticket = json(&launch(&daemon, &alice))["ticket"].as_str().unwrap().to_owned();
    let given = json(&exchange(app, &ticket));
    assert_eq!(given["endpoints"][0]["name"], "echo");
    let pass = given["pass"].as_str().unwrap();
    assert_eq!(status(&exchange(app, &ticket)), 401, "a ticket is used up");

    assert_eq!(opens(app, "echo", pass), 101);
    assert_eq!(opens(app, "other", pass), 403, "alice may, the app may not");
    assert_eq!(
        opens(main, "echo", pass),
        401,
        "a pass is worth nothing at the gateway's own origin"
    );
    assert_eq!(opens(app, "echo", "wrong"), 401);
    let origin = format!("Origin: http://{main}\r\nSec-WebSocket-Protocol: binary\r\n");
    assert_eq!(Raw::status(app, "echo", &(origin + &alice)), 403, "another origin");
    let cookie = format!("Origin: http://{app}\r\n{alice}");
    assert_eq!(
        Raw::status(app, "echo", &cookie),
        401,
        "the cookie that every port is sent counts for nothing"
    );
    let list = ask(app, "GET", "/api/endpoints", &format!("Authorization: Bearer {pass}\r\n"), "");
    assert_eq!(json(&list)["endpoints"].as_array().unwrap().len(), 1, "{list}");

    let out = ask(main, "POST", "/api/logout", &(own(main) + &alice), "{}");
    assert_eq!(status(&out), 204);
    assert_eq!(opens(app, "echo", pass), 401, "the pass ends with the sign-in");
}

/// What somebody who has opened the app has: its cookie as a header, and the pass of its page.
struct Entered {
    cookie: String,
    pass: String,
}

/// Opens the app as the console does.
fn enter(daemon: &Daemon, app: SocketAddr, user: &str) -> Entered {
    let ticket = json(&launch(daemon, user))["ticket"].as_str().unwrap().to_owned();
    let entered = ask(app, "GET", &format!("/api/launch?ticket={ticket}"), "", "");
    assert_eq!(status(&entered), 303, "{entered}");
    let set = entered.lines().find(|line| line.starts_with("set-cookie: ")).unwrap();
    assert!(set.starts_with(&format!("set-cookie: app-tool-{}=", app.port())), "{set}");
    assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{set}");
    // The page still gets a pass with the ticket that it arrived with.
    let next = entered
        .lines()
        .find_map(|line| line.strip_prefix("location: ../#wsbridge-ticket="))
        .unwrap();
    let pass = json(&exchange(app, next))["pass"].as_str().unwrap().to_owned();
    let again = ask(app, "GET", &format!("/api/launch?ticket={ticket}"), "", "");
    assert!(status(&again) == 401 && !again.contains("set-cookie"), "a ticket is used up: {again}");
    Entered { cookie: cookie(&entered), pass }
}

#[test]
fn the_cookie_of_an_app_opens_sockets_of_its_endpoints_from_its_origin_until_the_sign_out() {
    let (folder, app) = (tool(), free());
    let daemon = Daemon::start(&config(folder.path(), app, &users()));
    let main = daemon.address();
    let alice = signed_in(main, "alice");
    let Entered { cookie, .. } = enter(&daemon, app, &alice);
    let shows = |origin: &str| format!("Origin: {origin}\r\n{cookie}");
    let own_origin = shows(&format!("http://{app}"));
    assert_eq!(Raw::status(app, "echo", &own_origin), 101);
    assert_eq!(by_token(app, "echo", &own_origin), 101, "/websockify");
    assert_eq!(Raw::status(app, "other", &own_origin), 403, "alice may, the app may not");
    assert_eq!(by_token(app, "other", &own_origin), 403);
    // The gateway's own page is another origin, too.
    let main_page = shows(&format!("http://{main}"));
    for other in [shows("https://evil.example"), shows("http://127.0.0.1:1"), main_page.clone()] {
        assert_eq!(Raw::status(app, "echo", &other), 403, "{other}");
    }
    assert_eq!(Raw::status(app, "echo", &cookie), 401, "without an Origin");
    assert_eq!(Raw::status(main, "echo", &main_page), 401, "at the gateway's own listener");

    let (mut running, head) = Raw::handshake(app, "echo", &own_origin);
    assert_eq!(status(&head), 101);
    let out = ask(main, "POST", "/api/logout", &(own(main) + &alice), "{}");
    assert_eq!(status(&out), 204);
    assert_eq!(
        running.closed().map(|(code, _)| code),
        Some(4401),
        "what runs ends with the sign-in"
    );
    assert_eq!(Raw::status(app, "echo", &own_origin), 401, "and so does the cookie");
}

#[test]
fn the_cookie_of_an_app_is_nothing_to_the_api_the_bus_or_as_a_token() {
    let (folder, app) = (tool(), free());
    let daemon = Daemon::start(&config(folder.path(), app, &users()));
    let main = daemon.address();
    let Entered { cookie, pass } = enter(&daemon, app, &signed_in(main, "alice"));
    for path in ["/api/endpoints", "/api/session", "/api/sessions"] {
        let answer = ask(app, "GET", path, &(own(app) + &cookie), "");
        assert!([401, 404].contains(&status(&answer)), "{path}: {answer}");
        assert_eq!(status(&ask(main, "GET", path, &cookie, "")), 401, "{path} of the gateway");
    }
    let exchanged = ask(app, "POST", "/api/pass", &(own(app) + &cookie), "{\"ticket\": \"0\"}");
    assert_eq!(status(&exchanged), 401);
    let v1 = format!("Sec-WebSocket-Protocol: wsbridge.v1\r\nOrigin: http://{app}\r\n{cookie}");
    let (mut bus, head) = Raw::handshake(app, "", &v1);
    assert_eq!(
        (status(&head), bus.closed().map(|(code, _)| code)),
        (101, Some(4401)),
        "not the bus"
    );
    let value = cookie.trim_end().rsplit('=').next().unwrap();
    assert_eq!(opens(app, "echo", value), 401, "the cookie is no pass");
    let as_cookie = format!("Origin: http://{app}\r\nCookie: app-tool-{}={pass}\r\n", app.port());
    assert_eq!(Raw::status(app, "echo", &as_cookie), 401, "and a pass no cookie");
}

/// The status of a websockify client's handshake.
fn by_token(address: SocketAddr, endpoint: &str, more: &str) -> u16 {
    let mut raw = Raw::connect(address);
    let head = upgrade_head(address, endpoint, more);
    raw.send(
        head.replace(&format!("/ws/{endpoint}"), &format!("/websockify?token={endpoint}"))
            .as_bytes(),
    );
    status(&raw.head())
}

#[test]
fn who_may_nothing_of_what_an_app_uses_neither_sees_nor_opens_it() {
    let (folder, app) = (tool(), free());
    let daemon = Daemon::start(&config(folder.path(), app, &users()));
    let bob = signed_in(daemon.address(), "bob");
    assert_eq!(session(daemon.address(), &bob).1["apps"], Value::Array(Vec::new()));
    assert_eq!(status(&launch(&daemon, &bob)), 403);
    let unknown = ask(
        daemon.address(),
        "POST",
        "/api/ticket",
        &(own(daemon.address()) + &bob),
        "{\"app\": \"none\"}",
    );
    assert_eq!(status(&unknown), 403, "an unknown app and a forbidden one look alike");
    let elsewhere = exchange(app, "0000");
    assert_eq!(status(&elsewhere), 401);
    let stranger = "Origin: https://evil.example\r\nContent-Type: application/json\r\n";
    assert_eq!(status(&ask(app, "POST", "/api/pass", stranger, "{\"ticket\": \"0\"}")), 403);
}

#[test]
fn without_a_login_an_app_needs_no_pass_and_still_reaches_its_own_endpoints_alone() {
    let (folder, app) = (tool(), free());
    let _daemon = Daemon::start(&config(folder.path(), app, ""));
    let origin = format!("Origin: http://{app}\r\n");
    assert_eq!(Raw::status(app, "echo", &origin), 101);
    assert_eq!(Raw::status(app, "other", &origin), 403);
    assert_eq!(
        json(&ask(app, "GET", "/api/endpoints", "", ""))["endpoints"].as_array().unwrap().len(),
        1
    );
}

#[test]
fn a_reload_brings_an_app_and_takes_it_away() {
    let (folder, app) = (tool(), free());
    let with = config(folder.path(), app, "");
    let without = with.split("apps:").next().unwrap().to_owned();
    let daemon = Daemon::start(&without);
    daemon.reload(&with);
    assert_eq!(status(&ask(app, "GET", "/", "", "")), 200);
    // Whoever uses it loses the session with it; somebody who came by the gateway's own page does
    // not.
    let origin = format!("Origin: http://{app}\r\n");
    let (mut through, head) = Raw::handshake(app, "echo", &origin);
    assert_eq!(status(&head), 101);
    let own_page = format!("Origin: http://{}\r\n", daemon.address());
    let (mut beside, head) = Raw::handshake(daemon.address(), "other", &own_page);
    assert_eq!(status(&head), 101);
    daemon.reload(&without);
    daemon.wait_for(&format!("no longer listening on {app}"));
    until("the app's listener is gone", || std::net::TcpStream::connect(app).err());
    assert_eq!(through.closed().map(|(code, _)| code), Some(4403));
    beside.frame(2, b"still here");
    assert_eq!(beside.data(10), b"still here");
}

#[test]
fn sixty_four_clients_that_leave_a_large_page_unread_cost_nothing_of_its_size() {
    let folder = tool();
    // The script's place is far into the page, so that it has to be searched for.
    let page = format!("<!-- {} --><head>{}", "c".repeat(2 << 20), "x".repeat(2 << 20));
    fs::write(folder.path().join("index.html"), &page).unwrap();
    let address = free();
    let daemon = Daemon::start(&config(folder.path(), address, ""));
    let whole = ask(address, "GET", "/", "", "");
    let (before, behind) = body(&whole).split_once("--><head>").unwrap();
    assert!(behind.starts_with("<script src=\"/webserial.js\""), "{behind:.100}");
    assert_eq!(
        before.len() + "--><head>".len() + behind.find("</script>").unwrap() + 9,
        body(&whole).len() - (2 << 20)
    );
    let memory = daemon.memory();
    let mut held: Vec<_> =
        (0..64).map(|n| Raw::connect_from(&format!("127.0.0.{}", 2 + n % 4), address)).collect();
    let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n");
    for raw in &mut held {
        raw.send(request.as_bytes());
    }
    for raw in &mut held {
        assert_eq!(status(&raw.head()), 200);
    }
    let more = daemon.memory().saturating_sub(memory);
    eprintln!("64 clients of a page of 4 MiB: {} KiB", more / 1024);
    assert!(more < 64 << 20, "{more} bytes");
}
