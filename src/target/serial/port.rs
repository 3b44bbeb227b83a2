//! The controls of an open tty: settings, modem lines, break, counters, queues.

use std::{
    io,
    os::fd::BorrowedFd,
    sync::{Arc, Mutex, PoisonError},
};

use rustix::{
    io::Errno,
    termios::{OptionalActions, QueueSelector, tcflush, tcgetattr, tcsetattr},
};

use super::{
    super::{Caps, PortError},
    frame, ioctl,
    tty::Tty,
};
use crate::settings::{ErrorCounts, Inputs, Levels, Settings};

/// The controls of an open tty. Calls that may wait for a USB adapter run on the blocking pool; once begun, they are
/// done even if nobody waits for their end.
#[derive(Debug)]
pub struct Port {
    tty: Arc<Tty>,
    caps: Caps,
    /// One read-modify-write of the modem lines or of the termios at a time.
    changing: Arc<Mutex<()>>,
}

impl Port {
    /// Takes an open tty and asks it what it can do.
    pub(super) fn new(tty: Arc<Tty>) -> Self {
        let caps = tty.control().map(probe).unwrap_or_default();
        Self { tty, caps, changing: Arc::default() }
    }

    pub(in crate::target) fn caps(&self) -> Caps {
        self.caps
    }

    pub(in crate::target) async fn settings(&self) -> Result<Settings, PortError> {
        self.call(|fd| Ok(frame::read(&tcgetattr(fd)?))).await
    }

    pub(in crate::target) async fn configure(&self, settings: Settings) -> Result<(), PortError> {
        self.call(move |fd| configure(fd, settings)).await
    }

    pub(in crate::target) async fn set(&self, levels: Levels) -> Result<(), PortError> {
        // A driver without modem lines takes a break for nothing and says it did it.
        if levels.brk.is_some() && !self.caps.brk {
            return Err(PortError::Unsupported);
        }
        self.call(move |fd| set(fd, levels)).await
    }

    pub(in crate::target) async fn inputs(&self) -> Result<Inputs, PortError> {
        self.call(|fd| Ok(inputs(ioctl::modem_lines(fd)?))).await
    }

    pub(in crate::target) async fn errors(&self) -> Result<ErrorCounts, PortError> {
        self.call(|fd| Ok(ioctl::error_counts(fd)?)).await
    }

    pub(in crate::target) fn unsent(&self) -> usize {
        self.tty.control().and_then(ioctl::unsent).unwrap_or(0)
    }

    pub(in crate::target) async fn flush(&self, input: bool, output: bool) -> Result<(), PortError> {
        let queue = match (input, output) {
            (false, false) => return Ok(()),
            (true, false) => QueueSelector::IFlush,
            (false, true) => QueueSelector::OFlush,
            (true, true) => QueueSelector::IOFlush,
        };
        self.call(move |fd| Ok(tcflush(fd, queue)?)).await
    }

    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(BorrowedFd<'_>) -> Result<T, PortError> + Send + 'static,
    ) -> Result<T, PortError> {
        let (tty, changing) = (Arc::clone(&self.tty), Arc::clone(&self.changing));
        let done = tokio::task::spawn_blocking(move || {
            let _one = changing.lock().unwrap_or_else(PoisonError::into_inner);
            work(tty.control()?)
        });
        done.await.map_err(|error| PortError::Failed(error.to_string()))?
    }
}

/// What the driver answers to.
fn probe(fd: BorrowedFd<'_>) -> Caps {
    let modem = ioctl::modem_lines(fd).is_ok();
    Caps {
        settings: true,
        signals: modem,
        // A break cannot be tried without sending one; drivers without modem lines (ptys) only say that they did.
        brk: modem,
        inputs: modem,
        errors: ioctl::error_counts(fd).is_ok(),
        // A pty answers 0, always.
        drain: modem && ioctl::unsent(fd).is_ok(),
    }
}

/// Sets, reads back, and where the driver took something else restores what was.
fn configure(fd: BorrowedFd<'_>, settings: Settings) -> Result<(), PortError> {
    let old = tcgetattr(fd)?;
    if frame::read(&old) == settings {
        return Ok(()); // some drivers send the whole set to the device again, needed or not
    }
    let mut new = old.clone();
    frame::apply(&mut new, settings).map_err(PortError::BadSettings)?;
    tcsetattr(fd, OptionalActions::Now, &new).map_err(|error| match error {
        Errno::INVAL | Errno::RANGE => PortError::BadSettings(format!("the driver refuses {settings}")),
        other => other.into(),
    })?;
    let got = frame::read(&tcgetattr(fd)?);
    let differences: Vec<String> = frame::frame_difference(settings, got)
        .into_iter()
        .chain(frame::rate_differences(settings, got))
        .collect();
    if differences.is_empty() {
        return Ok(());
    }
    tcsetattr(fd, OptionalActions::Now, &old)?;
    Err(PortError::BadSettings(differences.join("; ")))
}

/// Moves the lines that are named, in one call, then the break.
pub(super) fn set(fd: BorrowedFd<'_>, levels: Levels) -> Result<(), PortError> {
    match (levels.dtr, levels.rts) {
        (None, None) => {}
        (Some(dtr), None) => ioctl::move_modem_lines(fd, ioctl::DTR, dtr)?,
        (None, Some(rts)) => ioctl::move_modem_lines(fd, ioctl::RTS, rts)?,
        (Some(dtr), Some(rts)) => {
            let others = ioctl::modem_lines(fd)? & !(ioctl::DTR | ioctl::RTS);
            let dtr = if dtr { ioctl::DTR } else { 0 };
            let rts = if rts { ioctl::RTS } else { 0 };
            ioctl::set_modem_lines(fd, others | dtr | rts)?;
        }
    }
    levels.brk.map_or(Ok(()), |on| Ok(ioctl::set_break(fd, on)?))
}

fn inputs(lines: i32) -> Inputs {
    let up = |line| lines & line != 0;
    Inputs { cts: up(ioctl::CTS), dsr: up(ioctl::DSR), dcd: up(ioctl::DCD), ri: up(ioctl::RI) }
}

impl From<io::Error> for PortError {
    /// ENOTTY, EINVAL and EOPNOTSUPP are how drivers say that they have no such call.
    fn from(error: io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(Errno::NOTTY | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => Self::Unsupported,
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl From<Errno> for PortError {
    fn from(error: Errno) -> Self {
        io::Error::from(error).into()
    }
}
