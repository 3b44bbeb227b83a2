//! What a gateway's messages change.

use serde::Deserialize;

use super::{
    super::{Error, Event, resend::Resend},
    Broken, Reply, ResumePoint, SessionState, Then,
};
use crate::wire::control::{Answer, Code, Failure, Opened, RightsNews, Tell};

/// A message; `None` if its type is newer than this client.
pub(super) fn read(text: &str) -> Result<Option<Tell>, Broken> {
    match Tell::parse(text) {
        Ok(tell) => Ok(Some(tell)),
        Err(error) if serde_json::from_str::<MessageType>(text).is_ok_and(|kind| kind.is_new()) => {
            tracing::debug!(%error, "a message of a newer gateway");
            Ok(None)
        }
        Err(error) => Err(Broken(format!("not a message: {error}"))),
    }
}

/// The word that says what a message is.
#[derive(Deserialize)]
struct MessageType {
    r#type: String,
}

impl MessageType {
    /// Whether its type is newer than this client.
    fn is_new(&self) -> bool {
        const MESSAGE_TYPES: [&str; 16] = [
            "hello", "opened", "resumed", "ok", "error", "ack", "gap", "signals", "config", "line",
            "time", "lease", "rights", "notice", "status", "pong",
        ];
        !MESSAGE_TYPES.contains(&self.r#type.as_str())
    }
}

impl SessionState {
    /// Handles a message that arrived.
    pub(super) fn told(&mut self, tell: Tell) -> Result<(), Broken> {
        match tell {
            Tell::Opened(opened) => self.opened(opened),
            Tell::Resumed(resumed) => self.resumed(resumed)?,
            Tell::Ok { re, answer } => self.ok(re, answer),
            Tell::Error { re: Some(re), code, message, .. } => {
                self.failed(re, Failure { code, message });
            }
            Tell::Error { re: None, code, message, bytes } => {
                self.say(Event::Error { code, message, bytes });
            }
            Tell::Pong { re } => self.answer(re.unwrap_or_default(), Ok(Reply::Pong)),
            Tell::Ack { tx } => {
                if self.place.is_some() {
                    let wrong = |_| Broken(format!("{tx} bytes acknowledged that were not sent"));
                    self.resend.ack(tx).map_err(wrong)?;
                }
            }
            Tell::Gap { from, to } => {
                if self.place.is_some() {
                    self.received = to;
                    self.say(Event::Gap { from, to });
                }
            }
            Tell::Hello(hello) => {
                self.hello = hello.clone();
                self.say(Event::Hello(Box::new(hello)));
            }
            Tell::Signals(inputs) => self.say(Event::Signals(inputs)),
            Tell::Config { settings, by } => self.say(Event::Config { settings, by }),
            Tell::Line { event, at, count } => self.say(Event::Line { event, at, count }),
            Tell::Time { at, ms } => self.say(Event::Time { at, ms }),
            Tell::Lease(lease) => self.say(Event::Lease(lease)),
            Tell::Rights(RightsNews { why: Some(message), .. }) => {
                self.say(Event::Error { code: Code::Denied, message, bytes: None });
            }
            Tell::Notice { from, text } => self.say(Event::Notice { from, text }),
            Tell::Status(status) => self.say(Event::Status(status)),
            // Whoever may write again finds out by writing, and only the bus sends the rest.
            Tell::Rights(_) | Tell::Rates { .. } | Tell::Lending { .. } => {}
        }
        Ok(())
    }

    fn opened(&mut self, opened: Opened) {
        let Some(one) = opened.re.and_then(|re| self.pending.get(&re)) else { return };
        let Then::Open(window) = one.then else { return };
        self.place =
            Some(ResumePoint { secret: opened.session.clone(), epoch: opened.epoch.clone() });
        let endpoint = self.hello.endpoint.as_ref();
        let whole = endpoint.is_some_and(|it| it.caps.iter().any(|cap| cap == "datagrams"));
        self.resend = Resend::new(opened.window, whole);
        self.window = window.into();
        (self.received, self.consumed, self.told) = (opened.rx, opened.rx, opened.rx);
        self.answer(opened.re.unwrap_or_default(), Ok(Reply::Opened(opened)));
    }

    fn resumed(&mut self, resumed: Opened) -> Result<(), Broken> {
        if resumed.re.is_none() || resumed.re != self.resuming || resumed.rx != self.received {
            return Err(Broken("`resumed` without its `resume`".into()));
        }
        self.resuming = None;
        // With the resume, the gateway counts what was received as acknowledged.
        self.told = self.told.max(self.consumed);
        let wrong = |_| Broken(format!("resumed at byte {}, which was not sent", resumed.tx));
        self.resend.resumed(resumed.tx).map_err(wrong)?;
        self.say(Event::Resumed(Box::new(resumed)));
        Ok(())
    }

    fn ok(&mut self, re: u64, answer: Answer) {
        if let Some(rx) = answer.rx
            && self.pending.get(&re).is_some_and(|one| one.then == Then::Flush)
        {
            self.flushed(rx);
        }
        self.answer(re, Ok(Reply::Ok(answer)));
    }

    /// The line's input was discarded: drops what came before `rx`.
    fn flushed(&mut self, rx: u64) {
        self.events.retain(|event| !matches!(event, Event::Data { .. } | Event::Gap { .. }));
        self.held = 0;
        (self.received, self.consumed, self.told) = (rx, rx, rx);
    }

    fn failed(&mut self, re: u64, failure: Failure) {
        let Failure { code, message } = failure;
        if self.resuming == Some(re) {
            self.resuming = None;
            self.leave(&message);
            return self.say(Event::Gone(message));
        }
        self.answer(re, Err(Error::Failed { code, message }));
    }
}
