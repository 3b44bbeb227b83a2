//! From a configured port to an open device: find, lock, open, set, read back.

use std::{
    fs,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::{FileTypeExt, MetadataExt},
    },
    path::Path,
    sync::Arc,
    time::Duration,
};

use rustix::{
    fs::{major, minor},
    termios::{OptionalActions, tcgetattr, tcsetattr},
};
use tokio::time::{Instant, sleep, timeout};
use tokio_serial::{ErrorKind, SerialPortBuilder, SerialStream};

use super::{
    super::{Clean, Device, OpenError, Port as AnyPort, PortError, Source},
    Process, console, holders, hotplug, identity,
    identity::Roots,
    lock,
    marked::Marked,
    port,
    port::SerialPort,
    rs485,
    transmitter::{IdleQuery, Transmitter},
    tty::{Tty, TtyStream},
};
use crate::{
    config::SerialTarget,
    settings::{DataBits, Flow, Levels, Parity, Settings, StopBits},
    sys::{ioctl, termios},
};

/// A driver that does not return within this time is stuck; `open()` of a healthy tty takes
/// milliseconds.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// Finds, locks, opens and sets the port. DTR and RTS move only as the kernel's own open and
/// `on_open` move them. A port that has just arrived and has no permissions yet is waited for.
///
/// # Errors
/// Absent, in use (naming the process), denied, unfit (a frame the driver cannot do), or stuck for
/// 10 s.
pub(crate) async fn open(target: &SerialTarget) -> Result<Device, OpenError> {
    let began = Instant::now();
    loop {
        let opened = open_once(target).await;
        let denied = matches!(opened, Err(OpenError::Denied(_)));
        if !denied || began.elapsed() >= hotplug::YOUNG || !hotplug::is_new(&target.port).await {
            return opened;
        }
        sleep(hotplug::PERMISSION_PAUSE).await;
    }
}

async fn open_once(target: &SerialTarget) -> Result<Device, OpenError> {
    let wanted = target.clone();
    // If a driver returns too late nobody is waiting any more, and what it opened is closed again.
    // Until then the device counts as ours, so that attempts do not pile up on a dead one.
    let opening = tokio::task::spawn_blocking(move || open_now(&wanted, &Roots::default()));
    match timeout(OPEN_TIMEOUT, opening).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => Err(OpenError::Unfit(error.to_string())),
        Err(_) => Err(OpenError::Timeout(format!(
            "{} did not open within {} s",
            identity::wanted(&target.port),
            OPEN_TIMEOUT.as_secs()
        ))),
    }
}

fn open_now(target: &SerialTarget, roots: &Roots) -> Result<Device, OpenError> {
    let path = identity::resolve(&target.port, roots)?;
    if !is_tty(&path, roots) {
        return Err(OpenError::Unfit(format!("{} is not a serial port", path.display())));
    }
    if !target.allow_console {
        console::check(&path, roots)?;
    }
    let lock = lock::take(&path, &roots.locks)?;
    if let Some(other) = stranger(&path) {
        return Err(lock::in_use(&path, &other));
    }
    let stream = SerialStream::open(&builder(&path, target.settings)?)
        .map_err(|error| refused(&path, &error))?;
    let control =
        ioctl::duplicate(&stream).map_err(|error| OpenError::Absent(error.to_string()))?;
    let (usb, driver) = (identity::usb_id(&path, roots), identity::driver_of(&path, roots));
    let pty = is_pty(&path).then_some(target.settings);
    let answers = match pty {
        Some(_) => IdleQuery::NoWire,
        None => IdleQuery::of(driver.as_deref(), usb.is_some(), control.as_fd()),
    };
    let tty = Arc::new(Tty::new(control, lock, Transmitter::new(answers, target.settings)));
    let port = SerialPort::new(Arc::clone(&tty), usb, pty);
    // A pty has no line that could err, and whoever holds its other end may change its settings.
    let marks = port.caps().signals && pty.is_none();
    let notes = tty
        .control()
        .map_err(PortError::from)
        .and_then(|fd| {
            let notes = set_up(fd, target, pty.is_some(), marks)
                .map_err(|error| port::judged(fd, error))?;
            tty.transmitter().set(termios::read(&tcgetattr(fd)?));
            Ok(notes)
        })
        .map_err(|error| failed(&path, &error))?;
    let (reader, writer) = tokio::io::split(TtyStream::new(stream, Arc::clone(&tty)));
    let reader: Box<dyn Source> =
        if marks { Box::new(Marked::new(reader, tty)) } else { Box::new(Clean(reader)) };
    let port = AnyPort::Serial(Arc::new(port));
    Ok(Device { reader, writer: Box::new(writer), port, usb, notes })
}

/// Whether a file is a tty, as far as can be told without opening it; ptys are not in sysfs.
fn is_tty(path: &Path, roots: &Roots) -> bool {
    let Ok(data) = fs::metadata(path) else { return false };
    let (major, minor) = (major(data.rdev()), minor(data.rdev()));
    let class = fs::read_link(roots.sys.join(format!("dev/char/{major}:{minor}/subsystem")));
    data.file_type().is_char_device() && class.map_or(true, |class| class.ends_with("tty"))
}

/// Whether a device is the near end of a pty; its maker usually holds both ends.
pub(crate) fn is_pty(path: &Path) -> bool {
    path.starts_with("/dev/pts")
}

/// Somebody else who has the device open without a lock; we would take each other's bytes.
fn stranger(path: &Path) -> Option<Process> {
    if is_pty(path) {
        return None;
    }
    holders(path).into_iter().find(|process| process.pid != std::process::id())
}

/// What the library sets as it opens: the same as we do afterwards in one call, as near as it can
/// say it, so that no line moves twice. It also takes TIOCEXCL and flock; it neither flushes nor
/// touches DTR.
fn builder(path: &Path, settings: Settings) -> Result<SerialPortBuilder, OpenError> {
    let name = path.to_str().ok_or_else(|| {
        OpenError::Unfit(format!("{} is not UTF-8; use a link to it", path.display()))
    })?;
    Ok(tokio_serial::new(name, settings.baud)
        .data_bits(match settings.data {
            DataBits::Five => tokio_serial::DataBits::Five,
            DataBits::Six => tokio_serial::DataBits::Six,
            DataBits::Seven => tokio_serial::DataBits::Seven,
            DataBits::Eight => tokio_serial::DataBits::Eight,
        })
        .parity(match settings.parity {
            Parity::None => tokio_serial::Parity::None,
            Parity::Even | Parity::Space => tokio_serial::Parity::Even,
            Parity::Odd | Parity::Mark => tokio_serial::Parity::Odd,
        })
        .stop_bits(match settings.stop {
            StopBits::One => tokio_serial::StopBits::One,
            StopBits::OneAndHalf | StopBits::Two => tokio_serial::StopBits::Two,
        })
        .flow_control(match settings.flow {
            Flow::None => tokio_serial::FlowControl::None,
            Flow::Hardware => tokio_serial::FlowControl::Hardware,
            Flow::Software => tokio_serial::FlowControl::Software,
        })
        .preserve_dtr_on_open()
        .exclusive(true))
}

/// Sets everything; returns a note about anything that the driver did not accept but that is
/// tolerable.
fn set_up(
    fd: BorrowedFd<'_>,
    target: &SerialTarget,
    pty: bool,
    marks: bool,
) -> Result<Vec<String>, PortError> {
    let mut notes = set_frame(fd, target, pty, marks)?;
    if let Some(wanted) = target.rs485 {
        notes.extend(rs485::set(fd, wanted)?);
    }
    if target.low_latency
        && let Err(error) = ioctl::set_low_latency(fd)
    {
        tracing::debug!(%error, "the driver has no low-latency mode");
    }
    let levels = not_so_yet(fd, target.on_open);
    match port::set(fd, levels).map_err(|error| port::judged(fd, error)) {
        Err(PortError::Unsupported) => notes.push("this port has no DTR and RTS to set".into()),
        other => other?,
    }
    Ok(notes)
}

/// Those of these lines that are not already in that state: a device may stall when told what it
/// knows.
fn not_so_yet(fd: BorrowedFd<'_>, levels: Levels) -> Levels {
    let Ok(lines) = ioctl::modem_lines(fd) else { return levels };
    let unless_so =
        |line: i32, wanted: Option<bool>| wanted.filter(|up| (lines & line != 0) != *up);
    Levels {
        dtr: unless_so(ioctl::DTR, levels.dtr),
        rts: unless_so(ioctl::RTS, levels.rts),
        brk: levels.brk,
    }
}

fn set_frame(
    fd: BorrowedFd<'_>,
    target: &SerialTarget,
    pty: bool,
    marks: bool,
) -> Result<Vec<String>, PortError> {
    let settings = target.settings;
    let mut termios = tcgetattr(fd)?;
    termios::apply(&mut termios, settings, marks).map_err(PortError::BadSettings)?;
    tcsetattr(fd, OptionalActions::Now, &termios)?;
    let got = termios::read(&tcgetattr(fd)?);
    // With another frame the two ends do not understand each other. A wrong speed may be what the
    // other end has, too, so it is only reported.
    termios::frame_difference(settings, got).filter(|_| !pty).map_or_else(
        || Ok(termios::rate_differences(settings, got)),
        |difference| Err(PortError::BadSettings(difference)),
    )
}

/// Why the library could not open it.
fn refused(path: &Path, error: &tokio_serial::Error) -> OpenError {
    let device = path.display();
    match error.kind() {
        // EBUSY of TIOCEXCL, or flock.
        ErrorKind::NoDevice => holders(path).first().map_or_else(
            || OpenError::InUse(format!("{device} is in use by another program")),
            |process| lock::in_use(path, process),
        ),
        ErrorKind::Io(std::io::ErrorKind::PermissionDenied) => OpenError::Denied(format!(
            "no permission to open {device}: add the user that runs wsbridge to the device's group (often dialout)"
        )),
        ErrorKind::Io(_) | ErrorKind::Unknown | ErrorKind::InvalidInput => {
            OpenError::Absent(format!("{device} cannot be opened: {}", error.description))
        }
    }
}

/// Why it could not be set.
fn failed(path: &Path, error: &PortError) -> OpenError {
    let device = path.display();
    match error {
        PortError::BadSettings(why) => OpenError::Unfit(format!("{device}: {why}")),
        PortError::Unsupported => OpenError::Unfit(format!("{device} does not take settings")),
        PortError::Failed(_) | PortError::Stalled | PortError::Stuck => {
            OpenError::Absent(format!("{device} cannot be set: {error}"))
        }
    }
}

#[cfg(test)]
mod tests;
