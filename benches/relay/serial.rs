//! Serial lines, by pseudo-terminals: a line alone, one that many watch, many that do nothing.

use std::{
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use rustix::{
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{OptionalActions, tcgetattr, tcsetattr},
};

use crate::{
    Outcome,
    client::Client,
    fail,
    pattern::{Check, PERIOD, pattern},
    place::{Place, put},
    relay::{Bridge, Relay},
    transfer::{Cost, Load, Sending, Way, drain, float},
};

/// Bytes a second of a line at 3 Mbaud, 8N1.
const LINE: usize = 300_000;

/// The device's end of a line.
#[derive(Debug)]
pub(crate) struct Line {
    master: File,
    /// Keeps the line up while nobody has it open.
    _slave: File,
    pub(crate) path: PathBuf,
}

impl Line {
    pub(crate) fn new() -> Outcome<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let path = PathBuf::from(ptsname(&master, Vec::new())?.into_string()?);
        let slave = open(&path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty())?;
        let mut settings = tcgetattr(&slave)?;
        settings.make_raw();
        tcsetattr(&slave, OptionalActions::Now, &settings)?;
        Ok(Self { master: master.into(), _slave: slave.into(), path })
    }

    fn device(&self) -> Outcome<File> {
        Ok(self.master.try_clone()?)
    }
}

/// Bytes through a relay to or from a line, every one checked.
pub(crate) fn transfer(line: &Line, relay: &Relay, load: Load) -> Outcome<Cost> {
    let _placed = put(Place::Apart, relay)?;
    let mut client = Client::open(relay.port, relay.speech)?;
    let mut device = line.device()?;
    // The relay opens the line when the client comes; what is sent before would be lost.
    sleep(Duration::from_millis(300));
    let up = Sending::new(load.piece, relay.speech, load.piece);
    let down = Sending::new(load.piece, crate::client::Speech::Raw, load.piece);
    let (cpu, begun) = (relay.cpu(), Instant::now());
    thread::scope(|scope| -> Outcome<()> {
        let far = scope.spawn(|| match load.way {
            Way::Up => drain(&mut device, load.total),
            Way::Down | Way::Both => down.send(&mut device, load.total),
        });
        match load.way {
            Way::Up => up.send(&mut client.wire, load.total)?,
            Way::Down | Way::Both => client.receive(&mut Check::default(), load.total)?,
        }
        far.join().unwrap_or_else(|_| fail("the device panicked".into()))
    })?;
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), relay.cpu() - cpu);
    drop(client);
    sleep(Duration::from_millis(200));
    Ok(Cost { cpu: float(cpu) / float(load.total), rate: float(load.total) / seconds / 1e6 })
}

/// Which way bytes go at the pace of a line at 3 Mbaud, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) way: Way,
    pub(crate) seconds: u32,
}

/// CPU s/GB of such a line: a burst each 10 ms, as a USB adapter hands its bytes over, every one
/// checked.
pub(crate) fn paced(line: &Line, relay: &Relay, pace: Pace) -> Outcome<f64> {
    let mut client = Client::open(relay.port, relay.speech)?;
    sleep(Duration::from_millis(300));
    let mut device = line.device()?;
    let (burst, bursts) = (LINE / 100, pace.seconds * 100);
    let total = burst as u64 * u64::from(bursts);
    let cpu = relay.cpu();
    let begun = Instant::now();
    let bursts = (0..bursts).map(|number| {
        sleep(
            (begun + Duration::from_millis(10) * number).saturating_duration_since(Instant::now()),
        );
        let at = burst * number as usize % PERIOD;
        pattern().get(at..at + burst).unwrap_or_default()
    });
    thread::scope(|scope| -> Outcome<()> {
        let mut far = device.try_clone()?;
        match pace.way {
            Way::Up => {
                let drained = scope.spawn(move || drain(&mut far, total));
                for burst in bursts {
                    client.send(burst)?;
                }
                drained.join().unwrap_or_else(|_| fail("the device panicked".into()))
            }
            Way::Down | Way::Both => {
                let heard = scope.spawn(move || client.receive(&mut Check::default(), total));
                for burst in bursts {
                    device.write_all(burst)?;
                }
                heard.join().unwrap_or_else(|_| fail("the viewer panicked".into()))
            }
        }
    })?;
    let cpu = relay.cpu() - cpu;
    sleep(Duration::from_millis(200));
    Ok(float(cpu) / float(total))
}

/// Percent of one core for a line at 3 Mbaud that so many watch; every byte of every viewer is
/// checked.
pub(crate) fn viewers(
    bridge: &Bridge,
    line: &Line,
    viewers: usize,
    time: Duration,
) -> Outcome<f64> {
    let relay = bridge.relay("wsbridge", "/ws/line0?role=observer");
    let clients = (0..viewers).map(|_| Client::open(relay.port, relay.speech));
    let clients: Vec<Client> = clients.collect::<Outcome<_>>()?;
    sleep(Duration::from_millis(300));
    let mut device = line.device()?;
    // A burst each 10 ms, as a USB adapter hands its bytes over.
    let burst = LINE / 100;
    let bursts = time.as_millis() / 10;
    let total = burst as u64 * u64::try_from(bursts)?;
    let (cpu, begun) = (relay.cpu(), Instant::now());
    thread::scope(|scope| -> Outcome<()> {
        let watch = |mut client: Client| client.receive(&mut Check::default(), total);
        let watching: Vec<_> =
            clients.into_iter().map(|client| scope.spawn(move || watch(client))).collect();
        let mut at = 0;
        for number in 0..bursts {
            device.write_all(pattern().get(at..at + burst).unwrap_or_default())?;
            at = (at + burst) % PERIOD;
            let due = begun + Duration::from_millis(10) * u32::try_from(number + 1)?;
            sleep(due.saturating_duration_since(Instant::now()));
        }
        watching.into_iter().try_for_each(|viewer| {
            viewer.join().unwrap_or_else(|_| fail("a viewer panicked".into()))
        })
    })?;
    let percent = float(relay.cpu() - cpu) / 1e9 / begun.elapsed().as_secs_f64() * 100.0;
    sleep(Duration::from_millis(200));
    Ok(percent)
}

/// KiB for each open line that nobody watches, and percent of one core for all of them.
pub(crate) fn idle_lines(
    program: &Path,
    device: u16,
    count: usize,
    time: Duration,
) -> Outcome<(f64, f64)> {
    let none = Bridge::start(program, device)?;
    let lines: Vec<Line> = (0..count).map(|_| Line::new()).collect::<Outcome<_>>()?;
    let paths: Vec<PathBuf> = lines.iter().map(|line| line.path.clone()).collect();
    let all = Bridge::serve(program, device, (&paths, "one-writer"))?;
    // The threads that opened the lines end after ten idle seconds, and take their CPU time with
    // them.
    sleep(Duration::from_secs(11));
    let memory = (float(all.ws.memory()) - float(none.ws.memory())) / float(count as u64);
    let (cpu, begun) = (all.ws.cpu(), Instant::now());
    sleep(time);
    let percent =
        float(all.ws.cpu().saturating_sub(cpu)) / 1e9 / begun.elapsed().as_secs_f64() * 100.0;
    // A line that still answers was open.
    let relay = all.relay("wsbridge", "/ws/line0");
    let mut client = Client::open(relay.port, relay.speech)?;
    let Some(first) = lines.first() else { return fail("no line".into()) };
    client.send(b"ping")?;
    let mut got = [0; 4];
    first.device()?.read_exact(&mut got)?;
    if &got != b"ping" {
        return fail("an idle line lost bytes".into());
    }
    Ok((memory, percent))
}
