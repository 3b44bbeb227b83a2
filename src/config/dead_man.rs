//! What is done with a line that has lost its writer: its part of the configuration.

use std::time::Duration;

use super::{
    SimDevice, Target,
    cursor::{Keys, Placed},
    escaped::{EscapedBytes, at_most},
    node::At,
    units::duration_text,
    words::SettingsWord,
};
use crate::settings::Levels;

/// The most steps.
const STEPS: usize = 8;

/// How long all steps may take together.
pub(crate) const DEAD_MAN_TIME: Duration = Duration::from_secs(10);

/// The most bytes of one step.
const BYTES: usize = 256;

/// The keys of a list's item, of which a step has one.
const ITEM: [&str; 5] = ["send", "signals", "break", "wait", "restore"];

/// What is done with a line that has lost its writer, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadMan {
    /// How long the writer's connection may be lost before that; `None`: until its session cannot
    /// be resumed any more.
    pub after: Option<Duration>,
    /// Whether it is done when a device that had gone is back.
    pub on_return: bool,
    /// Each in its turn, at least one.
    pub steps: Vec<DeadManStep>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeadManStep {
    /// Send these bytes.
    Send(Vec<u8>),
    /// Move DTR and RTS.
    Signals(Levels),
    /// Send a break of that length.
    Break(Duration),
    /// Wait.
    Wait(Duration),
    /// Set the port as configured.
    Restore,
}

impl DeadManStep {
    /// The least time it takes, apart from its bytes on the wire.
    pub(crate) fn time(&self) -> Duration {
        match self {
            Self::Send(_) | Self::Signals(_) | Self::Restore => Duration::ZERO,
            Self::Break(time) | Self::Wait(time) => *time,
        }
    }

    /// Its key.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Send(_) => "send",
            Self::Signals(_) => "signals",
            Self::Break(_) => "break",
            Self::Wait(_) => "wait",
            Self::Restore => "restore",
        }
    }
}

/// An item of the list: when, or a step.
struct Item {
    after: Option<Duration>,
    on_return: Option<bool>,
    step: Option<DeadManStep>,
    /// How many keys say what it is.
    said: usize,
}

/// The list as it is written.
pub(super) struct WrittenDeadMan {
    at: At,
    items: Vec<Placed<Item>>,
}

/// Reads `on_writer_lost:`.
pub(super) fn dead_man(k: &mut Keys<'_>) -> Option<WrittenDeadMan> {
    let value = k
        .key(
            "on_writer_lost",
            "what is done with the line when whoever writes is lost, up to 8 steps: [below](#when-the-writer-is-lost)",
        )
        .without("nothing")
        .value();
    let items = value.list(|value| value.keys(item));
    let at = k.place("on_writer_lost")?;
    Some(WrittenDeadMan { at, items: items?.into_iter().flatten().collect() })
}

fn item(k: &mut Keys<'_>) -> Item {
    let second = Duration::from_secs(1);
    let after = k
        .key(
            "after",
            "stands first: how long the writer's connection may be lost before anything is done; `0s` is at once, even where the \
             session could be resumed",
        )
        .without("until the session cannot be resumed")
        .within(Duration::ZERO..=7 * 86_400 * second)
        .maybe();
    let on_return = k
        .key(
            "on_return",
            "stands first: whether it is done when the device comes back, where the device had gone when the writer was lost, or went \
             from under it",
        )
        .without("`false`")
        .maybe();
    let send = k
        .key("send", "1 to 256 bytes, written like a `delimiter`")
        .without("nothing")
        .maybe::<EscapedBytes>();
    let levels = k.key("signals", "DTR and RTS, set together").without("as they are").map(|k| {
        let mut level =
            |name, meaning| k.key(name, meaning).without("as it is").maybe().map(|it| it.value);
        let dtr = level("dtr", "Data Terminal Ready");
        let rts = level("rts", "Request To Send");
        Levels { dtr, rts, brk: None }
    });
    let millisecond = Duration::from_millis(1);
    let brk =
        k.key("break", "a break of this length").without("none").within(millisecond..=2 * second);
    let brk = brk.maybe();
    let wait = k.key("wait", "a pause").without("none").within(millisecond..=DEAD_MAN_TIME).maybe();
    let restore = k
        .key("restore", "`settings`: baud rate, frame and flow control as configured")
        .without("as they are")
        .maybe::<SettingsWord>();
    let send = send.map(|bytes| DeadManStep::Send(at_most(BYTES, "send", bytes, k)));
    let step = send
        .or(levels.map(|it| DeadManStep::Signals(it.value)))
        .or(brk.map(|it| DeadManStep::Break(it.value)))
        .or(wait.map(|it| DeadManStep::Wait(it.value)))
        .or(restore.map(|_| DeadManStep::Restore));
    Item {
        after: after.map(|it| it.value),
        on_return: on_return.map(|it| it.value),
        step,
        said: ITEM.iter().filter(|name| k.has(name)).count(),
    }
}

/// What is wrong with an item of the list, if something is.
fn mistake(place: usize, item: &Item, target: &Target) -> Option<String> {
    let when = item.after.is_some() || item.on_return.is_some();
    match (when, item.said) {
        (true, 0) if place == 0 => None,
        (true, 0) => Some("`after` and `on_return` stand in the first item of the list".into()),
        (true, _) => {
            Some("put `after` and `on_return` into an item of their own, the first".into())
        }
        (false, 0) => Some(format!("write one of `{}`", ITEM.join("`, `"))),
        (false, 1) => item.step.as_ref().and_then(|step| unable(step, target)),
        (false, _) => Some("one step an item; write an item for each, in their order".into()),
    }
}

/// Why a target has no such step.
fn unable(step: &DeadManStep, target: &Target) -> Option<String> {
    let has_port = match target {
        Target::Serial(_) | Target::Rfc2217(_) => true,
        Target::Sim(sim) => !matches!(sim.device, SimDevice::Nmea),
        Target::Tcp(_) | Target::DialIn(_) | Target::Udp(_) => false,
    };
    match step {
        DeadManStep::Signals(levels) if levels.is_empty() => {
            Some("write `dtr`, `rts`, or both".into())
        }
        DeadManStep::Send(_) | DeadManStep::Wait(_) => None,
        DeadManStep::Signals(_) | DeadManStep::Break(_) | DeadManStep::Restore => {
            (!has_port).then(|| {
                format!("`{}` is for serial ports; this target has bytes only: `send`", step.word())
            })
        }
    }
}

/// The list for a target; `line` says that all sessions share one connection to it.
pub(super) fn of_target(
    written: Option<WrittenDeadMan>,
    (target, line): (&Target, bool),
    k: &Keys<'_>,
) -> Option<DeadMan> {
    let WrittenDeadMan { at, items } = written?;
    let wrong = |at, what: &str| k.wrong_in("on_writer_lost", at, what);
    if !line {
        wrong(
            at,
            "each session has its own connection here, which ends with it: there is no line to leave in order; with `share` \
             there is one",
        );
        return None;
    }
    let mut dead_man = DeadMan { after: None, on_return: false, steps: Vec::new() };
    for (place, Placed { value: item, at }) in items.into_iter().enumerate() {
        if let Some(what) = mistake(place, &item, target) {
            wrong(at, &what);
        }
        if place == 0 {
            (dead_man.after, dead_man.on_return) = (item.after, item.on_return.unwrap_or_default());
        }
        dead_man.steps.extend(item.step);
    }
    let time: Duration = dead_man.steps.iter().map(DeadManStep::time).sum();
    let count = dead_man.steps.len();
    if count == 0 || count > STEPS || time > DEAD_MAN_TIME {
        wrong(
            at,
            &format!(
                "{count} steps in {}; there are 1 to {STEPS} steps, which take at most {}",
                duration_text(time),
                duration_text(DEAD_MAN_TIME)
            ),
        );
    }
    Some(dead_man)
}
