//! Which sockets listen on a port, and which process holds one, from /proc: for an error message
//! and for `doctor`.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

use crate::target::serial::Process;

/// State of a listening socket in /proc/net/tcp (`TCP_LISTEN` in the kernel's `tcp_states.h`).
const LISTEN: &str = "0A";
/// State of a connection (`TCP_ESTABLISHED`).
const STATE_ESTABLISHED: &str = "01";

/// A socket of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenSocket {
    /// Our end.
    pub local: SocketAddr,
    /// The other end; unspecified while it listens.
    pub remote: SocketAddr,
    inode: u64,
}

impl OpenSocket {
    /// The process that has it open, if we may see that.
    pub(crate) fn owner(&self, proc: &Path) -> Option<Process> {
        let wanted = format!("socket:[{}]", self.inode);
        fs::read_dir(proc).ok()?.filter_map(Result::ok).find_map(|process| {
            let pid: u32 = process.file_name().to_str()?.parse().ok()?;
            let mut open = fs::read_dir(process.path().join("fd")).ok()?.filter_map(Result::ok);
            let ours = |link: &Path| link.as_os_str() == wanted.as_str();
            open.find(|entry| fs::read_link(entry.path()).is_ok_and(|link| ours(&link)))?;
            Some(Process::of(pid))
        })
    }
}

/// `name (pid 123)` of the process that listens on a port, if /proc shows it to us.
pub(super) fn of_port(port: u16) -> Option<String> {
    let proc = Path::new("/proc");
    listening(proc, port)
        .iter()
        .find_map(|socket| socket.owner(proc))
        .map(|process| process.to_string())
}

/// Every socket that listens on a port.
pub(crate) fn listening(proc: &Path, port: u16) -> Vec<OpenSocket> {
    sockets(proc, LISTEN, |socket| socket.local.port() == port)
}

/// Every connection to a host's port.
pub(crate) fn connected(proc: &Path, to: SocketAddr) -> Vec<OpenSocket> {
    let address = to.ip().to_canonical();
    sockets(proc, STATE_ESTABLISHED, |socket| {
        socket.remote.port() == to.port() && socket.remote.ip().to_canonical() == address
    })
}

fn sockets(proc: &Path, state: &str, fits: impl Fn(&OpenSocket) -> bool) -> Vec<OpenSocket> {
    let tables = ["net/tcp", "net/tcp6"]
        .map(|table| fs::read_to_string(proc.join(table)).unwrap_or_default());
    let lines = tables.iter().flat_map(|table| table.lines().skip(1));
    lines.filter_map(|line| socket(line, state)).filter(fits).collect()
}

/// A line of /proc/net/tcp: number, both ends, state, four fields, inode.
fn socket(line: &str, state: &str) -> Option<OpenSocket> {
    let mut words = line.split_ascii_whitespace();
    let (local, remote) = (words.nth(1)?, words.next()?);
    if words.next()? != state {
        return None;
    }
    Some(OpenSocket {
        local: end(local)?,
        remote: end(remote)?,
        inode: words.nth(5)?.parse().ok()?,
    })
}

/// `0100007F:1F90`: 32-bit words in the machine's order, then the port.
fn end(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let words: Vec<[u8; 4]> = address
        .as_bytes()
        .chunks(8)
        .map(|digits| {
            u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok().map(u32::to_ne_bytes)
        })
        .collect::<Option<_>>()?;
    let ip: IpAddr = match words.as_slice() {
        [four] => Ipv4Addr::from(*four).into(),
        six => Ipv6Addr::from(<[u8; 16]>::try_from(six.concat()).ok()?).into(),
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_listening_process_is_named() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let told = of_port(socket.local_addr().unwrap().port()).unwrap();
        assert!(told.contains(&format!("pid {}", std::process::id())), "{told}");
    }

    #[test]
    fn addresses_of_both_families_are_read() {
        let proc = Path::new("/proc");
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let address = listener.local_addr().unwrap();
            let found = listening(proc, address.port());
            assert_eq!(found.iter().map(|socket| socket.local).collect::<Vec<_>>(), [address]);
            assert_eq!(connected(proc, address), []);
            let client = TcpStream::connect(address).unwrap();
            let found = connected(proc, address);
            assert!(
                found.iter().any(|socket| socket.local == client.local_addr().unwrap()),
                "{found:?}"
            );
        }
    }
}
