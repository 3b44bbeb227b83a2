//! `open`, `resume` and `close`: what takes its time and changes which session a socket has.

use std::{pin::Pin, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tokio::time::{Instant, timeout};

use super::{
    Setup,
    live::{Live, Seen},
    refused::Refused as _,
};
use crate::{
    config::Rights,
    line::{self, NoSeat, Part, Replay},
    settings::Step,
    wire::control::{self, Code, Failure, Opened, Role, WINDOW_DEFAULT, WINDOW_MAX, WINDOW_MIN},
};

/// How long `open` waits for a device that is being opened.
const OPENING: Duration = Duration::from_secs(5);

/// What a socket waits for, and is not read meanwhile.
pub(super) type Busy = Pin<Box<dyn Future<Output = Done> + Send>>;

/// What came of it.
#[derive(Debug)]
pub(super) enum Done {
    /// A session began or goes on.
    Began { live: Box<Live>, opened: Opened, resumed: bool },
    /// It did not.
    Refused { id: Option<u64>, failure: Failure },
    /// The session before was closed.
    Closed { id: Option<u64> },
}

/// Begins a session.
pub(super) async fn open(setup: Arc<Setup>, id: Option<u64>, ask: control::Open) -> Done {
    match try_open(&setup, ask).await {
        Ok((live, live_at)) => {
            let opened = Opened { live: Some(live_at), ..live.opened(id) };
            Done::Began { live: Box::new(live), opened, resumed: false }
        }
        Err(failure) => Done::Refused { id, failure },
    }
}

async fn try_open(setup: &Setup, ask: control::Open) -> Result<(Live, u64), Failure> {
    let rights = setup.who.rights;
    if ask.role == Role::Writer && !rights.allows(Rights::WRITE) {
        return Err(Failure::new(Code::Denied, "you may not write to this endpoint"));
    }
    if ask.take && !rights.allows(Rights::TAKEOVER) {
        return Err(Failure::new(Code::Denied, "you may not take the lease from its holder"));
    }
    let want = line::Ask {
        part: match ask.role {
            Role::Writer => Part::Writer,
            Role::Observer => Part::Observer,
            Role::Auto => Part::Auto,
        },
        take: ask.take,
        replay: ask.replay.map(|replay| match replay {
            control::Replay::Bytes { bytes } => Replay::Last(bytes),
            control::Replay::From { from, epoch } => Replay::From { offset: from, epoch },
        }),
        acks: true,
        events: true,
        times: ask.times,
        pauses: setup.endpoint.packing.pause().is_some(),
        patient: setup.endpoint.share.is_some(),
    };
    let taken = setup.lines.join(&setup.endpoint, setup.who.clone(), &want).map_err(|no| match no {
        NoSeat::Busy(holder) => Failure::new(Code::Busy, format!("held by {holder}")),
        NoSeat::Down(why) => Failure::new(Code::LineDown, why.to_string()),
        NoSeat::Unknown => Failure::new(Code::LineDown, "the endpoint was removed"),
    })?;
    let seat = taken.seat;
    let ready = timeout(OPENING, seat.ready()).await;
    if ask.role != Role::Observer {
        match ready {
            Ok(Ok(())) => {}
            Ok(Err(why)) => return Err(Failure::new(Code::LineDown, why.to_string())),
            Err(_) => return Err(Failure::new(Code::LineDown, "the device is still being opened")),
        }
    }
    if seat.is_writer() {
        set_up(&seat, rights, ask.config, ask.signals).await?;
    }
    let board = seat.board();
    let window = ask.window.unwrap_or(WINDOW_DEFAULT).clamp(WINDOW_MIN, WINDOW_MAX);
    let live = Live {
        secret: secret()?,
        endpoint: Arc::clone(&setup.endpoint),
        window: u64::from(window),
        at: taken.at,
        acked: taken.at,
        told: 0,
        told_lost: 0,
        board,
        seen: Seen::default(),
        asked: None,
        used: Instant::now(),
        seat,
    };
    Ok((live, taken.live))
}

/// Settings and signals of an `open`.
async fn set_up(
    seat: &line::Seat,
    rights: Rights,
    config: Option<control::SettingsChange>,
    signals: Option<crate::settings::Levels>,
) -> Result<(), Failure> {
    if let Some(change) = config {
        if !rights.allows(Rights::SETTINGS) {
            return Err(Failure::new(Code::Denied, "you may not change this endpoint's settings"));
        }
        let outcome = seat.submit(seat.configure(change, false)).await;
        outcome.unwrap_or(Err(line::Undone::Gone)).map_err(|undone| undone.failure())?;
    }
    if let Some(change) = signals.filter(|levels| !levels.is_empty()) {
        if !rights.allows(Rights::SIGNALS) {
            return Err(Failure::new(Code::Denied, "you may not move this endpoint's signals"));
        }
        let step = Step { change, hold: Duration::ZERO, at: None };
        let outcome = seat.submit(seat.signals(vec![step])).await;
        outcome.unwrap_or(Err(line::Undone::Gone)).map_err(|undone| undone.failure())?;
    }
    Ok(())
}

/// 128 random bits.
fn secret() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Ok(URL_SAFE_NO_PAD.encode(bytes)),
        Err(error) => Err(Failure::new(Code::LineDown, format!("no randomness: {error}"))),
    }
}

/// Goes on with a session.
pub(super) async fn resume(setup: Arc<Setup>, id: Option<u64>, ask: control::Resume) -> Done {
    let gone = || {
        let failure = Failure::new(Code::SessionGone, "this session is over; open a new one");
        Done::Refused { id, failure }
    };
    let taken = setup.parking.take(&ask.session, &setup.who.user, &setup.endpoint.name).await;
    let Some(mut live) = taken else { return gone() };
    live.set_rights(setup.who.rights);
    if live.seat.epoch() != ask.epoch || ask.rx > live.at {
        return gone();
    }
    live.at = live.seat.seek(ask.rx);
    live.acked = live.at;
    // What was told last may have been lost with the socket.
    live.told = 0;
    live.forget();
    let opened = live.opened(id);
    Done::Began { live: Box::new(live), opened, resumed: true }
}

/// Ends a session; with `drain`, sends first what is queued.
pub(super) async fn close(live: Option<Live>, id: Option<u64>, drain: bool) -> Done {
    if let Some(mut live) = live
        && drain
    {
        std::future::poll_fn(|cx| live.seat.poll_drained(cx)).await;
    }
    Done::Closed { id }
}
