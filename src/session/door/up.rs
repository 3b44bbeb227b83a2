//! Client to target: what is held back, what is read, what becomes of it when the client ends.

use std::{
    pin::Pin,
    sync::atomic::Ordering,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead as _, ReadBuf};

use super::{DoorSession, Far, Inbound, READ_MAX, Words};
use crate::{
    line::LineNews,
    screen::Verdict,
    session::endings::{Remainder, ending},
    wire::{close::Ended, opening::Foreign},
};

impl<F: Far, W: Words<F>> DoorSession<'_, F, W> {
    /// Client to target: what is held back, then one read.
    pub(super) fn poll_client(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<()> {
        if let Some(screen) = &mut self.screen
            && let Poll::Ready(verdict) = screen.poll(cx)
        {
            self.judged(verdict);
            return Poll::Ready(());
        }
        let has_early = !self.early.is_empty() && !self.wound_up;
        if !has_early && self.inbound != Inbound::Open {
            return Poll::Pending;
        }
        // Once it ends, all that is looked for is the end of the client's side.
        if (has_early || self.hears()) && !self.still.left_behind {
            let room = has_early || self.screen.is_some() || self.words.listens(&self.upstream);
            let there = if room { self.poll_device(cx) } else { Poll::Pending };
            self.still.unread = there.is_pending();
            ready!(there);
        }
        if !self.early.is_empty() && !self.wound_up {
            let early = std::mem::take(&mut self.early);
            self.hear(cx, &early);
            return Poll::Ready(());
        }
        if self.inbound != Inbound::Open {
            return Poll::Pending;
        }
        let most = ready!(self.rates.poll_up(cx, READ_MAX));
        let (space, _) = buf.split_at_mut(most);
        let mut space = ReadBuf::new(space);
        match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut space)) {
            Ok(()) if space.filled().is_empty() => self.client_ended(),
            Ok(()) => self.took(cx, space.filled()),
            Err(error) => self.break_off(&error.to_string()),
        }
        Poll::Ready(())
    }

    fn took(&mut self, cx: &mut Context<'_>, bytes: &[u8]) {
        if !self.hears() {
            return;
        }
        self.quiet.moved();
        self.still.read();
        self.rates.took(bytes.len());
        if self.still.left_behind {
            return self.upstream.skip(bytes.len());
        }
        match &mut self.screen {
            Some(screen) => screen.take(bytes),
            None => self.hear(cx, bytes),
        }
    }

    /// Whether everything that was heard has been passed on.
    fn is_through(&self) -> bool {
        self.early.is_empty() && self.words.is_through()
    }

    /// Whether what the client sends still counts. A target that has said its last may still be
    /// told something.
    pub(super) fn hears(&self) -> bool {
        matches!(self.ended, None | Some(Ended::TargetEnded))
    }

    fn hear(&mut self, cx: &mut Context<'_>, bytes: &[u8]) {
        self.words.heard(cx, &mut self.upstream, bytes);
        self.note_taken();
    }

    fn note_taken(&self) {
        self.entry.to_target.store(self.upstream.count().taken, Ordering::Relaxed);
    }

    fn judged(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Pass(bytes) => {
                self.screen = None;
                let entered = if self.upstream.far.speak() {
                    self.entrance.enter()
                } else {
                    Err(Ended::Busy("somebody".into()))
                };
                match entered {
                    Ok(()) => self.early = bytes,
                    Err(ended) => self.end(ended),
                }
            }
            Verdict::Foreign(foreign) => self.turn_away(foreign),
        }
    }

    fn turn_away(&mut self, foreign: Foreign) {
        self.foreign = Some(foreign);
        self.reset();
    }

    /// The client sends no more.
    fn client_ended(&mut self) {
        self.inbound = Inbound::Ended;
        if let Some(mut screen) = self.screen.take()
            && screen.len() > 0
        {
            self.judged(screen.end());
        }
        self.upstream.far.hush();
        self.quiet.last_words(self.last_words);
        self.end(Ended::ClientClosed(None));
        if self.stream.visit().is_some() {
            // Nobody is left to hear anything.
            self.give_up();
        }
    }

    /// What the client has sent goes to the target, drains, is given up.
    pub(super) fn poll_target(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<()> {
        while let Poll::Ready(word) = self.upstream.far.poll_word(cx) {
            match word {
                // A raw client cannot be asked; the kernel finds one that is gone.
                LineNews::Probe(probe) => probe.answer(self.ended.is_none()),
                LineNews::GiveWay(to) => self.end(Ended::Busy(to)),
            }
        }
        if let Some(screen) = &mut self.screen
            && self.words.poll_asks(cx, &self.upstream).is_ready()
        {
            let verdict = screen.pass();
            self.judged(verdict);
            return Poll::Ready(());
        }
        if !self.wound_up
            && let Some(ended) = &self.ended
        {
            let rest = ending(ended).rest;
            // What is held is passed on before the end, as long as it may be.
            if rest != Remainder::Drain || self.is_through() {
                let lost = self.words.forget() + std::mem::take(&mut self.early).len();
                if lost > 0 {
                    self.upstream.skip(lost);
                }
                self.wound_up = true;
                self.upstream.wind_up(rest);
            }
        }
        if let Poll::Ready(ended) = self.words.poll_on(cx, &mut self.upstream) {
            self.note_taken();
            if let Some(ended) = ended {
                let lost = self.words.forget();
                self.upstream.skip(lost);
                self.end(ended);
            }
            return Poll::Ready(());
        }
        let more = (self.inbound == Inbound::Open && self.hears()) || !self.is_through();
        let mute = self.broken || self.parting.is_some();
        let forgotten = if mute { Some(buf) } else { None };
        if let Some(ended) = ready!(self.upstream.poll(cx, more, forgotten)) {
            self.end(ended);
        }
        Poll::Ready(())
    }
}
