//! The key switch: where it stands, read from a line of a GPIO chip or from a file.
//!
//! What cannot be read is off, whatever the mode: nobody could turn it off otherwise.

use std::{fs::File, io, os::fd::OwnedFd, path::Path, time::Duration};

use tokio::{
    net::unix::pipe,
    time::{sleep, timeout},
};

use crate::{
    config::{GpioLine, KeySwitch, SwitchSource},
    sys::gpio,
};

/// How often a file is looked at.
const FILE_INTERVAL: Duration = Duration::from_millis(500);

/// How soon a line that cannot be had is asked for again; a line is looked at as often, whether an
/// edge was told or not.
const LINE_INTERVAL: Duration = Duration::from_secs(1);

/// How long a contact has to rest before it counts, in microseconds.
const DEBOUNCE_US: u32 = 50_000;

/// Where the switch stands, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub on: bool,
    pub why: String,
}

impl Position {
    fn of(rules: &KeySwitch, closed: io::Result<bool>, what: &str) -> Self {
        match closed {
            Ok(closed) => {
                let is = match (&rules.source, closed) {
                    (SwitchSource::File(_), true) => "is there",
                    (SwitchSource::File(_), false) => "is not there",
                    (SwitchSource::Gpio(_), true) => "is active",
                    (SwitchSource::Gpio(_), false) => "is not active",
                };
                Self { on: closed != rules.disables, why: format!("{what} {is}") }
            }
            Err(error) => Self { on: false, why: format!("{what} cannot be read: {error}") },
        }
    }
}

/// The switch as it stands now.
pub(crate) fn look(rules: &KeySwitch) -> Position {
    match &rules.source {
        SwitchSource::File(path) => file(rules, path),
        SwitchSource::Gpio(line) => {
            let closed = request(line).and_then(|line| gpio::is_active(&line));
            Position::of(rules, closed, &name(line))
        }
    }
}

/// Tells each of its positions, until dropped; the first at once.
pub(crate) async fn follow(rules: &KeySwitch, turned: impl Fn(Position) + Send) {
    match &rules.source {
        SwitchSource::File(path) => loop {
            turned(file(rules, path));
            sleep(FILE_INTERVAL).await;
        },
        SwitchSource::Gpio(line) => loop {
            let Err(error) = follow_line(rules, line, &turned).await;
            turned(Position::of(rules, Err(error), &name(line)));
            sleep(LINE_INTERVAL).await;
        },
    }
}

fn file(rules: &KeySwitch, path: &Path) -> Position {
    Position::of(rules, path.try_exists(), &path.display().to_string())
}

fn name(line: &GpioLine) -> String {
    format!("line {} of {}", line.line, line.chip)
}

fn request(line: &GpioLine) -> io::Result<OwnedFd> {
    let chip = File::options().read(true).write(true).open(Path::new("/dev").join(&line.chip))?;
    let active = if line.active_low { gpio::ACTIVE_LOW } else { 0 };
    let bias = if line.pulls_up { gpio::BIAS_PULL_UP } else { gpio::BIAS_PULL_DOWN };
    gpio::input(&chip, line.line, (active | bias, DEBOUNCE_US))
}

/// Follows a line until it cannot be read any more.
async fn follow_line(
    rules: &KeySwitch,
    line: &GpioLine,
    turned: &(impl Fn(Position) + Send),
) -> Result<std::convert::Infallible, io::Error> {
    let descriptor = request(line)?;
    rustix::io::ioctl_fionbio(&descriptor, true)?;
    // It is no pipe, but read like one: what is readable are its edges.
    let edges = pipe::Receiver::from_owned_fd_unchecked(descriptor)?;
    loop {
        let closed = gpio::is_active(&edges)?;
        turned(Position::of(rules, Ok(closed), &name(line)));
        if let Ok(ready) = timeout(LINE_INTERVAL, edges.readable()).await {
            ready?;
            // What the edges were does not matter: the level that they led to does.
            match edges.try_read(&mut [0; 48 * 16]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
    }
}
