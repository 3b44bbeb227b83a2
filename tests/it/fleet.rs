//! A hub and its gateways, which listen nowhere (docs/fleet.md).

mod attacks;
mod faults;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    harness::{Daemon, Raw, Target, Technician, Wire, client::status, noise, until},
    signing::ask,
};

/// A hub, which people reach over plain loopback and gateways by TLS, and what its gateways need.
pub(super) struct Hub {
    pub(super) daemon: Daemon,
    /// Where gateways come to.
    pub(super) gateways: SocketAddr,
    people: SocketAddr,
}

/// People of the hub: `boss` may do everything, `plc` only some lines of some gateways.
const PEOPLE: [(&str, &str); 3] = [
    (
        "boss",
        "\"*\": [ read, write, signals, settings, takeover, grant, approve, sessions, recordings ]",
    ),
    ("plc", "\"gw-*/plc*\": [ read, write ], \"other/e\": [ read ]"),
    ("local", "\"e\": [ read, write ]"),
];

impl Hub {
    /// Starts one; `more` are further keys of its configuration.
    pub(super) fn start() -> Self {
        // Its address has to be known before it can be a hub.
        let before = Daemon::start(&config(["127.0.0.2:0", "127.0.0.1:0"], ""));
        let [people, gateways] = before.addresses()[..] else { panic!("two listeners") };
        let key =
            format!("hub: {{ public: \"https://localhost:{}\", name: hub-1 }}\n", gateways.port());
        before.reload(&config(["127.0.0.2:0", "127.0.0.1:0"], &key));
        before.wait_for("hub hub-1 at");
        Self { daemon: before, gateways, people }
    }

    /// Kills it as a power cut does, and starts it again with the same files, on the same ports.
    pub(super) fn again(&mut self) {
        let (people, gateways) = (self.people.to_string(), self.gateways.to_string());
        let key = format!(
            "hub: {{ public: \"https://localhost:{}\", name: hub-1 }}\n",
            self.gateways.port()
        );
        let text = config([people.as_str(), gateways.as_str()], &key);
        let kept = tempfile::tempdir().unwrap();
        let kept_hub = kept.path().join("hub");
        let of = |daemon: &Daemon| daemon.folder().join("state/hub");
        copy(&of(&self.daemon), &kept_hub);
        // Killed when it is dropped.
        let folder = kept.path().to_owned();
        let stopped = std::mem::replace(&mut self.daemon, Daemon::open(""));
        drop(stopped);
        let text = text.replace("{dir}/state", &folder.display().to_string());
        self.daemon = Daemon::start(&text);
        self.daemon.wait_for("hub hub-1 at");
        // The folder has to outlive this test.
        let _ = kept.keep();
    }

    /// Runs `wsbridge hub` with these arguments.
    pub(super) fn run(&self, args: &[&str]) -> String {
        let told = run(&[&["hub", "--socket", &self.socket()], args].concat());
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        String::from_utf8(told.stdout).unwrap()
    }

    fn socket(&self) -> String {
        self.daemon.folder().join("admin.sock").display().to_string()
    }

    /// A token, and the fingerprint that goes with it.
    pub(super) fn token(&self, more: &[&str]) -> (String, String) {
        let told = self.run(&[&["token", "new", "--json"], more].concat());
        let told: Value = serde_json::from_str(&told).unwrap();
        let text = |name: &str| told[name].as_str().unwrap().to_owned();
        (text("token"), text("fingerprint"))
    }

    /// Where gateways are told to come.
    pub(super) fn url(&self) -> String {
        format!("https://localhost:{}", self.gateways.port())
    }

    pub(super) fn get(&self, path: &str, token: &str) -> (u16, Value) {
        let fields = format!("Authorization: Bearer wsb_{token}\r\n");
        let answer = ask(self.people, "GET", path, &fields, "");
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        (status(&answer), serde_json::from_str(body).unwrap_or_else(|_| Value::from(body)))
    }

    /// Waits until a gateway is connected or not, and says of its lines what is wanted.
    pub(super) fn awaits(&self, gateway: &str, fits: impl Fn(&Value) -> bool) -> Value {
        until("the gateway is as wanted", || {
            let (_, fleet) = self.get("/api/fleet", "boss");
            let all = fleet["gateways"].as_array().cloned().unwrap_or_default();
            all.into_iter().find(|it| it["name"] == gateway).filter(&fits)
        })
    }

    /// A `wsbridge.v1` socket to a line of a gateway's.
    pub(super) async fn wire(&self, gateway: &str, line: &str, token: &str) -> Wire {
        let bearer = format!("Bearer wsb_{token}");
        let url = format!("ws://{}/ws/{gateway}/{line}", self.people);
        Wire::at(&url, &[("authorization", &bearer)]).await.unwrap()
    }

    /// The status and the body of a WebSocket's handshake with these fields.
    pub(super) fn handshake(&self, path: &str, fields: &str) -> (u16, String) {
        let (_, head) = Raw::handshake(self.people, path, fields);
        (status(&head), head)
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// A hub's configuration: people come to the first address, gateways to the second.
fn config([people, gateways]: [&str; 2], more: &str) -> String {
    let token = |text: String, (name, rights): &(&str, &str)| {
        let hash = Sha256::digest(format!("wsb_{name}"));
        let hash = hash.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        format!("{text}  {name}: {{ sha256: \"{hash}\", rights: {{ {rights} }} }}\n")
    };
    let tokens = PEOPLE.iter().fold(String::new(), token);
    format!(
        "state_directory: \"{{dir}}/state\"\n{more}listen:\n  - address: \"{people}\"\n    tls: none\n  - address: \"{gateways}\"\n    \
         tls: self-signed\n    \ntokens:\n{tokens}"
    )
}

/// A gateway that listens on nothing but a unix socket.
pub(super) struct Gateway {
    pub(super) daemon: Daemon,
}

impl Gateway {
    /// Starts one with these endpoints and further keys; it is enrolled nowhere.
    pub(super) fn start(endpoints: &str, more: &str) -> Self {
        let text = format!(
            "state_directory: \"{{dir}}/state\"\nlisten: [ {{ address: \"unix:{{dir}}/own.sock\" }} ]\nauth: none\n{more}endpoints:\n{endpoints}"
        );
        Self { daemon: Daemon::start(&text) }
    }

    /// Enrols it at a hub under a name, and waits until it is connected.
    pub(super) fn enrol(&self, hub: &Hub, name: &str) {
        self.enrol_by(hub, &hub.url(), name);
        self.daemon.wait_for("connected to the hub");
        hub.awaits(name, |it| it["lines"].is_array());
    }

    /// Enrols it by this address of the hub's.
    pub(super) fn enrol_by(&self, hub: &Hub, url: &str, name: &str) {
        let (token, fingerprint) = hub.token(&[]);
        let told = self.try_enrol(url, &token, &fingerprint, name);
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    }

    pub(super) fn try_enrol(
        &self,
        url: &str,
        token: &str,
        fingerprint: &str,
        name: &str,
    ) -> Output {
        let (config, socket) = (self.daemon.config(), self.daemon.folder().join("admin.sock"));
        run(&[
            "enrol",
            url,
            "--token",
            token,
            "--fingerprint",
            fingerprint,
            "--name",
            name,
            "--config",
            config.to_str().unwrap(),
            "--socket",
            socket.to_str().unwrap(),
        ])
    }

    /// Where its key and certificate are.
    pub(super) fn home(&self) -> PathBuf {
        self.daemon.folder().join("state/home")
    }
}

/// Runs a command of ours.
pub(super) fn run(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsbridge"));
    for name in ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> (i32, String) {
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.code().unwrap(), text)
}

const ECHO: &str = "  e:\n    sim: echo\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_commands_and_a_line_of_a_gateway_that_listens_nowhere_is_reached() {
    // The commands as a new user types them.
    let people = Daemon::start(&config(["127.0.0.2:0", "127.0.0.1:0"], ""));
    let [plain, secure] = people.addresses()[..] else { panic!("two listeners") };
    let (file, socket) = (people.config(), people.folder().join("admin.sock"));
    let (file, socket) = (file.to_str().unwrap(), socket.to_str().unwrap());
    let public = format!("https://localhost:{}", secure.port());
    let (code, told) =
        said(&run(&["hub", "init", "--public", &public, "--config", file, "--socket", socket]));
    // A file named by hand belongs to no running service, so nobody was told.
    assert_eq!(code, 0, "{told}");
    assert!(fs::read_to_string(file).unwrap().contains(&format!("\nhub:\n  public: {public}\n")));
    people.signal(rustix::process::Signal::HUP);
    people.wait_for("hub localhost at");
    let hub = Hub { daemon: people, gateways: secure, people: plain };
    let line = hub.run(&["token", "new"]);
    let words: Vec<_> = line
        .lines()
        .find(|it| it.starts_with("sudo wsbridge enrol "))
        .unwrap()
        .split(' ')
        .collect();
    let gateway = Gateway::start(ECHO, "");
    let (config, own) = (gateway.daemon.config(), gateway.daemon.folder().join("admin.sock"));
    let own = [
        "--name",
        "north-7",
        "--config",
        config.to_str().unwrap(),
        "--socket",
        own.to_str().unwrap(),
    ];
    let (code, told) = said(&run(&[&words[2..], &own].concat()));
    assert_eq!(code, 0, "{told}");
    assert!(told.contains(&format!("It is connected: {public}/g/north-7/")), "{told}");

    let found = hub.awaits("north-7", |it| it["lines"].is_array());
    assert_eq!(found["lines"][0]["name"], "e");
    let (code, listed) = hub.get("/g/north-7/api/endpoints", "boss");
    assert_eq!((code, listed["endpoints"][0]["name"].as_str()), (200, Some("e")));
    let mut wire = hub.wire("north-7", "e", "boss").await;
    wire.open(json!({})).await;
    wire.send(b"through the hub").await;
    assert_eq!(wire.receive(15).await, b"through the hub");
    // The gateway knows who it is, and by whom.
    gateway.daemon.wait_for("principal=token:boss");
    let shown = hub.run(&["gateways"]);
    assert!(shown.contains("north-7") && shown.contains("connected"), "{shown}");
    assert!(hub.run(&[]).contains("1 gateway, 1 connected"));
}

#[test]
fn what_a_gateway_says_of_its_target_is_what_the_client_hears_and_plain_mode_is_as_there() {
    let hub = Hub::start();
    let (gone, echo) = (Target::refuse(), Target::echo());
    let gateway = Gateway::start(&(gone.endpoint("gone") + &echo.endpoint("tcp")), "");
    gateway.enrol(&hub, "gw-1");
    let boss = "Authorization: Bearer wsb_boss\r\n";
    assert_eq!(hub.handshake("/ws/gw-1/gone", boss).0, 502);
    assert_eq!(hub.handshake("/ws/gw-1/nothing", boss).0, 403);
    assert_eq!(hub.handshake("/ws/gw-9/e", boss).0, 504);
    let (mut raw, head) = Raw::handshake(
        hub.people,
        "/ws/gw-1/tcp",
        &format!("{boss}Sec-WebSocket-Protocol: binary\r\n"),
    );
    assert_eq!(status(&head), 101, "{head}");
    assert!(head.to_lowercase().contains("sec-websocket-protocol: binary"), "{head}");
    raw.frame(2, b"plain");
    assert_eq!(raw.data(5), b"plain");
    // The gateway's Close comes through with its code.
    raw.frame(8, &1000_u16.to_be_bytes());
    assert_eq!(raw.closed().map(|it| it.0), Some(1000));
    // A page sees close codes only.
    let page =
        format!("{boss}Origin: http://{}\r\nSec-WebSocket-Protocol: wsbridge.v1\r\n", hub.people);
    let (mut raw, head) = Raw::handshake(hub.people, "/ws/gw-9/e", &page);
    assert_eq!(status(&head), 101, "{head}");
    assert_eq!(raw.closed().map(|it| it.0), Some(1013));
}

#[test]
fn connect_reaches_a_line_by_the_hub() {
    let hub = Hub::start();
    let gateway = Gateway::start(ECHO, "");
    gateway.enrol(&hub, "gw-1");
    let url = format!("http://{}/g/gw-1/e", hub.people);
    let mut connect = Technician::connect_with(&[&url, "--tcp", "127.0.0.1:0"], |command| {
        command.env("WSBRIDGE_TOKEN", "wsb_boss");
    });
    crate::connect::echoed(&connect.dial(), &noise(200_000));
    connect.signal(rustix::process::Signal::INT);
    assert_eq!(connect.exit().code(), Some(0), "{}", connect.said());
}

#[test]
fn a_token_lets_in_as_many_as_it_says_and_each_mistake_is_told() {
    let hub = Hub::start();
    let gateway = Gateway::start(ECHO, "");
    let (token, fingerprint) = hub.token(&["--label", "site=north"]);
    let no = |token: &str, fingerprint: &str, url: &str| {
        said(&gateway.try_enrol(url, token, fingerprint, "gw-1"))
    };
    let other = format!("sha256:{}", "0".repeat(64));
    for (token, fingerprint, url, code, why) in [
        ("wse_wrong", fingerprint.as_str(), hub.url(), 1, "wrong, used up or over"),
        (token.as_str(), other.as_str(), hub.url(), 69, "is not the hub with that fingerprint"),
        (token.as_str(), "sha256:12", hub.url(), 64, "64 hex digits"),
        (
            token.as_str(),
            fingerprint.as_str(),
            "https://localhost:1".to_owned(),
            69,
            "was not reached",
        ),
        (token.as_str(), fingerprint.as_str(), "http://hub.example".to_owned(), 64, "plain HTTP"),
    ] {
        let (got, told) = no(token, fingerprint, &url);
        assert_eq!(got, code, "{told}");
        assert!(told.contains(why), "{told}");
    }
    assert!(!gateway.home().join("home.json").exists());
    let (code, told) = no(&token, &fingerprint, &hub.url());
    assert_eq!(code, 0, "{told}");
    let (code, told) = no(&token, &fingerprint, &hub.url());
    assert_eq!(code, 1, "{told}");
    assert_eq!(hub.awaits("gw-1", |it| it["online"] == true)["labels"]["site"], "north");
    // Neither key nor token lies about for others to read, and the hub keeps a hash.
    let mode = |path: PathBuf| {
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions()) & 0o777
    };
    assert_eq!(mode(gateway.home().join("identity.pem")), 0o600);
    assert_eq!(mode(hub.daemon.folder().join("state/hub/authority.key")), 0o600);
    let kept = fs::read_to_string(hub.daemon.folder().join("state/hub/gateways.json")).unwrap();
    assert!(!kept.contains(&token) && !hub.daemon.log().contains(&token));
}

#[test]
fn the_list_is_searched_paged_and_shows_each_only_what_he_may_reach() {
    let hub = Hub::start();
    let mut all = Vec::new();
    for (name, endpoints, site) in [
        ("gw-1", "  plc1:\n    sim: echo\n  other:\n    sim: echo\n", "north"),
        ("gw-2", "  plc1:\n    sim: echo\n", "south"),
        ("other", "  e:\n    sim: echo\n", "north"),
    ] {
        let gateway =
            Gateway::start(endpoints, &format!("call_home: {{ labels: {{ site: {site} }} }}\n"));
        gateway.enrol(&hub, name);
        all.push(gateway);
    }
    let names = |path: &str, who: &str| {
        let (code, told) = hub.get(path, who);
        assert_eq!(code, 200, "{told}");
        let rows = told["gateways"].as_array().unwrap().clone();
        let names: Vec<_> = rows.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect();
        (names, told)
    };
    assert_eq!(names("/api/fleet", "boss").0, ["gw-1", "gw-2", "other"]);
    assert_eq!(names("/api/fleet?q=site=north%20gw", "boss").0, ["gw-1"]);
    let (first, told) = names("/api/fleet?limit=2", "boss");
    assert_eq!((first.len(), told["next"].as_str()), (2, Some("gw-2")));
    assert_eq!(names("/api/fleet?limit=2&after=gw-2", "boss").0, ["other"]);
    assert_eq!(names("/api/fleet?state=offline", "boss").0, [""; 0]);
    let (_, told) = names("/api/fleet", "plc");
    assert_eq!(told["gateways"][0]["lines"].as_array().unwrap().len(), 1);
    assert_eq!(told["gateways"][0]["lines"][0]["name"], "plc1");
    assert_eq!(names("/api/fleet", "local").0, [""; 0]);
    // What is none of his business looks like what does not exist.
    assert_eq!(hub.get("/g/gw-1/api/endpoints", "local").0, 403);
    assert_eq!(hub.get("/g/nowhere/api/endpoints", "local").0, 403);
    let (code, told) = hub.get("/g/gw-1/api/endpoints", "plc");
    assert_eq!((code, told["endpoints"].as_array().unwrap().len()), (200, 1));
}
