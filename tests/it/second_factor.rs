//! A second factor for users: set up by `wsbridge totp`, asked for wherever a password is, with
//! oathtool as the app.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    connect::terminal::Terminal,
    harness::{Daemon, Raw, Technician, client::status, daemon::OPEN},
    peers::works,
    signing::{PASSWORD, ask, cookie, own, session, signed_in},
};

/// A gateway whose clock the test sets, to the second.
struct Gateway {
    daemon: Daemon,
    config: String,
    /// What outlives a daemon: its state, and its clock.
    kept: tempfile::TempDir,
    library: PathBuf,
}

impl Gateway {
    /// `None`: a program is missing, and that has been said.
    fn start() -> Option<Self> {
        if !works("oathtool", &["--version"]) {
            eprintln!("skipped: sudo apt install oathtool");
            return None;
        }
        let library = fs::read_dir("/usr/lib").unwrap().flatten().find_map(|entry| {
            let file = entry.path().join("faketime/libfaketimeMT.so.1");
            file.exists().then_some(file)
        });
        let Some(library) = library else {
            eprintln!("skipped: sudo apt install faketime");
            return None;
        };
        let kept = tempfile::tempdir().unwrap();
        let hash = wsbridge::testing::hash_password(PASSWORD).unwrap();
        let access = format!(
            "state_directory: {}\naudit: {{}}\nusers:\n  alice: {{ password: \"{hash}\", rights: {{ \"*\": [ read, write ] }} }}\n\
             \x20 bob: {{ password: \"{hash}\", rights: {{ \"*\": [ read ] }} }}\n",
            kept.path().join("state").display(),
        );
        let config = OPEN.replace("auth: none\n", &access) + "  echo:\n    sim: echo\n";
        set(kept.path(), 0);
        let daemon = launch(&config, kept.path(), &library);
        Some(Self { daemon, config, kept, library })
    }

    /// The same, where alice has a second factor with this secret, and its recovery codes.
    fn enrolled() -> Option<(Self, String, Vec<String>)> {
        let gateway = Self::start()?;
        let (secret, codes) = gateway.enrol("alice");
        Some((gateway, secret, codes))
    }

    fn restart(&mut self) {
        self.daemon.stop();
        self.daemon = launch(&self.config, self.kept.path(), &self.library);
    }

    fn address(&self) -> SocketAddr {
        self.daemon.address()
    }

    fn set(&self, seconds: i64) {
        set(self.kept.path(), seconds);
    }

    fn state(&self, name: &str) -> PathBuf {
        self.kept.path().join("state").join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wsbridge"));
        command.arg("totp").args(args).arg("--socket").arg(self.daemon.folder().join("admin.sock"));
        command
    }

    fn run(&self, args: &[&str]) -> (i32, String, String) {
        read(&self.command(args).stdin(Stdio::null()).output().unwrap())
    }

    /// Types what an operator types; returns the secret and the recovery codes.
    fn enrol(&self, user: &str) -> (String, Vec<String>) {
        let mut command = self.command(&[user]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut told = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let line = told.find(|line| line.contains("otpauth://")).unwrap();
        let secret = line.split("secret=").nth(1).unwrap().split('&').next().unwrap().to_owned();
        let typed: String = told.nth(3).unwrap().split_whitespace().collect();
        assert_eq!(typed, secret, "to be typed");
        writeln!(child.stdin.take().unwrap(), "{}", app(&secret, 0)).unwrap();
        let rest: Vec<_> = told.collect();
        assert!(child.wait().unwrap().success(), "{rest:?}");
        let is_code = |line: &&str| line.len() == 19 && line.matches('-').count() == 3;
        (secret, rest.iter().map(|line| line.trim()).filter(is_code).map(str::to_owned).collect())
    }

    /// What the page's sign-in is answered.
    fn login(&self, password: &str, code: Option<&str>) -> (u16, String) {
        let mut form = json!({ "user": "alice", "password": password });
        form.as_object_mut().unwrap().extend(code.map(|code| ("code".to_owned(), code.into())));
        let address = self.address();
        let answer = ask(address, "POST", "/api/login", &own(address), &form.to_string());
        (status(&answer), answer)
    }

    fn refused(&self, code: &str, why: &str) {
        let (status, answer) = self.login(PASSWORD, Some(code));
        assert!(status == 401 && answer.contains(why), "{why}: {answer}");
        assert!(!answer.contains("set-cookie"), "{answer}");
    }

    /// The record's lines of this kind.
    fn recorded(&self, what: &str) -> Vec<Value> {
        crate::harness::until(what, || {
            let files = fs::read_dir(self.state("audit")).ok()?.flatten();
            let text: String =
                files.filter_map(|file| fs::read_to_string(file.path()).ok()).collect();
            let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let found: Vec<_> = lines.filter(|line| line["ev"] == what).collect();
            (!found.is_empty()).then_some(found)
        })
    }
}

fn launch(config: &str, kept: &Path, library: &Path) -> Daemon {
    Daemon::start_with(config, |command| {
        command
            .env("LD_PRELOAD", library)
            .env("TZ", "UTC")
            .env("FAKETIME_TIMESTAMP_FILE", kept.join("clock"))
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    })
}

/// A moment in steps of no app: 12 s into one.
const NOW: i64 = 1_796_126_412;

/// The gateway's clock stands still, so many seconds from then.
fn set(kept: &Path, seconds: i64) {
    let time = jiff::Timestamp::from_second(NOW + seconds).unwrap();
    let (draft, clock) = (kept.join("clock.new"), kept.join("clock"));
    fs::write(&draft, format!("{}\n", time.strftime("%Y-%m-%d %H:%M:%S"))).unwrap();
    fs::rename(draft, clock).unwrap();
}

/// What the app shows, so many seconds from then.
fn app(secret: &str, seconds: i64) -> String {
    let now = format!("@{}", NOW + seconds);
    let shown = Command::new("oathtool").args(["--totp", "-b", secret, "--now", &now]).output();
    let shown = shown.unwrap();
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    String::from_utf8(shown.stdout).unwrap().trim().to_owned()
}

fn read(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_code_is_asked_for_counts_once_and_not_again_after_a_restart() {
    let Some((mut gateway, secret, _)) = Gateway::enrolled() else { return };
    let (code, answer) = gateway.login(PASSWORD, None);
    assert!(code == 200 && answer.ends_with("{\"next\":\"totp\"}"), "{answer}");
    assert!(!answer.contains("set-cookie"), "{answer}");
    gateway.refused(&app(&secret, 0), "has been used");
    gateway.refused(&app(&secret, 60), "ahead of the gateway's clock");

    let next = app(&secret, 30);
    let (code, answer) = gateway.login(PASSWORD, Some(&next));
    assert_eq!(code, 200, "{answer}");
    assert_eq!(session(gateway.address(), &cookie(&answer)).1["user"], "alice");
    gateway.refused(&next, "has been used");
    gateway.restart();
    gateway.refused(&next, "has been used");
    gateway.set(60);
    let (code, answer) = gateway.login(PASSWORD, Some(&format!(" {} ", app(&secret, 60))));
    assert_eq!(code, 200, "{answer}");
    // Whoever has no password learns nothing, not even that a code would be needed.
    let (code, answer) = gateway.login("wrong", Some(&app(&secret, 90)));
    assert!(code == 401 && answer.contains("sign in, or send a valid token"), "{answer}");
    assert_eq!(session(gateway.address(), &signed_in(gateway.address(), "bob")).0, 200);
}

#[test]
fn what_is_kept_is_sealed_and_its_owners_alone() {
    let Some((gateway, secret, codes)) = Gateway::enrolled() else { return };
    let raw = Command::new("oathtool").args(["--totp", "-v", "-b", &secret]).output().unwrap();
    let raw = String::from_utf8(raw.stdout).unwrap();
    let hex = raw.lines().find_map(|line| line.strip_prefix("Hex secret: ")).unwrap().to_owned();
    for name in ["totp.json", "totp.key"] {
        let file = gateway.state(name);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        let bytes = fs::read(&file).unwrap();
        let shown = bytes.iter().fold(String::new(), |all, byte| format!("{all}{byte:02x}"));
        assert!(!shown.contains(&hex), "{name}");
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(&secret) && !text.contains(&codes[0].replace('-', "")), "{text}");
    }
    assert!(!gateway.daemon.log().contains(&secret));
}

#[test]
fn a_password_alone_opens_nothing_any_more_wherever_it_is_shown() {
    let Some((gateway, secret, _)) = Gateway::enrolled() else { return };
    let address = gateway.address();
    let basic = |user: &str| {
        format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{user}:{PASSWORD}")))
    };
    for _ in 0..8 {
        for path in ["/api/endpoints", "/api/session", "/metrics", "/api/grants"] {
            let answer = ask(address, "GET", path, &basic("alice"), "");
            assert_eq!(status(&answer), 401, "{path}: {answer}");
            assert!(answer.contains("the password alone opens nothing"), "{answer}");
            assert!(!answer.contains("Basic realm"), "{answer}");
        }
    }
    assert_eq!(Raw::status(address, "echo", &basic("alice")), 401);
    let fields = format!("{}Content-Type: application/json\r\n", basic("alice"));
    let answer = ask(address, "POST", "/api/ticket", &fields, "{\"endpoint\": \"echo\"}");
    assert_eq!(status(&answer), 401, "{answer}");
    assert_eq!(status(&ask(address, "GET", "/api/endpoints", &basic("bob"), "")), 200);
    // A right password is no guess: nobody is shut out.
    assert_eq!(gateway.login(PASSWORD, Some(&app(&secret, 30))).0, 200);
}

#[test]
fn wrong_codes_bring_the_penalty_of_wrong_passwords_and_are_recorded() {
    let Some((gateway, secret, codes)) = Gateway::enrolled() else { return };
    let right = app(&secret, 30);
    let wrong = format!("{:06}", (right.parse::<u32>().unwrap() + 500_000) % 1_000_000);
    for _ in 0..19 {
        let (code, answer) = gateway.login(PASSWORD, Some(&wrong));
        assert!(code == 401 && !answer.contains("sign in, or"), "{answer}");
    }
    gateway.refused("abcd-abcd-abcd-abcd", "the code is not right");
    for code in [&right, &codes[0]] {
        let (code, answer) = gateway.login(PASSWORD, Some(code));
        assert!(code == 429 && answer.contains("retry-after: "), "{answer}");
    }
    let told = gateway.recorded("sign_in_failed");
    assert_eq!(
        (&told[0]["who"], &told[0]["detail"]["reason"]),
        (&json!("user:alice"), &json!("wrong_code")),
        "{told:?}"
    );
    assert!(!gateway.daemon.log().contains(&wrong), "no code is logged");
}

#[test]
fn a_recovery_code_counts_once_until_there_are_new_ones_or_none_is_needed() {
    let Some((gateway, _, codes)) = Gateway::enrolled() else { return };
    assert_eq!(codes.len(), 10, "{codes:?}");
    let (code, answer) = gateway.login(PASSWORD, Some(&codes[0].to_uppercase()));
    assert!(code == 200 && answer.contains("\"recovery_codes\":9"), "{answer}");
    gateway.refused(&codes[0], "the code is not right");
    assert_eq!(gateway.recorded("recovery_code_used")[0]["detail"]["left"], 9);

    let (code, told, error) = gateway.run(&["alice", "--recovery"]);
    assert!(code == 0 && told.matches('-').count() >= 30, "{told}{error}");
    gateway.refused(&codes[1], "the code is not right");
    let new = told.lines().map(str::trim).find(|line| line.len() == 19).unwrap();
    assert_eq!(gateway.login(PASSWORD, Some(new)).0, 200);

    let (_, told, _) = gateway.run(&[]);
    let row = |user: &str| told.lines().find(|line| line.starts_with(user)).unwrap().to_owned();
    assert!(row("alice").ends_with(" 9") && row("bob").contains("none"), "{told}");
    let (code, told, error) = gateway.run(&["alice", "--off"]);
    assert!(code == 0 && told.contains("with the password alone"), "{told}{error}");
    assert!(gateway.login(PASSWORD, None).1.contains("set-cookie"));
    assert_eq!(gateway.recorded("totp_off")[0]["detail"]["by"], "local");
}

#[test]
fn setting_one_up_ends_what_was_signed_in_without_it() {
    let Some(gateway) = Gateway::start() else { return };
    let address = gateway.address();
    let (alice, bob) = (signed_in(address, "alice"), signed_in(address, "bob"));
    let origin = format!("Origin: http://{address}\r\n");
    let (mut open, head) = Raw::handshake(address, "echo", &format!("{origin}{alice}"));
    assert_eq!(status(&head), 101, "{head}");
    gateway.enrol("alice");
    assert_eq!(open.closed().map(|(code, _)| code), Some(4401));
    assert_eq!((session(address, &alice).0, session(address, &bob).0), (401, 200));
    assert_eq!(gateway.recorded("totp_enrolled")[0]["who"], "user:alice");
}

#[test]
fn a_gateway_with_a_wrong_clock_says_so_and_takes_recovery_codes() {
    let Some((gateway, secret, codes)) = Gateway::enrolled() else { return };
    gateway.set(-NOW + 86_400);
    gateway.refused(&app(&secret, 30), "the gateway's clock is wrong");
    gateway.daemon.wait_for("second factor refused: the gateway's clock is wrong");
    assert_eq!(gateway.login(PASSWORD, Some(&codes[0])).0, 200);
    gateway.set(-600);
    gateway.refused(&app(&secret, 30), "the gateway's clock is wrong");
}

#[test]
fn the_command_says_what_is_wrong_and_changes_nothing() {
    let Some(gateway) = Gateway::start() else { return };
    let (code, _, error) = gateway.run(&["alcie"]);
    assert!(code == 1 && error.contains("no user `alcie`; `users:` has alice, bob"), "{error}");
    for flag in ["--off", "--recovery"] {
        let (code, _, error) = gateway.run(&["alice", flag]);
        assert!(code == 1 && error.contains("alice has no second factor"), "{error}");
    }
    let (code, _, error) = gateway.run(&["--off"]);
    assert!(code == 64 && error.contains("<USER>"), "{error}");
    let mut command = gateway.command(&["alice"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"12345\n").unwrap();
    let (code, _, error) = read(&child.wait_with_output().unwrap());
    assert!(code == 1 && error.contains("the code is not right"), "{error}");
    assert!(!gateway.state("totp.key").exists());
    // By the network it is nobody's.
    let address = gateway.address();
    let alice = signed_in(address, "alice");
    assert_eq!(status(&ask(address, "GET", "/api/totp", &alice, "")), 403);
    let fields = format!("{}{alice}", own(address));
    for path in ["/api/totp", "/api/totp/off", "/api/totp/recovery"] {
        assert_eq!(status(&ask(address, "POST", path, &fields, "{\"user\": \"bob\"}")), 403);
    }
}

#[test]
fn when_what_is_kept_is_lost_no_password_opens_anything() {
    let Some((mut gateway, secret, _)) = Gateway::enrolled() else { return };
    fs::remove_file(gateway.state("totp.json")).unwrap();
    gateway.restart();
    assert!(
        gateway.daemon.log().contains("totp.json is gone: put it back from a backup, or remove")
    );
    gateway.refused(&app(&secret, 30), "cannot read who has a second factor");
    let (code, _, error) = gateway.run(&["alice"]);
    assert!(code == 1 && error.contains("totp.json is gone"), "{error}");
    fs::remove_file(gateway.state("totp.key")).unwrap();
    gateway.restart();
    assert!(gateway.login(PASSWORD, None).1.contains("set-cookie"));
}

#[test]
fn wsbridge_login_asks_for_the_code_by_a_pipe_and_at_a_terminal() {
    let Some((gateway, secret, _)) = Gateway::enrolled() else { return };
    let url = format!("http://{}", gateway.address());
    let home = tempfile::tempdir().unwrap();
    let login = |before: &[&str]| {
        let words = [before, &[env!("CARGO_BIN_EXE_wsbridge"), "login", &url, "--user", "alice"]];
        let words = words.concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).env("XDG_CONFIG_HOME", home.path()).env_remove("WSBRIDGE_TOKEN");
        command
    };
    let pipe = |typed: String| {
        let mut command = login(&[]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
        read(&child.wait_with_output().unwrap())
    };
    if !works("setsid", &["--version"]) {
        eprintln!("skipped: no setsid, which makes a terminal the one of a command");
        return;
    }
    let mut terminal = Terminal::new();
    let command = login(&["setsid", "--ctty"]);
    let own = tempfile::tempdir().unwrap();
    let mut typing = Technician::run(command, own, |command| terminal.carry(command));
    terminal.shows("Password: ");
    terminal.types(format!("{PASSWORD}\n").as_bytes());
    terminal.shows("recovery code: ");
    terminal.types(b"12\n");
    terminal.shows("the code is not right");
    terminal.types(format!("{}\n", app(&secret, 30)).as_bytes());
    terminal.shows("signed in to");
    assert_eq!(typing.exit().code(), Some(0));

    let (code, _, error) = pipe(format!("{PASSWORD}\n{}\n", app(&secret, 30)));
    assert!(code == 1 && error.contains("has been used"), "{error}");
    gateway.set(60);
    let (code, _, error) = pipe(format!("{PASSWORD}\n{}\n", app(&secret, 60)));
    assert_eq!(code, 0, "{error}");
}
