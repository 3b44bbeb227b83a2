//! Clients that nobody here wrote, against the demo: Python's `websockets` and the WebSocket of
//! Node.js.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

/// The demo on a free port; it ends with the test.
struct Demo(Child, String);

impl Demo {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_wsbridge"))
            .args(["demo", "--listen", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        said.find(|line| line.contains("/ws/modem")).expect("the demo's addresses");
        std::thread::spawn(move || said.for_each(drop));
        Self(child, port.to_string())
    }

    /// What an example says, run against this demo instead of the one in its text.
    fn run(&self, program: &mut Command, example: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(example)).unwrap();
        assert!(text.contains("127.0.0.1:8080"));
        let file = folder.path().join(Path::new(example).file_name().unwrap());
        fs::write(&file, text.replace("127.0.0.1:8080", &self.1)).unwrap();
        let output = program.arg(file).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether a program exists and can do that.
pub(crate) fn works(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn talked(said: &str) {
    assert!(said.contains("modem:") && said.contains("OK") && said.contains("plc: up "), "{said}");
}

#[test]
fn python_websockets_talks_to_the_demos_modem_and_plc() {
    if !works("python3", &["-c", "import websockets.sync.client"]) {
        eprintln!("skipped: python3 with `websockets` is missing (pip install websockets)");
        return;
    }
    talked(&Demo::start().run(&mut Command::new("python3"), "docs/examples/modem.py"));
}

#[test]
fn the_websocket_of_node_talks_to_the_demos_modem_and_plc() {
    let has = |args: &[&str]| {
        works(
            "node",
            &[args, &["-e", "process.exit(typeof WebSocket == 'function' ? 0 : 1)"]].concat(),
        )
    };
    let mut node = Command::new("node");
    if !has(&[]) {
        if !has(&["--experimental-websocket"]) {
            eprintln!("skipped: node 20 or newer is missing");
            return;
        }
        node.arg("--experimental-websocket");
    }
    talked(&Demo::start().run(&mut node, "docs/examples/modem.js"));
}
