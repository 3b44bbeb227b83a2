//! Networks that fail and networks that are slow, in a network namespace of the test's own: a
//! pulled cable, half a second of delay, an address that comes later.

use std::process::Command;

use tempfile::TempDir;

use crate::peers::works;

/// Runs a case of network.py in a namespace; says why not if there is none.
fn run(case: &str, needs: &[&str]) {
    let namespace = ["--map-root-user", "--net"];
    if !works("unshare", &[namespace.as_slice(), &["ip", "link", "set", "lo", "up"]].concat())
        || !works("unshare", &[namespace.as_slice(), needs].concat())
    {
        eprintln!("skipped: `unshare --net {}` does not work here", needs.join(" "));
        return;
    }
    let folder = TempDir::new().unwrap();
    let output = Command::new("unshare")
        .args(namespace)
        .args(["python3", "tests/it/network.py", env!("CARGO_BIN_EXE_wsbridge")])
        .arg(folder.path())
        .arg(case)
        .env_remove("NOTIFY_SOCKET")
        .output()
        .unwrap();
    let told =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{}\n{}", told[0], told[1]);
    eprintln!("{}", told[0]);
}

#[test]
fn a_device_whose_cable_is_pulled_under_data_is_noticed_in_the_time() {
    run("cable", &["nft", "add", "table", "inet", "cable"]);
}

#[test]
fn a_device_that_connects_to_us_has_its_place_again_after_a_nat_drop() {
    run("nat", &["nft", "add", "table", "inet", "nat"]);
}

#[test]
fn a_write_after_a_long_silence_through_half_a_second_of_delay_is_not_cut() {
    run("delay", &["ip", "tuntap", "add", "tun0", "mode", "tun"]);
}

#[test]
fn an_address_that_comes_later_is_listened_on_then_while_the_others_serve() {
    run("address", &["ip", "address", "add", "192.0.2.9/32", "dev", "lo"]);
}

#[test]
fn a_script_two_seconds_away_loses_its_line_to_no_other_of_its_own() {
    run("ghosts", &["ip", "tuntap", "add", "tun0", "mode", "tun"]);
}
