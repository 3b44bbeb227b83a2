//! The keys that every serial port has, wherever it is: frame, signals, macros.

use std::{collections::BTreeMap, time::Duration};

use super::{
    cursor::{Either, Keys, Value},
    node::NodeKey,
    units::duration_text,
    words::{Stay, is_name},
};
use crate::settings::{DataBits, Flow, Format, Levels, Parity, Settings, Step, StopBits};

/// The fastest line: faster than any UART, but slow enough to catch a number with a digit too many.
const BAUD_MOST: u32 = 20_000_000;
/// The most steps in a macro.
const MACRO_STEPS: usize = 32;
/// The longest macro.
const MACRO_TIME: Duration = Duration::from_secs(10);

/// Named signal sequences.
pub(super) type Macros = BTreeMap<String, Vec<Step>>;

/// How a port is set up and driven.
pub(super) struct PortKeys {
    pub(super) settings: Settings,
    /// DTR and RTS when the device is opened.
    pub(super) on_open: Levels,
    /// DTR and RTS when the last session has left.
    pub(super) on_release: Levels,
    pub(super) macros: Macros,
}

/// Reads the keys that all ports have.
pub(super) fn port(k: &mut Keys<'_>) -> PortKeys {
    let baud = k.key("baud", "bits per second").uci("baud").within(1..=BAUD_MOST).or(9600);
    let eight = Format { data: DataBits::Eight, parity: Parity::None, stop: StopBits::One };
    let format = k
        .key("format", "data bits 5 to 8, parity N E O M S, stop bits 1, 1.5 or 2")
        .without("`8N1`")
        .uci("format")
        .maybe()
        .map_or(eight, |format| format.value);
    let flow = k.key("flow", "flow control").uci("flow").or(Flow::None);
    let settings =
        Settings { baud, data: format.data, parity: format.parity, stop: format.stop, flow };
    let (on_open, on_release) =
        k.key("signals", "what DTR and RTS do").without("keep").part(signals);
    let macros = k
        .key(
            "macros",
            "signal sequences by name, 1 to 32 steps and 10 s at most; DTR and RTS of one step move together",
        )
        .without("none")
        .value()
        .named(signal_macro);
    PortKeys { settings, on_open, on_release, macros: macros.into_iter().collect() }
}

/// DTR and RTS when the device is opened, and when the last session has left.
fn signals(k: &mut Keys<'_>) -> (Levels, Levels) {
    let mut levels = |name, meaning, dtr, rts| {
        let written = k.key(name, meaning).without("`keep`").either::<Stay, _>(|k| Levels {
            dtr: k
                .key("dtr", "Data Terminal Ready")
                .without("as it is")
                .uci(dtr)
                .maybe()
                .map(|it| it.value),
            rts: k
                .key("rts", "Request To Send")
                .without("as it is")
                .uci(rts)
                .maybe()
                .map(|it| it.value),
            brk: None,
        });
        match written.map(|it| it.value) {
            Some(Either::Map(levels)) => levels,
            Some(Either::Word(Stay)) | None => Levels::default(),
        }
    };
    let on_open = levels(
        "on_open",
        "when the device is opened; `keep` leaves it to the driver",
        "open_dtr",
        "open_rts",
    );
    let on_release =
        levels("on_last_close", "when the last session has left", "close_dtr", "close_rts");
    (on_open, on_release)
}

/// A named signal sequence.
fn signal_macro(name: &NodeKey, value: Value<'_>) -> (String, Vec<Step>) {
    let spot = value.spot();
    if !is_name(&name.text) {
        spot.wrong(name.at, "not a name for a macro; use 1 to 64 of a-z 0-9 . _ -");
    }
    let steps = value.list(|value| value.keys(step));
    let written = steps.is_some();
    let steps: Vec<_> = steps.into_iter().flatten().flatten().map(|step| step.value).collect();
    let time: Duration = steps.iter().map(|step| step.hold).sum();
    if written && (steps.is_empty() || steps.len() > MACRO_STEPS || time > MACRO_TIME) {
        let what = format!(
            "{} steps in {}; a macro has 1 to {MACRO_STEPS} steps and takes at most {}",
            steps.len(),
            duration_text(time),
            duration_text(MACRO_TIME)
        );
        spot.wrong(name.at, &what);
    }
    (name.text.clone(), steps)
}

fn step(k: &mut Keys<'_>) -> Step {
    let mut level =
        |name, meaning| k.key(name, meaning).without("as it is").maybe().map(|it| it.value);
    let change = Levels {
        dtr: level("dtr", "Data Terminal Ready"),
        rts: level("rts", "Request To Send"),
        brk: level("break", "break condition"),
    };
    let most = u32::try_from(MACRO_TIME.as_millis()).unwrap_or(u32::MAX);
    let wait = k.key("wait_ms", "milliseconds to wait after the change").within(0..=most).or(0);
    Step { change, hold: Duration::from_millis(wait.into()), at: None }
}
