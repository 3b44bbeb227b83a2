//! The right to write: one holder at a time; asked for, given, taken, given back.
//!
//! Pure: who may do what was decided before, and time is passed in.

use std::time::SystemTime;

use super::output::SeatId;
use crate::auth::PrincipalId;

/// Who has the right to write, and who asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lease {
    holder: Option<Holder>,
    request: Option<Asker>,
    /// Why the last change came.
    reason: Option<Reason>,
}

/// The seat with the right to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(super) seat: SeatId,
    /// Who it is.
    pub principal: PrincipalId,
    /// Since when.
    pub since: SystemTime,
    /// Its socket is lost; the session waits to be resumed.
    pub away: bool,
}

/// The seat that asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asker {
    pub(super) seat: SeatId,
    /// Who it is.
    pub principal: PrincipalId,
}

/// Why the lease changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Free, and wanted.
    Opened,
    /// Its holder gave it back or left.
    Released,
    /// Its holder gave it to whoever asked.
    Granted,
    /// Its holder keeps it.
    Denied,
    /// Taken from its holder.
    Taken,
    /// Its holder sent nothing for too long.
    Expired,
    /// Somebody asks for it.
    Requested,
}

impl Reason {
    /// The word of `wsbridge.v1`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Released => "released",
            Self::Granted => "granted",
            Self::Denied => "denied",
            Self::Taken => "taken",
            Self::Expired => "expired",
            Self::Requested => "requested",
        }
    }
}

/// Why an operation was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoLease {
    /// Held; by whom, since when.
    Held(Holder),
    /// Somebody else asks already.
    Asked(String),
    /// Only its holder can do that.
    NotHolder,
    /// Nobody asks.
    NotAsked,
}

impl Lease {
    /// Who holds it.
    pub(crate) fn holder(&self) -> Option<&Holder> {
        self.holder.as_ref()
    }

    /// Whoever asks for it.
    pub(crate) fn request(&self) -> Option<&Asker> {
        self.request.as_ref()
    }

    /// Why it last changed.
    pub(crate) fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// Who holds it now and why, when that is another than `before`.
    pub(super) fn passed_on(&self, before: &Self) -> Option<(Option<PrincipalId>, &'static str)> {
        let seat = |lease: &Self| lease.holder().map(|holder| holder.seat);
        let holder = || self.holder().map(|holder| holder.principal.clone());
        (seat(self) != seat(before)).then(|| (holder(), self.reason().map_or("", Reason::word)))
    }

    pub(super) fn is_holder(&self, seat: SeatId) -> bool {
        self.holder.as_ref().is_some_and(|holder| holder.seat == seat)
    }

    fn give(&mut self, seat: SeatId, who: &PrincipalId, since: SystemTime, reason: Reason) {
        self.holder = Some(Holder { seat, principal: who.clone(), since, away: false });
        self.reason = Some(reason);
        self.request.take_if(|asker| asker.seat == seat);
    }

    /// Takes it if it is free.
    pub(super) fn claim(
        &mut self,
        seat: SeatId,
        who: &PrincipalId,
        now: SystemTime,
    ) -> Result<(), NoLease> {
        match &self.holder {
            Some(holder) if holder.seat == seat => Ok(()),
            Some(holder) => Err(NoLease::Held(holder.clone())),
            None => {
                self.give(seat, who, now, Reason::Opened);
                Ok(())
            }
        }
    }

    /// Takes it, from its holder if need be. Returns whose it was.
    pub(super) fn take(
        &mut self,
        seat: SeatId,
        who: &PrincipalId,
        now: SystemTime,
    ) -> Option<SeatId> {
        if self.is_holder(seat) {
            return None;
        }
        let former = self.holder.as_ref().map(|holder| holder.seat);
        self.give(seat, who, now, if former.is_some() { Reason::Taken } else { Reason::Opened });
        former
    }

    /// Takes it from a seat whose client is gone. Returns whether that changed anything.
    pub(super) fn take_from(&mut self, seat: SeatId) -> bool {
        let held = self.holder.take_if(|holder| holder.seat == seat).is_some();
        if held {
            self.reason = Some(Reason::Taken);
        }
        held
    }

    /// Takes it if it is free, else asks its holder.
    pub(super) fn ask(
        &mut self,
        seat: SeatId,
        who: &PrincipalId,
        now: SystemTime,
    ) -> Result<(), NoLease> {
        if self.claim(seat, who, now).is_ok() {
            return Ok(());
        }
        match &self.request {
            Some(asker) if asker.seat != seat => Err(NoLease::Asked(asker.principal.name.clone())),
            _ => {
                self.request = Some(Asker { seat, principal: who.clone() });
                self.reason = Some(Reason::Requested);
                Ok(())
            }
        }
    }

    /// Its holder answers whoever asks.
    pub(super) fn answer(
        &mut self,
        seat: SeatId,
        grant: bool,
        now: SystemTime,
    ) -> Result<(), NoLease> {
        if !self.is_holder(seat) {
            return Err(NoLease::NotHolder);
        }
        let asker = self.request.take().ok_or(NoLease::NotAsked)?;
        if grant {
            self.give(asker.seat, &asker.principal, now, Reason::Granted);
        } else {
            self.reason = Some(Reason::Denied);
        }
        Ok(())
    }

    /// A request was not answered in time: denied. Returns whether that changed anything.
    pub(super) fn withdraw(&mut self, seat: SeatId) -> bool {
        let asked = self.request.take_if(|asker| asker.seat == seat).is_some();
        if asked {
            self.reason = Some(Reason::Denied);
        }
        asked
    }

    /// Its holder gives it back (or has it expire): whoever asks gets it. Returns whether that
    /// changed anything.
    pub(super) fn release(&mut self, seat: SeatId, reason: Reason, now: SystemTime) -> bool {
        if self.holder.take_if(|holder| holder.seat == seat).is_none() {
            return false;
        }
        self.reason = Some(reason);
        if let Some(asker) = self.request.take() {
            self.give(asker.seat, &asker.principal, now, Reason::Granted);
        }
        true
    }

    /// A seat is left. Returns whether that changed anything.
    pub(super) fn leave(&mut self, seat: SeatId, now: SystemTime) -> bool {
        let asked = self.request.take_if(|asker| asker.seat == seat).is_some();
        self.release(seat, Reason::Released, now) || asked
    }

    /// The holder's socket is lost, or back.
    pub(super) fn set_away(&mut self, seat: SeatId, away: bool) -> bool {
        match &mut self.holder {
            Some(holder) if holder.seat == seat && holder.away != away => {
                holder.away = away;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::auth::PrincipalKind;

    fn who(name: &str) -> PrincipalId {
        PrincipalId::new(PrincipalKind::User, name)
    }

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    #[test]
    fn a_request_is_granted_by_its_holder_or_by_its_leaving() {
        let mut lease = Lease::default();
        lease.claim(1, &who("anna"), NOW).unwrap();
        assert!(
            matches!(lease.claim(2, &who("bob"), NOW), Err(NoLease::Held(holder)) if holder.principal.name == "anna")
        );
        lease.ask(2, &who("bob"), NOW).unwrap();
        assert_eq!(lease.ask(3, &who("carol"), NOW), Err(NoLease::Asked("bob".into())));
        assert_eq!(lease.answer(2, true, NOW), Err(NoLease::NotHolder));
        lease.answer(1, false, NOW).unwrap();
        assert!(lease.is_holder(1));
        assert_eq!(lease.answer(1, true, NOW), Err(NoLease::NotAsked));
        lease.ask(2, &who("bob"), NOW).unwrap();
        assert!(lease.leave(1, NOW));
        assert!(lease.is_holder(2) && lease.request().is_none());
    }

    proptest! {
        /// Whatever races: a seat that left holds and asks for nothing, and nobody asks for what it
        /// holds.
        #[test]
        fn nobody_who_left_holds_anything(ops in prop::collection::vec((0_u8..7, 1_u64..5), 0..60)) {
            let mut lease = Lease::default();
            let mut here = [false; 5];
            for (op, seat) in ops {
                let at = usize::try_from(seat).unwrap();
                if op == 6 {
                    lease.leave(seat, NOW);
                    here[at] = false;
                } else {
                    here[at] = true;
                    match op {
                        0 => drop(lease.claim(seat, &who("u"), NOW)),
                        1 => drop(lease.take(seat, &who("u"), NOW)),
                        2 => drop(lease.ask(seat, &who("u"), NOW)),
                        3 => drop(lease.answer(seat, true, NOW)),
                        4 => drop(lease.answer(seat, false, NOW)),
                        _ => drop(lease.release(seat, Reason::Released, NOW)),
                    }
                }
                if let Some(holder) = lease.holder() {
                    prop_assert!(here[usize::try_from(holder.seat).unwrap()]);
                    prop_assert!(lease.request().is_none_or(|asker| asker.seat != holder.seat));
                } else {
                    prop_assert!(lease.request().is_none());
                }
                if let Some(asker) = lease.request() {
                    prop_assert!(here[usize::try_from(asker.seat).unwrap()]);
                }
            }
        }
    }
}
