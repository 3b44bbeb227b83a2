//! TCP devices: each is a listener on loopback with one thread per connection.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use sha2::{Digest, Sha256};
use socket2::{Domain, SockRef, Socket, Type};

use super::PATIENCE;

/// A TCP device. Its threads end with their connections.
#[derive(Debug)]
pub(crate) struct Target<T = ()> {
    address: SocketAddr,
    reports: Receiver<T>,
    /// What must stay open for the device to behave.
    _held: Vec<Socket>,
}

/// What a connection brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) bytes: u64,
    pub(crate) sha256: [u8; 32],
}

impl<T: Send + 'static> Target<T> {
    /// Runs `device` for each connection; what it returns is available from [`Self::report`].
    pub(crate) fn serve(device: impl Fn(TcpStream) -> T + Clone + Send + 'static) -> Self {
        Self::accept(TcpListener::bind("127.0.0.1:0").unwrap(), device)
    }

    /// The same, with a kernel that takes only a few KiB from the first byte on: an option set on
    /// an open connection comes too late for what has already arrived.
    pub(crate) fn narrow(device: impl Fn(TcpStream) -> T + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        SockRef::from(&listener).set_recv_buffer_size(4096).unwrap();
        Self::accept(listener, device)
    }

    fn accept(
        listener: TcpListener,
        device: impl Fn(TcpStream) -> T + Clone + Send + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let (sender, reports) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // Nagle and delayed acknowledgements would make each round trip 40 ms.
                stream.set_nodelay(true).unwrap();
                let (device, sender) = (device.clone(), sender.clone());
                thread::spawn(move || sender.send(device(stream)));
            }
        });
        Self { address, reports, _held: Vec::new() }
    }

    /// What the next connection to end returned.
    pub(crate) fn report(&self) -> T {
        self.reports.recv_timeout(PATIENCE).expect("a connection ends")
    }
}

impl<T> Target<T> {
    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its lines in a configuration.
    pub(crate) fn endpoint(&self, name: &str) -> String {
        format!("  {name}:\n    tcp: {{ address: \"{}\" }}\n", self.address)
    }
}

impl Target<()> {
    /// Sends back what it receives, and the half-close.
    pub(crate) fn echo() -> Self {
        Self::serve(|stream| {
            let _ = io::copy(&mut &stream, &mut &stream);
            let _ = stream.shutdown(Shutdown::Write);
        })
    }

    /// Sends these bytes, then closes.
    pub(crate) fn source(bytes: Vec<u8>) -> Self {
        Self::serve(move |mut stream| {
            let _ = stream.write_all(&bytes).and_then(|()| stream.shutdown(Shutdown::Write));
            // Closing with unread bytes would reset the connection and lose the last ones.
            let _ = io::copy(&mut stream, &mut io::sink());
        })
    }

    /// Reads this many bytes, then resets.
    pub(crate) fn reset(after: usize) -> Self {
        Self::serve(move |mut stream| {
            let _ = stream.read_exact(&mut vec![0; after]);
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        })
    }

    /// Nobody listens.
    pub(crate) fn refuse() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        // Bound but not listening: the port stays ours and refuses.
        socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        Self { address, reports: channel().1, _held: vec![socket] }
    }

    /// Nobody answers: the backlog is full, so the kernel drops every SYN.
    pub(crate) fn blackhole() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut held = vec![listener];
        for _ in 0..4 {
            let knock = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            knock.set_nonblocking(true).unwrap();
            let _ = knock.connect(&address);
            held.push(knock);
        }
        Self { address: address.as_socket().unwrap(), reports: channel().1, _held: held }
    }
}

impl Target<Received> {
    /// Reads to the end and reports what arrived.
    pub(crate) fn sink() -> Self {
        Self::serve(|stream| received(&stream))
    }

    /// Reads to the half-close, then still sends these bytes.
    pub(crate) fn last_words(bytes: Vec<u8>) -> Self {
        Self::serve(move |mut stream| {
            let received = received(&stream);
            let _ = stream.write_all(&bytes);
            received
        })
    }
}

impl Received {
    /// What these bytes would be reported as.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, sha256: Sha256::digest(bytes).into() }
    }
}

pub(crate) fn received(mut stream: &TcpStream) -> Received {
    let (mut digest, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 64 * 1024]);
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        digest.update(&buffer[..read]);
        bytes += read as u64;
    }
    Received { bytes, sha256: digest.finalize().into() }
}
