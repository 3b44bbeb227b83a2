//! Lines of the record as they are in its files: one JSON object each, chained by hash.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{
    keys::{Former, KEY, Keys},
    tree::{Frontier, Hash},
};

/// Longest line that is read; ours are far shorter.
pub(super) const LINE_MAX: usize = 64 * 1024;

/// The event that says how many could not be recorded.
pub(super) const LOST: &str = "lost";

/// What happened, before it has a number.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Entry {
    /// When, UTC.
    pub(crate) at: jiff::Timestamp,
    /// The kind of event.
    pub(crate) what: &'static str,
    /// Who did it: `KIND:NAME`.
    pub(crate) who: Option<String>,
    /// From where.
    pub(crate) peer: Option<String>,
    /// The endpoint.
    pub(crate) endpoint: Option<String>,
    /// The session's number.
    pub(crate) session: Option<u64>,
    /// What else there is to say.
    pub(crate) detail: Map<String, Value>,
}

/// An entry in its place.
#[derive(Serialize)]
struct Placed<'a> {
    n: u64,
    t: String,
    boot: &'a str,
    /// Seconds since boot.
    mono: f64,
    ev: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    who: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ep: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<u64>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    detail: &'a Map<String, Value>,
    prev: String,
}

/// What is read of a line to find its place.
#[derive(Debug, Deserialize)]
pub(super) struct Placement {
    pub(super) n: u64,
    prev: String,
    ev: String,
    #[serde(default)]
    detail: Map<String, Value>,
}

/// The first line of a file: where in the tree the file begins.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Heading {
    /// The version of the format.
    audit: u32,
    /// The name of the record.
    pub(super) origin: String,
    /// The key that verifies its checkpoints.
    pub(super) key: String,
    /// Number of the file's first line.
    pub(super) first: u64,
    /// The tree's right edge before it.
    frontier: Vec<String>,
    /// Hash of the line before it.
    prev: String,
    /// Keys before that one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) former: Vec<Former>,
}

/// Where the next line goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// The tree so far; its size is the next line's number.
    pub(super) tree: Frontier,
    /// Hash of the line before; zeros before the first.
    pub(super) prev: Hash,
}

impl Position {
    /// The line of an entry, without a line feed; `boot` is the kernel's number of this boot, and
    /// `mono` the time since in seconds.
    pub(super) fn line(&self, entry: &Entry, (boot, mono): (&str, f64)) -> String {
        let placed = Placed {
            n: self.tree.size(),
            t: format!("{:.6}", entry.at),
            boot,
            mono: (mono * 1000.0).round() / 1000.0,
            ev: entry.what,
            who: entry.who.as_deref(),
            peer: entry.peer.as_deref(),
            ep: entry.endpoint.as_deref(),
            sid: entry.session,
            detail: &entry.detail,
            prev: BASE64.encode(self.prev),
        };
        // It has no map with keys that are not strings, the only thing that cannot be written.
        serde_json::to_string(&placed).unwrap_or_default()
    }

    /// Goes on behind a line, without its line feed.
    pub(super) fn pass(&mut self, line: &[u8]) {
        self.prev = Sha256::digest(line).into();
        self.tree.push(super::tree::leaf(line));
    }

    /// The heading of a file that begins here.
    pub(super) fn heading(&self, origin: &str, keys: &Keys) -> String {
        let heading = Heading {
            audit: 1,
            origin: origin.to_owned(),
            key: keys.key.clone(),
            first: self.tree.size(),
            frontier: self.tree.edge().iter().map(|hash| BASE64.encode(hash)).collect(),
            prev: BASE64.encode(self.prev),
            former: keys.former.clone(),
        };
        serde_json::to_string(&heading).unwrap_or_default()
    }
}

impl Heading {
    /// Reads a file's first line.
    pub(super) fn read(line: &[u8]) -> Option<(Self, Position)> {
        let heading: Self = serde_json::from_slice(line).ok()?;
        // It says nothing that can be said in another way.
        if serde_json::to_vec(&heading).ok()? != line {
            return None;
        }
        let edge = heading.frontier.iter().map(|text| hash(text)).collect::<Option<_>>()?;
        let tree = Frontier::new(heading.first, edge)?;
        let prev = hash(&heading.prev)?;
        (heading.audit == 1).then_some((heading, Position { tree, prev }))
    }
}

impl Placement {
    /// Reads it from a line.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }

    /// The key that it announces, and what the one before says of that.
    pub(super) fn announces(&self) -> Option<(&str, &str)> {
        let of = |name: &str| self.detail.get(name).and_then(Value::as_str);
        if self.ev == KEY { Some((of("key")?, of("signed")?)) } else { None }
    }

    /// How many events are missing before it.
    pub(super) fn lost(&self) -> u64 {
        let lost = self.detail.get("events").filter(|_| self.ev == LOST);
        lost.and_then(Value::as_u64).unwrap_or_default()
    }

    /// Whether the line says that it follows the one with this hash.
    pub(super) fn follows(&self, prev: &Hash) -> bool {
        hash(&self.prev).as_ref() == Some(prev)
    }
}

fn hash(text: &str) -> Option<Hash> {
    BASE64.decode(text).ok()?.try_into().ok()
}
