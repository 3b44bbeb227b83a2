//! The guide's recipes, run as they are printed: only what is in capitals and the gateway's address
//! are filled in.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    harness::{Daemon, Raw, access, until},
    peers::works,
};

/// A listener with TLS and one without, token `wsb_tools` and the guide's endpoint. `more` goes
/// first, `token` goes to the tokens.
fn gateway_with(more: &str, token: &str) -> Daemon {
    let listen = "tls: self-signed\n  - address: \"127.0.0.1:0\"\n    tls: none\n";
    let config = access::tokens(&[("tools", "read, write"), ("boss", "read, takeover")])
        .replace("tls: none\n", listen);
    let config = config.replace("tokens:\n", &format!("tokens:\n  {token}\n"));
    Daemon::start(&format!("state_directory: {{dir}}\n{more}{config}  modem1: {{ sim: modem }}\n"))
}

fn gateway(more: &str) -> Daemon {
    gateway_with(more, "")
}

/// The only fenced block of a section that contains this text.
fn recipe(section: &str, with: &str) -> String {
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guide.md")).unwrap();
    let (_, rest) = page.split_once(&format!("\n## {section}\n")).expect(section);
    let text = rest.split("\n## ").next().unwrap();
    // Every second piece is inside a fence; its first line is the language.
    let blocks =
        text.split("\n```").skip(1).step_by(2).map(|block| block.split_once('\n').unwrap().1);
    let mut found = blocks.filter(|block| block.contains(with)).map(|block| format!("{block}\n"));
    let block = found.next().unwrap_or_else(|| panic!("no block with `{with}` under {section}"));
    assert!(found.next().is_none(), "`{with}` stands in two blocks");
    block
}

/// A folder in which the guide's commands are typed.
struct Shell {
    folder: TempDir,
    gateway: SocketAddr,
}

impl Shell {
    /// One that has the gateway's authority, obtained as the guide says; `None` if its programs are
    /// missing.
    fn at(daemon: &Daemon) -> Option<Self> {
        if !works("curl", &["--version"]) || !works("openssl", &["version"]) {
            eprintln!("skipped: sudo apt install curl openssl");
            return None;
        }
        let shell = Self { folder: TempDir::new().unwrap(), gateway: daemon.address() };
        let said = shell.run(&recipe("TLS", "--output ca.crt"), &[]);
        // Found by name, compared with the log, and trusted.
        let print = said.lines().find_map(|line| line.split_once("ingerprint=")).unwrap().1;
        assert!(daemon.log().contains(print), "{said}{}", daemon.log());
        assert!(said.ends_with("ok\n"), "{said}");
        Some(shell)
    }

    fn run(&self, lines: &str, filled: &[(&str, &str)]) -> String {
        let mut script = lines.replace("GATEWAY:8443", &self.gateway.to_string());
        for (blank, text) in filled {
            assert!(script.contains(blank), "no {blank} in {lines}");
            script = script.replace(blank, text);
        }
        let output = Command::new("sh")
            .args(["-e", "-c", &script])
            .current_dir(&self.folder)
            .env("no_proxy", "*")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{script}{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        said
    }

    fn ticket(&self, lines: &str, filled: &[(&str, &str)]) -> String {
        let said = self.run(lines, filled);
        let told: serde_json::Value =
            serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"));
        told["ticket"].as_str().unwrap_or_else(|| panic!("{said}")).to_owned()
    }
}

/// The listener without TLS, where the tickets are tried.
fn plain(daemon: &Daemon) -> SocketAddr {
    daemon.addresses()[1]
}

#[test]
fn a_ticket_asked_for_with_curl_opens_its_line_once() {
    let daemon = gateway("");
    let Some(shell) = Shell::at(&daemon) else { return };
    let section = "Users, tokens, rights";
    let curl = recipe(section, "'{\"endpoint\": \"modem1\"}'");
    let ticket = shell.ticket(&curl, &[("TOKEN", "wsb_tools")]);
    let path = format!("modem1?ticket={ticket}");
    assert_eq!(Raw::status(plain(&daemon), &path, ""), 101);
    assert_eq!(Raw::status(plain(&daemon), &path, ""), 401, "it is used up");
    let ticket = shell.ticket(&curl, &[("TOKEN", "wsb_tools")]);
    let offer = format!("Sec-WebSocket-Protocol: binary, wsbridge.ticket.{ticket}\r\n");
    assert_eq!(Raw::status(plain(&daemon), "modem1", &offer), 101);
}

#[test]
fn a_person_with_a_password_gets_a_ticket_for_the_page_that_is_named() {
    let made = Command::new(env!("CARGO_BIN_EXE_wsbridge"))
        .args(["passwd", "alice", "--generate", "--role", "operator"])
        .output()
        .unwrap();
    let made = String::from_utf8(made.stdout).unwrap();
    let (password, line) = made.trim().split_once('\n').unwrap();
    let line = line.replace("roles: [ operator ]", "rights: { modem1: [ read, write ] }");
    let daemon = gateway(&format!("users:\n  {line}\n"));
    let Some(shell) = Shell::at(&daemon) else { return };
    let curl = recipe("Users, tokens, rights", "'{\"endpoint\": \"modem1\"}'");
    let who = "-H 'Authorization: Bearer TOKEN'";
    let own = format!("https://{}", daemon.address());
    // What would be typed when curl asks is put into the line.
    let ticket =
        shell.ticket(&curl, &[(who, &format!("-u 'alice:{password}' -H 'Origin: {own}'"))]);
    let offer = format!("Sec-WebSocket-Protocol: binary, wsbridge.ticket.{ticket}\r\n");
    assert_eq!(Raw::status(plain(&daemon), "modem1", &offer), 401, "it is for the page alone");
}

#[test]
fn a_ticket_for_a_page_on_another_server_is_good_there_alone() {
    let yaml = recipe("Users, tokens, rights", "origins:");
    let origins = yaml.lines().next().unwrap();
    let daemon = gateway(&format!("{origins}\n"));
    let Some(shell) = Shell::at(&daemon) else { return };
    let curl = recipe("Users, tokens, rights", "\"origin\"");
    for (origin, status) in [("https://tools.example", 101), ("https://elsewhere.example", 403)] {
        let ticket = shell.ticket(&curl, &[("TOKEN", "wsb_tools")]);
        let head = format!(
            "Origin: {origin}\r\nSec-WebSocket-Protocol: binary, wsbridge.ticket.{ticket}\r\n"
        );
        assert_eq!(Raw::status(plain(&daemon), "modem1", &head), status, "{origin}");
    }
}

#[test]
fn a_session_is_found_and_ended_with_curl() {
    let daemon = gateway("");
    let Some(shell) = Shell::at(&daemon) else { return };
    let (mut client, head) =
        Raw::handshake(plain(&daemon), "modem1", "Authorization: Bearer wsb_tools\r\n");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let lines = recipe("Metrics and health", "/api/sessions");
    let (list, end) = lines.split_once('\n').unwrap();
    let said = shell.run(list, &[("TOKEN", "wsb_boss")]);
    let told: serde_json::Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"));
    let id = told["sessions"][0]["id"].to_string();
    shell.run(end, &[("TOKEN", "wsb_boss"), ("sessions/17/", &format!("sessions/{id}/"))]);
    let close = std::iter::from_fn(|| client.next()).find_map(|frame| frame.close());
    assert_eq!(close.map(|(code, _)| code), Some(4412));
}

#[test]
fn a_scraper_gets_the_format_it_asks_for_and_the_dates_of_certificates() {
    let daemon = gateway("");
    let scrape = |accept: &str| {
        let request = format!(
            "GET /metrics HTTP/1.1\r\nHost: localhost\r\n{accept}Connection: close\r\n\r\n"
        );
        Raw::ask(plain(&daemon), &request)
    };
    let open = scrape("");
    assert!(open.contains("content-type: application/openmetrics-text; version=1.0.0"), "{open}");
    let text = scrape("Accept: text/plain;version=0.0.4;q=1,*/*;q=0.1\r\n");
    assert!(text.contains("content-type: text/plain; version=0.0.4"), "{text}");
    assert!(
        text.contains("vary: Accept\r\n")
            && text.contains("# TYPE wsbridge_sessions_total counter\n")
    );
    let listener = format!(
        "wsbridge_certificate_expiry_timestamp_seconds{{listener=\"{}\"}} ",
        daemon.address()
    );
    let shown: Vec<_> = text.lines().filter_map(|line| line.strip_prefix(&listener)).collect();
    let left = shown[0].parse::<u64>().unwrap() - crate::harness::tls::unix_now();
    assert!((395 * 86400..=397 * 86400).contains(&left), "{left} s");
    for name in ["process_resident_memory_bytes", "process_open_fds", "process_cpu_seconds_total"] {
        assert!(text.contains(&format!("\n{name} ")), "{text}");
    }
}

/// A Prometheus that belongs to the test.
struct Prometheus(Child, SocketAddr);

impl Prometheus {
    fn start(config: &Path, folder: &Path) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--log.level=error"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self(child, address)
    }

    /// What it answers to a query, once it listens.
    fn query(&self, query: &str) -> Option<serde_json::Value> {
        let path = query.bytes().fold(String::new(), |path, byte| format!("{path}%{byte:02x}"));
        std::net::TcpStream::connect(self.1).ok()?;
        let head = "Host: localhost\r\nConnection: close\r\n\r\n";
        let said = Raw::ask(self.1, &format!("GET /api/v1/query?query={path} HTTP/1.0\r\n{head}"));
        serde_json::from_str(said.split_once("\r\n\r\n")?.1).ok()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The expressions in the table of alarms.
fn alarms() -> Vec<String> {
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guide.md")).unwrap();
    let table = page.split_once("\n| worth an alarm |").unwrap().1.split("\n\n").next().unwrap();
    let cells =
        table.lines().skip(2).filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let code = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    code.map(str::to_owned).collect()
}

#[test]
fn prometheus_scrapes_as_the_guide_configures_it_and_takes_the_alarms() {
    if !works("prometheus", &["--version"]) {
        eprintln!("skipped: sudo apt install prometheus");
        return;
    }
    let line = recipe("Metrics and health", "wsbridge token new");
    let words: Vec<_> = line.split_whitespace().skip(1).collect();
    let made = Command::new(env!("CARGO_BIN_EXE_wsbridge")).args(words).output().unwrap();
    let made = String::from_utf8(made.stdout).unwrap();
    let (token, section) = made.trim().split_once('\n').unwrap();
    let daemon = gateway_with("", section);
    let Some(shell) = Shell::at(&daemon) else { return };
    let folder = shell.folder.path();
    fs::write(folder.join("wsbridge.token"), token).unwrap();
    fs::copy(folder.join("ca.crt"), folder.join("wsbridge-ca.crt")).unwrap();
    let yaml = recipe("Metrics and health", "scrape_configs")
        .replace("/etc/prometheus", &folder.to_string_lossy())
        .replace("gateway.example:8443", &daemon.address().to_string());
    fs::write(folder.join("prometheus.yml"), format!("global: {{ scrape_interval: 1s }}\n{yaml}"))
        .unwrap();
    let prometheus = Prometheus::start(&folder.join("prometheus.yml"), folder);
    let value = |query: &str| {
        prometheus.query(query)?["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
    };
    until("the first scrape", || value("up{job=\"wsbridge\"}").filter(|up| up == "1"));
    assert_eq!(value("wsbridge_build_info").as_deref(), Some("1"));
    let alarms = alarms();
    assert!(alarms.len() >= 6, "{alarms:?}");
    for alarm in alarms {
        let said = prometheus.query(&alarm).unwrap();
        assert_eq!(said["status"], "success", "{alarm}: {said}");
        // Its names are ours: what is compared exists, or counts only what has happened.
        let name = alarm.trim_start_matches("increase(").split(['{', '[', ' ']).next().unwrap();
        let help = prometheus.query(&format!("count({{__name__=~\"{name}\"}})")).unwrap();
        let here = help["data"]["result"].as_array().is_some_and(|result| !result.is_empty());
        assert!(here || name == "wsbridge_refusals_total", "{name} is nothing that is exported");
    }
}
