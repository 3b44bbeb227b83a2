//! The commands a person types, and their exit codes.

use std::{
    fs,
    io::{Read, Write},
    process::{Command, Output, Stdio},
};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use sha2::{Digest, Sha256};

use crate::{
    harness::{Daemon, Pty, Raw, Target, client::upgrade_head, daemon::OPEN, tls},
    peers::works,
};

fn wsbridge(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wsbridge")).args(args).stdin(Stdio::null()).output().unwrap()
}

/// The same with something on standard input.
fn wsbridge_with(input: &str, args: &[&str]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_wsbridge"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn wrong_usage_is_64_and_a_missing_file_66() {
    assert_eq!(wsbridge(&["fly"]).status.code(), Some(64));
    assert_eq!(wsbridge(&["serve", "--config", "/nowhere/wsbridge.yaml"]).status.code(), Some(66));
    assert_eq!(wsbridge(&["check", "/nowhere/wsbridge.yaml"]).status.code(), Some(66));
    assert_eq!(wsbridge(&["serve", "--log-level", "loud=x=y"]).status.code(), Some(64));
    let warm = wsbridge(&["serve", "--log-level", "warm"]);
    let said = String::from_utf8_lossy(&warm.stderr);
    assert_eq!(warm.status.code(), Some(64), "{said}");
    assert!(said.contains("`warm` is not a level (did you mean `warn`?); write"), "{said}");
}

/// What `check` says about a file, and what `serve` exits with; `None` while it runs.
fn checked_and_served(config: &str) -> (Option<i32>, Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wsbridge.yaml");
    fs::write(&path, config).unwrap();
    let checked = wsbridge(&["check", path.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    let served = if checked.status.success() {
        let mut daemon = Daemon::start(config);
        assert_eq!(daemon.stop().code(), Some(0));
        None
    } else {
        Some(Daemon::fails(config).0)
    };
    (checked.status.code(), served, said)
}

#[test]
fn check_and_serve_agree_on_files_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let authority = tls::Authority::new(folder.path());
    let (certificate, key) = authority.issue("localhost");
    let (certificate, key) = (certificate.display(), key.display());
    let broken = folder.path().join("broken.pem");
    fs::write(&broken, "no certificate\n").unwrap();
    let listen = |files: String| {
        format!(
            "auth: none\nlisten: [ {{ address: '127.0.0.1:0', tls: {{ {files} }} }} ]\nendpoints: {{ e: {{ sim: echo }} }}\n"
        )
    };
    for (files, named) in [
        (format!("certificate: /nonexistent/c.pem, key: {key}"), "/nonexistent/c.pem"),
        (format!("certificate: {certificate}, key: /nonexistent/k.pem"), "/nonexistent/k.pem"),
        // A folder is something that even root cannot read as a file.
        (format!("certificate: {certificate}, key: /tmp"), "/tmp"),
        (format!("certificate: {}, key: {key}", broken.display()), "broken.pem"),
        (
            format!("certificate: {certificate}, key: {key}, client_ca: /nonexistent/ca.pem"),
            "/nonexistent/ca.pem",
        ),
    ] {
        let (checked, served, said) = checked_and_served(&listen(files));
        assert_eq!((checked, served), (Some(78), Some(78)), "{said}");
        assert!(said.contains(named), "{named}: {said}");
    }
    let secret = "users: { a: { password: { file: /nonexistent/a }, rights: { '*': [ read ] } } }";
    let listen = "listen: [ { address: '127.0.0.1:0' } ]";
    let (checked, served, said) = checked_and_served(&format!("{secret}\n{listen}\n"));
    assert_eq!((checked, served), (Some(78), Some(78)), "{said}");
    assert!(said.contains("the hash that `wsbridge passwd`"), "{said}");
    // A target's file is treated like a target that is not there: the rest runs.
    let (checked, served, said) = checked_and_served(
        "auth: none\nlisten: [ { address: '127.0.0.1:0', tls: none } ]\n\
         endpoints: { e: { tcp: { address: '127.0.0.1:9', tls: { ca: /nonexistent/ca.pem } } } }\n",
    );
    assert_eq!((checked, served), (Some(0), None), "{said}");
    assert!(said.starts_with("warning: ") && said.contains("/nonexistent/ca.pem"), "{said}");
}

#[test]
fn check_reads_standard_input() {
    let check = |text: &str| wsbridge_with(text, &["check", "-"]);
    let said = text(&check("auth: none\nendpoints: { e: { sim: echo } }\n"));
    assert!(said.contains("sim echo") && said.ends_with("\nstandard input: valid\n"), "{said}");
    let wrong = check("auth: none\nlisten: 8443\n");
    assert_eq!(wrong.status.code(), Some(78));
    let said = String::from_utf8_lossy(&wrong.stderr);
    assert!(said.starts_with("standard input:2:9: listen: "), "{said}");
    assert_eq!(wsbridge(&["serve", "-c", "-"]).status.code(), Some(64));
}

#[test]
fn uci_is_read_in_place_of_yaml_and_mistakes_have_their_line_and_option() {
    assert_eq!(wsbridge(&["serve", "--uci", "/nowhere/wsbridge"]).status.code(), Some(66));
    assert_eq!(wsbridge(&["check", "--uci", "/nowhere/wsbridge"]).status.code(), Some(66));
    assert_eq!(wsbridge(&["serve", "--uci", "/a", "--config", "/b"]).status.code(), Some(64));
    assert_eq!(wsbridge(&["check", "--yaml"]).status.code(), Some(64));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wsbridge");
    let path = file.to_str().unwrap();
    let user = text(&wsbridge(&["passwd", "a-b", "--generate", "--uci"]));
    let token = text(&wsbridge(&[
        "token",
        "new",
        "t",
        "--rights",
        "e=read",
        "--expires",
        "2999-01-31",
        "--uci",
    ]));
    // What may be appended to the file contains no secret.
    assert!(!user.contains("wsb_") && !token.contains("wsb_"), "{user}{token}");
    // A user without a role may do nothing, as in YAML, and the section says so.
    assert!(!user.contains("\tlist right") && user.contains("# no rights yet: add"), "{user}");
    let typed = wsbridge_with("correct horse\n", &["passwd", "a-b", "--uci"]);
    let said = String::from_utf8_lossy(&typed.stderr);
    assert!(said.contains("a-b has no rights yet: add `list role 'ROLE'`"), "{said}");
    let endpoint = "config endpoint 'e'\n\toption type 'sim'\n\toption device 'echo'\n";
    fs::write(&file, format!("config wsbridge 'main'\n{user}{token}{endpoint}")).unwrap();
    let said = text(&wsbridge(&["check", "--uci", path]));
    assert!(
        said.contains("users.a-b") && said.contains("tokens.t") && said.contains("sim echo"),
        "{said}"
    );
    fs::write(folder.path().join("yaml"), text(&wsbridge(&["check", "--uci", path, "--yaml"])))
        .unwrap();
    // The last line names the file.
    let meaning = |said: &str| said.trim_end().rsplit_once('\n').unwrap().0.to_owned();
    let yaml = folder.path().join("yaml");
    let yaml = yaml.to_str().unwrap();
    for form in [&["check", yaml][..], &["check", "-c", yaml], &["check", "--config", yaml]] {
        let as_yaml = text(&wsbridge(form));
        assert_eq!(meaning(&as_yaml), meaning(&said));
        assert!(as_yaml.ends_with(&format!("\n{yaml}: valid\n")), "{as_yaml}");
    }
    fs::write(&file, format!("{endpoint}\toption buad '1'\n")).unwrap();
    let wrong = wsbridge(&["check", "--uci", path]);
    assert_eq!(wrong.status.code(), Some(78));
    let said = String::from_utf8_lossy(&wrong.stderr);
    assert!(said.contains(&format!("{path}:4: option 'buad' of endpoint 'e': ")), "{said}");
}

#[test]
fn a_new_token_and_its_line_open_an_endpoint() {
    let made = text(&wsbridge(&[
        "token",
        "new",
        "billing",
        "--rights",
        "ec*=read,write",
        "--expires",
        "2999-01-31",
    ]));
    let (token, line) = made.split_once('\n').unwrap();
    assert!(token.len() >= 32 && line.contains(&format!("{:x}", Sha256::digest(token))), "{made}");
    let echo = Target::echo();
    let config = OPEN.replace("auth: none", &format!("tokens:\n  {}", line.trim_end()));
    let daemon = Daemon::start(&format!("{config}{}", echo.endpoint("echo")));
    let mut client = Raw::connect(daemon.address());
    let bearer = format!("Authorization: Bearer {token}\r\n");
    client.send(upgrade_head(daemon.address(), "echo", &bearer).as_bytes());
    assert!(client.head().starts_with("HTTP/1.1 101 "));
}

#[test]
fn a_password_from_a_pipe_becomes_a_line_that_passes_check() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_wsbridge"))
        .args(["passwd", "alice", "--role", "operator"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"correct horse\n").unwrap();
    let line = text(&child.wait_with_output().unwrap());
    assert!(
        line.starts_with("alice: { password: \"$argon2id$") && line.contains("roles: [ operator ]"),
        "{line}"
    );
    assert!(!line.contains("horse"));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wsbridge.yaml");
    let access = format!("users:\n  {line}roles:\n  operator: {{ \"*\": [ read ] }}");
    let endpoint = "  plc1:\n    tcp: { address: \"192.0.2.20:502\" }\n";
    fs::write(&file, format!("{}{endpoint}", OPEN.replace("auth: none", &access))).unwrap();
    let said = text(&wsbridge(&["check", file.to_str().unwrap()]));
    assert!(said.contains("plc1") && said.contains("alice"), "{said}");
}

#[test]
fn a_typed_password_is_asked_for_twice_and_not_shown() {
    let mut terminal = Pty::new();
    let open = || fs::OpenOptions::new().read(true).write(true).open(terminal.path()).unwrap();
    let mut modes = tcgetattr(open()).unwrap();
    modes.local_modes |= LocalModes::ECHO | LocalModes::ICANON;
    tcsetattr(open(), OptionalActions::Now, &modes).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_wsbridge"))
        .args(["passwd", "alice"])
        .stdin(open())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut asked = child.stderr.take().unwrap();
    for prompt in ["Password: ", "Once more: "] {
        let mut seen = vec![0; prompt.len()];
        asked.read_exact(&mut seen).unwrap();
        assert_eq!(String::from_utf8_lossy(&seen), prompt);
        terminal.send(b"correct horse\n");
        asked.read_exact(&mut [0]).unwrap();
    }
    assert!(
        text(&child.wait_with_output().unwrap()).starts_with("alice: { password: \"$argon2id$")
    );
    // Nothing came back except what the test sends now, with the echo on again.
    terminal.send(b"end");
    assert_eq!(terminal.receive(3), b"end");
}

#[test]
fn a_generated_password_is_shown_once_and_differs_each_time() {
    let made = [0, 1].map(|_| text(&wsbridge(&["passwd", "alice", "--generate"])));
    let first: Vec<_> = made.iter().filter_map(|text| text.lines().next()).collect();
    assert!(first[0].len() >= 32 && first[0] != first[1]);
    assert_eq!(made[0].matches(first[0]).count(), 1);
}

#[test]
fn a_hash_goes_into_its_file_which_keeps_its_mode_and_is_a_users_password() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("admin");
    let make =
        || text(&wsbridge(&["passwd", "admin", "--generate", "--file", file.to_str().unwrap()]));
    let mode = || fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    let read = || fs::read_to_string(&file).unwrap();
    let shown = make();
    assert_eq!(shown.lines().count(), 1, "more than the password: {shown}");
    assert_eq!(mode(), 0o640);
    let first = read();
    assert!(first.starts_with("$argon2id$") && !first.contains(shown.trim()), "{first}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    make();
    assert!(read() != first && mode() == 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something is left beside it");

    let config = folder.path().join("wsbridge.yaml");
    let yaml = format!(
        "users: {{ admin: {{ password: {{ file: {} }}, rights: {{ \"*\": [ read ] }} }} }}",
        file.display()
    );
    fs::write(&config, yaml).unwrap();
    text(&wsbridge(&["check", config.to_str().unwrap()]));
    let nowhere = wsbridge(&["passwd", "admin", "--generate", "--file", "/nonexistent/admin"]);
    assert_eq!(nowhere.status.code(), Some(74));
}

#[test]
fn an_empty_password_is_refused() {
    let output = wsbridge(&["passwd", "alice"]);
    assert_eq!(output.status.code(), Some(65));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--generate"));
}

#[test]
fn a_password_has_eight_characters_whatever_their_bytes() {
    let made = |password: &str| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wsbridge"))
            .args(["passwd", "alice"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    for short in ["1234567", "\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}"] {
        let output = made(short);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(65));
        assert!(told.contains("has 7 characters, at least 8 are needed"), "{told}");
    }
    assert!(text(&made("\u{e4}234567\u{e4}")).contains("$argon2id$"));
}

#[test]
fn completions_and_manual_pages_name_every_command() {
    let folder = tempfile::tempdir().unwrap();
    text(&wsbridge(&["man", folder.path().to_str().unwrap()]));
    let script = text(&wsbridge(&["completions", "bash"]));
    for command in [
        "serve",
        "check",
        "ports",
        "add",
        "sessions",
        "kick",
        "hold",
        "say",
        "watch",
        "extcap",
        "grant",
        "grants",
        "revoke",
        "request",
        "requests",
        "approve",
        "deny",
        "doctor",
        "import",
        "passwd",
        "token",
        "totp",
        "ca",
        "connect",
        "demo",
        "login",
        "logout",
        "completions",
        "man",
    ] {
        assert!(script.contains(command), "{command}");
        assert!(folder.path().join(format!("man1/wsbridge-{command}.1")).is_file(), "{command}");
    }
    assert!(folder.path().join("man5/wsbridge.yaml.5").is_file());
    assert!(text(&wsbridge(&["man"])).contains(".TH"));
}

#[test]
fn man_has_nothing_to_warn_of_in_the_manual_pages() {
    if !works("man", &["--version"]) || !works("groff", &["--version"]) {
        eprintln!("skipped: sudo apt install man-db groff-base");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    text(&wsbridge(&["man", folder.path().to_str().unwrap()]));
    let sections =
        ["man1", "man5"].map(|section| fs::read_dir(folder.path().join(section)).unwrap());
    let pages: Vec<_> = sections.into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    assert!(pages.len() > 11, "{pages:?}");
    for page in pages {
        let mut man = Command::new("man");
        man.args(["--warnings", "-E", "UTF-8", "-l"]).arg(&page);
        let shown = man.env("MANWIDTH", "80").env("LC_ALL", "C.UTF-8").output().unwrap();
        assert!(shown.status.success());
        assert_eq!(String::from_utf8_lossy(&shown.stderr), "", "{}", page.display());
        assert!(String::from_utf8_lossy(&shown.stdout).contains("SEE ALSO"), "{}", page.display());
    }
}
