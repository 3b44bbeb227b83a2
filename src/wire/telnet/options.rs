//! Options agreed by the Q method (RFC 1143): what each side does.

use super::{IAC, Verb};

/// An option we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Eight bits, nothing translated (RFC 856).
    Binary,
    /// The other end echoes (RFC 857): let it, since we never do.
    Echo,
    /// No Go-Ahead (RFC 858).
    Sga,
    /// Control of a serial port (RFC 2217).
    ComPort,
}

impl Known {
    /// Its number.
    pub fn code(self) -> u8 {
        match self {
            Self::Binary => 0,
            Self::Echo => 1,
            Self::Sga => 3,
            Self::ComPort => 44,
        }
    }

    /// Its name in the RFC.
    pub fn name(self) -> &'static str {
        match self {
            Self::Binary => "BINARY",
            Self::Echo => "ECHO",
            Self::Sga => "SUPPRESS-GO-AHEAD",
            Self::ComPort => "COM-PORT-OPTION",
        }
    }
}

/// One side of an option: RFC 1143 without its WANTNO, since we never ask to end one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// Off, and nothing was said (NO).
    #[default]
    Off,
    /// We asked and wait (WANTYES).
    Asked,
    /// On (YES).
    On,
    /// Off: the other end said so (NO).
    Refused,
}

/// Both sides of an option.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sides {
    /// We do it: WILL from us, DO from them.
    pub us: Side,
    /// They do it: DO from us, WILL from them.
    pub them: Side,
}

/// What is agreed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// BINARY.
    pub binary: Sides,
    /// ECHO.
    pub echo: Sides,
    /// SUPPRESS-GO-AHEAD.
    pub sga: Sides,
    /// COM-PORT-OPTION.
    pub com_port: Sides,
}

impl Options {
    /// Asks for everything a serial line needs; `wire` gets the words.
    pub fn ask(wire: &mut Vec<u8>) -> Self {
        for (verb, option) in [
            (Verb::Will, Known::ComPort),
            (Verb::Will, Known::Binary),
            (Verb::Do, Known::Binary),
            (Verb::Will, Known::Sga),
            (Verb::Do, Known::Sga),
        ] {
            wire.extend([IAC, verb.code(), option.code()]);
        }
        let both = Sides { us: Side::Asked, them: Side::Asked };
        let com_port = Sides { us: Side::Asked, them: Side::Off };
        Self { binary: both, sga: both, com_port, echo: Sides::default() }
    }

    /// Hears a word; the answer, where there is one. What is so already is never answered: answers make no loops.
    pub fn hear(&mut self, verb: Verb, option: u8) -> Option<[u8; 3]> {
        let (enable, agree, refuse) = match verb {
            Verb::Will => (true, Verb::Do, Verb::Dont),
            Verb::Wont => (false, Verb::Do, Verb::Dont),
            Verb::Do => (true, Verb::Will, Verb::Wont),
            Verb::Dont => (false, Verb::Will, Verb::Wont),
        };
        let answer = match (self.side(verb, option), enable) {
            (None, true) => Some(refuse),
            (None, false) => None,
            (Some(side), true) => {
                let answer = matches!(side, Side::Off | Side::Refused).then_some(agree);
                *side = Side::On;
                answer
            }
            (Some(side), false) => {
                let answer = (*side == Side::On).then_some(refuse);
                *side = Side::Refused;
                answer
            }
        };
        answer.map(|answer| [IAC, answer.code(), option])
    }

    /// The side a word is about, where we would agree to it.
    fn side(&mut self, verb: Verb, option: u8) -> Option<&mut Side> {
        let ours = matches!(verb, Verb::Do | Verb::Dont);
        let sides = match option {
            0 => &mut self.binary,
            1 if !ours => &mut self.echo,
            3 => &mut self.sga,
            44 => &mut self.com_port,
            _ => return None,
        };
        Some(if ours { &mut sides.us } else { &mut sides.them })
    }

    /// Whether the serial port can be controlled. The client is the one to say WILL, but some servers say it.
    pub fn control(&self) -> bool {
        self.com_port.us == Side::On || self.com_port.them == Side::On
    }

    /// What we asked for, and how each stands.
    pub fn asked(&self) -> [(Known, Side); 5] {
        let com_port = if self.control() { Side::On } else { self.com_port.us };
        [
            (Known::ComPort, com_port),
            (Known::Binary, self.binary.us),
            (Known::Binary, self.binary.them),
            (Known::Sga, self.sga.us),
            (Known::Sga, self.sga.them),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::telnet::{DO, DONT, WILL, WONT};

    #[test]
    fn two_that_negotiate_come_to_rest_whether_one_asks_or_both() {
        for both in [false, true] {
            let (mut to_far, mut to_near) = (Vec::new(), Vec::new());
            let mut near = Options::ask(&mut to_far);
            let mut far = if both { Options::ask(&mut to_near) } else { Options::default() };
            let mut rounds = 0;
            while !(to_far.is_empty() && to_near.is_empty()) {
                let (mut from_near, mut from_far) = (Vec::new(), Vec::new());
                for [_, verb, option] in to_far.as_chunks::<3>().0 {
                    from_far.extend(far.hear(Verb::of(*verb).unwrap(), *option).into_iter().flatten());
                }
                for [_, verb, option] in to_near.as_chunks::<3>().0 {
                    from_near.extend(near.hear(Verb::of(*verb).unwrap(), *option).into_iter().flatten());
                }
                (to_far, to_near) = (from_near, from_far);
                rounds += 1;
                assert!(rounds < 4);
            }
            assert!(near.asked().iter().all(|(_, side)| *side == Side::On), "{near:?}");
        }
    }

    #[test]
    fn an_option_is_agreed_once_and_an_unknown_one_refused() {
        let mut wire = Vec::new();
        let mut options = Options::ask(&mut wire);
        assert_eq!(wire.len(), 15);
        assert_eq!(options.hear(Verb::Do, 44), None);
        assert!(options.control());
        assert_eq!(options.hear(Verb::Do, 44), None);
        assert_eq!(options.hear(Verb::Dont, 0), None);
        assert_eq!(options.binary, Sides { us: Side::Refused, them: Side::Asked });
        assert_eq!(options.hear(Verb::Do, 0), Some([IAC, WILL, 0]));
        assert_eq!(options.hear(Verb::Dont, 0), Some([IAC, WONT, 0]));
        assert_eq!(options.hear(Verb::Will, 1), Some([IAC, DO, 1]));
        assert_eq!(options.hear(Verb::Do, 1), Some([IAC, WONT, 1]));
        assert_eq!(options.hear(Verb::Will, 24), Some([IAC, DONT, 24]));
        assert_eq!(options.hear(Verb::Wont, 24), None);
    }
}
