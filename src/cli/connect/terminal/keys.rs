//! What keys mean: most go to the line, those behind Ctrl-] are commands.

/// Ctrl-].
const ESCAPE: u8 = 0x1D;

/// What Enter sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli::connect) enum Eol {
    /// CR, as terminals do.
    #[default]
    Cr,
    /// LF.
    Lf,
    /// CR and LF.
    Crlf,
}

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Help,
    Break,
    Dtr,
    Rts,
    Lease,
    Take,
    Send,
    Receive,
    Timestamps,
    Hex,
    Quit,
    Unknown,
}

/// What was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// Bytes for the line.
    Bytes(Vec<u8>),
    /// A command.
    Key(Key),
    /// The answer to a question; `None`: never mind.
    Answer(Option<String>),
    /// What is to be shown of it while it is typed.
    Echo(Vec<u8>),
}

/// The keyboard.
#[derive(Debug, Default)]
pub(super) struct Keys {
    eol: Eol,
    /// Ctrl-] was typed.
    escaped: bool,
    /// A question is being answered.
    answer: Option<String>,
}

impl Keys {
    /// A keyboard whose Enter sends that.
    pub(super) fn new(eol: Eol) -> Self {
        Self { eol, ..Self::default() }
    }

    /// What is typed from now on answers a question.
    pub(super) fn ask(&mut self) {
        self.answer = Some(String::new());
    }

    /// Reads keys.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Vec<Typed> {
        let mut all = Vec::new();
        for byte in bytes {
            if let Some(typed) = self.one(*byte) {
                match (all.last_mut(), typed) {
                    (Some(Typed::Bytes(before)), Typed::Bytes(more)) => before.extend(more),
                    (_, typed) => all.push(typed),
                }
            }
        }
        all
    }

    fn one(&mut self, byte: u8) -> Option<Typed> {
        if self.answer.is_some() {
            return self.answered(byte);
        }
        if std::mem::take(&mut self.escaped) {
            return Some(match byte {
                ESCAPE => Typed::Bytes(vec![ESCAPE]),
                b'?' => Typed::Key(Key::Help),
                b'b' => Typed::Key(Key::Break),
                b'd' => Typed::Key(Key::Dtr),
                b'r' => Typed::Key(Key::Rts),
                b'l' => Typed::Key(Key::Lease),
                b'L' => Typed::Key(Key::Take),
                b's' => Typed::Key(Key::Send),
                b'x' => Typed::Key(Key::Receive),
                b't' => Typed::Key(Key::Timestamps),
                b'h' => Typed::Key(Key::Hex),
                b'q' => Typed::Key(Key::Quit),
                _ => Typed::Key(Key::Unknown),
            });
        }
        match byte {
            ESCAPE => {
                self.escaped = true;
                None
            }
            b'\r' => Some(Typed::Bytes(match self.eol {
                Eol::Cr => vec![b'\r'],
                Eol::Lf => vec![b'\n'],
                Eol::Crlf => vec![b'\r', b'\n'],
            })),
            byte => Some(Typed::Bytes(vec![byte])),
        }
    }

    fn answered(&mut self, byte: u8) -> Option<Typed> {
        let answer = self.answer.as_mut()?;
        match byte {
            b'\r' | b'\n' => Some(Typed::Answer(self.answer.take())),
            // Ctrl-C, Escape, Ctrl-].
            0x03 | 0x1B | ESCAPE => {
                self.answer = None;
                Some(Typed::Answer(None))
            }
            0x08 | 0x7F => answer.pop().map(|_| Typed::Echo(b"\x08 \x08".to_vec())),
            byte if byte.is_ascii_graphic() || byte == b' ' => {
                answer.push(char::from(byte));
                Some(Typed::Echo(vec![byte]))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_to_the_line_and_those_behind_the_escape_do_not() {
        let mut keys = Keys::new(Eol::Crlf);
        let bytes = |text: &[u8]| Typed::Bytes(text.to_vec());
        assert_eq!(
            keys.read(b"AT\r\x1dbq\x1d\x1dx"),
            [bytes(b"AT\r\n"), Typed::Key(Key::Break), bytes(b"q\x1dx")]
        );
        assert_eq!(keys.read(b"\x1d"), []);
        assert_eq!(keys.read(b"q"), [Typed::Key(Key::Quit)]);
        assert_eq!(keys.read(b"\x1dZ"), [Typed::Key(Key::Unknown)]);
        assert_eq!(Keys::new(Eol::Lf).read(b"\r\n"), [bytes(b"\n\n")]);
    }

    #[test]
    fn an_answer_is_typed_and_corrected_and_the_rest_goes_to_the_line() {
        let mut keys = Keys::default();
        keys.ask();
        let typed = keys.read(b"ax\x7fb\rc");
        assert_eq!(typed.len(), 6);
        assert_eq!(typed[4..], [Typed::Answer(Some("ab".into())), Typed::Bytes(b"c".to_vec())]);
        keys.ask();
        assert_eq!(keys.read(b"\x03").last(), Some(&Typed::Answer(None)));
    }
}
