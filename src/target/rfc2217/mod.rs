//! A serial port on another box (RFC 2217): ser2net, Moxa, Digi, esptool's server. Connects,
//! negotiates, sets.

mod heard;
mod link;
mod port;
mod reader;
mod sentence;

use std::{
    future::{Future, poll_fn},
    io,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{io::ReadBuf, time::timeout};

pub(crate) use self::port::RemotePort;
use self::{
    heard::{PeerState, names},
    link::SharedConnection,
    reader::CommandReader,
};
use super::{Device, OpenError, PortError, Source, tcp};
use crate::{
    config::{PortControl, Rfc2217Target},
    settings::LineEvent,
    wire::telnet::{
        Role, Side,
        comport::{self, ComPortCommand},
    },
};

/// How long the lesser options may still take once the port can be controlled.
const LESSER_OPTIONS_WAIT: Duration = Duration::from_millis(500);

/// How long a peer has to confirm settings, unless `connect_timeout` is shorter.
const CONFIRM: Duration = Duration::from_secs(3);

/// How long a connection that fails while being opened may still say why.
const FAILURE_REASON_WAIT: Duration = Duration::from_millis(500);

/// The most data kept from before the port is set; more is dropped, as by a port that nobody has
/// opened, and counted.
const BEFORE_SETTINGS_MAX: usize = 64 * 1024;

/// The most marks kept with it.
const EARLY_MARKS_MAX: usize = 1024;

/// What earlier connections of a line have shown about the peer, so that we do not wait at each for
/// what it never answers.
#[derive(Debug, Default)]
pub(crate) struct PeerLimits {
    /// The port of the last connection, which may have received a late answer since.
    port: Option<Arc<RemotePort>>,
    /// The peer answered none of the options that decide whether the port can be controlled.
    mute: bool,
}

/// Connects, negotiates (within `connect_timeout` once more), sets the port, and accepts what the
/// peer confirms.
///
/// # Errors
/// Those of [`tcp::connect`]; no answer to an option in time; COM-PORT-OPTION refused although it
/// is required; a frame that the peer does not accept.
pub(crate) async fn open(
    target: &Rfc2217Target,
    learnt: &mut PeerLimits,
) -> Result<Device, OpenError> {
    let place = target.tcp.address.to_string();
    let (mut reader, writer, link) =
        reader::split(&place, tcp::connect(&target.tcp).await?, target.tcp.dead_after);
    let mut early = Early::default();
    let mut notes = Vec::new();
    let patience = target.tcp.connect_timeout;
    let agreed =
        agree(&link, if learnt.mute { LESSER_OPTIONS_WAIT.min(patience) } else { patience });
    let agreed = beside(&mut reader, &mut early, &place, agreed).await?;
    learnt.mute = matches!(agreed, Err(NoControl::Silent(..)));
    let control = match agreed {
        Ok(()) => true,
        Err(error) if target.control == PortControl::Required => {
            return Err(explain(&place, &error));
        }
        Err(error) => {
            notes.push(format!("no control of the port: {error}"));
            false
        }
    };
    notes.extend(shortcomings(&link.heard()));
    let silent = learnt.port.as_ref().map(|port| port.silent()).unwrap_or_default();
    let port = RemotePort::new(
        Arc::clone(&link),
        control,
        target.settings,
        CONFIRM.min(patience),
        &silent,
    );
    if control {
        match beside(&mut reader, &mut early, &place, set_up(&port, target)).await? {
            Ok(set) => notes.extend(set),
            // The peer takes nothing more; it may have said why.
            Err(PortError::Failed(why)) => {
                let why =
                    timeout(FAILURE_REASON_WAIT, early.fill(&mut reader)).await.unwrap_or(why);
                return Err(ended(&place, &why));
            }
            Err(error) => return Err(failed(&place, &error)),
        }
    }
    notes.extend((early.dropped > 0).then(|| {
        format!("{} bytes that came before the port was set were dropped", early.dropped)
    }));
    let reader = Box::new(Negotiated { early, reader });
    let port = Arc::new(port);
    learnt.port = Some(Arc::clone(&port));
    Ok(Device { reader, writer: Box::new(writer), port: port.into(), usb: target.tcp.usb, notes })
}

/// Why the port cannot be controlled.
enum NoControl {
    Refused,
    /// These options were not answered.
    Silent(Vec<&'static str>, Duration),
}

impl std::fmt::Display for NoControl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused => f.write_str("the peer refuses COM-PORT-OPTION"),
            Self::Silent(options, within) => {
                write!(f, "no answer to {} within {} s", options.join(", "), within.as_secs_f32())
            }
        }
    }
}

fn explain(place: &str, error: &NoControl) -> OpenError {
    let advice =
        "is it an RFC 2217 server? For telnet without control of the port: `control: optional`";
    let text = format!("{place}: {error}; {advice}");
    match error {
        NoControl::Refused => OpenError::Unfit(text),
        NoControl::Silent(..) => OpenError::Timeout(text),
    }
}

/// Waits until the port can be controlled and the rest is answered, or until that turns out to be
/// impossible.
async fn agree(link: &SharedConnection, within: Duration) -> Result<(), NoControl> {
    let mut heard = link.subscribe();
    let decided =
        |heard: &PeerState| heard.options.control() || heard.options.com_port.us.is_refused();
    let late = timeout(within, heard.wait_for(decided)).await.is_err();
    if link.heard().options.control() {
        let rest = |heard: &PeerState| unanswered(heard).is_empty();
        let _ = timeout(LESSER_OPTIONS_WAIT.min(within), heard.wait_for(rest)).await;
        return Ok(());
    }
    if late {
        Err(NoControl::Silent(unanswered(&link.heard()), within))
    } else {
        Err(NoControl::Refused)
    }
}

/// The names of options that we requested and heard nothing about, each once.
fn unanswered(heard: &PeerState) -> Vec<&'static str> {
    let asked = heard.options.asked();
    let mut names: Vec<_> =
        asked.iter().filter(|(_, side)| side.is_asked()).map(|(option, _)| option.name()).collect();
    names.dedup();
    names
}

/// What a peer without BINARY or SGA may do to the bytes. Nothing is said about a peer that answers
/// no option at all.
fn shortcomings(heard: &PeerState) -> Vec<String> {
    let binary = [heard.options.binary.us, heard.options.binary.them];
    let answered = heard.options.asked().iter().any(|(_, side)| !side.is_asked());
    let without = answered && !binary.into_iter().all(Side::is_on);
    let how = if binary.into_iter().any(Side::is_refused) { "refuses" } else { "did not answer" };
    let note =
        format!("the peer {how} BINARY: CR goes as CR NUL, and it may change bytes over 127");
    without.then_some(note).into_iter().collect()
}

/// First the masks, so that modem lines are reported before the settings are confirmed; then the
/// settings, then the lines.
async fn set_up(port: &RemotePort, target: &Rfc2217Target) -> Result<Vec<String>, PortError> {
    let mut wire = Vec::new();
    ComPortCommand::LineMask(comport::LINE_MASK).encode(Role::Client, &mut wire);
    ComPortCommand::ModemMask(comport::MODEM_MASK).encode(Role::Client, &mut wire);
    port.send(&wire).await?;
    let outcome = port.apply(target.settings).await?;
    if let Some(frame) = outcome.frame {
        return Err(PortError::BadSettings(frame));
    }
    if !target.on_open.is_empty() {
        port.set(target.on_open).await?;
    }
    let silent = (!outcome.unconfirmed.is_empty())
        .then(|| format!("the peer did not confirm {}", names(&outcome.unconfirmed)));
    Ok(outcome.rate.into_iter().chain(silent).collect())
}

fn ended(place: &str, why: &str) -> OpenError {
    OpenError::Refused(format!("{place}: {why} while it was being opened"))
}

fn failed(place: &str, error: &PortError) -> OpenError {
    match error {
        PortError::BadSettings(why) => OpenError::Unfit(format!("{place}: {why}")),
        PortError::Unsupported => {
            OpenError::Unfit(format!("{place}: the port does not take settings"))
        }
        PortError::Failed(_) | PortError::Stalled | PortError::Stuck => {
            OpenError::Refused(format!("{place}: {error}"))
        }
    }
}

/// Runs `work` while somebody reads, which it depends on.
async fn beside<T>(
    reader: &mut CommandReader,
    early: &mut Early,
    place: &str,
    work: impl Future<Output = T>,
) -> Result<T, OpenError> {
    tokio::select! {
        biased;
        why = early.fill(reader) => Err(ended(place, &why)),
        done = work => Ok(done),
    }
}

/// What arrived before the device was handed over.
#[derive(Debug, Default)]
struct Early {
    bytes: Vec<u8>,
    marks: Vec<(usize, LineEvent)>,
    /// Bytes that there was no room for.
    dropped: usize,
}

impl Early {
    /// Reads until the connection ends; returns why it did. Dropping it loses nothing.
    async fn fill(&mut self, reader: &mut CommandReader) -> String {
        let mut buf = vec![0; 4096];
        let mut marks = Vec::new();
        loop {
            let mut read = ReadBuf::new(&mut buf);
            let result = poll_fn(|cx| reader.poll_read(cx, &mut read, &mut marks)).await;
            if let Err(error) = result {
                return error.to_string();
            }
            if read.filled().is_empty() && marks.is_empty() {
                return "the peer closed the connection".into();
            }
            let before = self.bytes.len();
            let (kept, dropped) =
                read.filled().split_at(read.filled().len().min(BEFORE_SETTINGS_MAX - before));
            self.bytes.extend_from_slice(kept);
            self.dropped += dropped.len();
            let (end, room) = (self.bytes.len(), EARLY_MARKS_MAX.saturating_sub(self.marks.len()));
            self.marks.extend(
                marks.drain(..).take(room).map(|(at, event)| (end.min(before + at), event)),
            );
        }
    }

    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.marks.is_empty()
    }

    /// Hands over as much as there is room for.
    fn give(&mut self, buf: &mut ReadBuf<'_>, marks: &mut Vec<(usize, LineEvent)>) {
        let count = self.bytes.len().min(buf.remaining());
        buf.put_slice(self.bytes.drain(..count).as_slice());
        let later = self.marks.split_off(self.marks.partition_point(|(at, _)| *at <= count));
        marks.append(&mut self.marks);
        self.marks = later.into_iter().map(|(at, event)| (at - count, event)).collect();
    }
}

/// A reader, and what arrived before it.
struct Negotiated {
    early: Early,
    reader: CommandReader,
}

impl Source for Negotiated {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        marks: &mut Vec<(usize, LineEvent)>,
    ) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return self.reader.poll_read(cx, buf, marks);
        }
        self.early.give(buf, marks);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
