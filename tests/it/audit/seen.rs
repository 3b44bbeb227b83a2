//! The record as the API shows it: to whom, what, and that it can be taken away and verified.

use std::{fs, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{audit, events, happens};
use crate::{
    harness::{Daemon, Pty, Raw, access::tokens, client::connect_with, client::status, until},
    signing::ask,
};

/// A gateway with lines `e` and `f` that records in a folder: `boss` watches over every line, `eve`
/// over `e` alone, `anna` over none.
fn start(place: &TempDir, pty: &Pty) -> Daemon {
    let all = tokens(&[("anna", "read, write"), ("boss", "read, sessions"), ("eve", "read")]);
    let eve = "rights: { \"*\": [ read ], e: [ sessions ] }";
    let config = format!(
        "audit: {{ directory: \"{}\" }}\n{}  e:\n    serial: {{ port: {} }}\n  f: {{ sim: echo }}\n",
        place.path().join("audit").display(),
        all.replace("rights: { \"*\": [ read ] }", eve),
        pty.path().display()
    );
    Daemon::start(&config)
}

fn get(daemon: &Daemon, token: &str, path: &str) -> (u16, Value) {
    let bearer = format!("Authorization: Bearer wsb_{token}\r\n");
    let answer = ask(daemon.address(), "GET", path, &bearer, "");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status(&answer), serde_json::from_str(body).unwrap_or_default())
}

fn lines(page: &Value) -> Vec<Value> {
    page["lines"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn everybody_sees_of_it_what_he_watches_over_and_no_more() {
    let (place, pty) = (TempDir::new().unwrap(), Pty::new());
    let folder = place.path().join("audit");
    let daemon = start(&place, &pty);
    happens(&daemon).await;
    let bearer = [("authorization", "Bearer wsb_anna")];
    drop(connect_with(&daemon.url("f"), &bearer).await.unwrap());
    let written = until("all is recorded", || {
        let all = events(&folder);
        all.iter().any(|it| it["ev"] == "close" && it["ep"] == "f").then_some(all)
    });
    let (code, page) = get(&daemon, "boss", "/api/audit?limit=500");
    assert_eq!((code, &page["older"], &page["whole"]), (200, &Value::Null, &json!(true)));
    let mut newest_first = written.clone();
    newest_first.reverse();
    assert_eq!(lines(&page), newest_first);

    let (code, page) = get(&daemon, "eve", "/api/audit");
    assert_eq!((code, &page["whole"]), (200, &json!(false)));
    let of_e = newest_first.iter().filter(|line| line["ep"] == "e").cloned().collect::<Vec<_>>();
    assert!(of_e.len() >= 2 && of_e.len() < newest_first.len(), "{of_e:?}");
    assert_eq!(lines(&page), of_e);
    assert_eq!(lines(&get(&daemon, "eve", "/api/audit?endpoint=f").1), [Value::Null; 0]);
    for path in ["/api/audit", "/api/audit/verify", "/api/audit/record.tar"] {
        assert_eq!(get(&daemon, "anna", path).0, 403, "{path}");
        assert_eq!(get(&daemon, "nobody", path).0, 401, "{path}");
    }
    assert_eq!(get(&daemon, "eve", "/api/audit/record.tar").0, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn it_is_found_by_line_person_event_and_time_page_by_page() {
    let (place, pty) = (TempDir::new().unwrap(), Pty::new());
    let daemon = start(&place, &pty);
    happens(&daemon).await;
    happens(&daemon).await;
    let folder = place.path().join("audit");
    let closes = || events(&folder).iter().filter(|it| it["ev"] == "close").count() == 2;
    until("both are recorded", || closes().then_some(()));
    let found = |query: &str| lines(&get(&daemon, "boss", &format!("/api/audit?{query}")).1);
    assert!(found("who=ANNA&endpoint=e&ev=open,close").len() == 4, "{:?}", found(""));
    assert!(found("who=bert").is_empty());
    let second = &found("ev=open")[0];
    let since = found(&format!("ev=open&from={}", second["t"].as_str().unwrap()));
    assert_eq!(since, std::slice::from_ref(second));
    let until = found(&format!("ev=open&to={}", second["t"].as_str().unwrap()));
    assert_eq!(until.len(), 1);

    let all = found("limit=500");
    let (mut seen, mut query) = (Vec::new(), "limit=2".to_owned());
    loop {
        let (code, page) = get(&daemon, "boss", &format!("/api/audit?{query}"));
        assert_eq!(code, 200, "{page}");
        seen.extend(lines(&page));
        let Some(older) = page["older"].as_str() else { break };
        query = format!("limit=2&before={older}");
    }
    assert_eq!(seen, all);
    for wrong in ["before=x", "from=yesterday", "limit=-1"] {
        assert_eq!(get(&daemon, "boss", &format!("/api/audit?{wrong}")).0, 400, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn it_is_verified_over_the_network_and_taken_away_to_be_verified() {
    let (place, pty) = (TempDir::new().unwrap(), Pty::new());
    let folder = place.path().join("audit");
    let mut daemon = start(&place, &pty);
    happens(&daemon).await;
    assert!(daemon.stop().success());
    let daemon = start(&place, &pty);
    let (_, found) = get(&daemon, "eve", "/api/audit/verify");
    assert_eq!(found["whole"], true, "{found}");
    let signed = found["signed"].as_u64().unwrap();
    assert!(signed > 3 && found["end"].as_u64().unwrap() > signed, "{found}");
    assert!(found["checkpoint"].as_str().unwrap().contains(&format!("\n{signed}\n")));

    let request = format!(
        "GET /api/audit/record.tar HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer wsb_boss\r\nConnection: close\r\n\r\n",
        daemon.address()
    );
    let mut raw = Raw::connect(daemon.address());
    raw.send(request.as_bytes());
    let archive = unchunked(&raw.rest_bytes());
    let saved = place.path().join("saved.tar");
    fs::write(&saved, &archive).unwrap();
    let tar = Command::new("tar").arg("xf").arg(&saved).arg("-C").arg(place.path()).output();
    assert!(tar.unwrap().status.success());
    let taken = place.path().join("wsbridge-audit");
    assert!(!taken.join("key").exists(), "the key stays");
    let (code, told) = audit(&["verify"], &taken);
    assert!(code == 0 && told.contains("whole"), "{told}");

    let file = folder.join("000000000000.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("token:anna", "token:anne")).unwrap();
    let (_, found) = get(&daemon, "boss", "/api/audit/verify");
    assert_eq!(found["whole"], false, "{found}");
    assert!(found["why"].as_str().unwrap().contains("000000000000.jsonl, line "), "{found}");
}

/// The body of an answer in chunks.
fn unchunked(answer: &[u8]) -> Vec<u8> {
    let at = answer.windows(4).position(|it| it == b"\r\n\r\n").unwrap() + 4;
    let (mut rest, mut body) = (&answer[at..], Vec::new());
    loop {
        let end = rest.windows(2).position(|it| it == b"\r\n").unwrap();
        let length = usize::from_str_radix(str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&rest[end + 2..][..length]);
        rest = &rest[end + 2 + length + 2..];
    }
}

#[test]
fn where_none_is_kept_there_is_nothing() {
    let daemon =
        Daemon::start(&format!("{}  f: {{ sim: echo }}\n", tokens(&[("boss", "read, sessions")])));
    assert_eq!(get(&daemon, "boss", "/api/audit").0, 404);
}
