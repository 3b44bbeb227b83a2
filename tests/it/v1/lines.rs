//! Settings, signals and macros.

use std::time::{Duration, Instant};

use rustix::termios::{ControlModes, tcgetattr};
use serde_json::{Value, json};

use super::{code, on_pty, serial};
use crate::harness::{Daemon, Pty, Wire};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn settings_are_set_read_back_told_to_all_and_undone_when_the_last_has_left() {
    let (daemon, pty) = on_pty();
    let modes = || tcgetattr(pty.device()).unwrap();
    let (mut wire, _) = Wire::opened(&daemon, "e", json!({})).await;
    let (mut other, _) = Wire::opened(&daemon, "e", json!({"role": "observer"})).await;
    let change = json!({"baud": 115_200, "stop": 2, "flow": "hardware"});
    assert_eq!(wire.ask("config", change).await["type"], "ok");
    let set = modes();
    assert_eq!(set.output_speed(), 115_200);
    let all = ControlModes::CSTOPB | ControlModes::CRTSCTS;
    assert!(set.control_modes.contains(all), "{:?}", set.control_modes);
    let told = other.told("config").await;
    assert_eq!(
        (&told["baud"], &told["stop"], &told["data"]),
        (&json!(115_200), &json!(2), &json!(8))
    );
    assert!(told["by"].is_string());
    let got = wire.ask("get", json!({})).await;
    assert_eq!(
        got["config"],
        json!({"baud": 115_200, "data": 8, "parity": "none", "stop": 2, "flow": "hardware"})
    );
    assert_eq!(code(&wire.ask("config", json!({"stop": 1.5})).await), "bad_config");
    assert_eq!(code(&wire.ask("config", json!({"baud": 0})).await), "bad_config");
    assert_eq!(wire.ask("get", json!({})).await["config"]["stop"], 2);
    for wire in [&mut wire, &mut other] {
        wire.ask("close", json!({})).await;
    }
    daemon.wait_for("settings as configured");
    assert_eq!(modes().output_speed(), 9600);
    let (_, opened) = Wire::opened(&daemon, "e", json!({})).await;
    assert_eq!(opened["config"]["baud"], 9600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_pty_takes_a_frame_that_its_driver_does_not_have_and_says_what_was_set() {
    let mut pty = Pty::new();
    let path = pty.path().display();
    let daemon =
        Daemon::open(&format!("  e:\n    serial: {{ port: {path}, baud: 300, format: 7E1 }}\n"));
    daemon.wait_for("device open");
    let (mut wire, opened) = Wire::opened(&daemon, "e", json!({})).await;
    let meter = json!({"baud": 300, "data": 7, "parity": "even", "stop": 1, "flow": "none"});
    assert_eq!(opened["config"], meter);
    assert_eq!(wire.ask("config", json!({"baud": 9600, "when": "drain"})).await["type"], "ok");
    assert_eq!(wire.ask("get", json!({})).await["config"]["parity"], "even");
    wire.send(b"/?!\r\n").await;
    assert_eq!(pty.receive(5), b"/?!\r\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_change_of_settings_waits_for_the_data_before_it_unless_it_passes_the_queue() {
    let (daemon, mut pty) = on_pty();
    let (mut wire, _) = Wire::opened(&daemon, "e", json!({})).await;
    wire.send(&vec![1; 50_000]).await;
    wire.say(json!({"type": "config", "id": 1, "baud": 300})).await;
    assert_eq!(wire.ask("config", json!({"baud": 1200, "now": true})).await["type"], "ok");
    assert!(wire.passed.iter().all(|told| told["re"] != 1), "{:?}", wire.passed);
    pty.receive(50_000);
    assert_eq!(wire.until(|told| told["re"] == 1).await["type"], "ok");
    assert_eq!(wire.ask("get", json!({})).await["config"]["baud"], 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn signals_a_port_does_not_have_are_unsupported_and_too_many_steps_over_the_limit() {
    let (daemon, _pty) = on_pty();
    let (mut wire, _) = Wire::opened(&daemon, "e", json!({})).await;
    let hello = wire.passed.iter().find(|told| told["type"] == "hello").unwrap();
    let caps: Vec<&Value> = hello["endpoint"]["caps"].as_array().unwrap().iter().collect();
    assert!(!caps.contains(&&json!("dtr")) && !caps.contains(&&json!("cts")), "{caps:?}");
    for change in [json!({"dtr": true}), json!({"rts": false}), json!({"break": true})] {
        assert_eq!(code(&wire.ask("signals", change.clone()).await), "unsupported", "{change}");
    }
    let steps = |steps: Value| json!({ "steps": steps });
    let many = vec![json!({"ms": 1}); 33];
    assert_eq!(code(&wire.ask("signals", steps(json!(many))).await), "limit");
    assert_eq!(
        code(&wire.ask("signals", steps(json!([{"ms": 6000}, {"ms": 6000}]))).await),
        "limit"
    );
    assert_eq!(code(&wire.ask("signals", steps(json!([{"ms": -1}]))).await), "bad_message");
    let (_, refused) =
        Wire::opened(&daemon, "e", json!({"take": true, "signals": {"dtr": true}})).await;
    assert_eq!(code(&refused), "unsupported");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn steps_keep_the_distance_the_clients_clock_had_them_apart() {
    let (daemon, _pty) = on_pty();
    let (mut wire, _) = Wire::opened(&daemon, "e", json!({})).await;
    let began = Instant::now();
    wire.say(
        json!({"type": "signals", "steps": [{"ms": 0, "at": 1000.0}, {"ms": 0, "at": 1100.5}]}),
    )
    .await;
    // Steps more than a second apart are not a sequence.
    let answer = wire
        .ask("signals", json!({"steps": [{"ms": 0, "at": 1200.5}, {"ms": 0, "at": 90_000}]}))
        .await;
    assert_eq!(answer["type"], "ok", "{answer}");
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(8), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_macro_runs_by_its_name() {
    let pty = Pty::new();
    let path = pty.path().display();
    let macros = "{ pause: [ { wait_ms: 60 }, { wait_ms: 60 } ], reset: [ { dtr: true } ] }";
    let daemon = Daemon::open(&format!("  e:\n    serial: {{ port: {path}, macros: {macros} }}\n"));
    daemon.wait_for("device open");
    let (mut wire, _) = Wire::opened(&daemon, "e", json!({})).await;
    let began = Instant::now();
    assert_eq!(wire.ask("macro", json!({"name": "pause"})).await["type"], "ok");
    assert!(began.elapsed() >= Duration::from_millis(120));
    assert_eq!(code(&wire.ask("macro", json!({"name": "reset"})).await), "unsupported");
    assert_eq!(code(&wire.ask("macro", json!({"name": "dance"})).await), "unsupported");
    assert_eq!(code(&wire.ask("macro", json!({})).await), "bad_message");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_device_that_is_not_there_is_line_down_for_writers_and_awaited_by_observers() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("tty");
    let daemon = Daemon::open(&format!("  e:\n    serial: {{ port: {} }}\n", link.display()));
    daemon.wait_for("device not there");
    let (_, refused) = Wire::opened(&daemon, "e", json!({"role": "writer"})).await;
    assert_eq!(code(&refused), "line_down");
    let (mut wire, opened) = Wire::opened(&daemon, "e", json!({"role": "observer"})).await;
    assert_eq!(opened["role"], "observer");
    let mut pty = Pty::new();
    std::os::unix::fs::symlink(pty.path(), &link).unwrap();
    wire.until(|told| told["type"] == "status" && told["state"] == "up").await;
    pty.send(b"hello");
    assert_eq!(wire.receive(5).await, b"hello");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_a_device_can_do_is_told_when_it_is_open_and_how_it_is_with_each_session() {
    let pty = Pty::new();
    let daemon = Daemon::open(&serial(&pty, "    open: on-demand\n"));
    let mut bus = Wire::connect(&daemon, "").await;
    let mut wire = Wire::connect(&daemon, "e").await;
    for hello in [&bus.told("hello").await["endpoints"][0], &wire.told("hello").await["endpoint"]] {
        assert_eq!(
            (&hello["state"], &hello["caps"]),
            (&json!("closed"), &json!(["times", "take"]))
        );
    }
    let opened = wire.open(json!({})).await;
    assert_eq!(opened["type"], "opened", "{opened}");
    let status = wire.told("status").await;
    assert_eq!(
        (&status["state"], &status["caps"]),
        (&json!("up"), &json!(["config", "times", "take"]))
    );
    let status = bus.until(|told| told["type"] == "status" && told["state"] == "up").await;
    assert_eq!(status["caps"], json!(["config", "times", "take"]));

    // What a client knew about the device may be out of date when it resumes.
    let ask = json!({"session": opened["session"], "epoch": opened["epoch"], "rx": opened["rx"]});
    drop(wire);
    let mut again = Wire::connect(&daemon, "e").await;
    assert_eq!(again.ask("resume", ask).await["type"], "resumed");
    assert_eq!(again.told("status").await["state"], "up");
}
