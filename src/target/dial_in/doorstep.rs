//! A connection before it is let in: what it says first decides, and none of it is passed on.

use std::{future::poll_fn, net::SocketAddr, time::Duration};

use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    time::{sleep, timeout},
};

use super::Desk;
use crate::{
    config::{DialInTarget, contain},
    screen::{Screen, Verdict},
    wire::{
        close::Refusal,
        registration::{Registered, Registration},
    },
};

/// How long a device has to say who it is; a modem that has just connected may need some seconds.
const REGISTER_WITHIN: Duration = Duration::from_secs(30);

/// A device that needs no registration may speak first: so long is listened before it counts as one
/// that waits to be asked.
const SPEAKS_FIRST: Duration = Duration::from_millis(200);

/// Who is let in.
#[derive(Debug)]
pub(super) struct Rules {
    from: Vec<(std::net::IpAddr, u8)>,
    registration: Option<Registration>,
    keep_registration: bool,
    pub(super) keepalive: Option<Duration>,
    pub(super) desk: Desk,
}

/// A connection that is the device's.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) socket: TcpStream,
    pub(super) peer: SocketAddr,
    /// What it has said.
    pub(super) early: Vec<u8>,
    /// It has said nothing yet, and may still turn out to be a web page.
    pub(super) screen: Option<Screen>,
}

/// What became of a connection.
#[derive(Debug)]
pub(super) enum Met {
    Arrived(Arrival),
    Refused(TcpStream, SocketAddr, Refusal),
    /// It left without a word.
    Left,
}

impl Rules {
    pub(super) fn new(target: &DialInTarget, desk: Desk) -> Self {
        Self {
            from: target.from.clone(),
            registration: target.registration.clone(),
            keep_registration: target.keep_registration,
            keepalive: target.keepalive,
            desk,
        }
    }

    /// Whether it may come from there.
    pub(super) fn allow(&self, peer: SocketAddr) -> bool {
        peer.ip().to_canonical().is_loopback() || contain(&self.from, peer.ip())
    }

    /// Whether devices say who they are.
    pub(super) fn register(&self) -> bool {
        self.registration.is_some()
    }

    /// Hears what a connection says first.
    pub(super) async fn meet(&self, mut socket: TcpStream, peer: SocketAddr) -> Met {
        let heard = match &self.registration {
            None => match timeout(SPEAKS_FIRST, socket.peek(&mut [0])).await {
                Ok(Ok(_)) => heard(&mut socket).await,
                Ok(Err(_)) => return Met::Left,
                Err(_) => {
                    let (early, screen) = (Vec::new(), Some(Screen::default()));
                    return Met::Arrived(Arrival { socket, peer, early, screen });
                }
            },
            Some(pattern) => {
                let registered = registered(&mut socket, pattern, self.keep_registration);
                tokio::select! {
                    heard = registered => heard,
                    () = sleep(REGISTER_WITHIN) => Err(Some(Refusal::Registration)),
                }
            }
        };
        match heard {
            Ok(early) => Met::Arrived(Arrival { socket, peer, early, screen: None }),
            Err(Some(refusal)) => Met::Refused(socket, peer, refusal),
            Err(None) => Met::Left,
        }
    }
}

/// The first bytes, once it is clear that no web page sent them.
async fn heard(socket: &mut TcpStream) -> Result<Vec<u8>, Option<Refusal>> {
    let (mut screen, mut buf) = (Screen::default(), [0; 1024]);
    let verdict = loop {
        tokio::select! {
            biased;
            verdict = poll_fn(|cx| screen.poll(cx)) => break verdict,
            read = socket.read(&mut buf) => match read {
                Ok(0) => break screen.end(),
                Ok(n) => screen.take(buf.split_at(n).0),
                Err(_) => return Err(None),
            },
        }
    };
    match verdict {
        Verdict::Pass(bytes) if bytes.is_empty() => Err(None),
        Verdict::Pass(bytes) => Ok(bytes),
        Verdict::Foreign(foreign) => Err(Some(Refusal::Opening(foreign))),
    }
}

/// What comes with and after the registration, of which nothing is data unless `keep` says so.
async fn registered(
    socket: &mut TcpStream,
    pattern: &Registration,
    keep: bool,
) -> Result<Vec<u8>, Option<Refusal>> {
    let (mut bytes, mut buf) = (heard(socket).await?, [0; 1024]);
    loop {
        match pattern.look(&bytes) {
            Registered::Whole(_) if keep => return Ok(bytes),
            Registered::Whole(length) => return Ok(bytes.split_off(length)),
            Registered::Not => return Err(Some(Refusal::Registration)),
            Registered::Prefix => {}
        }
        match socket.read(&mut buf).await {
            Ok(0) => return Err(Some(Refusal::Registration)),
            Ok(n) => bytes.extend_from_slice(buf.split_at(n).0),
            Err(_) => return Err(None),
        }
    }
}
