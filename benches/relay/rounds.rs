//! What is measured, in which rounds: in each round every measurement is taken once of every relay,
//! one after the other.

use std::time::Duration;

use crate::{
    Options, Outcome,
    client::Speech,
    connections, doors,
    peers::Peers,
    recording,
    relay::{self, Bridge, Relay, Started},
    say, serial,
    serial::Line,
    table::{Row, Table},
    transfer::{Device, Load, Way, float, round_trips, transfer},
};

/// All measurements, and what they are taken of.
pub(crate) struct Rounds<'a> {
    options: Options,
    table: &'a mut Table,
    device: Device,
    /// wsbridge, and another build of it.
    bridges: Vec<(&'static str, Bridge)>,
    /// Raw relays and other bridges to the device.
    others: Vec<(Relay, Started)>,
    peers: Peers,
}

impl<'a> Rounds<'a> {
    /// Starts the relays that every round uses.
    pub(crate) fn new(options: Options, table: &'a mut Table) -> Outcome<Self> {
        let device = Device::new()?;
        let peers = Peers::find(&options.bridge);
        let mut bridges = vec![("wsbridge", Bridge::start(&options.bridge, device.port)?)];
        if let Some(against) = &options.against {
            bridges.push(("other", Bridge::start(against, device.port)?));
        }
        let others = peers.start(device.port)?;
        Ok(Self { options, table, device, bridges, others, peers })
    }

    /// What takes part, and what is missing.
    pub(crate) fn versions(&self) -> &[String] {
        &self.peers.said
    }

    /// All rounds.
    pub(crate) fn run(&mut self) -> Outcome<()> {
        type Measure<'a> = fn(&mut Rounds<'a>) -> Outcome<()>;
        let measures: [(&str, Measure<'a>); 11] = [
            ("transfer", Self::transfers),
            ("wss", Self::tls),
            ("round-trip", Self::trips),
            ("connection", Self::connections),
            ("memory", Self::memory),
            ("serial", Self::serial),
            ("record", Self::record),
            ("shared", Self::shared),
            ("doors", Self::doors),
            ("idle", Self::idle),
            ("size", Self::size),
        ];
        for round in 1..=self.options.rounds {
            for (name, measure) in measures {
                if self
                    .options
                    .only
                    .as_deref()
                    .is_none_or(|only| only.split(',').any(|word| name == word))
                {
                    say(&format!("round {round} of {}: {name}", self.options.rounds));
                    measure(self)?;
                }
            }
        }
        Ok(())
    }

    /// Every relay to the device; our own by the name of its column.
    fn relays(&self) -> Vec<Relay> {
        let ours = self.bridges.iter().map(|(name, bridge)| Relay { name, ..bridge.ws.clone() });
        let others = self.others.iter().map(|(relay, _)| relay.clone());
        std::iter::once(Relay::none(self.device.port)).chain(others).chain(ours).collect()
    }

    fn scale(&self, bytes: u64) -> u64 {
        if self.options.quick { bytes / 8 } else { bytes }
    }

    fn transfers(&mut self) -> Outcome<()> {
        let ways = [
            (Way::Down, "device → browser", "pieces"),
            (Way::Up, "browser → device", "frames"),
            (Way::Both, "both ways at once", "pieces and frames"),
        ];
        let sizes = [
            (64, "64-byte", 16 << 20),
            (1024, "1 KiB", 128 << 20),
            (16_384, "16 KiB", 512 << 20),
            (65_536, "64 KiB", 512 << 20),
        ];
        for (way, direction, pieces) in ways {
            for (piece, size, total) in sizes {
                let what = format!("{direction}, {size} {pieces}");
                let cpu = Row::new(&what, "CPU s/GB", Some("socat"));
                let cpu = match (way, piece) {
                    (Way::Up, 64) => cpu.goal(1.5, 2.5),
                    (Way::Both, _) | (Way::Down, 64) => cpu,
                    (Way::Up | Way::Down, _) => cpu.goal(0.9, 1.2),
                };
                let rate = Row::new(&what, "MB/s", Some("socat"));
                let load = Load { way, piece, total: self.scale(total) };
                self.through_all((&cpu, &rate), load)?;
            }
        }
        Ok(())
    }

    fn through_all(&mut self, (cpu, rate): (&Row, &Row), load: Load) -> Outcome<()> {
        for relay in self.relays() {
            let total = load.total / slowness(&relay, load.way, load.piece);
            let cost = transfer(&self.device, &relay, Load { total, ..load })?;
            // Without a bridge there is no relay whose time could count.
            if !relay.processes.is_empty() {
                self.table.add(cpu, relay.name, cost.cpu);
            }
            self.table.add(rate, relay.name, cost.rate);
        }
        Ok(())
    }

    fn tls(&mut self) -> Outcome<()> {
        for (way, direction) in [(Way::Down, "device → browser"), (Way::Up, "browser → device")]
        {
            for (piece, size, total) in [(1024, "1 KiB", 64 << 20), (65_536, "64 KiB", 256 << 20)] {
                let row = Row::new(format!("wss: {direction}, {size}"), "CPU s/GB", Some("ws"))
                    .goal(1.3, 1.6);
                let load = Load { way, piece, total: self.scale(total) };
                self.tls_over_plain(&row, load, Speech::Wss("/ws/device"))?;
            }
            // What a processor without AES instructions speaks; no target: it is for
            // docs/performance.md to tell.
            let row =
                Row::new(format!("wss, ChaCha20: {direction}, 64 KiB"), "CPU s/GB", Some("ws"));
            let load = Load { way, piece: 65_536, total: self.scale(128 << 20) };
            self.tls_over_plain(&row, load, Speech::WssChaCha("/ws/device"))?;
        }
        Ok(())
    }

    fn tls_over_plain(&mut self, row: &Row, load: Load, speech: Speech) -> Outcome<()> {
        for (name, bridge) in &self.bridges {
            let plain = transfer(&self.device, &bridge.ws, load)?;
            let secured = Relay { speech, ..bridge.wss.clone() };
            let tls = transfer(&self.device, &secured, load)?;
            let base = if *name == "wsbridge" { "ws" } else { "other ws" };
            self.table.add(row, base, plain.cpu);
            self.table.add(row, name, tls.cpu);
        }
        Ok(())
    }

    fn trips(&mut self) -> Outcome<()> {
        let what = "64-byte round trip";
        let count = if self.options.quick { 500 } else { 4000 };
        for relay in self.relays() {
            let trip = round_trips(&self.device, &relay, count)?;
            if relay.name != "no bridge" {
                let row = Row::new(what, "CPU us", Some("socat")).goal(1.0, 1.15);
                self.table.add(&row, relay.name, trip.cpu);
            }
            self.table.add(
                &Row::new(what, "p50 us", Some("socat")).goal(1.0, 1.15),
                relay.name,
                trip.p50,
            );
            self.table.add(&Row::new(what, "p99 us", Some("socat")), relay.name, trip.p99);
        }
        Ok(())
    }

    /// On a process of its own: what the transfers left behind is not in the figures.
    fn fresh(&self, name: &str) -> Outcome<Bridge> {
        let program = if name == "other" { self.options.against.as_ref() } else { None };
        Bridge::start(program.unwrap_or(&self.options.bridge), self.device.port)
    }

    fn connections(&mut self) -> Outcome<()> {
        let count = if self.options.quick { 50 } else { 300 };
        let (ws, wss) = (
            Row::new("connection set-up, ws", "CPU ms", None).goal(0.12, 0.2),
            Row::new("connection set-up, wss", "CPU ms", None).goal(0.25, 0.4),
        );
        for relay in self.relays() {
            let ours = relay.name == "wsbridge" || relay.name == "other";
            if relay.name == "no bridge" || ours {
                continue;
            }
            self.table.add(
                &ws,
                relay.name,
                connections::set_up(&self.device, &relay, few(&relay, count))?,
            );
        }
        let names: Vec<_> = self.bridges.iter().map(|(name, _)| *name).collect();
        for name in names {
            let bridge = self.fresh(name)?;
            self.table.add(&ws, name, connections::set_up(&self.device, &bridge.ws, count)?);
            self.table.add(&wss, name, connections::set_up(&self.device, &bridge.wss, count)?);
        }
        Ok(())
    }

    fn memory(&mut self) -> Outcome<()> {
        let count = if self.options.quick { 100 } else { 500 };
        let stalled = |way: &str| {
            Row::new(format!("memory growth of a stalled connection, {way}"), "KiB", None)
                .goal(64.0, 256.0)
        };
        let names: Vec<_> = self.bridges.iter().map(|(name, _)| *name).collect();
        for name in names {
            for (speech, target, limit) in [("ws", 6.0, 10.0), ("wss", 16.0, 24.0)] {
                let bridge = self.fresh(name)?;
                let relay = if speech == "ws" { &bridge.ws } else { &bridge.wss };
                let (idle, growth) = connections::memory(&self.device, relay, count)?;
                let what = format!("memory of an idle WebSocket, {speech}");
                self.table.add(&Row::new(&what, "KiB", None).goal(target, limit), name, idle);
                let what = format!("its growth after traffic, {speech}");
                self.table.add(&Row::new(&what, "KiB", None).goal(0.0, 2.0), name, growth);
            }
            for speech in ["ws", "wss"] {
                let bridge = self.fresh(name)?;
                let relay = if speech == "ws" { &bridge.ws } else { &bridge.wss };
                let (down, up) = connections::stall(&self.device, relay, 8)?;
                self.table.add(&stalled(&format!("{speech}, browser stopped reading")), name, down);
                self.table.add(&stalled(&format!("{speech}, device stopped reading")), name, up);
            }
        }
        let others: Vec<Relay> = self.others.iter().map(|(relay, _)| relay.clone()).collect();
        for relay in others {
            let (idle, growth) = connections::memory(&self.device, &relay, few(&relay, 300))?;
            let row = Row::new("memory of an idle WebSocket, ws", "KiB", None).goal(6.0, 10.0);
            self.table.add(&row, relay.name, idle);
            let row = Row::new("its growth after traffic, ws", "KiB", None).goal(0.0, 2.0);
            self.table.add(&row, relay.name, growth);
        }
        Ok(())
    }

    fn serial(&mut self) -> Outcome<()> {
        let mut relays: Vec<(Line, Relay, Started)> = Vec::new();
        for (name, _) in &self.bridges {
            let line = Line::new()?;
            let program = if *name == "other" { self.options.against.as_ref() } else { None };
            let program = program.unwrap_or(&self.options.bridge);
            let bridge = Bridge::serve(
                program,
                self.device.port,
                (std::slice::from_ref(&line.path), "exclusive"),
            )?;
            relays.push((line, bridge.relay(name, "/ws/line0"), bridge.started));
        }
        if let Some(program) = &self.peers.socat {
            let line = Line::new()?;
            let (relay, started) =
                relay::socat(program, &format!("{},raw,echo=0", line.path.display()))?;
            relays.push((line, relay, started));
        }
        if let Some(program) = &self.peers.ser2net {
            let line = Line::new()?;
            let (relay, started) = relay::ser2net(program, &line.path)?;
            if let Some(program) = &self.peers.websockify {
                let (mut front, behind) = relay::websockify(program, relay.port)?;
                front.processes.extend(&relay.processes);
                let chained =
                    Relay { name: "websockify + ser2net", speech: Speech::Ws("/"), ..front };
                relays.push((line, chained, behind.with(started)));
            }
            let line = Line::new()?;
            let (relay, started) = relay::ser2net(program, &line.path)?;
            relays.push((line, relay, started));
        }
        for (way, direction) in [(Way::Down, "device → browser"), (Way::Up, "browser → device")]
        {
            for (piece, size, total) in [(64, "64-byte", 2 << 20), (1024, "1 KiB", 16 << 20)] {
                let row =
                    Row::new(format!("serial: {direction}, {size}"), "CPU s/GB", Some("socat"))
                        .goal(1.2, 2.0);
                for (line, relay, _) in &relays {
                    let load =
                        Load { way, piece, total: self.scale(total) / slowness(relay, way, piece) };
                    self.table.add(&row, relay.name, serial::transfer(line, relay, load)?.cpu);
                }
            }
        }
        Ok(())
    }

    fn record(&mut self) -> Outcome<()> {
        recording::rows((&self.options, &self.device), self.table)
    }

    fn shared(&mut self) -> Outcome<()> {
        let line = Line::new()?;
        let time = Duration::from_secs(if self.options.quick { 1 } else { 3 });
        let bridge = Bridge::serve(
            &self.options.bridge,
            self.device.port,
            (std::slice::from_ref(&line.path), "one-writer"),
        )?;
        let alone = serial::viewers(&bridge, &line, 1, time)?;
        let many = serial::viewers(&bridge, &line, 50, time)?;
        let row = |what: &str, unit| Row::new(format!("line at 3 Mbaud: {what}"), unit, None);
        self.table.add(&row("one viewer", "% of a core"), "wsbridge", alone);
        self.table.add(&row("50 viewers", "% of a core"), "wsbridge", many);
        self.table.add(
            &row("each further viewer", "% of a core"),
            "wsbridge",
            (many - alone) / 49.0,
        );
        Ok(())
    }

    fn doors(&mut self) -> Outcome<()> {
        let socat = self.others.iter().map(|(relay, _)| relay).find(|relay| relay.name == "socat");
        doors::rows((&self.options, &self.device), self.table, socat)
    }

    fn idle(&mut self) -> Outcome<()> {
        let quick = self.options.quick;
        let time = Duration::from_secs(if quick { 2 } else { 10 });
        let (memory, cpu) = serial::idle_lines(&self.options.bridge, self.device.port, 200, time)?;
        self.table.add(&Row::new("an idle serial line, of 200", "KiB", None), "wsbridge", memory);
        self.table.add(&Row::new("200 idle serial lines", "% of a core", None), "wsbridge", cpu);
        let row =
            Row::new("1000 idle WebSockets, pings included", "% of a core", None).goal(0.0, 0.1);
        let names: Vec<_> = self.bridges.iter().map(|(name, _)| *name).collect();
        for name in names {
            let bridge = self.fresh(name)?;
            // Each session is pinged once in 20 s; less would measure none or all.
            let time = Duration::from_secs(if quick { 2 } else { 21 });
            self.table.add(&row, name, connections::idle(&self.device, &bridge.ws, 1000, time)?);
        }
        Ok(())
    }

    fn size(&mut self) -> Outcome<()> {
        let names: Vec<_> = self.bridges.iter().map(|(name, _)| *name).collect();
        for name in names {
            let program = if name == "other" { self.options.against.as_ref() } else { None };
            let bytes = std::fs::metadata(program.unwrap_or(&self.options.bridge))?.len();
            let row = Row::new("binary, as built", "MiB", None).goal(4.0, 6.0);
            self.table.add(&row, name, float(bytes) / f64::from(1 << 20));
            let bridge = self.fresh(name)?;
            let resident: u64 = bridge.ws.processes.iter().map(|process| process.resident()).sum();
            let row = Row::new("resident memory when started", "MiB", None).goal(4.0, 8.0);
            self.table.add(&row, name, float(resident) / 1024.0);
            let own: u64 = bridge.ws.processes.iter().map(|process| process.anonymous()).sum();
            let row = Row::new("of that not pages of the program's file", "MiB", None);
            self.table.add(&row, name, float(own) / 1024.0);
        }
        Ok(())
    }
}

/// How many connections tell enough of a relay: few where each is a process.
fn few(relay: &Relay, count: usize) -> usize {
    if relay.name == "websocat" { count } else { count.min(30) }
}

/// By how much less data will do, where a relay would take minutes.
fn slowness(relay: &Relay, way: Way, piece: usize) -> u64 {
    match (relay.name, way, piece) {
        ("websockify" | "websockify + ser2net", Way::Up | Way::Both, 64) => 16,
        ("websockify" | "websockify + ser2net", _, _) | ("websocat", Way::Up | Way::Both, 64) => 4,
        _ => 1,
    }
}
