//! A whole password attack, in little memory: from one address and from fifty, while others go on
//! working.
//!
//! `WSBRIDGE_SIEGE` is how many seconds it lasts (5), `WSBRIDGE_BINARY` another binary, for the
//! figures of a release; what was measured is printed (`--no-capture`).

use std::{
    env, fs,
    io::{Read as _, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};
use socket2::SockRef;

use crate::harness::{Daemon, Raw, client::status, daemon::OPEN, page};

/// What a small router has left for it.
const MEMORY: usize = 128 << 20;
/// Ten times the goal: this machine has other things to do.
const LONGEST: Duration = Duration::from_secs(1);
/// Two hashes of 19 MiB, and what a thousand connections cost.
const GROWN: usize = 64 << 20;

/// A control group with little memory; gone with its daemon.
struct Group(PathBuf);

impl Group {
    /// `None` if this user may not make one.
    fn new(name: &str) -> Option<Self> {
        for (root, limit) in
            [("/sys/fs/cgroup", "memory.max"), ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")]
        {
            let folder = Path::new(root).join(format!("wsbridge-{name}-{}", std::process::id()));
            if fs::create_dir(&folder).is_err() {
                continue;
            }
            if folder.join(limit).exists()
                && fs::write(folder.join(limit), MEMORY.to_string()).is_ok()
            {
                return Some(Self(folder));
            }
            fs::remove_dir(&folder).unwrap();
        }
        eprintln!("without a control group: this user may make none");
        None
    }

    /// Has a command run in it from its first instruction on.
    fn hold(&self, command: &mut Command) {
        let mut inside = Command::new("sh");
        inside.args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\""]).arg(&self.0);
        inside.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        *command = inside;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// Alice with a password of the usual cost, and somebody with a token who just works.
fn config() -> String {
    let password = wsbridge::testing::hash_password("correct horse battery").unwrap();
    let token = Sha256::digest("wsb_other")
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let access = format!(
        "users:\n  alice: {{ password: \"{password}\", rights: {{ e: [ read ] }} }}\n\
         tokens:\n  other: {{ sha256: \"{token}\", rights: {{ e: [ read, write ] }} }}\n"
    );
    format!("{}  e: {{ sim: echo-tcp }}\n", OPEN.replace("auth: none\n", &access))
}

/// Guesses from one address until the end, a third of them without waiting for the answer.
fn guess(address: SocketAddr, source: &str, end: Instant) -> usize {
    // An attacker elsewhere uses no processor of this machine.
    let _ = rustix::process::nice(10);
    let credential = STANDARD.encode("alice:a guess");
    let request = format!(
        "GET /api/session HTTP/1.1\r\nHost: {address}\r\nAuthorization: Basic {credential}\r\n\r\n"
    );
    let mut tries = 0;
    while Instant::now() < end {
        let raw = Raw::connect_from(source, address);
        let mut stream = raw.stream();
        // It ends with a reset: an address has only so many ports, and each that waits for its end
        // is one less.
        SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
        tries += 1;
        // A stranger may have to give way at any time.
        let sent = stream.write_all(request.as_bytes());
        if tries % 3 != 0 && sent.is_ok() {
            let _ = stream.read(&mut [0; 512]);
        }
    }
    tries
}

/// How long something takes, measured again and again until the end.
fn measure(end: Instant, mut work: impl FnMut()) -> Vec<Duration> {
    let mut all = Vec::new();
    while Instant::now() < end {
        let began = Instant::now();
        work();
        all.push(began.elapsed());
        thread::sleep(Duration::from_millis(10));
    }
    all.sort();
    all
}

fn told(name: &str, all: &[Duration]) {
    let at = |part: usize| all[(all.len() - 1) * part / 1000];
    eprintln!(
        "  {name}: {} times, p50 {:.1?}, p99 {:.1?}, at most {:.1?}",
        all.len(),
        at(500),
        at(990),
        at(1000)
    );
}

/// An attack from this many addresses, with this many connections each.
fn siege(sources: usize, hands: usize) {
    let seconds = env::var("WSBRIDGE_SIEGE").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let group = Group::new(&format!("siege-{sources}"));
    let daemon = Daemon::start_with(&config(), |command| {
        if let Some(group) = &group {
            group.hold(command);
        }
    });
    let (address, before) = (daemon.address(), daemon.memory_peak());
    let (end, tries) = (Instant::now() + Duration::from_secs(seconds), AtomicUsize::new(0));
    let (pages, echoes) = thread::scope(|scope| {
        for number in 0..sources * hands {
            let tries = &tries;
            scope.spawn(move || {
                let source = format!("127.0.8.{}", number % sources + 1);
                tries.fetch_add(guess(address, &source, end), Ordering::Relaxed);
            });
        }
        let pages = scope
            .spawn(move || measure(end, || assert_eq!(status(&page(address, "/healthz")), 200)));
        let echoes = scope.spawn(move || {
            let (mut other, head) =
                Raw::handshake(address, "e", "Authorization: Bearer wsb_other\r\n");
            assert_eq!(status(&head), 101);
            measure(end, || {
                other.frame(2, b"echo");
                assert_eq!(other.data(4), b"echo");
            })
        });
        (pages.join().unwrap(), echoes.join().unwrap())
    });
    let grown = daemon.memory_peak() - before;
    eprintln!(
        "{sources} addresses, {seconds} s, {} guesses: {} KiB more than {} KiB at most",
        tries.load(Ordering::Relaxed),
        grown / 1024,
        before / 1024
    );
    told("/healthz on a new connection", &pages);
    told("an echo on an open one", &echoes);
    assert!(grown < GROWN, "{} MiB", grown >> 20);
    let longest = |all: &[Duration]| all[(all.len() - 1) * 99 / 100];
    assert!(longest(&pages) < LONGEST && longest(&echoes) < LONGEST);
    assert_eq!(status(&page(address, "/healthz")), 200, "it lives");
    drop(daemon);
    drop(group);
}

#[test]
fn a_password_attack_from_one_address_costs_others_little_in_128_mb() {
    siege(1, 30);
}

#[test]
fn a_password_attack_from_fifty_addresses_costs_others_little_in_128_mb() {
    siege(50, 2);
}
