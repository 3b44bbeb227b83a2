//! Endpoints on their way: what is said of each, its doors, and what could not be said.

use std::{collections::BTreeSet, fmt::Write as _, net::IpAddr};

use crate::config::yaml;

/// The most endpoints that are made from one file.
const ENDPOINTS_MOST: usize = 512;

/// The most lines that are shown as comments.
const NOTES_MOST: usize = 1000;

/// A key of ours and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// Keys below the endpoint's name, separated by dots.
    pub(super) path: &'static str,
    /// UCI's option.
    pub(super) option: &'static str,
    pub(super) value: String,
}

/// A line of their file, and what happened to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) line: usize,
    pub(super) why: String,
    /// Whether some part of it has no equivalent.
    pub(super) lost: bool,
}

/// A listener of an endpoint for other programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Door {
    /// `tcp`, `rfc2217` or `unix`.
    pub(super) kind: &'static str,
    /// The address without its port; empty for every address, and for `unix`.
    pub(super) host: String,
    /// The port, or the path.
    pub(super) place: String,
    /// Networks that may come.
    pub(super) from: Vec<String>,
    /// Whether who comes may set the port (RFC 2217).
    pub(super) control: bool,
    /// The line that says it.
    pub(super) line: usize,
}

impl Door {
    pub(super) fn new(kind: &'static str, host: &str, place: &str) -> Self {
        let (host, place) = (host.to_owned(), place.to_owned());
        Self { kind, host, place, from: Vec::new(), control: false, line: 0 }
    }

    /// As it stands in a list of ours.
    pub(super) fn yaml(&self) -> String {
        let address = match (self.kind, self.host.as_str()) {
            ("unix", _) => self.place.clone(),
            (_, "localhost") => format!("127.0.0.1:{}", self.place),
            (_, host) if host.contains(':') => format!("[{host}]:{}", self.place),
            (_, host) => format!("{host}:{}", self.place),
        };
        let mut out = format!("{{ {}: {}", self.kind, yaml::quoted(&address));
        if self.control {
            out.push_str(", rights: [ read, write, signals, settings ]");
        }
        if !self.from.is_empty() {
            let from: Vec<String> = self.from.iter().map(|it| yaml::quoted(it)).collect();
            let _ = write!(out, ", from: [ {} ], insecure: true", from.join(", "));
        }
        out + " }"
    }

    /// Lets in those that its own networks or `from` name; without any, this machine alone.
    fn admit(&mut self, from: &[String], draft: &mut Draft) {
        let is_address = self.host.is_empty() || self.host.parse::<IpAddr>().is_ok();
        if self.from.is_empty() {
            self.from = from.to_vec();
        }
        if is_address && !self.from.is_empty() {
            if self.host.is_empty() {
                self.host = "::".into();
            }
            return;
        }
        let all = if self.host.is_empty() { "everybody" } else { self.host.as_str() };
        let why = format!(
            "port {} was for {all}, and is for this machine alone here; `--from NETWORK` says who may come",
            self.place
        );
        draft.lost(self.line, why);
        self.host = "127.0.0.1".into();
        self.from.clear();
    }

    /// Whether only this machine reaches it.
    pub(super) fn is_local(&self) -> bool {
        let ip = self.host.parse::<IpAddr>().map(|ip| ip.to_canonical());
        self.kind == "unix" || self.host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
    }
}

/// An endpoint.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub(super) name: String,
    /// The line where it begins.
    pub(super) line: usize,
    pub(super) said: Vec<Said>,
    pub(super) doors: Vec<Door>,
    pub(super) notes: Vec<Note>,
}

impl Draft {
    pub(super) fn new(name: &str, line: usize) -> Self {
        Self { name: name.to_owned(), line, ..Self::default() }
    }

    /// Sets a key. If it is set twice, the last one counts, as in their files.
    pub(super) fn say(
        &mut self,
        path: &'static str,
        option: &'static str,
        value: impl Into<String>,
    ) {
        self.said.retain(|said| said.path != path);
        self.said.push(Said { path, option, value: value.into() });
    }

    /// The value that was set for a key.
    pub(super) fn value(&self, path: &str) -> Option<&str> {
        self.said.iter().find(|said| said.path == path).map(|said| said.value.as_str())
    }

    /// Notes that part of a line has no equivalent.
    pub(super) fn lost(&mut self, line: usize, why: impl Into<String>) {
        self.notes.push(Note { line, why: why.into(), lost: true });
    }

    /// Notes something worth knowing about a line.
    pub(super) fn note(&mut self, line: usize, why: impl Into<String>) {
        self.notes.push(Note { line, why: why.into(), lost: false });
    }

    /// The device, if it is one that only one endpoint can have.
    fn device(&self) -> Option<&str> {
        self.value("serial.port").or_else(|| self.value("rfc2217.address"))
    }

    /// Takes in another endpoint with the same device.
    fn join(&mut self, other: Self) {
        for said in other.said {
            if self.value(said.path) != Some(&said.value) {
                let what = format!(
                    "`{}: {}`: the device is `{}` already, and has one setting of each kind",
                    said.path, said.value, self.name
                );
                self.lost(other.line, what);
            }
        }
        self.doors.extend(other.doors);
        self.notes.extend(other.notes);
    }
}

/// Everything found in a file.
#[derive(Debug)]
pub(super) struct Drafts<'a> {
    lines: Vec<&'a str>,
    names: BTreeSet<String>,
    pub(super) all: Vec<Draft>,
    /// Notes that belong to no endpoint.
    pub(super) notes: Vec<Note>,
    /// Whether anything was found, even if it is left out.
    found: bool,
}

impl<'a> Drafts<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            lines: text.lines().collect(),
            names: BTreeSet::new(),
            all: Vec::new(),
            notes: Vec::new(),
            found: false,
        }
    }

    /// Whether there was nothing of this kind at all.
    pub(super) fn is_empty(&self) -> bool {
        !self.found
    }

    /// A line of the file, as a comment shows it.
    pub(super) fn shown(&self, line: usize) -> String {
        let text = line
            .checked_sub(1)
            .and_then(|index| self.lines.get(index))
            .copied()
            .unwrap_or_default();
        let plain = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
        let shown: String = plain.take(160).collect();
        hidden(&shown)
    }

    /// Notes that part of a line has no equivalent and belongs to no endpoint.
    pub(super) fn lost(&mut self, line: usize, why: impl Into<String>) {
        self.notes.push(Note { line, why: why.into(), lost: true });
    }

    /// Notes something worth knowing that belongs to no endpoint.
    pub(super) fn note(&mut self, line: usize, why: impl Into<String>) {
        self.notes.push(Note { line, why: why.into(), lost: false });
    }

    /// An endpoint that is switched off.
    pub(super) fn off(&mut self, line: usize) {
        self.found = true;
        self.note(line, "switched off there, and left out");
    }

    /// Notes something of the right kind that cannot be an endpoint.
    pub(super) fn no_endpoint(&mut self, line: usize, why: impl Into<String>) {
        self.found = true;
        self.lost(line, why);
    }

    /// Adds an endpoint, or joins it to one that has its device already.
    pub(super) fn push(&mut self, mut draft: Draft) {
        self.found = true;
        let device = draft.device().map(str::to_owned);
        let same =
            device.and_then(|device| self.all.iter_mut().find(|it| it.device() == Some(&device)));
        if let Some(first) = same {
            first.join(draft);
            return;
        }
        if self.all.len() == ENDPOINTS_MOST {
            self.lost(
                draft.line,
                format!("more than {ENDPOINTS_MOST} endpoints; import the file in parts"),
            );
            return;
        }
        let wanted = named(&draft.name);
        let numbered = (2..).map(|number| format!("{wanted}-{number}"));
        let mut names = std::iter::once(wanted.clone()).chain(numbered);
        draft.name = names.find(|name| !self.names.contains(name)).unwrap_or_default();
        self.names.insert(draft.name.clone());
        self.all.push(draft);
    }

    /// Leaves out the endpoints that our configuration does not accept; a comment says why.
    pub(super) fn keep_if(&mut self, valid: impl Fn(&Draft) -> Result<(), String>) {
        let mut kept = Vec::new();
        for draft in std::mem::take(&mut self.all) {
            match valid(&draft) {
                Ok(()) => kept.push(draft),
                Err(why) => {
                    self.lost(draft.line, format!("`{}` would be wrong: {why}", draft.name));
                    self.notes.extend(draft.notes);
                }
            }
        }
        self.all = kept;
        let mut room = NOTES_MOST;
        for notes in self.all.iter_mut().map(|draft| &mut draft.notes).chain([&mut self.notes]) {
            notes.sort_by_key(|note| note.line);
            notes.dedup();
            notes.truncate(room);
            room -= notes.len();
        }
    }

    /// Decides who may come to each door: those that `from` names where everybody could come before,
    /// or else this machine alone. An address is given once.
    pub(super) fn open_doors(&mut self, from: &[String]) {
        let mut taken = BTreeSet::new();
        for draft in &mut self.all {
            for mut door in std::mem::take(&mut draft.doors) {
                if !door.is_local() {
                    door.admit(from, draft);
                }
                if taken.insert((door.host.clone(), door.place.clone())) {
                    draft.doors.push(door);
                } else {
                    draft.lost(door.line, format!("port {} is another door already", door.place));
                }
            }
        }
    }

    /// Turns doors into comments: UCI has no option for them.
    pub(super) fn without_doors(&mut self) {
        for draft in &mut self.all {
            for door in std::mem::take(&mut draft.doors) {
                draft.lost(
                    door.line,
                    format!("UCI has no doors; in YAML: doors: [ {} ]", door.yaml()),
                );
            }
        }
    }

    /// How many lines have a part without an equivalent.
    pub(super) fn left(&self) -> usize {
        let all = self.all.iter().flat_map(|draft| &draft.notes).chain(&self.notes);
        all.filter(|note| note.lost).map(|note| note.line).collect::<BTreeSet<_>>().len()
    }
}

/// A line without what may be a password: a web page's (`-c USER:PASSWORD`) or IPMI's (`-P`).
fn hidden(line: &str) -> String {
    let mut before = "";
    let words = line.split(' ').map(|word| {
        let option = std::mem::replace(&mut before, word);
        let named = matches!(option, "-c" | "--credential") && word.contains(':');
        if named || (option == "-P" && !word.is_empty()) {
            "..."
        } else if word.starts_with("--credential=") {
            "--credential=..."
        } else {
            word
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A text made into a valid name for an endpoint.
pub(super) fn named(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-') {
            name.push(c);
        } else if !name.ends_with('-') {
            name.push('-');
        }
    }
    let name: String =
        name.trim_matches(|c: char| !c.is_ascii_alphanumeric()).chars().take(56).collect();
    if name.is_empty() { "line".into() } else { name }
}

/// A name made from the path of a device.
pub(super) fn of_device(path: &str) -> String {
    let last = path.rsplit('/').next().unwrap_or_default();
    named(last.strip_prefix("usb-").unwrap_or(last))
}
