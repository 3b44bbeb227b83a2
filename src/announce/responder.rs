//! The responder of multicast DNS (RFC 6762): one thread that probes, announces, answers, and says
//! goodbye.
//!
//! It stores nothing that others say, so nobody can fill its memory, and reads only so many packets
//! a second.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, SocketAddr},
    os::unix::net::UnixStream,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use simple_dns::Packet;

use super::{
    Service,
    claim::{Claim, Loss, ToSend},
    link::{LinkInterface, MDNS_PORT, Subnet, places},
    names::Candidates,
    records::Records,
};

/// How often it looks for addresses that have come or gone.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// The largest packet (RFC 6762 section 17).
const PACKET_SIZE_MAX: usize = 9000;
/// Packets read within [`HEARING`]; any beyond that are lost, as on a congested network.
const HEARD: u32 = 50;
const HEARING: Duration = Duration::from_millis(100);
/// A record is not repeated to everybody within this time.
const SAID: Duration = Duration::from_secs(1);
/// Lifetime of a record for a client that does not know multicast DNS (RFC 6762 section 6.7), in
/// seconds.
const LEGACY: u32 = 10;

/// The name we hold now, if any.
pub(super) type HeldName = Arc<Mutex<Option<String>>>;

/// The running thread; dropping this makes it say goodbye and end.
#[derive(Debug)]
pub(super) struct Responder {
    /// Closing it wakes the thread and ends it.
    alive: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Responder {
    /// Starts announcing services.
    pub(super) fn start(
        names: Candidates,
        services: Vec<Service>,
        held: HeldName,
    ) -> io::Result<Self> {
        let (alive, ended) = UnixStream::pair()?;
        let now = Instant::now();
        let mut voice = Voice {
            names,
            services,
            held,
            places: Vec::new(),
            links: Vec::new(),
            here: Vec::new(),
            claim: Claim::new(now, jitter(0, 250)),
            look: now + LOOK_AGAIN,
            hearing: now,
        };
        voice.look(now);
        let thread =
            thread::Builder::new().name("mdns".to_owned()).spawn(move || voice.run(&ended))?;
        Ok(Self { alive: Some(alive), thread: Some(thread) })
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        drop(self.alive.take());
        if let Some(thread) = self.thread.take() {
            // The thread sends a few packets and ends.
            let _ = thread.join();
        }
    }
}

/// What the thread works with.
struct Voice {
    names: Candidates,
    services: Vec<Service>,
    held: HeldName,
    /// All links, including those that cannot be spoken on.
    places: Vec<Subnet>,
    links: Vec<LinkRecords>,
    /// Every address of this machine.
    here: Vec<IpAddr>,
    claim: Claim,
    look: Instant,
    /// Start of the period over which each link's packets are counted.
    hearing: Instant,
}

/// A link and what is said there.
struct LinkRecords {
    link: LinkInterface,
    records: Records,
    /// When each record was last said to everybody.
    said: Vec<Option<Instant>>,
    /// What is about to be said to everybody: records that others have, too, are delayed, so that
    /// the answers do not all come together.
    pending: Option<(Instant, BTreeSet<usize>)>,
    /// Packets heard in this period.
    heard: u32,
}

impl Voice {
    /// Speaks and listens until the other end of `ended` is closed.
    fn run(mut self, ended: &UnixStream) {
        let mut buffer = vec![0; PACKET_SIZE_MAX];
        loop {
            match self.wait(ended, Instant::now()) {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => {
                    tracing::error!("multicast DNS has ended: {error}");
                    break;
                }
            }
            self.hear(&mut buffer);
            self.speak(Instant::now());
        }
        if self.claim.holds() {
            self.say_everything(|_| 0);
        }
        self.hold(None);
    }

    /// Waits for a packet or until something is due; true when it is over.
    fn wait(&mut self, ended: &UnixStream, now: Instant) -> io::Result<bool> {
        if now.saturating_duration_since(self.hearing) >= HEARING {
            self.hearing = now;
            self.links.iter_mut().for_each(|spoken| spoken.heard = 0);
        }
        let (open, full): (Vec<_>, Vec<_>) =
            self.links.iter().partition(|spoken| spoken.heard < HEARD);
        let again = (!full.is_empty()).then_some(self.hearing + HEARING);
        let pending =
            self.links.iter().filter_map(|spoken| spoken.pending.as_ref().map(|(due, _)| *due));
        let due = pending.chain(self.claim.due()).chain(again).fold(self.look, Instant::min);
        let left = Timespec::try_from(due.saturating_duration_since(now)).ok();
        let mut fds = vec![PollFd::new(ended, PollFlags::IN)];
        let sockets = open.iter().flat_map(|spoken| spoken.link.descriptors());
        fds.extend(sockets.map(|socket| PollFd::from_borrowed_fd(socket, PollFlags::IN)));
        match poll(&mut fds, left.as_ref()) {
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(fds.first().is_some_and(|ended| !ended.revents().is_empty())),
        }
    }

    fn hear(&mut self, buffer: &mut [u8]) {
        for at in 0..self.links.len() {
            while let Some(spoken) = self.links.get_mut(at).filter(|spoken| spoken.heard < HEARD) {
                let Some((length, from)) = spoken.link.receive(buffer) else { break };
                spoken.heard += 1;
                let packet = buffer.get(..length).and_then(|bytes| Packet::parse(bytes).ok());
                if let Some(packet) = packet {
                    self.take(at, &packet, from);
                }
            }
        }
    }

    /// Handles one packet from a link.
    fn take(&mut self, at: usize, packet: &Packet<'_>, from: SocketAddr) {
        let now = Instant::now();
        let Some(spoken) = self.links.get_mut(at).filter(|spoken| spoken.link.has(from.ip()))
        else {
            return;
        };
        if packet.has_flags(simple_dns::PacketFlag::RESPONSE) {
            let mut said = packet.answers.iter().chain(&packet.additional_records);
            let contradicted = from.port() == MDNS_PORT
                && said.any(|one| spoken.records.contradicts(one, &self.here));
            if contradicted {
                let loss = self.claim.conflict(now);
                self.lose(loss, from.ip());
            }
        } else if self.claim.probes() {
            let other = !self.here.contains(&from.ip()) && !packet.name_servers.is_empty();
            if other && spoken.records.yields_to(packet) {
                let loss = self.claim.defer(now);
                self.lose(loss, from.ip());
            }
        } else if self.claim.holds() {
            spoken.answer(packet, from, now);
        }
    }

    /// Carries out what follows from a conflict.
    fn lose(&mut self, loss: Loss, other: IpAddr) {
        self.hold(None);
        match loss {
            Loss::None | Loss::Probed => {}
            Loss::Renamed => {
                let before = self.names.host_name();
                self.say(Records::pointers, |_| 0);
                self.names.change();
                let name = self.names.host_name();
                tracing::warn!(%other, "another machine has the name {before}; trying {name}");
                self.write_down();
            }
            Loss::Silenced => tracing::error!(
                %other,
                "not announced by multicast DNS for an hour: another machine answers for every name that is tried"
            ),
        }
    }

    /// Says whatever is due.
    fn speak(&mut self, now: Instant) {
        if self.look <= now {
            self.look = now + LOOK_AGAIN;
            self.look(now);
        }
        match self.claim.step(now) {
            None => {}
            Some(ToSend::Probe) => {
                for spoken in &self.links {
                    send(&spoken.link, &spoken.records.probe(), None);
                }
            }
            Some(ToSend::Announce) => {
                // Without a link there is nobody to hold it against.
                self.hold((!self.links.is_empty()).then(|| self.names.host_name()));
                self.say_everything(|life| life);
            }
        }
        for spoken in &mut self.links {
            if let Some((_, wanted)) = spoken.pending.take_if(|(due, _)| *due <= now) {
                spoken.say(&wanted, now);
            }
        }
    }

    /// Says all records to everybody on every link.
    fn say_everything(&self, life: impl Fn(u32) -> u32) {
        self.say(Records::every, life);
    }

    fn say(&self, which: impl Fn(&Records) -> BTreeSet<usize>, life: impl Fn(u32) -> u32) {
        for spoken in &self.links {
            send(&spoken.link, &spoken.records.response(&which(&spoken.records), &life), None);
        }
    }

    /// Looks up the links; if they have changed, the names are probed for anew.
    fn look(&mut self, now: Instant) {
        let (places, here) = match places(&self.services) {
            Ok(found) => found,
            Err(error) => {
                return tracing::warn!("multicast DNS: the interfaces cannot be listed: {error}");
            }
        };
        self.here = here;
        if places == self.places {
            return;
        }
        self.places.clone_from(&places);
        let opened = places.into_iter().filter_map(|place| {
            LinkInterface::open(place)
                .inspect_err(|error| tracing::debug!("no multicast DNS: {error}"))
                .ok()
        });
        self.links = opened.map(|link| self.spoken(link)).collect();
        self.claim.again(now + jitter(0, 250));
    }

    /// Builds the records for the names as they are now.
    fn write_down(&mut self) {
        let links = std::mem::take(&mut self.links);
        self.links = links.into_iter().map(|spoken| self.spoken(spoken.link)).collect();
    }

    fn spoken(&self, link: LinkInterface) -> LinkRecords {
        let records = Records::new(&self.names, &self.services, &link.place.served);
        let said = vec![None; records.every().len()];
        LinkRecords { link, records, said, pending: None, heard: 0 }
    }

    fn hold(&self, name: Option<String>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(name), true) = (&name, *held != name) {
            tracing::info!("announced as {name} by multicast DNS");
        }
        *held = name;
    }
}

impl LinkRecords {
    /// Answers a query (RFC 6762 section 6): immediately, or after a short wait where others may
    /// answer, too.
    fn answer(&mut self, query: &Packet<'_>, from: SocketAddr, now: Instant) {
        let wanted: BTreeSet<_> =
            query.questions.iter().flat_map(|question| self.records.answers(question)).collect();
        let wanted = self.records.unknown(wanted, &query.answers);
        if wanted.is_empty() {
            return;
        }
        if from.port() != MDNS_PORT {
            let mut response = self.records.response(&wanted, |life| life.min(LEGACY));
            response.set_id(query.id());
            response.questions.clone_from(&query.questions);
            let said = response.answers.iter_mut().chain(&mut response.additional_records);
            said.for_each(|record| record.cache_flush = false);
            return send(&self.link, &response, Some(from));
        }
        if query.questions.iter().all(|question| question.unicast_response) {
            return send(&self.link, &self.records.response(&wanted, |life| life), Some(from));
        }
        // Whoever probes for one of our names is told immediately.
        let probed = !query.name_servers.is_empty();
        if !probed && wanted.iter().any(|at| self.records.is_shared(*at)) {
            let (due, mut all) =
                self.pending.take().unwrap_or((now + jitter(20, 120), BTreeSet::new()));
            all.extend(wanted);
            self.pending = Some((due, all));
            return;
        }
        if probed {
            self.said.fill(None);
        }
        self.say(&wanted, now);
    }

    /// Says to everybody what they have not just been told.
    fn say(&mut self, wanted: &BTreeSet<usize>, now: Instant) {
        let fresh = |at: &usize| {
            let last = self.said.get(*at).copied().flatten();
            last.is_none_or(|last| now.saturating_duration_since(last) >= SAID)
        };
        let wanted: BTreeSet<_> = wanted.iter().copied().filter(fresh).collect();
        if wanted.is_empty() {
            return;
        }
        send(&self.link, &self.records.response(&wanted, |life| life), None);
        for at in wanted {
            if let Some(said) = self.said.get_mut(at) {
                *said = Some(now);
            }
        }
    }
}

/// Sends a packet to everybody on a link, or to one.
fn send(link: &LinkInterface, packet: &Packet<'_>, to: Option<SocketAddr>) {
    match (packet.build_bytes_vec_compressed(), to) {
        (Ok(bytes), None) => link.send(&bytes),
        (Ok(bytes), Some(to)) => link.send_to(&bytes, to),
        (Err(error), _) => tracing::debug!("multicast DNS: {error}"),
    }
}

/// A random time within these milliseconds.
fn jitter(least: u64, most: u64) -> Duration {
    let random = getrandom::u32().unwrap_or(0);
    Duration::from_millis(least + u64::from(random) % (most - least))
}
