//! UDP targets: one connected socket, and one datagram for each read and each write.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use rustix::io::Errno;
use tokio::{
    io::{AsyncWrite, Interest, ReadBuf},
    net::UdpSocket,
    time::timeout,
};

use super::{Device, OpenError, Port, Source, tcp};
use crate::{config::UdpTarget, settings::LineEvent, sys::ioctl};

/// How long name servers have to answer.
const RESOLVE: Duration = Duration::from_secs(5);

/// What was learnt about a host with several addresses: until something is sent, nothing says which
/// of them is the right one.
#[derive(Debug, Default)]
pub(super) struct Learnt {
    last: Option<SocketAddr>,
    /// Somebody reported that it is not that one.
    refused: Arc<AtomicBool>,
}

impl Learnt {
    /// The addresses in the order in which to try them: the last one, or what comes after it.
    fn order(&self, mut all: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let last = self.last.and_then(|last| all.iter().position(|address| *address == last));
        let refused = self.refused.swap(false, Ordering::Relaxed);
        let turn = last.map_or(0, |at| at + usize::from(refused));
        let length = all.len().max(1);
        all.rotate_left(turn % length);
        all
    }
}

/// Opens a socket to a target. Nothing is sent: whether anybody is there shows only when something
/// is.
pub(super) async fn open(target: &UdpTarget, learnt: &mut Learnt) -> Result<Device, OpenError> {
    let found = timeout(RESOLVE, tcp::resolve(&target.host, target.port)).await;
    let late = || OpenError::Timeout(format!("no answer from name servers about {}", target.host));
    let all = learnt.order(found.map_err(|_| late())??);
    let mut failed = OpenError::Absent(format!("the name {} has no address", target.host));
    for peer in all {
        match connect(peer, target.local_port).await {
            Ok(socket) => {
                learnt.last = Some(peer);
                let refused = Arc::clone(&learnt.refused);
                let end = Arc::new(End { socket, peer, refused });
                return Ok(Device {
                    reader: Box::new(Reader::new(Arc::clone(&end))),
                    writer: Box::new(Writer(end)),
                    port: Port::Datagrams,
                    usb: None,
                    notes: Vec::new(),
                });
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

async fn connect(peer: SocketAddr, local_port: Option<u16>) -> Result<UdpSocket, OpenError> {
    let any: IpAddr =
        if peer.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let local = local_port.unwrap_or(0);
    let socket = UdpSocket::bind((any, local)).await.map_err(|error| {
        let port = format!("UDP port {local}, which is `local_port` here");
        if error.kind() == io::ErrorKind::AddrInUse {
            OpenError::InUse(format!("another program of this machine has the {port}"))
        } else if error.kind() == io::ErrorKind::PermissionDenied {
            OpenError::Denied(format!("no right to the {port}: {error}"))
        } else {
            OpenError::Refused(format!("no socket for {peer}: {error}"))
        }
    })?;
    // Without it only "nobody listens there" is reported.
    if let Err(error) = ioctl::tell_all_errors(&socket, peer.is_ipv6()) {
        tracing::debug!(%error, "socket options not taken");
    }
    let refused = |error: io::Error| OpenError::Refused(format!("{peer}: {}", tcp::reason(&error)));
    socket.connect(peer).await.map_err(refused)?;
    Ok(socket)
}

/// What both directions share: the socket, and who is at its other end.
struct End {
    socket: UdpSocket,
    peer: SocketAddr,
    refused: Arc<AtomicBool>,
}

impl End {
    /// An error of the socket in words; most errors were caused by an earlier datagram.
    fn failed(&self, error: &io::Error) -> io::Error {
        self.refused.store(true, Ordering::Relaxed);
        let why = if error.kind() == io::ErrorKind::ConnectionRefused {
            format!("nobody listens on UDP port {} there", self.peer.port())
        } else {
            tcp::reason(error)
        };
        io::Error::new(error.kind(), format!("{}: {why}", self.peer))
    }
}

/// Whether the network refused a datagram because of its size.
pub(crate) fn is_too_long(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::MSGSIZE.raw_os_error())
}

/// The next error of the socket. An error that a datagram caused does not wake a waiting reader.
async fn error(end: Arc<End>) -> io::Error {
    loop {
        if let Err(error) = end.socket.ready(Interest::ERROR).await {
            return error;
        }
        match end.socket.take_error() {
            // A datagram sent earlier was too long for a network on its way; the next ones are sent
            // in fragments.
            Ok(Some(error)) if !is_too_long(&error) => return error,
            Ok(_) => {}
            Err(error) => return error,
        }
        // It has been looked at: wait for another.
        let _ = end
            .socket
            .try_io(Interest::ERROR, || io::Result::<()>::Err(io::ErrorKind::WouldBlock.into()));
    }
}

struct Reader {
    end: Arc<End>,
    error: Pin<Box<dyn Future<Output = io::Error> + Send>>,
}

impl Reader {
    fn new(end: Arc<End>) -> Self {
        let error = Box::pin(error(Arc::clone(&end)));
        Self { end, error }
    }
}

impl Source for Reader {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        _marks: &mut Vec<(usize, LineEvent)>,
    ) -> Poll<io::Result<()>> {
        loop {
            buf.clear();
            match self.end.socket.poll_recv_from(cx, buf) {
                // The kernel keeps others out, except for what came before it knew the peer.
                Poll::Ready(Ok(from))
                    if from.ip() == self.end.peer.ip() && from.port() == self.end.peer.port() =>
                {
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) if is_too_long(&error) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.end.failed(&error))),
                Poll::Pending => {
                    let error = ready!(self.error.as_mut().poll(cx));
                    return Poll::Ready(Err(self.end.failed(&error)));
                }
            }
        }
    }

    fn ends(&self) -> bool {
        false
    }
}

/// Each write is one datagram.
struct Writer(Arc<End>);

impl AsyncWrite for Writer {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sent = match ready!(self.0.socket.poll_send(cx, bytes)) {
            // The error may belong to an earlier one.
            Err(error) if is_too_long(&error) => ready!(self.0.socket.poll_send(cx, bytes)),
            sent => sent,
        };
        Poll::Ready(sent.map_err(
            |error| {
                if is_too_long(&error) { error } else { self.0.failed(&error) }
            },
        ))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncWriteExt as _;

    use super::*;

    fn target(address: SocketAddr, local_port: Option<u16>) -> UdpTarget {
        UdpTarget { host: address.ip().to_string(), port: address.port(), local_port }
    }

    async fn read(device: &mut Device) -> io::Result<Vec<u8>> {
        let mut space = vec![0; 70_000];
        let mut buf = ReadBuf::new(&mut space);
        poll_fn(|cx| device.reader.poll_read(cx, &mut buf, &mut Vec::new())).await?;
        Ok(buf.filled().to_vec())
    }

    #[tokio::test]
    async fn each_write_is_a_datagram_and_each_datagram_a_read_over_both_families() {
        for any in ["127.0.0.1:0", "[::1]:0"] {
            let peer = UdpSocket::bind(any).await.unwrap();
            let target = target(peer.local_addr().unwrap(), None);
            let mut device = open(&target, &mut Learnt::default()).await.unwrap();
            for length in [0, 1, 65_507] {
                let sent = vec![7; length];
                // `write_all` of nothing writes nothing.
                assert_eq!(device.writer.write(&sent).await.unwrap(), length);
                let mut space = vec![0; 70_000];
                let (got, from) = peer.recv_from(&mut space).await.unwrap();
                assert_eq!(got, length);
                peer.send_to(&space[..got], from).await.unwrap();
                assert_eq!(read(&mut device).await.unwrap(), sent);
            }
        }
    }

    #[tokio::test]
    async fn what_came_before_the_socket_knew_its_peer_is_dropped_if_another_sent_it() {
        let (peer, other) = (
            UdpSocket::bind("127.0.0.1:0").await.unwrap(),
            UdpSocket::bind("127.0.0.1:0").await.unwrap(),
        );
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let ours = socket.local_addr().unwrap();
        other.send_to(b"other", ours).await.unwrap();
        socket.readable().await.unwrap();
        socket.connect(peer.local_addr().unwrap()).await.unwrap();
        peer.send_to(b"peer", ours).await.unwrap();
        let end = End { socket, peer: peer.local_addr().unwrap(), refused: Arc::default() };
        let mut device = Device {
            reader: Box::new(Reader::new(Arc::new(end))),
            writer: Box::new(tokio::io::sink()),
            port: Port::Datagrams,
            usb: None,
            notes: Vec::new(),
        };
        assert_eq!(read(&mut device).await.unwrap(), b"peer");
    }

    #[tokio::test]
    async fn one_that_is_too_long_is_refused_alone() {
        let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let target = target(peer.local_addr().unwrap(), None);
        let mut device = open(&target, &mut Learnt::default()).await.unwrap();
        let error = device.writer.write(&vec![0; 65_508]).await.unwrap_err();
        assert!(is_too_long(&error), "{error}");
        assert_eq!(device.writer.write(b"next").await.unwrap(), 4);
    }

    #[tokio::test]
    async fn a_port_where_nobody_listens_is_named_and_the_next_address_is_tried() {
        let gone = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let mut learnt = Learnt::default();
        let mut device = open(&target(gone, None), &mut learnt).await.unwrap();
        device.writer.write_all(b"x").await.unwrap();
        let text = read(&mut device).await.unwrap_err().to_string();
        assert_eq!(text, format!("{gone}: nobody listens on UDP port {} there", gone.port()));
        let other: SocketAddr = "127.0.0.2:9".parse().unwrap();
        assert_eq!(learnt.order(vec![other, gone]), [other, gone]);
        learnt.refused.store(true, Ordering::Relaxed);
        assert_eq!(learnt.order(vec![gone, other]), [other, gone]);
        // Nobody has objected to it since.
        assert_eq!(learnt.order(vec![other, gone]), [gone, other]);
    }

    #[tokio::test]
    async fn our_own_port_is_the_configured_one_and_one_that_is_taken_is_named() {
        let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let held = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        let port = held.local_addr().unwrap().port();
        let target = target(peer.local_addr().unwrap(), Some(port));
        let error = open(&target, &mut Learnt::default()).await.unwrap_err();
        assert!(
            matches!(&error, OpenError::InUse(why) if why.contains(&port.to_string())),
            "{error}"
        );
        drop(held);
        let mut device = open(&target, &mut Learnt::default()).await.unwrap();
        device.writer.write_all(b"x").await.unwrap();
        assert_eq!(peer.recv_from(&mut [0; 9]).await.unwrap().1.port(), port);
    }

    #[tokio::test]
    async fn a_name_nobody_knows_is_absent_and_named() {
        let target = UdpTarget { host: "no-such-host.invalid".into(), port: 1, local_port: None };
        let error = open(&target, &mut Learnt::default()).await.unwrap_err();
        assert!(
            matches!(&error, OpenError::Absent(why) if why.contains("no-such-host")),
            "{error}"
        );
    }
}
