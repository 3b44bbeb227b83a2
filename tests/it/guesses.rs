//! Passwords under attack: what guessing costs the gateway, what it costs others, and what the log
//! says about it.

use std::{io::Write as _, thread, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};
use socket2::SockRef;

use crate::harness::{
    Daemon, Raw,
    client::{status, upgrade_head},
    daemon::OPEN,
    page, until,
};

const PASSWORD: &str = "correct horse battery";
/// Address space for two hashes, the heaps of two threads and everything else; one hash for each
/// request would take gigabytes.
const ROOM: usize = 400 << 20;

fn hash() -> String {
    wsbridge::testing::hash_password(PASSWORD).unwrap()
}

/// Alice with a password, and enough places that there is no shortage of connections.
fn guarded(more: &str) -> String {
    let hash = hash();
    let access = format!(
        "limits: {{ connections: 2000, per_address: 200, unauthenticated: 1000 }}\n\
         users:\n  alice: {{ password: \"{hash}\", rights: {{ /metrics: [ read ], m1: [ read ] }} }}\n{more}"
    );
    format!("{}  m1: {{ sim: echo }}\n", OPEN.replace("auth: none\n", &access))
}

fn request(daemon: &Daemon, user: &str, password: &str) -> String {
    let credential = STANDARD.encode(format!("{user}:{password}"));
    format!(
        "GET /api/session HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {credential}\r\nConnection: close\r\n\r\n",
        daemon.address()
    )
}

/// Sends a request with a password from a loopback address; the answer comes later.
fn ask(daemon: &Daemon, from: &str, user: &str, password: &str) -> Raw {
    let mut raw = Raw::connect_from(from, daemon.address());
    raw.send(request(daemon, user, password).as_bytes());
    raw
}

#[test]
fn guesses_that_hang_up_take_no_memory_and_are_held_against_their_sources() {
    let daemon = Daemon::start(&guarded(""));
    daemon.limit_memory(ROOM);
    let (before, peak) = (daemon.memory(), daemon.memory_peak());
    // A burst hangs up when the next one has started: by then the gateway has heard it.
    let mut bursts = Vec::new();
    let told = until("a penalty", || {
        let burst: Vec<_> = (1..=20)
            .map(|source| {
                let raw = ask(&daemon, &format!("127.0.1.{source}"), "alice", "a guess");
                SockRef::from(raw.stream()).set_linger(Some(Duration::ZERO)).unwrap();
                raw
            })
            .collect();
        bursts = vec![burst];
        let log = daemon.log();
        log.lines().find(|line| line.contains("too many wrong credentials")).map(str::to_owned)
    });
    let punished = told.split_once("source=").unwrap().1.split(' ').next().unwrap();
    assert_eq!(status(&ask(&daemon, punished, "alice", PASSWORD).head()), 429, "{told}");
    until("another source's sign-in", || {
        (status(&ask(&daemon, "127.0.2.1", "alice", PASSWORD).head()) == 200).then_some(())
    });
    let grown = daemon.memory_peak() - peak;
    assert!(grown < 64 << 20, "{} MiB more at its most", grown >> 20);
    until("the memory given back", || (daemon.memory() < before + (16 << 20)).then_some(()));
    let metrics = page(daemon.address(), "/metrics");
    assert!(metrics.contains("wsbridge_refusals_total{reason=\"too_many\"}"), "{metrics}");
}

#[test]
fn as_many_right_passwords_at_once_as_there_may_be_wrong_ones_are_all_let_in() {
    let daemon = Daemon::start(&guarded(""));
    daemon.limit_memory(ROOM);
    let all: Vec<_> = (0..20).map(|_| ask(&daemon, "127.0.1.1", "alice", PASSWORD)).collect();
    for mut raw in all {
        assert_eq!(status(&raw.head()), 200);
    }
}

#[test]
fn guesses_that_wait_are_bounded_refused_with_429_and_counted() {
    let daemon = Daemon::start(&guarded(""));
    daemon.limit_memory(ROOM);
    // All are sent before the first is answered, so that they wait together.
    let all: Vec<_> = (1..=10)
        .flat_map(|source| (0..19).map(move |_| format!("127.0.1.{source}")))
        .map(|from| ask(&daemon, &from, "nobody", "a guess"))
        .collect();
    let answers: Vec<_> = all.into_iter().map(|mut raw| raw.head()).collect();
    let of = |code: u16| answers.iter().filter(|head| status(head) == code).count();
    let (wrong, refused) = (of(401), of(429));
    assert_eq!((wrong + refused, refused > 0), (190, true), "{wrong} wrong, {refused} refused");
    let refusal = answers.iter().find(|head| status(head) == 429).unwrap().to_ascii_lowercase();
    assert!(refusal.contains("retry-after: "), "{refusal}");
    let metrics = page(daemon.address(), "/metrics");
    assert!(metrics.contains(&format!("reason=\"too_many\"}} {refused}\n")), "{metrics}");
    // A password that was not looked at is not held against anybody.
    assert!(!daemon.log().contains("too many wrong credentials"), "{}", daemon.log());
}

#[test]
fn a_failed_sign_in_is_logged_with_a_known_name_or_none_and_the_address() {
    let daemon = Daemon::start(&guarded(""));
    for (from, user) in [("127.0.3.1", "alice"), ("127.0.3.2", "my secret password")] {
        assert_eq!(status(&ask(&daemon, from, user, "whatever it is").head()), 401);
    }
    let known = daemon.wait_for("failed sign-in");
    assert!(known.contains("alice") && known.contains("127.0.3.1"), "{known}");
    let unknown = daemon.wait_for("unknown user");
    assert!(unknown.contains("failed sign-in") && unknown.contains("127.0.3.2"), "{unknown}");
    let log = daemon.log();
    assert!(!log.contains("my secret password") && !log.contains("whatever"), "{log}");
}

#[test]
fn a_hash_that_costs_too_much_disables_its_user_and_the_gateway_starts() {
    let costly = hash().replace("m=19456", "m=4194304");
    let bob = format!("  bob: {{ password: \"{costly}\", rights: {{ m1: [ read ] }} }}\n");
    let daemon = Daemon::start(&guarded(&bob));
    daemon.limit_memory(ROOM);
    daemon.wait_for("bob cannot sign in");
    assert_eq!(status(&ask(&daemon, "127.0.4.1", "bob", PASSWORD).head()), 401);
    assert_eq!(status(&ask(&daemon, "127.0.4.1", "alice", PASSWORD).head()), 200);
}

#[test]
fn others_are_served_while_passwords_are_guessed() {
    let daemon = Daemon::start(&guarded(""));
    let (address, guess) = (daemon.address(), request(&daemon, "alice", "a guess"));
    thread::scope(|scope| {
        for source in 1..=8 {
            let guess = &guess;
            scope.spawn(move || {
                for _ in 0..15 {
                    let mut raw = Raw::connect_from(&format!("127.0.5.{source}"), address);
                    raw.stream().write_all(guess.as_bytes()).unwrap();
                    assert!(matches!(status(&raw.head()), 401 | 429));
                }
            });
        }
        for _ in 0..50 {
            let begun = std::time::Instant::now();
            assert_eq!(status(&page(address, "/healthz")), 200);
            assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        }
    });
}

/// A request with these header lines from a loopback address; returns the answer.
fn get(daemon: &Daemon, from: &str, path: &str, more: &str) -> String {
    let mut raw = Raw::connect_from(from, daemon.address());
    let host = daemon.address();
    raw.send(
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n")
            .as_bytes(),
    );
    raw.rest()
}

/// A request with a JSON body from a loopback address; returns the answer.
fn post(daemon: &Daemon, from: &str, (path, more, body): (&str, &str, &str)) -> String {
    let mut raw = Raw::connect_from(from, daemon.address());
    let host = daemon.address();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n{more}Content-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    raw.send(format!("{head}{body}").as_bytes());
    raw.rest()
}

/// The value of a key in a JSON text.
fn value(answer: &str, key: &str) -> String {
    let rest = answer.split_once(&format!("\"{key}\":")).unwrap_or_else(|| panic!("{answer}")).1;
    rest.split('"').nth(1).unwrap().to_owned()
}

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[test]
fn while_a_source_is_punished_only_what_nobody_guesses_is_heard() {
    let (own, by_hand) = (format!("wsb_{}", "5e".repeat(16)), "ticket-machine-7");
    let token = |name: &str, text: &str| {
        format!("  {name}: {{ sha256: \"{}\", rights: {{ m1: [ read ] }} }}\n", sha256(text))
    };
    let tokens = format!("tokens:\n{}{}", token("own", &own), token("by-hand", by_hand));
    let daemon = Daemon::start(&guarded(&tokens));
    let from = "127.0.6.1";
    let status_of =
        |more: &str| status(&get(&daemon, from, "/api/session", &format!("{more}\r\n")));
    let bearer = |text: &str| status_of(&format!("Authorization: Bearer {text}"));
    let right = format!("Authorization: Basic {}", STANDARD.encode(format!("alice:{PASSWORD}")));

    let form = format!("{{\"user\": \"alice\", \"password\": \"{PASSWORD}\"}}");
    let signed_in = post(&daemon, from, ("/api/login", "", &form));
    let cookie =
        signed_in.split("set-cookie: ").nth(1).unwrap().split(';').next().unwrap().to_owned();
    let asked = format!("Authorization: Bearer {own}\r\n");
    let ticket =
        value(&post(&daemon, from, ("/api/ticket", &asked, "{\"endpoint\": \"m1\"}")), "ticket");
    assert_eq!((bearer(by_hand), status_of(&right)), (200, 200), "all are right");

    for _ in 0..20 {
        assert_eq!(bearer("guess"), 401);
    }
    assert_eq!(status_of(&right), 429);
    assert_eq!(bearer(by_hand), 429, "a token made by hand is a password");
    let with_ticket = upgrade_head(daemon.address(), &format!("/ws/m1?ticket={ticket}"), "");
    let mut raw = Raw::connect_from(from, daemon.address());
    raw.send(with_ticket.as_bytes());
    assert_eq!(status(&raw.head()), 429);
    assert_eq!(status_of(&format!("Cookie: {cookie}")), 200);
    assert_eq!(bearer(&own), 200);
    assert_eq!(bearer(&own.replace('5', "6")), 401, "compared");
    // An attempt that is not looked at counts all the same: the next penalty is twice as long.
    for _ in 0..20 {
        bearer(by_hand);
    }
    let log = daemon.wait_for("refused_for=\"2 min\"");
    assert!(log.contains("too many wrong credentials"), "{log}");
}

#[test]
fn a_stale_ticket_is_no_wrong_password() {
    let own = format!("wsb_{}", "5e".repeat(16));
    let tokens =
        format!("tokens:\n  t: {{ sha256: \"{}\", rights: {{ m1: [ read ] }} }}\n", sha256(&own));
    let daemon = Daemon::start(&guarded(&tokens));
    let from = "127.0.7.1";
    let asked = format!("Authorization: Bearer {own}\r\n");
    let ticket =
        value(&post(&daemon, from, ("/api/ticket", &asked, "{\"endpoint\": \"m1\"}")), "ticket");
    let origin = format!("Origin: http://{}\r\n", daemon.address());
    let mut answers = Vec::new();
    for _ in 0..30 {
        let mut raw = Raw::connect_from(from, daemon.address());
        raw.send(
            upgrade_head(daemon.address(), &format!("/ws/m1?ticket={ticket}"), &origin).as_bytes(),
        );
        answers.push(status(&raw.head()));
    }
    assert_eq!(answers[0], 101);
    assert!(answers[1..].iter().all(|status| *status == 401), "{answers:?}");
    assert_eq!(status(&ask(&daemon, from, "alice", PASSWORD).head()), 200);
}
