//! The program for Windows, run by wine: `tests/run windows` has built it, and says where it is.

use std::{
    env, fs,
    io::{Read as _, Write as _},
    path::PathBuf,
    process::{Command, Output, Stdio},
    thread,
};

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    connect::{echoed, terminal::Terminal, url},
    harness::{Daemon, Target, Technician, cutter::Cutter, daemon::OPEN, noise},
    signing::PASSWORD,
};

/// The folder of the program, of the library that wine lacks, and of wine's own files.
fn folder() -> Option<PathBuf> {
    let folder = env::var_os("WSBRIDGE_WINE").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: `tests/run windows` runs it");
    }
    folder
}

/// The program with these arguments.
fn exe(args: &[&str]) -> Option<Command> {
    let folder = folder()?;
    let mut command = Command::new("wine");
    command.arg(folder.join("wsbridge.exe")).args(args).env_remove("WSBRIDGE_TOKEN");
    command.env("WINEPREFIX", folder.join("prefix")).env("WINEDEBUG", "-all");
    Some(command)
}

fn run(args: &[&str], input: &str) -> Option<(Option<i32>, String, String)> {
    let mut command = exe(args)?;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that wants nothing may be gone.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Some((status.code(), text(stdout), text(stderr)))
}

fn connect(args: &[&str]) -> Option<Technician> {
    let command = exe(&[&["connect"], args].concat())?;
    Some(Technician::run(command, tempfile::tempdir().unwrap(), |_| ()))
}

/// Five places to cut within this many bytes.
fn five(total: usize) -> Vec<usize> {
    // The first connection asks for the list of endpoints, which comes whole.
    [usize::MAX].into_iter().chain((1..=5).map(|n| total / 16 * n + 1301)).collect()
}

fn guarded() -> Daemon {
    let hash = wsbridge::testing::hash_password(PASSWORD).unwrap();
    let users = format!(
        "users:\n  alice: {{ password: \"{hash}\", rights: {{ \"*\": [ read, write ] }} }}\n"
    );
    Daemon::start(&(OPEN.replace("auth: none\n", &users) + "  echo:\n    sim: echo\n"))
}

/// Where wine keeps the user's profile.
fn kept_at(daemon: &Daemon) -> Option<PathBuf> {
    let name = format!("127.0.0.1_{}_plain.sign-in", daemon.address().port());
    let users = fs::read_dir(folder()?.join("prefix/drive_c/users")).unwrap();
    let of = |user: fs::DirEntry| user.path().join("AppData/Roaming/wsbridge").join(&name);
    users.map(|user| of(user.unwrap())).find(|file| file.exists())
}

#[test]
fn it_says_what_it_is_and_has_the_commands_of_a_gateways_users_alone() {
    let Some((code, version, _)) = run(&["--version"], "") else { return };
    assert_eq!((code, version.trim()), (Some(0), concat!("wsbridge ", env!("CARGO_PKG_VERSION"))));
    let (code, help, _) = run(&["--help"], "").unwrap();
    assert_eq!(code, Some(0));
    for (command, is_there) in
        [("connect", true), ("login", true), ("logout", true), ("serve", false)]
    {
        assert_eq!(help.contains(&format!("\n  {command} ")), is_there, "{help}");
    }
    let (code, ..) = run(&["serve"], "").unwrap();
    assert_eq!(code, Some(64));
}

#[test]
fn a_password_signs_in_and_the_sign_in_is_kept_in_the_profile_until_it_ends() {
    if folder().is_none() {
        return;
    }
    let daemon = guarded();
    let url = format!("http://{}", daemon.address());
    let login = |password| run(&["login", &url, "--user", "alice"], password).unwrap();
    let (code, _, said) = login("wrong password\n");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the user or the password is wrong"), "{said}");
    let (code, _, said) = login(&format!("{PASSWORD}\r\n"));
    assert_eq!(code, Some(0), "{said}");
    let file = kept_at(&daemon).expect("a file in the profile");
    let kept: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(kept["user"], "alice");
    let (_, list, _) = run(&["connect", &url, "--json"], "").unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["endpoints"][0]["name"], "echo");
    let (code, _, said) = run(&["logout", &url], "").unwrap();
    assert_eq!(code, Some(0), "{said}");
    assert!(!file.exists());
    let (code, _, said) = run(&["connect", &url, "--json"], "").unwrap();
    assert_eq!(code, Some(1));
    assert!(said.contains("sign in with `wsbridge login"), "{said}");
}

#[test]
fn on_a_console_the_password_is_not_shown_and_keys_go_to_the_line() {
    if folder().is_none() {
        return;
    }
    let daemon = guarded();
    let url = url(&daemon, "echo");
    let mut terminal = Terminal::new();
    let start = |terminal: &Terminal, args: &[&str]| {
        let command = exe(args).unwrap();
        Technician::run(command, tempfile::tempdir().unwrap(), |command| terminal.carry(command))
    };
    let mut login = start(&terminal, &["login", &url]);
    terminal.shows("User:");
    terminal.types(b"alice\r");
    terminal.shows("Password:");
    terminal.types(format!("{PASSWORD}\r").as_bytes());
    assert_eq!(login.exit().code(), Some(0));
    // What comes behind it is seen first: the password would have been shown before.
    terminal.shows("signed in to");
    assert!(!terminal.has_shown(PASSWORD), "the password is on the screen");
    let mut connect = start(&terminal, &["connect", &url]);
    terminal.shows("Ctrl-] then ?");
    terminal.types(b"over the line");
    terminal.shows("over the line");
    terminal.types(b"\x1d?");
    terminal.shows("b break");
    terminal.types(b"\x1dq");
    assert_eq!(connect.exit().code(), Some(0));
}

#[test]
fn five_cuts_lose_nothing_of_standard_input_and_output() {
    const TOTAL: usize = 1 << 20;
    if folder().is_none() {
        return;
    }
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("e"));
    let cutter = Cutter::start(daemon.address(), five(TOTAL));
    let url = format!("http://{}/e", cutter.address());
    let mut connect = connect(&[&url, "--stdio"]).unwrap();
    let bytes = noise(TOTAL);
    let (mut input, mut output) = connect.pipes();
    let sent = bytes.clone();
    thread::spawn(move || input.write_all(&sent).unwrap());
    let mut got = Vec::new();
    output.read_to_end(&mut got).unwrap();
    assert!(got == bytes, "{} of {} bytes", got.len(), bytes.len());
    assert!(cutter.cuts() >= 5, "{} cuts", cutter.cuts());
    assert_eq!(connect.exit().code(), Some(0), "{}", connect.said());
}

#[test]
fn five_cuts_lose_nothing_of_a_port_and_ctrl_c_ends_it_in_order() {
    const TOTAL: usize = 2 << 20;
    if folder().is_none() {
        return;
    }
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("e"));
    let cutter = Cutter::start(daemon.address(), five(TOTAL));
    let url = format!("http://{}/e", cutter.address());
    let mut connect = connect(&[&url, "--tcp", "127.0.0.1:0"]).unwrap();
    let stream = connect.dial();
    echoed(&stream, &noise(TOTAL));
    assert!(cutter.cuts() >= 5, "{} cuts", cutter.cuts());
    // wine makes Ctrl-C of it.
    connect.signal(Signal::INT);
    assert_eq!(connect.exit().code(), Some(0), "{}", connect.said());
    daemon.wait_for("code=1000");
}

#[test]
fn the_lines_of_a_file_are_served_and_a_device_node_is_told_what_there_is_instead() {
    if folder().is_none() {
        return;
    }
    let echo = Target::echo();
    let daemon = Daemon::open(&echo.endpoint("e"));
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("lines.yaml");
    let text = format!(
        "gateway: http://{}\nlines:\n  e: {{ tcp: '127.0.0.1:0' }}\n  node: {{ endpoint: e, pty: modem1 }}\n",
        daemon.address()
    );
    fs::write(&file, text).unwrap();
    // As wine names a path of the machine's.
    let path = format!("Z:{}", file.display());
    let connect = connect(&["--file", &path]).unwrap();
    connect.wait_for("com0com's hub4com or HW VSP3");
    echoed(&connect.dial(), b"hello");
}
