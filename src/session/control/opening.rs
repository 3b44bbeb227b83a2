//! `open`, `resume` and `close`: requests that take time and change which session a socket has.

use std::{future::poll_fn, pin::Pin, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tokio::time::{Instant, timeout};

use super::{
    super::{
        crowd::Crowd,
        drain::Linger,
        endings::Remainder,
        live::{Leaving, Live, Seen},
    },
    Setup,
    refused::Refused as _,
};
use crate::{
    config::Rights,
    line::{self, NewSeat, NoSeat, ReplayFrom, SeatRequest, WriteIntent},
    settings::{Levels, Step},
    target::Caps,
    wire::{
        close::Ended,
        control::{self, Code, Failure, Opened, Role, WINDOW_DEFAULT, WINDOW_MAX, WINDOW_MIN},
    },
};

/// What a socket is busy with; it is not read meanwhile.
pub(super) type Busy = Pin<Box<dyn Future<Output = Done> + Send>>;

/// How that turned out.
#[derive(Debug)]
pub(super) enum Done {
    /// A session began, or was resumed.
    Began { live: Box<Live>, opened: Opened, resumed: bool },
    /// It did not.
    Refused { id: Option<u64>, failure: Failure, bytes: Option<u64> },
    /// The previous session was closed.
    Closed { id: Option<u64> },
}

/// Said to a page on another site whose one session has already begun.
const USED: &str = "this link was good for one session: ask the page for a new link";

/// Begins a session on the socket with this number.
pub(super) async fn open(
    setup: Arc<Setup>,
    id: Option<u64>,
    ask: control::Open,
    socket: u64,
) -> Done {
    match try_open(&setup, ask, socket).await {
        Ok((live, live_at)) => {
            let opened = Opened { live: Some(live_at), ..live.opened(id) };
            Done::Began { live: Box::new(live), opened, resumed: false }
        }
        Err(failure) => Done::Refused { id, failure, bytes: None },
    }
}

/// Whether the user may begin such a session.
fn allowed(setup: &Setup, ask: &control::Open) -> Result<(), Failure> {
    let rights = setup.who.rights;
    let no = |why: &str| Err(Failure::new(Code::Denied, why));
    if setup.once.as_ref().is_some_and(|once| once.has_begun()) {
        return no(USED);
    }
    let writes = rights.allows(Rights::WRITE);
    if setup.endpoint.share.is_none() && !writes {
        // As in plain mode: to connect to a target of one's own is to use it.
        return no("each session has a connection of its own here, and you may not write");
    }
    if ask.role == Role::Writer && !writes {
        return no("you may not write to this endpoint");
    }
    let own = || setup.lines.is_held_by_own(&setup.endpoint.name, &setup.who);
    if ask.take && !rights.allows(Rights::TAKEOVER) && !own() {
        return no("you may not take the lease from its holder");
    }
    Ok(())
}

/// Takes a seat on the endpoint's line.
async fn sit(
    setup: &Setup,
    want: SeatRequest,
    replay: Option<control::Replay>,
) -> Result<NewSeat, Failure> {
    let want = SeatRequest {
        replay: replay.map(|replay| match replay {
            control::Replay::Bytes { bytes } => ReplayFrom::Last(bytes),
            control::Replay::From { from, epoch } => ReplayFrom::From { offset: from, epoch },
        }),
        acks: true,
        events: true,
        pauses: setup.endpoint.packing.pause().is_some(),
        patient: setup.endpoint.share.is_some(),
        ..want
    };
    setup.lines.sit(&setup.endpoint, setup.who.clone(), &want).await.map_err(|no| match no {
        NoSeat::Busy(holder) => Failure::new(Code::Busy, format!("held by {holder}")),
        NoSeat::Unknown => Failure::new(Code::LineDown, "the endpoint was removed"),
    })
}

async fn try_open(setup: &Setup, ask: control::Open, socket: u64) -> Result<(Live, u64), Failure> {
    allowed(setup, &ask)?;
    let Setup { sessions, parking, lines, endpoint, who, .. } = setup;
    let room = Crowd { sessions, parking, lines }.begin(endpoint, who, socket);
    room.map_err(|no| {
        Failure::new(Code::Limit, format!("{no}; those that wait to be resumed count"))
    })?;
    let rights = setup.who.rights;
    let seizes = ask.take && ask.role != Role::Observer && rights.allows(Rights::WRITE);

    let intent = match ask.role {
        // Taken when nothing can fail any more: if this is refused, the holder keeps it.
        _ if seizes => WriteIntent::Observer,
        Role::Writer => WriteIntent::Writer,
        Role::Observer => WriteIntent::Observer,
        Role::Auto => WriteIntent::Auto,
    };
    let window = ask.window.unwrap_or(WINDOW_DEFAULT).clamp(WINDOW_MIN, WINDOW_MAX);
    // A client acknowledges at each quarter of its window: half of it becomes free in any case.
    let longest = usize::try_from(window / 2).ok();
    let want =
        SeatRequest { intent, takes: seizes, times: ask.times, longest, ..SeatRequest::default() };
    let taken = sit(setup, want, ask.replay).await?;
    let mut seat = taken.seat;
    let ready = timeout(line::Seat::OPENING_WAIT, seat.ready()).await;
    if ask.role != Role::Observer {
        match ready {
            Ok(Ok(())) => {}
            Ok(Err(why)) => return Err(Failure::new(Code::LineDown, why.to_string())),
            Err(_) => return Err(Failure::new(Code::LineDown, "the device is still being opened")),
        }
    }
    if seizes || seat.is_writer() {
        // Settings that are absent are those of the configuration. A session that takes the line
        // over wants it as it runs, and where everyone writes, it is as the others have it.
        let alone = !seizes && seat.board().borrow().lease.holder().is_some();
        let configured = seat.endpoint().target.settings().filter(|_| alone);
        if ask.config.is_none()
            && alone
            && let Some(done) = seat.as_configured()
        {
            // An error means that the device has just gone: it comes back as configured.
            done.await.ok();
        }
        let config =
            ask.config.map(|change| configured.map_or(change, |base| change.apply(base).into()));
        set_up(&seat, rights, config, ask.signals).await?;
    }
    if setup.once.as_ref().is_some_and(|once| !once.begin()) {
        return Err(Failure::new(Code::Denied, USED));
    }
    if seizes {
        seat.take();
    }
    let live = Live {
        secret: secret()?,
        endpoint: Arc::clone(&setup.endpoint),
        window: u64::from(window),
        at: taken.at,
        acked: taken.at,
        told: 0,
        told_lost: 0,
        told_too_long: 0,
        board: seat.board(),
        seen: Seen::default(),
        held: false,
        asked: None,
        used: Instant::now(),
        seat,
    };
    Ok((live, taken.live))
}

/// Whether a port can make all these changes.
pub(super) fn movable(caps: Caps, changes: &[Levels]) -> Result<(), Failure> {
    let moves = |f: fn(&Levels) -> bool| changes.iter().any(f);
    if (moves(|change| change.dtr.is_some() || change.rts.is_some()) && !caps.signals)
        || (moves(|change| change.brk.is_some()) && !caps.brk)
    {
        return Err(Failure::new(Code::Unsupported, "this port has no such line"));
    }
    Ok(())
}

/// Applies the settings and signals of an `open`: whatever can be known to fail is checked before
/// anything is changed.
async fn set_up(
    seat: &line::Seat,
    rights: Rights,
    config: Option<control::SettingsChange>,
    signals: Option<Levels>,
) -> Result<(), Failure> {
    let signals = signals.filter(|levels| !levels.is_empty());
    if config.is_some() && !rights.allows(Rights::SETTINGS) {
        return Err(Failure::new(Code::Denied, "you may not change this endpoint's settings"));
    }
    if let Some(change) = signals {
        if !rights.allows(Rights::SIGNALS) {
            return Err(Failure::new(Code::Denied, "you may not move this endpoint's signals"));
        }
        movable(seat.board().borrow().caps, &[change])?;
    }
    if let Some(change) = config {
        let outcome = seat.submit_ahead(seat.configure(change, false)).await;
        outcome.unwrap_or(Err(line::Undone::Gone)).map_err(|undone| undone.failure())?;
    }
    if let Some(change) = signals {
        let step = Step { change, hold: Duration::ZERO, at: None };
        let outcome = seat.submit_ahead(seat.signals(vec![step], None)).await;
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

/// Resumes a session.
pub(super) async fn resume(setup: Arc<Setup>, id: Option<u64>, ask: control::Resume) -> Done {
    let gone = || {
        let failure = Failure::new(Code::SessionGone, "this session is over; open a new one");
        Done::Refused { id, failure, bytes: None }
    };
    let taken = setup.parking.take(&ask.session, &setup.who.principal, &setup.endpoint.name).await;
    let Some(mut live) = taken else { return gone() };
    let rights = (setup.who.granted, setup.who.rights);
    live.seat.set_rights(rights, Ended::Withdrawn.label());
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

/// Ends a session; with `drain`, first sends what is queued, without the lease: that comes before
/// whatever the next session writes.
pub(super) async fn close(live: Option<Live>, id: Option<u64>, drain: Option<Linger>) -> Done {
    let Some(live) = live else { return Done::Closed { id } };
    let Some(linger) = drain else {
        live.discard();
        return Done::Closed { id };
    };
    let mut leaving = Leaving::new(live, linger, Remainder::Drain);
    let lost = poll_fn(|cx| leaving.poll(cx)).await;
    if lost == 0 {
        return Done::Closed { id };
    }
    let (code, why) = if leaving.gave_up() {
        (Code::Timeout, "nothing moved for too long")
    } else {
        (Code::LineDown, "the device is gone")
    };
    Done::Refused {
        id,
        failure: Failure::new(code, format!("{lost} bytes were not sent: {why}")),
        bytes: Some(lost),
    }
}
