//! The relays under test: each started with its own configuration on free ports of loopback, ended
//! when dropped.

use std::{
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    Outcome,
    client::Speech,
    fail,
    process::{Process, among_relays},
};

/// Time a relay has to listen; under an emulator of the processor it takes long.
const START: Duration = Duration::from_secs(60);

/// A relay that runs, and how it is spoken to.
#[derive(Clone, Debug)]
pub(crate) struct Relay {
    /// The table's column.
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    pub(crate) speech: Speech,
    /// Whose CPU time and memory count.
    pub(crate) processes: Vec<Process>,
}

impl Relay {
    /// No bridge at all: the client is connected to the device.
    pub(crate) fn none(port: u16) -> Self {
        Self { name: "no bridge", port, speech: Speech::Raw, processes: Vec::new() }
    }

    /// CPU time used so far, in nanoseconds.
    pub(crate) fn cpu(&self) -> u64 {
        self.processes.iter().map(|process| process.cpu()).sum()
    }

    /// Proportional set size in KiB.
    pub(crate) fn memory(&self) -> u64 {
        self.processes.iter().map(|process| process.memory()).sum()
    }
}

/// Processes that end with this value, and their files.
#[derive(Debug, Default)]
pub(crate) struct Started {
    children: Vec<Child>,
    folder: Option<tempfile::TempDir>,
}

impl Drop for Started {
    fn drop(&mut self) {
        for child in &mut self.children {
            // It may have ended by itself; then there is nothing to do.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Started {
    fn start(&mut self, command: &mut Command) -> Outcome<Process> {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = among_relays(|| quiet.spawn())??;
        let process = Process(child.id());
        self.children.push(child);
        Ok(process)
    }

    fn folder(&mut self) -> Outcome<PathBuf> {
        if self.folder.is_none() {
            self.folder = Some(tempfile::tempdir()?);
        }
        Ok(self.folder.as_ref().map(|folder| folder.path().to_owned()).unwrap_or_default())
    }

    /// Two that end together.
    pub(crate) fn with(mut self, mut other: Self) -> Self {
        self.children.append(&mut other.children);
        self.folder = self.folder.take().or(other.folder.take());
        self
    }

    /// The child started last ends by SIGTERM, as an operator ends it.
    pub(crate) fn stop(mut self) -> Outcome<()> {
        for child in &mut self.children {
            let id = rustix::process::Pid::from_child(child);
            rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
            child.wait()?;
        }
        Ok(())
    }
}

/// wsbridge, by ws and wss and by a raw door, to a device on a port and to serial lines.
#[derive(Debug)]
pub(crate) struct Bridge {
    pub(crate) ws: Relay,
    pub(crate) wss: Relay,
    pub(crate) door: Relay,
    pub(crate) started: Started,
}

impl Bridge {
    /// Starts it: `device` is the port of the TCP endpoint.
    pub(crate) fn start(program: &Path, device: u16) -> Outcome<Self> {
        Self::start_with(Command::new(program), device, (&[], "exclusive", ""))
    }

    /// The same with serial lines, `line0`, `line1` and so on, and how they are shared.
    pub(crate) fn serve(program: &Path, device: u16, lines: (&[PathBuf], &str)) -> Outcome<Self> {
        Self::with_lines(program, device, (lines.0, lines.1, ""))
    }

    /// The same with more keys for each of the lines.
    pub(crate) fn with_lines(
        program: &Path,
        device: u16,
        lines: (&[PathBuf], &str, &str),
    ) -> Outcome<Self> {
        Self::start_with(Command::new(program), device, lines)
    }

    /// The same, by a command that ends with the program, like valgrind's.
    pub(crate) fn start_with(
        mut command: Command,
        device: u16,
        (lines, share, keys): (&[PathBuf], &str, &str),
    ) -> Outcome<Self> {
        let mut started = Started::default();
        let folder = started.folder()?;
        let (plain, tls, door) = (free_port()?, free_port()?, free_port()?);
        let mut config = format!(
            "listen:\n  - {{ address: '127.0.0.1:{plain}', tls: none }}\n  \
             - {{ address: '127.0.0.1:{tls}', tls: self-signed }}\nauth: none\n\
             limits: {{ connections: 4096, per_address: 4096, unauthenticated: 4096 }}\n\
             state_directory: {folder}\nendpoints:\n  \
             device:\n    tcp: {{ address: '127.0.0.1:{device}' }}\n    limits: {{ sessions: 4096 }}\n    \
             doors: [ {{ tcp: '127.0.0.1:{door}', http: allow }} ]\n",
            folder = folder.display()
        );
        for (number, line) in lines.iter().enumerate() {
            write!(
                config,
                "  line{number}:\n    serial: {{ port: {}, baud: 3000000 }}\n    share: {share}\n    \
                 limits: {{ sessions: 4096 }}\n{keys}",
                line.display()
            )?;
        }
        let file = folder.join("wsbridge.yaml");
        fs::write(&file, config)?;
        let process = started.start(command.arg("serve").arg("--config").arg(&file))?;
        await_listener(plain)?;
        await_listener(tls)?;
        await_listener(door)?;
        let relay =
            |port, speech| Relay { name: "wsbridge", port, speech, processes: vec![process] };
        let (ws, wss) =
            (relay(plain, Speech::Ws("/ws/device")), relay(tls, Speech::Wss("/ws/device")));
        let door = relay(door, Speech::Raw);
        Ok(Self { ws, wss, door, started })
    }

    /// The same process, another endpoint or another column.
    pub(crate) fn relay(&self, name: &'static str, path: &'static str) -> Relay {
        Relay { name, speech: Speech::Ws(path), ..self.ws.clone() }
    }
}

/// What every relay but ours is: a command that listens on a port.
fn listening(
    name: &'static str,
    speech: Speech,
    command: impl FnOnce(u16) -> Command,
) -> Outcome<(Relay, Started)> {
    let mut started = Started::default();
    let port = free_port()?;
    let process = started.start(&mut command(port))?;
    await_listener(port)?;
    Ok((Relay { name, port, speech, processes: vec![process] }, started))
}

fn command(program: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(words);
    command
}

/// `socat` from TCP to `target`, with the 64 KiB buffers the targets name.
pub(crate) fn socat(program: &Path, target: &str) -> Outcome<(Relay, Started)> {
    listening("socat", Speech::Raw, |port| {
        let listen = format!("TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr");
        command(program, &["-b65536", &listen, target])
    })
}

/// `websockify` to a TCP port.
pub(crate) fn websockify(program: &Path, device: u16) -> Outcome<(Relay, Started)> {
    listening("websockify", Speech::Ws("/"), |port| {
        command(program, &[&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{device}")])
    })
}

/// `websocat` to a TCP port.
pub(crate) fn websocat(program: &Path, device: u16) -> Outcome<(Relay, Started)> {
    listening("websocat", Speech::Ws("/"), |port| {
        let (listen, target) =
            (format!("ws-l:127.0.0.1:{port}"), format!("tcp:127.0.0.1:{device}"));
        command(program, &["--binary", "--exit-on-eof", &listen, &target])
    })
}

/// `ser2net` to a serial line.
pub(crate) fn ser2net(program: &Path, line: &Path) -> Outcome<(Relay, Started)> {
    let mut files = Started::default();
    let file = files.folder()?.join("ser2net.yaml");
    let (relay, mut started) = listening("ser2net", Speech::Raw, |port| {
        let config = format!(
            "connection: &line\n  accepter: tcp,127.0.0.1,{port}\n  connector: serialdev,{},3000000n81,local\n",
            line.display()
        );
        // A file that cannot be written shows as a ser2net that does not listen.
        let _ = fs::write(&file, config);
        let mut command = command(program, &["-n", "-c"]);
        command.arg(&file);
        command
    })?;
    started.folder = files.folder.take();
    Ok((relay, started))
}

/// Where a program is, if it is installed.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// A port that nobody listens on.
fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Waits until somebody listens on a port, without connecting: a relay would take that for a
/// client.
fn await_listener(port: u16) -> Outcome<()> {
    let entry = format!("0100007F:{port:04X} 00000000:0000 0A");
    let begun = Instant::now();
    while begun.elapsed() < START {
        if fs::read_to_string("/proc/net/tcp")?.contains(&entry) {
            return Ok(());
        }
        sleep(Duration::from_millis(5));
    }
    fail(format!("nobody listens on port {port} after {} s", START.as_secs()))
}
