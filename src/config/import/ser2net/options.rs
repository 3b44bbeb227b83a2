//! What ser2net's options of a connection become here, and why some become nothing.

use super::super::draft::{Door, Draft, Drafts};

/// A connection's options, and those that were set for all connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    all: Vec<Opt>,
}

#[derive(Clone, Debug)]
struct Opt {
    key: String,
    value: String,
    line: usize,
    /// Whether the reason why it has no equivalent was already given.
    told: bool,
}

impl Options {
    /// Sets one; set twice, the last counts.
    pub(super) fn set(&mut self, key: &str, value: &str, line: usize) {
        let key = key.trim().to_ascii_lowercase().replace('_', "-");
        if key != "remaddr" {
            self.all.retain(|other| other.key != key);
        }
        self.all.push(Opt { key, value: value.trim().to_owned(), line, told: false });
    }

    /// Sets one for all connections; why it has no equivalent is said only once.
    pub(super) fn set_for_all(
        &mut self,
        key: &str,
        value: &str,
        line: usize,
        drafts: &mut Drafts<'_>,
    ) {
        self.set(key, value, line);
        if let Some(last) = self.all.last_mut()
            && let Some(why) = why_not(&last.key, &last.value, "rfc2217")
        {
            last.told = true;
            drafts.lost(line, format!("`{}`: {why}", last.key));
        }
    }

    /// What is set.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.all.iter().find(|other| other.key == key).map(|option| option.value.as_str())
    }

    /// Whether one is set and true.
    pub(super) fn is(&self, key: &str) -> bool {
        self.get(key).is_some_and(is_true)
    }

    /// Sets them on an endpoint and its door.
    pub(super) fn say(&self, draft: &mut Draft, door: &mut Door) {
        // One at a time is what ser2net allows unless it is told otherwise.
        let most =
            self.get("max-connections").and_then(|most| most.parse::<u32>().ok()).unwrap_or(1);
        let share = if most > 1 { "everyone" } else { "exclusive" };
        if draft.value("serial.port").is_some() || draft.value("rfc2217.address").is_some() {
            draft.say("share", "share", share);
        }
        for Opt { key, value, line, told } in &self.all {
            if let (Some(why), false) = (why_not(key, value, door.kind), told) {
                draft.lost(*line, format!("`{key}`: {why}"));
            }
            if key == "remaddr" {
                remote(value, *line, draft, door);
            }
        }
    }
}

/// The networks of `remaddr`: addresses with ports, separated by `;`.
fn remote(value: &str, line: usize, draft: &mut Draft, door: &mut Door) {
    for one in value.split(';').map(str::trim).filter(|it| !it.is_empty()) {
        let words: Vec<&str> =
            one.split(',').filter(|it| !matches!(*it, "ipv4" | "ipv6" | "tcp" | "udp")).collect();
        match words.as_slice() {
            [host] | [host, "0"] if host.parse::<std::net::IpAddr>().is_ok() => {
                door.from.push((*host).to_owned());
            }
            _ => draft
                .lost(line, format!("`remaddr` {one}: doors know who may come by address alone")),
        }
    }
}

/// Why an option has no equivalent; `None` if it has one, or makes no difference.
fn why_not(key: &str, value: &str, door: &str) -> Option<&'static str> {
    let on = is_true(value);
    match key {
        "banner" => Some("a door says nothing before the device does"),
        "signature" => Some("the answer is `wsbridge` and the endpoint's name"),
        "openstr" | "closestr" => Some("nothing is sent to a device but what somebody sends"),
        "kickolduser" if on => {
            Some("who comes first stays; who has the right `takeover` may take over")
        }
        "telnet-brk-on-sync" if on && door == "rfc2217" => {
            Some("a telnet Sync is no break; RFC 2217 and telnet's own Break are")
        }
        "led-tx" | "led-rx" => Some("no LED is driven"),
        "authdir" | "authdir-admin" | "allowed-users" | "pamauth" => {
            Some("who may come is said by `users:`, `tokens:` and `certificates:`")
        }
        "mdns-name" | "mdns-type" | "mdns-domain" | "mdns-txt" | "mdns-interface" => {
            Some("doors are not announced")
        }
        "mdns" if on => Some("doors are not announced"),
        "chardelay-scale" | "chardelay-min" | "chardelay-max" | "sendon" => {
            Some("bytes are passed on as they come; `packing:` makes messages for browsers")
        }
        "dev-to-net-bufsize" | "net-to-dev-bufsize" => Some("buffers have their own bounds"),
        "rs485" => Some("see `rs485:` of `serial:`, whose keys it has"),
        "rtscts" | "xonxoff" | "local" | "hangup-when-done" | "nobreak" => None,
        _ if TRACES.iter().any(|trace| key.starts_with(trace)) && (on || !is_false(value)) => {
            Some("there is no trace of the data in a file")
        }
        _ if KNOWN.contains(&key) || TRACES.iter().any(|trace| key.starts_with(trace)) => None,
        _ => Some("it is not known here"),
    }
}

/// Options that are handled elsewhere, or that make no difference unless they were handled before.
const KNOWN: [&str; 14] = [
    "max-connections",
    "kickolduser",
    "telnet-brk-on-sync",
    "remaddr",
    "remctl",
    "mdns",
    "mdns-sysattrs",
    "chardelay",
    "accepter-retry-time",
    "connector-retry-time",
    "no-con-to-acc",
    "deassert-cts-dcd-dsr-on-connect",
    "speed",
    "autobaud",
];

const TRACES: [&str; 9] =
    ["trace-", "tr", "tw", "tb", "hexdump", "timestamp", "-hexdump", "-timestamp", "trace"];

pub(super) fn is_true(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "" | "true" | "on" | "yes" | "1")
}

pub(super) fn is_false(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "false" | "off" | "no" | "0")
}
