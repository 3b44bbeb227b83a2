//! Messages in a stream of bytes, according to a rule: bytes in, messages out. It has no clock:
//! whoever has one says when silence has ended a message.

use std::time::Duration;

use super::modbus::{self, FrameStart};

/// Silence that ends a Modbus frame whose length says that more will come: adapters and networks
/// deliver a frame in pieces with pauses in between.
const TORN: Duration = Duration::from_millis(50);

/// Which of a device's bytes make one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Packing {
    /// Whatever one read returned.
    #[default]
    None,
    /// What came without a pause this long.
    Idle(Duration),
    /// What ends with these bytes.
    Delimiter {
        /// The delimiter.
        bytes: Delimiter,
        /// Whether it is part of the message.
        keep: bool,
        /// Bytes after it that belong to the message: a checksum.
        plus: usize,
    },
    /// This many bytes.
    Length(usize),
    /// A frame of Modbus RTU, by its function code and checksum; otherwise what this much silence
    /// ends.
    ModbusRtu {
        /// 3.5 characters, or more if the way to the port blurs them.
        silence: Duration,
    },
}

impl Packing {
    /// The shortest pause of the device that matters; `None` if none does.
    pub fn pause(self) -> Option<Duration> {
        match self {
            Self::Idle(pause) | Self::ModbusRtu { silence: pause } => Some(pause),
            Self::None | Self::Delimiter { .. } | Self::Length(_) => None,
        }
    }
}

/// 1 to 4 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delimiter {
    bytes: [u8; 4],
    length: usize,
}

impl Delimiter {
    /// `None` if `from` is not 1 to 4 bytes long.
    pub fn new(from: &[u8]) -> Option<Self> {
        let mut bytes = [0; 4];
        bytes.get_mut(..from.len()).filter(|space| !space.is_empty())?.copy_from_slice(from);
        Some(Self { bytes, length: from.len() })
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        let (bytes, _) = self.bytes.split_at(self.length);
        bytes
    }
}

/// Cuts a stream into messages. Between two calls it holds less than one message.
#[derive(Debug)]
pub struct Framer {
    rule: Packing,
    /// The number of bytes at which a message is cut, whatever they are.
    most: usize,
    held: Vec<u8>,
    /// Bytes at the beginning of `held` that have been looked at: no delimiter begins in them, and
    /// no frame ends in them.
    searched: usize,
}

/// The first message: how many bytes it takes, and how many of those are shown; or else how many
/// bytes were looked at in vain.
type FirstMessage = Result<(usize, usize), usize>;

impl Framer {
    /// Cuts by this rule, and after `most` bytes (at least 1) in any case.
    pub fn new(rule: Packing, most: usize) -> Self {
        Self { rule, most: most.max(1), held: Vec::new(), searched: 0 }
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// How many bytes may be taken before the longest message is full.
    pub fn room(&self) -> usize {
        self.most.saturating_sub(self.held.len())
    }

    /// Takes bytes and passes on the messages they complete.
    pub fn push(&mut self, bytes: &[u8], message: impl FnMut(&[u8])) {
        self.held.extend_from_slice(bytes);
        self.cut_all(message);
    }

    /// The silence that ends what is held; `None` if no silence does, or nothing is held.
    pub fn silence(&self) -> Option<Duration> {
        match self.rule {
            _ if self.held.is_empty() => None,
            Packing::Idle(idle) => Some(idle),
            // What was looked at in vain is not a frame in the table.
            Packing::ModbusRtu { silence } if self.searched > 0 => Some(silence),
            Packing::ModbusRtu { silence } => Some(silence.max(TORN)),
            Packing::None | Packing::Length(_) | Packing::Delimiter { .. } => None,
        }
    }

    /// Nothing more belongs to what is held: passes it on, with garbage separate from the frames
    /// after it.
    pub fn end(&mut self, mut message: impl FnMut(&[u8])) {
        let mut held = std::mem::take(&mut self.held);
        self.searched = 0;
        if let Packing::ModbusRtu { .. } = self.rule {
            while let Some(garbage) = modbus::garbage(&held) {
                let (noise, frames) = held.split_at(garbage);
                message(noise);
                self.push(frames, &mut message);
                held = std::mem::take(&mut self.held);
                self.searched = 0;
            }
        }
        if !held.is_empty() {
            message(&held);
        }
    }

    fn cut_all(&mut self, mut message: impl FnMut(&[u8])) {
        let mut rest = self.held.as_slice();
        while !rest.is_empty() {
            match self.cut(rest) {
                Ok((length, shown)) => {
                    let (bytes, behind) = rest.split_at(length);
                    message(bytes.split_at(shown).0);
                    rest = behind;
                    self.searched = 0;
                }
                Err(searched) => {
                    self.searched = searched;
                    break;
                }
            }
        }
        if rest.is_empty() {
            // An idle connection keeps no buffer.
            self.held = Vec::new();
        } else {
            let cut = self.held.len() - rest.len();
            self.held.drain(..cut);
        }
    }

    /// The end of the first message; where there is none yet, one is made at the longest length.
    fn cut(&self, bytes: &[u8]) -> FirstMessage {
        let cut = match self.rule {
            Packing::None => Ok((bytes.len(), bytes.len())),
            Packing::Length(length) if bytes.len() >= length => Ok((length, length)),
            Packing::Idle(_) | Packing::Length(_) => Err(0),
            Packing::Delimiter { bytes: delimiter, keep, plus } => {
                self.cut_delimited(bytes, delimiter.as_slice(), (keep, plus))
            }
            Packing::ModbusRtu { .. } => match modbus::head(bytes, self.searched) {
                FrameStart::Frame(length) | FrameStart::Garbage(length) => Ok((length, length)),
                FrameStart::Open => Err(0),
                FrameStart::Strange => Err(bytes.len()),
            },
        };
        match cut {
            Ok((length, _)) if length <= self.most => cut,
            _ if bytes.len() >= self.most => Ok((self.most, self.most)),
            other => other,
        }
    }

    fn cut_delimited(
        &self,
        bytes: &[u8],
        delimiter: &[u8],
        (keep, plus): (bool, usize),
    ) -> FirstMessage {
        let (_, unseen) = bytes.split_at(self.searched);
        let found = unseen.windows(delimiter.len()).position(|window| window == delimiter);
        let Some(at) = found.map(|at| self.searched + at) else {
            return Err((bytes.len() + 1).saturating_sub(delimiter.len()));
        };
        let end = at + delimiter.len() + plus;
        if bytes.len() < end { Err(at) } else { Ok((end, if keep { end } else { at })) }
    }
}

#[cfg(test)]
mod tests;
