//! A hub's end of a gateway's control socket.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use axum::{
    body::Body,
    extract::Request,
    http::{Response, header},
};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, interval, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{Role, WebSocketConfig},
    },
};

use super::{
    super::{
        Bridge, ask,
        upgrade::{handshake, switch},
        visitor::{Connection, Upgraded, Visitor},
    },
    gateway_of, kept, open,
};
use crate::{
    auth::{ClientAddress, unix_now},
    event::{Event, FleetEvent},
    fleet::{Card, Home, Order},
    stream::Stream,
    wire::{
        close::Refusal,
        home::{ByeReason, FromGateway, FromHub, HOME_PROTOCOL, MESSAGE_MAX},
    },
};

/// How long a gateway has to say who it is.
const HELLO: Duration = Duration::from_secs(15);
/// How long a gateway may be silent: it pings each minute, or sooner.
const SILENCE: Duration = Duration::from_secs(330);
/// How long one that may be gone has to show that it is there.
const PROBE: Duration = Duration::from_secs(5);
/// How often the silence is looked at.
const LOOK: Duration = Duration::from_secs(15);
/// The most lines and labels of a card.
const CARD_MOST: usize = 256;
/// The longest text in a card, in bytes.
const TEXT_MOST: usize = 256;

type Socket = WebSocketStream<Stream>;

/// `GET /home`: a gateway calls in.
pub(super) async fn home(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let request = ask::bare(request);
    let gateway = gateway_of(&visitor)?;
    let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let mut offered = offered.filter_map(|it| it.to_str().ok()).flat_map(|it| it.split(','));
    if !offered.any(|name| name.trim() == HOME_PROTOCOL) {
        return Err(Refusal::Subprotocol("a gateway speaks `wsbridge.home.v1` here".to_owned()));
    }
    let accept = handshake(request.method(), request.headers())?;
    let upgraded = visitor.connection.take_stream().ok_or(Refusal::NotUpgrade)?;
    let (bridge, connection) = (Arc::clone(&visitor.bridge), Arc::clone(&visitor.connection));
    let tasks = bridge.tasks.clone();
    tasks.spawn(async move { run(bridge, connection, gateway, upgraded).await });
    Ok(switch(&accept, Some(HOME_PROTOCOL)))
}

/// Serves the socket to its end.
async fn run(
    bridge: Arc<Bridge>,
    connection: Arc<Connection>,
    gateway: String,
    upgraded: oneshot::Receiver<Upgraded>,
) {
    let Ok((stream, early)) = upgraded.await else { return };
    let limits = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_MAX))
        .max_frame_size(Some(MESSAGE_MAX))
        .read_buffer_size(4096);
    let role = Role::Server;
    let mut socket = WebSocketStream::from_partially_read(stream, early, role, Some(limits)).await;
    let client = connection.peer.client;
    let why = match greet(&bridge, &mut socket, &gateway, client).await {
        Ok((home, orders)) => {
            let mut calls = Calls {
                bridge: &bridge,
                home,
                orders,
                next: 0,
                asked: HashMap::new(),
                probes: Vec::new(),
            };
            let why = calls.serve(&mut socket).await;
            drop(calls);
            bridge.events.tell(Event::Fleet { gateway: &gateway, event: FleetEvent::Left { why } });
            return;
        }
        Err(why) => why,
    };
    tracing::debug!(gateway, peer = %client, "not taken in: {why}");
}

/// The gateway says hello, and is welcomed, unless another machine has the same certificate.
async fn greet(
    bridge: &Arc<Bridge>,
    socket: &mut Socket,
    gateway: &str,
    client: ClientAddress,
) -> Result<(Home, mpsc::Receiver<Order>), &'static str> {
    let first = timeout(HELLO, next(socket)).await.map_err(|_| "it says nothing")?;
    let Some(Heard::Said(FromGateway::Hello { instance, version })) = first else {
        bye(socket, ByeReason::Protocol).await;
        return Err("it does not begin with hello");
    };
    let hub = open(bridge).map_err(|_| "this is no hub")?;
    let info = hub.register.find(gateway).ok_or("it is not enrolled")?;
    // A gateway that was started anew, or came by another way, is one machine: whoever is in its
    // place shows whether he is there.
    let other = hub.homes.find(gateway).filter(|home| home.instance != instance);
    let mut cloned = info.cloned;
    if let Some(other) = other.filter(|_| !cloned) {
        let (told, answer) = oneshot::channel();
        let asked = other.orders.try_send(Order::Probe { told }).is_ok();
        if asked && matches!(timeout(PROBE, answer).await, Ok(Ok(()))) {
            cloned = true;
            let name = gateway.to_owned();
            let noted = kept(bridge, move |hub| hub.register.cloned(&name, true)).await;
            if !matches!(noted, Ok(Ok(true))) {
                tracing::error!(gateway, "that it is cloned cannot be kept: {noted:?}");
            }
            bridge.events.tell(Event::Fleet { gateway, event: FleetEvent::Cloned { client } });
            hub.homes.dismiss(gateway, ByeReason::Clone);
        }
    }
    if cloned {
        bye(socket, ByeReason::Clone).await;
        return Err("two machines have its certificate");
    }
    let welcome = FromHub::Welcome {
        hub: hub.rules.name.clone(),
        gateway: gateway.to_owned(),
        time: unix_now(),
    };
    say(socket, &welcome).await.map_err(|()| "it left")?;
    let version: String = version.chars().filter(|c| !c.is_control()).take(64).collect();
    let came = FleetEvent::Came { client, version: &version };
    bridge.events.tell(Event::Fleet { gateway, event: came });
    let entered = hub.homes.enter(gateway, (instance, version.clone()), client.to_string());
    // Whoever revoked it meanwhile did not find it there.
    if hub.register.find(gateway).is_none() {
        bye(socket, ByeReason::Revoked).await;
        return Err("it was revoked meanwhile");
    }
    Ok(entered)
}

/// A control socket in use.
struct Calls<'a> {
    bridge: &'a Bridge,
    home: Home,
    orders: mpsc::Receiver<Order>,
    /// The number of the next link.
    next: u64,
    /// Who waits to be told that a link is being dialled.
    asked: HashMap<u64, oneshot::Sender<Result<(), String>>>,
    /// Who waits for a sign of life.
    probes: Vec<oneshot::Sender<()>>,
}

impl Calls<'_> {
    /// Until it ends; says why.
    async fn serve(&mut self, socket: &mut Socket) -> &'static str {
        let (mut look, mut heard) = (interval(LOOK), Instant::now());
        let stop = self.bridge.stop.clone();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => {
                    bye(socket, ByeReason::Restart).await;
                    return "the hub stops";
                }
                order = self.orders.recv() => match order {
                    Some(order) => if let Some(why) = self.obey(socket, order).await { return why },
                    None => return "another connection of the same gateway is newer",
                },
                said = next(socket) => {
                    heard = Instant::now();
                    for probe in self.probes.drain(..) {
                        // Whoever asked may have stopped waiting.
                        let _ = probe.send(());
                    }
                    match said {
                        Some(Heard::Alive) => {}
                        Some(Heard::Said(said)) => self.hear(said),
                        Some(Heard::Nonsense) => {
                            bye(socket, ByeReason::Protocol).await;
                            return "it says what cannot be understood";
                        }
                        None => return "its connection ended",
                    }
                }
                _ = look.tick() => if heard.elapsed() > SILENCE {
                    return "it is silent";
                },
            }
        }
    }

    async fn obey(&mut self, socket: &mut Socket, order: Order) -> Option<&'static str> {
        match order {
            Order::Link { key, assertion, told } => {
                self.asked.retain(|_, told| !told.is_closed());
                let id = self.next;
                self.next += 1;
                self.asked.insert(id, told);
                let link = FromHub::Link { id, key, assertion };
                say(socket, &link).await.err().map(|()| "its connection ended")
            }
            Order::Probe { told } => {
                self.probes.push(told);
                let sent = timeout(PROBE, socket.send(Message::Ping(Vec::new().into()))).await;
                (!matches!(sent, Ok(Ok(())))).then_some("its connection ended")
            }
            Order::Bye(why) => {
                bye(socket, why).await;
                Some(match why {
                    ByeReason::Restart => "the hub stops",
                    ByeReason::Revoked => "it was revoked",
                    ByeReason::Clone => "two machines have its certificate",
                    ByeReason::Replaced => "another connection of the same gateway is newer",
                    ByeReason::Protocol => "it says what cannot be understood",
                })
            }
        }
    }

    fn hear(&mut self, said: FromGateway) {
        match said {
            FromGateway::Card { labels, lines } => self.home.show(bounded(labels, lines)),
            FromGateway::Dialling { re } => {
                if let Some(told) = self.asked.remove(&re) {
                    let _ = told.send(Ok(()));
                }
            }
            FromGateway::Refused { re, message } => {
                if let Some(told) = self.asked.remove(&re) {
                    let _ = told.send(Err(cut(&message)));
                }
            }
            // It has introduced itself.
            FromGateway::Hello { .. } => {}
        }
    }
}

/// A card that takes no more room than it may, whoever wrote it.
fn bounded(labels: BTreeMap<String, String>, mut lines: Vec<crate::wire::home::CardLine>) -> Card {
    lines.truncate(CARD_MOST);
    for line in &mut lines {
        for text in [&mut line.name, &mut line.kind, &mut line.state] {
            *text = cut(text);
        }
        line.title = line.title.as_deref().map(cut);
        line.writer = line.writer.as_deref().map(cut);
    }
    let labels = labels.into_iter().take(CARD_MOST).map(|(name, value)| (cut(&name), cut(&value)));
    Card { labels: labels.collect(), lines }
}

/// A text of a gateway's, no longer than it may be, and without control characters.
fn cut(text: &str) -> String {
    let mut text: String = text.chars().filter(|c| !c.is_control()).collect();
    let most = (0..=TEXT_MOST.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.truncate(most.unwrap_or(0));
    text
}

/// What came from a gateway.
enum Heard {
    Said(FromGateway),
    /// A ping or a pong.
    Alive,
    Nonsense,
}

/// The next thing that a gateway says; `None`: it has gone.
async fn next(socket: &mut Socket) -> Option<Heard> {
    Some(match socket.next().await?.ok()? {
        Message::Text(text) => serde_json::from_str(&text).map_or(Heard::Nonsense, Heard::Said),
        Message::Ping(_) | Message::Pong(_) => Heard::Alive,
        Message::Close(_) => return None,
        Message::Binary(_) | Message::Frame(_) => Heard::Nonsense,
    })
}

async fn say(socket: &mut Socket, said: &FromHub) -> Result<(), ()> {
    let text = serde_json::to_string(said).map_err(drop)?;
    match timeout(PROBE, socket.send(Message::Text(text.into()))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(()),
    }
}

/// Ends the socket, and says why and when to come again.
async fn bye(socket: &mut Socket, reason: ByeReason) {
    let after = match reason {
        ByeReason::Restart => 1,
        ByeReason::Replaced | ByeReason::Protocol => 30,
        ByeReason::Revoked | ByeReason::Clone => 300,
    };
    if say(socket, &FromHub::Bye { reason, after }).await.is_ok() {
        let _ = timeout(PROBE, socket.close(None)).await;
    }
}
