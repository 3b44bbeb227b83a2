//! Lines to syslog's socket, as syslog(3) sends them: priority, time, name, number, text.

use std::{
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process,
    sync::{Mutex, PoisonError},
};

use tracing::Level;

/// `LOG_DAEMON` of syslog.h.
const FACILITY: u8 = 3 << 3;

/// The socket, connected again after its reader was restarted.
pub(super) struct Syslog {
    path: PathBuf,
    socket: Mutex<Option<UnixDatagram>>,
}

impl Syslog {
    pub(super) fn to(path: &Path) -> Self {
        Self { path: path.to_owned(), socket: Mutex::new(connect(path)) }
    }

    /// Whether the line was taken.
    pub(super) fn send(&self, level: Level, text: &str) -> bool {
        let severity: u8 = match level {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        // The reader has a clock of its own; the format asks for a time.
        let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).strftime("%b %e %T");
        let line = format!("<{}>{now} wsbridge[{}]: {text}", FACILITY | severity, process::id());
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = |socket: &UnixDatagram| socket.send(line.as_bytes()).is_ok();
        if socket.as_ref().is_some_and(sent) {
            return true;
        }
        *socket = connect(&self.path);
        socket.as_ref().is_some_and(sent)
    }
}

/// A socket that never blocks: a line that does not fit goes to standard error.
fn connect(path: &Path) -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    socket.connect(path).ok()?;
    Some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_level_and_finds_a_reader_that_was_restarted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let syslog = Syslog::to(&path);
        assert!(!syslog.send(Level::INFO, "nobody is there yet"));
        for _ in 0..2 {
            let reader = UnixDatagram::bind(&path).unwrap();
            let mut buffer = [0; 256];
            for (level, priority) in [
                (Level::ERROR, "<27>"),
                (Level::WARN, "<28>"),
                (Level::INFO, "<30>"),
                (Level::DEBUG, "<31>"),
            ] {
                assert!(syslog.send(level, "reloaded: 3 endpoints"));
                let length = reader.recv(&mut buffer).unwrap();
                let line = str::from_utf8(&buffer[..length]).unwrap();
                let end = format!(" wsbridge[{}]: reloaded: 3 endpoints", process::id());
                assert!(line.starts_with(priority) && line.ends_with(&end), "{line}");
                // `Nov 30 09:00:00`, as syslogd takes it off again.
                assert_eq!(line.len(), priority.len() + 15 + end.len(), "{line}");
            }
            drop(reader);
            std::fs::remove_file(&path).unwrap();
        }
    }
}
