//! What the commands about lending share: times as people type them, and lists as they read them.

use serde_json::Value;

use super::{CommandError, Outcome, SysExit, print};
use crate::config::seconds_of;

/// How long, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct ForHow(pub(super) u64);

impl ForHow {
    /// Reads `30m`, `2h`, `1d`.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        seconds_of(text).map(Self)
    }
}

/// The name of a grant or request, which goes into a path.
pub(super) fn id(text: &str) -> Result<&str, CommandError> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain && !text.is_empty() {
        return Ok(text);
    }
    let what = format!(
        "`{text}` is no name of a grant or a request; they look like g_7f3k2mpa and r_7f3k2mpa"
    );
    Err(CommandError::new(SysExit::Usage, what))
}

/// Prints an answer as it is.
pub(super) fn json(told: &Value) -> Outcome {
    let text = serde_json::to_string_pretty(told).unwrap_or_default();
    print(&format!("{text}\n"))
}

/// A member as text; nothing where there is none.
pub(super) fn text(one: &Value, name: &str) -> String {
    match one.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// A list of words.
pub(super) fn words(one: &Value, name: &str) -> String {
    let all = one.get(name).and_then(Value::as_array).into_iter().flatten();
    all.filter_map(Value::as_str).collect::<Vec<_>>().join(",")
}

/// Something of each member of a list in an answer: rows of a table.
pub(super) fn rows<'a, T>(told: &'a Value, list: &str, row: impl Fn(&'a Value) -> T) -> Vec<T> {
    told.get(list).and_then(Value::as_array).into_iter().flatten().map(row).collect()
}
