//! Where the datagrams on a tape end: what came as one is heard as one, or not at all.

use std::collections::VecDeque;

/// The fewest datagrams that are kept, for a device that sends tiny ones.
const KEPT_LEAST: usize = 4096;

/// Bytes of tape that earn one more border.
const BYTES_EACH: usize = 16;

/// The datagrams on a tape, numbered from the very first.
#[derive(Debug)]
pub(super) struct Borders {
    /// Where each datagram that is kept ends.
    ends: VecDeque<u64>,
    /// Number of the first one kept, and where it begins.
    first: u64,
    start: u64,
    most: usize,
}

/// A datagram on the tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Datagram {
    pub(super) number: u64,
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Borders {
    /// For a tape that holds that many bytes.
    pub(super) fn new(capacity: usize) -> Self {
        let most = KEPT_LEAST.max(capacity / BYTES_EACH);
        Self { ends: VecDeque::new(), first: 0, start: 0, most }
    }

    /// Notes a datagram that came and ends the tape; the oldest byte kept is `oldest`.
    pub(super) fn push(&mut self, end: u64, oldest: u64) {
        self.ends.push_back(end);
        while self.ends.len() > self.most || self.start < oldest {
            let Some(gone) = self.ends.pop_front() else { return };
            (self.first, self.start) = (self.first + 1, gone);
        }
    }

    /// Number of the next datagram to come.
    pub(super) fn end(&self) -> u64 {
        self.first + self.ends.len() as u64
    }

    /// The first datagram kept whose number is this or higher.
    pub(super) fn next(&self, number: u64) -> Option<Datagram> {
        let number = number.max(self.first);
        let index = usize::try_from(number - self.first).ok()?;
        let end = *self.ends.get(index)?;
        let before = index.checked_sub(1).and_then(|before| self.ends.get(before));
        Some(Datagram { number, start: before.copied().unwrap_or(self.start), end })
    }

    /// Number of the first datagram kept that begins at or after an offset, and where it begins.
    pub(super) fn number_at(&self, offset: u64) -> (u64, u64) {
        if offset <= self.start {
            return (self.first, self.start);
        }
        let index = self.ends.partition_point(|end| *end < offset);
        match self.ends.get(index) {
            Some(end) => (self.first + index as u64 + 1, *end),
            None => (self.end(), self.ends.back().copied().unwrap_or(self.start)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_is_found_by_its_number_and_by_any_offset_before_it() {
        let mut borders = Borders::new(4096);
        for end in [10, 10, 30] {
            borders.push(end, 0);
        }
        assert_eq!(borders.next(0), Some(Datagram { number: 0, start: 0, end: 10 }));
        assert_eq!(borders.next(1), Some(Datagram { number: 1, start: 10, end: 10 }));
        assert_eq!(borders.next(2), Some(Datagram { number: 2, start: 10, end: 30 }));
        assert_eq!((borders.next(3), borders.end()), (None, 3));
        for (offset, found) in
            [(0, (0, 0)), (1, (1, 10)), (10, (1, 10)), (11, (3, 30)), (99, (3, 30))]
        {
            assert_eq!(borders.number_at(offset), found, "{offset}");
        }
    }

    #[test]
    fn one_that_is_not_whole_any_more_is_gone_and_so_are_the_oldest_of_too_many() {
        let mut borders = Borders::new(4096);
        borders.push(3000, 0);
        borders.push(6000, 1904);
        assert_eq!(borders.next(0), Some(Datagram { number: 1, start: 3000, end: 6000 }));
        assert_eq!(borders.number_at(5), (1, 3000));
        // Longer than the tape.
        borders.push(20_000, 15_904);
        assert_eq!((borders.next(0), borders.end()), (None, 3));
        assert_eq!(borders.number_at(5), (3, 20_000));
        for n in 1..=5000 {
            borders.push(20_000 + n, 15_904 + n);
        }
        let first = borders.next(0).unwrap();
        assert_eq!((first.end - first.start, borders.end() - first.number), (1, 4096));
    }
}
