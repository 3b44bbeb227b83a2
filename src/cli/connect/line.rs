//! A line of a gateway, and a session on it.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::Duration;

use super::{
    super::{
        CommandError, SysExit,
        gateway::{Access, Gateway, Listed, untrusted},
    },
    told::Told,
};
use crate::client::{Client, Code, Dial, Error, Events, Inputs, LeaseOp, Open, Role, Settings};

/// How long the gateway may take to notice that we are away, beside the time it then waits.
const NOTICE: Duration = Duration::from_secs(30);

/// A line, and what is shown to get there.
#[derive(Clone, Debug)]
pub(super) struct Line {
    gateway: Gateway,
    access: Access,
    /// As far as it is known.
    endpoint: Listed,
    at_once: bool,
    pub(super) told: Told,
}

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Parted {
    /// Both sides have said all, and it has arrived.
    Ended,
    /// The program has left.
    Tool(String),
    /// Bytes that a web page may have sent.
    Page(&'static str),
    /// Somebody else writes, or there is no room: later perhaps.
    Busy(String),
    /// Bytes are missing, one way or the other.
    Incomplete(String),
    /// The gateway says no.
    Refused(String),
    /// The session is gone for good.
    Gone(String),
    /// The gateway or the device is not there.
    Unreachable(String),
}

impl Parted {
    /// As the command ends with it.
    pub(super) fn outcome(self) -> Result<(), CommandError> {
        let (code, why) = match self {
            Self::Ended => return Ok(()),
            Self::Tool(why) => (SysExit::Io, why),
            Self::Page(what) => (SysExit::Refused, what.to_owned()),
            Self::Busy(why) | Self::Refused(why) => (SysExit::Refused, why),
            Self::Incomplete(why) | Self::Gone(why) => (SysExit::Gone, why),
            Self::Unreachable(why) => (SysExit::Unavailable, why),
        };
        Err(CommandError::new(code, why))
    }
}

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) writer: Writer,
    pub(super) events: Events,
    /// As they were when it began, where the line has them.
    pub(super) settings: Option<Settings>,
    pub(super) inputs: Option<Inputs>,
}

/// Its writing half.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) client: Client,
    /// Whether it may write without asking.
    pub(super) writes: AtomicBool,
}

impl Line {
    /// The endpoint of that name, if the gateway has it.
    pub(super) async fn find(
        gateway: Gateway,
        access: Access,
        name: &str,
    ) -> Result<Self, CommandError> {
        let (_, listed) = gateway.endpoints(&access).await?;
        let names: Vec<_> = listed.iter().map(|one| one.name.clone()).collect();
        let Some(endpoint) = listed.into_iter().find(|one| one.name == name) else {
            let what = match names.as_slice() {
                [] => format!("{} has no endpoint that you may see", gateway.address),
                names => format!(
                    "{} has no endpoint `{name}` that you may see; there is {}",
                    gateway.address,
                    names.join(", ")
                ),
            };
            return Err(CommandError::new(SysExit::Refused, what));
        };
        Ok(Self { endpoint, ..Self::unknown(gateway, access, name) })
    }

    /// An endpoint of which nothing is known yet.
    pub(super) fn unknown(gateway: Gateway, access: Access, name: &str) -> Self {
        let share = Some("one-writer".to_owned());
        let endpoint = Listed { name: name.to_owned(), share, ..Listed::default() };
        Self { gateway, access, endpoint, at_once: false, told: Told::new() }
    }

    /// Who is told, and whether a session begins as the writer.
    pub(super) fn told(self, told: Told, at_once: bool) -> Self {
        Self { at_once, told, ..self }
    }

    /// Told in a terminal that is raw.
    pub(super) fn raw(self) -> Self {
        Self { told: self.told.raw(), ..self }
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.endpoint.name
    }

    /// The gateway.
    pub(super) fn gateway(&self) -> String {
        self.gateway.address.to_string()
    }

    /// Whether a session waits for the first byte: it would keep others out.
    pub(super) fn waits(&self) -> bool {
        !self.at_once && self.endpoint.share.as_deref() == Some("exclusive")
    }

    /// The part a session begins with: who has sent nothing keeps nobody from writing.
    fn role(&self) -> Role {
        match self.endpoint.share.as_deref() {
            // A connection of its own.
            None => Role::Writer,
            Some(_) if self.at_once => Role::Writer,
            Some("everyone") => Role::Auto,
            Some(_) => Role::Observer,
        }
    }

    /// Begins a session.
    pub(super) async fn open(&self) -> Result<Session, Parted> {
        let url = self.gateway.address.socket(self.name());
        let dial = Dial::new(url).by(self.gateway.dialler.clone());
        let dial = match self.access.token() {
            Some(token) => dial.bearer(token),
            None => dial,
        };
        let (client, events) = Client::connect(dial).await.map_err(|error| self.parted(error))?;
        let opened = client.open(Open { role: self.role(), ..Open::default() }).await;
        let opened = opened.map_err(|error| self.parted(error))?;
        let writes = AtomicBool::new(opened.role == Role::Writer);
        let (settings, inputs) = (opened.config, opened.signals);
        Ok(Session { writer: Writer { client, writes }, events, settings, inputs })
    }

    /// What an error means here.
    pub(super) fn parted(&self, error: Error) -> Parted {
        let name = self.name();
        match error {
            Error::Unreachable(why) => {
                Parted::Unreachable(format!("cannot reach the gateway: {why}"))
            }
            Error::Untrusted(why) => Parted::Unreachable(untrusted(&why)),
            Error::Refused { status: status @ (502..=504), body } => {
                Parted::Unreachable(format!("{name}: HTTP {status}: {body}"))
            }
            Error::Refused { status: status @ (409 | 429), body } => {
                Parted::Busy(format!("{name}: HTTP {status}: {body}"))
            }
            Error::Refused { status, body } => {
                Parted::Refused(self.gateway.refused(status, &body, &self.access).message)
            }
            Error::Failed { code: Code::Busy | Code::Limit, message } => {
                Parted::Busy(format!("{name}: {message}"))
            }
            Error::Failed { code: Code::LineDown, message } => {
                Parted::Unreachable(format!("{name}: {message}"))
            }
            Error::Failed { message, .. } => Parted::Refused(format!("{name}: {message}")),
            Error::Foreign(_) => Parted::Refused(error.to_string()),
            Error::Lost | Error::Closed(_) => Parted::Gone(format!("{name}: {error}")),
        }
    }

    /// What a Close of the gateway's means here.
    pub(super) fn closed(&self, code: Option<u16>, reason: &str) -> Parted {
        let said = if reason.is_empty() { "closed by the gateway" } else { reason };
        let why = format!("{}: {said}", self.name());
        match code {
            Some(1000) => Parted::Ended,
            Some(4401) => {
                let advice = self.access.advice(&self.gateway.address);
                Parted::Refused(format!("{why}: {advice}"))
            }
            Some(4403 | 4404) => Parted::Refused(why),
            Some(4409 | 4429) => Parted::Busy(why),
            Some(4450) => Parted::Unreachable(why),
            Some(4451) => Parted::Incomplete(why),
            Some(_) | None => Parted::Gone(why),
        }
    }
}

impl Writer {
    /// The longest a session can outlive its connection.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_secs(self.client.hello().resume) + NOTICE
    }

    /// Takes the lease, if nobody has it who is there.
    pub(super) async fn claim(&self) -> Result<(), Error> {
        while !self.writes.load(Ordering::Relaxed) {
            match self.client.lease(LeaseOp::Claim).await {
                Ok(()) => self.writes.store(true, Ordering::Relaxed),
                // The connection was lost before the answer came.
                Err(Error::Lost) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }
}
