//! What a line tells its tap, for recordings and captures: bytes where they pass, and what the board
//! says whenever it says something new.

use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use super::{Board, LineState, Shared, output::SeatId};
use crate::{
    config::Share,
    record::Kind,
    settings::{Levels, LineEvent},
    wire::pcapng,
};

/// What the tap was last told of the board.
#[derive(Debug)]
pub(super) struct Told {
    board: watch::Receiver<Board>,
    settings: String,
    lines: u8,
    brk: bool,
    state: LineState,
    writer: String,
    /// Where everyone may write: whose bytes went last.
    sender: Option<SeatId>,
}

impl Told {
    /// Nothing yet.
    pub(super) fn new(mut board: watch::Receiver<Board>) -> Mutex<Self> {
        board.mark_changed();
        Mutex::new(Self {
            board,
            settings: String::new(),
            lines: 0,
            brk: false,
            state: LineState::Closed,
            writer: String::new(),
            sender: None,
        })
    }
}

impl Shared {
    fn note(&self, kind: Kind, text: &str) {
        self.tap.tell(self.stream, kind, text.as_bytes());
    }

    /// Tells the tap what the board says that it did not say before. Not called with the queue
    /// locked.
    pub(super) fn tell_board(&self) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.board.has_changed().unwrap_or(false) {
            return;
        }
        let board = told.board.borrow_and_update().clone();
        if told.state != board.state {
            match (&told.state, &board.state) {
                (_, LineState::Up) => self.note(Kind::Opened, ""),
                (LineState::Up, _) => self.note(Kind::Closed, ""),
                _ => {}
            }
            if let LineState::Down(why) = &board.state {
                self.note(Kind::Note, &format!("device: {why}"));
            }
            told.state = board.state.clone();
        }
        let settings = board.settings.map(|now| match &board.settings_by {
            Some(by) => format!("{now} by {by}"),
            None => now.to_string(),
        });
        if let Some(settings) = settings.filter(|now| *now != told.settings) {
            self.note(Kind::Settings, &settings);
            told.settings = settings;
        }
        let lines = lines(&board);
        if told.lines != lines {
            self.note(Kind::Signals(lines), "");
            told.lines = lines;
        }
        let brk = board.outputs.brk == Some(true);
        if told.brk != brk {
            self.note(Kind::Note, if brk { "break sent: begins" } else { "break sent: ends" });
            told.brk = brk;
        }
        if board.share != Share::Everyone {
            let holder = board.lease.holder();
            let writer = holder.map(|it| it.principal.to_string()).unwrap_or_default();
            if told.writer != writer {
                self.note(Kind::User, &writer);
                told.writer = writer;
            }
        }
    }

    /// Tells the tap what the device said.
    pub(super) fn tell_heard(&self, bytes: &[u8], marks: &[(usize, LineEvent)]) {
        if !self.tap.is_busy() {
            return;
        }
        self.tell_board();
        let (mut rest, mut passed) = (bytes, 0);
        for (at, event) in marks {
            let (before, after) = rest.split_at(at.saturating_sub(passed).min(rest.len()));
            if !before.is_empty() {
                self.tap.tell(self.stream, Kind::FromDevice, before);
            }
            self.tap.tell(self.stream, Kind::Line(*event), &[]);
            (rest, passed) = (after, passed + before.len());
        }
        if !rest.is_empty() {
            self.tap.tell(self.stream, Kind::FromDevice, rest);
        }
    }

    /// Tells the tap whose bytes go to the device next, where everyone may write.
    pub(super) fn tell_sender(&self, owner: Option<SeatId>) {
        if !self.tap.is_busy() {
            return;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.board.borrow().share == Share::Everyone && owner.is_some() && told.sender != owner {
            told.sender = owner;
            drop(told);
            let name = owner.and_then(|seat| self.callers.name(seat)).unwrap_or_default();
            self.note(Kind::User, &name);
        }
    }

    /// Tells the tap what changes on the board while nothing else happens, and has the modem lines
    /// watched while somebody keeps them. Never ends.
    pub(super) async fn tell_changes(&self) {
        let (mut board, mut busy) = (self.board.subscribe(), self.tap.busy());
        let mut listens = false;
        loop {
            let wanted = *busy.borrow_and_update();
            if wanted != listens {
                listens = wanted;
                let by = if wanted { 1 } else { -1 };
                let count = |count: usize| count.saturating_add_signed(by);
                self.board.send_modify(|board| board.listeners = count(board.listeners));
            }
            self.tell_board();
            let changed = tokio::select! {
                changed = board.changed() => changed,
                changed = busy.changed() => changed,
            };
            if changed.is_err() {
                return std::future::pending().await;
            }
        }
    }
}

/// The modem lines that are on. A driver raises DTR and RTS when it opens a port.
fn lines(board: &Board) -> u8 {
    let up = board.state == LineState::Up && board.settings.is_some();
    let Levels { dtr, rts, brk } = board.outputs;
    let outputs = Levels { dtr: dtr.or(Some(up)), rts: rts.or(Some(up)), brk };
    pcapng::lines(board.inputs.unwrap_or_default(), outputs)
}
