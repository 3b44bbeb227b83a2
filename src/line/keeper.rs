//! A line's keeper: opens the device, runs both directions, opens it again.

use std::{
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};

use tokio::{
    io::ReadBuf,
    sync::watch,
    time::{Instant, sleep},
};
use tracing::{info, warn};

use super::{
    Board, Shared, State,
    uplink::{drive, retune, uplink},
};
use crate::{
    config::{Endpoint, OpenWhen, Target},
    settings::{Inputs, Levels, Settings},
    stream::with_scratch,
    target::{self, Device, OpenError, Port, Source},
};

/// How long an on-demand device stays open after its last seat: a client that comes straight back does not close and
/// open it, which would move DTR.
const ON_DEMAND_LINGER: Duration = Duration::from_secs(2);

/// Pause before a device that failed as soon as it was opened is opened again.
const PAUSE: Duration = Duration::from_millis(200);

/// Keeps a line until nobody holds it: `life` ends with the last handle and seat. A private line (an endpoint that is
/// not shared) ends with its device too.
pub(super) async fn keep(
    shared: Arc<Shared>,
    mut life: watch::Receiver<()>,
    endpoint: watch::Receiver<Arc<Endpoint>>,
) {
    // Nothing is ever sent over `life`: the end of its sender is the message.
    tokio::select! {
        biased;
        _ = life.changed() => {}
        () = run(&shared, &endpoint) => {}
    }
    shared.set_port(None);
    if current(&endpoint).share.is_some() {
        shared.set_state(State::Closed);
    }
    shared.output.set_down(Some("the line was closed".into()));
}

async fn run(shared: &Shared, endpoint: &watch::Receiver<Arc<Endpoint>>) {
    let private = current(endpoint).share.is_none();
    let mut quiet = Quiet::default();
    loop {
        wanted(shared, endpoint).await;
        shared.set_state(State::Opening);
        let target = current(endpoint);
        match target::open(&target.target).await {
            Ok(device) => {
                if let Some(why) = serve(shared, device, endpoint, &mut quiet).await {
                    quiet.failed(shared, &why, private);
                    sleep(if private { Duration::ZERO } else { PAUSE }).await;
                }
            }
            Err(error) => {
                quiet.failed(shared, &error, private);
                if !private {
                    target::appeared(&target.target).await;
                }
            }
        }
        if private {
            return;
        }
    }
}

fn current(endpoint: &watch::Receiver<Arc<Endpoint>>) -> Arc<Endpoint> {
    Arc::clone(&endpoint.borrow())
}

/// Ready when the board is as wanted; does not hold it.
async fn until(board: &mut watch::Receiver<Board>, wanted: impl FnMut(&Board) -> bool) {
    // The sender is in `Shared`, so this cannot fail.
    board.wait_for(wanted).await.map(drop).ok();
}

/// Ready when the device is to be open.
async fn wanted(shared: &Shared, endpoint: &watch::Receiver<Arc<Endpoint>>) {
    if current(endpoint).open == OpenWhen::OnDemand {
        if shared.board.borrow().seats == 0 {
            shared.set_state(State::Closed);
        }
        until(&mut shared.board.subscribe(), |board| board.seats > 0).await;
    }
}

/// Runs both directions until the device fails (why), or an on-demand device is not needed any more (`None`).
async fn serve(
    shared: &Shared,
    device: Device,
    endpoint: &watch::Receiver<Arc<Endpoint>>,
    quiet: &mut Quiet,
) -> Option<OpenError> {
    let Device { mut reader, mut writer, port, usb, notes } = device;
    // A driver counts from when it was loaded; what was before us is not our line's.
    shared.set_port(Some((port.clone(), port.errors().await.ok())));
    let failed = {
        let mut down = pin!(downlink(shared, &mut *reader));
        // Beside a reader: a port on another box answers on the way that its data come.
        let ended = tokio::select! {
            why = &mut down => Some(why),
            () = restore(shared, &port, current(endpoint).target.settings()) => None,
        };
        if ended.is_some() {
            ended
        } else {
            shared.board.send_modify(|board| {
                board.caps = port.caps();
                board.usb = usb;
            });
            shared.output.set_down(None);
            shared.set_state(State::Up);
            quiet.opened(shared, &notes);
            let up = pin!(uplink(shared, &mut *writer, &port));
            let vacant = pin!(vacant(shared, &port, endpoint));
            let listen = pin!(listen(shared, &port));
            tokio::select! {
                why = down => Some(why),
                error = up => Some(error.to_string()),
                () = vacant => None,
                () = listen => None,
            }
        }
    };
    shared.set_port(None);
    shared.board.send_modify(|board| board.inputs = None);
    let lost = shared.input.discard();
    if lost > 0 {
        shared.metrics.undelivered.add(lost as u64);
        warn!(endpoint = shared.name, bytes = lost, "the device went before it took these");
    }
    failed.map(OpenError::Absent)
}

/// Puts a device that is back where its clients had it; one that is new is as configured already.
async fn restore(shared: &Shared, port: &Port, configured: Option<Settings>) {
    let (changed, outputs) = {
        let board = shared.board.borrow();
        (board.settings.filter(|_| board.settings_by.is_some()), board.outputs)
    };
    if let Some(settings) = changed
        && let Err(error) = port.configure(settings).await
    {
        warn!(endpoint = shared.name, %settings, %error, "settings not set again");
    }
    drive(shared, port, Levels { brk: None, ..outputs }).await;
    let now = port.settings().await.ok();
    shared.board.send_modify(|board| {
        board.outputs.brk = None;
        board.settings = now.or(configured);
    });
}

/// Device to tape, without a buffer of its own. Returns why the device ended.
async fn downlink(shared: &Shared, device: &mut dyn Source) -> String {
    let mut marks = Vec::new();
    poll_fn(|cx| {
        with_scratch(|buf| {
            loop {
                let room = ready!(shared.output.poll_room(cx)).min(buf.len());
                let mut buf = ReadBuf::new(buf.get_mut(..room).unwrap_or_default());
                match ready!(device.poll_read(cx, &mut buf, &mut marks)) {
                    Ok(()) if buf.filled().is_empty() && marks.is_empty() => {
                        return Poll::Ready("the device ended".into());
                    }
                    Ok(()) => {
                        shared.output.push(buf.filled(), &marks);
                        marks.clear();
                    }
                    Err(error) => return Poll::Ready(format!("the device failed: {error}")),
                }
            }
        })
    })
    .await
}

/// Posts CTS, DSR, DCD and RI while somebody wants to hear of them.
async fn listen(shared: &Shared, port: &Port) {
    let mut board = shared.board.subscribe();
    if !port.caps().inputs {
        return std::future::pending().await;
    }
    loop {
        until(&mut board, |board| board.listeners > 0).await;
        // The device is going otherwise: that shows in the data.
        let Ok(mut last) = port.inputs().await else { return std::future::pending().await };
        post(shared, last);
        loop {
            tokio::select! {
                changed = port.inputs_changed(last) => match changed {
                    Ok(now) => {
                        post(shared, now);
                        last = now;
                    }
                    Err(_) => return std::future::pending().await,
                },
                () = until(&mut board, |board| board.listeners == 0) => break,
            }
        }
    }
}

fn post(shared: &Shared, now: Inputs) {
    shared.board.send_if_modified(|board| board.inputs.replace(now) != Some(now));
}

/// Puts the port back as configured whenever the last seat leaves; ready when an on-demand device is not needed any
/// more.
async fn vacant(shared: &Shared, port: &Port, endpoint: &watch::Receiver<Arc<Endpoint>>) {
    let mut board = shared.board.subscribe();
    loop {
        let on_demand = current(endpoint).open == OpenWhen::OnDemand;
        until(&mut board, |board| board.seats > 0 || on_demand).await;
        until(&mut board, |board| board.seats == 0).await;
        release(shared, port, &current(endpoint)).await;
        if on_demand {
            tokio::select! {
                () = sleep(ON_DEMAND_LINGER) => return,
                () = until(&mut board, |board| board.seats > 0) => {}
            }
        }
    }
}

async fn release(shared: &Shared, port: &Port, endpoint: &Endpoint) {
    let (levels, settings) = match &endpoint.target {
        Target::Serial(serial) => (serial.on_release, serial.settings),
        Target::Rfc2217(remote) => (remote.on_release, remote.settings),
        Target::Tcp(_) | Target::Sim(_) => return,
    };
    drive(shared, port, levels).await;
    if shared.board.borrow().settings_by.is_some() {
        retune(shared, port, settings).await;
    }
    shared.board.send_modify(|board| board.outputs = Levels::default());
}

/// One log line for a device that goes, one when it is back: not one for each attempt between.
#[derive(Debug, Default)]
struct Quiet {
    last: Option<(String, Instant)>,
}

impl Quiet {
    fn opened(&mut self, shared: &Shared, notes: &[String]) {
        if let Some((_, since)) = self.last.take() {
            info!(endpoint = shared.name, after = ?since.elapsed(), "device is back");
        } else {
            info!(endpoint = shared.name, "device open");
        }
        for note in notes {
            warn!(endpoint = shared.name, "{note}");
        }
    }

    fn failed(&mut self, shared: &Shared, why: &OpenError, private: bool) {
        shared.output.set_down(Some(why.to_string()));
        shared.set_state(State::Down(why.clone()));
        let text = why.to_string();
        match &mut self.last {
            // A private line's end is its session's, and told there.
            _ if private => {}
            Some((last, _)) if *last == text => {}
            Some((last, _)) => {
                info!(endpoint = shared.name, reason = text, "device still not there");
                *last = text;
            }
            None => {
                warn!(endpoint = shared.name, reason = text, "device not there; trying again until it is");
                self.last = Some((text, Instant::now()));
            }
        }
    }
}
