//! kill -9 at each point at which a grant's life reaches the disk, and the loss of what had not: what
//! was answered is there after the next start, and no use is given twice (docs/lending.md).

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sha2::Digest as _;
use tempfile::TempDir;

use crate::{harness::client::status, peers::works, signing::ask};

const LASTS: u64 = 3600;

/// A gateway whose state outlives its processes.
struct Place {
    folder: TempDir,
}

/// One of its processes, killed when dropped.
struct Process {
    child: Child,
    /// Where it listens; `None`: it ended before it did.
    address: Option<SocketAddr>,
}

impl Place {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let hash = |name: &str| {
            let bytes = sha2::Sha256::digest(name);
            bytes.iter().fold(String::new(), |all, byte| format!("{all}{byte:02x}"))
        };
        let token = |name: &str, rights: &str| {
            let hash = hash(&format!("wsb_{name}"));
            format!("  {name}: {{ sha256: \"{hash}\", rights: {{ \"*\": [ {rights} ] }} }}\n")
        };
        let config = format!(
            "listen: [ {{ address: \"127.0.0.1:0\", tls: none }} ]\nstate_directory: \"{}\"\ntokens:\n{}{}endpoints: {{ e: {{ sim: echo }} }}\n",
            folder.path().join("state").display(),
            token("boss", "read, write, grant, approve"),
            token("tech", "read"),
        );
        fs::write(folder.path().join("wsbridge.yaml"), config).unwrap();
        Self { folder }
    }

    fn grants(&self) -> PathBuf {
        self.folder.path().join("state/grants.jsonl")
    }

    fn command(&self, under: &[&str]) -> Command {
        let binary = env!("CARGO_BIN_EXE_wsbridge");
        let words: Vec<_> = under.iter().copied().chain([binary, "serve", "--config"]).collect();
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .arg(self.folder.path().join("wsbridge.yaml"))
            .env("STATE_DIRECTORY", self.folder.path())
            .env("RUNTIME_DIRECTORY", self.folder.path())
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    /// Lives a grant's life while each of its calls that reach the disk stops the process, and kills
    /// it at the one with this number.
    fn live(&self, kill_at: usize) -> Life {
        let log = self.folder.path().join("calls");
        let calls =
            "strace -D -f -qq -e trace=fsync,fdatasync -e inject=fsync,fdatasync:signal=STOP -o";
        let under: Vec<_> = calls.split(' ').chain([log.to_str().unwrap()]).collect();
        // With `-D` the tracer is another process, and this one is the gateway.
        let mut process = Process::new(self.command(&under));
        let pid = process.pid();
        let (over, file) = (AtomicBool::new(false), self.grants());
        thread::scope(|scope| {
            let hand = scope.spawn(|| hold(pid, (&log, &file), kill_at, &over));
            let mut answers = Answers::default();
            if process.listen() {
                answers.live(process.address.unwrap());
            }
            over.store(true, Ordering::Release);
            let (durable, killed) = hand.join().unwrap();
            Life { answers, durable, killed }
        })
    }
}

/// Lets the process go on after each call, and kills it at that one. Returns how long the file was
/// after the one before, and whether it was killed.
fn hold(pid: Pid, (log, file): (&Path, &Path), kill_at: usize, over: &AtomicBool) -> (u64, bool) {
    let (mut calls, mut durable) = (0, 0);
    while !over.load(Ordering::Acquire) {
        let told = fs::read_to_string(log).unwrap_or_default();
        if told.matches("--- SIGSTOP {").count() == calls {
            thread::sleep(Duration::from_millis(1));
            continue;
        }
        calls += 1;
        if calls == kill_at {
            kill_process(pid, Signal::KILL).unwrap();
            return (durable, true);
        }
        durable = fs::metadata(file).map_or(0, |it| it.len());
        let _ = kill_process(pid, Signal::CONT);
    }
    (durable, false)
}

impl Process {
    fn new(mut command: Command) -> Self {
        Self { child: command.spawn().unwrap(), address: None }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits until it is ready; false: it ended before.
    fn listen(&mut self) -> bool {
        let mut lines = BufReader::new(self.child.stderr.take().unwrap()).lines();
        for line in lines.by_ref().map_while(Result::ok) {
            if let Some((_, at)) = line.split_once("listening on ") {
                self.address = at.split(' ').next().unwrap().parse().ok();
            }
            if line.contains(" ready: ") {
                // Nobody reads on, and it must not wait for that.
                thread::spawn(move || lines.for_each(drop));
                return true;
            }
        }
        false
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Life {
    answers: Answers,
    /// What of the file was on the disk before the call at which it was killed, in bytes.
    durable: u64,
    killed: bool,
}

/// What somebody was told before the connection broke.
#[derive(Debug, Default)]
struct Answers {
    /// What was begun last.
    step: &'static str,
    /// A grant for two uses, and the tokens of those.
    vendor: Option<Value>,
    tokens: Vec<String>,
    /// A grant for one use, and whether it was taken back.
    other: Option<Value>,
    revoked: bool,
    /// A request, and whether it was approved.
    request: Option<String>,
    approved: bool,
}

/// The answer, if there is one: the status, and what it says.
fn call(address: SocketAddr, who: &str, path: &str, body: Option<&Value>) -> Option<(u16, Value)> {
    TcpStream::connect(address).ok()?;
    let bearer =
        if who.is_empty() { String::new() } else { format!("Authorization: Bearer {who}\r\n") };
    let fields = format!("{bearer}Content-Type: application/json\r\n");
    let (method, body) = body.map_or(("GET", String::new()), |body| ("POST", body.to_string()));
    let answer = ask(address, method, path, &fields, &body);
    let (_, body) = answer.split_once("\r\n\r\n")?;
    Some((status(&answer), serde_json::from_str(body).unwrap_or_default()))
}

fn exchange(address: SocketAddr, grant: &Value) -> Option<(u16, Value)> {
    let body = json!({ "grant": grant["token"], "program": "laptop" });
    call(address, "", "/api/grant", Some(&body))
}

impl Answers {
    /// As far as it is answered.
    fn live(&mut self, address: SocketAddr) -> Option<()> {
        let loan = |uses: u32| {
            let mut loan = json!({ "endpoint": "e", "rights": ["write"], "reason": "firmware" });
            (loan["seconds"], loan["uses"]) = (json!(LASTS), json!(uses));
            loan
        };
        let right = |told: (u16, Value)| {
            assert_eq!(told.0, 200, "{}", told.1);
            told.1
        };
        self.step = "give";
        self.vendor = Some(right(call(address, "wsb_boss", "/api/grants", Some(&loan(2)))?));
        for step in ["first use", "second use"] {
            self.step = step;
            let told = right(exchange(address, self.vendor.as_ref()?)?);
            self.tokens.push(told["token"].as_str().unwrap().to_owned());
        }
        self.step = "give another";
        self.other = Some(right(call(address, "wsb_boss", "/api/grants", Some(&loan(1)))?));
        self.step = "take back";
        let path = format!("/api/grants/{}/revoke", self.other.as_ref()?["id"].as_str()?);
        right(call(address, "wsb_boss", &path, Some(&json!({})))?);
        self.revoked = true;
        self.step = "ask";
        let wish =
            json!({ "endpoint": "e", "rights": ["write"], "seconds": LASTS, "reason": "pump" });
        let asked = right(call(address, "wsb_tech", "/api/requests", Some(&wish))?);
        self.request = Some(asked["id"].as_str()?.to_owned());
        self.step = "approve";
        let path = format!("/api/requests/{}/approve", asked["id"].as_str()?);
        right(call(address, "wsb_boss", &path, Some(&json!({})))?);
        self.approved = true;
        self.step = "";
        Some(())
    }

    /// What was answered is so, and nothing is given twice.
    fn hold(&self, address: SocketAddr, when: &str) {
        let (_, list) = call(address, "wsb_boss", "/api/grants", None).unwrap();
        let list = list["grants"].as_array().unwrap();
        let listed = |grant: &Value| {
            let found = list.iter().find(|it| it["id"] == grant["id"]);
            let found = found.unwrap_or_else(|| panic!("{when}: {grant} is missing: {list:?}"));
            assert_eq!(found["until"], grant["until"], "{when}");
            found.clone()
        };
        if let Some(grant) = &self.vendor {
            listed(grant);
            for token in &self.tokens {
                assert!(may_write(address, token), "{when}: {token} opens nothing");
            }
            let again = (0..3).filter(|_| exchange(address, grant).unwrap().0 == 200).count();
            let uses = self.tokens.len() + again;
            // Of a use that was not answered nobody knows.
            let doubt = usize::from(self.step.ends_with(" use"));
            assert!(uses <= 2 && uses + doubt >= 2, "{when}: {uses} uses, {}", self.step);
        }
        if let Some(grant) = &self.other {
            let state = listed(grant)["state"].clone();
            let code = exchange(address, grant).unwrap().0;
            let over = state == "revoked" && code != 200;
            assert!(over || !self.revoked, "{when}: {state} {code}");
            assert!(over || code == 200, "{when}: {state} {code}");
        }
        if let Some(id) = &self.request {
            let (_, told) = call(address, "wsb_boss", "/api/requests", None).unwrap();
            let mut all = told["requests"].as_array().unwrap().iter();
            let found = all.find(|it| it["id"] == json!(id));
            let state = found.map_or("missing", |it| it["state"].as_str().unwrap());
            let lent = may_write(address, "wsb_tech");
            assert_eq!(lent, state == "approved", "{when}: {state}");
            assert!(lent || !self.approved && state == "pending", "{when}: {state}");
        }
    }
}

fn may_write(address: SocketAddr, token: &str) -> bool {
    let (_, told) = call(address, token, "/api/endpoints", None).unwrap();
    let rights = told["endpoints"][0]["rights"].as_array();
    rights.is_some_and(|all| all.contains(&json!("write")))
}

/// Some ten lives, each of which ends at another call: it takes that many starts three times.
#[test]
fn what_was_answered_outlives_kill_9_at_each_call_and_what_was_not_on_the_disk_may_go() {
    if !works("strace", &["-V"]) {
        eprintln!("not tried: there is no strace");
        return;
    }
    let mut broken = BTreeSet::new();
    for kill_at in 1.. {
        let place = Place::new();
        let life = place.live(kill_at);
        if !life.killed {
            assert_eq!(life.answers.step, "", "the life is over: {:?}", life.answers);
            break;
        }
        broken.insert(life.answers.step);
        let check = |when: &str| {
            let mut process = Process::new(place.command(&[]));
            assert!(process.listen(), "{when}");
            life.answers.hold(process.address.unwrap(), &format!("{when} {kill_at}"));
        };
        let left = fs::read(place.grants()).unwrap_or_default();
        check("killed at call");
        // A power failure: the half of a line that was being written, and nothing of it.
        let durable = usize::try_from(life.durable).unwrap().min(left.len());
        for length in [durable + (left.len() - durable) / 2, durable] {
            if durable == 0 {
                // Its name was not on the disk.
                let _ = fs::remove_file(place.grants());
            } else {
                fs::write(place.grants(), &left[..length]).unwrap();
            }
            check("powerless at call");
        }
    }
    let steps = ["approve", "ask", "first use", "give", "give another", "second use", "take back"];
    assert_eq!(broken.into_iter().collect::<Vec<_>>(), steps);
}
