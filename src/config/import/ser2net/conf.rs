//! `ser2net.conf` before version 4: `PORT:STATE:TIMEOUT:DEVICE:OPTIONS`, one port per line.

use std::collections::BTreeMap;

use super::{
    super::{
        draft::{Draft, Drafts, of_device},
        line::LineWords,
    },
    device,
    options::Options,
};

/// Lines that name something for others to use, or that are about the program itself.
const NAMED: [&str; 9] = [
    "BANNER",
    "SIGNATURE",
    "OPENSTR",
    "CLOSESTR",
    "TRACEFILE",
    "LED",
    "RS485CONF",
    "DEVICE",
    "DEFAULT",
];

/// Whether a line looks like a port's.
pub(in super::super) fn is_conf_line(line: &str) -> bool {
    let mut parts = line.splitn(5, ':');
    let (Some(port), Some(state), Some(timeout), Some(device)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let states = ["raw", "rawlp", "telnet", "off"];
    !port.is_empty()
        && !port.starts_with('#')
        && states.contains(&state)
        && timeout.bytes().all(|byte| byte.is_ascii_digit())
        && !device.is_empty()
}

/// Reads the file.
pub(in super::super) fn conf(text: &str, drafts: &mut Drafts<'_>) {
    let mut reading = Reading::default();
    let mut lines = text.lines().zip(1..);
    while let Some((first, number)) = lines.next() {
        let mut line = first.trim_end().to_owned();
        while line.ends_with('\\') {
            line.pop();
            let Some((next, _)) = lines.next() else { break };
            line.push_str(next.trim());
        }
        reading.take(line.trim(), number, drafts);
    }
}

/// Reads one line of such a file, in the form that `ser2net -C` takes.
pub(in super::super) fn one_line(line: &str, number: usize, drafts: &mut Drafts<'_>) {
    Reading::default().take(line, number, drafts);
}

#[derive(Default)]
struct Reading {
    devices: BTreeMap<String, String>,
    /// The names of banners, traces and the like, and what each stands for.
    names: BTreeMap<String, &'static str>,
    defaults: Options,
    line: LineWords,
}

impl Reading {
    fn take(&mut self, line: &str, number: usize, drafts: &mut Drafts<'_>) {
        if line.is_empty() || line.starts_with('#') {
            return;
        }
        let (head, rest) = line.split_once(':').unwrap_or((line, ""));
        if let Some(kind) = NAMED.iter().find(|kind| **kind == head) {
            self.named((kind, rest), number, drafts);
        } else if head == "CONTROLPORT" {
            drafts.lost(number, "`CONTROLPORT`: see `wsbridge doctor` and the page at /");
        } else if head == "ROTATOR" {
            drafts.lost(number, "`ROTATOR`: an endpoint is one device");
        } else if is_conf_line(line) {
            self.port(line, number, drafts);
        } else {
            drafts.lost(number, "this is no line of ser2net.conf that is known here");
        }
    }

    fn named(
        &mut self,
        (kind, rest): (&'static str, &str),
        number: usize,
        drafts: &mut Drafts<'_>,
    ) {
        let (name, value) = rest.split_once(':').unwrap_or((rest, ""));
        match kind {
            "DEVICE" => drop(self.devices.insert(name.to_owned(), value.to_owned())),
            "DEFAULT" => {
                let value = value.split(':').next().unwrap_or_default();
                let word = match name {
                    "databits" => format!("{value}databits"),
                    "stopbits" => format!("{value}stopbits"),
                    "parity" => value.to_owned(),
                    _ => format!("{name}={value}"),
                };
                if !self.line.take(&word) {
                    self.defaults.set_for_all(name, value, number, drafts);
                }
            }
            _ => drop(self.names.insert(name.to_owned(), kind)),
        }
    }

    fn port(&self, line: &str, number: usize, drafts: &mut Drafts<'_>) {
        let mut parts = line.splitn(5, ':');
        let mut next = || parts.next().unwrap_or_default().trim();
        let (port, state, timeout, path, words) = (next(), next(), next(), next(), next());
        let path = self.devices.get(path).map_or(path, String::as_str);
        if state == "off" {
            drafts.off(number);
            return;
        }
        if state == "rawlp" {
            drafts.no_endpoint(number, "`rawlp`: a printer's port is no serial port");
            return;
        }
        let mut draft = Draft::new(&of_device(path), number);
        if let Err(why) = device(path, &mut draft) {
            drafts.no_endpoint(number, why);
            return;
        }
        let (mut settings, mut options) = (self.line.clone(), self.defaults.clone());
        for word in words.split([' ', '\t', ',']).filter(|word| !word.is_empty()) {
            if settings.take(word) {
                continue;
            }
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            match (self.names.get(word), key.strip_prefix('-')) {
                (Some(kind), _) => options.set(&kind.to_ascii_lowercase(), word, number),
                (None, Some(key)) => options.set(key, "false", number),
                (None, None) => options.set(key, value, number),
            }
        }
        settings.say(&mut draft, number);
        if timeout.parse::<u64>().is_ok_and(|seconds| seconds > 0) {
            draft.say("limits.idle", "idle", format!("{timeout}s"));
        }
        let telnet = if state == "telnet" { "telnet," } else { "" };
        super::opened(&mut draft, Some(&format!("{telnet}{}", accepter(port))), &options, number);
        drafts.push(draft);
    }
}

/// A port as an accepter: `2001`, `localhost,2001`, `ipv4,tcp,2001`.
fn accepter(port: &str) -> String {
    if port.split(',').any(|part| matches!(part, "tcp" | "udp" | "unix" | "ssl" | "sctp")) {
        port.to_owned()
    } else {
        format!("tcp,{port}")
    }
}
