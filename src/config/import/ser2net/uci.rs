//! `/etc/config/ser2net` on OpenWrt: one `config proxy` per port.

use super::{
    super::{
        draft::{Draft, Drafts, of_device},
        line::LineWords,
    },
    device, opened,
    options::{Options, is_false, is_true},
};
use crate::config::uci::{Section, read_sections};

/// Reads it.
///
/// # Errors
/// It is not UCI; the text says where.
pub(in super::super) fn uci(text: &str, drafts: &mut Drafts<'_>) -> Result<(), String> {
    let sections = read_sections(text)?;
    let mut all = (LineWords::default(), Options::default());
    for section in sections.iter().filter(|section| section.kind == "default") {
        taken(section, &mut all, &mut |_, _| {});
    }
    for section in &sections {
        match section.kind.as_str() {
            "proxy" => proxy(section, &all, drafts),
            "controlport" if section.value("enabled").is_some_and(|it| is_true(&it.text)) => {
                drafts.lost(
                    section.at.line,
                    "`controlport`: see `wsbridge doctor` and the page at /",
                );
            }
            "controlport" | "default" | "led" | "ser2net" | "global" => {}
            other => drafts.lost(section.at.line, format!("`config {other}` is not known here")),
        }
    }
    // The init script starts nothing if this is off.
    let off = sections.iter().find(|section| section.kind == "ser2net" || section.kind == "global");
    if let Some(section) = off
        && section.value("enabled").is_some_and(|it| is_false(&it.text))
    {
        let why = "ser2net was switched off as a whole; what is below would have run if not";
        drafts.note(section.at.line, why);
    }
    Ok(())
}

/// Takes in the options of a section; any that is not a port's is passed to `other`.
fn taken(
    section: &Section,
    (words, options): &mut (LineWords, Options),
    other: &mut dyn FnMut(&str, usize),
) {
    for entry in &section.entries {
        for value in &entry.values {
            let (text, line) = (value.text.as_str(), value.at.line);
            let word = match entry.option.as_str() {
                "baudrate" | "speed" | "parity" => text.to_owned(),
                "databits" => format!("{text}databits"),
                "stopbits" => format!("{text}stopbits"),
                "options" => text.trim().to_owned(),
                option => format!("{option}={text}"),
            };
            if OWN.contains(&entry.option.as_str()) || word.is_empty() || words.take(&word) {
                continue;
            }
            if SETTINGS.contains(&entry.option.as_str()) {
                other(&word, line);
            } else {
                let (key, value) = word.split_once('=').unwrap_or((&word, ""));
                options.set(key, value, line);
            }
        }
    }
}

/// Options of a section that are read separately.
const OWN: [&str; 5] = ["enabled", "port", "protocol", "timeout", "device"];

/// Options that set the line.
const SETTINGS: [&str; 5] = ["baudrate", "speed", "databits", "stopbits", "parity"];

fn proxy(section: &Section, all: &(LineWords, Options), drafts: &mut Drafts<'_>) {
    let line = section.at.line;
    let value =
        |option: &str| section.value(option).map(|value| value.text.trim()).unwrap_or_default();
    // What is not switched on is off.
    let on = section.value("enabled").is_some_and(|it| is_true(&it.text));
    if !on || value("protocol") == "off" {
        drafts.off(line);
        return;
    }
    let path = value("device");
    let mut draft = Draft::new(section.name.as_deref().unwrap_or(&of_device(path)), line);
    if value("protocol") == "rawlp" {
        drafts.no_endpoint(line, "`rawlp`: a printer's port is no serial port");
        return;
    }
    if let Err(why) = device(path, &mut draft) {
        drafts.no_endpoint(line, why);
        return;
    }
    let mut own = all.clone();
    taken(section, &mut own, &mut |word, at| draft.lost(at, format!("`{word}` is not known here")));
    own.0.say(&mut draft, line);
    let timeout = value("timeout");
    if timeout.parse::<u64>().is_ok_and(|seconds| seconds > 0) {
        draft.say("limits.idle", "idle", format!("{timeout}s"));
    }
    let telnet = if value("protocol") == "telnet" { "telnet," } else { "" };
    let at = section.value("port").map_or(line, |port| port.at.line);
    opened(&mut draft, Some(&format!("{telnet}tcp,{}", value("port"))), &own.1, at);
    drafts.push(draft);
}
