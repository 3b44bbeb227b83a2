//! What an endpoint reaches, opened: a stream for a dedicated session, or a device for a line.

pub(crate) mod rfc2217;
pub(crate) mod serial;
pub(crate) mod sim;
pub(crate) mod tcp;
pub(crate) mod tls;

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::sleep,
};

use crate::{
    config::Target,
    settings::{ErrorCounts, Inputs, Levels, LineEvent, Settings, UsbId},
    stream::{self, NextHop as _, Outstanding, StreamProbe},
    wire::close::Refusal,
};

/// What a device sends: clean bytes, and what happened on the line between them.
pub trait Source: Send {
    /// Reads into `buf`; what happened is added to `marks`, each at the number of bytes of this
    /// read it lies before. Nothing read and nothing marked means the device is gone.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        marks: &mut Vec<(usize, LineEvent)>,
    ) -> Poll<io::Result<()>>;
}

/// A stream on which nothing happens but bytes.
struct Clean<R>(R);

impl<R: AsyncRead + Send + Unpin> Source for Clean<R> {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        _marks: &mut Vec<(usize, LineEvent)>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

/// A source's bytes alone, for tests.
#[cfg(test)]
struct Bytes(Box<dyn Source>);

#[cfg(test)]
impl AsyncRead for Bytes {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.poll_read(cx, buf, &mut Vec::new())
    }
}

/// A device opened for a line: two halves that never wait for each other, and its controls.
pub struct Device {
    /// Device to line.
    pub reader: Box<dyn Source>,
    /// Line to device.
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
    /// Settings, signals, counters.
    pub port: Port,
    /// USB numbers of the adapter, where there is one.
    pub usb: Option<UsbId>,
    /// What the driver did not take as configured, a sentence each.
    pub notes: Vec<String>,
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device")
            .field("port", &self.port)
            .field("notes", &self.notes)
            .finish_non_exhaustive()
    }
}

/// What was learnt of a target, and would cost its time again each time it is opened.
#[derive(Debug, Default)]
pub(crate) struct Learnt(rfc2217::PeerLimits);

/// Opens a target for a line, for the first time.
pub async fn open(target: &Target) -> Result<Device, OpenError> {
    open_again(target, &mut Learnt::default()).await
}

/// Opens a target for a line, with what was learnt when it was opened before.
pub(crate) async fn open_again(target: &Target, learnt: &mut Learnt) -> Result<Device, OpenError> {
    match target {
        Target::Tcp(tcp) => {
            let (reader, writer, gauge) = stream::split(tcp::connect(tcp).await?, tcp.dead_after);
            let (reader, writer) = (Box::new(Clean(reader)), Box::new(writer));
            Ok(Device {
                reader,
                writer,
                port: Port::Stream(gauge),
                usb: tcp.usb,
                notes: Vec::new(),
            })
        }
        Target::Serial(serial) => serial::open(serial).await,
        Target::Rfc2217(remote) => rfc2217::open(remote, &mut learnt.0).await,
        // The daemon puts a simulated device's real address in place of it before anything is
        // opened.
        Target::Sim(_) => Err(OpenError::Absent("the simulated device was not started".into())),
    }
}

/// The USB numbers of a target's adapter, as far as they can be known without opening it.
pub(crate) async fn usb(target: &Target) -> Option<UsbId> {
    match target {
        Target::Serial(serial) => serial::usb_of(&serial.port).await,
        Target::Tcp(_) | Target::Rfc2217(_) | Target::Sim(_) => target.stated_usb(),
    }
}

/// Pause between attempts to reach a target that is not there, where nothing tells that it came:
/// below the second within which a plugged device is to be noticed.
const RETRY: Duration = Duration::from_millis(500);

/// Pause between attempts to reach a host that refuses or is silent.
const DIAL_AGAIN: Duration = Duration::from_secs(1);

/// Ready when it is worth trying again to open a target that was not there: a serial device within
/// milliseconds of its coming, anything else after a pause. Can be dropped at any time.
pub async fn appeared(target: &Target) {
    match target {
        Target::Serial(serial) => serial::appeared(serial, RETRY).await,
        Target::Tcp(_) | Target::Rfc2217(_) => sleep(DIAL_AGAIN).await,
        Target::Sim(_) => sleep(RETRY).await,
    }
}

/// Why a target could not be opened.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OpenError {
    /// The device or the host's name does not exist (now).
    #[error("{0}")]
    Absent(String),
    /// Somebody else has the device; the text names the process where it can be known.
    #[error("{0}")]
    InUse(String),
    /// We may not: rights of the device file, or a console or getty sits on it.
    #[error("{0}")]
    Denied(String),
    /// The host refused, or the network said no.
    #[error("{0}")]
    Refused(String),
    /// Nobody answered in time.
    #[error("{0}")]
    Timeout(String),
    /// The driver cannot do what is configured, or TLS failed.
    #[error("{0}")]
    Unfit(String),
}

impl From<&OpenError> for Refusal {
    fn from(error: &OpenError) -> Self {
        let why = error.to_string();
        match error {
            OpenError::Absent(_) => Self::TargetAbsent(why),
            OpenError::InUse(_)
            | OpenError::Denied(_)
            | OpenError::Refused(_)
            | OpenError::Unfit(_) => Self::Unreachable(why),
            OpenError::Timeout(_) => Self::TargetTimeout(why),
        }
    }
}

/// What a port can do.
#[expect(clippy::struct_excessive_bools, reason = "a list of independent capabilities")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// Settings can change.
    pub settings: bool,
    /// DTR and RTS can be moved.
    pub signals: bool,
    /// Break can be sent.
    pub brk: bool,
    /// CTS, DSR, DCD and RI can be read.
    pub inputs: bool,
    /// Received errors are counted and placed.
    pub errors: bool,
    /// It can say when the wire is idle.
    pub drain: bool,
    /// Messages to a Modbus bus are kept apart by idle wire: a line's doing, where the port can say
    /// when it is idle.
    pub gap: bool,
}

/// How the wire of a port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Everything written has left it, or reached the far end where there is none.
    Idle,
    /// Not everything has: so much is with the driver, and less than a FIFO with an adapter.
    Busy(usize),
    /// Everything has left us; whether it has left the device cannot be known.
    HandedOn,
}

/// Bytes that were written and are not known to be on the wire, or with the next hop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// How many.
    pub bytes: usize,
    /// It may be fewer.
    pub at_most: bool,
}

impl Held {
    fn of(outstanding: Outstanding) -> Self {
        let bytes = usize::try_from(outstanding.bytes).unwrap_or(usize::MAX);
        Self { bytes, at_most: !outstanding.exact }
    }
}

/// Why a port did not do as told.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PortError {
    /// Not with this kind of port, or not with this driver.
    #[error("this port cannot do that")]
    Unsupported,
    /// The driver did not take the settings; the sentence says what it made of them. The line is as
    /// before.
    #[error("{0}")]
    BadSettings(String),
    /// The device is gone or broken.
    #[error("{0}")]
    Failed(String),
    /// The device did not do this one request (EPIPE, EIO), or is gone.
    #[error("the device refused this request")]
    Stalled,
    /// The line takes nothing, and this was to wait until it does.
    #[error("the line accepts no data")]
    Stuck,
}

/// The controls of an opened device. Cheap to clone; every call is safe beside reads and writes.
#[derive(Clone, Debug)]
pub enum Port {
    /// A stream without controls.
    Stream(StreamProbe),
    /// A tty.
    Serial(Arc<serial::SerialPort>),
    /// A serial port on another box.
    Rfc2217(Arc<rfc2217::RemotePort>),
}

impl Port {
    /// What it can do.
    pub fn caps(&self) -> Caps {
        match self {
            Self::Stream(_) => Caps::default(),
            Self::Serial(port) => port.caps(),
            Self::Rfc2217(port) => port.caps(),
        }
    }

    /// The settings as the driver has them now.
    pub async fn settings(&self) -> Result<Settings, PortError> {
        match self {
            Self::Stream(_) => Err(PortError::Unsupported),
            Self::Serial(port) => port.settings().await,
            Self::Rfc2217(port) => port.settings(),
        }
    }

    /// Sets the port and reads back; on an error the port is as before.
    pub async fn configure(&self, settings: Settings) -> Result<(), PortError> {
        match self {
            Self::Stream(_) => Err(PortError::Unsupported),
            Self::Serial(port) => port.configure(settings).await,
            Self::Rfc2217(port) => port.configure(settings).await,
        }
    }

    /// Moves DTR and RTS together (one TIOCMSET, one write) and starts or ends a break.
    pub async fn set(&self, levels: Levels) -> Result<(), PortError> {
        match self {
            Self::Stream(_) => Err(PortError::Unsupported),
            Self::Serial(port) => port.set(levels).await,
            Self::Rfc2217(port) => port.set(levels).await,
        }
    }

    /// CTS, DSR, DCD and RI as they are now.
    pub async fn inputs(&self) -> Result<Inputs, PortError> {
        match self {
            Self::Stream(_) => Err(PortError::Unsupported),
            Self::Serial(port) => port.inputs().await,
            Self::Rfc2217(port) => port.inputs(),
        }
    }

    /// Ready when CTS, DSR, DCD or RI differ from `last`, with what they are now; of a short pulse,
    /// both edges are given one after the other where the driver counts them. Can be dropped at any
    /// time.
    pub async fn inputs_changed(&self, last: Inputs) -> Result<Inputs, PortError> {
        match self {
            Self::Stream(_) => Err(PortError::Unsupported),
            Self::Serial(port) => port.inputs_changed(last).await,
            Self::Rfc2217(port) => port.inputs_changed(last).await,
        }
    }

    /// The driver's error counters.
    pub async fn errors(&self) -> Result<ErrorCounts, PortError> {
        match self {
            Self::Stream(_) => Err(PortError::Unsupported),
            Self::Serial(port) => port.errors().await,
            Self::Rfc2217(port) => Ok(port.errors()),
        }
    }

    /// Bytes taken by the driver and not yet on the wire (TIOCOUTQ), or by the network and not
    /// acknowledged.
    pub fn unsent(&self) -> usize {
        match self {
            Self::Stream(gauge) => usize::try_from(gauge.outstanding().bytes).unwrap_or(usize::MAX),
            Self::Serial(port) => port.unsent(),
            Self::Rfc2217(port) => port.unsent(),
        }
    }

    /// Bytes written that may not be on the wire or with the next hop; of a device that is gone,
    /// those lost with it.
    pub fn held(&self) -> Held {
        match self {
            Self::Stream(gauge) => Held::of(gauge.outstanding()),
            Self::Serial(port) => port.held(),
            Self::Rfc2217(port) => Held::of(port.outstanding()),
        }
    }

    /// Whether the other side answers that it lives, and takes nothing; a tty has nobody to answer.
    pub fn answers(&self) -> bool {
        let sample = match self {
            Self::Stream(gauge) => gauge.sample(),
            Self::Rfc2217(port) => port.sample(),
            Self::Serial(_) => None,
        };
        sample.is_some_and(|sample| sample.answers())
    }

    /// How the wire is. Asking a chip takes a moment; a port that is gone is idle.
    pub async fn wire(&self) -> Result<Wire, PortError> {
        match self {
            Self::Stream(_) => Ok(match self.unsent() {
                0 => Wire::Idle,
                unsent => Wire::Busy(unsent),
            }),
            Self::Serial(port) => port.wire().await,
            Self::Rfc2217(port) => Ok(match port.unsent() {
                0 => Wire::HandedOn,
                unsent => Wire::Busy(unsent),
            }),
        }
    }

    /// Whether a driver is still sending. One that is gone cannot be asked: it is looked at
    /// meanwhile.
    pub(crate) fn is_sending(&self) -> bool {
        match self {
            Self::Stream(_) | Self::Rfc2217(_) => false,
            Self::Serial(port) => port.is_sending(),
        }
    }

    /// How long what an adapter may hold takes on the wire.
    pub fn adapter_time(&self) -> Duration {
        match self {
            Self::Stream(_) | Self::Rfc2217(_) => Duration::ZERO,
            Self::Serial(port) => port.adapter_time(),
        }
    }

    /// Whether what was flushed and is still held goes with the device when that is closed.
    pub fn forgets_when_closed(&self) -> bool {
        matches!(self, Self::Serial(_))
    }

    /// Ready when the device is closed, which it is when all that shares it is gone: it can be
    /// opened again then.
    pub fn closed(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        match self {
            Self::Stream(_) | Self::Rfc2217(_) => Box::pin(std::future::ready(())),
            Self::Serial(port) => Box::pin(port.closed()),
        }
    }

    /// Discards what the driver has received (`input`) or not yet sent (`output`): tcflush.
    pub async fn flush(&self, input: bool, output: bool) -> Result<(), PortError> {
        match self {
            Self::Stream(_) => Ok(()),
            Self::Serial(port) => port.flush(input, output).await,
            Self::Rfc2217(port) => port.flush(input, output).await,
        }
    }
}
