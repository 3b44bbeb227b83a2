//! What is recorded of an endpoint: as which kind of file, how much is kept, and whether anybody may
//! write when it cannot be.

use std::{path::PathBuf, time::Duration};

use super::{Packing, Share, Target, cursor::Keys, units::Size};

/// The kind of a recording's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFormat {
    /// For Wireshark: everything, with its time.
    Pcapng,
    /// For terminals: asciicast v3.
    Cast,
    /// The device's bytes and nothing else.
    Raw,
}

impl RecordFormat {
    /// The end of a file's name.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Pcapng => "pcapng",
            Self::Cast => "cast",
            Self::Raw => "raw",
        }
    }
}

/// `decode: modbus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DecodeWord {
    Modbus,
}

/// Where the record of a client's bytes has to be before the device gets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFirst {
    /// It may come later, or not at all.
    No,
    /// With the system.
    Written,
    /// On the disk.
    OnDisk,
}

/// What is recorded of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordRules {
    /// The kind of its files.
    pub format: RecordFormat,
    /// The folder that has a folder for it; `None`: `recordings` in the state directory.
    pub folder: Option<PathBuf>,
    /// Whether what clients send is recorded, too.
    pub input: bool,
    /// Bytes of one file.
    pub max_file: u64,
    /// How long a file is kept.
    pub max_age: Duration,
    /// Bytes of all its files; beyond, the oldest go.
    pub max_total: u64,
    /// Whether nobody may write what is not recorded.
    pub required: RecordFirst,
    /// Whether Modbus is told apart from other bytes.
    pub modbus: bool,
}

/// Reads it.
pub(super) fn record(k: &mut Keys<'_>) -> RecordRules {
    let format = k
        .key(
            "format",
            "`pcapng` for Wireshark (bytes of both directions, signals, settings, errors, who writes), `cast` for a terminal \
             (asciicast v3, for asciinema's players), `raw` for the device's bytes alone",
        )
        .uci("record_format")
        .or(RecordFormat::Pcapng);
    let folder = k
        .key("directory", "where its folder is, which has the endpoint's name")
        .without("`recordings` in `state_directory`")
        .uci("record_directory")
        .maybe::<PathBuf>();
    let required = k
        .key(
            "required",
            "whether clients may write only what is recorded: a byte goes to the device when the file has it, and nobody has the \
             right to write while the disk is full or fails",
        )
        .uci("record_required")
        .or(false);
    let input = k
        .key("input", "whether what clients send is recorded: on consoles it contains passwords")
        .without("`true` for `pcapng`, else `false`")
        .uci("record_input")
        .maybe::<bool>();
    let sync = k
        .key(
            "sync",
            "with `required`: whether the file has to be on the disk first (fdatasync), so that a power cut cannot take it back",
        )
        .uci("record_sync")
        .or(false);
    let (max_file, max_age, max_total) = kept(k);
    let decode = k
        .key(
            "decode",
            "`modbus`: a pcapng file also has Modbus RTU as messages, which Wireshark decodes with no setting",
        )
        .without("none; `modbus` with `packing: { modbus-rtu: true }`")
        .uci("record_decode")
        .maybe::<DecodeWord>();
    let recorded = input.as_ref().map_or(format == RecordFormat::Pcapng, |it| it.value);
    if let (Some(at), true, false) = (k.place("required"), required, recorded) {
        let what = "is about what clients send, and that is not recorded; add `input: true`";
        k.wrong_in("required", at, what);
    }
    if let (Some(input), RecordFormat::Raw) = (input.filter(|it| it.value), format) {
        k.wrong_in("input", input.at, "has no place in `raw`, which is what the device sent");
    }
    if let (Some(at), true, false) = (k.place("sync"), sync, required) {
        k.odd_in("sync", at, "has no effect without `required: true`");
    }
    RecordRules {
        format,
        folder: folder.map(|it| it.value),
        input: recorded,
        max_file,
        max_age,
        max_total,
        required: first(required, sync),
        modbus: decode.is_some_and(|it| it.value == DecodeWord::Modbus),
    }
}

fn first(required: bool, sync: bool) -> RecordFirst {
    match (required, sync) {
        (false, _) => RecordFirst::No,
        (true, false) => RecordFirst::Written,
        (true, true) => RecordFirst::OnDisk,
    }
}

/// How much is kept, and for how long.
fn kept(k: &mut Keys<'_>) -> (u64, Duration, u64) {
    let max_file = k
        .key("max_file", "how long a file may get before another begins")
        .uci("record_max_file")
        .within(Size(64 << 10)..=Size(4 << 30))
        .or(Size(16 << 20));
    let day = Duration::from_secs(86_400);
    let max_age = k
        .key(
            "max_age",
            "how long a file is kept. A file is at most a day, if it is not kept for less",
        )
        .uci("record_max_age")
        .within(Duration::from_secs(60)..=3650 * day)
        .or(30 * day);
    let max_total = k
        .key("max_total", "how much is kept; beyond that the oldest file goes")
        .uci("record_max_total")
        .within(Size(128 << 10)..=Size(1 << 40))
        .or(Size(256 << 20));
    if let (Some(at), true) = (k.place("max_total"), max_total < max_file) {
        k.wrong_in("max_total", at, "is less than one file may have (`max_file`)");
    }
    (max_file.0, max_age, max_total.0)
}

impl RecordRules {
    /// With what the rest of the endpoint says.
    pub(super) fn on(mut self, packing: Packing, target: &Target) -> Self {
        let stream = matches!(target, Target::Tcp(_));
        self.modbus |= !stream && matches!(packing, Packing::ModbusRtu { .. });
        self
    }

    /// Why an endpoint cannot be recorded in this way.
    pub(super) fn unfit(&self, share: Option<Share>) -> Option<&'static str> {
        let mixes = share.is_none() && self.format != RecordFormat::Pcapng;
        mixes.then_some(
            "its sessions have connections of their own, which one such file cannot keep apart; use `pcapng`, or write `share:`",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resolve::tests::{good, mistakes};

    fn text(endpoint: &str) -> String {
        format!("auth: none\nendpoints:\n  e: {endpoint}\n")
    }

    fn rules(endpoint: &str) -> RecordRules {
        good(&text(endpoint)).0.endpoints["e"].record.clone().unwrap()
    }

    #[test]
    fn defaults_are_those_of_the_manual() {
        let usual = RecordRules {
            format: RecordFormat::Pcapng,
            folder: None,
            input: true,
            max_file: 16 << 20,
            max_age: Duration::from_secs(30 * 86_400),
            max_total: 256 << 20,
            required: RecordFirst::No,
            modbus: false,
        };
        assert_eq!(good(&text("{ sim: echo }")).0.endpoints["e"].record, None);
        assert_eq!(rules("{ sim: echo, record: {} }"), usual);
        assert!(!rules("{ sim: echo, record: { format: cast } }").input);
        assert!(rules("{ sim: echo, packing: { modbus-rtu: true }, record: {} }").modbus);
        assert!(rules("{ sim: echo, record: { decode: modbus } }").modbus);
    }

    #[test]
    fn what_cannot_be_is_refused_with_a_way_out() {
        for (record, part) in [
            ("{ format: cast, required: true }", "add `input: true`"),
            ("{ format: raw, input: true }", "has no place in `raw`"),
            ("{ max_file: 1MiB, max_total: 512KiB }", "is less than one file"),
            ("{ format: mp4 }", "`pcapng`"),
        ] {
            let told = mistakes(&text(&format!("{{ sim: echo, record: {record} }}")));
            assert!(told.contains(part), "{record}: {told}");
        }
        let dedicated = "{ tcp: { address: 'h:1' }, record: { format: cast } }";
        assert!(mistakes(&text(dedicated)).contains("write `share:`"));
    }
}
