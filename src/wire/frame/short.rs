//! A few bytes kept in place, without allocation.

/// At most `N` (< 256) bytes, in place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Short<const N: usize> {
    bytes: [u8; N],
    len: u8,
}

impl<const N: usize> Short<N> {
    pub(super) fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds bytes; callers never have more than fits.
    pub(super) fn extend(&mut self, more: &[u8]) {
        let free = self.bytes.get_mut(usize::from(self.len)..).unwrap_or_default();
        for (to, from) in free.iter_mut().zip(more) {
            *to = *from;
            self.len += 1;
        }
    }
}
