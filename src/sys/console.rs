//! The console of Windows: how it treats what is typed and what is shown.

use std::{
    io,
    os::windows::io::{AsRawHandle as _, BorrowedHandle},
};

use windows_sys::Win32::System::Console::{
    CONSOLE_MODE, ENABLE_ECHO_INPUT, ENABLE_LINE_INPUT, ENABLE_PROCESSED_INPUT,
    ENABLE_VIRTUAL_TERMINAL_INPUT, ENABLE_VIRTUAL_TERMINAL_PROCESSING, GetConsoleMode,
    SetConsoleMode,
};

/// A mode: bits that `GetConsoleMode` gives and `SetConsoleMode` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConsoleMode(CONSOLE_MODE);

impl ConsoleMode {
    /// The one that a console is in.
    ///
    /// # Errors
    /// It is no console.
    #[expect(unsafe_code, reason = "no safe crate has it")]
    pub(crate) fn of(console: BorrowedHandle<'_>) -> io::Result<Self> {
        let mut mode = 0;
        // SAFETY: the handle is open for as long as it is borrowed, and `mode` is written to.
        let done = unsafe { GetConsoleMode(console.as_raw_handle(), &raw mut mode) };
        if done == 0 { Err(io::Error::last_os_error()) } else { Ok(Self(mode)) }
    }

    /// Puts a console into it.
    ///
    /// # Errors
    /// It is no console, or has no such mode.
    #[expect(unsafe_code, reason = "no safe crate has it")]
    pub(crate) fn set(self, console: BorrowedHandle<'_>) -> io::Result<()> {
        // SAFETY: the handle is open for as long as it is borrowed.
        let done = unsafe { SetConsoleMode(console.as_raw_handle(), self.0) };
        if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// For standard input: what is typed is not shown.
    pub(crate) fn unseen(self) -> Self {
        Self(self.0 & !ENABLE_ECHO_INPUT)
    }

    /// For standard input: every key comes as it is typed, arrows as terminals send them.
    pub(crate) fn raw(self) -> Self {
        let cooked = ENABLE_ECHO_INPUT | ENABLE_LINE_INPUT | ENABLE_PROCESSED_INPUT;
        Self(self.0 & !cooked | ENABLE_VIRTUAL_TERMINAL_INPUT)
    }

    /// For standard output: escape sequences do what they do in terminals.
    pub(crate) fn shows_sequences(self) -> Self {
        Self(self.0 | ENABLE_VIRTUAL_TERMINAL_PROCESSING)
    }
}
