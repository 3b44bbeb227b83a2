//! A modem's carrier: waited for, watched, and DTR and RTS that follow who is there.

use std::{
    future::{Future, pending},
    pin::Pin,
    time::Duration,
};

use tokio::time::sleep;
use tracing::info;

use super::until;
use crate::{
    config::{CarrierLine, CarrierRules},
    line::{LineState, Shared, controls::drive, output::Gone},
    settings::{Inputs, Levels},
    target::{OpenError, Port},
};

/// How long DTR is off so that a modem hangs up: a shorter drop is ignored (S25), for up to some
/// tenths of a second.
const HANG_UP: Duration = Duration::from_millis(500);

/// Why a port is open and counts as down.
fn waiting(line: CarrierLine) -> String {
    let line = match line {
        CarrierLine::Dcd => "DCD",
        CarrierLine::Dsr => "DSR",
    };
    format!("waiting for the modem: {line} is off")
}

fn is_on(line: CarrierLine, inputs: Inputs) -> bool {
    match line {
        CarrierLine::Dcd => inputs.dcd,
        CarrierLine::Dsr => inputs.dsr,
    }
}

/// Waits for the line that the rules name, while what the device says is heard; how it went, if it
/// does meanwhile.
pub(super) async fn awaited(
    shared: &Shared,
    port: &Port,
    rules: CarrierRules,
    down: &mut Pin<&mut impl Future<Output = Gone>>,
) -> Option<Gone> {
    let line = rules.wait_for?;
    let why = waiting(line);
    info!(endpoint = shared.name, "{why}");
    shared.output.set_down(Some(Gone::Failed(why.clone())));
    shared.set_state(LineState::Down(OpenError::Absent(why)));
    tokio::select! {
        gone = down => Some(gone),
        gone = turned(port, line, true) => gone,
    }
}

/// Ready when a line is on or off as wanted; how the device went, if it cannot be asked.
async fn turned(port: &Port, line: CarrierLine, on: bool) -> Option<Gone> {
    let failed = |error: crate::target::PortError| {
        Some(Gone::Failed(format!("the modem lines cannot be read: {error}")))
    };
    let mut last = match port.inputs().await {
        Ok(inputs) => inputs,
        Err(error) => return failed(error),
    };
    while is_on(line, last) != on {
        last = match port.inputs_changed(last).await {
            Ok(inputs) => inputs,
            Err(error) => return failed(error),
        };
    }
    None
}

/// Ready when the carrier has fallen, where that means anything; how the line ends then. Sessions
/// that end with it have been told, and the modem has hung up.
pub(super) async fn lost(shared: &Shared, port: &Port, rules: CarrierRules) -> Gone {
    if rules.wait_for.is_none() && !rules.ends_sessions {
        return pending().await;
    }
    let line = rules.wait_for.unwrap_or(CarrierLine::Dcd);
    // Without `wait_for` a port may be open before there is a carrier, and lose it only then.
    if rules.wait_for.is_none() && turned(port, line, true).await.is_some() {
        return pending().await;
    }
    match turned(port, line, false).await {
        // It goes in some other way, which shows in the data.
        Some(_) => pending().await,
        None if rules.ends_sessions => {
            shared.output.end_all(&Gone::Carrier);
            hang_up(port).await;
            Gone::Carrier
        }
        None => Gone::Failed("the carrier was lost".into()),
    }
}

/// Tells the modem that the call is over. Closing the port would not: it leaves the lines as they
/// are.
async fn hang_up(port: &Port) {
    let off = Levels { dtr: Some(false), ..Levels::default() };
    if port.set(off).await.is_ok() {
        sleep(HANG_UP).await;
    }
}

/// Lets DTR and RTS stand as they are to while somebody is there. When the last one leaves, the
/// line is released, which turns them.
pub(super) async fn presence(shared: &Shared, port: &Port, rules: CarrierRules) {
    if rules.while_connected.is_empty() {
        return pending().await;
    }
    let mut board = shared.board.subscribe();
    loop {
        until(&mut board, |board| board.seats > 0).await;
        present(shared, port, rules.while_connected).await;
        until(&mut board, |board| board.seats == 0).await;
    }
}

/// What a client has driven itself stays.
pub(super) async fn present(shared: &Shared, port: &Port, levels: Levels) {
    let driven = shared.board.borrow().outputs;
    let levels = Levels {
        dtr: levels.dtr.filter(|_| driven.dtr.is_none()),
        rts: levels.rts.filter(|_| driven.rts.is_none()),
        brk: None,
    };
    drive(shared, port, levels).await;
}
