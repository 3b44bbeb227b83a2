//! The kernel's calls that no safe crate has, and its words for a serial line.

pub(crate) mod ioctl;
pub(crate) mod termios;
