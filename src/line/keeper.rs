//! A line's keeper: opens the device, runs both directions, and opens it again.

mod carrier;
mod hearing;
mod quiet;

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncWriteExt, ReadBuf},
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tracing::warn;

use self::{
    hearing::downlink,
    quiet::{Quiet, STEADY},
};
use super::{Board, LineState, Shared, controls::drive, output::Gone, uplink::uplink};
use crate::{
    auth::ClientAddress,
    config::{Endpoint, OpenWhen, Target},
    event::Event,
    settings::{Inputs, Levels, LineEvent, Settings},
    stream::with_scratch,
    target::{self, Desk, Device, Held, Learnt, OpenError, Port, Source},
    wire::close::Refusal,
};

/// How long an on-demand device stays open after its last seat has left: for a client that comes
/// straight back it is not closed and opened, which would move DTR.
const ON_DEMAND_LINGER: Duration = Duration::from_secs(2);

/// How long we still listen to a shared device that takes nothing any more.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Why a device is reopened that keeps what it should have discarded.
const STUCK: &str =
    "the line accepts no data, and the device keeps what is to be discarded: reopening it";

/// Keeps a line until nobody holds it: `life` ends with the last handle and seat. A private line
/// (of an endpoint that is not shared) also ends with its device.
pub(super) async fn keep(
    shared: Arc<Shared>,
    mut life: watch::Receiver<()>,
    endpoint: watch::Receiver<Arc<Endpoint>>,
) {
    // Nothing is ever sent on `life`: its sender going away is the message.
    if current(&endpoint).share.is_none() {
        tokio::select! {
            () = once(&shared, &mut life, &endpoint) => {}
            () = shared.tell_changes() => {}
        }
        shared.forget_port();
    } else {
        tokio::select! {
            biased;
            _ = life.changed() => {}
            () = run(&shared, &endpoint) => {}
            () = shared.tell_changes() => {}
        }
        shared.forget_port();
        shared.set_state(LineState::Closed);
    }
    shared.tell_board();
    shared.output.close();
}

/// Runs a shared line, whose device is opened again and again.
async fn run(shared: &Shared, endpoint: &watch::Receiver<Arc<Endpoint>>) {
    let mut quiet = Quiet::default();
    let mut learnt = Learnt::new(desk(shared));
    loop {
        wanted(shared, endpoint).await;
        // While a device is absent the line's state stays as it is: another attempt is not news.
        if !matches!(shared.board.borrow().state, LineState::Down(_)) {
            shared.set_state(LineState::Opening);
        }
        let target = current(endpoint);
        match target::open_again(&target.target, &mut learnt).await {
            Ok(mut device) => {
                let (closed, opened) = (device.port.closed(), Instant::now());
                if let Some(gone) = serve(shared, &mut device, endpoint, &mut quiet).await {
                    drop(device);
                    let pause = pause(&target.target, &gone, opened.elapsed(), &mut quiet);
                    quiet.failed(shared, &OpenError::Absent(gone.to_string()), gone);
                    // Only then is what it still held lost with it.
                    closed.await;
                    sleep(pause).await;
                } else if matches!(target.target, Target::Tcp(_)) {
                    shared.set_state(LineState::Closed);
                    let mut board = shared.board.subscribe();
                    tokio::select! {
                        () = farewell(&mut device, target.limits.linger) => {}
                        // A client that wants the line now does not have to wait.
                        () = until(&mut board, |board| board.seats > 0) => {}
                    }
                }
            }
            Err(error) => {
                quiet.failed(shared, &error, Gone::Failed(error.to_string()));
                target::appeared_again(&target.target, &learnt).await;
            }
        }
    }
}

/// How long a device that went in this way, after this time, is left alone.
fn pause(target: &Target, gone: &Gone, lived: Duration, quiet: &mut Quiet) -> Duration {
    // A device that connects to us says itself how often it comes.
    let at_once = matches!(target, Target::DialIn(_));
    if at_once || is_stuck(gone) { Duration::ZERO } else { quiet.pause(lived) }
}

/// Who hears of connections that a device's address turns away.
fn desk(shared: &Shared) -> Desk {
    let (events, name) = (Arc::clone(&shared.events), shared.name.clone());
    let refused = move |peer, refusal: &Refusal| {
        let client = ClientAddress::Direct(peer);
        events.tell(Event::Refusal { client, request: &name, refusal });
    };
    Desk {
        endpoint: shared.name.clone(),
        metrics: Arc::clone(&shared.metrics),
        refused: Arc::new(refused),
    }
}

/// Runs a private line, whose device is opened once. When its only seat has left, we read on, so
/// that no reset overtakes what the device was sent.
async fn once(
    shared: &Shared,
    life: &mut watch::Receiver<()>,
    endpoint: &watch::Receiver<Arc<Endpoint>>,
) {
    shared.set_state(LineState::Opening);
    let target = current(endpoint);
    let opened = tokio::select! {
        biased;
        _ = life.changed() => return,
        opened = target::open(&target.target) => opened,
    };
    let mut quiet = Quiet::private();
    match opened {
        Ok(mut device) => {
            let gone = tokio::select! {
                biased;
                _ = life.changed() => None,
                gone = serve(shared, &mut device, endpoint, &mut quiet) => gone,
            };
            match gone {
                Some(gone) => quiet.failed(shared, &OpenError::Absent(gone.to_string()), gone),
                None => farewell(&mut device, target.limits.linger).await,
            }
        }
        Err(error) => quiet.failed(shared, &error, Gone::Failed(error.to_string())),
    }
}

/// Ends our side of a stream, and reads until the other side has ended too, or time is up.
async fn farewell(device: &mut Device, linger: Duration) {
    let Device { reader, writer, .. } = device;
    let mut marks = Vec::new();
    let both_ends = async {
        writer.shutdown().await?;
        let mut some =
            poll_fn(|cx| with_scratch(|buf| poll_some(&mut **reader, cx, buf, &mut marks)));
        while (&mut some).await? {}
        io::Result::Ok(())
    };
    // Late or broken, it is over either way.
    let _ = timeout(linger, both_ends).await;
}

fn current(endpoint: &watch::Receiver<Arc<Endpoint>>) -> Arc<Endpoint> {
    Arc::clone(&endpoint.borrow())
}

/// Ready when the board meets a condition; keeps no borrow of it.
async fn until(board: &mut watch::Receiver<Board>, wanted: impl FnMut(&Board) -> bool) {
    // The sender is in `Shared`, so this cannot fail.
    board.wait_for(wanted).await.map(drop).ok();
}

/// Ready when the device should be open.
async fn wanted(shared: &Shared, endpoint: &watch::Receiver<Arc<Endpoint>>) {
    if current(endpoint).open == OpenWhen::OnDemand {
        if shared.board.borrow().seats == 0 {
            shared.set_state(LineState::Closed);
            // The adapter has to be known before anybody has opened the port, for those who choose
            // a port by its adapter.
            let usb = target::usb(&current(endpoint).target).await;
            shared.board.send_if_modified(|board| std::mem::replace(&mut board.usb, usb) != usb);
        }
        until(&mut shared.board.subscribe(), |board| board.seats > 0).await;
    }
}

/// Reads and discards; returns whether there was anything.
fn poll_some(
    reader: &mut dyn Source,
    cx: &mut Context<'_>,
    buf: &mut [u8],
    marks: &mut Vec<(usize, LineEvent)>,
) -> Poll<io::Result<bool>> {
    let mut buf = ReadBuf::new(buf);
    ready!(reader.poll_read(cx, &mut buf, marks))?;
    marks.clear();
    Poll::Ready(Ok(!buf.filled().is_empty()))
}

/// Runs both directions until the device has gone (returns how), or until an on-demand device is no
/// longer needed (`None`).
async fn serve(
    shared: &Shared,
    device: &mut Device,
    endpoint: &watch::Receiver<Arc<Endpoint>>,
    quiet: &mut Quiet,
) -> Option<Gone> {
    let Device { reader, writer, port, usb, notes } = device;
    let port = &*port;
    // A driver counts from when it was loaded; what it counted before us is not our line's.
    let stuck = shared.set_port(port.clone(), port.errors().await.ok());
    shared.begin_echo();
    let gone = {
        let mut down = pin!(downlink(shared, &mut **reader));
        let configured = current(endpoint);
        let rules = configured.target.carrier();
        let ended = begun(shared, port, &configured, &mut down).await;
        if ended.is_some() {
            ended
        } else {
            shared.board.send_modify(|board| {
                board.caps = shared.caps(port);
                board.usb = *usb;
            });
            shared.output.set_down(None);
            shared.set_state(LineState::Up);
            quiet.opened(shared, notes);
            let up = pin!(uplink(shared, &mut **writer, port));
            let both = pin!(both(shared, down, up, endpoint));
            let vacant = pin!(vacant(shared, endpoint));
            let listen = pin!(listen(shared, port));
            let steady = pin!(async {
                sleep(STEADY).await;
                quiet.steady(shared);
                std::future::pending::<()>().await;
            });
            tokio::select! {
                biased;
                () = stuck.cancelled() => Some(Gone::Failed(STUCK.into())),
                gone = both => Some(gone),
                () = vacant => None,
                () = listen => None,
                () = steady => None,
                gone = carrier::lost(shared, port, rules) => Some(gone),
                () = carrier::presence(shared, port, rules) => None,
            }
        }
    };
    // Otherwise errors counted since the metrics were last read would go with the device.
    if let Ok(errors) = port.errors().await {
        shared.count_errors(errors);
    }
    shared.forget_port();
    shared.board.send_modify(|board| board.inputs = None);
    if stuck.is_cancelled() {
        // What is queued belongs to those who come after it, and the device is soon back.
        shared.input.forget_driver();
    } else {
        // A device that is no longer needed is ended in peace, and loses nothing.
        let held = if gone.is_some() { port.held() } else { Held::default() };
        count_lost(shared, shared.input.discard(held.bytes), !held.at_most);
    }
    gone
}

/// Makes an open port what its line is to be, while it is heard; how it went, if it does.
async fn begun(
    shared: &Shared,
    port: &Port,
    configured: &Endpoint,
    down: &mut Pin<&mut impl Future<Output = Gone>>,
) -> Option<Gone> {
    // A private connection has no settings to restore, and whatever it says first, even its end,
    // has to be heard. Settings are restored beside a reader, since a port on another box answers
    // in the same stream as its data.
    let restored = async {
        if configured.share.is_some() {
            restore(shared, port, configured.target.settings()).await;
        }
    };
    tokio::select! {
        biased;
        () = restored => {}
        gone = &mut *down => return Some(gone),
    }
    carrier::awaited(shared, port, configured.target.carrier(), down).await
}

/// Counts and logs bytes that were lost with the device: exactly that many, or at most.
fn count_lost(shared: &Shared, lost: usize, exact: bool) {
    if lost > 0 {
        shared.metrics.undelivered.add(lost as u64);
        warn!(endpoint = shared.name, bytes = lost, exact, "the device went before it took these");
    }
}

/// Runs both directions, each even without the other: the last words of a device that takes nothing
/// any more count, and so does what it is sent after it has ended its own side.
async fn both(
    shared: &Shared,
    mut down: Pin<&mut impl Future<Output = Gone>>,
    mut up: Pin<&mut impl Future<Output = io::Error>>,
    endpoint: &watch::Receiver<Arc<Endpoint>>,
) -> Gone {
    let rules = current(endpoint);
    let private = rules.share.is_none();
    let error = tokio::select! {
        gone = &mut down => {
            if private && gone == Gone::Ended {
                // The seat hears this now, and leaves when it has sent the rest.
                shared.output.set_down(Some(Gone::Ended));
                let _ = timeout(rules.limits.linger, up).await;
            }
            return gone;
        }
        error = &mut up => error,
    };
    let deaf = async {
        loop {
            count_lost(shared, poll_fn(|cx| shared.input.poll_discard(cx)).await, true);
        }
    };
    let bound = async {
        // A shared line comes back, and its sessions wait for that.
        if private { std::future::pending().await } else { sleep(LAST_WORDS).await }
    };
    tokio::select! {
        gone = down => gone,
        () = deaf => Gone::by(&error),
        () = bound => Gone::by(&error),
    }
}

fn is_stuck(gone: &Gone) -> bool {
    matches!(gone, Gone::Failed(why) if why == STUCK)
}

/// Restores what clients had changed, on a device that is back; a new one is as configured already.
async fn restore(shared: &Shared, port: &Port, configured: Option<Settings>) {
    let (changed, by, outputs) = {
        shared.board.send_if_modified(|board| {
            // It went before it was released.
            if board.vacated {
                board.forget();
            }
            board.vacated
        });
        let board = shared.board.borrow();
        let by = board.settings_by.clone();
        (board.settings.filter(|_| by.is_some()), by, Levels { brk: None, ..board.outputs })
    };
    if let Some(settings) = changed
        && let Err(error) = port.configure(settings).await
    {
        warn!(endpoint = shared.name, %settings, %error, "settings not set again");
    }
    drive(shared, port, outputs).await;
    let now = port.settings().await.ok();
    shared.board.send_modify(|board| {
        // Even if they have all left meanwhile: it is released as soon as it is up.
        board.outputs = outputs;
        board.settings = now.or(configured);
        board.settings_by = by;
    });
}

/// Posts CTS, DSR, DCD and RI while somebody wants to hear about them.
async fn listen(shared: &Shared, port: &Port) {
    let mut board = shared.board.subscribe();
    if !port.caps().inputs {
        return std::future::pending().await;
    }
    loop {
        until(&mut board, |board| board.listeners > 0).await;
        // The device is going in some other way, which shows in the data.
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

/// Ready when an on-demand device is no longer needed.
async fn vacant(shared: &Shared, endpoint: &watch::Receiver<Arc<Endpoint>>) {
    let mut board = shared.board.subscribe();
    loop {
        until(&mut board, |board| board.seats + board.owed == 0).await;
        if current(endpoint).open == OpenWhen::OnDemand {
            tokio::select! {
                () = sleep(ON_DEMAND_LINGER) => return,
                () = until(&mut board, |board| board.seats + board.owed > 0) => {}
            }
        }
        until(&mut board, |board| board.seats + board.owed > 0).await;
    }
}
