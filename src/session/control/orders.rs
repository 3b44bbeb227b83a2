//! What is ordered of a control session and does not end it: it is held read-only, or shows a
//! message.

use std::{collections::VecDeque, sync::Arc};

use super::{
    super::{Notice, Restraint, Restraints, link::Link, order::NOTICES_MAX},
    ControlSession, tell,
};
use crate::wire::control::{Code, Failure, RightsNews, Tell};

/// Messages that the client has yet to be given; beyond [`NOTICES_MAX`] the oldest go.
#[derive(Debug, Default)]
pub(super) struct Notices(VecDeque<Arc<Notice>>);

impl Notices {
    pub(super) fn push(&mut self, notice: Arc<Notice>) {
        if self.0.len() == NOTICES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(notice);
    }

    /// Gives the client the next one. Returns whether there was one.
    pub(super) fn tell_next(&mut self, link: &mut Link) -> bool {
        let Some(notice) = self.0.pop_front() else { return false };
        let Notice { from, text } = (*notice).clone();
        tell(link, &Tell::Notice { from, text });
        true
    }
}

impl ControlSession<'_> {
    /// A session that a moderator holds stays held on the socket where it goes on.
    pub(super) fn stay_held(&mut self, held: bool) {
        if held {
            self.session.entry.restrain(Restraint::Moderator, true);
        }
        self.hold_back(self.session.entry.restraints());
    }

    /// The open session follows who holds it read-only.
    fn hold_back(&mut self, by: Restraints) {
        if let Some(live) = &mut self.live {
            live.seat.restrain(by.limit(), by.label());
        }
    }

    /// A refusal names who holds the session read-only, if somebody does: what its user may do
    /// otherwise does not help him.
    pub(super) fn explained(&self, failure: Failure) -> Failure {
        match self.session.entry.restraints().reason() {
            Some(why) if failure.code == Code::Denied => Failure::new(Code::Denied, why),
            Some(_) | None => failure,
        }
    }

    /// These hold it read-only from now on, or nobody does.
    pub(super) fn held_by(&mut self, link: &mut Link, by: Restraints) {
        let setup = Arc::make_mut(&mut self.setup);
        setup.who = setup.who.within(by.limit());
        let rights = setup.who.rights;
        self.hold_back(by);
        let words = rights.words().into_iter().map(str::to_owned).collect();
        let why = by.reason().map(str::to_owned);
        tell(link, &Tell::Rights(RightsNews { rights: words, why }));
        self.news(link);
    }
}
