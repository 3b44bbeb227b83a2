//! What is done with a line that has lost its writer (docs/dead-man.md): once, in order, for each
//! way of losing it, and for none of the ways of leaving it.

mod lines;

use std::{fs, net::TcpStream, os::unix::fs::symlink, time::Duration};

use rustix::process::Signal;
use serde_json::{Value, json};
use socket2::SockRef;

use crate::{
    harness::{
        Daemon, Pty, Target, Wire,
        access::tokens,
        client::{connect_with, status},
        cutter::Cutter,
        until,
    },
    rfc2217::Peer,
    signing::ask,
};

const ALL: &str = "read, write, signals, settings, takeover";

/// What the device gets.
const SAFE: &[u8] = b"\x1bSAFE";

const SEND: &str = "{ send: \"\\x1bSAFE\" }";

/// What is logged of it.
const TOLD: &str = "writer lost";

fn users(of: &[(&str, &str)], resume: u64) -> String {
    format!("resume: {resume}s\n{}", tokens(of))
}

fn line(port: &str, steps: &str) -> String {
    format!("  e:\n    serial: {{ port: {port} }}\n    on_writer_lost: [ {steps} ]\n")
}

/// A gateway with one line `e` for anna and bob, that may be resumed for a minute.
struct Lab {
    daemon: Daemon,
    pty: Pty,
}

impl Lab {
    fn new(steps: &str) -> Self {
        Self::with(steps, 60)
    }

    fn with(steps: &str, resume: u64) -> Self {
        let pty = Pty::new();
        let users = users(&[("anna", ALL), ("bob", ALL)], resume);
        let port = pty.path().display().to_string();
        let daemon = Daemon::start(&format!("{users}{}", line(&port, steps)));
        daemon.wait_for("device open");
        Self { daemon, pty }
    }

    async fn enter(&self, who: &str) -> Wire {
        let (wire, opened) =
            Wire::open_as(&self.daemon, "e", &format!("wsb_{who}"), json!({"role": "auto"})).await;
        assert_eq!(opened["type"], "opened", "{opened}");
        wire
    }

    /// Anna writes, and has more in the queue that waits.
    async fn busy(&mut self) -> Wire {
        let mut anna = self.enter("anna").await;
        anna.send(b"before ").await;
        anna.say(json!({"type": "signals", "id": 1, "steps": [{"ms": 9000}]})).await;
        anna.send(b"behind").await;
        anna.ask("ping", json!({})).await;
        assert_eq!(self.pty.receive(7), b"before ");
        anna
    }

    /// The steps were done, for this reason, with nothing of what waited before them.
    fn acted(&mut self, why: &str) {
        let told = self.daemon.wait_for(TOLD);
        assert!(told.contains(&format!("why={why} ")), "{told}");
        assert!(told.contains("done=1 of=1") && !told.contains("undone"), "{told}");
        assert_eq!(self.pty.receive(SAFE.len()), SAFE, "{why}");
    }

    /// They were done so often until now, and nothing else came to the device.
    async fn count(&mut self, times: usize) {
        // Whatever was to happen has happened when somebody else has written.
        let mut bob = self.enter("bob").await;
        bob.ask("lease", json!({"op": "take"})).await;
        bob.send(b"bob").await;
        assert_eq!(self.pty.receive(3), b"bob");
        bob.ask("close", json!({"drain": true})).await;
        let log = self.daemon.log();
        assert_eq!(log.matches(TOLD).count(), times, "{log}");
        assert!(!self.pty.has_input());
    }
}

fn post(daemon: &Daemon, path: &str) -> u16 {
    let head = "Authorization: Bearer wsb_bob\r\nContent-Type: application/json\r\n";
    status(&ask(daemon.address(), "POST", path, head, "{}"))
}

fn kick(daemon: &Daemon) {
    let bob = "Authorization: Bearer wsb_bob\r\n";
    let answer = ask(daemon.address(), "GET", "/api/sessions", bob, "");
    let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let id = &body["sessions"][0]["id"];
    assert_eq!(post(daemon, &format!("/api/sessions/{id}/end")), 204, "{answer}");
}

fn reload(lab: &Lab, of: &[(&str, &str)]) {
    let port = lab.pty.path().display().to_string();
    lab.daemon.reload(&format!("{}{}", users(of, 60), line(&port, SEND)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn whose_access_is_ended_by_the_gateway_is_lost() {
    for (why, code) in [("disconnected", 4412), ("not_authenticated", 4401), ("withdrawn", 4403)] {
        let mut lab = Lab::new(SEND);
        let mut anna = lab.busy().await;
        match code {
            4412 => kick(&lab.daemon),
            4401 => reload(&lab, &[("bob", ALL)]),
            _ => reload(&lab, &[("anna", "read"), ("bob", ALL)]),
        }
        lab.acted(why);
        assert_eq!(anna.closed().await.0, code);
        lab.count(1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_close_without_the_word_for_it_is_a_loss_while_bytes_are_under_way() {
    let mut lab = Lab::new(SEND);
    let mut anna = lab.busy().await;
    anna.close(1000).await;
    lab.acted("client_closed");
    // Nothing is under way any more.
    let mut anna = lab.enter("anna").await;
    anna.send(b"done").await;
    anna.ask("drain", json!({})).await;
    assert_eq!(lab.pty.receive(4), b"done");
    anna.close(1000).await;
    anna.closed().await;
    lab.count(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_leaves_a_line_or_is_followed_by_another_is_not_lost() {
    let mut lab = Lab::new(&format!("{{ after: 0s }}, {SEND}"));
    let mut anna = lab.enter("anna").await;
    anna.ask("close", json!({})).await;
    drop(anna);
    let mut anna = lab.enter("anna").await;
    anna.send(b"1").await;
    anna.ask("lease", json!({"op": "release"})).await;
    drop(anna);
    let mut anna = lab.enter("anna").await;
    let mut bob = lab.enter("bob").await;
    bob.ask("lease", json!({"op": "take"})).await;
    drop(anna);
    let mut anna2 = lab.enter("anna").await;
    anna2.ask("lease", json!({"op": "request"})).await;
    bob.until(|told| told["reason"] == "requested").await;
    bob.ask("lease", json!({"op": "grant"})).await;
    drop(bob);
    anna2.ask("close", json!({})).await;
    anna = lab.enter("anna").await;
    anna.ask("lease", json!({"op": "release"})).await;
    // Somebody who only reads is nobody's writer.
    drop(anna);
    assert_eq!(lab.pty.receive(1), b"1");
    lab.count(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_lost_connection_is_waited_for_as_long_as_the_list_says() {
    // At once, although the session can be resumed; it goes on as an observer.
    let mut lab = Lab::new(&format!("{{ after: 0s }}, {SEND}"));
    let (mut anna, opened) = Wire::open_as(&lab.daemon, "e", "wsb_anna", json!({})).await;
    anna.ask("ping", json!({})).await;
    drop(anna);
    lab.acted("client_lost");
    let resume = json!({"session": opened["session"], "epoch": opened["epoch"], "rx": 0});
    let bearer = [("authorization", "Bearer wsb_anna")];
    let mut anna = Wire::try_connect(&lab.daemon, "e", &bearer).await.unwrap();
    let resumed = anna.ask("resume", resume.clone()).await;
    assert_eq!((&resumed["type"], &resumed["role"]), (&json!("resumed"), &json!("observer")));
    anna.ask("close", json!({})).await;
    lab.count(1).await;

    // In the time of `after`, and after it.
    let mut lab = Lab::new(&format!("{{ after: 1s }}, {SEND}"));
    let (anna, opened) = Wire::open_as(&lab.daemon, "e", "wsb_anna", json!({})).await;
    drop(anna);
    lab.daemon.wait_for("session closed");
    let resume = json!({"session": opened["session"], "epoch": opened["epoch"], "rx": 0});
    let mut anna = Wire::try_connect(&lab.daemon, "e", &bearer).await.unwrap();
    let resumed = anna.ask("resume", resume).await;
    assert_eq!(resumed["role"], "writer", "{resumed}");
    assert!(!lab.daemon.log().contains(TOLD));
    drop(anna);
    lab.acted("client_lost");
    lab.count(1).await;

    // Without it: until the session is gone. What it had sent before is sent.
    let mut lab = Lab::with(SEND, 1);
    let mut anna = lab.enter("anna").await;
    anna.send(b"last").await;
    anna.ask("ping", json!({})).await;
    drop(anna);
    assert_eq!(lab.pty.receive(4), b"last");
    lab.acted("client_lost");
    lab.count(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_writes_next_within_the_time_takes_the_lost_ones_place() {
    // Longer than the session can be resumed.
    let mut lab = Lab::with(&format!("{{ after: 1h }}, {SEND}"), 1);
    drop(lab.enter("anna").await);
    lab.daemon.wait_for("session closed");
    // The parked session has gone.
    let mut bob = lab.enter("bob").await;
    let news = |told: &Value| told["type"] == "lease" && told["reason"] == "released";
    if !bob.passed.iter().any(news) {
        bob.until(news).await;
    }
    bob.ask("lease", json!({"op": "request"})).await;
    let told = lab.daemon.wait_for(TOLD);
    assert!(told.contains("done=0 of=1 undone=\"another session writes by now\""), "{told}");
    bob.ask("close", json!({})).await;
    lab.count(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stop_does_it_within_its_time() {
    for parked in [false, true] {
        let mut lab = Lab::new(&format!("{{ after: 1h }}, {SEND}"));
        let anna = lab.busy().await;
        if parked {
            drop(anna);
            lab.daemon.wait_for("session closed");
            lab.daemon.stop();
        } else {
            let mut anna = anna;
            lab.daemon.signal(Signal::TERM);
            assert_eq!(anna.closed().await.0, 1001);
            drop(anna);
            lab.daemon.exit();
        }
        lab.acted("stopping");
        assert!(!lab.pty.has_input());
        let log = lab.daemon.log();
        assert!(log.contains("stopped") && !log.contains("without waiting"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn plain_clients_and_doors_are_lost_with_their_connections() {
    let pty = Pty::new();
    let port = pty.path().display().to_string();
    let rest = "    doors: [ { tcp: \"127.0.0.1:0\", as: anna } ]\n";
    let users = users(&[("anna", ALL), ("bob", ALL)], 60);
    let daemon = Daemon::start(&format!("{users}{}{rest}", line(&port, SEND)));
    daemon.wait_for("device open");
    let mut lab = Lab { daemon, pty };
    let bearer = [("authorization", "Bearer wsb_anna")];

    // A network that breaks.
    let cutter = Cutter::start(lab.daemon.address(), vec![]);
    let mut plain = connect_with(&cutter.url("e"), &bearer).await.unwrap();
    futures_util::SinkExt::send(&mut plain, b"plain".to_vec().into()).await.unwrap();
    assert_eq!(lab.pty.receive(5), b"plain");
    cutter.cut();
    lab.acted("client_lost");

    let mut plain = connect_with(&lab.daemon.url("e"), &bearer).await.unwrap();
    futures_util::SinkExt::send(&mut plain, b"plain".to_vec().into()).await.unwrap();
    plain.close(None).await.unwrap();
    drop(plain);
    lab.daemon.wait_for("closed by the client");
    assert_eq!(lab.pty.receive(5), b"plain");

    let told = lab.daemon.wait_for("door open on ");
    let (_, at) = told.split_once("door open on ").unwrap();
    let at = at.split(' ').next().unwrap().to_owned();
    let door = || TcpStream::connect(&at).unwrap();
    // A tool that has ended its side has left.
    let mut tool = door();
    std::io::Write::write_all(&mut tool, b"tool").unwrap();
    assert_eq!(lab.pty.receive(4), b"tool");
    drop(tool);
    lab.count(1).await;
    let mut tool = door();
    std::io::Write::write_all(&mut tool, b"tool").unwrap();
    assert_eq!(lab.pty.receive(4), b"tool");
    SockRef::from(&tool).set_linger(Some(Duration::ZERO)).unwrap();
    drop(tool);
    assert_eq!(lab.pty.receive(SAFE.len()), SAFE);
    until("the second", || (lab.daemon.log().matches(TOLD).count() == 2).then_some(()));
    lab.count(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_device_that_has_gone_gets_it_at_its_return_if_that_is_said() {
    for on_return in [false, true] {
        let folder = tempfile::TempDir::new().unwrap();
        let port = folder.path().join("port");
        let pty = Pty::new();
        symlink(pty.path(), &port).unwrap();
        let users = users(&[("anna", ALL), ("bob", ALL)], 60);
        let steps = format!("{{ after: 0s, on_return: {on_return} }}, {SEND}");
        let lines = line(&port.display().to_string(), &steps);
        let daemon = Daemon::start(&format!("{users}{lines}"));
        daemon.wait_for("device open");
        let lab = Lab { daemon, pty };
        let mut anna = lab.enter("anna").await;
        let Lab { daemon, pty } = lab;
        drop(pty);
        // A session that waits for its device keeps the lease.
        anna.until(|told| told["type"] == "status" && told["state"] == "down").await;
        assert!(!daemon.log().contains(TOLD));
        drop(anna);
        if !on_return {
            let told = daemon.wait_for(TOLD);
            assert!(told.contains("done=0 of=1 undone=\"the device is gone\""), "{told}");
            continue;
        }
        daemon.wait_for("session closed");
        let pty = Pty::new();
        fs::remove_file(&port).unwrap();
        symlink(pty.path(), &port).unwrap();
        let mut lab = Lab { daemon, pty };
        lab.acted("client_lost");
        lab.daemon.wait_for("device is back");
        lab.count(1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_steps_are_done_in_their_order_and_what_a_port_lacks_is_told() {
    // A pty has no modem lines.
    let steps = "{ send: a }, { signals: { dtr: false } }, { wait: 20ms }, { send: b }, { restore: settings }";
    let mut lab = Lab::new(&format!("{{ after: 0s }}, {steps}"));
    drop(lab.enter("anna").await);
    assert_eq!(lab.pty.receive(2), b"ab");
    let told = lab.daemon.wait_for(TOLD);
    assert!(told.contains("done=4 of=5 undone=\"signals: "), "{told}");

    let Some(peer) = Peer::start() else { return };
    let steps =
        "{ send: a }, { break: 20ms }, { signals: { dtr: false, rts: false } }, { send: b }";
    let users = users(&[("anna", ALL)], 60);
    let daemon = Daemon::start(&format!(
        "{users}  e:\n    rfc2217: {{ address: \"127.0.0.1:{}\" }}\n    on_writer_lost: [ {{ after: 0s }}, {steps} ]\n",
        peer.port
    ));
    daemon.wait_for("device open");
    let (anna, _) = Wire::open_as(&daemon, "e", "wsb_anna", json!({})).await;
    drop(anna);
    let told = daemon.wait_for(TOLD);
    assert!(told.contains("done=4 of=4"), "{told}");
    let mut heard = Vec::new();
    let want = ["set break_condition 1", "set break_condition 0", "set dtr 0", "set rts 0"];
    until("the signals", || {
        heard.extend(peer.says.try_iter());
        let mut heard = heard.iter();
        want.iter().all(|want| heard.any(|line| line == want)).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_line_that_everyone_writes_on_loses_its_writer_with_the_last_of_them() {
    let pty = Pty::new();
    let users = users(&[("anna", ALL), ("bob", ALL)], 60);
    let port = pty.path().display().to_string();
    let lines = line(&port, &format!("{{ after: 0s }}, {SEND}"));
    let daemon = Daemon::start(&format!("{users}{lines}    share: everyone\n"));
    daemon.wait_for("device open");
    let mut lab = Lab { daemon, pty };
    let (anna, mut bob) = (lab.enter("anna").await, lab.enter("bob").await);
    drop(anna);
    lab.daemon.wait_for("session closed");
    bob.ask("ping", json!({})).await;
    assert!(!lab.daemon.log().contains(TOLD));
    drop(bob);
    lab.acted("client_lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_shared_connection_is_left_in_order_too_and_the_record_has_it() {
    let target = Target::sink();
    let folder = tempfile::TempDir::new().unwrap();
    let users = users(&[("anna", ALL)], 60);
    let audit = folder.path().join("audit");
    let endpoint = target.endpoint("e");
    let mut daemon = Daemon::start(&format!(
        "audit: {{ directory: {} }}\n{users}{endpoint}    share: one-writer\n    on_writer_lost: [ {{ after: 0s }}, {SEND} ]\n",
        audit.display()
    ));
    let (mut anna, opened) = Wire::open_as(&daemon, "e", "wsb_anna", json!({})).await;
    assert_eq!(opened["type"], "opened", "{opened}");
    anna.send(b"sent").await;
    anna.ask("drain", json!({})).await;
    drop(anna);
    let told = daemon.wait_for(TOLD);
    assert!(told.contains("done=1 of=1"), "{told}");
    daemon.stop();
    let record: String = fs::read_dir(&audit)
        .unwrap()
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap_or_default())
        .collect();
    let line = record.lines().find(|line| line.contains("\"dead_man\"")).expect("a line");
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["detail"], json!({"why": "client_lost", "done": 1, "of": 1}));
    assert_eq!((&line["who"], &line["ep"]), (&json!("token:anna"), &json!("e")));
}
