//! A client's messages in text form, as a client of ours sends them.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Ask, RawSignals, RawStep, Signals};

impl Ask {
    /// The message as the text of a frame. `parse` reads it back, times of steps to the
    /// microsecond.
    pub fn text(&self, id: Option<u64>) -> String {
        let (kind, mut members) = match self {
            Self::Open(body) => ("open", members(body)),
            Self::Resume(body) => ("resume", members(body)),
            Self::Close(body) => ("close", members(body)),
            Self::Config(body) => ("config", members(body)),
            Self::Signals(body) => ("signals", members(&raw(body))),
            Self::Macro(body) => ("macro", members(body)),
            Self::Get => ("get", Map::new()),
            Self::Flush(body) => ("flush", members(body)),
            Self::Drain => ("drain", Map::new()),
            Self::Ack(body) => ("ack", members(body)),
            Self::Lease(body) => ("lease", members(body)),
            Self::Watch(body) => ("watch", members(body)),
            Self::Ping => ("ping", Map::new()),
        };
        members.insert("type".to_owned(), kind.into());
        if let Some(id) = id {
            members.insert("id".to_owned(), id.into());
        }
        Value::Object(members).to_string()
    }
}

fn members(body: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(body) {
        Ok(Value::Object(members)) => members,
        // Nothing in these shapes can fail to print, and all of them are objects.
        Ok(_) | Err(_) => Map::new(),
    }
}

fn raw(signals: &Signals) -> RawSignals {
    let step = |step: &crate::settings::Step| RawStep {
        change: step.change,
        ms: (!step.hold.is_zero() || step.change.is_empty()).then(|| ms(step.hold)),
        at: step.at.map(ms),
    };
    RawSignals {
        steps: Some(signals.steps.iter().map(step).collect()),
        short: RawStep::default(),
        now: signals.now,
    }
}

/// Milliseconds, exact to the microsecond.
#[expect(clippy::cast_precision_loss, reason = "micros of 2^53 are 285 years")]
fn ms(time: std::time::Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::*;
    use crate::settings::{Levels, Step};

    fn level() -> impl Strategy<Value = Option<bool>> {
        any::<Option<bool>>()
    }

    fn change() -> impl Strategy<Value = SettingsChange> {
        (any::<Option<u32>>(), prop::option::of(5_u8..9), 0_u8..4).prop_map(|(baud, data, rest)| {
            SettingsChange {
                baud,
                data: data.and_then(|bits| bits.try_into().ok()),
                parity: (rest & 1 != 0).then_some(Parity::Mark),
                stop: (rest & 2 != 0).then_some(StopBits::OneAndHalf),
                flow: (rest == 3).then_some(Flow::Hardware),
            }
        })
    }

    fn step() -> impl Strategy<Value = Step> {
        let times = (0_u64..300_000, prop::option::of(0_u64..10_000_000_000));
        (level(), level(), level(), times).prop_map(|(dtr, rts, brk, (hold, at))| Step {
            change: Levels { dtr, rts, brk },
            hold: Duration::from_micros(hold),
            at: at.map(Duration::from_micros),
        })
    }

    fn open() -> impl Strategy<Value = Open> {
        let replay = prop_oneof![
            any::<u32>().prop_map(|bytes| Replay::Bytes { bytes: bytes.into() }),
            (any::<u32>(), "[a-z0-9]{0,8}")
                .prop_map(|(from, epoch)| Replay::From { from: from.into(), epoch }),
        ];
        let role = prop_oneof![Just(Role::Writer), Just(Role::Observer), Just(Role::Auto)];
        let options = (prop::option::of(change()), prop::option::of(replay), any::<Option<u32>>());
        (role, any::<bool>(), options, level(), any::<bool>()).prop_map(
            |(role, take, (config, replay, window), dtr, times)| Open {
                role,
                take,
                config,
                signals: dtr.map(|dtr| Levels { dtr: Some(dtr), ..Levels::default() }),
                replay,
                window,
                times,
            },
        )
    }

    fn ask() -> impl Strategy<Value = Ask> {
        let op = prop_oneof![
            Just(LeaseOp::Request),
            Just(LeaseOp::Claim),
            Just(LeaseOp::Take),
            Just(LeaseOp::Deny)
        ];
        prop_oneof![
            open().prop_map(Ask::Open),
            ("\\PC{0,9}", "[a-f]{0,9}", any::<u32>()).prop_map(|(session, epoch, rx)| {
                Ask::Resume(Resume { session, epoch, rx: rx.into() })
            }),
            any::<bool>().prop_map(|drain| Ask::Close(Close { drain })),
            (change(), any::<bool>(), any::<bool>()).prop_map(|(change, at_once, now)| {
                let when = if at_once { When::Now } else { When::Drain };
                Ask::Config(Config { change, when, now })
            }),
            (prop::collection::vec(step(), 0..STEPS_MAX), any::<bool>())
                .prop_map(|(steps, now)| Ask::Signals(Signals { steps, now })),
            "\\PC{0,9}".prop_map(|name| Ask::Macro(Macro { name })),
            any::<(bool, bool)>().prop_map(|(rx, tx)| Ask::Flush(Flush { rx, tx })),
            any::<u32>().prop_map(|rx| Ask::Ack(Ack { rx: rx.into() })),
            op.prop_map(|op| Ask::Lease(LeaseRequest { op })),
            Just(Ask::Get),
            Just(Ask::Drain),
            any::<bool>().prop_map(|rates| Ask::Watch(WatchRequest { rates })),
            Just(Ask::Ping),
        ]
    }

    proptest! {
        #[test]
        fn what_a_client_prints_is_what_a_server_reads(ask in ask(), id in any::<Option<u64>>()) {
            let text = ask.text(id);
            prop_assert_eq!(parse(text.as_bytes()), Ok(Request { id, ask: Ok(ask) }), "{}", text);
        }
    }
}
