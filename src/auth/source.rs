//! Whose connections and failures are counted together.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

/// What counts as one: an IPv4 address, an IPv6 /64 (what one customer gets, RFC 6177) that is not
/// on a link of ours, or everything on this machine that comes by a unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Source {
    /// An IPv4 address; IPv4-mapped IPv6 addresses are folded into it.
    V4(Ipv4Addr),
    /// The upper half of an IPv6 address.
    V6([u16; 4]),
    /// An IPv6 address on a link of ours, where everybody shares the /64.
    Neighbour(Ipv6Addr),
    /// A unix socket.
    Local,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => address.fmt(f),
            Self::V6(network) => {
                let mut segments = [0; 8];
                segments.iter_mut().zip(network).for_each(|(to, from)| *to = *from);
                write!(f, "{}/64", Ipv6Addr::from(segments))
            }
            Self::Neighbour(address) => address.fmt(f),
            Self::Local => f.write_str("unix"),
        }
    }
}
