//! Other people's programs that run `connect`, or stand between it and the gateway.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use tempfile::TempDir;

use super::{cuts, echoed};
use crate::{
    harness::{Daemon, PATIENCE, Technician, cutter::Cutter, noise, until},
    peers::works,
};

/// OpenSSH's server with keys of its own: a process for each connection.
struct Sshd {
    folder: TempDir,
    port: u16,
}

impl Sshd {
    fn start() -> Option<Self> {
        if !Path::new("/usr/sbin/sshd").exists() || !works("ssh", &["-V"]) {
            eprintln!("skipped: no OpenSSH");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        for name in ["host", "user"] {
            let key = folder.path().join(name);
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(key)
                .status();
            assert!(made.unwrap().success());
        }
        let at = |name: &str| folder.path().join(name).display().to_string();
        let config = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n",
            at("host"),
            at("user.pub")
        );
        fs::write(at("config"), config).unwrap();
        // For root's; anybody else's needs none.
        let _ = fs::create_dir_all("/run/sshd");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let config = at("config");
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let end =
                    |stream: &TcpStream| Stdio::from(OwnedFd::from(stream.try_clone().unwrap()));
                let mut sshd = Command::new("/usr/sbin/sshd");
                sshd.args(["-i", "-f", &config]).stdin(end(&stream)).stdout(end(&stream));
                let child = sshd.stderr(Stdio::null()).spawn().unwrap();
                thread::spawn(move || child.wait_with_output());
            }
        });
        Some(Self { folder, port })
    }

    /// The client, with a command that reaches the server.
    fn client(&self, reach: &str) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]);
        ssh.args(["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]);
        ssh.arg("-i").arg(self.folder.path().join("user"));
        ssh.arg("-o").arg(format!("ProxyCommand={reach}")).env_remove("WSBRIDGE_TOKEN");
        ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        ssh
    }
}

#[test]
fn ssh_goes_through_standard_input_and_output_and_outlives_twenty_cuts() {
    const TOTAL: usize = 4 << 20;
    let Some(server) = Sshd::start() else { return };
    let daemon =
        Daemon::open(&format!("  ssh1:\n    tcp: {{ address: '127.0.0.1:{}' }}\n", server.port));
    let cutter = Cutter::start(daemon.address(), cuts(TOTAL));
    let reach = format!(
        "{} connect http://{}/ssh1 --stdio",
        env!("CARGO_BIN_EXE_wsbridge"),
        cutter.address()
    );
    let user = Command::new("id").arg("-un").output().unwrap().stdout;
    let user = String::from_utf8(user).unwrap();
    let mut ssh =
        server.client(&reach).arg(format!("{}@device", user.trim())).arg("cat").spawn().unwrap();
    let bytes = noise(TOTAL);
    let (mut input, sent) = (ssh.stdin.take().unwrap(), bytes.clone());
    thread::spawn(move || input.write_all(&sent));
    let mut got = Vec::new();
    ssh.stdout.take().unwrap().read_to_end(&mut got).unwrap();
    let output = ssh.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(got == bytes, "{} of {} bytes: {said}", got.len(), bytes.len());
    assert!(cutter.cuts() >= 20, "{} cuts", cutter.cuts());
}

/// tinyproxy, at a port of its own; ended when dropped.
struct Tinyproxy {
    child: Child,
    folder: TempDir,
    port: u16,
}

impl Tinyproxy {
    fn start(more: &str) -> Option<Self> {
        if !works("tinyproxy", &["-v"]) {
            eprintln!("skipped: no tinyproxy");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        // It can be told a port, and cannot tell one.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = folder.path().join("tinyproxy.conf");
        let log = folder.path().join("log");
        let text = format!(
            "Port {port}\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 600\nLogFile \"{}\"\nLogLevel Connect\n{more}",
            log.display()
        );
        fs::write(&file, text).unwrap();
        let child = Command::new("tinyproxy").arg("-d").arg("-c").arg(&file).spawn().unwrap();
        until("tinyproxy listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        Some(Self { child, folder, port })
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Tinyproxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_real_proxy_carries_it_and_one_that_wants_a_password_gets_it_or_says_so() {
    let Some(proxy) = Tinyproxy::start("BasicAuth anna secret\n") else { return };
    let echo = crate::harness::Target::echo();
    let daemon = Daemon::open(&echo.endpoint("e"));
    // An address of this machine's own that is not `127.0.0.1` or `localhost`: to those no proxy is asked.
    let url = format!("http://[::ffff:127.0.0.1]:{}/e", daemon.address().port());
    let connect = |login: &str| {
        let proxy = format!("http://{login}127.0.0.1:{}", proxy.port);
        Technician::connect_with(&[&url, "--tcp", "127.0.0.1:0"], |command| {
            command.env("http_proxy", proxy);
        })
    };
    let (code, _, said) = connect("").ended();
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("it wants a password"), "{said}");
    let good = connect("anna:secret@");
    let stream = good.dial();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    echoed(&stream, &noise(1 << 20));
    assert!(proxy.log().contains("CONNECT [::ffff:127.0.0.1]:"), "{}", proxy.log());
}
