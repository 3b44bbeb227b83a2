//! A line in the terminal: keys go to the device, what it says is shown, and commands stand behind
//! Ctrl-].

mod keys;
mod shown;
mod transfer;

use std::{
    fs::File,
    future::pending,
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use tokio::{
    io::{AsyncReadExt as _, stdin},
    sync::mpsc,
    task::JoinSet,
};

pub(super) use self::keys::Eol;
use self::{
    keys::{Key, Keys, Typed},
    shown::Shown,
    transfer::{CANCEL, Transfer},
};
use super::{
    super::{CommandError, Outcome, SysExit, stop::stopped, typing::Typing},
    line::{Line, Parted, Session, Writer},
};
use crate::client::{Code, Error, Event, Events, LeaseNews, LeaseOp, Levels, Role, Step};

/// Pieces that were typed and wait for the line; then keys wait in the terminal.
const TYPED_MAX: usize = 64;

/// How long a break lasts.
const BREAK: Duration = Duration::from_millis(250);

const HELP: &str = "behind Ctrl-]:  b break   d DTR   r RTS   l ask for the lease, or give it back   L take it   s send a file   x receive files   \
                    t times   h hex   q quit   Ctrl-] sends a Ctrl-]";

/// How a line is shown.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct ViewArgs {
    /// Append what the line says to this file, as it is shown.
    #[arg(long, value_name = "FILE", conflicts_with = "way")]
    log: Option<PathBuf>,
    /// Begin each line with the time (UTC).
    #[arg(long, conflicts_with = "way")]
    timestamps: bool,
    /// Show what the line says in hex.
    #[arg(long, conflicts_with = "way")]
    hex: bool,
    /// What Enter sends.
    #[arg(long, value_enum, default_value_t, conflicts_with = "way")]
    eol: Eol,
}

/// Runs it until somebody quits or the session is gone.
pub(super) async fn terminal(line: &Line, args: &ViewArgs) -> Outcome {
    if !io::stdin().is_terminal() {
        let what =
            "standard input is no terminal; for programs there are --stdio and --tcp ADDRESS";
        return Err(CommandError::new(SysExit::Usage, what));
    }
    let log =
        args.log.as_ref().map(|file| {
            File::options().append(true).create(true).open(file).map_err(|error| {
                CommandError::new(SysExit::Io, format!("{}: {error}", file.display()))
            })
        });
    let log = log.transpose()?;
    let session = match line.open().await {
        Ok(session) => session,
        Err(parted) => return parted.outcome(),
    };
    line.told.state(&format!(
        "{} of {}; Ctrl-] then ? shows the keys",
        line.name(),
        line.gateway()
    ));
    let Session { writer, mut events, .. } = session;
    let writer = Arc::new(writer);
    let parted = {
        let _typing = Typing::raw()
            .map_err(|error| CommandError::new(SysExit::Io, format!("the terminal: {error}")))?;
        let line = line.clone().raw();
        let (typed, waiting) = mpsc::channel(TYPED_MAX);
        let mut screen = Screen {
            line: &line,
            writer: &writer,
            keys: Keys::new(args.eol),
            shown: Shown::new(args.timestamps, args.hex),
            log,
            typed,
            asked: None,
            transfer: None,
            jobs: JoinSet::new(),
        };
        tokio::select! {
            parted = screen.run(&mut events) => parted,
            parted = send(&line, &writer, waiting) => parted,
            () = stopped() => Parted::Ended,
        }
    };
    if let Some(writer) = Arc::into_inner(writer) {
        writer.client.end().await;
    }
    parted.outcome()
}

/// Sends what was typed, in its order.
async fn send(line: &Line, writer: &Writer, mut typed: mpsc::Receiver<Vec<u8>>) -> Parted {
    while let Some(bytes) = typed.recv().await {
        match writer.claim().await {
            Ok(()) => {}
            Err(Error::Failed { code: Code::Busy, message }) => {
                line.told.fault(&format!("held by {message}; Ctrl-] l asks for it"));
                continue;
            }
            Err(Error::Failed { message, .. }) => {
                line.told.fault(&message);
                continue;
            }
            // Why, the events say.
            Err(_) => break,
        }
        if writer.client.write(&bytes).await.is_err() {
            break;
        }
    }
    pending().await
}

struct Screen<'a> {
    line: &'a Line,
    writer: &'a Arc<Writer>,
    keys: Keys,
    shown: Shown,
    log: Option<File>,
    typed: mpsc::Sender<Vec<u8>>,
    /// Whether a file is to be sent (true) or received, once it is named.
    asked: Option<bool>,
    transfer: Option<Transfer>,
    jobs: JoinSet<Result<String, String>>,
}

impl Screen<'_> {
    async fn run(&mut self, events: &mut Events) -> Parted {
        let (mut input, mut keys) = (stdin(), [0; 1024]);
        loop {
            let room = self.typed.capacity() > 0;
            tokio::select! {
                event = events.next() => {
                    if let Some(parted) = self.happened(event).await {
                        return parted;
                    }
                }
                read = input.read(&mut keys), if room => match read {
                    Ok(read @ 1..) => {
                        if self.pressed(keys.get(..read).unwrap_or_default()).await {
                            return Parted::Ended;
                        }
                    }
                    Ok(_) | Err(_) => return Parted::Ended,
                },
                bytes = output(self.transfer.as_mut()), if room => self.transferred(bytes).await,
                Some(job) = self.jobs.join_next() => match job {
                    Ok(Ok(done)) => self.line.told.state(&done),
                    Ok(Err(why)) => self.line.told.fault(&why),
                    Err(error) => self.line.told.fault(&error.to_string()),
                },
            }
        }
    }

    /// Something happened on the line. Some: it was the last.
    async fn happened(&mut self, event: Option<Event>) -> Option<Parted> {
        let told = self.line.told;
        match event {
            None => return Some(Parted::Gone("the connection has ended".into())),
            Some(Event::Data { at, bytes }) => match &mut self.transfer {
                Some(transfer) => transfer.feed(&bytes).await,
                None => self.show(at, &bytes),
            },
            Some(Event::Gap { from, to }) => {
                told.fault(&format!("{} bytes were missed", to - from));
            }
            Some(Event::Lost(why)) => {
                told.state(&format!("the connection is lost ({why}); reconnecting"));
            }
            Some(Event::Resumed(_)) => told.state("resumed; nothing was lost"),
            Some(Event::Lease(news)) => self.lease_passed(news),
            Some(Event::Status(status)) if status.state == "down" => {
                told.fault(&format!(
                    "the device is not there: {}",
                    status.error.unwrap_or_default()
                ));
            }
            Some(Event::Error { message, .. }) => told.fault(&message),
            Some(Event::Notice { from, text }) => {
                told.state(&format!("message from {from}: {text}"));
            }
            Some(Event::Line { event, .. }) => told.state(&format!("{event:?} on the line")),
            Some(Event::Gone(why)) => {
                return Some(Parted::Gone(format!(
                    "{}: the session is gone: {why}",
                    self.line.name()
                )));
            }
            Some(Event::Closed { code, reason }) => return Some(self.line.closed(code, &reason)),
            Some(
                Event::Signals(_)
                | Event::Config { .. }
                | Event::Time { .. }
                | Event::Status(_)
                | Event::Hello(_),
            ) => {}
        }
        None
    }

    fn lease_passed(&self, news: LeaseNews) {
        let told = self.line.told;
        let writes = news.you == Role::Writer;
        let before = self.writer.writes.swap(writes, Ordering::Relaxed);
        if let Some(asker) = news.request.filter(|_| writes) {
            told.state(&format!("{} asks for the lease; Ctrl-] l gives it", asker.user));
        }
        match (before, writes, news.holder) {
            (false, true, _) => told.state("you write"),
            (true, false, Some(holder)) => {
                told.state(&format!("{} writes now; you read", holder.user));
            }
            (true, false, None) => told.state("you read"),
            (true, true, _) | (false, false, _) => {}
        }
    }

    fn show(&mut self, at: u64, bytes: &[u8]) {
        let shown = self.shown.show(at, bytes, SystemTime::now());
        let mut out = io::stdout().lock();
        // A terminal that is gone ends this by its signal.
        let _ = out.write_all(&shown).and_then(|()| out.flush());
        if let Some(log) = &mut self.log
            && let Err(error) = log.write_all(&shown)
        {
            self.line.told.fault(&format!("the log: {error}; it ends here"));
            self.log = None;
        }
    }

    /// Keys were pressed. True: the end.
    async fn pressed(&mut self, keys: &[u8]) -> bool {
        for one in self.keys.read(keys) {
            if self.typed(one).await {
                return true;
            }
        }
        false
    }

    /// Something was typed. True: the end.
    async fn typed(&mut self, typed: Typed) -> bool {
        match typed {
            Typed::Bytes(bytes) if self.transfer.is_some() => {
                // Ctrl-C, as everywhere.
                if bytes.contains(&3) {
                    self.cancel().await;
                }
            }
            Typed::Bytes(bytes) => drop(self.typed.send(bytes).await),
            Typed::Echo(bytes) => {
                drop(io::stdout().write_all(&bytes).and_then(|()| io::stdout().flush()));
            }
            Typed::Answer(answer) => self.answered(answer.as_deref()),
            Typed::Key(Key::Quit) => return true,
            Typed::Key(key) => self.key(key).await,
        }
        false
    }

    async fn key(&mut self, key: Key) {
        let told = self.line.told;
        match key {
            Key::Help => told.fault(HELP),
            Key::Unknown => told.fault("no such key; Ctrl-] ? shows them"),
            Key::Timestamps => self.shown.timestamps = !self.shown.timestamps,
            Key::Hex => self.shown.hex = !self.shown.hex,
            Key::Send | Key::Receive if self.transfer.is_some() => self.cancel().await,
            Key::Send => self.ask(true, "file to send by ZMODEM (x:FILE XMODEM, y:FILE YMODEM): "),
            Key::Receive => {
                self.ask(false, "Enter to receive by ZMODEM (x:FILE XMODEM, y: YMODEM) ");
            }
            Key::Break => self.steps("a break of 250 ms", |_| {
                let step = |brk, hold| Step {
                    change: Levels { brk: Some(brk), ..Levels::default() },
                    hold,
                    at: None,
                };
                vec![step(true, BREAK), step(false, Duration::ZERO)]
            }),
            Key::Dtr => self.steps("DTR", |now| {
                // Whoever opened the port has raised it, and nobody has moved it since.
                let dtr = Some(!now.dtr.unwrap_or(true));
                vec![Step {
                    change: Levels { dtr, ..Levels::default() },
                    hold: Duration::ZERO,
                    at: None,
                }]
            }),
            Key::Rts => self.steps("RTS", |now| {
                let rts = Some(!now.rts.unwrap_or(true));
                vec![Step {
                    change: Levels { rts, ..Levels::default() },
                    hold: Duration::ZERO,
                    at: None,
                }]
            }),
            Key::Lease => self.lease(None),
            Key::Take => self.lease(Some(LeaseOp::Take)),
            Key::Quit => {}
        }
    }

    fn steps(
        &mut self,
        what: &'static str,
        steps: impl FnOnce(Levels) -> Vec<Step> + Send + 'static,
    ) {
        let writer = Arc::clone(self.writer);
        self.jobs.spawn(async move {
            let done = async {
                writer.claim().await?;
                let now = writer.client.get().await?.outputs.unwrap_or_default();
                let steps = steps(now);
                let last = steps.last().map(|step| step.change).unwrap_or_default();
                writer.client.signals(steps).await?;
                Ok(last)
            };
            match done.await {
                Ok(Levels { dtr: Some(on), .. } | Levels { rts: Some(on), .. }) => {
                    Ok(format!("{what} is {}", if on { "on" } else { "off" }))
                }
                Ok(_) => Ok(format!("{what} was sent")),
                Err(error) => Err(format!("{what}: {}", said(error))),
            }
        });
    }

    fn lease(&mut self, op: Option<LeaseOp>) {
        let writer = Arc::clone(self.writer);
        self.jobs.spawn(async move {
            let holds = writer.writes.load(Ordering::Relaxed);
            let op = op.unwrap_or(if holds { LeaseOp::Release } else { LeaseOp::Request });
            let done = match op {
                LeaseOp::Release => "the lease is given back",
                LeaseOp::Request => "the lease is asked for",
                LeaseOp::Claim | LeaseOp::Take | LeaseOp::Grant | LeaseOp::Deny => {
                    "the lease is yours"
                }
            };
            writer.client.lease(op).await.map(|()| done.to_owned()).map_err(said)
        });
    }

    fn ask(&mut self, send: bool, question: &str) {
        self.asked = Some(send);
        self.keys.ask();
        let mut err = io::stderr();
        // A question that is not seen does no harm.
        let _ = write!(err, "\r\nwsbridge: {question}").and_then(|()| err.flush());
    }

    fn answered(&mut self, answer: Option<&str>) {
        let told = self.line.told;
        let (Some(answer), Some(send)) = (answer, self.asked.take()) else {
            return told.fault("never mind");
        };
        let begun = if send { Transfer::send(answer) } else { Transfer::receive(answer) };
        match begun {
            Ok(transfer) => {
                self.transfer = Some(transfer);
                told.fault("the transfer begins; Ctrl-C ends it");
            }
            Err(error) => told.fault(&error.to_string()),
        }
    }

    /// The program has something for the device, or is at its end.
    async fn transferred(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            return drop(self.typed.send(bytes).await);
        }
        if let Some(transfer) = self.transfer.take() {
            self.jobs.spawn(async move { Ok(transfer.outcome().await) });
        }
    }

    async fn cancel(&mut self) {
        self.transfer = None;
        drop(self.typed.send(CANCEL.to_vec()).await);
        self.line.told.fault("the transfer was cancelled");
    }
}

async fn output(transfer: Option<&mut Transfer>) -> Vec<u8> {
    match transfer {
        Some(transfer) => transfer.read().await,
        None => pending().await,
    }
}

/// What a person is told of an error.
fn said(error: Error) -> String {
    if let Error::Failed { code: Code::Busy, message } = error {
        return format!("held by {message}");
    }
    if let Error::Failed { message, .. } = error { message } else { error.to_string() }
}
