//! Mistakes in the configuration, how findings are printed, and that the documentation knows every
//! name.

use super::{super::print, *};

fn sim(more: &str) -> String {
    format!(
        "{ALICE}{more}\nlisten: [ {{ address: '[::]:0' }} ]\nendpoints: {{ e: {{ sim: echo }} }}"
    )
}

#[test]
fn a_wrong_file_is_told_in_the_loaders_words() {
    let place = Place::new();
    let found = place.find("endpoints: {}\nlimit: 3\n");
    found.wrong(Id::Config, &["wsbridge.yaml", "limits", "sudo wsbridge check"]);
    // A path after an origin is refused there, too.
    place
        .find(&sim("origins: [ 'https://a.example/x' ]"))
        .wrong(Id::Config, &["no path", "origins"]);
    place.find(&format!("{PLAIN}endpoints: {{}}\n")).one(Id::Config, Level::Ok).unwrap();
    let file = place.path("none.yaml");
    let found = Found(look(
        &place.machine,
        &Args { which: Which::of(file), json: false, no_connect: true },
    ));
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
    let text = sim(&format!(
        "tokens: {{ t: {{ sha256: {{ file: {secret} }}, rights: {{ '*': [ read ] }} }} }}"
    ));
    let found = place.find(&text);
    found.wrong(
        Id::SecretReadable,
        &[&format!("sudo chgrp wsbridge {secret} && sudo chmod o= {secret}")],
    );
    found.none(Id::ConfigReadable);
    place.mode("secret", 0o640);
    place.find(&text).none(Id::SecretReadable);
    place.mode("wsbridge.yaml", 0o644);
    let file = place.file();
    let found = Found(look(
        &place.machine,
        &Args { which: Which::of(file), json: false, no_connect: true },
    ));
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
fn a_key_switch_tells_where_it_stands_and_what_a_broken_wire_means() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    fs::write(&key, "").unwrap();
    let file = |more: &str| sim(&format!("switch: {{ file: {}{more} }}", key.display()));
    place.find(&file("")).said(Id::Switch, Level::Ok, &["is there: writing is allowed"]);
    let found = place.find(&file(", mode: disables, i_know: true"));
    found.hint(Id::SwitchDisables, &["broken wire"]);
    fs::remove_file(&key).unwrap();
    place.find(&file("")).said(Id::Switch, Level::Ok, &["not there: nobody writes"]);
    let found = place.find(&sim("switch: { gpio: { chip: gpiochip7, line: 3, active: low } }"));
    found.wrong(Id::SwitchAbsent, &["gpiochip7 is not there"]);
}

#[test]
fn tokens_tell_their_end_and_principals_that_they_may_nothing() {
    let place = Place::new();
    let token = |name: &str, expires: &str, end: u8| {
        format!(
            "{name}: {{ sha256: '{end:064x}', expires: {expires}, rights: {{ nothing: [ read ] }} }}"
        )
    };
    let all = [
        token("old", "2026-05-31", 1),
        token("soon", "2026-06-10", 2),
        token("good", "2026-07-01", 3),
    ];
    let found = place.find(&sim(&format!("tokens: {{ {} }}", all.join(", "))));
    found.wrong(Id::TokenExpired, &["tokens.old", "401", "wsbridge token new old"]);
    found.hint(Id::TokenExpires, &["tokens.soon", "expires in "]);
    found.hint(Id::NoRights, &["tokens.good", "no right"]);
    assert!(
        found.0.findings.iter().all(|finding| !finding.what.contains("has expired; remove it"))
    );
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
    print::text(&found.0, print::Style::default(), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let at = |word: &str| text.find(word).unwrap_or_else(|| panic!("{word}\n{text}"));
    assert!(at("ok  ") < at("hint  ") && at("[origin-http]") < at("wrong "));
    assert!(at("[origin-own]") < at(&format!("{} wrong, ", count("wrong"))));
    assert!(!text.contains('\x1b'));
    let mut out = Vec::new();
    print::text(&found.0, print::Style { colour: true, width: None }, &mut out).unwrap();
    assert!(String::from_utf8(out).unwrap().contains("\x1b[1;31mwrong"));
}

#[test]
fn on_a_terminal_lines_break_between_words_and_commands_stay_whole() {
    let mut report = DoctorReport::default();
    let what = "is taken by another program that somebody started by hand\n    3 | a line of the file that is shown as it is";
    let fix = "sudo systemctl disable --now a-service-with-a-long-name.service";
    report.wrong(Id::Port, "listener 127.0.0.1:8443", what, &[fix.into()]);
    let style = print::Style { colour: false, width: Some(50) };
    let mut out = Vec::new();
    print::text(&report, style, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.starts_with("wrong   listener 127.0.0.1:8443: is taken by\n        another"),
        "{text}"
    );
    for whole in ["            3 | a line of the file that is shown as it is", fix] {
        assert!(text.contains(whole), "{text}");
    }
    let shown = text.lines().filter(|line| !line.contains('|') && !line.contains(fix));
    assert!(shown.clone().all(|line| line.chars().count() <= 50), "{text}");
}

#[test]
fn control_bytes_reach_no_terminal() {
    let mut report = DoctorReport::default();
    report.wrong(Id::Port, "a\x1b[2J", "b\x07", &["c\x1b]0;x".into()]);
    let mut out = Vec::new();
    print::text(&report, print::Style::default(), &mut out).unwrap();
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

/// A router: procd and UCI, no systemd, no sudo.
fn router() -> Place {
    let place = Place::new();
    for gone in ["run/systemd", "run/udev", "usr/lib/systemd"] {
        fs::remove_dir_all(place.path(gone)).unwrap();
    }
    place
}

const MAIN: &str = "config wsbridge 'main'\n\toption enabled '1'\n\tlist listen '[::]:0'\n\toption tls 'self-signed'\n";

#[test]
fn openwrts_file_is_looked_at_in_its_own_words() {
    let found = router().find_uci("config wsbridge 'main'\n\toption buad '9600'\n");
    found.wrong(Id::Config, &["option 'buad'", "wsbridge check --uci", "vi "]);
}

#[test]
fn what_is_told_on_openwrt_can_be_typed_there() {
    let place = router();
    place.tree.usb("ttyUSB0", "1-1", ("0403:6001", "A1", 0));
    place.write("sys/devices/usb1/1-1/power/control", "auto\n");
    place.write("etc/rc.d/S95wsbridge", "");
    place.mode("dev/ttyUSB0", 0o600);
    place.write("sys/bus/usb/devices/1-2/idVendor", "10c4\n");
    place.write("sys/bus/usb/devices/1-2/idProduct", "ea60\n");
    let path = place.path("dev/ttyUSB0").display().to_string();
    let rest = format!(
        "\tlist origin 'http://box.local'\n\tlist origin 'http://tools.example'\n\toption user 'wsbridge'\n\
         \toption connections '60000'\n\toption per_address '60000'\n\toption unauthenticated '60000'\n\
         \toption state_directory '/proc/nowhere'\n\
         config user 'alice'\n\toption password '{HASH}'\n\tlist right 'nothing=read'\n\
         config token 'old'\n\toption sha256 '{:064x}'\n\toption expires '2026-05-31'\n\tlist right '*=read'\n\
         config listener\n\toption address '203.0.113.9:443'\n\toption tls 'self-signed'\n\
         config endpoint 'a'\n\toption type 'serial'\n\toption port '{path}'\n\toption low_latency '0'\n\
         config endpoint 'b'\n\toption type 'serial'\n\toption usb '10c4:ea60'\n\
         config endpoint 'c'\n\toption type 'serial'\n\toption usb '1a86:7523'\n",
        7
    );
    let found = place.find_uci(&format!("{MAIN}{rest}"));
    for (id, part) in [
        (Id::OriginOwn, "uci del_list wsbridge.main.origin='http://box.local'"),
        (Id::TokenExpired, "token 'old'"),
        (Id::TokenExpired, "--uci"),
        (Id::PortRights, "/etc/hotplug.d/tty/"),
        (Id::PortUnbound, "kmod-usb-serial-cp210x"),
        (Id::PortMissing, "wsbridge ports --uci"),
        (Id::ListenNoAddress, "list listen '[::]:443'"),
        (Id::ListenLow, "option user 'root'"),
        (Id::ServiceOff, "logread -e wsbridge"),
    ] {
        found.wrong(id, &[part]);
    }
    found.hint(Id::PortUnstable, &["option usb '0403:6001'", "option serial 'A1'"]);
    found.hint(Id::NoRights, &["user 'alice'", "list right '*=read,write'"]);
    found.hint(Id::UsbAutosuspend, &["echo on > "]);
    for finding in &found.0.findings {
        let text = format!("{} {} {}", finding.place, finding.what, finding.fix.join(" "));
        for foreign in [
            "sudo",
            "systemctl",
            "journalctl",
            "udev",
            "adduser",
            "endpoints.",
            "tls:",
            ": {",
            "[ {",
        ] {
            assert!(!text.contains(foreign), "{foreign} in {text}");
        }
    }
}

#[test]
fn the_service_of_a_router_is_procds() {
    let place = router();
    place.write("etc/rc.d/S95wsbridge", "");
    let sim = "config endpoint 'e'\n\toption type 'sim'\n\toption device 'echo'\n";
    let main = format!("{}\toption auth 'none'\n{sim}", MAIN.replace("[::]:0", "127.0.0.1:0"));
    place
        .find_uci(&main)
        .wrong(Id::ServiceOff, &["enabled", "logread", "/etc/init.d/wsbridge restart"]);
    place.find_uci(&main.replace("'1'", "'0'")).hint(Id::ServiceOff, &["wsbridge.main.enabled=1"]);
    let line = format!(
        "/usr/bin/wsbridge\0serve\0--uci\0{}\0",
        place.path("etc/config/wsbridge").display()
    );
    place.runs("");
    place.write("proc/77/cmdline", &line);
    place.find_uci(&main).none(Id::ServiceOff);
    fs::remove_file(place.path("proc/77/exe")).unwrap();
    symlink("/usr/bin/wsbridge (deleted)", place.path("proc/77/exe")).unwrap();
    place.find_uci(&main).wrong(Id::ServiceOld, &["pid 77", "/etc/init.d/wsbridge restart"]);
}

#[test]
fn many_findings_of_one_kind_are_summed_up_and_json_has_them_all() {
    let mut report = DoctorReport::default();
    for number in 0..500 {
        let place = format!("endpoints.plc{number}");
        report.wrong(
            Id::TargetUnreachable,
            &place,
            format!("192.0.2.1:{number} refused"),
            &["nc".into()],
        );
        report.because(if number % 5 == 0 { "no answer" } else { "refused" });
        report.ok(Id::Port, &place, "x");
    }
    report.wrong(Id::Port, "endpoints.other", "the needle", &[]);
    let mut out = Vec::new();
    print::text(&report, print::Style::default(), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.lines().count() < 30, "{text}");
    for part in [
        "and 497 more (no answer 99, refused 398): endpoints.plc3, endpoints.plc4, ",
        "endpoints.plc10, ...  [target-unreachable]",
        "sudo wsbridge doctor --json",
        "the needle",
        "501 wrong (500 target-unreachable, 1 port)",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let mut out = Vec::new();
    print::json(&report, &mut out).unwrap();
    let document: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(document["findings"].as_array().unwrap().len(), 1001);
}
