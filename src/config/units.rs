//! Durations, sizes, rates and words as people write them in the file.

use std::time::Duration;

use serde_json::{Value, json};

/// What one scalar of the file can be. It is parsed from its text, so that `8N1` or `0403:6001`
/// need no quotes.
pub(super) trait Scalar: Sized {
    /// Reads the text; the error says what is wrong and what to type.
    fn read(text: &str) -> Result<Self, String>;
    /// What it is, in the manual's Markdown.
    fn kind() -> String;
    /// Its JSON Schema.
    fn schema() -> Value;
    /// The text that is read as this value, if it can be a default or a bound.
    fn text(&self) -> String {
        String::new()
    }
    /// What is said about a text that cannot be read, given these bounds.
    fn misread(what: &str, least: &str, most: &str) -> String {
        format!("{what} (here {least} to {most})")
    }
}

/// Bytes: `4096`, `64KiB`, `1MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(super) struct Size(pub(super) u64);

/// Bytes per second: `1MiB/s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ByteRate(pub(super) u64);

/// A time as people type it (`30m`, `2h`), in whole seconds and at least one.
///
/// # Errors
/// What is wrong with it, and how to write it.
pub(crate) fn seconds_of(text: &str) -> Result<u64, String> {
    let seconds = Duration::read(text)?.as_secs();
    if seconds > 0 { Ok(seconds) } else { Err(format!("`{text}` is shorter than a second")) }
}

impl Scalar for Duration {
    fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a duration; write e.g. 250ms, 10s, 5m, 12h or 7d");
        let (number, unit) = split(text).ok_or_else(wrong)?;
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        // Longer than a century is more than any timer here should be asked for.
        number
            .checked_mul(milliseconds)
            .filter(|total| *total <= 36_500 * 86_400_000)
            .map(Self::from_millis)
            .ok_or_else(|| format!("`{text}` is too long"))
    }

    fn kind() -> String {
        "duration".into()
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$", "examples": ["250ms", "10s", "2h"] })
    }

    fn text(&self) -> String {
        duration_text(*self)
    }
}

impl Scalar for Size {
    fn read(text: &str) -> Result<Self, String> {
        bytes(text)
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not a size; write e.g. 4096, 64KiB or 1MiB"))
    }

    fn kind() -> String {
        "size".into()
    }

    fn schema() -> Value {
        json!({ "type": ["string", "integer"], "pattern": "^[0-9]+(B|KiB|MiB|GiB)?$", "minimum": 0,
            "examples": [4096, "64KiB", "1MiB"] })
    }

    fn text(&self) -> String {
        size_text(self.0)
    }
}

impl Scalar for ByteRate {
    fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a rate; write a size per second, e.g. 64KiB/s");
        let rate = text.strip_suffix("/s").and_then(bytes).ok_or_else(wrong)?;
        if rate == 0 {
            Err("a rate of 0 would stop everything; leave the key out".into())
        } else {
            Ok(Self(rate))
        }
    }

    fn kind() -> String {
        "rate".into()
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB)?/s$", "examples": ["64KiB/s", "1MiB/s"] })
    }
}

impl Scalar for u32 {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("`{text}` is not a whole number"))
    }

    fn misread(what: &str, least: &str, most: &str) -> String {
        format!("{what} from {least} to {most}")
    }

    fn kind() -> String {
        "number".into()
    }

    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 0, "maximum": Self::MAX })
    }

    fn text(&self) -> String {
        self.to_string()
    }
}

impl Scalar for bool {
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "true" | "True" | "TRUE" => Ok(true),
            "false" | "False" | "FALSE" => Ok(false),
            _ => {
                let meant = match text.to_ascii_lowercase().as_str() {
                    "yes" | "on" | "y" | "1" | "enabled" => "; write true",
                    "no" | "off" | "n" | "0" | "disabled" => "; write false",
                    _ => "",
                };
                Err(format!("`{text}` is neither true nor false{meant}"))
            }
        }
    }

    fn kind() -> String {
        "true or false".into()
    }

    fn schema() -> Value {
        json!({ "type": "boolean" })
    }

    fn text(&self) -> String {
        self.to_string()
    }
}

impl Scalar for String {
    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            Err("empty text; write something, or leave the key out".into())
        } else {
            Ok(text.into())
        }
    }

    fn kind() -> String {
        "text".into()
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1 })
    }
}

/// A number and the unit after it, with an optional space in between.
fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit.trim_start()))
}

fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// Picks the value for a word, or says which words there are and which is closest.
pub(super) fn choose<T: Copy>(text: &str, choices: &[(&'static str, T)]) -> Result<T, String> {
    let found = choices.iter().find(|(word, _)| *word == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        format!("`{text}` is not known here{}", suggest(text, &words))
    })
}

/// `; did you mean ..?` if a word is close, and the list of all.
pub(super) fn suggest(text: &str, words: &[&str]) -> String {
    let nearest = nearest(text, words)
        .map(|(_, word)| format!("; did you mean `{word}`?"))
        .unwrap_or_default();
    let all = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let end = if nearest.is_empty() { ";" } else { "" };
    format!("{nearest}{end} known: {all}")
}

/// The closest word, and how far away it is; `None` if none is close.
pub(crate) fn nearest<'a>(text: &str, words: &[&'a str]) -> Option<(usize, &'a str)> {
    words
        .iter()
        .map(|word| (strsim::damerau_levenshtein(&text.to_lowercase(), word), *word))
        .min()
        .filter(|(distance, word)| *distance <= (word.chars().count().max(3) / 2).max(1))
}

/// Names that other programs (ser2net and the like) use for things that have another name here.
const ELSEWHERE: [(&str, &str); 11] = [
    ("device", "port"),
    ("devicename", "port"),
    ("connector", "port"),
    ("speed", "baud"),
    ("bps", "baud"),
    ("baudrate", "baud"),
    ("accepter", "listen"),
    ("rtscts", "flow"),
    ("xonxoff", "flow"),
    ("timeout", "idle"),
    ("max_connections", "sessions"),
];

/// Which of these words another program's name stands for.
pub(super) fn elsewhere<'a>(text: &str, words: &[&'a str]) -> Option<&'a str> {
    let text = text.to_lowercase().replace('-', "_");
    let (_, ours) =
        ELSEWHERE.iter().find(|(theirs, ours)| *theirs == text && words.contains(ours))?;
    words.iter().find(|word| *word == ours).copied()
}

/// A time as configurations write it: `2s`, `30d`.
pub(crate) fn read_duration(text: &str) -> Result<Duration, String> {
    Duration::read(text)
}

/// A duration as the file would say it.
pub(crate) fn duration_text(duration: Duration) -> String {
    let total = duration.as_millis();
    if total == 0 {
        return "0s".into();
    }
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")];
    let fits = units.iter().find(|(unit, _)| total.is_multiple_of(*unit));
    fits.map_or_else(|| format!("{total}ms"), |(unit, word)| format!("{}{word}", total / unit))
}

/// A size as the file would say it.
pub(crate) fn size_text(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let fits = units.iter().find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit));
    fits.map_or_else(|| bytes.to_string(), |(unit, word)| format!("{}{word}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_sizes_and_rates_are_read_as_people_write_them() {
        for (text, milliseconds) in [
            ("250ms", 250),
            ("10s", 10_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("30d", 2_592_000_000),
        ] {
            assert_eq!(Duration::read(text), Ok(Duration::from_millis(milliseconds)));
        }
        for (text, bytes) in
            [("64KiB", 65_536), ("1MiB", 1 << 20), ("4096", 4096), ("1 GiB", 1 << 30)]
        {
            assert_eq!(Size::read(text), Ok(Size(bytes)));
        }
        assert_eq!(ByteRate::read("1MiB/s"), Ok(ByteRate(1 << 20)));
    }

    #[test]
    fn a_wrong_unit_is_told_what_to_type() {
        for wrong in ["10", "s", "10 seconds", "-1s", "1.5h", "", "99999999999999999999s"] {
            assert!(Duration::read(wrong).unwrap_err().contains("e.g. 250ms"), "{wrong}");
        }
        for wrong in ["1MB", "KiB", "1kib", "-5", "99999999999GiB"] {
            assert!(Size::read(wrong).unwrap_err().contains("64KiB"), "{wrong}");
        }
        assert!(ByteRate::read("1MiB").unwrap_err().contains("per second"));
        assert!(ByteRate::read("0/s").is_err());
    }

    #[test]
    fn truth_is_written_as_in_yaml_1_2_and_what_1_1_had_beside_it_is_told() {
        for (texts, value) in
            [(["true", "True", "TRUE"], true), (["false", "False", "FALSE"], false)]
        {
            for text in texts {
                assert_eq!(bool::read(text), Ok(value));
            }
        }
        for (text, right) in
            [("yes", "true"), ("On", "true"), ("1", "true"), ("no", "false"), ("OFF", "false")]
        {
            let told = format!("`{text}` is neither true nor false; write {right}");
            assert_eq!(bool::read(text), Err(told));
        }
        assert_eq!(bool::read("tRue"), Err("`tRue` is neither true nor false".into()));
    }

    #[test]
    fn a_mistyped_word_gets_the_nearest_right_one() {
        let error = choose("rtsct", &[("none", 0), ("rtscts", 1)]).unwrap_err();
        assert!(error.contains("did you mean `rtscts`?"), "{error}");
        let error = choose("zebra", &[("none", 0), ("rtscts", 1)]).unwrap_err();
        assert!(
            !error.contains("did you mean") && error.contains("known: `none`, `rtscts`"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_the_same(milliseconds in 0u64..3_000_000_000_000, bytes in 0u64..1 << 50) {
            let duration = Duration::from_millis(milliseconds);
            prop_assert_eq!(Duration::read(&duration_text(duration)), Ok(duration));
            prop_assert_eq!(Size::read(&size_text(bytes)), Ok(Size(bytes)));
        }

        #[test]
        fn no_text_makes_them_panic(text in "\\PC*") {
            let _ = (Duration::read(&text), Size::read(&text), ByteRate::read(&text), suggest(&text, &["read", "write"]));
        }
    }
}
