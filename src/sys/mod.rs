//! The kernel calls that no safe crate offers, and the kernel's words for a serial line.

pub(crate) mod ioctl;
pub(crate) mod termios;
