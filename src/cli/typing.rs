//! The terminal that somebody types in, treated differently for as long as a [`Typing`] lives.

#[cfg(unix)]
mod posix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(super) use self::posix::Typing;
#[cfg(windows)]
pub(super) use self::windows::Typing;
