//! The keys that every serial port has, wherever it is: frame, signals, macros.

use std::{collections::BTreeMap, time::Duration};

use super::{
    CarrierRules,
    cursor::{Either, Keys, Value},
    node::NodeKey,
    units::duration_text,
    words::{CarrierLost, Stay, is_name},
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
    pub(super) carrier: CarrierRules,
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
    let Signals { on_open, on_release, while_connected } =
        k.key("signals", "what DTR and RTS do").without("keep").part(signals);
    let wait_for = k
        .key(
            "wait_for",
            "the modem line that has to be on before the port counts as open: a modem that answers calls says `dcd` when a \
             caller is there. Until then the endpoint is `down`, and says so; what the modem says meanwhile is kept",
        )
        .without("nothing")
        .uci("wait_for")
        .maybe()
        .map(|it| it.value);
    let on_carrier_lost = k
        .key(
            "on_carrier_lost",
            "what becomes of sessions when DCD falls, or the line of `wait_for`: `end` ends them (4452) and hangs up: DTR is \
             off for half a second, and the port is opened again",
        )
        .uci("on_carrier_lost")
        .or(CarrierLost::Keep);
    let ends_sessions = on_carrier_lost == CarrierLost::End;
    let carrier = CarrierRules { while_connected, wait_for, ends_sessions };
    let macros = k
        .key(
            "macros",
            "signal sequences by name, 1 to 32 steps and 10 s at most; DTR and RTS of one step move together",
        )
        .without("none")
        .value()
        .named(signal_macro);
    PortKeys { settings, on_open, on_release, carrier, macros: macros.into_iter().collect() }
}

/// What DTR and RTS do: when the device is opened, while there are sessions, and when the last one
/// has left.
struct Signals {
    on_open: Levels,
    on_release: Levels,
    while_connected: Levels,
}

fn signals(k: &mut Keys<'_>) -> Signals {
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
    let while_connected = levels(
        "while_connected",
        "while there are sessions; otherwise these lines stand the other way, where `on_open` and `on_last_close` do not say \
         more",
        "connected_dtr",
        "connected_rts",
    );
    let vacant = |said: Levels| Levels {
        dtr: said.dtr.or(while_connected.dtr.map(|up| !up)),
        rts: said.rts.or(while_connected.rts.map(|up| !up)),
        brk: None,
    };
    Signals { on_open: vacant(on_open), on_release: vacant(on_release), while_connected }
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
