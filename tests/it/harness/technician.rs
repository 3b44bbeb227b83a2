//! `wsbridge connect`, as its user runs it.

use std::{
    io::{BufRead, BufReader, Read},
    net::{SocketAddr, TcpStream},
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{PATIENCE, until};

/// The command, running; killed when dropped.
#[derive(Debug)]
pub(crate) struct Technician {
    child: Child,
    said: Arc<Mutex<String>>,
    _home: TempDir,
}

impl Technician {
    /// Runs `wsbridge connect` with these arguments, in a home of its own, without a token.
    pub(crate) fn connect(args: &[&str]) -> Self {
        Self::connect_with(args, |_| ())
    }

    /// The same, after `adjust` has had the last word on the command.
    pub(crate) fn connect_with(args: &[&str], adjust: impl FnOnce(&mut Command)) -> Self {
        let home = TempDir::new().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_wsbridge"));
        command.arg("connect").args(args).env("XDG_CONFIG_HOME", home.path());
        for name in ["WSBRIDGE_TOKEN", "https_proxy", "http_proxy", "all_proxy", "HTTPS_PROXY"] {
            command.env_remove(name);
        }
        Self::run(command, home, adjust)
    }

    /// Runs a command, which has a home.
    pub(crate) fn run(
        mut command: Command,
        home: TempDir,
        adjust: impl FnOnce(&mut Command),
    ) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        adjust(&mut command);
        let mut child = command.spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (heard, stderr) = (Arc::clone(&said), child.stderr.take());
        thread::spawn(move || {
            // None where the test has given it a terminal.
            let Some(stderr) = stderr else { return };
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                *heard.lock().unwrap() += &(line + "\n");
            }
        });
        Self { child, said, _home: home }
    }

    /// Waits until it has said this, and returns the line.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        until(text, || self.said().lines().find(|line| line.contains(text)).map(str::to_owned))
    }

    /// Everything it has said on standard error.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        let line = self.wait_for(" is at ");
        line.rsplit_once(" is at ").unwrap().1.parse().unwrap()
    }

    /// Where it has put this line of a file.
    pub(crate) fn address_of(&self, line: &str) -> SocketAddr {
        let said = self.wait_for(&format!("wsbridge: {line} of "));
        said.rsplit_once(" is at ").unwrap().1.parse().unwrap()
    }

    /// A program connects.
    pub(crate) fn dial(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Its standard input and output.
    pub(crate) fn pipes(&mut self) -> (ChildStdin, ChildStdout) {
        (self.child.stdin.take().unwrap(), self.child.stdout.take().unwrap())
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end and returns how it went.
    pub(crate) fn exit(&mut self) -> ExitStatus {
        until("the end of connect", || self.child.try_wait().unwrap())
    }

    /// Waits for the end: its exit code, what it printed, and what it said.
    pub(crate) fn ended(mut self) -> (Option<i32>, String, String) {
        let mut printed = String::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            stdout.read_to_string(&mut printed).unwrap();
        }
        let code = self.exit().code();
        // The thread that reads what was said ends with the pipe.
        until("the last words", || (Arc::strong_count(&self.said) == 1).then_some(()));
        (code, printed, self.said())
    }
}

impl Drop for Technician {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- connect said ---\n{}\n---", self.said());
        }
    }
}
