//! The Merkle tree over the lines of the record (RFC 6962 section 2.1): its right edge, its root,
//! and proofs that a line is in it.

use sha2::{Digest as _, Sha256};

/// A hash of the tree.
pub(crate) type Hash = [u8; 32];

/// Hash of one line, without its line feed.
pub(crate) fn leaf(line: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(line).finalize().into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// Root of a tree without lines.
fn empty() -> Hash {
    Sha256::digest([]).into()
}

/// The right edge of the tree: the roots of its complete subtrees, the largest first. A million
/// lines have at most 20.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frontier {
    size: u64,
    edge: Vec<Hash>,
}

impl Frontier {
    /// From what a file says of the tree before its first line; `None` if there are more or fewer
    /// hashes than a tree of that size has.
    pub(crate) fn new(size: u64, edge: Vec<Hash>) -> Option<Self> {
        (edge.len() == size.count_ones() as usize).then_some(Self { size, edge })
    }

    /// Lines so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The hashes, the one of the largest subtree first.
    pub(crate) fn edge(&self) -> &[Hash] {
        &self.edge
    }

    /// Appends a line's hash.
    pub(crate) fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        // Each trailing one of the size is a subtree that is now complete.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.edge.pop() {
                hash = node(&left, &hash);
            }
        }
        self.edge.push(hash);
        self.size += 1;
    }

    /// The root.
    pub(crate) fn root(&self) -> Hash {
        let mut edge = self.edge.iter().rev();
        let Some(last) = edge.next() else { return empty() };
        edge.fold(*last, |right, left| node(left, &right))
    }
}

/// The hashes that lead from line `index` to the root of the tree of the lines after `before`, and
/// with it (RFC 6962 section 2.1.1). The line must be one of `leaves`, the first of which has the
/// number `before.size()`.
pub(crate) fn prove(before: &Frontier, leaves: &[Hash], index: u64) -> Option<Vec<Hash>> {
    let size = before.size + leaves.len() as u64;
    if index < before.size || index >= size {
        return None;
    }
    let mut path = Vec::new();
    let (mut from, mut to) = (0, size);
    while to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            path.push(subtree(before, leaves, middle, to)?);
            to = middle;
        } else {
            path.push(subtree(before, leaves, from, middle)?);
            from = middle;
        }
    }
    path.reverse();
    Some(path)
}

/// Whether a proof leads from a line's hash to the root (RFC 9162 section 2.1.3.2).
pub(crate) fn is_proved(line: Hash, (index, size): (u64, u64), path: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last) = (index, size - 1);
    let mut hash = line;
    for step in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node(step, &hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = node(&hash, step);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// The largest power of two below `size`, which is at least 2.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// Root of the lines `from..to`: one of the edge's, or made from the leaves.
fn subtree(before: &Frontier, leaves: &[Hash], from: u64, to: u64) -> Option<Hash> {
    let mut at = 0;
    for (hash, bit) in before.edge.iter().zip(bits(before.size)) {
        if (at, at + bit) == (from, to) {
            return Some(*hash);
        }
        at += bit;
    }
    match to - from {
        0 => None,
        1 => {
            let index = usize::try_from(from.checked_sub(before.size)?).ok()?;
            leaves.get(index).copied()
        }
        length => {
            let middle = from + split(length);
            let left = subtree(before, leaves, from, middle)?;
            Some(node(&left, &subtree(before, leaves, middle, to)?))
        }
    }
}

/// The powers of two that a number is the sum of, the largest first.
fn bits(number: u64) -> impl Iterator<Item = u64> {
    (0..64).rev().map(|bit| 1 << bit).filter(move |bit| number & bit != 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition of RFC 6962, word for word.
    fn root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty(),
            [one] => *one,
            _ => {
                let middle = usize::try_from(split(leaves.len() as u64)).unwrap();
                let (left, right) = leaves.split_at(middle);
                node(&root(left), &root(right))
            }
        }
    }

    fn leaves(number: usize) -> Vec<Hash> {
        (0..number).map(|n| leaf(n.to_string().as_bytes())).collect()
    }

    #[test]
    fn roots_are_those_of_the_rfcs_test_vectors() {
        // From the reference implementation's tests (google/certificate-transparency).
        let inputs: [&[u8]; 3] = [b"", b"\0", b"\x10"];
        let mut tree = Frontier::default();
        let hex = |hash: Hash| format!("{hash:02x?}").replace(['[', ']', ',', ' '], "");
        let wanted = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        ];
        assert_eq!(
            hex(tree.root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        for (input, wanted) in inputs.iter().zip(wanted) {
            tree.push(leaf(input));
            assert_eq!(hex(tree.root()), wanted);
        }
    }

    #[test]
    fn the_edge_has_the_root_of_every_size() {
        let all = leaves(130);
        let mut tree = Frontier::default();
        for size in 0..all.len() {
            assert_eq!(tree.root(), root(&all[..size]), "{size}");
            assert_eq!(Frontier::new(tree.size(), tree.edge().to_vec()), Some(tree.clone()));
            tree.push(all[size]);
        }
        assert_eq!(Frontier::new(3, vec![[0; 32]]), None);
    }

    proptest! {
        #[test]
        fn every_line_of_the_kept_files_is_proved_and_no_other(
            size in 1_usize..200, dropped in 0_usize..200, index in 0_usize..200, other in 0_usize..200,
        ) {
            let (dropped, index, other) = (dropped % size, index % size, other % size);
            let all = leaves(size);
            let mut before = Frontier::default();
            all[..dropped].iter().for_each(|leaf| before.push(*leaf));
            let proof = prove(&before, &all[dropped..], index as u64);
            if index < dropped {
                prop_assert_eq!(proof, None);
            } else {
                let (proof, root) = (proof.unwrap(), root(&all));
                let at = (index as u64, size as u64);
                prop_assert!(is_proved(all[index], at, &proof, &root));
                if other != index {
                    prop_assert!(!is_proved(all[other], at, &proof, &root));
                    prop_assert!(!is_proved(all[index], (other as u64, size as u64), &proof, &root));
                }
                let longer = [proof.clone(), vec![[7; 32]]].concat();
                prop_assert!(!is_proved(all[index], at, &longer, &root));
                if let [_, rest @ ..] = proof.as_slice() {
                    prop_assert!(!is_proved(all[index], at, rest, &root));
                }
            }
        }
    }
}
