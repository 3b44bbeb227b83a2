//! Tests of opening a port, with ptys.

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
    config::{CarrierRules, PortIdentity, Rs485},
    settings::Levels,
    target::{Caps, Held, Wire},
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
        carrier: CarrierRules::default(),
        removes_echo: false,
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

/// The kernel's pty driver forces eight bits without parity, just as real drivers force what they
/// are able to do.
#[test]
fn a_frame_the_driver_does_not_take_is_refused_and_the_line_stays_as_it_was() {
    let (far, path) = pty();
    let fine = target(&path);
    let odd = Settings { data: DataBits::Seven, parity: Parity::Mark, ..fine.settings };
    let near = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let error = set_up(near.as_fd(), &SerialTarget { settings: odd, ..fine.clone() }, false, false)
        .unwrap_err();
    let said = PortError::BadSettings("asked for 7M1, the driver set 8N1".into());
    assert_eq!(error, said);
    set_up(near.as_fd(), &fine, false, false).unwrap();
    assert_eq!(port::configure(near.as_fd(), Settings { baud: 300, ..odd }, false), Err(said));
    assert_eq!(termios::read(&tcgetattr(&near).unwrap()), fine.settings);
    drop(far);
}

#[tokio::test]
async fn a_pty_that_has_no_frames_keeps_the_one_it_was_given() {
    let (mut far, path) = pty();
    let meter =
        Settings { baud: 300, data: DataBits::Seven, parity: Parity::Even, ..Settings::default() };
    let mut device = open(&SerialTarget { settings: meter, ..target(&path) }).await.unwrap();
    assert_eq!((device.notes.as_slice(), device.port.settings().await), ([].as_slice(), Ok(meter)));
    let other = Settings { baud: 9600, parity: Parity::Mark, ..meter };
    device.port.configure(other).await.unwrap();
    assert_eq!(device.port.settings().await, Ok(other));
    far.write_all(b"\xff/?!").unwrap();
    assert_eq!(from(&mut device).read_u8().await.unwrap(), 0xff);
    let error = device.port.configure(Settings { stop: StopBits::OneAndHalf, ..meter }).await;
    assert_eq!(
        error,
        Err(PortError::BadSettings("1.5 stop bits exist only with 5 data bits".into()))
    );
    assert_eq!(device.port.settings().await, Ok(other));
}

#[tokio::test]
async fn a_pty_has_no_wire_so_that_it_is_idle_when_everything_is_written() {
    let (far, path) = pty();
    let mut device = open(&target(&path)).await.unwrap();
    device.writer.write_all(b"x").await.unwrap();
    assert_eq!((device.port.wire().await, device.port.held()), (Ok(Wire::Idle), Held::default()));
    let closed = device.port.closed();
    drop(device);
    closed.await;
    drop(far);
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
