//! A device behind a pty; a serial target opens the slave.

use std::{
    fs::File,
    io,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, split},
    task::JoinSet,
    time::Instant,
};

use super::drive::{SimulatedDevice, drive};
use crate::{
    config::{CarrierRules, PortIdentity, SerialTarget, Target},
    pty::{Master, Registered},
    settings::{Levels, Settings},
};

/// Starts `device` behind a new pty; its task is in `tasks` and ends with it.
pub(super) fn start(tasks: &mut JoinSet<()>, device: impl SimulatedDevice) -> io::Result<Target> {
    let (end, path) = open()?;
    let (reader, writer) = split(end);
    tasks.spawn(async move {
        if let Err(error) = drive(device, Instant::now(), reader, writer).await {
            tracing::warn!(%error, "a simulated device ended");
        }
    });
    Ok(Target::Serial(SerialTarget {
        port: PortIdentity::Path(path),
        settings: Settings::default(),
        rs485: None,
        on_open: Levels::default(),
        on_release: Levels::default(),
        carrier: CarrierRules::default(),
        removes_echo: false,
        low_latency: false,
        allow_console: false,
    }))
}

/// The device's end of a pty.
struct DeviceEnd {
    master: Registered,
    /// While a slave is open, closing another does not end our reads.
    _slave: File,
}

/// A new pty in raw mode, and the path of its slave.
fn open() -> io::Result<(DeviceEnd, PathBuf)> {
    let master = Master::open()?;
    let (path, slave) = (master.slave_path().to_owned(), master.slave()?);
    let mut raw = tcgetattr(&slave)?;
    raw.make_raw();
    tcsetattr(&slave, OptionalActions::Now, &raw)?;
    Ok((DeviceEnd { master: Registered::new(Arc::new(master))?, _slave: slave }, path))
}

impl AsyncRead for DeviceEnd {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.master).poll_read(cx, buf)
    }
}

impl AsyncWrite for DeviceEnd {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.master).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
