//! The real binary with a configuration of its own, its log, and an end when the test ends.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Instant,
};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use tempfile::TempDir;

use super::PATIENCE;

/// One plain listener on a free loopback port, where everybody may do everything; endpoints go
/// after it.
pub(crate) const OPEN: &str =
    "listen:\n  - address: \"127.0.0.1:0\"\n    tls: none\nauth: none\nendpoints:\n";

/// A running daemon; killed when dropped.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    folder: TempDir,
    log: Arc<Log>,
}

#[derive(Debug, Default)]
struct Log {
    /// Lines so far, and whether more may come.
    lines: Mutex<(Vec<String>, bool)>,
    grown: Condvar,
}

impl Daemon {
    /// Starts with a configuration file with this text and waits until it listens. `{dir}` in the
    /// text is a folder of the test's own.
    pub(crate) fn start(config: &str) -> Self {
        Self::start_with(config, |_| ())
    }

    /// Starts under [`OPEN`] with these endpoints, indented by two spaces.
    pub(crate) fn open(endpoints: &str) -> Self {
        Self::start(&format!("{OPEN}{endpoints}"))
    }

    /// [`Self::start`], after `adjust` has had the last word on the command: environment,
    /// arguments.
    pub(crate) fn start_with(config: &str, adjust: impl FnOnce(&mut Command)) -> Self {
        let daemon = Self::launch(config, adjust);
        daemon.wait_for(" ready: ");
        daemon
    }

    /// Starts a daemon that must not come up; returns its exit code and what it said.
    pub(crate) fn fails(config: &str) -> (i32, String) {
        let mut daemon = Self::launch(config, |_| ());
        let code = daemon.exit().code().expect("an exit code");
        (code, daemon.log())
    }

    fn launch(config: &str, adjust: impl FnOnce(&mut Command)) -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("wsbridge.yaml");
        fs::write(&file, config.replace("{dir}", &folder.path().to_string_lossy())).unwrap();
        // Figures are those of a release build.
        let binary =
            env::var_os("WSBRIDGE_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_wsbridge").into());
        let mut command = Command::new(binary);
        command.arg("serve").arg("--config").arg(&file);
        command
            .env("STATE_DIRECTORY", folder.path())
            .env("RUNTIME_DIRECTORY", folder.path())
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WSBRIDGE_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        adjust(&mut command);
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Log::default());
        log.follow(child.stderr.take().unwrap());
        Self { child, folder, log }
    }

    /// Every address it listens on, in the order of the configuration.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let lines = self.log.lines.lock().unwrap();
        let listening = lines
            .0
            .iter()
            .filter_map(|line| line.split_once(" listening on ")?.1.split(' ').next());
        listening.filter_map(|address| address.parse().ok()).collect()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses()[0]
    }

    /// The `ws://` address of an endpoint.
    pub(crate) fn url(&self, endpoint: &str) -> String {
        format!("ws://{}/ws/{endpoint}", self.address())
    }

    /// The test's own folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its configuration file.
    pub(crate) fn config(&self) -> PathBuf {
        self.folder().join("wsbridge.yaml")
    }

    /// Writes a new configuration, sends SIGHUP, and waits for the outcome: that line of the log.
    pub(crate) fn reload(&self, config: &str) -> String {
        let before = self.log.lines.lock().unwrap().0.len();
        fs::write(self.config(), config.replace("{dir}", &self.folder().to_string_lossy()))
            .unwrap();
        self.signal(Signal::HUP);
        self.log
            .wait(before, |line| line.contains("reloaded"))
            .unwrap_or_else(|log| panic!("no reload:\n{log}"))
    }

    /// Waits until the log has a line with this text, and returns it.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        self.log
            .wait(0, |line| line.contains(text))
            .unwrap_or_else(|log| panic!("no `{text}` in:\n{log}"))
    }

    /// Everything logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lines.lock().unwrap().0.join("\n")
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.exit()
    }

    /// Waits for the end; the log is complete then.
    pub(crate) fn exit(&mut self) -> ExitStatus {
        // The pipe closes with the process.
        self.log.end().unwrap_or_else(|log| panic!("still running:\n{log}"));
        self.child.wait().unwrap()
    }

    /// Its process number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in bytes, without the program text that a first use maps in.
    pub(crate) fn memory(&self) -> usize {
        self.status("RssAnon:")
    }

    /// The most memory it has ever had resident, in bytes.
    pub(crate) fn memory_peak(&self) -> usize {
        self.status("VmHWM:")
    }

    /// From here on it gets at most `more` bytes of address space in addition to what it has.
    pub(crate) fn limit_memory(&self, more: usize) {
        let limit = Some((self.status("VmSize:") + more) as u64);
        prlimit(Some(self.pid()), Resource::As, Rlimit { current: limit, maximum: limit }).unwrap();
    }

    /// A size from /proc/PID/status.
    fn status(&self, field: &str) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect(field);
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    /// Open descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- the daemon's log ---\n{}\n---", self.log());
        }
    }
}

impl Log {
    /// Reads until the process closes its end.
    fn follow(self: &Arc<Self>, stderr: ChildStderr) {
        let log = Arc::clone(self);
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                log.lines.lock().unwrap().0.push(line);
                log.grown.notify_all();
            }
            log.lines.lock().unwrap().1 = true;
            log.grown.notify_all();
        });
    }

    /// The first line from `start` on that fits; the whole log if none comes in time.
    fn wait(&self, start: usize, fits: impl Fn(&str) -> bool) -> Result<String, String> {
        let end = Instant::now() + PATIENCE;
        let mut lines = self.lines.lock().unwrap();
        loop {
            if let Some(line) = lines.0.iter().skip(start).find(|line| fits(line)) {
                return Ok(line.clone());
            }
            let left = end.saturating_duration_since(Instant::now());
            if lines.1 || left.is_zero() {
                return Err(lines.0.join("\n"));
            }
            lines = self.grown.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// Waits until no line can follow.
    fn end(&self) -> Result<(), String> {
        let (lines, late) = self
            .grown
            .wait_timeout_while(self.lines.lock().unwrap(), PATIENCE, |lines| !lines.1)
            .unwrap();
        if late.timed_out() { Err(lines.0.join("\n")) } else { Ok(()) }
    }
}
