//! Files of this machine that somebody has tampered with: nothing waits for them, follows them out
//! of their folder, or reads them without end.

use std::{
    fs::{self, File},
    net::TcpListener,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use rustix::fs::{CWD, Mode, mkfifoat};

use crate::harness::{Daemon, Raw, client::status, daemon::OPEN, tls::Authority, until};

fn wsbridge(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsbridge"));
    command.args(arguments).env_remove("NOTIFY_SOCKET");
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // A command that waited for a FIFO would wait for ever.
    until("the command's end", || child.try_wait().unwrap());
    child.wait_with_output().unwrap()
}

fn fifo(path: &Path) {
    mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR).unwrap();
}

#[test]
fn a_fifo_or_a_sparse_file_in_place_of_a_configuration_or_a_key_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fifo(&folder.path().join("fifo"));
    File::create(path("sparse")).unwrap().set_len(1 << 40).unwrap();
    let (certificate, _) = Authority::new(folder.path()).issue("gateway");
    for (name, told) in [("fifo", "not a regular file"), ("sparse", "too big")] {
        let output = wsbridge(&["check", &path(name)]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(told), "{said}");
    }
    for (name, told) in [("fifo", "not a regular file"), ("sparse", "file too large")] {
        let files =
            format!("tls: {{ certificate: {}, key: {} }}", certificate.display(), path(name));
        let (code, log) =
            Daemon::fails(&(OPEN.replace("tls: none", &files) + "  e: { sim: echo }\n"));
        assert!(code != 0 && log.contains(told), "{log}");
        let file = path("wsbridge.yaml");
        fs::write(&file, OPEN.replace("tls: none", &files) + "  e: { sim: echo }\n").unwrap();
        let output = wsbridge(&["doctor", "--no-connect", &file]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(told), "{said}");
    }
}

#[test]
fn an_apps_files_stay_in_their_folder() {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let place = |name: &str| folder.path().join(name);
    fs::create_dir(place("sub")).unwrap();
    fs::write(place("index.html"), "<p>the tool</p>").unwrap();
    fs::write(place("tool.js"), "tool();").unwrap();
    fs::write(place(".hidden"), "secret").unwrap();
    fs::write(outside.path().join("passwd"), "secret").unwrap();
    symlink("../tool.js", place("sub/inside.js")).unwrap();
    symlink(place("tool.js"), place("absolute.js")).unwrap();
    symlink(outside.path().join("passwd"), place("passwd")).unwrap();
    symlink(outside.path(), place("folder")).unwrap();
    fs::create_dir(place(".git")).unwrap();
    fs::write(place(".git/config"), "secret").unwrap();
    symlink(".git", place("git")).unwrap();
    symlink(".hidden", place("shown")).unwrap();
    fifo(&place("fifo"));
    // Browsers are told an app's port, so it has to be fixed.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let app = format!(
        "apps:\n  tool: {{ directory: {}, listen: {{ address: \"{address}\", tls: none }}, endpoints: [ e ] }}\n",
        folder.path().display()
    );
    let _daemon = Daemon::start(&format!("{OPEN}  e: {{ sim: echo }}\n{app}"));
    let get = |path: &str| {
        let mut raw = Raw::connect(address);
        raw.stream().set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        raw.send(
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        );
        raw.rest()
    };
    for (path, body) in [
        ("/", "the tool"),
        ("/tool.js", "tool();"),
        ("/sub/inside.js", "tool();"),
        ("/absolute.js", "tool();"),
    ] {
        let answer = get(path);
        assert!(status(&answer) == 200 && answer.contains(body), "{path}: {answer}");
    }
    for path in [
        "/passwd",
        "/folder/passwd",
        "/fifo",
        "/.hidden",
        "/shown",
        "/git/config",
        "/sub",
        "/%2e%2e/passwd",
        "/sub/../.hidden",
    ] {
        let answer = get(path);
        assert!(status(&answer) == 404 && !answer.contains("secret"), "{path}: {answer}");
    }
}
