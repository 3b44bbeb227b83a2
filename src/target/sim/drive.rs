//! A simulated device is a pure state machine; this runs one between a reader and a writer.

use std::{io, time::Duration};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant, sleep_until},
};

/// Bytes read in one go.
const READ_SIZE: usize = 4096;

/// With this many bytes unsent the device stops listening until its peer reads: what a full UART
/// buffer does with RTS.
const UNSENT_MAX: usize = 64 * 1024;

/// A device without sockets, files or clocks. Times are measured from the start of the simulation.
pub(super) trait SimulatedDevice: Send + 'static {
    /// Takes what arrived at `now`, and appends the answer to `out`.
    fn input(&mut self, now: Duration, bytes: &[u8], out: &mut BytesMut);

    /// When [`tick`](Self::tick) is due; asked only while nothing waits to be sent.
    fn deadline(&self) -> Option<Duration> {
        None
    }

    /// The deadline has passed.
    fn tick(&mut self, _now: Duration, _out: &mut BytesMut) {}

    /// Whether the device hangs up once its output has been sent.
    fn ended(&self) -> bool {
        false
    }
}

/// Runs a device until its peer ends or it hangs up itself; then sends what is left and shuts the
/// writer down.
pub(super) async fn drive(
    mut device: impl SimulatedDevice,
    start: Instant,
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut input = vec![0; READ_SIZE];
    let mut out = BytesMut::new();
    let mut open = true;
    while open || !out.is_empty() {
        let due = device.deadline().filter(|_| open && out.is_empty());
        tokio::select! {
            read = reader.read(&mut input), if open && out.len() < UNSENT_MAX => {
                let bytes = input.get(..read?).unwrap_or_default();
                device.input(start.elapsed(), bytes, &mut out);
                open = !bytes.is_empty() && !device.ended();
            }
            written = writer.write_buf(&mut out), if !out.is_empty() => {
                written?;
            }
            () = sleep_until(start + due.unwrap_or_default()), if due.is_some() => {
                device.tick(start.elapsed(), &mut out);
            }
        }
    }
    writer.shutdown().await
}
