//! Which process listens on a port, from /proc; for one error message.

use std::fs;

/// `name (pid 123)`, when /proc shows it to us.
pub(super) fn of_port(port: u16) -> Option<String> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| inode(table, port))?;
    let wanted = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?;
    processes.filter_map(Result::ok).find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let mut open = fs::read_dir(process.path().join("fd")).ok()?.filter_map(Result::ok);
        open.find(|entry| fs::read_link(entry.path()).is_ok_and(|link| link.as_os_str() == wanted.as_str()))?;
        let name = fs::read_to_string(process.path().join("comm")).ok()?;
        Some(format!("{} (pid {pid})", name.trim()))
    })
}

/// The inode of the socket that listens on `port`: `/proc/net/tcp`, state 0A.
fn inode(table: &str, port: u16) -> Option<String> {
    let text = fs::read_to_string(table).ok()?;
    text.lines().skip(1).find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let local = words.nth(1)?;
        let state = words.nth(1)?;
        let inode = words.nth(5)?;
        let found = u16::from_str_radix(local.rsplit(':').next()?, 16).ok()?;
        (found == port && state == "0A").then(|| inode.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_process_is_named() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let told = of_port(socket.local_addr().unwrap().port()).unwrap();
        assert!(told.contains(&format!("pid {}", std::process::id())), "{told}");
    }
}
