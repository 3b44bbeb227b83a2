//! What was heard of an endpoint, piece by piece, between whoever heard it and whoever keeps it.

use std::time::SystemTime;

use crate::settings::LineEvent;

/// Bytes of one piece, unless one read gave more.
const PIECE_MAX: usize = 4096;
/// Without a pause longer than this, in nanoseconds, bytes belong to one piece.
const TOGETHER: u64 = 1_000_000;

/// Nanoseconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Bytes from the device.
    FromDevice,
    /// Bytes to the device.
    ToDevice,
    /// Something that happened on the line.
    Line(LineEvent),
    /// The modem lines that are on from now on.
    Signals(u8),
    /// The settings from now on.
    Settings,
    /// Who writes from now on; nobody if it has no text.
    User,
    /// Something else to be told.
    Note,
    /// So many bytes were not recorded.
    Lost(u64),
    /// A connection to the device begins.
    Opened,
    /// It has ended.
    Closed,
}

/// One piece; its bytes or text are in its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Nanoseconds since 1970.
    pub(crate) at: u64,
    /// Which connection, for those who have one of their own.
    pub(crate) stream: u32,
    pub(crate) kind: Kind,
    /// When its last bytes came.
    last: u64,
    length: usize,
}

impl Piece {
    /// One that was read from a file.
    pub(super) fn new(at: u64, kind: Kind, length: usize) -> Self {
        Self { at, stream: 0, kind, last: at, length }
    }
}

/// Pieces in their order.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pieces: Vec<Piece>,
    bytes: Vec<u8>,
}

impl Batch {
    /// Adds a piece, or to the last one what follows it at once. `whole`: it is a datagram.
    pub(super) fn push(&mut self, (at, stream): (u64, u32), kind: Kind, bytes: &[u8], whole: bool) {
        let data = matches!(kind, Kind::FromDevice | Kind::ToDevice);
        self.bytes.extend_from_slice(bytes);
        if let Some(last) = self.pieces.last_mut()
            && data
            && !whole
            && (last.kind, last.stream) == (kind, stream)
            && at.saturating_sub(last.last) < TOGETHER
            && last.length + bytes.len() <= PIECE_MAX
        {
            last.length += bytes.len();
            last.last = at;
            return;
        }
        self.pieces.push(Piece { at, stream, kind, last: at, length: bytes.len() });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Bytes that it takes.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + size_of_val(self.pieces.as_slice())
    }

    /// Bytes of the line that are in it.
    pub(super) fn data(&self) -> u64 {
        let data =
            self.pieces.iter().filter(|it| matches!(it.kind, Kind::FromDevice | Kind::ToDevice));
        data.map(|piece| piece.length as u64).sum()
    }

    /// When it begins.
    pub(super) fn began(&self) -> Option<u64> {
        self.pieces.first().map(|piece| piece.at)
    }

    /// Each piece with its bytes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Piece, &[u8])> {
        let mut rest = self.bytes.as_slice();
        self.pieces.iter().map(move |piece| {
            let (own, after) = rest.split_at(piece.length);
            rest = after;
            (piece, own)
        })
    }

    /// Empties it, and keeps its room.
    pub(super) fn clear(&mut self) {
        self.pieces.clear();
        self.bytes.clear();
    }
}
