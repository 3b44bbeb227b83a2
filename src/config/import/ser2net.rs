//! ser2net's connections, in any of its three forms: the same accepters, devices and options.

mod conf;
mod options;
mod uci;
mod yaml;

use self::options::Options;
pub(super) use self::{
    conf::{conf, is_conf_line, one_line},
    uci::uci,
    yaml::yaml,
};
use super::{
    draft::{Door, Draft},
    line::LineWords,
};

/// The parts of a gensio's name: `telnet(rfc2217),tcp,localhost,2001`. A comma within parentheses
/// does not separate.
fn parts(text: &str) -> Vec<&str> {
    let (mut all, mut depth, mut from) = (Vec::new(), 0_usize, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => {
                depth = depth.saturating_sub(1);
                // `telnet(rfc2217)tcp,2001` is in their manual.
                if depth == 0 && text[at + 1..].starts_with(|c: char| c.is_ascii_alphanumeric()) {
                    all.push(&text[from..=at]);
                    from = at + 1;
                }
            }
            ',' if depth == 0 => {
                all.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    all.push(&text[from..]);
    all.into_iter().map(str::trim).collect()
}

/// A part's name and what is in parentheses after it.
fn split(part: &str) -> (&str, &str) {
    let (name, rest) = part.split_once('(').unwrap_or((part, ""));
    (name.trim(), rest.strip_suffix(')').unwrap_or(rest))
}

/// The door that an accepter is; or why there is none.
fn door(accepter: &str) -> Result<Door, String> {
    let (mut kind, mut control) = ("tcp", false);
    let mut host = "";
    let mut all = parts(accepter).into_iter();
    while let Some(part) = all.next() {
        let (name, arguments) = split(part);
        match name {
            "telnet" => {
                kind = "rfc2217";
                let words = arguments.split([',', ' ']).map(str::trim);
                control = words
                    .into_iter()
                    .any(|it| matches!(it, "rfc2217" | "rfc2217=true" | "rfc2217=on"));
            }
            "tcp" | "ipv4" | "ipv6" => {}
            "unix" if kind == "tcp" => {
                let place = all.next().unwrap_or_default();
                return Ok(Door::new("unix", "", place));
            }
            "ssl" | "certauth" | "mux" => {
                return Err(format!(
                    "`{name}`: a door with TLS needs files of yours; see `tls:` of doors"
                ));
            }
            "udp" | "sctp" => {
                return Err(format!("`{name}`: doors are TCP ports and unix sockets"));
            }
            port if is_port(port) => {
                let door = Door::new(kind, host.trim_matches(['[', ']']), port);
                return Ok(Door { control, ..door });
            }
            "0" | "stdio" | "dummy" | "" => {
                return Err("it listens nowhere that a program finds".into());
            }
            _ if host.is_empty()
                && (part.contains('.') || part.contains(':') || part == "localhost") =>
            {
                host = part;
            }
            other => return Err(format!("`{other}` is no listener that is known here")),
        }
    }
    Err("it has no port".into())
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Makes the connector's device the endpoint's target, or returns why that is impossible.
fn target(
    connector: &str,
    words: &mut LineWords,
    draft: &mut Draft,
    line: usize,
) -> Result<(), String> {
    let all = parts(connector);
    let [first, rest @ ..] = all.as_slice() else { return Err("it reaches nothing".into()) };
    match (split(first).0, rest) {
        ("serialdev" | "sdev", [path, options @ ..]) => {
            // What follows the device is separated by commas or by spaces.
            let (path, behind) = path.split_once(char::is_whitespace).unwrap_or((path, ""));
            device(path, draft)?;
            let options = options.iter().copied().chain([behind]).flat_map(str::split_whitespace);
            for option in options {
                if !words.take(option) {
                    draft.lost(line, format!("`{option}` of the port is not known here"));
                }
            }
            Ok(())
        }
        ("tcp", [.., host, port]) => {
            draft.say("tcp.address", "address", address(host, port));
            Ok(())
        }
        ("telnet", [over, .., host, port]) if split(over).0 == "tcp" => {
            draft.say("rfc2217.address", "address", address(host, port));
            if !split(first).1.contains("rfc2217") {
                draft.say("rfc2217.control", "control", "optional");
            }
            Ok(())
        }
        ("unix", [path]) => {
            draft.say("tcp.address", "address", format!("unix:{path}"));
            Ok(())
        }
        ("udp", [.., host, port]) => {
            draft.say("udp.address", "address", address(host, port));
            Ok(())
        }
        (other, _) => Err(format!("`{other}` is no target that is known here")),
    }
}

fn device(path: &str, draft: &mut Draft) -> Result<(), String> {
    if !path.starts_with('/') {
        return Err(format!("`{path}` is no device: write its path, as `wsbridge ports` lists it"));
    }
    draft.say("serial.port", "port", path);
    Ok(())
}

pub(super) fn address(host: &str, port: &str) -> String {
    let host = host.trim_matches(['[', ']']);
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Gives an endpoint its door and its options.
fn opened(draft: &mut Draft, accepter: Option<&str>, options: &Options, line: usize) {
    let found = accepter.map_or_else(|| Err("it has no accepter".to_owned()), door);
    let mut door = match found {
        Ok(door) => door,
        Err(why) => {
            draft.lost(line, why);
            // Its options are a door's, and do not matter without one.
            options.say(draft, &mut Door::new("", "", ""));
            return;
        }
    };
    door.control |= door.kind == "rfc2217" && options.is("remctl");
    door.line = line;
    options.say(draft, &mut door);
    draft.doors.push(door);
}
