//! The commands about a gateway on this machine.

use std::io;

use clap::Subcommand;

use super::{
    CommandError, Outcome, SysExit, add, audit, ca, capture, check, demo, doctor, enrol, extcap,
    grant, hub, import, kick, passwd, ports, record, request, say, serve, sessions, token, told,
    totp, watch, wish, wrap,
};

#[derive(Debug, Subcommand)]
pub(super) enum HereCommand {
    /// Run the gateway.
    Serve(serve::Args),
    /// Check a configuration and print what it means.
    Check(check::Args),
    /// List the serial ports of this machine.
    Ports(ports::Args),
    /// Add an endpoint, and put it in force.
    Add(add::Args),
    /// Write a configuration of ser2net, websockify or ttyd as one of ours.
    Import(import::Args),
    /// Find what is wrong with this machine or the configuration, and say what to type.
    Doctor(doctor::Args),
    /// List who is connected to the gateway of this machine.
    Sessions(sessions::Args),
    /// End a session.
    Kick(kick::KickArgs),
    /// Hold a session read-only, or let it go.
    Hold(kick::HoldArgs),
    /// Send a message to everybody on an endpoint.
    Say(say::Args),
    /// Show what a line says, as it says it.
    Watch(watch::Args),
    /// Lend access to an endpoint for a time: prints a link.
    Grant(grant::Args),
    /// List the access that is lent.
    Grants(grant::ListArgs),
    /// Take lent access back.
    Revoke(grant::RevokeArgs),
    /// Ask for access to a line of a gateway, and wait for the answer.
    Request(wish::Args),
    /// List the access that others ask for.
    Requests(request::Args),
    /// Approve a request for access.
    Approve(request::ApproveArgs),
    /// Deny a request for access.
    Deny(request::DenyArgs),
    /// Hash a password for `users:`.
    Passwd(passwd::Args),
    /// Give a user a second factor: codes of an authenticator app.
    Totp(totp::Args),
    /// Make an API token for `tokens:`.
    Token(token::Args),
    /// Show what passes an endpoint, live, to Wireshark.
    Capture(capture::Args),
    /// Show the lines of a gateway as interfaces in Wireshark.
    Extcap(extcap::Args),
    /// List, export and play the recordings of this gateway.
    Record(record::Args),
    /// Verify the record of who did what.
    Audit(audit::Args),
    /// Make the gateway's own certificate one that other devices can trust.
    Ca(ca::Args),
    /// Make this gateway known to a hub, so that people reach it there.
    Enrol(enrol::Args),
    /// The hub that this machine is: its gateways, and tokens for more of them.
    Hub(hub::Args),
    /// Run a gateway with simulated devices on loopback.
    Demo(demo::Args),
}

impl HereCommand {
    /// Runs it.
    pub(super) fn run(self, log_level: &str) -> Outcome {
        let syslog = if let Self::Serve(args) = &self { args.syslog.as_deref() } else { None };
        if matches!(self, Self::Serve(_) | Self::Demo(_)) {
            crate::logging::start(log_level, syslog)
                .map_err(|error| CommandError::new(SysExit::Usage, error))?;
        }
        match self {
            Self::Serve(args) => serve::run(&args),
            Self::Check(args) => {
                let width = wrap::width(io::stderr());
                told(check::run(&args, &mut io::stdout().lock(), (&mut io::stderr().lock(), width)))
            }
            Self::Ports(args) => told(ports::run(args, &mut io::stdout().lock())),
            Self::Add(args) => add::run(&args),
            Self::Import(args) => import::run(&args),
            Self::Doctor(args) => told(doctor::run(&args, &mut io::stdout().lock())),
            Self::Sessions(args) => sessions::run(&args),
            Self::Kick(args) => kick::kick(&args),
            Self::Hold(args) => kick::hold(&args),
            Self::Say(args) => say::run(&args),
            Self::Watch(args) => watch::run(&args),
            Self::Grant(args) => grant::run(&args),
            Self::Grants(args) => grant::list(&args),
            Self::Revoke(args) => grant::revoke(&args),
            Self::Request(args) => wish::run(&args),
            Self::Requests(args) => request::run(&args),
            Self::Approve(args) => request::approve(&args),
            Self::Deny(args) => request::deny(&args),
            Self::Passwd(args) => passwd::run(&args),
            Self::Totp(args) => totp::run(&args),
            Self::Token(args) => token::run(&args),
            Self::Capture(args) => capture::run(&args),
            Self::Extcap(args) => extcap::run(&args),
            Self::Record(args) => record::run(&args),
            Self::Audit(args) => audit::run(&args),
            Self::Ca(args) => ca::run(&args),
            Self::Enrol(args) => enrol::run(&args),
            Self::Hub(args) => hub::run(&args),
            Self::Demo(args) => demo::run(&args),
        }
    }
}
