//! Found by name and by service from another machine: two network namespaces, a cable, and a
//! service browser that nobody here wrote.

use std::process::Command;

use tempfile::TempDir;

use crate::peers::works;

#[test]
fn a_gateway_is_found_on_the_network_and_says_when_it_has_gone() {
    if !works("python3", &["-c", "import zeroconf"]) {
        eprintln!("skipped: python3 with `zeroconf` is missing (pip install zeroconf)");
        return;
    }
    if !works("unshare", &["--map-root-user", "--net", "ip", "link", "add", "lan0", "type", "veth"])
    {
        eprintln!("skipped: network namespaces and iproute2 are not to be had here");
        return;
    }
    let folder = TempDir::new().unwrap();
    let output = Command::new("unshare")
        .args([
            "--map-root-user",
            "--net",
            "python3",
            "tests/it/announce.py",
            env!("CARGO_BIN_EXE_wsbridge"),
        ])
        .arg(folder.path())
        .env_remove("NOTIFY_SOCKET")
        .output()
        .unwrap();
    let told =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{}\n{}", told[0], told[1]);
}
