//! The system calls that no safe crate offers, and the kernel's words for a serial line.

#[cfg(windows)]
pub(crate) mod console;
#[cfg(unix)]
pub(crate) mod gpio;
#[cfg(unix)]
pub(crate) mod ioctl;
#[cfg(unix)]
pub(crate) mod termios;
