//! The resets of Espressif's chips, recognised among the changes of DTR and RTS that a tool sends
//! over a network.
//!
//! Two transistors make EN of RTS (low while RTS is up and DTR down) and IO0 of DTR (low while DTR
//! is up and RTS down). A chip starts its loader if IO0 is low when EN rises, and EN rises within
//! about a millisecond. esptool's `ClassicReset` sends DTR up and then RTS down: over a network a
//! round trip lies between the two, both are high then, and the program starts in place of the
//! loader. So DTR is kept down until the tool says what RTS does, and the two move in one step.
//! What a network pushes together gets the times that a chip needs, here.
//!
//! No clock: who drives it has one. As long as a change is held, anything else that the client sends
//! to the port and the end of [`EspResets::PATIENCE`] are told by [`EspResets::release`].

use std::time::Duration;

use crate::settings::{Levels, Step};

/// How long a chip is kept in reset.
const IN_RESET: Duration = Duration::from_millis(100);

/// How long IO0 stays low for the chip to look at.
const IO0_LOW: Duration = Duration::from_millis(50);

/// What becomes of a change.
#[derive(Clone, Debug, PartialEq)]
pub enum ResetMove {
    /// It goes to the port as it is.
    Plain(Levels),
    /// Nothing moves yet. To the client it counts as done.
    Held,
    /// These steps go in its place: part of a reset.
    Steps(Vec<Step>),
}

/// DTR and RTS as the client left them; which of them the port does not have yet.
#[derive(Clone, Debug, Default)]
pub struct EspResets {
    dtr: Option<bool>,
    rts: Option<bool>,
    held: bool,
}

impl EspResets {
    /// How long a change is held for what belongs to it: longer than any round trip.
    pub const PATIENCE: Duration = Duration::from_secs(1);

    /// The client moves lines.
    pub fn change(&mut self, change: Levels) -> ResetMove {
        if change.dtr.is_none() && change.rts.is_none() {
            return ResetMove::Plain(change);
        }
        let before = (self.dtr, self.rts);
        self.dtr = change.dtr.or(self.dtr);
        self.rts = change.rts.or(self.rts);
        let in_reset = before == (Some(false), Some(true)) || self.held;
        let was_held = std::mem::take(&mut self.held);
        match (self.dtr, self.rts) {
            (Some(true), Some(true)) if in_reset => {
                self.held = true;
                ResetMove::Held
            }
            (Some(true), Some(false)) if in_reset => {
                ResetMove::Steps(vec![reset(), lines(true, false, IO0_LOW)])
            }
            (Some(false), Some(false)) if in_reset => {
                ResetMove::Steps(vec![reset(), lines(false, false, Duration::ZERO)])
            }
            // The port is there already, and nothing of the client was done.
            (Some(false), Some(true)) if was_held => ResetMove::Steps(Vec::new()),
            // The chips with USB of their own look at the way, which is over both up.
            (Some(false), Some(true)) if before == (Some(true), Some(false)) => {
                ResetMove::Steps(vec![
                    lines(true, true, Duration::ZERO),
                    lines(false, true, Duration::ZERO),
                ])
            }
            _ => ResetMove::Plain(change),
        }
    }

    /// Whether a change is held.
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// What was held is not part of a reset, or its time is up: it goes to the port now.
    pub fn release(&mut self) -> Option<Levels> {
        std::mem::take(&mut self.held).then_some(Levels { dtr: Some(true), ..Levels::default() })
    }
}

fn lines(dtr: bool, rts: bool, hold: Duration) -> Step {
    Step { change: Levels { dtr: Some(dtr), rts: Some(rts), brk: None }, hold, at: None }
}

fn reset() -> Step {
    lines(false, true, IN_RESET)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Where a port's lines go, DTR and RTS, each with the pause behind it.
    fn moved(resets: &mut EspResets, script: &str) -> Vec<(bool, bool, u128)> {
        let (mut port, mut seen) = ((true, true), Vec::new());
        let mut go = |change: Levels, hold: Duration| {
            port = (change.dtr.unwrap_or(port.0), change.rts.unwrap_or(port.1));
            seen.push((port.0, port.1, hold.as_millis()));
        };
        for word in script.split(' ') {
            let mut change = Levels::default();
            for part in word.split(',') {
                let (line, level) = part.split_at(1);
                let line = if line == "D" { &mut change.dtr } else { &mut change.rts };
                *line = Some(level == "1");
            }
            match resets.change(change) {
                ResetMove::Plain(change) => go(change, Duration::ZERO),
                ResetMove::Held => {}
                ResetMove::Steps(steps) => {
                    for step in steps {
                        go(step.change, step.hold);
                    }
                }
            }
        }
        seen.dedup();
        seen
    }

    const IDLE: (bool, bool, u128) = (false, false, 0);

    #[test]
    fn esptools_classic_reset_is_tight_whatever_the_network_does() {
        let wanted = [
            (false, true, 0),
            (false, true, 100),
            (true, false, 50),
            // The tool's own end of it.
            (true, false, 0),
            IDLE,
        ];
        // As esptool 5 sends it: each change of RTS is followed by DTR as it is.
        assert_eq!(moved(&mut EspResets::default(), "D0 R1 D0 D1 R0 D1 D0"), wanted);
        // In pairs that came together.
        let wanted = [&wanted[..3], &wanted[4..]].concat();
        assert_eq!(moved(&mut EspResets::default(), "D0,R1 D1,R0 D0"), wanted);
    }

    #[test]
    fn a_hard_reset_lasts_long_enough() {
        let wanted = [IDLE, (false, true, 0), (false, true, 100), IDLE];
        assert_eq!(moved(&mut EspResets::default(), "D0,R0 R1 D0 R0 D0"), wanted);
    }

    #[test]
    fn the_reset_of_a_chip_with_usb_goes_over_both_up() {
        let end = [(true, true, 0), (false, true, 0), (false, true, 100), IDLE];
        let apart = moved(&mut EspResets::default(), "R0 D0 D0 D1 R0 D1 R1 D1 D0 R1 D0 D0 R0 D0");
        assert_eq!(apart, [&[(true, false, 0), IDLE, (true, false, 0)][..], &end].concat());
        let together = moved(&mut EspResets::default(), "D0,R0 D1 R1,D0 R0");
        assert_eq!(together, [&[IDLE, (true, false, 0)][..], &end].concat());
    }

    #[test]
    fn a_terminal_that_raises_both_gets_both() {
        let mut resets = EspResets::default();
        assert_eq!(moved(&mut resets, "D0,R0 R1 D1"), [IDLE, (false, true, 0)]);
        assert!(resets.is_held());
        assert_eq!(resets.release(), Some(Levels { dtr: Some(true), rts: None, brk: None }));
        assert_eq!((resets.release(), resets.is_held()), (None, false));
        // Down and up again is no reset either.
        assert_eq!(moved(&mut resets, "D0 D1 D0").len(), 1);
        assert!(!resets.is_held());
    }

    proptest! {
        /// In the end the port is where the client wants it, but for what is held.
        #[test]
        fn no_change_is_lost(script in prop::collection::vec((any::<Option<bool>>(), any::<Option<bool>>()), 0..40)) {
            let (mut resets, mut port, mut client) = (EspResets::default(), Levels::default(), Levels::default());
            let put = |lines: &mut Levels, change: Levels| {
                lines.dtr = change.dtr.or(lines.dtr);
                lines.rts = change.rts.or(lines.rts);
            };
            for (dtr, rts) in script {
                let change = Levels { dtr, rts, brk: None };
                put(&mut client, change);
                match resets.change(change) {
                    ResetMove::Plain(change) => put(&mut port, change),
                    ResetMove::Held => prop_assert!(resets.is_held()),
                    ResetMove::Steps(steps) => for step in steps { put(&mut port, step.change) },
                }
                let mut late = port;
                if let Some(held) = resets.clone().release() { put(&mut late, held) }
                prop_assert_eq!(late, client);
            }
        }
    }
}
