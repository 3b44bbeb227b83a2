//! What ends a line for the device, in place of what a dumb terminal sends (`?eol=cr`).

/// What a client's line ends are turned into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Eol {
    /// Carriage return: modems, most consoles.
    Cr,
    /// Line feed.
    Lf,
    /// Both.
    CrLf,
}

impl Eol {
    fn bytes(self) -> &'static [u8] {
        match self {
            Self::Cr => b"\r",
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
        }
    }
}

/// Turns each of the client's line ends (CR, LF, or CR LF) into one for the device, however
/// messages are cut.
#[derive(Debug)]
pub(super) struct LineEnds {
    to: Eol,
    /// The last byte was a CR: a LF after it belongs to the same end.
    after_cr: bool,
}

impl LineEnds {
    pub(super) fn new(to: Eol) -> Self {
        Self { to, after_cr: false }
    }

    /// The bytes for the device.
    pub(super) fn convert(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut made = Vec::with_capacity(bytes.len() + 8);
        for byte in bytes {
            let second = std::mem::replace(&mut self.after_cr, *byte == b'\r') && *byte == b'\n';
            match byte {
                b'\n' if second => {}
                b'\r' | b'\n' => made.extend_from_slice(self.to.bytes()),
                other => made.push(*other),
            }
        }
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_end_becomes_one_wherever_it_is_cut() {
        for (to, wanted) in [
            (Eol::Cr, "a\rb\rc\r\rd"),
            (Eol::Lf, "a\nb\nc\n\nd"),
            (Eol::CrLf, "a\r\nb\r\nc\r\n\r\nd"),
        ] {
            let said = b"a\nb\r\nc\r\nd";
            let said = [&said[..6], b"\r\n\nd"].concat();
            for cut in 0..=said.len() {
                let mut ends = LineEnds::new(to);
                let (first, second) = said.split_at(cut);
                let made = [ends.convert(first), ends.convert(second)].concat();
                assert_eq!(String::from_utf8(made).unwrap(), wanted, "{to:?} cut at {cut}");
            }
        }
    }
}
