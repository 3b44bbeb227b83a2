//! Telnet options by the Q method (RFC 1143): what each end does, and what it was asked to do and
//! has not answered yet.

use super::{IAC, Verb};

/// An option that either of our ends knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownOption {
    /// Eight bits, nothing translated (RFC 856).
    Binary,
    /// The server echoes (RFC 857).
    Echo,
    /// No Go-Ahead (RFC 858).
    Sga,
    /// Control of a serial port (RFC 2217).
    ComPort,
}

impl KnownOption {
    const ALL: [Self; 4] = [Self::Binary, Self::Echo, Self::Sga, Self::ComPort];

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

    /// Whether an option is one of these.
    pub(super) fn is_known(code: u8) -> bool {
        Self::of(code).is_some()
    }

    fn of(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.code() == code)
    }
}

/// Which end of the connection we are. That decides what we agree to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// We use the serial port of the other end.
    #[default]
    Client,
    /// The other end uses ours.
    Server,
}

impl Role {
    /// Whether we agree to an option, either for ourselves (`ours`) or for the other end.
    fn agrees(self, known: KnownOption, ours: bool) -> bool {
        match known {
            // COM-PORT-OPTION is the client's to offer (RFC 2217 section 2), but some servers offer
            // it, and some clients also ask the server for it.
            KnownOption::Binary | KnownOption::Sga | KnownOption::ComPort => true,
            // A terminal that is told this does not echo what it sends; it is the device that
            // answers.
            KnownOption::Echo => ours == (self == Self::Server),
        }
    }

    /// What is requested as soon as the connection is up. Clients like pyserial never request
    /// BINARY themselves.
    fn opening(self) -> &'static [(Verb, KnownOption)] {
        match self {
            Self::Client => &[
                (Verb::Will, KnownOption::ComPort),
                (Verb::Will, KnownOption::Binary),
                (Verb::Do, KnownOption::Binary),
                (Verb::Will, KnownOption::Sga),
                (Verb::Do, KnownOption::Sga),
            ],
            Self::Server => &[
                (Verb::Will, KnownOption::Echo),
                (Verb::Will, KnownOption::Sga),
                (Verb::Do, KnownOption::Sga),
                (Verb::Will, KnownOption::Binary),
                (Verb::Do, KnownOption::Binary),
                (Verb::Do, KnownOption::ComPort),
            ],
        }
    }
}

/// The states of RFC 1143 section 7, with the queue bit in the state it belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum OptionState {
    #[default]
    No,
    Yes,
    /// We said no to what was on, and wait for the answer; `again`: after that we ask for it once
    /// more.
    WantNo {
        again: bool,
    },
    /// We asked, and wait for the answer; `not_now`: after that we say no to it.
    WantYes {
        not_now: bool,
    },
}

/// One end's part in an option.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Side {
    state: OptionState,
    refused: bool,
}

impl Side {
    /// It is in force.
    pub fn is_on(self) -> bool {
        self.state == OptionState::Yes
    }

    /// It was requested and has not been answered yet.
    pub fn is_asked(self) -> bool {
        matches!(self.state, OptionState::WantYes { .. })
    }

    /// The other end said no.
    pub fn is_refused(self) -> bool {
        self.refused
    }

    /// The other end says yes; returns whether to answer, and what.
    fn hears_yes(&mut self, agree: bool) -> Option<bool> {
        self.refused = false;
        let (state, answer) = match self.state {
            OptionState::No if agree => (OptionState::Yes, Some(true)),
            OptionState::No => (OptionState::No, Some(false)),
            // A yes to our no breaks the RFC; what we last wanted stands.
            OptionState::WantNo { again: false } => (OptionState::No, None),
            OptionState::Yes
            | OptionState::WantNo { again: true }
            | OptionState::WantYes { not_now: false } => (OptionState::Yes, None),
            OptionState::WantYes { not_now: true } => {
                (OptionState::WantNo { again: false }, Some(false))
            }
        };
        self.state = state;
        answer
    }

    /// The other end says no; returns whether to answer, and what.
    fn hears_no(&mut self) -> Option<bool> {
        self.refused = true;
        let (state, answer) = match self.state {
            OptionState::No
            | OptionState::WantNo { again: false }
            | OptionState::WantYes { .. } => (OptionState::No, None),
            OptionState::Yes => (OptionState::No, Some(false)),
            OptionState::WantNo { again: true } => {
                (OptionState::WantYes { not_now: false }, Some(true))
            }
        };
        self.state = state;
        answer
    }

    /// We want it on or off; returns whether to say so now.
    fn want(&mut self, on: bool) -> bool {
        let (state, says) = match (self.state, on) {
            (OptionState::No, true) => (OptionState::WantYes { not_now: false }, true),
            (OptionState::Yes, false) => (OptionState::WantNo { again: false }, true),
            (OptionState::WantNo { .. }, again) => (OptionState::WantNo { again }, false),
            (OptionState::WantYes { .. }, on) => (OptionState::WantYes { not_now: !on }, false),
            (same, _) => (same, false),
        };
        self.state = state;
        says
    }
}

/// Both ends' parts in an option.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sides {
    /// We do it: WILL from us, DO from them.
    pub us: Side,
    /// They do it: DO from us, WILL from them.
    pub them: Side,
}

/// What is agreed, and what is requested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    role: Role,
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
    /// The options of one end of a new connection, which requests what it needs; `wire` gets the
    /// words.
    pub fn open(role: Role, wire: &mut Vec<u8>) -> Self {
        let mut options = Self { role, ..Self::default() };
        for (verb, known) in role.opening() {
            options.want(*known, matches!(verb, Verb::Will), true, wire);
        }
        options
    }

    /// We want our part in an option (`ours`), or the other end's, on or off; `wire` gets the
    /// words, if any.
    pub fn want(&mut self, known: KnownOption, ours: bool, on: bool, wire: &mut Vec<u8>) {
        if self.side(known, ours).want(on) {
            wire.extend([IAC, Verb::about(ours, on).code(), known.code()]);
        }
    }

    /// Hears a word; returns the answer, if there is one. What is already so is never answered:
    /// this prevents loops.
    pub fn hear(&mut self, verb: Verb, option: u8) -> Option<[u8; 3]> {
        let (ours, yes) = match verb {
            Verb::Will => (false, true),
            Verb::Wont => (false, false),
            Verb::Do => (true, true),
            Verb::Dont => (true, false),
        };
        let answer = match KnownOption::of(option) {
            None => yes.then_some(false),
            Some(known) if yes => {
                let agree = self.role.agrees(known, ours);
                self.side(known, ours).hears_yes(agree)
            }
            Some(known) => self.side(known, ours).hears_no(),
        };
        answer.map(|on| [IAC, Verb::about(ours, on).code(), option])
    }

    fn side(&mut self, known: KnownOption, ours: bool) -> &mut Side {
        let sides = match known {
            KnownOption::Binary => &mut self.binary,
            KnownOption::Echo => &mut self.echo,
            KnownOption::Sga => &mut self.sga,
            KnownOption::ComPort => &mut self.com_port,
        };
        if ours { &mut sides.us } else { &mut sides.them }
    }

    /// Whether the serial port can be controlled, whoever offered it.
    pub fn control(&self) -> bool {
        self.com_port.us.is_on() || self.com_port.them.is_on()
    }

    /// What a client requested, and the state of each.
    pub fn asked(&self) -> [(KnownOption, Side); 5] {
        let com_port = if self.control() && !self.com_port.us.is_on() {
            self.com_port.them
        } else {
            self.com_port.us
        };
        [
            (KnownOption::ComPort, com_port),
            (KnownOption::Binary, self.binary.us),
            (KnownOption::Binary, self.binary.them),
            (KnownOption::Sga, self.sga.us),
            (KnownOption::Sga, self.sga.them),
        ]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::telnet::{DO, DONT, WILL, WONT};

    /// Two ends that talk until neither has more to say; returns how many rounds that took.
    fn talk(
        near: &mut Options,
        far: &mut Options,
        mut to_far: Vec<u8>,
        mut to_near: Vec<u8>,
    ) -> usize {
        let hear = |end: &mut Options, words: &[u8]| -> Vec<u8> {
            let words = words.as_chunks::<3>().0.iter();
            words
                .filter_map(|[_, verb, option]| end.hear(Verb::of(*verb).unwrap(), *option))
                .flatten()
                .collect()
        };
        let mut rounds = 0;
        while !(to_far.is_empty() && to_near.is_empty()) {
            (to_near, to_far) = (hear(far, &to_far), hear(near, &to_near));
            rounds += 1;
            assert!(rounds < 10, "{near:?} {far:?}");
        }
        rounds
    }

    #[test]
    fn a_client_and_a_server_agree_on_all_of_it_whether_one_asks_or_both() {
        for (near, far) in [(true, false), (false, true), (true, true)] {
            let (mut to_far, mut to_near) = (Vec::new(), Vec::new());
            let open = |role, asks: bool, wire: &mut Vec<u8>| {
                let options = Options::open(role, wire);
                if asks {
                    options
                } else {
                    wire.clear();
                    Options { role, ..Options::default() }
                }
            };
            let mut client = open(Role::Client, near, &mut to_far);
            let mut server = open(Role::Server, far, &mut to_near);
            assert!(talk(&mut client, &mut server, to_far, to_near) < 4);
            assert!(client.control() && server.control());
            for end in [client, server] {
                assert!(end.binary.us.is_on() && end.binary.them.is_on(), "{end:?}");
                assert!(end.sga.us.is_on() && end.sga.them.is_on(), "{end:?}");
            }
            assert_eq!((client.echo.them.is_on(), server.echo.us.is_on()), (far, far));
        }
    }

    #[test]
    fn an_option_is_agreed_once_and_an_unknown_one_refused() {
        let mut wire = Vec::new();
        let mut options = Options::open(Role::Client, &mut wire);
        assert_eq!(wire.len(), 15);
        assert_eq!(options.hear(Verb::Do, 44), None);
        assert!(options.control());
        assert_eq!(options.hear(Verb::Do, 44), None);
        assert_eq!(options.hear(Verb::Dont, 0), None);
        assert!(options.binary.us.is_refused() && options.binary.them.is_asked());
        assert_eq!(options.hear(Verb::Do, 0), Some([IAC, WILL, 0]));
        assert_eq!(options.hear(Verb::Dont, 0), Some([IAC, WONT, 0]));
        assert_eq!(options.hear(Verb::Will, 1), Some([IAC, DO, 1]));
        assert_eq!(options.hear(Verb::Do, 1), Some([IAC, WONT, 1]));
        assert_eq!(options.hear(Verb::Will, 24), Some([IAC, DONT, 24]));
        assert_eq!(options.hear(Verb::Wont, 24), None);
    }

    #[test]
    fn a_server_echoes_and_lets_nobody_echo() {
        let mut options = Options::open(Role::Server, &mut Vec::new());
        assert_eq!(options.hear(Verb::Do, 1), None);
        assert!(options.echo.us.is_on());
        assert_eq!(options.hear(Verb::Will, 1), Some([IAC, DONT, 1]));
    }

    #[test]
    fn a_wish_that_changes_before_the_answer_came_is_told_behind_it() {
        let mut wire = Vec::new();
        let mut options = Options::default();
        options.want(KnownOption::Binary, true, true, &mut wire);
        options.want(KnownOption::Binary, true, false, &mut wire);
        assert_eq!(wire, [IAC, WILL, 0]);
        assert_eq!(options.hear(Verb::Do, 0), Some([IAC, WONT, 0]));
        options.want(KnownOption::Binary, true, true, &mut wire);
        assert_eq!(options.hear(Verb::Dont, 0), Some([IAC, WILL, 0]));
        assert_eq!(options.hear(Verb::Do, 0), None);
        assert!(options.binary.us.is_on() && wire.len() == 3);
    }

    proptest! {
        /// The wishes of both ends cross on the wire, in every order: the two always come to rest,
        /// and in the same state.
        #[test]
        fn whatever_two_ends_want_they_come_to_rest_and_agree_on_what_is(
            wishes in prop::collection::vec((any::<bool>(), 0_usize..4, any::<bool>(), any::<bool>()), 0..12),
            early in any::<bool>(),
        ) {
            let (mut to_far, mut to_near) = (Vec::new(), Vec::new());
            let mut near = Options::open(Role::Client, &mut to_far);
            let mut far = Options::open(Role::Server, &mut to_near);
            for (of_near, known, ours, on) in wishes {
                let known = KnownOption::ALL[known];
                if of_near {
                    near.want(known, ours, on, &mut to_far);
                } else {
                    far.want(known, ours, on, &mut to_near);
                }
                if early {
                    talk(&mut near, &mut far, std::mem::take(&mut to_far), std::mem::take(&mut to_near));
                }
            }
            talk(&mut near, &mut far, to_far, to_near);
            for known in KnownOption::ALL {
                prop_assert_eq!(near.side(known, true).is_on(), far.side(known, false).is_on());
                prop_assert_eq!(near.side(known, false).is_on(), far.side(known, true).is_on());
                prop_assert!(!near.side(known, true).is_asked() && !far.side(known, true).is_asked());
            }
        }
    }
}
