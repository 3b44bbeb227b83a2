//! Pacing: how slowly data is sent to a device.

use std::time::Duration;

use super::{
    Share,
    cursor::{Keys, Placed},
    escaped::{EscapedBytes, at_most},
};

/// How slowly data is sent to a device. Pauses count from when the previous byte has left the line
/// at its speed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pacing {
    /// Pause after each byte.
    pub byte_delay: Duration,
    /// Pause after each line end.
    pub line_delay: Duration,
    /// What the device says when it is ready for the next line.
    pub prompt: Option<Prompt>,
}

/// A text to wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The text, 1 to 64 bytes.
    pub text: Vec<u8>,
    /// How long to wait for it.
    pub timeout: Duration,
}

/// Reads an endpoint's `pacing:`.
pub(super) fn pacing(k: &mut Keys<'_>) -> Option<Placed<Pacing>> {
    k.key("pacing", "how slowly data is sent to the device: [below](#pacing)")
        .without("as fast as the device accepts")
        .map(delays)
}

/// Pacing, given how the endpoint is shared: a line can have it, a connection per session cannot.
pub(super) fn of_line(
    pacing: Option<Placed<Pacing>>,
    share: Option<Share>,
    k: &Keys<'_>,
) -> Pacing {
    let Some(Placed { value, at }) = pacing else { return Pacing::default() };
    if share.is_none() {
        let what = "works only on shared lines, and here each session has its own connection; add `share: one-writer`";
        k.wrong_in("pacing", at, what);
    }
    value
}

fn delays(k: &mut Keys<'_>) -> Pacing {
    let (least, second) = (Duration::from_millis(1), Duration::from_secs(1));
    let byte_delay = k
        .key("byte_delay", "pause after each byte")
        .without("none")
        .uci("pacing_byte_delay")
        .within(least..=second)
        .maybe();
    let line_delay = k
        .key("line_delay", "pause after each line end (CR, LF or both)")
        .without("none")
        .uci("pacing_line_delay")
        .within(least..=60 * second)
        .maybe();
    let prompt = k
        .key(
            "prompt",
            "1 to 64 bytes, written like a `delimiter`: after each line end, wait until the device says this. Not with \
             `line_delay`",
        )
        .without("none")
        .uci("pacing_prompt")
        .maybe::<EscapedBytes>();
    let timeout = k
        .key("timeout", "how long the prompt is waited for")
        .uci("pacing_timeout")
        .within(least..=60 * second)
        .or(2 * second);
    if let (Some(at), false) = (k.place("timeout"), k.has("prompt")) {
        k.wrong_in("timeout", at, "belongs to `prompt`; leave it out, or add `prompt`");
    }
    if let (Some(at), true) = (k.place("line_delay"), k.has("prompt")) {
        let what = "cannot go with `prompt`, which says itself when the next line may go; keep one";
        k.wrong_in("line_delay", at, what);
    }
    let text = prompt.map(|bytes| at_most(64, "prompt", bytes, k));
    let prompt = text.filter(|text| !text.is_empty()).map(|text| Prompt { text, timeout });
    let pause = |written: Option<Placed<Duration>>| written.map_or(Duration::ZERO, |it| it.value);
    Pacing { byte_delay: pause(byte_delay), line_delay: pause(line_delay), prompt }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn read(endpoint: &str) -> Result<Pacing, String> {
        let text = format!("auth: none\nendpoints:\n  e: {endpoint}\n");
        let parsed =
            parse(&text, "w.yaml", &|_| Err(String::new())).map_err(|error| error.to_string());
        parsed.map(|(config, _)| config.endpoints["e"].pacing.clone())
    }

    #[test]
    fn pacing_is_read_and_bytes_and_lines_combine() {
        let pacing = read("{ sim: echo, pacing: { byte_delay: 1ms, line_delay: 50ms } }").unwrap();
        let wanted = Pacing {
            byte_delay: Duration::from_millis(1),
            line_delay: Duration::from_millis(50),
            prompt: None,
        };
        assert_eq!(pacing, wanted);
        let pacing =
            read("{ tcp: { address: 'h:1' }, share: one-writer, pacing: { prompt: '> ' } }")
                .unwrap();
        assert_eq!(
            pacing.prompt,
            Some(Prompt { text: b"> ".to_vec(), timeout: Duration::from_secs(2) })
        );
        assert_eq!(read("{ sim: echo }").unwrap(), Pacing::default());
    }

    #[test]
    fn what_cannot_be_paced_is_refused_with_a_way_out() {
        for (pacing, part) in [
            ("{ byte_delay: 0ms }", "not from 1ms to 1s"),
            ("{ timeout: 1s }", "belongs to `prompt`"),
            ("{ prompt: x, line_delay: 1s }", "keep one"),
        ] {
            let error = read(&format!("{{ sim: echo, pacing: {pacing} }}")).unwrap_err();
            assert!(error.contains(part) && error.contains("w.yaml:3:"), "{pacing}\n{error}");
        }
        let error = read("{ tcp: { address: 'h:1' }, pacing: { byte_delay: 1ms } }").unwrap_err();
        assert!(error.contains("add `share: one-writer`"), "{error}");
    }
}
