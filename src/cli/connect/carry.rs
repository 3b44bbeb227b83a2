//! Bytes between a program and a session, both ways, until one of them has ended.

use std::{
    future::pending,
    sync::atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, stdin, stdout},
    sync::watch,
    time::{Duration, Instant, sleep_until},
};

use super::{
    super::{Outcome, stop::stopped},
    guard::Opening,
    line::{Line, Parted, Session, Writer},
};
use crate::client::{Code, Error, Event, Events, LeaseNews, Role};

/// How long a line must be silent behind the end of what a program sends: that end goes no
/// further, and its answer may be on the way.
const QUIET: Duration = Duration::from_secs(2);

/// Bytes of one read from a program.
pub(super) const READ_MAX: usize = 16 * 1024;

/// Carries bytes between a program and a session. Whatever a lost connection takes with it is sent
/// again when it is back.
pub(super) async fn carry<R, W>(
    line: &Line,
    session: &mut Session,
    (from, to): (&mut R, &mut W),
    opening: Opening,
) -> Parted
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let Session { writer, events, .. } = session;
    let (held, heard) = (AtomicUsize::new(0), watch::Sender::new(Instant::now()));
    let parted = tokio::select! {
        biased;
        parted = down(line, writer, events, to, |event| {
            if let Event::Data { .. } = event {
                heard.send_replace(Instant::now());
            }
        }) => parted,
        parted = async {
            let parted = up(line, (writer, &held), from, opening).await;
            if parted != Parted::Ended {
                return parted;
            }
            silence(&heard).await;
            writer.client.finish();
            pending().await
        } => parted,
    };
    left(line, parted, held.load(Ordering::Relaxed) as u64 + writer.client.outstanding())
}

/// How it ended, with so many bytes that were not sent.
pub(super) fn left(line: &Line, parted: Parted, left: u64) -> Parted {
    if left == 0 {
        return parted;
    }
    if let Parted::Gone(why) = parted {
        return Parted::Gone(format!("{why}; up to {left} bytes were not sent"));
    }
    if parted == Parted::Ended {
        return Parted::Incomplete(format!("{}: {left} bytes were not sent", line.name()));
    }
    parted
}

/// Ready when nothing has come for a while.
async fn silence(heard: &watch::Sender<Instant>) {
    heard.send_replace(Instant::now());
    loop {
        let last = *heard.borrow();
        sleep_until(last + QUIET).await;
        if *heard.borrow() == last {
            return;
        }
    }
}

/// From the program to the line, until it has ended and all of it has arrived. `held` is what was read and has not gone on.
async fn up<R: AsyncRead + Unpin>(
    line: &Line,
    (writer, held): (&Writer, &AtomicUsize),
    from: &mut R,
    opening: Opening,
) -> Parted {
    let mut bytes = match opening.read(from).await {
        Ok(bytes) => bytes,
        Err(parted) => return parted,
    };
    loop {
        held.store(bytes.len(), Ordering::Relaxed);
        if !bytes.is_empty() {
            match writer.claim().await {
                Ok(()) => {}
                // Why, the events say.
                Err(Error::Closed(_)) => return pending().await,
                Err(Error::Failed { code: Code::Busy, message }) => {
                    return Parted::Busy(format!("{} is held by {message}", line.name()));
                }
                Err(error) => return line.parted(error),
            }
            if writer.client.write(&bytes).await.is_err() {
                return pending().await;
            }
            held.store(0, Ordering::Relaxed);
        }
        bytes.resize(READ_MAX, 0);
        match from.read(&mut bytes).await {
            Ok(0) => break,
            Ok(read) => bytes.truncate(read),
            Err(error) => return Parted::Tool(error.to_string()),
        }
    }
    // Over whatever connection it takes: behind a Close nothing is resumed.
    while let Err(Error::Lost) = writer.client.drain().await {}
    Parted::Ended
}

/// From the line to the program.
pub(super) async fn down<W: AsyncWrite + Unpin>(
    line: &Line,
    writer: &Writer,
    events: &mut Events,
    to: &mut W,
    seen: impl Fn(&Event),
) -> Parted {
    let mut until = None;
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = passed(until) => {
                let time = writer.patience().as_secs();
                return Parted::Gone(format!("{}: the gateway was away for {time} s", line.name()));
            }
        };
        if let Some(event) = &event {
            seen(event);
        }
        match event {
            Some(Event::Data { bytes, .. }) => {
                let written = async {
                    to.write_all(&bytes).await?;
                    to.flush().await
                };
                if let Err(error) = written.await {
                    return Parted::Tool(error.to_string());
                }
            }
            Some(Event::Lost(why)) => {
                until.get_or_insert_with(|| Instant::now() + writer.patience());
                let name = line.name();
                line.told.state(&format!("{name}: the connection is lost ({why}); reconnecting"));
            }
            Some(Event::Resumed(_)) => {
                until = None;
                line.told.state(&format!("{}: resumed; nothing was lost", line.name()));
            }
            Some(other) => {
                if let Some(parted) = judge(line, writer, other) {
                    return parted;
                }
            }
            None => return Parted::Gone(format!("{}: the connection has ended", line.name())),
        }
    }
}

async fn passed(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => pending().await,
    }
}

/// Whether something that happened ends a session that may miss no byte.
fn judge(line: &Line, writer: &Writer, event: Event) -> Option<Parted> {
    let name = line.name();
    match event {
        Event::Gap { from, to } => {
            let missed = to - from;
            Some(Parted::Incomplete(format!(
                "{name}: {missed} bytes were overwritten before they were read"
            )))
        }
        Event::Error { code, message, bytes: Some(bytes) } if bytes > 0 => {
            let busy = matches!(code, Code::NotWriter);
            let why = format!("{name}: {message}");
            Some(if busy { Parted::Busy(why) } else { Parted::Incomplete(why) })
        }
        Event::Lease(LeaseNews { you: Role::Observer, reason, holder, .. }) => {
            let wrote = writer.writes.swap(false, Ordering::Relaxed);
            let taken = wrote && reason.as_deref() == Some("taken");
            let by = holder.map_or_else(String::new, |it| format!(" by {}", it.user));
            taken.then(|| Parted::Busy(format!("{name} was taken over{by}")))
        }
        Event::Status(status) if status.state == "down" => {
            let why = status.error.unwrap_or_default();
            line.told.state(&format!("{name}: the device is not there: {why}"));
            None
        }
        Event::Notice { from, text } => {
            line.told.state(&format!("{name}: message from {from}: {text}"));
            None
        }
        Event::Gone(why) => Some(Parted::Gone(format!("{name}: the session is gone: {why}"))),
        Event::Closed { code, reason } => Some(line.closed(code, &reason)),
        Event::Data { .. }
        | Event::Signals(_)
        | Event::Config { .. }
        | Event::Line { .. }
        | Event::Time { .. }
        | Event::Lease(_)
        | Event::Status(_)
        | Event::Error { .. }
        | Event::Hello(_)
        | Event::Lost(_)
        | Event::Resumed(_) => None,
    }
}

/// Standard input and output, for as long as one of them is open.
pub(super) async fn stdio(line: &Line) -> Outcome {
    let (mut from, mut to) = (stdin(), stdout());
    let opening = if line.waits() {
        match Opening::Any.read(&mut from).await {
            Ok(bytes) => Opening::Read(bytes),
            Err(parted) => return parted.outcome(),
        }
    } else {
        Opening::Any
    };
    let mut session = match line.open().await {
        Ok(session) => session,
        Err(parted) => return parted.outcome(),
    };
    let parted = tokio::select! {
        parted = carry(line, &mut session, (&mut from, &mut to), opening) => parted,
        () = stopped() => Parted::Ended,
    };
    session.writer.client.end().await;
    // Whoever reads or writes has gone: nothing is wrong with the line.
    if let Parted::Tool(_) = parted { Ok(()) } else { parted.outcome() }
}
