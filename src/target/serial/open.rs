//! From a configured port to an open device: find, lock, open, set, read back.

use std::{
    fs,
    os::{
        fd::BorrowedFd,
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
use tokio_serial::{ErrorKind, SerialPortBuilder, SerialStream};

use super::{
    super::{Clean, Device, OpenError, Port as AnyPort, PortError, Source},
    Process, console, holders, identity,
    identity::Roots,
    lock,
    marked::Marked,
    port,
    port::Port,
    rs485,
    tty::{Tty, Wire},
};
use crate::{
    config::SerialTarget,
    settings::{DataBits, Flow, Parity, Settings, StopBits},
    sys::{ioctl, termios},
};

/// A driver that does not come back in this time is stuck; `open()` of a healthy tty takes milliseconds.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// Finds, locks, opens and sets the port. DTR and RTS move only as the kernel's own open and `on_open` move them.
///
/// # Errors
/// Absent, in use (naming the process), denied, unfit (a frame the driver cannot do), or stuck for 10 s.
pub async fn open(target: &SerialTarget) -> Result<Device, OpenError> {
    let wanted = target.clone();
    // A driver that comes back too late finds nobody waiting, and what it opened is closed again. Until then the
    // device counts as ours, so that tries do not pile up on a dead one.
    let opening = tokio::task::spawn_blocking(move || open_now(&wanted, &Roots::default()));
    match tokio::time::timeout(OPEN_TIMEOUT, opening).await {
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
        return Err(OpenError::Unfit(format!("{} is no serial port", path.display())));
    }
    if !target.allow_console {
        console::check(&path, roots)?;
    }
    let lock = lock::take(&path, &roots.locks)?;
    if let Some(other) = stranger(&path) {
        return Err(lock::in_use(&path, &other));
    }
    let stream =
        SerialStream::open(&builder(&path, target.settings)?).map_err(|error| refused(&path, &error))?;
    let control = ioctl::duplicate(&stream).map_err(|error| OpenError::Absent(error.to_string()))?;
    let tty = Arc::new(Tty::new(control, lock));
    let usb = identity::usb_id(&path, roots);
    let port = Port::new(Arc::clone(&tty), usb);
    // A pty has no line to err, and who holds its other end may change how it is set.
    let marks = port.caps().inputs;
    let notes = tty
        .control()
        .map_err(PortError::from)
        .and_then(|fd| set_up(fd, target, marks))
        .map_err(|error| failed(&path, error))?;
    let (reader, writer) = tokio::io::split(Wire::new(stream, Arc::clone(&tty)));
    let reader: Box<dyn Source> =
        if marks { Box::new(Marked::new(reader, tty)) } else { Box::new(Clean(reader)) };
    let port = AnyPort::Serial(Arc::new(port));
    Ok(Device { reader, writer: Box::new(writer), port, usb, notes })
}

/// Whether a file is a tty, as far as can be seen without opening it; ptys are not in sysfs.
fn is_tty(path: &Path, roots: &Roots) -> bool {
    let Ok(data) = fs::metadata(path) else { return false };
    let (major, minor) = (major(data.rdev()), minor(data.rdev()));
    let class = fs::read_link(roots.sys.join(format!("dev/char/{major}:{minor}/subsystem")));
    data.file_type().is_char_device() && class.map_or(true, |class| class.ends_with("tty"))
}

/// Whether a device is the near end of a pty, whose maker commonly holds both.
pub fn is_pty(path: &Path) -> bool {
    path.starts_with("/dev/pts")
}

/// Somebody else who has the device open without a lock; we would take each other's bytes.
fn stranger(path: &Path) -> Option<Process> {
    if is_pty(path) {
        return None;
    }
    holders(path).into_iter().find(|process| process.pid != std::process::id())
}

/// What the library sets as it opens: the same as we do afterwards in one call, as near as it can say it, so that no
/// line moves twice. It also takes TIOCEXCL and flock; it neither flushes nor touches DTR.
fn builder(path: &Path, settings: Settings) -> Result<SerialPortBuilder, OpenError> {
    let name = path
        .to_str()
        .ok_or_else(|| OpenError::Unfit(format!("{} is not UTF-8; use a link to it", path.display())))?;
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

/// Sets everything and gives a note for what the driver did not take but can be lived with.
fn set_up(fd: BorrowedFd<'_>, target: &SerialTarget, marks: bool) -> Result<Vec<String>, PortError> {
    let mut notes = set_frame(fd, target.settings, marks)?;
    if let Some(wanted) = target.rs485 {
        notes.extend(rs485::set(fd, wanted)?);
    }
    if target.low_latency
        && let Err(error) = ioctl::set_low_latency(fd)
    {
        tracing::debug!(%error, "the driver knows no low latency");
    }
    match port::set(fd, target.on_open) {
        Err(PortError::Unsupported) => notes.push("this port has no DTR and RTS to set".into()),
        other => other?,
    }
    Ok(notes)
}

fn set_frame(fd: BorrowedFd<'_>, settings: Settings, marks: bool) -> Result<Vec<String>, PortError> {
    let mut termios = tcgetattr(fd)?;
    termios::apply(&mut termios, settings, marks).map_err(PortError::BadSettings)?;
    tcsetattr(fd, OptionalActions::Now, &termios)?;
    let got = termios::read(&tcgetattr(fd)?);
    // Another frame is another language; a wrong speed may be what the other end has, too, and is told.
    termios::frame_difference(settings, got).map_or_else(
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
            "no right to open {device}: add the user that runs wsbridge to the device's group (often dialout)"
        )),
        ErrorKind::Io(_) | ErrorKind::Unknown | ErrorKind::InvalidInput => {
            OpenError::Absent(format!("{device} cannot be opened: {}", error.description))
        }
    }
}

/// Why it could not be set.
fn failed(path: &Path, error: PortError) -> OpenError {
    let device = path.display();
    match error {
        PortError::BadSettings(why) => OpenError::Unfit(format!("{device}: {why}")),
        PortError::Unsupported => OpenError::Unfit(format!("{device} does not take settings")),
        PortError::Failed(why) => OpenError::Absent(format!("{device} cannot be set: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::{Read, Write},
        path::PathBuf,
        process::{Command, Stdio},
    };

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::{
        config::{PortIdentity, Rs485},
        settings::Levels,
        target::Caps,
    };

    /// A pty: the far end of the wire, and the path of the near one.
    fn pty() -> (File, PathBuf) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        (master.into(), path.into())
    }

    fn target(path: &Path) -> SerialTarget {
        SerialTarget {
            port: PortIdentity::Path(path.to_owned()),
            settings: Settings { baud: 115_200, ..Settings::default() },
            rs485: None,
            on_open: Levels::default(),
            on_release: Levels::default(),
            low_latency: true,
            allow_console: false,
        }
    }

    async fn exactly(mut far: File, count: usize) -> (File, Vec<u8>) {
        let read = move || {
            let mut bytes = vec![0; count];
            far.read_exact(&mut bytes).unwrap();
            (far, bytes)
        };
        tokio::task::spawn_blocking(read).await.unwrap()
    }

    fn from(device: &mut Device) -> crate::target::Bytes {
        let gone = Box::new(Clean(tokio::io::empty()));
        crate::target::Bytes(std::mem::replace(&mut device.reader, gone))
    }

    #[tokio::test]
    async fn all_256_values_pass_both_ways() {
        let (mut far, path) = pty();
        let mut device = open(&target(&path)).await.unwrap();
        assert_eq!(device.notes, Vec::<String>::new());
        let all: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
        device.writer.write_all(&all).await.unwrap();
        device.writer.flush().await.unwrap();
        let (returned, got) = exactly(far, all.len()).await;
        assert_eq!(got, all);
        far = returned;
        far.write_all(&all).unwrap();
        let mut got = vec![0; all.len()];
        from(&mut device).read_exact(&mut got).await.unwrap();
        assert_eq!(got, all);
        assert_eq!(device.port.unsent(), 0);
    }

    #[tokio::test]
    async fn settings_are_set_and_read_back_custom_speeds_too() {
        let (_far, path) = pty();
        let mut target = target(&path);
        target.settings =
            Settings { baud: 250_001, stop: StopBits::Two, flow: Flow::Software, ..target.settings };
        let device = open(&target).await.unwrap();
        assert_eq!(device.port.settings().await, Ok(target.settings));
        let faster = Settings { baud: 1_000_000, flow: Flow::Hardware, ..target.settings };
        device.port.configure(faster).await.unwrap();
        assert_eq!(device.port.settings().await, Ok(faster));
    }

    /// The kernel's pty driver forces eight bits without parity, as real drivers force what they can do.
    #[tokio::test]
    async fn a_frame_the_driver_does_not_take_is_refused_and_the_line_stays_as_it_was() {
        let (_far, path) = pty();
        let fine = target(&path);
        let odd = Settings { data: DataBits::Seven, parity: Parity::Mark, ..fine.settings };
        let error = open(&SerialTarget { settings: odd, ..fine.clone() }).await.unwrap_err();
        let said = format!("{}: asked for 7M1, the driver set 8N1", path.display());
        assert_eq!(error, OpenError::Unfit(said));
        let device = open(&fine).await.unwrap();
        let error = device.port.configure(Settings { baud: 300, ..odd }).await.unwrap_err();
        assert_eq!(error, PortError::BadSettings("asked for 7M1, the driver set 8N1".into()));
        assert_eq!(device.port.settings().await, Ok(fine.settings));
        let error = device.port.configure(Settings { stop: StopBits::OneAndHalf, ..fine.settings }).await;
        assert_eq!(error, Err(PortError::BadSettings("1.5 stop bits exist only with 5 data bits".into())));
    }

    #[tokio::test]
    async fn a_device_opened_twice_is_in_use_by_us_and_free_when_dropped() {
        let (_far, path) = pty();
        let device = open(&target(&path)).await.unwrap();
        let us = Process::of(std::process::id());
        assert_eq!(open(&target(&path)).await.unwrap_err(), lock::in_use(&path, &us));
        drop(device);
        drop(open(&target(&path)).await.unwrap());
    }

    #[tokio::test]
    async fn a_device_another_process_has_locked_is_in_use_by_it() {
        let (_far, path) = pty();
        let mut other = Command::new("flock")
            .arg("--no-fork")
            .arg(&path)
            .args(["sh", "-c", "echo locked; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0; 7];
        other.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
        let error = open(&target(&path)).await.unwrap_err();
        other.kill().unwrap();
        other.wait().unwrap();
        let OpenError::InUse(text) = &error else { panic!("{error:?}") };
        assert!(text.ends_with(&format!("(pid {})", other.id())), "{text}");
        drop(open(&target(&path)).await.unwrap());
    }

    #[tokio::test]
    async fn an_unplugged_device_ends_the_stream() {
        let (far, path) = pty();
        let mut device = open(&target(&path)).await.unwrap();
        drop(far);
        match from(&mut device).read(&mut [0; 16]).await {
            Ok(count) => assert_eq!(count, 0),
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EIO)),
        }
        assert_eq!(device.writer.write(b"x").await.unwrap_err().raw_os_error(), Some(libc::EIO));
        assert!(matches!(device.port.configure(Settings::default()).await, Err(PortError::Failed(_))));
    }

    #[tokio::test]
    async fn a_port_without_modem_lines_says_so_and_opens() {
        let (_far, path) = pty();
        let levels = Levels { dtr: Some(true), rts: Some(false), brk: None };
        let device = open(&SerialTarget { on_open: levels, ..target(&path) }).await.unwrap();
        assert_eq!(device.notes, ["this port has no DTR and RTS to set"]);
        assert_eq!(device.port.caps(), Caps { settings: true, ..Caps::default() });
        assert_eq!(device.port.inputs().await, Err(PortError::Unsupported));
        assert_eq!(device.port.set(levels).await, Err(PortError::Unsupported));
        let brk = Levels { brk: Some(true), ..Levels::default() };
        assert_eq!(device.port.set(brk).await, Err(PortError::Unsupported));
    }

    #[tokio::test]
    async fn rs485_without_a_driver_for_it_is_unfit() {
        let (_far, path) = pty();
        let rs485 = Rs485 {
            rts_on_send: true,
            rts_after_send: false,
            rx_during_tx: false,
            terminate: false,
            delay_before: Duration::ZERO,
            delay_after: Duration::ZERO,
        };
        let error = open(&SerialTarget { rs485: Some(rs485), ..target(&path) }).await.unwrap_err();
        assert!(matches!(&error, OpenError::Unfit(text) if text.contains("RS-485")), "{error:?}");
    }

    #[tokio::test]
    async fn flush_discards_what_was_received_and_closing_loses_nothing_that_was_sent() {
        let (mut far, path) = pty();
        let mut device = open(&target(&path)).await.unwrap();
        let mut reader = from(&mut device);
        far.write_all(b"ab").unwrap();
        assert_eq!(reader.read_u8().await.unwrap(), b'a');
        device.port.flush(true, false).await.unwrap();
        far.write_all(b"c").unwrap();
        assert_eq!(reader.read_u8().await.unwrap(), b'c');
        device.writer.write_all(b"last words").await.unwrap();
        drop((device, reader));
        assert_eq!(exactly(far, 10).await.1, b"last words");
    }

    #[tokio::test]
    async fn what_is_no_serial_port_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(open(&target(file.path())).await, Err(OpenError::Unfit(_))));
        assert!(matches!(open(&target(Path::new("/dev/null"))).await, Err(OpenError::Unfit(_))));
        assert!(matches!(open(&target(Path::new("/dev/ttyNONE"))).await, Err(OpenError::Absent(_))));
    }
}
