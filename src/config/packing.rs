//! Packing and pacing: which bytes of a device make one message, and how slowly a device is sent to.

use std::time::Duration;

use super::{
    PortIdentity, Share, Target,
    raw::{self, Leaf, OneOf, Placed},
    report::Report,
    units::{Word, duration_text},
    words::{Bytes, NoPacking},
};
use crate::{
    settings::Settings,
    wire::frames::{Delimiter, Packing},
};

/// Longest packet: with its 4-byte header it fills two TLS records of 16 KiB.
pub const PACKET_MOST: usize = 32 * 1024 - 4;

/// 3.5 characters at more than 19200 baud (MODBUS over Serial Line V1.02, section 2.5.1.1).
pub const MODBUS_PAUSE_LEAST: Duration = Duration::from_micros(1750);

/// Most bytes that may belong to a message behind its delimiter.
const PLUS_MOST: u32 = 64;

/// How slowly a device is sent to. Pauses count from when the byte before has left the line at its speed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pacing {
    /// Pause after each byte.
    pub byte_delay: Duration,
    /// Pause after each line end.
    pub line_delay: Duration,
    /// What the device says when it takes the next line.
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

/// Resolves `packing:` of an endpoint with this target.
pub(super) fn packing(
    raw: Option<&Placed<OneOf<NoPacking, raw::Packing>>>,
    target: &Target,
    path: &str,
    report: &mut Report,
) -> Packing {
    let Some(Placed { value, at }) = raw else { return Packing::None };
    let raw = match value {
        OneOf::Word(text, _) => {
            report.read_text::<NoPacking>(path, text, *at);
            return Packing::None;
        }
        OneOf::Map(raw) => raw,
    };
    let modbus = report.or(&format!("{path}.modbus-rtu"), raw.modbus_rtu.as_ref(), false);
    let rules = [raw.idle_ms.is_some(), raw.delimiter.is_some(), raw.length.is_some(), modbus];
    if rules.iter().filter(|there| **there).count() != 1 {
        let what = "write exactly one of `idle_ms: 4`, `delimiter: \"\\n\"`, `length: 64` and `modbus-rtu: true`, or \
                    `packing: none`";
        report.wrong(*at, path, what);
    }
    for (key, at) in
        [("keep", raw.keep.as_ref().map(|leaf| leaf.at)), ("plus", raw.plus.as_ref().map(|leaf| leaf.at))]
    {
        if let (Some(at), None) = (at, &raw.delimiter) {
            report.wrong(at, &format!("{path}.{key}"), "belongs to `delimiter`; leave it out");
        }
    }
    let show = |number: u32| number.to_string();
    if let Some(delimiter) = &raw.delimiter {
        return delimited(raw, delimiter, path, report);
    }
    if let Some(leaf) = &raw.length {
        let most = u32::try_from(PACKET_MOST).unwrap_or(u32::MAX);
        let length = report.within(&format!("{path}.length"), Some(leaf), (1, 1, most), show);
        return Packing::Length(usize::try_from(length).unwrap_or(PACKET_MOST));
    }
    if let Some(leaf) = &raw.idle_ms {
        let idle = report.within(&format!("{path}.idle_ms"), Some(leaf), (1, 1, 60_000), show);
        return Packing::Idle(Duration::from_millis(idle.into()));
    }
    let pause = target.settings().map_or(MODBUS_PAUSE_LEAST, modbus_pause);
    Packing::ModbusRtu { silence: pause.max(latency(target)) }
}

fn delimited(raw: &raw::Packing, delimiter: &Leaf<Bytes>, path: &str, report: &mut Report) -> Packing {
    let keep = report.or(&format!("{path}.keep"), raw.keep.as_ref(), true);
    let plus = raw.plus.as_ref().map_or(0, |leaf| {
        let path = format!("{path}.plus");
        if !keep {
            report.wrong(
                leaf.at,
                &path,
                "cannot go with `keep: false`: they would stand behind nothing; drop one",
            );
        }
        report.within(&path, Some(leaf), (1, 1, PLUS_MOST), |number| number.to_string())
    });
    let plus = usize::try_from(plus).unwrap_or_default();
    let bytes = bytes(delimiter, (&format!("{path}.delimiter"), 4), report);
    Delimiter::new(&bytes).map_or(Packing::None, |bytes| Packing::Delimiter { bytes, keep, plus })
}

/// The pause between two Modbus messages: 3.5 characters (MODBUS over Serial Line V1.02, section 2.5.1.1).
pub fn modbus_pause(settings: Settings) -> Duration {
    (settings.character() * 7 / 2).max(MODBUS_PAUSE_LEAST)
}

/// How far apart the way from a port can bring two bytes that left it together.
fn latency(target: &Target) -> Duration {
    let [uart, usb, network] = [4, 20, 50].map(Duration::from_millis);
    match target {
        Target::Serial(serial) if is_uart(&serial.port) => uart,
        Target::Serial(_) => usb,
        Target::Rfc2217(_) | Target::Tcp(_) => network,
        // A pty or a connection of this machine.
        Target::Sim(_) => uart,
    }
}

/// Whether a port is a UART of this machine by its name. Any other may be a USB adapter.
fn is_uart(port: &PortIdentity) -> bool {
    let PortIdentity::Path(path) = port else { return false };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let tty = name.starts_with("tty") && !["ttyUSB", "ttyACM"].iter().any(|usb| name.starts_with(usb));
    // /dev/serial0 is a Raspberry Pi's, and a pty has no adapter.
    tty || matches!(&*name, "serial0" | "serial1") || path.starts_with("/dev/pts")
}

/// Resolves `pacing:` of an endpoint that is shared so.
pub(super) fn pacing(
    raw: Option<&Placed<raw::Pacing>>,
    share: Option<Share>,
    path: &str,
    report: &mut Report,
) -> Pacing {
    let Some(Placed { value: raw, at }) = raw else { return Pacing::default() };
    if share.is_none() {
        let what =
            "works on lines alone, and here each session has its own connection; add `share: one-writer`";
        report.wrong(*at, path, what);
    }
    let (least, second) = (Duration::from_millis(1), Duration::from_secs(1));
    let mut delay = |key, leaf: Option<&Leaf<Duration>>, most| {
        let path = format!("{path}.{key}");
        let bounds = (least, Duration::ZERO, most);
        report.within(&path, leaf, bounds, duration_text)
    };
    let byte_delay = delay("byte_delay", raw.byte_delay.as_ref(), second);
    let line_delay = delay("line_delay", raw.line_delay.as_ref(), 60 * second);
    let bounds = (least, 2 * second, 60 * second);
    let timeout = report.within(&format!("{path}.timeout"), raw.timeout.as_ref(), bounds, duration_text);
    if let (Some(leaf), None) = (&raw.timeout, &raw.prompt) {
        report.wrong(
            leaf.at,
            &format!("{path}.timeout"),
            "belongs to `prompt`; leave it out, or add `prompt`",
        );
    }
    if let (Some(leaf), Some(_)) = (&raw.line_delay, &raw.prompt) {
        let what = "cannot go with `prompt`, which says itself when the next line may go; keep one";
        report.wrong(leaf.at, &format!("{path}.line_delay"), what);
    }
    let text = raw.prompt.as_ref().map(|leaf| bytes(leaf, (&format!("{path}.prompt"), 64), report));
    let prompt = text.filter(|text| !text.is_empty()).map(|text| Prompt { text, timeout });
    Pacing { byte_delay, line_delay, prompt }
}

/// Reads bytes, at most so many; none when they are wrong.
fn bytes(leaf: &Leaf<Bytes>, (path, most): (&str, usize), report: &mut Report) -> Vec<u8> {
    let Some(Bytes(bytes)) = report.read(path, leaf) else { return Vec::new() };
    if bytes.len() > most {
        report.wrong(leaf.at, path, &format!("{} bytes; it has at most {most}", bytes.len()));
        return Vec::new();
    }
    bytes
}

impl Word for Bytes {
    fn read(text: &str) -> Result<Self, String> {
        let wrong = |part: &str| {
            format!(
                "`{part}` is no escape; there are \\r \\n \\t \\e \\0 \\\\ and \\xHH, or write it all as 0x0d0a"
            )
        };
        if text.is_empty() {
            return Err("empty text; write something, or leave the key out".into());
        }
        if let Some(digits) = text.strip_prefix("0x") {
            return hex(digits)
                .map(Self)
                .ok_or_else(|| format!("`{text}` is no hex; write pairs of digits, like 0x0d0a"));
        }
        let (mut bytes, mut rest) = (Vec::new(), text.chars());
        while let Some(c) = rest.next() {
            if c != '\\' {
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            bytes.push(match rest.next() {
                Some('r') => b'\r',
                Some('n') => b'\n',
                Some('t') => b'\t',
                Some('e') => 0x1b,
                Some('0') => 0,
                Some('\\') => b'\\',
                Some('x') => {
                    let digits: String = rest.by_ref().take(2).collect();
                    *hex(&digits)
                        .and_then(|byte| byte.first().copied())
                        .as_ref()
                        .ok_or_else(|| wrong(&digits))?
                }
                other => return Err(wrong(&format!("\\{}", other.map(String::from).unwrap_or_default()))),
            });
        }
        Ok(Self(bytes))
    }

    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "string", "minLength": 1, "examples": ["\n", "\\r\\n", "0x0d0a"] })
    }
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    if digits.is_empty() || !digits.len().is_multiple_of(2) || !digits.bytes().all(|b| b.is_ascii_hexdigit())
    {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Endpoint, parse};

    fn read(endpoint: &str) -> Result<Endpoint, String> {
        let text = format!("auth: none\nendpoints:\n  e: {endpoint}\n");
        let parsed = parse(&text, "w.yaml", &|_| Err(String::new())).map_err(|error| error.to_string());
        parsed.map(|(config, _)| (*config.endpoints["e"]).clone())
    }

    fn packed(packing: &str) -> Packing {
        read(&format!("{{ sim: echo, packing: {packing} }}")).unwrap().packing
    }

    #[test]
    fn each_way_of_packing_is_read() {
        let delimiter =
            |bytes, keep| Packing::Delimiter { bytes: Delimiter::new(bytes).unwrap(), keep, plus: 0 };
        assert_eq!(read("{ sim: echo }").unwrap().packing, Packing::None);
        assert_eq!(packed("none"), Packing::None);
        assert_eq!(packed("{ idle_ms: 4 }"), Packing::Idle(Duration::from_millis(4)));
        assert_eq!(packed("{ length: 64 }"), Packing::Length(64));
        for text in ["\"\\r\\n\"", "'\\r\\n'", "'0x0D0a'", "'\\x0d\\n'"] {
            assert_eq!(packed(&format!("{{ delimiter: {text}, keep: false }}")), delimiter(b"\r\n", false));
        }
        assert_eq!(packed("{ delimiter: ';' }"), delimiter(b";", true));
        let bytes = Delimiter::new(b"!").unwrap();
        assert_eq!(packed("{ delimiter: '!', plus: 4 }"), Packing::Delimiter { bytes, keep: true, plus: 4 });
    }

    #[test]
    fn modbus_silence_is_three_and_a_half_characters_and_at_least_what_the_way_blurs() {
        let silence = |target: &str| {
            let text = format!("{{ {target}, packing: {{ modbus-rtu: true }} }}");
            read(&text).unwrap().packing.pause().unwrap().as_micros()
        };
        let serial = |port: &str, baud: u32| {
            silence(&format!("serial: {{ port: {port}, baud: {baud}, format: 8E1 }}"))
        };
        for uart in ["/dev/ttyS1", "/dev/ttyAMA0", "/dev/serial0", "/dev/pts/3"] {
            assert_eq!((serial(uart, 1200), serial(uart, 115_200)), (32_083, 4000), "{uart}");
        }
        let by_numbers = "{ usb: \"0403:6001\", serial: A50285BI }";
        for usb in ["/dev/ttyUSB0", "/dev/ttyACM1", "/dev/modem", "/dev/serial/by-id/usb-x-port0", by_numbers]
        {
            assert_eq!((serial(usb, 1200), serial(usb, 115_200)), (32_083, 20_000), "{usb}");
        }
        for network in ["rfc2217: { address: 'h:1', baud: 9600 }", "tcp: { address: 'h:1' }"] {
            assert_eq!(silence(network), 50_000);
        }
        assert_eq!(silence("sim: echo"), 4000);
        let fast = Settings { baud: 38_400, ..Settings::default() };
        assert_eq!(modbus_pause(fast), MODBUS_PAUSE_LEAST);
        assert_eq!(modbus_pause(Settings::default()).as_micros(), 3645);
    }

    #[test]
    fn pacing_is_read_and_bytes_and_lines_combine() {
        let pacing = read("{ sim: echo, pacing: { byte_delay: 1ms, line_delay: 50ms } }").unwrap().pacing;
        let wanted = Pacing {
            byte_delay: Duration::from_millis(1),
            line_delay: Duration::from_millis(50),
            prompt: None,
        };
        assert_eq!(pacing, wanted);
        let pacing =
            read("{ tcp: { address: 'h:1' }, share: one-writer, pacing: { prompt: '> ' } }").unwrap().pacing;
        assert_eq!(pacing.prompt, Some(Prompt { text: b"> ".to_vec(), timeout: Duration::from_secs(2) }));
        assert_eq!(read("{ sim: echo }").unwrap().pacing, Pacing::default());
    }

    #[test]
    fn what_cannot_be_packed_or_paced_is_refused_with_a_way_out() {
        for (rest, part) in [
            ("packing: {}", "exactly one of"),
            ("packing: { idle_ms: 4, length: 3 }", "exactly one of"),
            ("packing: { modbus-rtu: false }", "exactly one of"),
            ("packing: idle", "`none`"),
            ("packing: { length: 3, keep: true }", "belongs to `delimiter`"),
            ("packing: { length: 3, plus: 4 }", "belongs to `delimiter`"),
            ("packing: { delimiter: ';', plus: 0 }", "not from 1 to 64"),
            ("packing: { delimiter: ';', plus: 2, keep: false }", "cannot go with `keep: false`"),
            ("packing: { delimiter: '12345' }", "at most 4"),
            ("packing: { delimiter: '\\q' }", "no escape"),
            ("packing: { delimiter: '0xd' }", "pairs of digits"),
            ("packing: { length: 32765 }", "not from 1 to 32764"),
            ("packing: { idle_ms: 0 }", "not from 1 to 60000"),
            ("pacing: { byte_delay: 0ms }", "not from 1ms to 1s"),
            ("pacing: { timeout: 1s }", "belongs to `prompt`"),
            ("pacing: { prompt: x, line_delay: 1s }", "keep one"),
        ] {
            let error = read(&format!("{{ sim: echo, {rest} }}")).unwrap_err();
            assert!(error.contains(part) && error.contains("w.yaml:3:"), "{rest}\n{error}");
        }
        let error = read("{ tcp: { address: 'h:1' }, pacing: { byte_delay: 1ms } }").unwrap_err();
        assert!(error.contains("add `share: one-writer`"), "{error}");
    }
}
