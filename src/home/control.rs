//! A gateway's end of the control socket to its hub.

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Message,
        client::IntoClientRequest as _,
        http::{HeaderValue, header},
        protocol::WebSocketConfig,
    },
};

use super::{Identity, Outcome, Way, card::card, link};
use crate::{
    auth::unix_now,
    fleet::Standing,
    http::Bridge,
    stream::Stream,
    tls::BUILT,
    wire::{
        assertion::{Assertion, Audience},
        home::{FromGateway, FromHub, HOME_PROTOCOL, MESSAGE_MAX},
    },
};

/// How long the handshake and the welcome may take.
const WELCOME: Duration = Duration::from_secs(20);
/// How often the hub is pinged: often enough for most NATs, which forget what is idle for longer.
const HEARTBEAT: Duration = Duration::from_secs(45);
/// How long a pong may take.
const PONG: Duration = Duration::from_secs(15);
/// How often it is looked at whether the lines have changed.
const LOOK: Duration = Duration::from_secs(2);
/// How long a message may take to go out.
const OUT: Duration = Duration::from_secs(10);
/// A clock that differs from the hub's by more than this is told, in seconds.
const SKEW: i64 = 60;

type Socket = WebSocketStream<Stream>;

/// Connects, and serves the socket to its end.
pub(super) async fn serve(
    bridge: &Arc<Bridge>,
    identity: &Identity,
    way: &Way,
    instance: &str,
) -> Outcome {
    let mut socket = match timeout(WELCOME, open(identity, way)).await {
        Ok(Ok(socket)) => socket,
        Ok(Err(why)) => return Outcome::Failed(why),
        Err(_) => return Outcome::Failed("the hub does not answer".to_owned()),
    };
    let hello = FromGateway::Hello {
        instance: instance.to_owned(),
        version: concat!("wsbridge/", env!("CARGO_PKG_VERSION")).to_owned(),
    };
    if let Err(why) = say(&mut socket, &hello).await {
        return Outcome::Failed(why);
    }
    let skew = match timeout(WELCOME, next(&mut socket)).await {
        Ok(Ok(Some(FromHub::Welcome { hub, gateway, time }))) => {
            if hub != identity.hub || gateway != identity.gateway {
                let what = format!("the hub calls itself {hub} and us {gateway}: enrol anew");
                return Outcome::Failed(what);
            }
            time.saturating_sub(unix_now())
        }
        Ok(Ok(Some(FromHub::Bye { reason, after }))) => {
            return Outcome::Bye(reason, Duration::from_secs(after.min(3600)));
        }
        Ok(Err(why)) => return Outcome::Failed(why),
        Ok(Ok(_)) | Err(_) => return Outcome::Failed("the hub does not welcome us".to_owned()),
    };
    if skew.abs() > SKEW {
        tracing::warn!(seconds = skew, "the hub's clock differs from this gateway's");
    }
    let hub = identity.url();
    tracing::info!(hub, gateway = identity.gateway, "connected to the hub");
    bridge.home.send_replace(Standing::Connected {
        hub,
        gateway: identity.gateway.clone(),
        since: crate::line::rfc3339(std::time::SystemTime::now()),
    });
    Calls { bridge, identity, way, instance, skew }.serve(&mut socket).await
}

/// Dials, and does the handshakes.
async fn open(identity: &Identity, way: &Way) -> Result<Socket, String> {
    let stream = way.dialler.dial_stream(&identity.site).await.map_err(|why| why.to_string())?;
    stream.tune();
    let url = format!("wss://{}/home", identity.site.authority());
    let mut request = url.into_client_request().map_err(|error| error.to_string())?;
    let protocol = HeaderValue::from_static(HOME_PROTOCOL);
    request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    let limits = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_MAX))
        .max_frame_size(Some(MESSAGE_MAX))
        .read_buffer_size(4096);
    match client_async_with_config(request, stream, Some(limits)).await {
        Ok((socket, _)) => Ok(socket),
        Err(tokio_tungstenite::tungstenite::Error::Http(response))
            if response.status() == 401 =>
        {
            Err("the hub does not know this gateway: it was revoked, or its certificate has ended; enrol it anew".to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// A control socket in use.
struct Calls<'a> {
    bridge: &'a Arc<Bridge>,
    identity: &'a Identity,
    way: &'a Way,
    instance: &'a str,
    /// By how many seconds the hub's clock is ahead of ours.
    skew: i64,
}

impl Calls<'_> {
    async fn serve(&self, socket: &mut Socket) -> Outcome {
        let mut shown = None;
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut heard, mut pinged) = (Instant::now(), None::<Instant>);
        loop {
            let said = tokio::select! {
                biased;
                said = next(socket) => said,
                _ = look.tick() => {
                    let waits = pinged.is_some_and(|at| at.elapsed() >= PONG && heard < at);
                    if waits {
                        return Outcome::Failed("the hub is silent".to_owned());
                    }
                    if heard.elapsed() >= HEARTBEAT && pinged.is_none_or(|at| at <= heard) {
                        pinged = Some(Instant::now());
                        if let Err(why) = out(socket, Message::Ping(Vec::new().into())).await {
                            return Outcome::Failed(why);
                        }
                    }
                    let now = card(self.bridge);
                    if shown.as_ref() != Some(&now) {
                        if let Err(why) = say(socket, &now).await {
                            return Outcome::Failed(why);
                        }
                        shown = Some(now);
                    }
                    continue;
                }
            };
            heard = Instant::now();
            match said {
                Ok(None | Some(FromHub::Welcome { .. })) => {}
                Ok(Some(FromHub::Link { id, key, assertion })) => {
                    let answer = match self.link(&key, &assertion) {
                        Ok(()) => FromGateway::Dialling { re: id },
                        Err(message) => {
                            tracing::warn!("a link for the hub is refused: {message}");
                            FromGateway::Refused { re: id, message }
                        }
                    };
                    if let Err(why) = say(socket, &answer).await {
                        return Outcome::Failed(why);
                    }
                }
                Ok(Some(FromHub::Bye { reason, after })) => {
                    return Outcome::Bye(reason, Duration::from_secs(after.min(3600)));
                }
                Err(why) => return Outcome::Failed(why),
            }
        }
    }

    /// Dials a link, if what the hub says about whoever asks is in order. The link is a task on the
    /// bridge's tracker, which ends with it, or soon after the gateway stops.
    fn link(&self, key: &str, assertion: &str) -> Result<(), String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if key.len() != 43 || !key.bytes().all(plain) {
            return Err("the link's key is none".to_owned());
        }
        let Identity { hub, gateway, assertions, site, .. } = self.identity;
        // A gateway without a battery for its clock may have none that is right yet.
        let own = unix_now();
        let now = if own < BUILT { own.saturating_add(self.skew) } else { own };
        let audience = Audience { hub, gateway, instance: self.instance };
        let said = Assertion::read(assertion, assertions, audience, now)?;
        let held = self.bridge.auth.take_assertion(said, &site.authority(), now)?;
        let (bridge, site, way) = (Arc::clone(self.bridge), site.clone(), self.way.clone());
        let (key, tasks) = (key.to_owned(), self.bridge.tasks.clone());
        tasks.spawn(async move { link::serve(bridge, &site, &way, &key, held).await });
        Ok(())
    }
}

/// What the hub says next; `None`: a sign of life.
async fn next(socket: &mut Socket) -> Result<Option<FromHub>, String> {
    match socket.next().await {
        Some(Ok(Message::Text(text))) => serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| format!("the hub says what cannot be understood: {error}")),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
        Some(Ok(Message::Close(_))) | None => Err("the hub has closed the connection".to_owned()),
        Some(Ok(Message::Binary(_) | Message::Frame(_))) => {
            Err("the hub says what cannot be understood".to_owned())
        }
        Some(Err(error)) => Err(error.to_string()),
    }
}

async fn say(socket: &mut Socket, said: &FromGateway) -> Result<(), String> {
    let text = serde_json::to_string(said).map_err(|error| error.to_string())?;
    out(socket, Message::Text(text.into())).await
}

async fn out(socket: &mut Socket, message: Message) -> Result<(), String> {
    match timeout(OUT, socket.send(message)).await {
        Ok(sent) => sent.map_err(|error| error.to_string()),
        Err(_) => Err("the hub takes nothing".to_owned()),
    }
}
