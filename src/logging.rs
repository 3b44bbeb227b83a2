//! Where log lines go: to journald with fields when systemd runs us, to syslog where that is asked
//! for, otherwise to standard error as readable text.
//!
//! One event, one line, whatever it contains: control characters are escaped, so that no peer can
//! forge a line or drive the terminal of whoever reads it.

mod syslog;

use std::{
    fmt::{self, Debug, Display, Write},
    io::{self, IsTerminal},
    path::Path,
};

use self::syslog::Syslog;
use systemd::logging::connected_to_journal;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Value, Visit},
    span,
};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
    util::SubscriberInitExt,
};

/// Starts logging. `filter` says what is shown: a `level`, or a list of `target=level` with commas
/// ([`Targets`]); an error says what is wrong with it. With the path of syslog's socket, lines go
/// there while somebody reads it.
pub(crate) fn start(filter: &str, syslog: Option<&Path>) -> Result<(), String> {
    let filter = parsed(filter)?;
    let registry = tracing_subscriber::registry();
    // `try_init` fails only in a test that starts logging twice, and then it runs already.
    let _ = match (journald(), syslog) {
        (Some(journal), _) => registry.with(Escaping(journal).with_filter(filter)).try_init(),
        (None, Some(socket)) => registry.with(Syslog::to(socket).with_filter(filter)).try_init(),
        (None, None) => registry.with(TextLayer::stderr().with_filter(filter)).try_init(),
    };
    Ok(())
}

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// A filter whose words are levels. To [`Targets`] a misspelt level is a target, and everything
/// falls silent.
fn parsed(filter: &str) -> Result<Targets, String> {
    for part in filter.split(',') {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
        // A module's path alone shows all of it.
        let is_path = !part.contains('=') && part.contains("::");
        if !is_path && !LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
            let near =
                LEVELS.iter().map(|known| (strsim::damerau_levenshtein(level, known), known)).min();
            let near = near
                .filter(|(far, _)| *far <= 2)
                .map(|(_, known)| format!(" (did you mean `{known}`?)"));
            return Err(format!(
                "log filter `{filter}`: `{level}` is not a level{}; write one of {}, or a list like `info,wsbridge::auth=debug`",
                near.unwrap_or_default(),
                LEVELS.join(", ")
            ));
        }
    }
    filter.parse().map_err(|error| format!("log filter `{filter}`: {error}"))
}

impl<S: Subscriber> Layer<S> for Syslog {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let (line, metadata) = (LogLine::of(event), event.metadata());
        if !self.send(*metadata.level(), &line.text(metadata, false)) {
            let _ = io::Write::write_all(
                &mut io::stderr().lock(),
                line.dated(metadata, false).as_bytes(),
            );
        }
    }
}

/// journald, when it is what reads our standard error.
fn journald() -> Option<tracing_journald::Layer> {
    let journal = tracing_journald::layer().ok().filter(|_| connected_to_journal())?;
    let priorities = PriorityMappings {
        info: Priority::Informational,
        debug: Priority::Debug,
        ..PriorityMappings::new()
    };
    Some(
        journal
            .with_syslog_identifier("wsbridge".to_owned())
            .with_field_prefix(Some("WSBRIDGE".to_owned()))
            .with_priority_mappings(priorities),
    )
}

/// The most fields that the macros of `tracing` take.
const MOST_FIELDS: usize = 32;

/// Hands events on with the whole line as the message and every value escaped: `journalctl` shows
/// the message alone, and `journalctl WSBRIDGE_ENDPOINT=plc1` goes by the fields.
struct Escaping<L>(L);

impl<S, L> Layer<S> for Escaping<L>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    L: Layer<S>,
{
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let line = LogLine::of(event);
        let text = line.text(metadata, false);
        let message = metadata.fields().field("message");
        let Some(any) = metadata.fields().iter().next() else {
            return;
        };
        let mut values = [(&any, None); MOST_FIELDS];
        let fields = line.fields.iter().map(|(field, value)| (field, value));
        for (place, (field, value)) in
            values.iter_mut().zip(message.iter().map(|m| (m, &text)).chain(fields))
        {
            *place = (field, Some(value as &dyn Value));
        }
        self.0.on_event(&Event::new(metadata, &metadata.fields().value_set(&values)), context);
    }

    // We open no spans, but the journal's layer wants to know those of others.
    fn on_new_span(
        &self,
        attributes: &span::Attributes<'_>,
        id: &span::Id,
        context: Context<'_, S>,
    ) {
        self.0.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        self.0.on_record(id, values, context);
    }
}

/// Lines on standard error; colour for a person's terminal.
struct TextLayer {
    colour: bool,
}

impl TextLayer {
    fn stderr() -> Self {
        // https://no-color.org
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colour: io::stderr().is_terminal() && !no_colour }
    }
}

impl<S: Subscriber> Layer<S> for TextLayer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let text = LogLine::of(event).dated(event.metadata(), self.colour);
        // A log that cannot be written has nowhere to say so.
        let _ = io::Write::write_all(&mut io::stderr().lock(), text.as_bytes());
    }
}

/// An event taken apart, every value escaped.
#[derive(Default)]
struct LogLine {
    message: String,
    fields: Vec<(Field, String)>,
}

impl LogLine {
    fn of(event: &Event<'_>) -> Self {
        let mut line = Self::default();
        event.record(&mut line);
        line
    }

    /// `refused endpoint=plc1 peer=192.0.2.7`; a line from another crate names its module.
    fn text(&self, metadata: &Metadata<'_>, colour: bool) -> String {
        let (dim, plain) = if colour { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
        let mut text = String::new();
        if !metadata.target().starts_with("wsbridge") {
            let _ = write!(text, "{}: ", metadata.target());
        }
        text.push_str(&self.message);
        for (field, value) in &self.fields {
            let _ = write!(text, " {dim}{field}={plain}");
            // Quoted, so that no value reads as a field of its own.
            if value.is_empty() || value.contains([' ', '"', '=']) {
                let _ = write!(text, "\"{}\"", value.replace('"', "\\\""));
            } else {
                text.push_str(value);
            }
        }
        text
    }

    /// [`Self::text`] after the time (UTC) and the level.
    fn dated(&self, metadata: &Metadata<'_>, colour: bool) -> String {
        let level = match *metadata.level() {
            Level::ERROR => ("error", "\x1b[31m"),
            Level::WARN => ("warn ", "\x1b[33m"),
            Level::INFO => ("info ", "\x1b[32m"),
            Level::DEBUG => ("debug", "\x1b[34m"),
            Level::TRACE => ("trace", "\x1b[35m"),
        };
        let (paint, plain) = if colour { (level.1, "\x1b[0m") } else { ("", "") };
        let now = jiff::Timestamp::now();
        format!("{now:.3} {paint}{}{plain} {}\n", level.0, self.text(metadata, colour))
    }

    fn put(&mut self, field: &Field, value: impl Display) {
        let text = Escaped(value).to_string();
        if field.name() == "message" {
            self.message = text;
        } else {
            self.fields.push((field.clone(), text));
        }
    }
}

impl Visit for LogLine {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, value);
    }
}

/// Shows a text without any character that moves the cursor or turns the reading direction.
struct Escaped<T>(T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(EscapedText(f), "{}", self.0)
    }
}

struct EscapedText<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for EscapedText<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match c {
            // Unicode's bidirectional overrides and isolates reorder what is shown.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                write!(self.0, "{}", c.escape_default())
            }
            c if c.is_control() => write!(self.0, "{}", c.escape_default()),
            c => self.0.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_level_that_is_none_is_refused_with_the_nearest() {
        let error = parsed("warm").unwrap_err();
        assert!(error.contains("`warm` is not a level (did you mean `warn`?); write"), "{error}");
        assert!(parsed("info,wsbridge::auth=debgu").unwrap_err().contains("`debug`"));
        assert!(parsed("loud").unwrap_err().contains("error, warn, info"));
        for fine in ["warn", "INFO", "off", "info,wsbridge::auth=debug", "wsbridge::auth"] {
            assert!(parsed(fine).is_ok(), "{fine}");
        }
    }

    /// Keeps lines as they would be printed, and the values that reach the layer behind
    /// [`Escaping`].
    #[derive(Clone, Default)]
    struct Kept {
        lines: Arc<Mutex<Vec<String>>>,
        values: Arc<Mutex<Vec<Values>>>,
    }

    type Values = Vec<(&'static str, String)>;

    struct Lines(Kept);

    impl<S: Subscriber> Layer<S> for Lines {
        fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
            self.0.lines.lock().unwrap().push(LogLine::of(event).dated(event.metadata(), false));
        }
    }

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
            let mut values = Raw::default();
            event.record(&mut values);
            self.values.lock().unwrap().push(values.0);
        }
    }

    /// Values as a layer gets them, in no form but text.
    #[derive(Default)]
    struct Raw(Values);

    impl Visit for Raw {
        fn record_debug(&mut self, field: &Field, _value: &dyn Debug) {
            panic!("{field} is not escaped");
        }

        fn record_str(&mut self, field: &Field, value: &str) {
            self.0.push((field.name(), value.to_owned()));
        }
    }

    fn logged(emit: impl FnOnce()) -> (String, Values) {
        let kept = Kept::default();
        let layers = Lines(kept.clone()).and_then(Escaping(kept.clone()));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layers), emit);
        (kept.lines.lock().unwrap().remove(0), kept.values.lock().unwrap().remove(0))
    }

    #[test]
    fn a_hostile_value_stays_on_its_line_and_moves_no_cursor() {
        let evil = "\x1b[2J\nsession opened\r\u{9b}31m\u{202e}";
        let escaped = r"\u{1b}[2J\nsession opened\r\u{9b}31m\u{202e}";
        let (line, values) =
            logged(|| tracing::warn!(peer = %evil, principal = evil, reason = ?evil, "bad {evil}"));
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        assert!(line.ends_with('\n') && !line.trim_end().chars().any(char::is_control), "{line}");
        assert!(line.contains(&format!("bad {escaped} peer=\"{escaped}\"")), "{line}");
        for (name, value) in &values {
            assert!(value.contains(escaped) || *name == "reason", "{name}: {value}");
            assert!(!value.chars().any(char::is_control), "{name}: {value}");
        }
    }

    #[test]
    fn a_value_cannot_pass_for_another_field() {
        let (line, _) = logged(|| tracing::info!(peer = "x\" principal=\"root", "refused"));
        assert!(line.ends_with("refused peer=\"x\\\" principal=\\\"root\"\n"), "{line}");
    }

    #[test]
    fn a_line_shows_time_level_message_and_fields() {
        let (line, _) =
            logged(|| tracing::info!(endpoint = "plc1", bytes = 7, code = 1000_u16, "closed"));
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
        assert_eq!(rest, "info  closed endpoint=plc1 bytes=7 code=1000\n");
    }

    #[test]
    fn the_journal_gets_the_line_as_its_message_and_each_field_beside_it() {
        let (_, values) =
            logged(|| tracing::info!(endpoint = "plc1", bytes = 7, code = 1000_u16, "closed"));
        let expected = [
            ("message", "closed endpoint=plc1 bytes=7 code=1000"),
            ("endpoint", "plc1"),
            ("bytes", "7"),
            ("code", "1000"),
        ];
        assert_eq!(values, expected.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn an_event_without_a_message_keeps_its_fields() {
        let (_, values) = logged(|| tracing::info!(endpoint = "plc1"));
        assert_eq!(values, [("endpoint", "plc1".to_owned())]);
    }

    #[test]
    fn a_wrong_filter_is_named() {
        assert!(start("info,=x=", None).unwrap_err().contains("`info,=x=`"));
    }

    proptest! {
        #[test]
        fn nothing_printed_is_a_control_character(text in any::<String>()) {
            prop_assert!(!Escaped(text).to_string().chars().any(char::is_control));
        }
    }
}
