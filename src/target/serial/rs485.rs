//! RS-485 direction control by the driver: the transmitter is switched by RTS or by the hardware
//! (TIOCSRS485).

use std::{os::fd::BorrowedFd, time::Duration};

use super::super::PortError;
use crate::{
    config::Rs485,
    sys::ioctl::{self, Rs485Bits},
};

/// Switches direction control on; returns a note if the driver set it differently.
///
/// # Errors
/// `BadSettings` if the driver has no direction control.
pub(super) fn set(fd: BorrowedFd<'_>, rs485: Rs485) -> Result<Option<String>, PortError> {
    let milliseconds = |delay: Duration| u32::try_from(delay.as_millis()).unwrap_or(u32::MAX);
    let flags = [
        (rs485.rts_on_send, Rs485Bits::RTS_ON_SEND),
        (rs485.rts_after_send, Rs485Bits::RTS_AFTER_SEND),
        (rs485.rx_during_tx, Rs485Bits::RX_DURING_TX),
        (rs485.terminate, Rs485Bits::TERMINATE_BUS),
    ];
    let flags =
        flags.iter().filter(|(on, _)| *on).fold(Rs485Bits::ENABLED, |sum, (_, bit)| sum | bit);
    let asked =
        Rs485Bits::new(flags, milliseconds(rs485.delay_before), milliseconds(rs485.delay_after));
    match ioctl::set_rs485(fd, asked).map_err(PortError::from) {
        Ok(got) if got.flags & Rs485Bits::ENABLED == 0 => Err(no_rs485()),
        Ok(got) if got != asked => {
            Ok(Some(format!("asked for RS-485 as {asked}, the driver set {got}")))
        }
        Ok(_) => Ok(None),
        Err(PortError::Unsupported) => Err(no_rs485()),
        Err(error) => Err(error),
    }
}

/// Without direction control nothing would leave a half-duplex bus, or nothing else could get on
/// it.
fn no_rs485() -> PortError {
    PortError::BadSettings(
        "the driver has no RS-485 direction control; remove `rs485` if the adapter switches by itself".into(),
    )
}
