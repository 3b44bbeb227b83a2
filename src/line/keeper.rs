//! A line's keeper: opens the device, runs both directions, opens it again.

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{oneshot, watch},
    time::{Instant, sleep},
};
use tracing::{info, warn};

use super::{Shared, State, input::Task, input::Work};
use crate::{
    config::{Endpoint, OpenWhen, Target},
    settings::Levels,
    stream::with_scratch,
    target::{self, Device, OpenError, Port, PortError},
};

/// Pause between attempts to open a device that is not there: below the second within which a plugged device is to be
/// noticed.
const RETRY: Duration = Duration::from_millis(500);

/// How long an on-demand device stays open after its last seat: a client that comes straight back does not close and
/// open it, which would move DTR.
const ON_DEMAND_LINGER: Duration = Duration::from_secs(2);

/// How often a driver is asked whether its transmitter is empty.
const DRAIN_POLL: Duration = Duration::from_millis(5);

/// Keeps a line until nobody holds it: `life` ends with the last handle and seat.
pub(super) async fn keep(
    shared: Arc<Shared>,
    mut life: watch::Receiver<()>,
    endpoint: watch::Receiver<Arc<Endpoint>>,
) {
    let mut quiet = Quiet::default();
    loop {
        let wanted = poll_wanted(&shared, &endpoint);
        if ended(&mut life, wanted).await.is_none() {
            break;
        }
        shared.state.send_replace(State::Opening);
        let Some(opened) = ended(&mut life, target::open(&current(&endpoint).target)).await else {
            break;
        };
        let pause = match opened {
            Ok(device) => {
                quiet.opened(&shared, &device);
                let served = serve(&shared, device, &endpoint);
                match ended(&mut life, served).await {
                    None => break,
                    Some(None) => Duration::ZERO,
                    Some(Some(why)) => {
                        quiet.failed(&shared, &why);
                        RETRY
                    }
                }
            }
            Err(error) => {
                quiet.failed(&shared, &error);
                RETRY
            }
        };
        if ended(&mut life, sleep(pause)).await.is_none() {
            break;
        }
    }
    shared.set_port(None);
    shared.state.send_replace(State::Closed);
    shared.output.set_down(Some("the line was closed".into()));
}

fn current(endpoint: &watch::Receiver<Arc<Endpoint>>) -> Arc<Endpoint> {
    Arc::clone(&endpoint.borrow())
}

/// `work`'s result, or `None` when nobody holds the line any more.
async fn ended<T>(life: &mut watch::Receiver<()>, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        // Nothing is ever sent: the end of the sender is the message.
        _ = life.changed() => None,
        result = work => Some(result),
    }
}

/// Ready when the device is to be open.
async fn poll_wanted(shared: &Shared, endpoint: &watch::Receiver<Arc<Endpoint>>) {
    if current(endpoint).open == OpenWhen::OnDemand {
        shared.state.send_replace(State::Closed);
        let mut seats = shared.seats.subscribe();
        // The sender is in `shared`, so this cannot fail.
        seats.wait_for(|seats| *seats > 0).await.ok();
    }
}

/// Runs both directions until the device fails (why), or an on-demand device is not needed any more (`None`).
async fn serve(
    shared: &Shared,
    device: Device,
    endpoint: &watch::Receiver<Arc<Endpoint>>,
) -> Option<OpenError> {
    let Device { mut reader, mut writer, port, .. } = device;
    // A driver counts from when it was loaded; what was before us is not our line's.
    shared.set_port(Some((port.clone(), port.errors().await.ok())));
    shared.output.set_down(None);
    shared.state.send_replace(State::Up);
    let failed = {
        let down = pin!(downlink(shared, &mut *reader));
        let up = pin!(uplink(shared, &mut *writer, &port));
        let vacant = pin!(vacant(shared, &port, endpoint));
        tokio::select! {
            why = down => Some(why),
            error = up => Some(error.to_string()),
            () = vacant => None,
        }
    };
    shared.set_port(None);
    let failed = failed.map(OpenError::Absent);
    let state = failed.clone().map_or(State::Closed, State::Down);
    let lost = shared.input.discard();
    if lost > 0 {
        shared.metrics.undelivered.add(lost as u64);
        warn!(endpoint = shared.name, bytes = lost, "the device went before it took these");
    }
    shared.output.set_down(Some(failed.as_ref().map_or_else(String::new, ToString::to_string)));
    shared.state.send_replace(state);
    failed
}

/// Device to tape, without a buffer of its own. Returns why the device ended.
async fn downlink(shared: &Shared, device: &mut (dyn AsyncRead + Send + Unpin)) -> String {
    poll_fn(|cx| {
        with_scratch(|buf| {
            loop {
                let room = ready!(shared.output.poll_room(cx)).min(buf.len());
                let mut buf = ReadBuf::new(buf.get_mut(..room).unwrap_or_default());
                match ready!(Pin::new(&mut *device).poll_read(cx, &mut buf)) {
                    Ok(()) if buf.filled().is_empty() => return Poll::Ready("the device ended".into()),
                    Ok(()) => shared.output.push(buf.filled()),
                    Err(error) => return Poll::Ready(format!("the device failed: {error}")),
                }
            }
        })
    })
    .await
}

/// Queue to device. Returns why the device takes no more.
async fn uplink(shared: &Shared, device: &mut (dyn AsyncWrite + Send + Unpin), port: &Port) -> io::Error {
    loop {
        match poll_fn(|cx| shared.input.poll_work(cx, device)).await {
            Ok(Work::Wrote) => {}
            Ok(Work::Task(task)) => perform(shared, task, device, port).await,
            Err(error) => return error,
        }
    }
}

async fn perform(shared: &Shared, task: Task, device: &mut (dyn AsyncWrite + Send + Unpin), port: &Port) {
    match task {
        Task::Drain(done) => {
            // A stream that buffers (TLS) sends the rest now; a tty has nothing to flush.
            poll_fn(|cx| Pin::new(&mut *device).poll_flush(cx)).await.ok();
            drain(port, &done).await;
            // Nobody waits any more: as good as told.
            done.send(()).ok();
        }
        Task::Retune(settings) => match port.configure(settings).await {
            Ok(()) => info!(endpoint = shared.name, %settings, "settings changed"),
            Err(PortError::Unsupported) => {}
            Err(error) => warn!(endpoint = shared.name, %settings, %error, "settings not changed"),
        },
    }
}

/// Waits for an empty transmitter, as long as somebody wants to know.
async fn drain(port: &Port, done: &oneshot::Sender<()>) {
    while !done.is_closed() && port.unsent() > 0 {
        sleep(DRAIN_POLL).await;
    }
}

/// Applies `on_release` whenever the last seat leaves; ready when an on-demand device is not needed any more.
async fn vacant(shared: &Shared, port: &Port, endpoint: &watch::Receiver<Arc<Endpoint>>) {
    let mut seats = shared.seats.subscribe();
    loop {
        let on_demand = current(endpoint).open == OpenWhen::OnDemand;
        // The sender is in `shared`, so these cannot fail.
        seats.wait_for(|seats| *seats > 0 || on_demand).await.ok();
        seats.wait_for(|seats| *seats == 0).await.ok();
        release(shared, port, &current(endpoint)).await;
        if on_demand {
            tokio::select! {
                () = sleep(ON_DEMAND_LINGER) => return,
                _ = seats.wait_for(|seats| *seats > 0) => {}
            }
        }
    }
}

async fn release(shared: &Shared, port: &Port, endpoint: &Endpoint) {
    let levels = match &endpoint.target {
        Target::Serial(serial) => serial.on_release,
        Target::Tcp(_) | Target::Sim(_) => Levels::default(),
    };
    if !levels.is_empty()
        && let Err(error) = port.set(levels).await
    {
        warn!(endpoint = shared.name, %error, "modem lines not moved after the last session");
    }
}

/// One log line for a device that goes, one when it is back: not one for each attempt between.
#[derive(Debug, Default)]
struct Quiet {
    last: Option<(String, Instant)>,
}

impl Quiet {
    fn opened(&mut self, shared: &Shared, device: &Device) {
        if let Some((_, since)) = self.last.take() {
            info!(endpoint = shared.name, after = ?since.elapsed(), "device is back");
        } else {
            info!(endpoint = shared.name, "device open");
        }
        for note in &device.notes {
            warn!(endpoint = shared.name, "{note}");
        }
    }

    fn failed(&mut self, shared: &Shared, why: &OpenError) {
        shared.state.send_replace(State::Down(why.clone()));
        shared.output.set_down(Some(why.to_string()));
        let text = why.to_string();
        match &mut self.last {
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
