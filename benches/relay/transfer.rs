//! Bytes through a relay: one way, both ways, and there and back.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::fd::AsFd as _,
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::{
    Outcome,
    client::{Client, Speech, tuned},
    fail, frames,
    pattern::{Check, PERIOD, pattern},
    place::{Place, put},
    relay::Relay,
    table::median,
};

/// Bytes the client sends at a time: frames of a browser that has much to say come together.
const BATCH: usize = 64 * 1024;

/// How long a relay has to reach the device.
const DIAL: Duration = Duration::from_secs(20);

/// Where the relays find the device.
#[derive(Debug)]
pub(crate) struct Device {
    listener: TcpListener,
    pub(crate) port: u16,
}

impl Device {
    pub(crate) fn new() -> Outcome<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        // Hundreds of connections are opened at once.
        rustix::net::listen(&listener, 4096)?;
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port })
    }

    fn accept(&self) -> Outcome<TcpStream> {
        let deadline = Instant::now() + DIAL;
        while Instant::now() < deadline {
            let mut fds = [PollFd::from_borrowed_fd(self.listener.as_fd(), PollFlags::IN)];
            let second = Timespec { tv_sec: 1, tv_nsec: 0 };
            match poll(&mut fds, Some(&second)) {
                Ok(1..) => return tuned(self.listener.accept()?.0),
                Ok(0) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        fail("the relay did not reach the device".into())
    }

    /// A connection through a relay: the client's end, and the device's.
    pub(crate) fn pair(&self, relay: &Relay) -> Outcome<(Client, TcpStream)> {
        let client = Client::open(relay.port, relay.speech)?;
        Ok((client, self.accept()?))
    }
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Device to browser.
    Down,
    /// Browser to device.
    Up,
    Both,
}

/// How much, and in what pieces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) way: Way,
    pub(crate) piece: usize,
    /// Bytes each way.
    pub(crate) total: u64,
}

/// What it cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// CPU seconds of the relay for 10^9 bytes of payload.
    pub(crate) cpu: f64,
    /// 10^6 bytes of payload a second.
    pub(crate) rate: f64,
}

/// Sends through a relay and checks every byte that comes out.
pub(crate) fn transfer(device: &Device, relay: &Relay, load: Load) -> Outcome<Cost> {
    let _placed = put(Place::Apart, relay)?;
    let (mut client, mut far) = device.pair(relay)?;
    let up = Sending::new(load.piece, relay.speech, BATCH);
    // A device has no reason to wait until it has more to say.
    let down = Sending::new(load.piece, Speech::Raw, load.piece);
    let (cpu, begun) = (relay.cpu(), Instant::now());
    let (total, mut check) = (load.total, Check::default());
    match load.way {
        Way::Down => thread::scope(|scope| {
            let sender = scope.spawn(|| down.send(&mut far, total));
            client.receive(&mut check, total)?;
            sender.join().unwrap_or_else(|_| fail("the sender panicked".into()))
        })?,
        Way::Up => thread::scope(|scope| {
            let receiver = scope.spawn(|| drain(&mut far, total));
            up.send(&mut client.wire, total)?;
            receiver.join().unwrap_or_else(|_| fail("the receiver panicked".into()))
        })?,
        Way::Both => {
            let (mut near_sender, mut far_sender) = (client.sender()?, far.try_clone()?);
            thread::scope(|scope| {
                let tasks = [
                    scope.spawn(|| down.send(&mut far_sender, total)),
                    scope.spawn(|| up.send(&mut near_sender, total)),
                    scope.spawn(|| drain(&mut far, total)),
                ];
                client.receive(&mut check, total)?;
                tasks.into_iter().try_for_each(|task| {
                    task.join().unwrap_or_else(|_| fail("a sender or receiver panicked".into()))
                })
            })?;
        }
    }
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), relay.cpu() - cpu);
    let bytes = float(total) * if load.way == Way::Both { 2.0 } else { 1.0 };
    Ok(Cost { cpu: float(cpu) / bytes, rate: bytes / seconds / 1e6 })
}

/// A period of the pattern as it goes over the wire.
pub(crate) struct Sending {
    bytes: Vec<u8>,
    /// Bytes of one write, whole frames.
    step: usize,
    /// Bytes of a piece on the wire, and of its payload.
    size: usize,
    piece: usize,
}

impl Sending {
    pub(crate) fn new(piece: usize, speech: Speech, batch: usize) -> Self {
        let (bytes, size) = match speech {
            Speech::Raw => (pattern().get(..PERIOD).unwrap_or_default().to_vec(), piece),
            Speech::Ws(_) | Speech::Wss(_) | Speech::WssChaCha(_) => frames::period(piece),
        };
        Self { bytes, step: (batch / piece).max(1) * size, size, piece }
    }

    /// Sends so many bytes of payload.
    pub(crate) fn send(&self, wire: &mut impl Write, total: u64) -> Outcome<()> {
        let pieces = usize::try_from(total)? / self.piece;
        let mut left = pieces * self.size;
        while left > 0 {
            for step in self.bytes.chunks(self.step) {
                let step = step.get(..step.len().min(left)).unwrap_or_default();
                wire.write_all(step)?;
                left -= step.len();
            }
        }
        Ok(wire.flush()?)
    }
}

/// The device's side of "up".
pub(crate) fn drain(from: &mut impl Read, total: u64) -> Outcome<()> {
    let (mut check, mut buf) = (Check::default(), vec![0; 256 * 1024]);
    while check.count < total {
        let n = from.read(&mut buf)?;
        if n == 0 {
            return fail(format!("the device got {} of {total} bytes", check.count));
        }
        check.take(buf.get(..n).unwrap_or_default())?;
    }
    Ok(())
}

/// What a round trip cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trip {
    /// Microseconds of the relay's CPU time.
    pub(crate) cpu: f64,
    /// Microseconds, the middle one and the 99th of 100.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// 64 bytes to the device and back, one after the other.
pub(crate) fn round_trips(device: &Device, relay: &Relay, count: usize) -> Outcome<Trip> {
    let _placed = put(Place::Together, relay)?;
    let (mut client, far) = device.pair(relay)?;
    let mut echo = far.try_clone()?;
    let mut times = Vec::with_capacity(count);
    let echoing = thread::spawn(move || {
        let mut buf = [0; 4096];
        while let Ok(n @ 1..) = echo.read(&mut buf) {
            if echo.write_all(buf.get(..n).unwrap_or_default()).is_err() {
                break;
            }
        }
    });
    let mut check = Check::default();
    let mut go = |client: &mut Client| -> Outcome<f64> {
        let at = usize::try_from(check.count)? % PERIOD;
        let begun = Instant::now();
        client.send(pattern().get(at..at + 64).unwrap_or_default())?;
        client.receive(&mut check, 64)?;
        Ok(begun.elapsed().as_secs_f64() * 1e6)
    };
    for _ in 0..count / 10 {
        go(&mut client)?;
    }
    let cpu = relay.cpu();
    for _ in 0..count {
        times.push(go(&mut client)?);
    }
    let cpu = float(relay.cpu() - cpu) / 1000.0 / float(count as u64);
    far.shutdown(std::net::Shutdown::Both)?;
    echoing.join().map_err(|_| "the echo panicked")?;
    times.sort_by(f64::total_cmp);
    let p99 = times.get(count * 99 / 100).copied().unwrap_or(f64::NAN);
    Ok(Trip { cpu, p50: median(times), p99 })
}

/// Counts are far below 2^53.
#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^53")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}
