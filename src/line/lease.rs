//! The right to write: one holder at a time; it is requested, granted, taken, given back.
//!
//! Pure: who may do what was decided before, and the time is passed in.

use std::time::SystemTime;

use super::output::SeatId;
use crate::auth::PrincipalId;

/// Who has the right to write, and who requests it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lease {
    holder: Option<Holder>,
    request: Option<Asker>,
    /// Why it last changed.
    reason: Option<Reason>,
}

/// The seat with the right to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(super) seat: SeatId,
    /// Who it is.
    pub principal: PrincipalId,
    pub since: SystemTime,
    /// Its socket is lost; the session waits to be resumed.
    pub away: bool,
}

/// The seat that requests it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asker {
    pub(super) seat: SeatId,
    /// Who it is.
    pub principal: PrincipalId,
}

/// Why the lease changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It was free, and somebody wanted it.
    Opened,
    /// Its holder gave it back or left.
    Released,
    /// Its holder gave it to the seat that requested it.
    Granted,
    /// Its holder refused a request.
    Denied,
    /// Taken from its holder.
    Taken,
    /// Its holder sent nothing for too long.
    Expired,
    /// Somebody requests it.
    Requested,
}

impl Reason {
    /// The word in `wsbridge.v1`.
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
    /// It is held: by whom, and since when.
    Held(Holder),
    /// Somebody else has already requested it.
    Asked(String),
    /// Only its holder can do that.
    NotHolder,
    /// Nobody has requested it.
    NotAsked,
}

impl Lease {
    /// Who holds it.
    pub(crate) fn holder(&self) -> Option<&Holder> {
        self.holder.as_ref()
    }

    /// Who requests it.
    pub(crate) fn request(&self) -> Option<&Asker> {
        self.request.as_ref()
    }

    /// Why it last changed.
    pub(crate) fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// Who holds it now and why, if the holder differs from that of `before`.
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

    /// Takes it, even from a holder. Returns whose it was.
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

    /// Takes it if it is free, and otherwise requests it from its holder.
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

    /// The holder's answer to a request.
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

    /// Denies a request that was not answered in time. Returns whether that changed anything.
    pub(super) fn withdraw(&mut self, seat: SeatId) -> bool {
        let asked = self.request.take_if(|asker| asker.seat == seat).is_some();
        if asked {
            self.reason = Some(Reason::Denied);
        }
        asked
    }

    /// The holder gives it back (or it expires): the seat that requests it gets it. Returns whether
    /// that changed anything.
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

    /// Notes that a seat is left. Returns whether that changed anything.
    pub(super) fn leave(&mut self, seat: SeatId, now: SystemTime) -> bool {
        let asked = self.request.take_if(|asker| asker.seat == seat).is_some();
        self.release(seat, Reason::Released, now) || asked
    }

    /// Notes that the holder's socket is lost, or back.
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
        /// Whatever races: a seat that has left holds and requests nothing, and nobody requests
        /// what it holds.
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
