//! The controls of an opened device, of any kind.

use std::{pin::Pin, sync::Arc, time::Duration};

use super::{Caps, Held, PortError, Wire, rfc2217, serial};
use crate::{
    settings::{ErrorCounts, Inputs, Levels, Settings},
    stream::{NextHop as _, StreamProbe},
};

/// The controls of an opened device. Cheap to clone; every call is safe during reads and writes.
#[derive(Clone, Debug)]
pub enum Port {
    /// A stream without controls.
    Stream(StreamProbe),
    /// Datagrams; nobody acknowledges them.
    Datagrams,
    /// A tty.
    Serial(Arc<serial::SerialPort>),
    /// A serial port on another box.
    Rfc2217(Arc<rfc2217::RemotePort>),
}

impl From<Arc<rfc2217::RemotePort>> for Port {
    fn from(port: Arc<rfc2217::RemotePort>) -> Self {
        Self::Rfc2217(port)
    }
}

impl Port {
    /// What it can do.
    pub fn caps(&self) -> Caps {
        match self {
            Self::Stream(_) => Caps::default(),
            Self::Datagrams => Caps { datagrams: true, ..Caps::default() },
            Self::Serial(port) => port.caps(),
            Self::Rfc2217(port) => port.caps(),
        }
    }

    /// The settings as the driver has them now.
    pub async fn settings(&self) -> Result<Settings, PortError> {
        match self {
            Self::Stream(_) | Self::Datagrams => Err(PortError::Unsupported),
            Self::Serial(port) => port.settings().await,
            Self::Rfc2217(port) => port.settings(),
        }
    }

    /// Sets the port and reads the settings back; after an error the port is as before.
    pub async fn configure(&self, settings: Settings) -> Result<(), PortError> {
        match self {
            Self::Stream(_) | Self::Datagrams => Err(PortError::Unsupported),
            Self::Serial(port) => port.configure(settings).await,
            Self::Rfc2217(port) => port.configure(settings).await,
        }
    }

    /// Sets DTR and RTS together (one TIOCMSET, one write) and starts or ends a break.
    pub async fn set(&self, levels: Levels) -> Result<(), PortError> {
        match self {
            Self::Stream(_) | Self::Datagrams => Err(PortError::Unsupported),
            Self::Serial(port) => port.set(levels).await,
            Self::Rfc2217(port) => port.set(levels).await,
        }
    }

    /// CTS, DSR, DCD and RI as they are now.
    pub async fn inputs(&self) -> Result<Inputs, PortError> {
        match self {
            Self::Stream(_) | Self::Datagrams => Err(PortError::Unsupported),
            Self::Serial(port) => port.inputs().await,
            Self::Rfc2217(port) => port.inputs(),
        }
    }

    /// Ready when CTS, DSR, DCD or RI differ from `last`, with their state now; both edges of a
    /// short pulse are returned one after the other, if the driver counts them. Can be dropped at
    /// any time.
    pub async fn inputs_changed(&self, last: Inputs) -> Result<Inputs, PortError> {
        match self {
            Self::Stream(_) | Self::Datagrams => Err(PortError::Unsupported),
            Self::Serial(port) => port.inputs_changed(last).await,
            Self::Rfc2217(port) => port.inputs_changed(last).await,
        }
    }

    /// The driver's error counters.
    pub async fn errors(&self) -> Result<ErrorCounts, PortError> {
        match self {
            Self::Stream(_) | Self::Datagrams => Err(PortError::Unsupported),
            Self::Serial(port) => port.errors().await,
            Self::Rfc2217(port) => Ok(port.errors()),
        }
    }

    /// Bytes that the driver took and has not put on the wire (TIOCOUTQ), or that the network took
    /// and has not acknowledged.
    pub fn unsent(&self) -> usize {
        match self {
            Self::Datagrams => 0,
            Self::Stream(gauge) => usize::try_from(gauge.outstanding().bytes).unwrap_or(usize::MAX),
            Self::Serial(port) => port.unsent(),
            Self::Rfc2217(port) => port.unsent(),
        }
    }

    /// Bytes written that may not be on the wire or at the next hop; for a device that is gone,
    /// those lost with it.
    pub fn held(&self) -> Held {
        match self {
            Self::Stream(gauge) => Held::of(gauge.outstanding()),
            Self::Datagrams => Held::default(),
            Self::Serial(port) => port.held(),
            Self::Rfc2217(port) => Held::of(port.outstanding()),
        }
    }

    /// Whether the other side shows that it is alive, but takes nothing; a tty has nobody to
    /// answer.
    pub fn answers(&self) -> bool {
        let sample = match self {
            Self::Stream(gauge) => gauge.sample(),
            Self::Rfc2217(port) => port.sample(),
            Self::Datagrams | Self::Serial(_) => None,
        };
        sample.is_some_and(|sample| sample.answers())
    }

    /// The state of the wire. Asking a chip takes a moment; a port that is gone counts as idle.
    pub async fn wire(&self) -> Result<Wire, PortError> {
        match self {
            Self::Stream(_) => Ok(match self.unsent() {
                0 => Wire::Idle,
                unsent => Wire::Busy(unsent),
            }),
            Self::Datagrams => Ok(Wire::HandedOn),
            Self::Serial(port) => port.wire().await,
            Self::Rfc2217(port) => Ok(match port.unsent() {
                0 => Wire::HandedOn,
                unsent => Wire::Busy(unsent),
            }),
        }
    }

    /// Whether a driver is still sending. Once gone it cannot be asked, so we look while it is
    /// there.
    pub(crate) fn is_sending(&self) -> bool {
        match self {
            Self::Stream(_) | Self::Datagrams | Self::Rfc2217(_) => false,
            Self::Serial(port) => port.is_sending(),
        }
    }

    /// How long the wire needs for what an adapter may hold.
    pub fn adapter_time(&self) -> Duration {
        match self {
            Self::Stream(_) | Self::Datagrams | Self::Rfc2217(_) => Duration::ZERO,
            Self::Serial(port) => port.adapter_time(),
        }
    }

    /// Whether what was flushed but is still held goes away when the device is closed.
    pub fn forgets_when_closed(&self) -> bool {
        matches!(self, Self::Serial(_))
    }

    /// Ready when the device is closed, which happens once everything that shares it is gone: then
    /// it can be opened again.
    pub fn closed(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        match self {
            Self::Stream(_) | Self::Datagrams | Self::Rfc2217(_) => {
                Box::pin(std::future::ready(()))
            }
            Self::Serial(port) => Box::pin(port.closed()),
        }
    }

    /// Discards what the driver has received (`input`) or not yet sent (`output`): tcflush.
    pub async fn flush(&self, input: bool, output: bool) -> Result<(), PortError> {
        match self {
            Self::Stream(_) | Self::Datagrams => Ok(()),
            Self::Serial(port) => port.flush(input, output).await,
            Self::Rfc2217(port) => port.flush(input, output).await,
        }
    }
}
