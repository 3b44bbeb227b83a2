//! One line of a GPIO chip as an input: the character device's uAPI v2.
//!
//! Source: `include/uapi/linux/gpio.h` of Linux 5.10 and later.
#![expect(unsafe_code, reason = "ioctl takes an untyped pointer, and one gives a new descriptor")]

use std::{
    io,
    os::fd::{AsFd, FromRawFd, OwnedFd},
};

use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

/// Active means a low voltage.
pub(crate) const ACTIVE_LOW: u64 = 1 << 1;
const INPUT: u64 = 1 << 2;
const EDGE_RISING: u64 = 1 << 4;
const EDGE_FALLING: u64 = 1 << 5;
/// The chip pulls the line up.
pub(crate) const BIAS_PULL_UP: u64 = 1 << 8;
/// The chip pulls the line down.
pub(crate) const BIAS_PULL_DOWN: u64 = 1 << 9;

/// `struct gpio_v2_line_config`
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(8))]
struct Config {
    flags: u64,
    num_attrs: u32,
    padding: [u32; 5],
    /// Attributes of single lines, of which none is used.
    attrs: [[u64; 3]; 10],
}

/// `struct gpio_v2_line_request`
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
struct Request {
    offsets: [u32; 64],
    consumer: [u8; 32],
    config: Config,
    num_lines: u32,
    event_buffer_size: u32,
    padding: [u32; 5],
    fd: i32,
}

/// `struct gpio_v2_line_values`
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(8))]
struct Values {
    bits: u64,
    mask: u64,
}

const GET_LINE: Opcode = opcode::read_write::<Request>(0xB4, 0x07);
const GET_VALUES: Opcode = opcode::read_write::<Values>(0xB4, 0x0E);

impl Request {
    fn new(line: u32, flags: u64) -> Self {
        let mut offsets = [0; 64];
        if let Some(first) = offsets.first_mut() {
            *first = line;
        }
        let mut consumer = [0; 32];
        for (to, from) in consumer.iter_mut().zip(*b"wsbridge key switch") {
            *to = from;
        }
        let flags = flags | INPUT | EDGE_RISING | EDGE_FALLING;
        let config = Config { flags, ..Config::default() };
        Self {
            offsets,
            consumer,
            config,
            num_lines: 1,
            event_buffer_size: 0,
            padding: [0; 5],
            fd: -1,
        }
    }
}

/// `GPIO_V2_GET_LINE_IOCTL`: asks an open chip for a line as an input, with these flags. The
/// descriptor can be read when an edge has come.
///
/// # Errors
/// EBUSY if somebody else has the line, EINVAL if the chip has none of that number, ENXIO if it does
/// not tell edges.
pub(crate) fn input(chip: impl AsFd, line: u32, flags: u64) -> io::Result<OwnedFd> {
    let mut request = Request::new(line, flags);
    // SAFETY: GPIO_V2_GET_LINE_IOCTL reads one gpio_v2_line_request and writes it back; every bit
    // pattern of it is valid.
    unsafe { ioctl(chip, Updater::<GET_LINE, Request>::new(&mut request)) }?;
    if request.fd < 0 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // SAFETY: the kernel has just opened this descriptor for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(request.fd) })
}

/// `GPIO_V2_LINE_GET_VALUES_IOCTL`: whether the line is active.
pub(crate) fn is_active(line: impl AsFd) -> io::Result<bool> {
    let mut values = Values { bits: 0, mask: 1 };
    // SAFETY: GPIO_V2_LINE_GET_VALUES_IOCTL reads one gpio_v2_line_values and writes it back.
    unsafe { ioctl(line, Updater::<GET_VALUES, Values>::new(&mut values)) }?;
    Ok(values.bits & 1 == 1)
}

#[cfg(test)]
mod tests {
    use std::mem::{offset_of, size_of};

    use super::*;

    /// The sizes and places in `linux/gpio.h`, and the numbers that follow from them.
    #[test]
    fn the_request_has_the_kernels_layout() {
        assert_eq!(size_of::<Config>(), 272);
        assert_eq!((size_of::<Request>(), size_of::<Values>()), (592, 16));
        assert_eq!((offset_of!(Config, num_attrs), offset_of!(Config, attrs)), (8, 32));
        assert_eq!((offset_of!(Request, consumer), offset_of!(Request, config)), (256, 288));
        assert_eq!((offset_of!(Request, num_lines), offset_of!(Request, fd)), (560, 588));
        let request = Request::new(17, ACTIVE_LOW | BIAS_PULL_UP);
        assert_eq!((request.offsets[0], request.num_lines, request.config.flags), (17, 1, 0x136));
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "arm"))]
        assert_eq!((GET_LINE, GET_VALUES), (0xC250_B407, 0xC010_B40E));
    }
}
