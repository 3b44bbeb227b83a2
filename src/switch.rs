//! The key switch: where it stands, read from a line of a GPIO chip or from a file.
//!
//! What cannot be read is off, whatever the mode: nobody could turn it off otherwise.

use std::{fs::File, io, path::Path, time::Duration};

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

/// How long a contact has to rest before it counts.
const REST: Duration = Duration::from_millis(50);

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
pub(crate) async fn look(rules: &KeySwitch) -> Position {
    match &rules.source {
        SwitchSource::File(path) => file(rules, path),
        SwitchSource::Gpio(line) => {
            let closed = match Contact::open(line) {
                Ok(contact) => contact.rested().await,
                Err(error) => Err(error),
            };
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

/// Follows a line until it cannot be read any more.
async fn follow_line(
    rules: &KeySwitch,
    line: &GpioLine,
    turned: &(impl Fn(Position) + Send),
) -> Result<std::convert::Infallible, io::Error> {
    let contact = Contact::open(line)?;
    loop {
        let closed = contact.rested().await?;
        turned(Position::of(rules, Ok(closed), &name(line)));
        if let Ok(ready) = timeout(LINE_INTERVAL, contact.0.readable()).await {
            ready?;
        }
    }
}

/// A line that somebody's contact moves. It is no pipe, but read like one: what is readable are its
/// edges.
struct Contact(pipe::Receiver);

impl Contact {
    fn open(line: &GpioLine) -> io::Result<Self> {
        let chip =
            File::options().read(true).write(true).open(Path::new("/dev").join(&line.chip))?;
        let active = if line.active_low { gpio::ACTIVE_LOW } else { 0 };
        let bias = if line.pulls_up { gpio::BIAS_PULL_UP } else { gpio::BIAS_PULL_DOWN };
        let descriptor = gpio::input(&chip, line.line, active | bias)?;
        rustix::io::ioctl_fionbio(&descriptor, true)?;
        Ok(Self(pipe::Receiver::from_owned_fd_unchecked(descriptor)?))
    }

    /// Whether it is closed, once it has rested. The kernel's debounce is not used: it takes the
    /// level right after the pull is switched on, while a long wire is still being charged, and keeps
    /// what it had for as long as the line never rests.
    ///
    /// # Errors
    /// Of the line; or it did not rest within [`LINE_INTERVAL`], as an open wire that picks up hum.
    async fn rested(&self) -> io::Result<bool> {
        let moves = async {
            self.moved()?;
            loop {
                sleep(REST).await;
                if !self.moved()? {
                    return gpio::is_active(&self.0);
                }
            }
        };
        let restless = || io::Error::other("it does not rest; is it wired, and pulled?");
        timeout(LINE_INTERVAL, moves).await.unwrap_or_else(|_elapsed| Err(restless()))
    }

    /// Whether edges have come since the last time. What they were does not matter: the level that
    /// they led to does.
    fn moved(&self) -> io::Result<bool> {
        match self.0.try_read(&mut [0; 48 * 16]) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}
