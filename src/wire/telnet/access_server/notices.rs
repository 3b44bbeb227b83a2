//! What a client is told unasked: modem lines and line events, as its masks let them through.

use crate::{
    settings::{Inputs, LineEvent},
    wire::telnet::{
        Role,
        comport::{self, ComPortCommand},
    },
};

/// Masks, and what was told.
#[derive(Debug)]
pub(super) struct Notices {
    line_mask: u8,
    modem_mask: u8,
    /// COM-PORT-OPTION is agreed: there is somebody to tell.
    control: bool,
    /// The modem lines as they are, once they are known.
    inputs: Option<Inputs>,
    /// As they were told last.
    told: Option<Inputs>,
}

impl Default for Notices {
    /// The masks that a connection begins with (RFC 2217 section 3).
    fn default() -> Self {
        Self {
            line_mask: 0,
            modem_mask: comport::MODEM_MASK,
            control: false,
            inputs: None,
            told: None,
        }
    }
}

impl Notices {
    pub(super) fn modem_mask(&self) -> u8 {
        self.modem_mask
    }

    /// Whether there is somebody to tell.
    pub(super) fn control(&mut self, control: bool, wire: &mut Vec<u8>) {
        self.control = control;
        self.tell_modem_lines(wire);
    }

    pub(super) fn set_line_mask(&mut self, mask: u8, wire: &mut Vec<u8>) {
        self.line_mask = mask;
        ComPortCommand::LineMask(mask).encode(Role::Server, wire);
    }

    /// Whoever sets the mask is told how the lines are.
    pub(super) fn set_modem_mask(&mut self, mask: u8, wire: &mut Vec<u8>) {
        self.modem_mask = mask;
        self.told = None;
        ComPortCommand::ModemMask(mask).encode(Role::Server, wire);
        self.tell_modem_lines(wire);
    }

    pub(super) fn modem_lines(&mut self, now: Inputs, wire: &mut Vec<u8>) {
        self.inputs = Some(now);
        self.tell_modem_lines(wire);
    }

    /// Tells the modem lines when one changed that the mask names, by its state or by its change.
    /// The first time they are told in any case: pyserial waits for that.
    fn tell_modem_lines(&mut self, wire: &mut Vec<u8>) {
        let Some(now) = self.inputs.filter(|_| self.control && self.modem_mask != 0) else {
            return;
        };
        let state = comport::modem_state(now);
        let (value, wanted) = match self.told {
            Some(told) => {
                let changes = comport::modem_changes(told, now);
                let lines = state ^ comport::modem_state(told);
                (state | changes, (lines | changes) & self.modem_mask != 0)
            }
            None => (state, true),
        };
        self.told = Some(now);
        if wanted {
            ComPortCommand::ModemState(value & self.modem_mask).encode(Role::Server, wire);
        }
    }

    pub(super) fn line_events(&self, events: &[LineEvent], wire: &mut Vec<u8>) {
        let bits = events.iter().fold(0, |bits, event| bits | comport::line_bit(*event));
        self.tell_line_state(bits, wire);
    }

    pub(super) fn wants_transmitter_empty(&self) -> bool {
        self.control && self.line_mask & comport::EMPTY != 0
    }

    pub(super) fn transmitter_empty(&self, wire: &mut Vec<u8>) {
        self.tell_line_state(comport::EMPTY, wire);
    }

    fn tell_line_state(&self, bits: u8, wire: &mut Vec<u8>) {
        let bits = bits & self.line_mask;
        if self.control && bits != 0 {
            ComPortCommand::LineState(bits).encode(Role::Server, wire);
        }
    }
}
