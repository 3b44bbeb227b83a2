//! Packing: which bytes of a device make one message.

use std::time::Duration;

use super::{
    PortIdentity, Target,
    cursor::{Either, Keys, Placed},
    escaped::{EscapedBytes, at_most},
    words::NoPacking,
};
use crate::{
    settings::Settings,
    wire::frames::{Delimiter, Packing},
};

/// The longest packet: with its 4-byte header it fills two TLS records of 16 KiB.
pub(crate) const PACKET_MOST: usize = 32 * 1024 - 4;

/// 3.5 characters at more than 19200 baud (MODBUS over Serial Line V1.02, section 2.5.1.1).
pub(crate) const MODBUS_PAUSE_LEAST: Duration = Duration::from_micros(1750);

/// The most bytes that may belong to a message after its delimiter.
const PLUS_MOST: u32 = 64;

/// Reads an endpoint's `packing:`. The silence for Modbus has yet to be [`timed`] according to what
/// the endpoint reaches.
pub(super) fn packing(k: &mut Keys<'_>) -> Packing {
    let written = k
        .key("packing", "which bytes of the device make one message: [below](#packing)")
        .without("`none`")
        .either::<NoPacking, _>(rules);
    match written.map(|it| it.value) {
        Some(Either::Map(packing)) => packing,
        Some(Either::Word(NoPacking)) | None => Packing::None,
    }
}

fn rules(k: &mut Keys<'_>) -> Packing {
    let idle = k
        .key("idle_ms", "a silence of this many milliseconds ends a packet")
        .uci("packing_idle_ms")
        .within::<u32>(1..=60_000)
        .maybe();
    let (delimiter, keep, plus) = delimiter(k);
    let most = u32::try_from(PACKET_MOST).unwrap_or(u32::MAX);
    let length =
        k.key("length", "bytes of a packet").uci("packing_length").within::<u32>(1..=most).maybe();
    let modbus = k
        .key(
            "modbus-rtu",
            "frames of Modbus RTU, requests and responses, each ended by its length and checksum: see below",
        )
        .uci("packing_modbus_rtu")
        .or(false);
    let rules = [k.has("idle_ms"), k.has("delimiter"), k.has("length"), modbus];
    let what = "write exactly one of `idle_ms: 4`, `delimiter: \"\\n\"`, `length: 64` and `modbus-rtu: true`, or \
                `packing: none`";
    match rules.iter().filter(|there| **there).count() {
        0 => k.lacks(&["idle_ms", "delimiter", "length", "modbus-rtu"], k.at, what),
        1 => {}
        _ => k.wrong(k.at, what),
    }
    let size = |number: Placed<u32>| usize::try_from(number.value).unwrap_or(PACKET_MOST);
    match (delimiter, length, idle) {
        (Some(delimiter), _, _) => {
            let bytes = at_most(4, "delimiter", delimiter, k);
            let plus = plus.map_or(0, size);
            Delimiter::new(&bytes).map_or(Packing::None, |bytes| Packing::Delimiter {
                bytes,
                keep,
                plus,
            })
        }
        (None, Some(length), _) => Packing::Length(size(length)),
        (None, None, Some(idle)) => Packing::Idle(Duration::from_millis(idle.value.into())),
        (None, None, None) => Packing::ModbusRtu { silence: MODBUS_PAUSE_LEAST },
    }
}

/// Reads `delimiter`, `keep` and `plus`.
fn delimiter(k: &mut Keys<'_>) -> (Option<Placed<EscapedBytes>>, bool, Option<Placed<u32>>) {
    let delimiter = k
        .key(
            "delimiter",
            "1 to 4 bytes that end a packet: text with the escapes `\\r \\n \\t \\e \\0 \\\\ \\xHH`, or all in hex like \
             `0x0d0a`",
        )
        .uci("packing_delimiter")
        .maybe::<EscapedBytes>();
    let keep = k
        .key(
            "keep",
            "whether the delimiter is part of the message. Control mode always keeps it, because its offsets count every \
             byte",
        )
        .uci("packing_keep")
        .or(true);
    let plus = k
        .key(
            "plus",
            "bytes after the delimiter that belong to the packet: a checksum, as in `{ delimiter: \"!\", plus: 4 }`. \
             Not with `keep: false`",
        )
        .without("none")
        .uci("packing_plus")
        .within(1..=PLUS_MOST)
        .maybe();
    for name in ["keep", "plus"] {
        if let (Some(at), false) = (k.place(name), k.has("delimiter")) {
            k.wrong_in(name, at, "belongs to `delimiter`; leave it out");
        }
    }
    if let (Some(at), true, false) = (k.place("plus"), k.has("delimiter"), keep) {
        k.wrong_in(
            "plus",
            at,
            "cannot go with `keep: false`: they would come after nothing; drop one",
        );
    }
    (delimiter, keep, plus)
}

/// The same, with the silence that ends a Modbus frame on the way from this target.
pub(super) fn timed(packing: Packing, target: &Target) -> Packing {
    let Packing::ModbusRtu { .. } = packing else { return packing };
    let pause = target.settings().map_or(MODBUS_PAUSE_LEAST, modbus_pause);
    Packing::ModbusRtu { silence: pause.max(latency(target)) }
}

/// The pause between two Modbus messages: 3.5 characters (MODBUS over Serial Line V1.02, section
/// 2.5.1.1).
pub(crate) fn modbus_pause(settings: Settings) -> Duration {
    (settings.character() * 7 / 2).max(MODBUS_PAUSE_LEAST)
}

/// How far apart two bytes that left a port together may arrive.
fn latency(target: &Target) -> Duration {
    let [uart, usb, network] = [4, 20, 50].map(Duration::from_millis);
    match target {
        Target::Serial(serial) if is_uart(&serial.port) => uart,
        Target::Serial(_) => usb,
        Target::Rfc2217(_) | Target::Tcp(_) | Target::DialIn(_) => network,
        // A pty or a connection on this machine; or a target with borders of its own.
        Target::Sim(_) | Target::Udp(_) => uart,
    }
}

/// Whether a port's name says it is a UART of this machine. Any other may be a USB adapter.
fn is_uart(port: &PortIdentity) -> bool {
    let PortIdentity::Path(path) = port else { return false };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let tty =
        name.starts_with("tty") && !["ttyUSB", "ttyACM"].iter().any(|usb| name.starts_with(usb));
    // /dev/serial0 is a Raspberry Pi's, and a pty has no adapter.
    tty || matches!(&*name, "serial0" | "serial1") || path.starts_with("/dev/pts")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Endpoint, parse};

    fn read(endpoint: &str) -> Result<Endpoint, String> {
        let text = format!("auth: none\nendpoints:\n  e: {endpoint}\n");
        let parsed =
            parse(&text, "w.yaml", &|_| Err(String::new())).map_err(|error| error.to_string());
        parsed.map(|(config, _)| (*config.endpoints["e"]).clone())
    }

    fn packed(packing: &str) -> Packing {
        read(&format!("{{ sim: echo, packing: {packing} }}")).unwrap().packing
    }

    #[test]
    fn each_way_of_packing_is_read() {
        let delimiter = |bytes, keep| Packing::Delimiter {
            bytes: Delimiter::new(bytes).unwrap(),
            keep,
            plus: 0,
        };
        assert_eq!(read("{ sim: echo }").unwrap().packing, Packing::None);
        assert_eq!(packed("none"), Packing::None);
        assert_eq!(packed("{ idle_ms: 4 }"), Packing::Idle(Duration::from_millis(4)));
        assert_eq!(packed("{ length: 64 }"), Packing::Length(64));
        for text in ["\"\\r\\n\"", "'\\r\\n'", "'0x0D0a'", "'\\x0d\\n'"] {
            assert_eq!(
                packed(&format!("{{ delimiter: {text}, keep: false }}")),
                delimiter(b"\r\n", false)
            );
        }
        assert_eq!(packed("{ delimiter: ';' }"), delimiter(b";", true));
        let bytes = Delimiter::new(b"!").unwrap();
        assert_eq!(
            packed("{ delimiter: '!', plus: 4 }"),
            Packing::Delimiter { bytes, keep: true, plus: 4 }
        );
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
        for usb in [
            "/dev/ttyUSB0",
            "/dev/ttyACM1",
            "/dev/modem",
            "/dev/serial/by-id/usb-x-port0",
            by_numbers,
        ] {
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
    fn what_cannot_be_packed_is_refused_with_a_way_out() {
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
            ("packing: { delimiter: '\\q' }", "not an escape"),
            ("packing: { delimiter: '0xd' }", "pairs of digits"),
            ("packing: { length: 32765 }", "not from 1 to 32764"),
            ("packing: { idle_ms: 0 }", "not from 1 to 60000"),
        ] {
            let error = read(&format!("{{ sim: echo, {rest} }}")).unwrap_err();
            assert!(error.contains(part) && error.contains("w.yaml:3:"), "{rest}\n{error}");
        }
    }
}
