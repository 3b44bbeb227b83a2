//! A gateway as its users' commands reach it: its address, whom to believe, how to get in, and what
//! its API answers.

mod access;
mod address;
mod kept;

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

pub(super) use self::{
    access::Access,
    address::Address,
    kept::{Kept, KeptTrust},
};
use super::{CommandError, SysExit};
#[cfg(unix)]
use crate::dial::{Streamed, stream};
use crate::{
    config::read_fingerprint,
    dial::{DialError, Dialler, Fetched, Proxies, Request, Trust},
};

/// Whom to believe.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct TrustArgs {
    /// Believe the authorities of this PEM file, in place of the system's.
    #[arg(long, value_name = "FILE", conflicts_with = "fingerprint")]
    pub(super) ca: Option<PathBuf>,
    /// Believe the certificate with this SHA-256, as the gateway's log has it, and no other.
    #[arg(long, value_name = "SHA256", value_parser = read_fingerprint)]
    pub(super) fingerprint: Option<[u8; 32]>,
}

impl TrustArgs {
    /// What was given, to be kept; `None`: nothing.
    pub(super) fn kept(&self) -> Option<KeptTrust> {
        let file = self.ca.as_ref().map(|file| std::path::absolute(file).unwrap_or(file.clone()));
        file.map(KeptTrust::Ca).or(self.fingerprint.map(KeptTrust::Fingerprint))
    }
}

/// A gateway, and how it is reached.
#[derive(Clone, Debug)]
pub(super) struct Gateway {
    /// Where it is.
    pub(super) address: Address,
    /// The way to it.
    pub(super) dialler: Dialler,
}

/// An endpoint as `GET /api/endpoints` tells it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) title: Option<String>,
    pub(super) kind: String,
    pub(super) state: Option<String>,
    /// `None`: each session has a connection of its own.
    pub(super) share: Option<String>,
    pub(super) holder: Option<ListedHolder>,
    pub(super) rights: Vec<String>,
}

/// Who holds its lease.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ListedHolder {
    pub(super) user: String,
}

impl Gateway {
    /// By what the command line says, else by what a sign-in was kept with.
    pub(super) fn new(address: Address, trust: &TrustArgs, kept: Option<&Kept>) -> Self {
        let trust = trust.kept().or(kept.and_then(|kept| kept.trust.clone()));
        let trust = match trust {
            None => Trust::System,
            Some(KeptTrust::Ca(file)) => Trust::File(file),
            Some(KeptTrust::Fingerprint(sum)) => Trust::Pinned(sum),
        };
        Self { address, dialler: Dialler { proxies: Proxies::of_environment(), trust } }
    }

    /// Asks its API; a body makes it a POST.
    pub(super) async fn ask(
        &self,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Fetched, CommandError> {
        let path = format!("{}{path}", self.address.prefix);
        let bearer = token.map(|token| format!("Bearer {token}"));
        let fields: Vec<_> = bearer.iter().map(|text| ("Authorization", text.as_str())).collect();
        let body = body.map(Value::to_string);
        let ask = Request { path: &path, fields: &fields, body: body.as_deref(), media: "" };
        self.dialler.fetch(&self.address.site, &ask).await.map_err(|error| unreached(&error))
    }

    /// The same; whatever is no success is an error that says why.
    pub(super) async fn get(
        &self,
        path: &str,
        access: &Access,
        body: Option<&Value>,
    ) -> Result<Value, CommandError> {
        let answer = self.ask(path, access.token(), body).await?;
        let text = String::from_utf8_lossy(&answer.body);
        match answer.status {
            200..=299 if text.trim().is_empty() => Ok(Value::Null),
            200..=299 => serde_json::from_str(&text).map_err(|_| {
                let what = format!("{} does not answer as a gateway does", self.address);
                CommandError::new(SysExit::Refused, what)
            }),
            status => Err(self.refused(status, &text, access)),
        }
    }

    /// Asks its API for what has no end; each piece of the answer goes to `piece` as it comes.
    #[cfg(unix)]
    pub(super) async fn stream(
        &self,
        path: &str,
        token: Option<&str>,
        piece: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<Streamed, CommandError> {
        let path = format!("{}{path}", self.address.prefix);
        let bearer = token.map(|token| format!("Bearer {token}"));
        let fields: Vec<_> = bearer.iter().map(|text| ("Authorization", text.as_str())).collect();
        let ask = Request { path: &path, fields: &fields, ..Request::default() };
        let site = &self.address.site;
        let mut io = self.dialler.dial(site).await.map_err(|error| unreached(&error))?;
        let streamed = stream(&mut io, &site.authority(), &ask, piece).await;
        streamed.map_err(|why| CommandError::new(SysExit::Unavailable, format!("{site}{why}")))
    }

    /// The endpoints that whoever asks may see.
    pub(super) async fn endpoints(
        &self,
        access: &Access,
    ) -> Result<(Value, Vec<Listed>), CommandError> {
        let told = self.get("/api/endpoints", access, None).await?;
        let list = told.get("endpoints").cloned().unwrap_or_default();
        let listed = serde_json::from_value(list).map_err(|_| {
            let what = format!("{} does not answer as a gateway does", self.address);
            CommandError::new(SysExit::Refused, what)
        })?;
        Ok((told, listed))
    }

    /// What a refusal means, and what to do.
    pub(super) fn refused(&self, status: u16, text: &str, access: &Access) -> CommandError {
        let said = text.lines().next().unwrap_or_default().trim();
        let said: String = said.chars().filter(|c| !c.is_control()).take(300).collect();
        let what = match status {
            401 => {
                format!("{} does not let you in: {}", self.address, access.advice(&self.address))
            }
            _ if said.is_empty() => format!("{} refused with HTTP {status}", self.address),
            _ => format!("{} refused with HTTP {status}: {said}", self.address),
        };
        CommandError::new(SysExit::Refused, what)
    }
}

fn unreached(error: &DialError) -> CommandError {
    let what = match error {
        DialError::Unreachable(why) => format!("cannot reach the gateway: {why}"),
        DialError::Untrusted(why) => untrusted(why),
    };
    CommandError::new(SysExit::Unavailable, what)
}

/// What to do about a certificate that nobody vouches for.
pub(super) fn untrusted(why: &str) -> String {
    format!(
        "{why}. If it is the gateway's own, get its authority (https://GATEWAY/ca.crt, compare the fingerprint with the \
         gateway's log) and name it with --ca FILE, or name the fingerprint of its certificate with --fingerprint"
    )
}
