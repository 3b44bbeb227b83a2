//! One network the machine is on, and the sockets by which the responder speaks there.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket},
    os::fd::{AsFd, BorrowedFd},
};

use if_addrs::{IfAddr, Interface, get_if_addrs};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::Service;

/// The port of multicast DNS.
pub(super) const MDNS_PORT: u16 = 5353;
/// The multicast groups that everybody listens on.
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
/// Lets a receiver see that no router has passed the packet on (RFC 6762 section 11).
const HOPS: u32 = 255;

/// The networks that an interface is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subnet {
    index: u32,
    name: String,
    /// Its addresses, each with the length of its network's prefix.
    addresses: Vec<(IpAddr, u8)>,
    /// Those of its addresses at which the services are reached.
    pub(super) served: Vec<IpAddr>,
}

/// An interface, with a socket for each family.
#[derive(Debug)]
pub(super) struct LinkInterface {
    pub(super) place: Subnet,
    sockets: Vec<(UdpSocket, SocketAddr)>,
}

/// The interfaces through which other machines reach one of the services, in a fixed order, and
/// every address of this machine.
pub(super) fn places(services: &[Service]) -> io::Result<(Vec<Subnet>, Vec<IpAddr>)> {
    let all = get_if_addrs()?;
    let here = all.iter().map(Interface::ip).collect();
    let mut places: BTreeMap<u32, Subnet> = BTreeMap::new();
    for found in all.iter().filter(|found| !found.is_loopback() && found.is_oper_up()) {
        let Some(index) = found.index else { continue };
        let place = places.entry(index).or_insert_with(|| Subnet {
            index,
            name: found.name.clone(),
            addresses: Vec::new(),
            served: Vec::new(),
        });
        let length = match &found.addr {
            IfAddr::V4(address) => address.prefixlen,
            IfAddr::V6(address) => address.prefixlen,
        };
        place.addresses.push((found.ip(), length));
        if services.iter().any(|service| reached(service.address.ip(), found.ip())) {
            place.served.push(found.ip());
        }
    }
    let mut places: Vec<_> =
        places.into_values().filter(|place| !place.served.is_empty()).collect();
    for place in &mut places {
        place.addresses.sort();
        place.served.sort();
    }
    Ok((places, here))
}

/// Whether a listener on `listen` is reached at `address`.
fn reached(listen: IpAddr, address: IpAddr) -> bool {
    match listen {
        IpAddr::V4(all) if all.is_unspecified() => address.is_ipv4(),
        IpAddr::V6(all) if all.is_unspecified() => true,
        IpAddr::V4(_) | IpAddr::V6(_) => listen.to_canonical() == address,
    }
}

impl LinkInterface {
    /// Opens the sockets; an error where the interface takes no multicast at all.
    pub(super) fn open(place: Subnet) -> io::Result<Self> {
        let v4 = place.addresses.iter().find_map(|(address, _)| match address {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        });
        let has_v6 = place.addresses.iter().any(|(address, _)| address.is_ipv6());
        let opened =
            [v4.map(|own| socket_v4(place.index, own)), has_v6.then(|| socket_v6(place.index))];
        let (mut sockets, mut failed) = (Vec::new(), None);
        for socket in opened.into_iter().flatten() {
            match socket {
                Ok(socket) => sockets.push(socket),
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if sockets.is_empty() => Err(error),
            _ => Ok(Self { place, sockets }),
        }
    }

    /// Its sockets, for polling.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.iter().map(|(socket, _)| socket.as_fd())
    }

    /// The next datagram, from whichever socket has one.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        self.sockets.iter().find_map(|(socket, _)| socket.recv_from(buffer).ok())
    }

    /// Whether an address belongs to this link (RFC 6762 section 11): nobody else is answered or
    /// believed.
    pub(super) fn has(&self, from: IpAddr) -> bool {
        if let IpAddr::V6(address) = from
            && address.is_unicast_link_local()
        {
            return true;
        }
        self.place.addresses.iter().any(|(own, length)| same_network(*own, from, *length))
    }

    /// Sends to everybody on the link.
    pub(super) fn send(&self, bytes: &[u8]) {
        for (socket, group) in &self.sockets {
            if let Err(error) = socket.send_to(bytes, group) {
                tracing::debug!(interface = self.place.name, %error, "multicast DNS: not sent");
            }
        }
    }

    /// Sends to one address.
    pub(super) fn send_to(&self, bytes: &[u8], to: SocketAddr) {
        let family = self.sockets.iter().find(|(_, group)| group.is_ipv4() == to.is_ipv4());
        if let Some((socket, _)) = family
            && let Err(error) = socket.send_to(bytes, to)
        {
            tracing::debug!(interface = self.place.name, %error, "multicast DNS: not answered");
        }
    }
}

/// Whether two addresses are in one network with that prefix length.
fn same_network(own: IpAddr, other: IpAddr, length: u8) -> bool {
    match (own, other) {
        (IpAddr::V4(own), IpAddr::V4(other)) => {
            let shift = 32_u32.saturating_sub(length.into());
            own.to_bits().checked_shr(shift) == other.to_bits().checked_shr(shift)
        }
        (IpAddr::V6(own), IpAddr::V6(other)) => {
            let shift = 128_u32.saturating_sub(length.into());
            own.to_bits().checked_shr(shift) == other.to_bits().checked_shr(shift)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

/// A socket on the port, which other responders may share. It is bound to the group and joins it on
/// this interface alone, so that only what is sent to everybody on this link comes in.
fn socket_v4(index: u32, own: Ipv4Addr) -> io::Result<(UdpSocket, SocketAddr)> {
    let group = SocketAddr::from((GROUP_V4, MDNS_PORT));
    let socket = shared(Domain::IPV4)?;
    socket.set_multicast_all_v4(false)?;
    socket.bind(&group.into())?;
    socket.join_multicast_v4_n(&GROUP_V4, &InterfaceIndexOrAddress::Index(index))?;
    socket.set_multicast_if_v4(&own)?;
    socket.set_multicast_ttl_v4(HOPS)?;
    Ok((socket.into(), group))
}

fn socket_v6(index: u32) -> io::Result<(UdpSocket, SocketAddr)> {
    let group = SocketAddr::V6(SocketAddrV6::new(GROUP_V6, MDNS_PORT, 0, index));
    let socket = shared(Domain::IPV6)?;
    socket.set_only_v6(true)?;
    socket.bind(&group.into())?;
    socket.join_multicast_v6(&GROUP_V6, index)?;
    socket.set_multicast_if_v6(index)?;
    socket.set_multicast_hops_v6(HOPS)?;
    Ok((socket.into(), group))
}

fn shared(family: Domain) -> io::Result<Socket> {
    let socket = Socket::new(family, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
