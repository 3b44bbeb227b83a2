//! What a connection costs: to set up, to keep, to stall.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
    thread::{self, sleep},
    time::{Duration, Instant},
};

use crate::{
    Outcome,
    client::{Client, Wire},
    pattern::{Check, PERIOD, pattern},
    relay::Relay,
    transfer::{Device, drain, float},
};

/// Time in which a process comes to rest.
const REST: Duration = Duration::from_millis(300);

/// Bytes each way of the traffic that a connection sees.
const TRAFFIC: usize = 32 * 1024;

/// Time without progress after which a sender is stalled.
const STALLED: Duration = Duration::from_millis(400);

/// Most bytes a stalled sender tries to send: far more than any honest buffer.
const FLOOD: usize = 64 << 20;

/// Both ends of connections through one relay.
pub(crate) type Pairs = Vec<(Client, TcpStream)>;

/// Opens connections.
pub(crate) fn open(device: &Device, relay: &Relay, count: usize) -> Outcome<Pairs> {
    (0..count).map(|_| device.pair(relay)).collect()
}

/// Milliseconds of CPU for one connection: accept, handshake, dial; not its end.
pub(crate) fn set_up(device: &Device, relay: &Relay, count: usize) -> Outcome<f64> {
    drop(open(device, relay, 8)?);
    sleep(REST);
    let before = relay.cpu();
    let pairs = open(device, relay, count)?;
    sleep(REST);
    let cpu = relay.cpu() - before;
    drop(pairs);
    sleep(REST);
    Ok(float(cpu) / 1e6 / float(count as u64))
}

/// KiB for each idle connection before traffic, and how many more after it.
pub(crate) fn memory(device: &Device, relay: &Relay, count: usize) -> Outcome<(f64, f64)> {
    for (mut client, mut far) in open(device, relay, 8)? {
        exchange(&mut client, &mut far)?;
    }
    sleep(REST);
    let empty = relay.memory();
    let mut pairs = open(device, relay, count)?;
    sleep(REST);
    let idle = relay.memory();
    for (client, far) in &mut pairs {
        exchange(client, far)?;
    }
    sleep(REST);
    let used = relay.memory();
    let each = |more: u64, less: u64| (float(more) - float(less)) / float(count as u64);
    Ok((each(idle, empty), each(used, idle)))
}

/// Some traffic each way, checked.
fn exchange(client: &mut Client, far: &mut TcpStream) -> Outcome<()> {
    let bytes = pattern().get(..TRAFFIC).unwrap_or_default();
    client.send(bytes)?;
    let mut got = vec![0; TRAFFIC];
    far.read_exact(&mut got)?;
    Check::default().take(&got)?;
    far.write_all(bytes)?;
    client.receive(&mut Check::default(), TRAFFIC as u64)
}

/// KiB by which a relay grows for a connection whose reader has stopped, and the proof that nothing
/// was lost: first when the browser does not read, then when the device does not.
pub(crate) fn stall(device: &Device, relay: &Relay, count: usize) -> Outcome<(f64, f64)> {
    let mut pairs = open(device, relay, count)?;
    for (client, far) in &mut pairs {
        exchange(client, far)?;
    }
    sleep(REST);
    let before = relay.memory();
    let sent = flood(pairs.iter_mut().map(|(_, far)| far))?;
    let down = float(relay.memory()) - float(before);
    for ((client, _), sent) in pairs.iter_mut().zip(sent) {
        client.receive(&mut Check::default(), sent as u64)?;
    }
    sleep(REST);
    let before = relay.memory();
    let up = stall_up(&mut pairs, relay)? - float(before);
    let each = float(count as u64);
    Ok((down.max(0.0) / each, up.max(0.0) / each))
}

/// Clients send until they cannot; the devices do not read. Returns the memory there was then; all
/// bytes are read after.
fn stall_up(pairs: &mut Pairs, relay: &Relay) -> Outcome<f64> {
    // One endless frame a client: what has been sent of it when all is stalled ends at any byte.
    for (client, _) in pairs.iter_mut() {
        if client.reader.is_some() {
            let mut head = vec![0x82, 0x80 | 127];
            head.extend((FLOOD as u64).to_be_bytes());
            head.extend([0; 4]);
            client.wire.write_all(&head)?;
        }
    }
    let sent = flood(pairs.iter_mut().map(|(client, _)| &mut client.wire))?;
    let memory = float(relay.memory());
    for ((client, far), sent) in pairs.iter_mut().zip(sent) {
        thread::scope(|scope| -> Outcome<()> {
            // What a client's own TLS still holds goes when there is room.
            let rest = scope.spawn(|| client.wire.flush());
            drain(far, sent as u64)?;
            Ok(rest.join().map_err(|_| "a client panicked")??)
        })?;
    }
    Ok(memory)
}

/// A stream that can be written until it takes no more.
trait Floodable: Write {
    fn nonblocking(&self, on: bool) -> io::Result<()>;
}

impl Floodable for TcpStream {
    fn nonblocking(&self, on: bool) -> io::Result<()> {
        self.set_nonblocking(on)
    }
}

impl Floodable for Wire {
    fn nonblocking(&self, on: bool) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.set_nonblocking(on),
            Self::Tls(stream) => stream.sock.set_nonblocking(on),
        }
    }
}

/// Sends the pattern on each stream until nothing moves any more; returns how much each took.
fn flood<'a, S: Floodable + 'a>(streams: impl Iterator<Item = &'a mut S>) -> Outcome<Vec<usize>> {
    let mut streams: Vec<_> = streams.map(|stream| (stream, 0)).collect();
    let mut moved = Instant::now();
    while moved.elapsed() < STALLED {
        for (stream, sent) in &mut streams {
            stream.nonblocking(true)?;
            let at = *sent % PERIOD;
            let most = (FLOOD - *sent).min(64 * 1024);
            match stream.write(pattern().get(at..at + most).unwrap_or_default()) {
                Ok(n) if n > 0 => {
                    *sent += n;
                    moved = Instant::now();
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        sleep(Duration::from_micros(200));
    }
    for (stream, _) in &streams {
        stream.nonblocking(false)?;
    }
    Ok(streams.into_iter().map(|(_, sent)| sent).collect())
}

/// Percent of one core that open, silent connections cost, their pings and pongs included.
pub(crate) fn idle(device: &Device, relay: &Relay, count: usize, time: Duration) -> Outcome<f64> {
    let mut pairs = open(device, relay, count)?;
    let tend = |pairs: &mut Pairs, time: Duration| -> Outcome<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            sleep(Duration::from_millis(500));
            pairs.iter_mut().try_for_each(|(client, _)| client.answer_pings())?;
        }
        Ok(())
    };
    tend(&mut pairs, Duration::from_secs(1))?;
    let (cpu, begun) = (relay.cpu(), Instant::now());
    tend(&mut pairs, time)?;
    Ok(float(relay.cpu() - cpu) / 1e9 / begun.elapsed().as_secs_f64() * 100.0)
}
