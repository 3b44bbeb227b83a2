//! The controls of an open tty: settings, modem lines, break, counters, queues.

use std::{
    future::Future,
    io,
    os::fd::BorrowedFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::{
    io::Errno,
    termios::{InputModes, OptionalActions, QueueSelector, tcdrain, tcgetattr, tcsetattr},
};
use tokio::time::{Instant, sleep_until};

use super::{
    super::{Caps, Held, PortError, Wire},
    inputs::{InputSnapshot, inputs},
    transmitter::{IdleQuery, WireKnowledge},
    tty::Tty,
    waiting::BlockingCall,
};
use crate::{
    settings::{ErrorCounts, Inputs, Levels, Settings, UsbId},
    sys::{ioctl, termios},
};

/// How long one tcdrain asks a chip; after that, whoever drains checks whether the answer is still
/// wanted.
const TCDRAIN_LIMIT: Duration = Duration::from_millis(200);

/// The longest that the kernel may wait before a break, given a wire that was idle a moment ago.
const BREAK_WAIT: Duration = Duration::from_secs(1);

/// USB vendor of the adapters that `ftdi_sio` drives.
const FTDI: u16 = 0x0403;

/// The controls of an open tty. Calls that may wait for a USB adapter run on the blocking pool;
/// once begun, they are carried out even if nobody waits for the result. Calls that wait for the
/// wire run where a signal can end them.
#[derive(Debug)]
pub struct SerialPort {
    tty: Arc<Tty>,
    caps: Caps,
    /// The driver has no break; it says so when asked for one.
    breakless: AtomicBool,
    /// The adapter cannot set its lines; it says so when asked to.
    lineless: AtomicBool,
    /// For a pty, what was set: its driver forces eight bits without parity on something that has
    /// no frames at all.
    set: Option<Mutex<Settings>>,
    /// Locked only for a moment, never while the adapter is asked.
    watch: Arc<Mutex<InputSnapshot>>,
    /// Allows one read-modify-write of the modem lines or the termios at a time.
    changing: Arc<Mutex<()>>,
}

impl SerialPort {
    /// Takes an open tty and asks it what it can do; `pty` has the settings if it is a pty.
    pub(super) fn new(tty: Arc<Tty>, usb: Option<UsbId>, pty: Option<Settings>) -> Self {
        let answers = tty.transmitter().answers();
        let caps = tty.control().map(|fd| probe(fd, answers)).unwrap_or_default();
        // The driver of the one vendor whose lines cost a transfer to read, and which is sure to
        // count.
        let watch = Arc::new(Mutex::new(InputSnapshot::new(usb.is_some_and(|id| id.vid == FTDI))));
        let (breakless, lineless) = (AtomicBool::new(false), AtomicBool::new(false));
        Self {
            tty,
            caps,
            breakless,
            lineless,
            set: pty.map(Mutex::new),
            watch,
            changing: Arc::default(),
        }
    }

    pub(in crate::target) fn caps(&self) -> Caps {
        let lines = !self.lineless.load(Ordering::Relaxed);
        let brk = !self.breakless.load(Ordering::Relaxed);
        Caps { signals: self.caps.signals && lines, brk: self.caps.brk && brk, ..self.caps }
    }

    pub(in crate::target) async fn settings(&self) -> Result<Settings, PortError> {
        let got = self.call(|fd| Ok(termios::read(&tcgetattr(fd)?))).await?;
        Ok(self.set.as_ref().map_or(got, |set| *set.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    pub(in crate::target) async fn configure(&self, settings: Settings) -> Result<(), PortError> {
        let pty = self.set.is_some();
        self.call(move |fd| configure(fd, settings, pty)).await?;
        self.tty.transmitter().set(settings);
        if let Some(set) = &self.set {
            *set.lock().unwrap_or_else(PoisonError::into_inner) = settings;
        }
        Ok(())
    }

    /// Whoever begins a break first waits for the wire to be idle: the kernel does the same, but
    /// without a limit.
    pub(in crate::target) async fn set(&self, levels: Levels) -> Result<(), PortError> {
        // A driver without modem lines ignores a break and claims to have sent it.
        if levels.brk.is_some() && !self.caps().brk {
            return Err(PortError::Unsupported);
        }
        let done = if levels.brk == Some(true) {
            let (tty, changing) = (Arc::clone(&self.tty), Arc::clone(&self.changing));
            let set = BlockingCall::begin(move || in_turn(&tty, &changing, |fd| set(fd, levels)))?;
            set.within(BREAK_WAIT).await.unwrap_or(Err(PortError::Stuck))
        } else {
            self.call(move |fd| set(fd, levels)).await
        };
        // Break is tried first, so nothing else has changed: another step without one shows whether
        // the lines can be set.
        if done == Err(PortError::Unsupported) {
            let learnt = if levels.brk.is_some() { &self.breakless } else { &self.lineless };
            learnt.store(true, Ordering::Relaxed);
        }
        done
    }

    pub(in crate::target) async fn inputs(&self) -> Result<Inputs, PortError> {
        self.call(|fd| Ok(inputs(ioctl::modem_lines(fd)?))).await
    }

    fn watch(&self) -> MutexGuard<'_, InputSnapshot> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ready when the lines differ from `last`, or did for a moment: then both edges are returned,
    /// one with each call.
    pub(in crate::target) async fn inputs_changed(
        &self,
        last: Inputs,
    ) -> Result<Inputs, PortError> {
        loop {
            let next = self.watch().next();
            if next > Instant::now() {
                sleep_until(next).await;
            }
            if self.watch().rests(self.tty.control()?, last) {
                continue;
            }
            let (tty, watch, mut seen) =
                (Arc::clone(&self.tty), Arc::clone(&self.watch), *self.watch());
            // Not serialised with changes: a step of a signal sequence does not wait for it.
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
        self.tty.unsent()
    }

    /// Bytes that were written and may not be on the wire.
    pub(in crate::target) fn held(&self) -> Held {
        let (driver, adapter) = self.tty.held();
        let counted = self.tty.transmitter().answers() != IdleQuery::NoWire;
        Held { bytes: driver + adapter, at_most: adapter > 0 || driver > 0 && !counted }
    }

    /// Looks how far the driver has got, so that this is known should the device go; returns
    /// whether it is still sending.
    pub(in crate::target) fn is_sending(&self) -> bool {
        matches!(self.tty.look(), Ok(WireKnowledge::Busy))
    }

    /// The state of the wire. If a chip has to be asked, waits for that, a moment at most.
    pub(in crate::target) async fn wire(&self) -> Result<Wire, PortError> {
        match self.tty.look()? {
            WireKnowledge::Idle => Ok(Wire::Idle),
            WireKnowledge::Busy => Ok(Wire::Busy(self.unsent())),
            // A pty has no wire: what it was given is already at its far end.
            WireKnowledge::HandedOn if self.set.is_some() => Ok(Wire::Idle),
            WireKnowledge::HandedOn => Ok(Wire::HandedOn),
            WireKnowledge::Ask => {
                let tty = Arc::clone(&self.tty);
                let asked =
                    BlockingCall::begin(move || tcdrain(tty.control()?).map_err(io::Error::from))?;
                match asked.within(TCDRAIN_LIMIT).await {
                    // Nothing was written meanwhile: the caller has the turn of those who write.
                    Some(Ok(())) => {
                        self.tty.transmitter().idle();
                        Ok(Wire::Idle)
                    }
                    Some(Err(error)) if error.kind() != io::ErrorKind::Interrupted => {
                        Err(error.into())
                    }
                    Some(Err(_)) | None => Ok(Wire::Busy(self.unsent())),
                }
            }
        }
    }

    /// How long the wire needs for what the adapter may hold.
    pub(in crate::target) fn adapter_time(&self) -> Duration {
        self.tty.transmitter().fifo_time()
    }

    /// Ready when the device is closed, which happens once everything that shares it is gone.
    pub(in crate::target) fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        self.tty.closed()
    }

    pub(in crate::target) async fn flush(
        &self,
        input: bool,
        output: bool,
    ) -> Result<(), PortError> {
        let queue = match (input, output) {
            (false, false) => return Ok(()),
            (true, false) => QueueSelector::IFlush,
            (false, true) => QueueSelector::OFlush,
            (true, true) => QueueSelector::IOFlush,
        };
        let tty = Arc::clone(&self.tty);
        // Not serialised with changes: one that is waiting would hold it up.
        let done = tokio::task::spawn_blocking(move || Ok(tty.flush(queue)?));
        done.await.map_err(|error| PortError::Failed(error.to_string()))?
    }

    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(BorrowedFd<'_>) -> Result<T, PortError> + Send + 'static,
    ) -> Result<T, PortError> {
        let (tty, changing) = (Arc::clone(&self.tty), Arc::clone(&self.changing));
        let done = tokio::task::spawn_blocking(move || in_turn(&tty, &changing, work));
        done.await.map_err(|error| PortError::Failed(error.to_string()))?
    }
}

/// Does something that no other change may interrupt.
fn in_turn<T>(
    tty: &Tty,
    changing: &Mutex<()>,
    work: impl FnOnce(BorrowedFd<'_>) -> Result<T, PortError>,
) -> Result<T, PortError> {
    let _one = changing.lock().unwrap_or_else(PoisonError::into_inner);
    let fd = tty.control()?;
    work(fd).map_err(|error| judged(fd, error))
}

/// A request that a USB device stalls returns as EPIPE, or as EIO like that of a device that is
/// gone: one that is still there can do everything else.
pub(super) fn judged(fd: BorrowedFd<'_>, error: PortError) -> PortError {
    match error {
        PortError::Stalled if tcgetattr(fd).is_ok() => PortError::Unsupported,
        PortError::Stalled => PortError::Failed(Errno::IO.to_string()),
        PortError::Unsupported
        | PortError::BadSettings(_)
        | PortError::Failed(_)
        | PortError::Stuck => error,
    }
}

/// What the driver responds to.
fn probe(fd: BorrowedFd<'_>, answers: IdleQuery) -> Caps {
    let lines = ioctl::modem_lines(fd).map_err(PortError::from);
    // An adapter that stalls when asked may be able to set them anyway.
    let moves = matches!(lines, Ok(_) | Err(PortError::Stalled));
    Caps {
        settings: true,
        signals: moves,
        // A break cannot be tried without sending one, and drivers without modem lines (ptys) only
        // claim to have sent it.
        brk: moves,
        inputs: lines.is_ok(),
        errors: ioctl::error_counts(fd).is_ok(),
        drain: moves && answers != IdleQuery::NoWire && ioctl::unsent(fd).is_ok(),
        gap: false,
        datagrams: false,
    }
}

/// Sets, reads back, and restores what was there if the driver made something else of it.
pub(super) fn configure(
    fd: BorrowedFd<'_>,
    settings: Settings,
    pty: bool,
) -> Result<(), PortError> {
    let old = tcgetattr(fd)?;
    if termios::read(&old) == settings {
        return Ok(()); // some drivers send the whole set to the device again, needed or not
    }
    let mut new = old.clone();
    let marks = old.input_modes.contains(InputModes::PARMRK);
    termios::apply(&mut new, settings, marks).map_err(PortError::BadSettings)?;
    tcsetattr(fd, OptionalActions::Now, &new).map_err(|error| match error {
        Errno::INVAL | Errno::RANGE => {
            PortError::BadSettings(format!("the driver refuses {settings}"))
        }
        other => other.into(),
    })?;
    let got = termios::read(&tcgetattr(fd)?);
    let differences: Vec<String> = termios::frame_difference(settings, got)
        .into_iter()
        .filter(|_| !pty)
        .chain(termios::rate_differences(settings, got))
        .collect();
    if differences.is_empty() {
        return Ok(());
    }
    tcsetattr(fd, OptionalActions::Now, &old)?;
    Err(PortError::BadSettings(differences.join("; ")))
}

/// Begins or ends a break, then sets the given lines in one call. If the driver has no break,
/// nothing is changed.
pub(super) fn set(fd: BorrowedFd<'_>, levels: Levels) -> Result<(), PortError> {
    if let Some(on) = levels.brk {
        ioctl::set_break(fd, on)?;
    }
    match (levels.dtr, levels.rts) {
        (None, None) => {}
        (Some(dtr), None) => ioctl::move_modem_lines(fd, ioctl::DTR, dtr)?,
        (None, Some(rts)) => ioctl::move_modem_lines(fd, ioctl::RTS, rts)?,
        (Some(dtr), Some(rts)) => {
            let others = match ioctl::modem_lines(fd).map_err(PortError::from) {
                Ok(lines) => lines & !(ioctl::DTR | ioctl::RTS),
                // It cannot say, and has no others: those of a UART (OUT1, OUT2) can be read.
                Err(PortError::Stalled) => 0,
                Err(error) => return Err(error),
            };
            let dtr = if dtr { ioctl::DTR } else { 0 };
            let rts = if rts { ioctl::RTS } else { 0 };
            ioctl::set_modem_lines(fd, others | dtr | rts)?;
        }
    }
    Ok(())
}

impl From<io::Error> for PortError {
    /// ENOTTY, EINVAL and EOPNOTSUPP are how drivers say that they lack a call; EPIPE and EIO say
    /// that the adapter lacks it or is gone; EINTR ends a wait of ours.
    fn from(error: io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(Errno::NOTTY | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => {
                Self::Unsupported
            }
            Some(Errno::PIPE | Errno::IO) => Self::Stalled,
            Some(Errno::INTR) => Self::Stuck,
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl From<Errno> for PortError {
    fn from(error: Errno) -> Self {
        io::Error::from(error).into()
    }
}
