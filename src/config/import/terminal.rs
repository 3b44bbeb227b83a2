//! Programs that connect a terminal to a port: picocom, tio, minicom, screen, cu, microcom; and
//! those that connect it to a TCP port.

use super::{
    draft::{Draft, named, of_device},
    line::LineWords,
    shell::{Options, options, program, split},
};

/// The deepest nesting of commands (`sh -c "sudo picocom .."`).
const DEEPEST: usize = 4;

/// Sets what a command reaches, or returns why that cannot be told.
pub(super) fn command(words: &[&str], line: usize, draft: &mut Draft) -> Result<(), String> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    inner(&words, line, draft, DEEPEST)
}

fn inner(words: &[String], line: usize, draft: &mut Draft, deep: usize) -> Result<(), String> {
    let [first, rest @ ..] = words else { return Err("it runs no program".into()) };
    let name = program(first);
    if let ("sudo" | "exec" | "nohup" | "env" | "doas", Some(less)) = (name, deep.checked_sub(1)) {
        let from = rest
            .iter()
            .position(|word| !word.starts_with('-') && !word.contains('='))
            .unwrap_or(rest.len());
        return inner(rest.get(from..).unwrap_or_default(), line, draft, less);
    }
    if let ("sh" | "bash" | "ash", Some(less)) = (name, deep.checked_sub(1)) {
        let script =
            rest.iter().skip_while(|word| !word.starts_with('-')).nth(1).map_or("", String::as_str);
        let command = split(script).into_iter().next().unwrap_or_default();
        return if command.is_empty() {
            no_device(name)
        } else {
            inner(&command, line, draft, less)
        };
    }
    let mut settings = LineWords::default();
    let device = match name {
        "picocom" => picocom(rest, &mut settings, line, draft),
        "tio" => tio(rest, &mut settings, line, draft),
        "minicom" => minicom(rest, &mut settings, line, draft),
        "screen" => screen(rest, &mut settings, line, draft),
        "cu" => cu(rest, &mut settings),
        "microcom" => microcom(rest, &mut settings),
        "telnet" | "nc" | "ncat" | "netcat" => return connection(name, rest, draft),
        _ => return no_device(name),
    };
    let Some(device) = device.filter(|device| device.starts_with('/') && !device.contains('$'))
    else {
        return Err(format!("`{name}` is given no device here; `wsbridge ports` lists them"));
    };
    draft.name = of_device(&device);
    draft.say("serial.port", "port", device);
    settings.say(draft, line);
    Ok(())
}

fn no_device(name: &str) -> Result<(), String> {
    Err(format!("`{name}`: an endpoint is a device or a port; no program is run for it"))
}

/// The value of an option, by any of its names.
fn value<'a>(read: &Options<'a>, names: &[&str]) -> Option<&'a str> {
    read.options.iter().rev().find(|(name, _)| names.contains(name)).map(|(_, value)| *value)
}

/// Takes the settings that programs give by options: speed, bits, parity, stop bits.
fn set(settings: &mut LineWords, read: &Options<'_>, names: [&[&str]; 4]) {
    let [baud, data, parity, stop] = names;
    if let Some(baud) = value(read, baud) {
        settings.take(baud);
    }
    let first = |names| value(read, names).and_then(|value| value.chars().next());
    settings.data = first(data).filter(|c| ('5'..='8').contains(c)).or(settings.data);
    settings.parity = first(parity)
        .map(|c| c.to_ascii_lowercase())
        .filter(|c| "noems".contains(*c))
        .or(settings.parity);
    settings.stop = first(stop).filter(|c| ('1'..='2').contains(c)).or(settings.stop);
}

fn flow(settings: &mut LineWords, word: Option<&str>) {
    match word.and_then(|word| word.chars().next()) {
        Some('h') => settings.rtscts = true,
        Some('s' | 'x') => settings.xonxoff = true,
        _ => {}
    }
}

fn picocom(
    words: &[String],
    settings: &mut LineWords,
    line: usize,
    draft: &mut Draft,
) -> Option<String> {
    let valued = "b baud f flow y parity d databits p stopbits e escape s send-cmd v receive-cmd imap \
        omap emap g logfile t initstring x exit-after I O receive E";
    let read = options(words, valued, false);
    set(
        settings,
        &read,
        [&["b", "baud"], &["d", "databits"], &["y", "parity"], &["p", "stopbits"]],
    );
    flow(settings, value(&read, &["f", "flow"]));
    for (name, path, option) in [
        ("lower-dtr", "serial.signals.on_open.dtr", "open_dtr"),
        ("lower-rts", "serial.signals.on_open.rts", "open_rts"),
    ] {
        if value(&read, &[name]).is_some() {
            draft.say(path, option, "false");
        }
    }
    told(
        &read,
        draft,
        line,
        &[
            ("imap", MAP),
            ("omap", MAP),
            ("emap", MAP),
            ("c", ECHO),
            ("echo", ECHO),
            ("g", LOG),
            ("logfile", LOG),
            ("t", "nothing is sent to a device but what somebody sends"),
            ("initstring", "nothing is sent to a device but what somebody sends"),
        ],
    );
    read.rest.first().map(|device| (*device).to_owned())
}

const MAP: &str = "bytes are passed as they are; the page can translate line ends";
const ECHO: &str = "the page has a local echo of its own";
const LOG: &str = "there is no log of the data in a file";

/// Tells of options that cannot be said.
fn told(read: &Options<'_>, draft: &mut Draft, line: usize, all: &[(&str, &str)]) {
    for (name, _) in &read.options {
        if let Some((_, why)) = all.iter().find(|(known, _)| known == name) {
            let dashes = if name.len() == 1 { "-" } else { "--" };
            draft.lost(line, format!("`{dashes}{name}`: {why}"));
        }
    }
}

fn tio(
    words: &[String],
    settings: &mut LineWords,
    line: usize,
    draft: &mut Draft,
) -> Option<String> {
    let valued = "b baudrate d databits f flow s stopbits p parity o output-delay O output-line-delay \
        m map c color S socket log-file timestamp-format response-timeout rs-485-config \
        alert line-pulse-duration script script-file input-mode output-mode";
    let read = options(words, valued, false);
    settings.baud = Some("115200".into());
    set(
        settings,
        &read,
        [&["b", "baudrate"], &["d", "databits"], &["p", "parity"], &["s", "stopbits"]],
    );
    flow(settings, value(&read, &["f", "flow"]));
    for (names, path, option) in [
        (&["o", "output-delay"], "pacing.byte_delay", "pacing_byte_delay"),
        (&["O", "output-line-delay"], "pacing.line_delay", "pacing_line_delay"),
    ] {
        if let Some(delay) = value(&read, names).filter(|delay| *delay != "0") {
            draft.say(path, option, format!("{delay}ms"));
        }
    }
    told(
        &read,
        draft,
        line,
        &[
            ("m", MAP),
            ("map", MAP),
            ("e", ECHO),
            ("local-echo", ECHO),
            ("l", LOG),
            ("log", LOG),
            ("log-file", LOG),
            ("S", "a door is such a socket: see `doors:`"),
            ("socket", "a door is such a socket: see `doors:`"),
            ("rs-485", "see `rs485:` of `serial:`"),
            ("script", "no program is run for an endpoint"),
            ("script-file", "no program is run for an endpoint"),
        ],
    );
    read.rest.first().map(|device| (*device).to_owned())
}

fn minicom(
    words: &[String],
    settings: &mut LineWords,
    line: usize,
    draft: &mut Draft,
) -> Option<String> {
    let valued = "D device b baudrate p ptty C capturefile S script d dial t term a attrib c color R \
        remotecharset F statlinefmt";
    let read = options(words, valued, false);
    settings.baud = Some("115200".into());
    set(settings, &read, [&["b", "baudrate"], &[], &[], &[]]);
    if value(&read, &["7", "7bit"]).is_some() {
        draft.lost(line, "`-7`: bytes are passed as they are; `format: 7E1` sets the line");
    }
    told(
        &read,
        draft,
        line,
        &[
            ("C", LOG),
            ("capturefile", LOG),
            ("S", "no program is run for an endpoint"),
            ("script", "no program is run for an endpoint"),
        ],
    );
    if !read.rest.is_empty() {
        draft.lost(
            line,
            format!("`{}`: settings that minicom keeps are not read", read.rest.join(" ")),
        );
    }
    value(&read, &["D", "device"]).map(str::to_owned)
}

/// `screen [-S NAME] /dev/ttyUSB0 115200,cs8,-parenb,-cstopb,ixon`.
fn screen(
    words: &[String],
    settings: &mut LineWords,
    line: usize,
    draft: &mut Draft,
) -> Option<String> {
    let read = options(words, "S T t c e h s p", true);
    let [device, rest @ ..] = read.rest.as_slice() else { return None };
    for word in
        rest.iter().flat_map(|word| word.split(',')).map(str::trim).filter(|word| !word.is_empty())
    {
        match word {
            "cs5" | "cs6" | "cs7" | "cs8" => settings.data = word.chars().last(),
            "parenb" => settings.parity = settings.parity.or(Some('e')),
            "parodd" => settings.parity = Some('o'),
            "-parenb" => settings.parity = Some('n'),
            "cstopb" => settings.stop = Some('2'),
            "-cstopb" => settings.stop = Some('1'),
            "ixon" | "ixoff" => settings.xonxoff = true,
            "crtscts" => settings.rtscts = true,
            "-parodd" | "-ixon" | "-ixoff" | "-crtscts" | "istrip" | "-istrip" => {}
            other if settings.take(other) => {}
            other => draft.lost(line, format!("`{other}` is not known here")),
        }
    }
    Some((*device).to_owned())
}

fn cu(words: &[String], settings: &mut LineWords) -> Option<String> {
    let read = options(words, "l line s speed p port baud", false);
    set(settings, &read, [&["s", "speed", "baud"], &[], &[], &[]]);
    for (option, parity) in [("e", 'e'), ("o", 'o')] {
        if value(&read, &[option]).is_some() {
            settings.parity = Some(parity);
        }
    }
    let device = value(&read, &["l", "line"]).or_else(|| read.rest.first().copied())?;
    Some(if device.starts_with('/') { device.to_owned() } else { format!("/dev/{device}") })
}

/// `microcom -s 115200 -p /dev/ttyS1`, or the other `microcom -s 115200 /dev/ttyS1`.
fn microcom(words: &[String], settings: &mut LineWords) -> Option<String> {
    let read = options(words, "s speed p port t d l logfile", false);
    set(settings, &read, [&["s", "speed"], &[], &[], &[]]);
    value(&read, &["p", "port"]).or_else(|| read.rest.first().copied()).map(str::to_owned)
}

/// `telnet HOST PORT`, `nc HOST PORT`.
fn connection(name: &str, words: &[String], draft: &mut Draft) -> Result<(), String> {
    let read = options(words, "w p s i l e", false);
    let [host, port, ..] = read.rest.as_slice() else {
        return Err(format!("`{name}` is given no host and port here"));
    };
    let address = super::ser2net::address(host, port);
    draft.name = named(&address);
    if name == "telnet" {
        draft.say("rfc2217.address", "address", address);
        draft.say("rfc2217.control", "control", "optional");
    } else {
        draft.say("tcp.address", "address", address);
    }
    Ok(())
}
