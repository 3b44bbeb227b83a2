//! The line's recent output, addressed by absolute byte offset: scrollback, resume and lag are one
//! structure.

/// A ring of the last bytes a device sent. Offsets count from the tape's first byte ever and never
/// wrap.
///
/// Bytes and not chunks: a serial line delivers from one to a few dozen at a time, so a list of
/// reference-counted chunks would cost several times what it holds, while a reader has to copy
/// behind a frame header anyway.
#[derive(Debug)]
pub(super) struct Tape {
    ring: Box<[u8]>,
    end: u64,
}

/// Bytes that were overwritten before they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// First byte missed.
    pub from: u64,
    /// First byte that can still be read.
    pub to: u64,
}

impl Tape {
    /// A tape of `capacity` bytes, at least one page; untouched pages cost no memory.
    pub(super) fn new(capacity: usize) -> Self {
        Self { ring: vec![0; capacity.max(4096)].into(), end: 0 }
    }

    /// Offset of the oldest byte that is still here.
    pub(super) fn start(&self) -> u64 {
        self.end.saturating_sub(self.ring.len() as u64)
    }

    /// Offset of the next byte to come.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The most bytes it holds.
    pub(super) fn capacity(&self) -> usize {
        self.ring.len()
    }

    /// Appends, overwriting the oldest.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let skip = bytes.len().saturating_sub(self.ring.len());
        self.end += skip as u64;
        let (_, mut rest) = bytes.split_at(skip);
        while !rest.is_empty() {
            let at = self.place(self.end);
            let (_, space) = self.ring.split_at_mut(at);
            let n = space.len().min(rest.len());
            let (now, later) = rest.split_at(n);
            space.split_at_mut(n).0.copy_from_slice(now);
            self.end += n as u64;
            rest = later;
        }
    }

    /// Copies the bytes at `from` into `buf`; returns how many, 0 at the end of the tape, or the
    /// gap if `from` has been overwritten.
    pub(super) fn read(&self, from: u64, buf: &mut [u8]) -> Result<usize, Gap> {
        if from < self.start() {
            return Err(Gap { from, to: self.start() });
        }
        let mut copied = 0;
        loop {
            let (_, space) = buf.split_at_mut(copied);
            let offset = from + copied as u64;
            let ahead = usize::try_from(self.end.saturating_sub(offset)).unwrap_or(usize::MAX);
            let (_, piece) = self.ring.split_at(self.place(offset));
            let n = space.len().min(ahead).min(piece.len());
            if n == 0 {
                return Ok(copied);
            }
            space.split_at_mut(n).0.copy_from_slice(piece.split_at(n).0);
            copied += n;
        }
    }

    /// Where an offset lies in the ring.
    fn place(&self, offset: u64) -> usize {
        // The remainder is less than the length of the ring, which is a usize.
        usize::try_from(offset % self.ring.len() as u64).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reader_behind_the_tape_is_told_exactly_what_it_missed() {
        let mut tape = Tape::new(4096);
        tape.push(&[1; 5000]);
        assert_eq!(tape.read(10, &mut [0; 8]), Err(Gap { from: 10, to: 5000 - 4096 }));
        assert_eq!(tape.read(5000 - 4096, &mut [0; 8]), Ok(8));
        assert_eq!(tape.read(5000, &mut [0; 8]), Ok(0));
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_pushed_at_that_offset(
            pushes in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..6000), 0..12),
            reads in prop::collection::vec((any::<prop::sample::Index>(), 1_usize..9000), 1..20),
        ) {
            let mut tape = Tape::new(4096);
            let mut all = Vec::new();
            for push in &pushes {
                tape.push(push);
                all.extend_from_slice(push);
                prop_assert_eq!(tape.end(), all.len() as u64);
                for (index, length) in &reads {
                    let from = index.index(all.len() + 1);
                    let mut buf = vec![0; *length];
                    match tape.read(from as u64, &mut buf) {
                        Ok(n) => {
                            prop_assert_eq!(n, (all.len() - from).min(*length));
                            prop_assert_eq!(&buf[..n], &all[from..from + n]);
                        }
                        Err(gap) => {
                            prop_assert_eq!(gap.from, from as u64);
                            prop_assert_eq!(gap.to, (all.len() - 4096) as u64);
                        }
                    }
                }
            }
        }
    }
}
