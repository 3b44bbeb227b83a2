//! Endpoints: targets, their rules, and what cannot be combined.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use super::{
    Endpoint, EndpointLimits, OpenWhen, Packing, Share, SimDevice, SimTarget, Target,
    cursor::{Keys, Placed, Value},
    dead_man,
    door::{WrittenDoor, doors, fit},
    node::{At, NodeKey},
    pacing, packing,
    port::Macros,
    record,
    rfc2217::rfc2217,
    serial::serial,
    subprotocol::Subprotocol,
    tcp::tcp,
    udp::udp,
    units::{ByteRate, Size},
    words::is_name,
};

/// The kinds of targets, by their keys; UCI uses the same words.
pub(super) const KINDS: [&str; 5] = ["serial", "rfc2217", "tcp", "udp", "sim"];

/// What is published.
#[derive(Debug, Default)]
pub(super) struct Published<'a> {
    pub(super) all: BTreeMap<String, Arc<Endpoint>>,
    /// The names of all that are written, including those with mistakes.
    pub(super) names: BTreeSet<String>,
    /// Their doors, each with the name of its endpoint.
    pub(super) doors: Vec<(String, WrittenDoor<'a>)>,
    /// Where devices connect to us: the endpoint, its place in the file, our address.
    pub(super) waiting: Vec<(String, At, SocketAddr)>,
}

/// Reads `endpoints:`.
pub(super) fn endpoints<'a>(k: &mut Keys<'a>, dead_after: Duration) -> Published<'a> {
    let value = k
        .key("endpoints", "what is published: [below](#endpoints)")
        .without("none (a warning)")
        .value();
    let spot = value.spot();
    let mut endpoints = Published::default();
    let mut devices: BTreeMap<String, &str> = BTreeMap::new();
    for (name, endpoint) in value.named(|name, value| (name, named(name, value, dead_after))) {
        endpoints.names.insert(name.text.clone());
        let Some((endpoint, doors)) = endpoint else { continue };
        endpoints.doors.extend(doors.into_iter().map(|door| (name.text.clone(), door)));
        if let Target::DialIn(target) = &endpoint.target {
            endpoints.waiting.push((name.text.clone(), name.at, target.listen));
        }
        if let Some(device) = device(&endpoint) {
            match devices.get(&device) {
                Some(first) => k.odd_in(
                    &format!("endpoints.{}", name.text),
                    name.at,
                    &same_device(&endpoint, first),
                ),
                None => drop(devices.insert(device, &name.text)),
            }
        }
        endpoints.all.insert(name.text.clone(), Arc::new(endpoint));
    }
    // A hub may have none of its own.
    if endpoints.names.is_empty() && !k.has("hub") {
        spot.odd(At::default(), "none; nothing is published");
    }
    endpoints
}

/// What two endpoints cannot have at the same time: one device under one name, or one of our ports.
fn device(endpoint: &Endpoint) -> Option<String> {
    match &endpoint.target {
        Target::Serial(serial) => Some(format!("{:?}", serial.port)),
        Target::Rfc2217(remote) => Some(format!("rfc2217 {}", remote.tcp.address)),
        Target::Tcp(tcp) if endpoint.share == Some(Share::Exclusive) => {
            Some(format!("tcp {}", tcp.address))
        }
        Target::Udp(udp) => udp.local_port.map(|port| format!("udp {port}")),
        // That its address is taken is a mistake, found with the other listeners.
        Target::Tcp(_) | Target::DialIn(_) | Target::Sim(_) => None,
    }
}

/// What to say about that.
fn same_device(endpoint: &Endpoint, first: &str) -> String {
    if matches!(endpoint.target, Target::Tcp(_)) {
        format!(
            "has the same address as `{first}`, and both are exclusive: one client of each is there at once; keep one \
             endpoint, or share one"
        )
    } else if matches!(endpoint.target, Target::Udp(_)) {
        format!("has the same `local_port` as `{first}`; only one of them can have it")
    } else {
        format!("has the same device as `{first}`; only one of them can have it open")
    }
}

/// An endpoint, and its doors as they are written.
type Written<'a> = (Endpoint, Vec<WrittenDoor<'a>>);

fn named<'a>(name: &NodeKey, value: Value<'a>, dead_after: Duration) -> Option<Written<'a>> {
    let spot = value.spot();
    if !is_name(&name.text) {
        let what = "not a name for an endpoint; use 1 to 64 of a-z 0-9 . _ - and begin with a letter or digit";
        spot.wrong(name.at, what);
    }
    value.keys(|k| endpoint(k, name, dead_after))?.value
}

fn endpoint<'a>(k: &mut Keys<'a>, name: &NodeKey, dead_after: Duration) -> Option<Written<'a>> {
    let title = k.key("title", "what people call it").without("none").uci("title").maybe();
    let (target, macros) = target(k, name, dead_after);
    let (written, open, lease_idle) = sharing(k);
    let reauth = reauth(k);
    let packing = packing::packing(k);
    let delays = pacing::pacing(k);
    let history = k
        .key("history", "how much output is kept for scrollback and resume")
        .uci("history")
        .within(Size(4096)..=Size(64 << 20))
        .or(Size(256 << 10));
    let (base64, subprotocols) = subprotocols(k);
    let line = target.as_ref().is_some_and(is_line);
    let dead_man = dead_man::dead_man(k);
    let limits =
        k.key("limits", "limits of its sessions").without("see below").part(|k| limits(k, line));
    let record = k
        .key("record", "record what passes, in files: [below](#record)")
        .without("none")
        .uci("record")
        .map(record::record);
    let doors = doors(k);

    if let (Some(Target::DialIn(_)), Some(Placed { value: OpenWhen::OnDemand, at })) =
        (&target, &open)
    {
        k.wrong_in("open", *at, "the device connects when it likes; leave this out");
    }
    let share = written.map(|it| it.value).or(line.then_some(Share::OneWriter));
    if let (None, Some(open)) = (share, &open) {
        k.odd_in("open", open.at, "has no effect: each session has its own connection");
    }
    if let (None | Some(Share::Everyone), Some(lease)) = (share, &lease_idle) {
        k.odd_in("lease_idle", lease.at, "has no effect: nobody needs a lease to write here");
    }
    // A device that takes only one connection should not be held for ever, but opening a tty again
    // moves DTR.
    let usually = if written.is_none() || line { OpenWhen::Always } else { OpenWhen::OnDemand };
    let target = target?;
    if target.has_datagrams() {
        has_borders(packing, k);
    }
    let dead_man = dead_man::of_target(dead_man, (&target, share.is_some()), k);
    let record = recorded(record, (packing, &target, share), k);
    let endpoint = Endpoint {
        name: name.text.clone(),
        title: title.map(|it| it.value),
        share,
        history: usize::try_from(history.0).unwrap_or(usize::MAX),
        open: open.map_or(usually, |it| it.value),
        lease_idle: lease_idle.map(|it| it.value),
        reauth,
        packing: packing::timed(packing, &target),
        pacing: pacing::of_line(delays, share, k),
        base64,
        subprotocols,
        limits,
        macros,
        target,
        dead_man,
        record,
        doors: doors.iter().map(|it| it.door.clone()).collect(),
    };
    fit(&doors, &endpoint);
    Some((endpoint, doors))
}

/// How lately whoever writes has to have signed in.
fn reauth(k: &mut Keys<'_>) -> Option<Duration> {
    let reauth = k
        .key("reauth", "whoever wants to write has to have signed in within this time; otherwise the session only reads, until its user signs in again. Who holds the lease keeps it. Tokens, certificates and doors only read: [identity.md](identity.md#signing-in-again-to-write)")
        .without("never asked")
        .uci("reauth")
        .within(Duration::from_secs(1)..=Duration::from_secs(30 * 86_400))
        .maybe();
    if let (Some(reauth), true) = (&reauth, k.fills("doors") || k.has("doors")) {
        k.odd_in("reauth", reauth.at, "doors only read here: nobody signs in by them");
    }
    reauth.map(|it| it.value)
}

/// What is recorded, where the target and how it is shared allow that.
fn recorded(
    record: Option<Placed<record::RecordRules>>,
    (packing, target, share): (Packing, &Target, Option<Share>),
    k: &Keys<'_>,
) -> Option<record::RecordRules> {
    let Placed { value, at } = record?;
    let rules = value.on(packing, target);
    if let Some(why) = rules.unfit(share) {
        k.wrong_in("record", at, why);
    }
    Some(rules)
}

/// Complains about keys that make no sense for a target with message borders of its own.
fn has_borders(packing: Packing, k: &Keys<'_>) {
    let datagrams = [
        ("packing", packing != Packing::None, "each datagram is one message; leave this out"),
        ("pacing", true, "is for streams, and a datagram goes whole; leave this out"),
    ];
    for (key, is_wrong, what) in datagrams {
        if let Some(at) = k.place(key).filter(|_| is_wrong) {
            k.wrong_in(key, at, what);
        }
    }
}

/// How a line is shared, when it is open, and how long its lease may be idle, as far as these are
/// written.
type Sharing = (Option<Placed<Share>>, Option<Placed<OpenWhen>>, Option<Placed<Duration>>);

fn sharing(k: &mut Keys<'_>) -> Sharing {
    let share = k
        .key(
            "share",
            "how one line is shared: many read and the holder of the lease writes; one session at a time (one that may not \
             write gives way to the first that may); everyone with the right writes. With it a `tcp` target is one line \
             too: one connection for all sessions, for devices that accept only one",
        )
        .without("`one-writer` for `serial`, `rfc2217`, `udp` and a device that connects to us; none for `tcp`")
        .uci("share")
        .maybe::<Share>();
    let open = k
        .key(
            "open",
            "whether a line's device is open for the daemon's life or while there are sessions",
        )
        .without("`always`; `on-demand` for a shared `tcp`")
        .uci("open")
        .maybe::<OpenWhen>();
    let second = Duration::from_secs(1);
    let lease_idle = k
        .key("lease_idle", "a holder of the lease who sends nothing for this long loses it")
        .without("never")
        .uci("lease_idle")
        .within(second..=30 * 86_400 * second)
        .maybe();
    (share, open, lease_idle)
}

/// What plain mode speaks besides `binary`: whether `base64`, and which others.
fn subprotocols(k: &mut Keys<'_>) -> (bool, Vec<String>) {
    let base64 = k
        .key("base64", "whether the `base64` subprotocol may be negotiated")
        .uci("base64")
        .or(false);
    let subprotocols = k
        .key(
            "subprotocols",
            "subprotocols that clients insist on and that mean plain mode here, the best first: `mqtt` for MQTT.js and paho, \
             `arduino`, `ocpp1.6`, `guacamole`, `telnet.mudstandards.org`. One of them is accepted if it is offered; the log names \
             offers that nothing here speaks",
        )
        .without("none")
        .uci("subprotocol")
        .words::<Subprotocol>();
    (base64, subprotocols.into_iter().map(|it| it.value.0).collect())
}

/// An endpoint's target, and the macros of its port.
fn target(k: &mut Keys<'_>, name: &NodeKey, dead_after: Duration) -> (Option<Target>, Macros) {
    let serial = k.key("serial", "a serial port of this machine").map(serial);
    let remote = k
        .key("rfc2217", "a serial port on another box, shared like `serial`")
        .map(|k| rfc2217(k, dead_after));
    let tcp = k
        .key(
            "tcp",
            "a TCP or unix socket; each session has its own connection unless `share` is set",
        )
        .map(|k| tcp(k, dead_after));
    let udp = k
        .key(
            "udp",
            "a UDP port of another machine, shared like `serial`; each datagram is one message",
        )
        .map(udp);
    let sim = k
        .key(
            "sim",
            "a simulated device, behind a pty, or (`modbus-tcp`, `echo-tcp`, `source`) behind a TCP port, or (`nmea`) a UDP port",
        )
        .uci("device")
        .maybe::<SimDevice>();
    let [first @ .., last] = KINDS.map(|kind| format!("`{kind}:`"));
    let what = format!("write exactly one of {} and {last}", first.join(", "));
    match KINDS.iter().filter(|kind| k.has(kind)).count() {
        0 => k.lacks(&KINDS, name.at, &format!("has no target; {what}")),
        1 => {}
        _ => k.wrong(name.at, &format!("has several targets; {what}")),
    }
    let bare = |target: Option<Target>| (target, Macros::new());
    let read = [
        serial.map(|it| (it.value.0.map(Target::Serial), it.value.1)),
        remote.map(|it| (it.value.0.map(Target::Rfc2217), it.value.1)),
        tcp.map(|it| bare(it.value)),
        udp.map(|it| bare(it.value.map(Target::Udp))),
        sim.map(|it| bare(Some(Target::Sim(SimTarget { device: it.value })))),
    ];
    let mut read = read.into_iter().flatten();
    match (read.next(), read.next()) {
        (Some(one), None) => one,
        _ => (None, Macros::new()),
    }
}

/// Whether there is one device for all sessions, rather than a connection for each.
fn is_line(target: &Target) -> bool {
    match target {
        Target::Serial(_) | Target::Rfc2217(_) | Target::Udp(_) | Target::DialIn(_) => true,
        Target::Tcp(_) => false,
        Target::Sim(sim) => match sim.device {
            SimDevice::Modem
            | SimDevice::ModbusRtu
            | SimDevice::Console
            | SimDevice::Echo
            | SimDevice::Nmea => true,
            SimDevice::ModbusTcp | SimDevice::EchoTcp | SimDevice::Source => false,
        },
    }
}

fn limits(k: &mut Keys<'_>, line: bool) -> EndpointLimits {
    let second = Duration::from_secs(1);
    let sessions = k
        .key(
            "sessions",
            "sessions at a time; one user, token or certificate may have at most half of them, rounded up (not under `auth: none`). \
             Those that wait to be resumed count, and the one that has waited longest gives way to a new one of the same \
             user. When all are taken, somebody with `takeover` gets in: the oldest observer of whoever has most sessions is ended",
        )
        .uci("sessions")
        .within::<u32>(1..=10_000)
        .or(16);
    let idle = k
        .key("idle", "a session without a byte in either direction for this long ends (4440)")
        .without("never")
        .uci("idle")
        .within(second..=365 * 86_400 * second)
        .maybe();
    let rate = k
        .key("rate", "bytes per second and direction")
        .without("no limit")
        .uci("rate")
        .maybe::<ByteRate>();
    // A serial line may stand still for as long as its device holds it (flow control) and be fine.
    let usually = if line { 30 * second } else { 5 * second };
    let linger = k
        .key(
            "linger",
            "how long a session's last bytes may stand still on their way to the target once the client has gone (while they \
             move we wait for them), and how long a target may go on sending after the client's Close",
        )
        .without("`5s`; lines `30s`")
        .uci("linger")
        .within(Duration::ZERO..=3600 * second)
        .maybe();
    let linger_max = k
        .key(
            "linger_max",
            "how long those bytes may be unacknowledged while a TCP target shows that it is alive but takes nothing (a printer \
             that is out of paper)",
        )
        .uci("linger_max")
        .within(Duration::ZERO..=3600 * second)
        .or(600 * second);
    EndpointLimits {
        sessions: usize::try_from(sessions).unwrap_or(usize::MAX),
        idle: idle.map(|it| it.value),
        rate: rate.map(|it| it.value.0),
        linger: linger.map_or(usually, |it| it.value),
        linger_max,
    }
}

#[cfg(test)]
mod tests;
