//! Mistakes of the configuration, how it is printed, and that the documentation knows every name.

use super::{super::print, *};

fn sim(more: &str) -> String {
    format!("{ALICE}{more}\nlisten: [ {{ address: '[::]:0' }} ]\nendpoints: {{ e: {{ sim: echo }} }}")
}

#[test]
fn a_wrong_file_is_told_in_the_loaders_words() {
    let place = Place::new();
    let found = place.find("endpoints: {}\nlimit: 3\n");
    found.wrong(Id::Config, &["wsbridge.yaml", "limits", "sudo wsbridge check"]);
    // A path behind an origin is refused there, too.
    place.find(&sim("origins: [ 'https://a.example/x' ]")).wrong(Id::Config, &["no path", "origins"]);
    place.find(&format!("{PLAIN}endpoints: {{}}\n")).one(Id::Config, Level::Ok).unwrap();
    let file = place.path("none.yaml");
    let found = Found(look(&place.machine, &Args { file, uci: None, json: false, no_connect: true }));
    found.wrong(Id::Config, &["no such file", "wsbridge ports"]);
}

#[test]
fn the_loaders_warnings_are_hints() {
    let found = Place::new().find(&format!("{PLAIN}certificates: {{}}\n"));
    found.none(Id::Config);
    let found = Place::new().find(&sim("certificates: { plc: { rights: { '*': [ read ] } } }"));
    found.hint(Id::ConfigOdd, &["client_ca"]);
}

#[test]
fn files_everybody_may_read_are_closed() {
    let place = Place::new();
    place.write("secret", &format!("{}\n", "0f".repeat(32)));
    let secret = place.path("secret").display().to_string();
    let text =
        sim(&format!("tokens: {{ t: {{ sha256: {{ file: {secret} }}, rights: {{ '*': [ read ] }} }} }}"));
    let found = place.find(&text);
    found.wrong(Id::SecretReadable, &[&format!("sudo chgrp wsbridge {secret} && sudo chmod o= {secret}")]);
    found.none(Id::ConfigReadable);
    place.mode("secret", 0o640);
    place.find(&text).none(Id::SecretReadable);
    place.mode("wsbridge.yaml", 0o644);
    let file = place.file();
    let found = Found(look(&place.machine, &Args { file, uci: None, json: false, no_connect: true }));
    found.hint(Id::ConfigReadable, &["hashes", "chmod o="]);
}

#[test]
fn credentials_are_read_where_the_unit_takes_them_from() {
    let place = Place::new();
    place.write("etc/wsbridge/secrets/t", &"0f".repeat(32));
    let text = sim("tokens: { t: { sha256: { credential: t }, rights: { '*': [ read ] } } }");
    place.find(&text).wrong(Id::Config, &["LoadCredential=t:"]);
    place.unit("LoadCredential=t:/etc/wsbridge/secrets/t");
    place.find(&text).none(Id::Config);
}

#[test]
fn tokens_tell_their_end_and_principals_that_they_may_nothing() {
    let place = Place::new();
    let token = |name: &str, expires: &str, end: u8| {
        format!("{name}: {{ sha256: '{end:064x}', expires: {expires}, rights: {{ nothing: [ read ] }} }}")
    };
    let all = [token("old", "2026-05-31", 1), token("soon", "2026-06-10", 2), token("good", "2026-07-01", 3)];
    let found = place.find(&sim(&format!("tokens: {{ {} }}", all.join(", "))));
    found.wrong(Id::TokenExpired, &["tokens.old", "401", "wsbridge token new old"]);
    found.hint(Id::TokenExpires, &["tokens.soon", "expires in "]);
    found.hint(Id::NoRights, &["tokens.good", "no right"]);
    assert!(found.0.findings.iter().all(|finding| !finding.what.contains("has expired; remove it")));
}

#[test]
fn origins_that_cannot_work_are_told_with_those_that_can() {
    let place = Place::new();
    place.find(&sim("origins: [ 'https://tools.example' ]")).none(Id::Access);
    let found = place.find(&sim("origins: [ 'http://box.local:8443' ]"));
    found.wrong(Id::OriginOwn, &["http://box.local:8443", "remove"]);
    let found = place.find(&sim("origins: [ 'http://tools.example' ]"));
    found.hint(Id::OriginHttp, &["https://tools.example"]);
    let plain = sim("origins: [ 'https://tools.example' ]")
        .replace("'[::]:0'", "'[::]:0', tls: none, plain: accepted");
    place.find(&plain).wrong(Id::OriginHttps, &["https://tools.example", "ws://", "self-signed"]);
    let behind = format!("trusted_proxies: [ 127.0.0.1 ]\n{plain}");
    place.find(&behind).none(Id::OriginHttps);
}

#[test]
fn a_proxy_in_front_is_named_and_its_headers_are_to_be_trusted() {
    let place = Place::new();
    let behind = sim("").replace("'[::]:0'", "'127.0.0.1:0', tls: none");
    place.find(&behind).none(Id::ProxyUntrusted);
    place.write("proc/5/comm", "nginx\n");
    let found = place.find(&behind);
    found.hint(Id::ProxyUntrusted, &["nginx", "trusted_proxies: [ \"127.0.0.1\", \"::1\" ]"]);
    place.find(&format!("trusted_proxies: [ 127.0.0.1 ]\n{behind}")).none(Id::ProxyUntrusted);
}

#[test]
fn json_has_every_finding_and_text_the_worst_last() {
    let place = Place::new();
    let found = place.find(&sim("origins: [ 'http://box.local:8443', 'http://tools.example' ]"));
    let mut out = Vec::new();
    print::json(&found.0, &mut out).unwrap();
    let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let told = value["findings"].as_array().unwrap();
    let count = |level: &str| told.iter().filter(|finding| finding["level"] == level).count();
    assert_eq!((&value["wrong"], &value["hints"]), (&count("wrong").into(), &count("hint").into()));
    assert_eq!(told.len(), found.0.findings.len());
    let own = told.iter().find(|finding| finding["id"] == "origin-own").unwrap();
    assert_eq!((&own["level"], &own["place"]), (&"wrong".into(), &"origins".into()));
    let mut out = Vec::new();
    print::text(&found.0, false, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let at = |word: &str| text.find(word).unwrap_or_else(|| panic!("{word}\n{text}"));
    assert!(at("ok  ") < at("hint  ") && at("[origin-http]") < at("wrong "));
    assert!(at("[origin-own]") < at(&format!("{} wrong, ", count("wrong"))));
    assert!(!text.contains('\x1b'));
    let mut out = Vec::new();
    print::text(&found.0, true, &mut out).unwrap();
    assert!(String::from_utf8(out).unwrap().contains("\x1b[1;31mwrong"));
}

#[test]
fn control_bytes_reach_no_terminal() {
    let mut report = Report::default();
    report.wrong(Id::Port, "a\x1b[2J", "b\x07", &["c\x1b]0;x".into()]);
    let mut out = Vec::new();
    print::text(&report, false, &mut out).unwrap();
    assert!(out.iter().all(|byte| *byte == b'\n' || *byte >= b' '), "{out:?}");
}

#[test]
fn what_is_not_seen_names_sudo_and_is_no_mistake() {
    let mut place = Place::new();
    place.machine.privileged = false;
    place.tree.tty("ttyS1", "sys/devices/serial1", "serial8250", 4);
    place.mode("dev/ttyS1", 0o660);
    let path = place.path("dev/ttyS1").display().to_string();
    let found = place.find(&format!("{PLAIN}endpoints: {{ a: {{ serial: {{ port: {path} }} }} }}"));
    found.unseen(Id::PortInUse, &["other users", "sudo wsbridge doctor"]);
    assert_eq!(found.0.count(Level::Wrong), 0);
}

#[test]
fn the_documentation_has_a_line_for_every_name_and_no_other() {
    let page = include_str!("../../../../docs/doctor.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let told: Vec<&str> = rows.map(|(name, _)| name).collect();
    assert_eq!(told, Id::ALL);
}

#[test]
fn openwrts_file_is_looked_at_in_its_own_words() {
    let place = Place::new();
    place.write("uci", "config wsbridge 'main'\n\toption buad '9600'\n");
    let args = Args { file: PathBuf::new(), uci: Some(place.path("uci")), json: false, no_connect: true };
    let found = Found(look(&place.machine, &args));
    found.wrong(Id::Config, &["option 'buad'", "wsbridge check --uci", "vi "]);
}
