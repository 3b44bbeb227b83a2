//! A recording's file read back, piece by piece, and written in another form.

use std::{
    io::{self, BufRead as _, BufReader, Read, Write},
    path::Path,
};

use super::{
    encode::{Encoder, Manner, Shape, words},
    piece::{Kind, Piece},
};
use crate::{
    config::RecordFormat,
    wire::pcapng::{self, Block, Flow, Link, SerialEvent, Towards, serial_parts},
};

/// Bytes read in one go.
const READ: usize = 64 << 10;
/// Bytes of the other form that are gathered before they are passed on.
const GATHER: usize = 16 << 10;

/// The form in which a recording is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// As one of the kinds of files.
    File(RecordFormat),
    /// Lines for people.
    Text,
}

impl View {
    /// By its word.
    pub(crate) fn of(word: &str) -> Option<Self> {
        match word {
            "pcapng" => Some(Self::File(RecordFormat::Pcapng)),
            "cast" => Some(Self::File(RecordFormat::Cast)),
            "raw" => Some(Self::File(RecordFormat::Raw)),
            "text" => Some(Self::Text),
            _ => None,
        }
    }
}

/// The kind of a file, by its name.
pub(crate) fn format_of(path: &Path) -> Option<RecordFormat> {
    let name = path.file_name()?.to_str()?;
    let name = name.strip_suffix(".part").unwrap_or(name);
    [RecordFormat::Pcapng, RecordFormat::Cast, RecordFormat::Raw]
        .into_iter()
        .find(|format| name.ends_with(&format!(".{}", format.extension())))
}

/// Reads a file; each piece goes to `piece`, which may end it with an error. A file that is still
/// being written ends with its last whole piece.
///
/// # Errors
/// It cannot be read, or is not of the kind that its name says.
pub(crate) fn replay(
    file: impl Read,
    format: RecordFormat,
    piece: impl FnMut(&Piece, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    match format {
        RecordFormat::Pcapng => packets(file, piece),
        RecordFormat::Cast => events(file, piece),
        RecordFormat::Raw => bytes(file, piece),
    }
}

/// Writes a file in another form.
///
/// # Errors
/// It cannot be read, has less than that form has, or `out` fails.
pub(crate) fn convert(
    mut file: impl Read,
    (format, name): (RecordFormat, &str),
    view: View,
    out: &mut dyn Write,
) -> io::Result<()> {
    let wanted = match view {
        View::File(wanted) if wanted == format && format != RecordFormat::Pcapng => {
            return io::copy(&mut file, out).map(drop);
        }
        View::File(wanted) if wanted == format => return whole_blocks(file, out),
        View::File(RecordFormat::Pcapng) => {
            return Err(io::Error::other(
                "only a pcapng recording has what pcapng has; set `format: pcapng` for the next ones",
            ));
        }
        View::File(wanted) => Some(wanted),
        View::Text => None,
    };
    let mut lines = Vec::new();
    let mut encoder = wanted.map(|format| {
        Encoder::new(Manner {
            name: name.to_owned(),
            format,
            shape: Shape::Serial,
            input: true,
            modbus: None,
        })
    });
    let mut began = false;
    replay(file, format, |piece, bytes| {
        match &mut encoder {
            Some(encoder) => {
                if !std::mem::replace(&mut began, true) {
                    encoder.begin(&mut lines, piece.at);
                }
                encoder.piece(&mut lines, piece, bytes);
            }
            None => line(&mut lines, piece, bytes),
        }
        if lines.len() >= GATHER {
            out.write_all(&lines)?;
            lines.clear();
        }
        Ok(())
    })?;
    out.write_all(&lines)
}

/// The blocks of a file, up to one that is still being written.
fn whole_blocks(file: impl Read, out: &mut dyn Write) -> io::Result<()> {
    blocks(file, |_, block| out.write_all(block))
}

/// Reads blocks; each with its bytes.
fn blocks(
    mut file: impl Read,
    mut each: impl FnMut(Block<'_>, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut held = Vec::new();
    loop {
        let read = file.by_ref().take(READ as u64).read_to_end(&mut held)?;
        let mut rest = held.as_slice();
        while let Some((block, length)) = pcapng::read(rest).map_err(io::Error::other)? {
            let (own, after) = rest.split_at(length);
            each(block, own)?;
            rest = after;
        }
        let done = held.len() - rest.len();
        held.drain(..done);
        if read == 0 {
            return Ok(());
        }
    }
}

fn packets(
    file: impl Read,
    mut piece: impl FnMut(&Piece, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut links = Vec::new();
    blocks(file, |block, _| {
        match block {
            Block::Section => links.clear(),
            Block::Interface(link) => links.push(link),
            Block::Packet(packet, bytes) => {
                let link = usize::try_from(packet.interface).ok().and_then(|it| links.get(it));
                let said = packet.comment.map(|comment| told(comment, packet.dropped));
                let found = match link {
                    Some(Some(Link::Serial)) => serial(bytes, said),
                    Some(Some(Link::Ip)) => said.or_else(|| carried(bytes)),
                    Some(Some(Link::UpperPdu) | None) | None => None,
                };
                if let Some((kind, bytes)) = found {
                    piece(&Piece::new(packet.at, kind, bytes.len()), bytes)?;
                }
            }
            Block::Other => {}
        }
        Ok(())
    })
}

/// What a comment says.
fn told(comment: &str, dropped: u64) -> (Kind, &[u8]) {
    let (word, text) = comment.split_once(": ").unwrap_or((comment, ""));
    match (word, text) {
        ("settings", text) => (Kind::Settings, text.as_bytes()),
        ("writer", "nobody") => (Kind::User, &[]),
        ("writer", text) => (Kind::User, text.as_bytes()),
        ("gap", _) => (Kind::Lost(dropped), &[]),
        ("device", "open") => (Kind::Opened, &[]),
        ("device", "closed") => (Kind::Closed, &[]),
        _ => (Kind::Note, comment.as_bytes()),
    }
}

fn serial<'a>(packet: &'a [u8], said: Option<(Kind, &'a [u8])>) -> Option<(Kind, &'a [u8])> {
    let (event, lines, bytes) = serial_parts(packet)?;
    match (event, said) {
        (SerialEvent::ToDevice, _) => Some((Kind::ToDevice, bytes)),
        (SerialEvent::FromDevice, _) => Some((Kind::FromDevice, bytes)),
        (SerialEvent::Line(event), _) => Some((Kind::Line(event), &[])),
        (_, Some((Kind::Note, text))) if text.starts_with(b"signals: ") => {
            Some((Kind::Signals(lines), &[]))
        }
        (_, said) => said,
    }
}

fn carried(packet: &[u8]) -> Option<(Kind, &[u8])> {
    let (towards, bytes) = Flow::parts(packet).filter(|(_, bytes)| !bytes.is_empty())?;
    let kind = match towards {
        Towards::Device => Kind::ToDevice,
        Towards::Client => Kind::FromDevice,
    };
    Some((kind, bytes))
}

/// The events of a cast recording.
fn events(
    file: impl Read,
    mut piece: impl FnMut(&Piece, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut lines = BufReader::new(file).lines();
    let head = lines.next().transpose()?.unwrap_or_default();
    let head: serde_json::Value = serde_json::from_str(&head).map_err(io::Error::other)?;
    let seconds = head.get("timestamp").and_then(serde_json::Value::as_u64).unwrap_or_default();
    let mut at = seconds.saturating_mul(1_000_000_000);
    for line in lines {
        let line = line?;
        // The last one may not be whole yet.
        let Ok((since, code, text)) = serde_json::from_str::<(f64, String, String)>(&line) else {
            continue;
        };
        let since = std::time::Duration::try_from_secs_f64(since).unwrap_or_default();
        at = at.saturating_add(u64::try_from(since.as_nanos()).unwrap_or_default());
        let kind = match code.as_str() {
            "o" => Kind::FromDevice,
            "i" => Kind::ToDevice,
            "c" => Kind::Settings,
            "u" => Kind::User,
            _ => Kind::Note,
        };
        let text = if code == "s" { format!("signals: {text}") } else { text };
        piece(&Piece::new(at, kind, text.len()), text.as_bytes())?;
    }
    Ok(())
}

fn bytes(
    mut file: impl Read,
    mut piece: impl FnMut(&Piece, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut held = vec![0; READ];
    loop {
        let read = file.read(&mut held)?;
        if read == 0 {
            return Ok(());
        }
        let (bytes, _) = held.split_at(read);
        piece(&Piece::new(0, Kind::FromDevice, bytes.len()), bytes)?;
    }
}

/// A piece as a line for people.
fn line(out: &mut Vec<u8>, piece: &Piece, bytes: &[u8]) {
    let time = jiff::Timestamp::from_nanosecond(i128::from(piece.at)).unwrap_or_default();
    let time = time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ");
    let text = if let Kind::FromDevice | Kind::ToDevice = piece.kind {
        let way = if piece.kind == Kind::FromDevice { '<' } else { '>' };
        format!("{way} {}", bytes.escape_ascii())
    } else {
        format!("- {}", plain(&words(piece.kind, &String::from_utf8_lossy(bytes))))
    };
    out.extend(format!("{time} {text}\n").into_bytes());
}

/// Without what would move a terminal's cursor.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
