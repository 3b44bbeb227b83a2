//! A test that runs once more in namespaces of its own: in a network where it may give itself
//! addresses, or without what a packaged unit hides.

use std::{env, process::Command};

/// Set where the test runs inside.
const INSIDE: &str = "WSBRIDGE_TEST_INSIDE";

/// Whether the test with this name (`module::function`) is inside and should continue. Outside, it
/// is run again inside, after the shell commands of `setup`, and fails here if it fails there; if
/// no namespaces can be had, it is skipped.
pub(crate) fn inside(test: &str, setup: &str) -> bool {
    let setup = format!("ip link set lo up; {setup}");
    again(test, &["--map-root-user", "--net"], &setup).unwrap_or_else(|| {
        eprintln!("skipped: network namespaces and iproute2 are not to be had here");
        false
    })
}

/// The same where /proc has only the test's own processes, as under a unit with `ProcSubset=pid`
/// and `ProtectProc=invisible`. Root always gets there.
pub(crate) fn inside_bare_proc(test: &str) -> bool {
    // A namespace's process numbers mean something else outside, so lock files with them stay
    // inside, too.
    let setup = "mount -t proc -o subset=pid,hidepid=invisible proc /proc\n\
                 [ ! -d /run/lock ] || mount -t tmpfs locks /run/lock";
    let namespaces = ["--mount", "--pid", "--fork", "--kill-child"];
    let mapped = [["--map-root-user"].as_slice(), namespaces.as_slice()].concat();
    let root = rustix::process::geteuid().is_root();
    again(test, if root { &namespaces } else { &mapped }, setup).unwrap_or_else(|| {
        assert!(!root, "unshare {} && {setup}: fails", namespaces.join(" "));
        eprintln!("skipped: not root, and user namespaces are not to be had here");
        false
    })
}

/// Runs the test once more inside; `None` if that is impossible.
fn again(test: &str, namespaces: &[&str], setup: &str) -> Option<bool> {
    if env::var_os(INSIDE).is_some() {
        return Some(true);
    }
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(namespaces).args(["sh", "-e", "-c", script, "sh"]);
        command
    };
    if !unshare(setup).output().is_ok_and(|output| output.status.success()) {
        return None;
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
    Some(false)
}
