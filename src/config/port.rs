//! What every serial port's part of the configuration has, wherever the port is: frame, signals, macros.

use std::{collections::BTreeMap, time::Duration};

use super::{
    raw::{self, Leaf, Named, OneOf, Placed},
    report::Report,
    units::duration_text,
    words::{Stay, is_name},
};
use crate::settings::{DataBits, Flow, Format, Levels, Parity, Settings, Step, StopBits};

/// Most steps of a macro.
const MACRO_STEPS: usize = 32;
/// Longest macro.
const MACRO_TIME: Duration = Duration::from_secs(10);

/// The keys that say how a line is set, of whichever target.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) baud: &'a Option<Leaf<u32>>,
    pub(super) format: &'a Option<Leaf<Format>>,
    pub(super) flow: &'a Option<Leaf<Flow>>,
}

/// Resolves them.
pub(super) fn settings(raw: Frame<'_>, path: &str, report: &mut Report) -> Settings {
    let eight = Format { data: DataBits::Eight, parity: Parity::None, stop: StopBits::One };
    let format = report.or(&format!("{path}.format"), raw.format.as_ref(), eight);
    let show = |baud: u32| baud.to_string();
    let baud = report.within(&format!("{path}.baud"), raw.baud.as_ref(), (1, 9600, u32::MAX), show);
    let flow = report.or(&format!("{path}.flow"), raw.flow.as_ref(), Flow::None);
    Settings { baud, data: format.data, parity: format.parity, stop: format.stop, flow }
}

/// DTR and RTS when the device is opened, and when the last session has left.
pub(super) fn signals(raw: &raw::Signals, path: &str, report: &mut Report) -> (Levels, Levels) {
    let on_open = levels(raw.on_open.as_ref(), &format!("{path}.signals.on_open"), report);
    let release = levels(raw.on_last_close.as_ref(), &format!("{path}.signals.on_last_close"), report);
    (on_open, release)
}

fn levels(raw: Option<&Placed<OneOf<Stay, raw::Lines>>>, path: &str, report: &mut Report) -> Levels {
    match raw {
        None => Levels::default(),
        Some(Placed { value: OneOf::Word(text, _), at }) => {
            report.read_text::<Stay>(path, text, *at);
            Levels::default()
        }
        Some(Placed { value: OneOf::Map(lines), .. }) => {
            let mut level = |key, leaf: Option<&Leaf<bool>>| {
                leaf.and_then(|leaf| report.read(&format!("{path}.{key}"), leaf))
            };
            Levels { dtr: level("dtr", lines.dtr.as_ref()), rts: level("rts", lines.rts.as_ref()), brk: None }
        }
    }
}

/// The named signal sequences of a port.
pub(super) fn all_macros(
    raw: &Named<Vec<raw::MacroStep>>,
    path: &str,
    report: &mut Report,
) -> BTreeMap<String, Vec<Step>> {
    let mut all = BTreeMap::new();
    for (name, steps) in &raw.0 {
        let path = format!("{path}.macros.{}", name.text);
        if !is_name(&name.text) {
            report.wrong(name.at, &path, "no name for a macro; use 1 to 64 of a-z 0-9 . _ -");
        }
        let steps: Vec<_> =
            steps.iter().enumerate().map(|(i, raw)| step(raw, &format!("{path}[{i}]"), report)).collect();
        let time: Duration = steps.iter().map(|step| step.hold).sum();
        if steps.is_empty() || steps.len() > MACRO_STEPS || time > MACRO_TIME {
            let what = format!(
                "{} steps in {}; a macro has 1 to {MACRO_STEPS} steps and takes at most {}",
                steps.len(),
                duration_text(time),
                duration_text(MACRO_TIME)
            );
            report.wrong(name.at, &path, &what);
        }
        all.insert(name.text.clone(), steps);
    }
    all
}

fn step(raw: &raw::MacroStep, path: &str, report: &mut Report) -> Step {
    let mut level =
        |key, leaf: Option<&Leaf<bool>>| leaf.and_then(|leaf| report.read(&format!("{path}.{key}"), leaf));
    let change = Levels {
        dtr: level("dtr", raw.dtr.as_ref()),
        rts: level("rts", raw.rts.as_ref()),
        brk: level("break", raw.brk.as_ref()),
    };
    let wait = report.or(&format!("{path}.wait_ms"), raw.wait_ms.as_ref(), 0);
    Step { change, hold: Duration::from_millis(wait.into()), at: None }
}
