//! What an endpoint reaches, opened: a stream for a dedicated session, or a device for a line.

pub(crate) mod dial_in;
mod port;
pub(crate) mod rfc2217;
pub(crate) mod serial;
pub(crate) mod sim;
pub(crate) mod tcp;
pub(crate) mod tls;
mod udp;

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

pub(crate) use self::dial_in::Desk;
pub(crate) use self::port::Port;
pub(crate) use self::udp::is_too_long;

use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::sleep,
};

use self::dial_in::Reception;
use crate::{
    config::{DialInTarget, Target},
    settings::{LineEvent, UsbId},
    stream::{self, Outstanding},
    wire::close::Refusal,
};

/// What a device sends: clean bytes, and what happened on the line in between.
pub trait Source: Send {
    /// Reads into `buf`. What happened on the line is added to `marks`, each with the number of
    /// bytes of this read that come before it. Nothing read and nothing marked means the device is
    /// gone, if it [`ends`](Self::ends).
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        marks: &mut Vec<(usize, LineEvent)>,
    ) -> Poll<io::Result<()>>;

    /// Whether it has an end. Datagrams have none, and a datagram may be empty.
    fn ends(&self) -> bool {
        true
    }
}

/// A stream on which nothing but bytes happens.
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

/// Only a source's bytes, for tests.
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
    /// USB vendor and product number of the adapter, if there is one.
    pub usb: Option<UsbId>,
    /// What the driver did not accept as configured, one sentence each.
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

/// What is kept of a target between its openings: what was learnt of it, and our address where it
/// connects to us.
#[derive(Debug, Default)]
pub(crate) struct Learnt {
    rfc2217: rfc2217::PeerLimits,
    udp: udp::Learnt,
    desk: Option<Desk>,
    reception: Option<Reception>,
}

impl Learnt {
    /// Nothing yet; `desk` is for devices that connect to us.
    pub(crate) fn new(desk: Desk) -> Self {
        Self { desk: Some(desk), ..Self::default() }
    }

    /// Our address where the device connects, listened on from the first opening.
    fn reception(&mut self, target: &DialInTarget) -> Result<&Reception, OpenError> {
        if self.reception.is_none() {
            let nobody = || OpenError::Unfit("only a line is connected to".into());
            let desk = self.desk.as_ref().ok_or_else(nobody)?;
            self.reception = Some(Reception::open(target, desk)?);
        }
        self.reception.as_ref().ok_or_else(|| OpenError::Unfit("nobody listens".into()))
    }
}

/// Opens a target for a line for the first time.
pub async fn open(target: &Target) -> Result<Device, OpenError> {
    open_again(target, &mut Learnt::default()).await
}

/// Opens a target for a line, using what was learnt at earlier openings.
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
        Target::DialIn(device) => learnt.reception(device)?.device(device),
        Target::Serial(serial) => serial::open(serial).await,
        Target::Rfc2217(remote) => rfc2217::open(remote, &mut learnt.rfc2217).await,
        Target::Udp(udp) => udp::open(udp, &mut learnt.udp).await,
        // The daemon replaces a simulated device by its real address before anything is opened.
        Target::Sim(_) => Err(OpenError::Absent("the simulated device was not started".into())),
    }
}

/// The USB numbers of a target's adapter, if they can be known without opening it.
pub(crate) async fn usb(target: &Target) -> Option<UsbId> {
    match target {
        Target::Serial(serial) => serial::usb_of(&serial.port).await,
        Target::Tcp(_)
        | Target::DialIn(_)
        | Target::Rfc2217(_)
        | Target::Udp(_)
        | Target::Sim(_) => target.stated_usb(),
    }
}

/// Pause between attempts to reach an absent target where nothing announces its arrival: less than
/// the second within which a plugged-in device has to be noticed.
const REOPEN_PAUSE: Duration = Duration::from_millis(500);

/// Pause between attempts to reach a host that refuses or does not answer.
const DIAL_AGAIN: Duration = Duration::from_secs(1);

/// Ready when it is worth trying again to open a target that was not there, of which nothing is
/// known.
pub async fn appeared(target: &Target) {
    appeared_again(target, &Learnt::default()).await;
}

/// The same with what is kept of it: within milliseconds for a serial device that arrives and for
/// one that connects to us, for anything else after a pause. Can be dropped at any time.
pub(crate) async fn appeared_again(target: &Target, learnt: &Learnt) {
    match target {
        Target::DialIn(_) => match &learnt.reception {
            Some(reception) => reception.arrived().await,
            None => sleep(DIAL_AGAIN).await,
        },
        Target::Serial(serial) => serial::appeared(serial, REOPEN_PAUSE).await,
        Target::Tcp(_) | Target::Rfc2217(_) | Target::Udp(_) => sleep(DIAL_AGAIN).await,
        Target::Sim(_) => sleep(REOPEN_PAUSE).await,
    }
}

/// Why a target could not be opened.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OpenError {
    /// The device or the host name does not exist (at present).
    #[error("{0}")]
    Absent(String),
    /// Somebody else has the device; the text names the process if it can be found out.
    #[error("{0}")]
    InUse(String),
    /// We may not: the device file's permissions forbid it, or a console or getty uses it.
    #[error("{0}")]
    Denied(String),
    /// The host refused, or the network did.
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
    /// DTR and RTS can be set.
    pub signals: bool,
    /// Break can be sent.
    pub brk: bool,
    /// CTS, DSR, DCD and RI can be read.
    pub inputs: bool,
    /// Receive errors are counted and located.
    pub errors: bool,
    /// It can tell when the wire is idle.
    pub drain: bool,
    /// Messages to a Modbus bus are kept apart by idle wire. The line does that, if the port can
    /// tell when it is idle.
    pub gap: bool,
    /// What is sent in one piece arrives as one, in both directions.
    pub datagrams: bool,
}

/// The state of a port's wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Everything written has left it, or reached the far end if there is no wire.
    Idle,
    /// Not everything has: the driver holds this much, and an adapter less than a FIFO.
    Busy(usize),
    /// Everything has left us; whether it has left the device cannot be known.
    HandedOn,
}

/// Bytes that were written and are not known to be on the wire, or at the next hop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// How many there are.
    pub bytes: usize,
    /// There may be fewer.
    pub at_most: bool,
}

impl Held {
    fn of(outstanding: Outstanding) -> Self {
        let bytes = usize::try_from(outstanding.bytes).unwrap_or(usize::MAX);
        Self { bytes, at_most: !outstanding.exact }
    }
}

/// Why a port did not do what it was told.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PortError {
    /// Not with this kind of port, or not with this driver.
    #[error("this port cannot do that")]
    Unsupported,
    /// The driver did not accept the settings; the sentence says what it made of them. The line is
    /// as before.
    #[error("{0}")]
    BadSettings(String),
    /// The device is gone or broken.
    #[error("{0}")]
    Failed(String),
    /// The device did not carry out this one request (EPIPE, EIO), or is gone.
    #[error("the device refused this request")]
    Stalled,
    /// The line takes nothing, and this had to wait until it does.
    #[error("the line accepts no data")]
    Stuck,
}
