//! A test that runs once more in a network namespace of its own, where it may give itself
//! addresses.

use std::{env, process::Command};

/// Set where the test runs inside.
const INSIDE: &str = "WSBRIDGE_TEST_INSIDE";

/// Whether the test named so (`module::function`) is inside and goes on. Outside it is run again
/// inside, behind the shell commands of `setup`, and fails here when it fails there; where
/// namespaces are not to be had it is skipped.
pub(crate) fn inside(test: &str, setup: &str) -> bool {
    if env::var_os(INSIDE).is_some() {
        return true;
    }
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--net", "sh", "-e", "-c", script, "sh"]);
        command
    };
    let setup = format!("ip link set lo up; {setup}");
    if !unshare(&setup).output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: network namespaces and iproute2 are not to be had here");
        return false;
    }
    let output = unshare(&format!("{setup}\nexec \"$@\""))
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let told =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success() && told[0].contains("1 passed"), "{}\n{}", told[0], told[1]);
    false
}
