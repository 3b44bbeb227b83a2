//! The controls of an open tty: settings, modem lines, break, counters, queues.

use std::{
    io,
    os::fd::BorrowedFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::{
    io::Errno,
    termios::{InputModes, OptionalActions, QueueSelector, tcgetattr, tcsetattr},
};
use tokio::time::{Instant, sleep_until};

use super::{
    super::{Caps, PortError},
    inputs::{Watch, inputs},
    tty::Tty,
};
use crate::{
    settings::{ErrorCounts, Inputs, Levels, Settings, UsbId},
    sys::{ioctl, termios},
};

/// USB vendor of the adapters `ftdi_sio` drives.
const FTDI: u16 = 0x0403;

/// The controls of an open tty. Calls that may wait for a USB adapter run on the blocking pool; once begun, they are
/// done even if nobody waits for their end.
#[derive(Debug)]
pub struct Port {
    tty: Arc<Tty>,
    caps: Caps,
    /// The driver has no break; it says so when it is asked for one.
    breakless: AtomicBool,
    /// Locked for a moment: not while the adapter is asked.
    watch: Arc<Mutex<Watch>>,
    /// One read-modify-write of the modem lines or of the termios at a time.
    changing: Arc<Mutex<()>>,
}

impl Port {
    /// Takes an open tty and asks it what it can do.
    pub(super) fn new(tty: Arc<Tty>, usb: Option<UsbId>) -> Self {
        let caps = tty.control().map(probe).unwrap_or_default();
        // The driver of the one vendor whose lines cost a transfer to read and whose driver counts for certain.
        let watch = Arc::new(Mutex::new(Watch::new(usb.is_some_and(|id| id.vid == FTDI))));
        Self { tty, caps, breakless: AtomicBool::new(false), watch, changing: Arc::default() }
    }

    pub(in crate::target) fn caps(&self) -> Caps {
        Caps { brk: self.caps.brk && !self.breakless.load(Ordering::Relaxed), ..self.caps }
    }

    pub(in crate::target) async fn settings(&self) -> Result<Settings, PortError> {
        self.call(|fd| Ok(termios::read(&tcgetattr(fd)?))).await
    }

    pub(in crate::target) async fn configure(&self, settings: Settings) -> Result<(), PortError> {
        self.call(move |fd| configure(fd, settings)).await
    }

    pub(in crate::target) async fn set(&self, levels: Levels) -> Result<(), PortError> {
        // A driver without modem lines takes a break for nothing and says it did it.
        if levels.brk.is_some() && !self.caps().brk {
            return Err(PortError::Unsupported);
        }
        let done = self.call(move |fd| set(fd, levels)).await;
        // Break is tried first, so nothing else moved: another step without one shows whether the lines can.
        if levels.brk.is_some() && done == Err(PortError::Unsupported) {
            self.breakless.store(true, Ordering::Relaxed);
        }
        done
    }

    pub(in crate::target) async fn inputs(&self) -> Result<Inputs, PortError> {
        self.call(|fd| Ok(inputs(ioctl::modem_lines(fd)?))).await
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ready when the lines differ from `last`, or did for a moment: then both edges are given, one with each call.
    pub(in crate::target) async fn inputs_changed(&self, last: Inputs) -> Result<Inputs, PortError> {
        loop {
            let next = self.watch().next();
            if next > Instant::now() {
                sleep_until(next).await;
            }
            if self.watch().rests(self.tty.control()?, last) {
                continue;
            }
            let (tty, watch, mut seen) = (Arc::clone(&self.tty), Arc::clone(&self.watch), *self.watch());
            // Not in turn with changes: a step of a signal sequence does not wait for it.
            let look = move || {
                let looked = seen.look(tty.control()?, last);
                *watch.lock().unwrap_or_else(PoisonError::into_inner) = seen;
                looked
            };
            let looked = tokio::task::spawn_blocking(look).await;
            if let Some(now) = looked.map_err(|error| PortError::Failed(error.to_string()))?? {
                return Ok(now);
            }
        }
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
        let tty = Arc::clone(&self.tty);
        self.call(move |_| Ok(tty.flush(queue)?)).await
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
    if termios::read(&old) == settings {
        return Ok(()); // some drivers send the whole set to the device again, needed or not
    }
    let mut new = old.clone();
    let marks = old.input_modes.contains(InputModes::PARMRK);
    termios::apply(&mut new, settings, marks).map_err(PortError::BadSettings)?;
    tcsetattr(fd, OptionalActions::Now, &new).map_err(|error| match error {
        Errno::INVAL | Errno::RANGE => PortError::BadSettings(format!("the driver refuses {settings}")),
        other => other.into(),
    })?;
    let got = termios::read(&tcgetattr(fd)?);
    let differences: Vec<String> = termios::frame_difference(settings, got)
        .into_iter()
        .chain(termios::rate_differences(settings, got))
        .collect();
    if differences.is_empty() {
        return Ok(());
    }
    tcsetattr(fd, OptionalActions::Now, &old)?;
    Err(PortError::BadSettings(differences.join("; ")))
}

/// Begins or ends a break, then moves the lines that are named in one call. A driver that has no break moves nothing.
pub(super) fn set(fd: BorrowedFd<'_>, levels: Levels) -> Result<(), PortError> {
    if let Some(on) = levels.brk {
        ioctl::set_break(fd, on)?;
    }
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
    Ok(())
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
