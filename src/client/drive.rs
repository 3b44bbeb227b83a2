//! A client's connection: frames in and out, liveness, and the next connection when one is lost.

use std::{convert::Infallible, sync::Arc, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use tokio_tungstenite::tungstenite::{self, Message, protocol::CloseFrame};

use super::{
    Dial, Error,
    dial::Ws,
    state::{OutgoingFrame, Shared},
};
use crate::wire::control::{Hello, Tell};

/// How long to wait for `hello`.
const HELLO_WAIT: Duration = Duration::from_secs(10);

/// How long to wait for the answer to a Close.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long a silence beyond the gateway's heartbeat may last before we ask, and how long the
/// gateway then has to answer.
const SILENCE_ALLOWED: Duration = Duration::from_secs(5);

/// How a connection ended.
#[derive(Debug)]
struct Disconnect {
    code: Option<u16>,
    reason: String,
}

impl Disconnect {
    fn lost(reason: &impl ToString) -> Self {
        Self { code: None, reason: reason.to_string() }
    }

    /// Whether coming back is pointless (docs/protocol.md section 10).
    fn is_final(&self) -> bool {
        // No code, or one that stands for none, means that the connection broke.
        !matches!(self.code, None | Some(1001 | 1005 | 1006 | 1011 | 1012 | 4408 | 4420))
    }
}

/// Waits for `hello` on a fresh connection.
pub(super) async fn greet(mut socket: Ws) -> Result<(Ws, Hello), Error> {
    let hello = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => match Tell::parse(&text) {
                    Ok(Tell::Hello(hello)) => return Ok(hello),
                    Ok(_) | Err(_) => {
                        return Err(Error::Foreign("the first message is not `hello`".into()));
                    }
                },
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(frame))) => return Err(Error::Closed(closed(frame).reason)),
                Some(Ok(_)) => return Err(Error::Foreign("data before `hello`".into())),
                Some(Err(error)) => return Err(Error::Unreachable(error.to_string())),
                None => {
                    return Err(Error::Unreachable("the connection ended before `hello`".into()));
                }
            }
        }
    };
    let late = Error::Unreachable(format!("no `hello` within {} s", HELLO_WAIT.as_secs()));
    let hello = timeout(HELLO_WAIT, hello).await.unwrap_or(Err(late))?;
    Ok((socket, hello))
}

/// Runs one connection after another until one ends for good.
pub(super) async fn drive(shared: Arc<Shared>, dial: Dial, mut socket: Ws) {
    loop {
        let end = run(&shared, socket).await;
        if end.is_final() || dial.is_once() || shared.is_closing() {
            return shared.end(end.code, end.reason);
        }
        shared.lost(&end.reason);
        let hello;
        (socket, hello) = match dial.again(greet).await {
            Ok(greeted) => greeted,
            Err(error) => return shared.end(None, error.to_string()),
        };
        shared.connected(hello, true);
    }
}

/// Runs one connection to its end.
async fn run(shared: &Shared, socket: Ws) -> Disconnect {
    let (mut sink, mut stream) = socket.split();
    let heard = watch::Sender::new(Instant::now());
    let end = {
        let read = read(shared, &mut stream, &heard);
        let write = async {
            match write(shared, &mut sink).await {
                Ok(never) => match never {},
                Err(error) => Disconnect::lost(&error),
            }
        };
        tokio::select! {
            end = read => end,
            end = write => end,
            () = silence(shared, &heard) => Disconnect::lost(&"no sign of life"),
        }
    };
    if end.code.is_some() {
        // The answer to the gateway's Close goes out the next time the socket is polled.
        timeout(FAREWELL, async { while let Some(Ok(_)) = stream.next().await {} }).await.ok();
    }
    end
}

/// Reads until the connection ends. It pauses while the application has not taken what came, so
/// that the gateway feels it.
async fn read<S>(shared: &Shared, stream: &mut S, heard: &watch::Sender<Instant>) -> Disconnect
where
    S: futures_util::Stream<Item = tungstenite::Result<Message>> + Unpin,
{
    loop {
        shared.readable().await;
        let message = stream.next().await;
        heard.send_replace(Instant::now());
        let result = match message {
            None => return Disconnect::lost(&"the connection ended without Close"),
            Some(Err(error)) => return Disconnect::lost(&error),
            Some(Ok(Message::Close(frame))) => return closed(frame),
            Some(Ok(Message::Binary(bytes))) => {
                shared.data(bytes);
                Ok(())
            }
            Some(Ok(Message::Text(text))) => shared.told(&text),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(()),
        };
        if let Err(broken) = result {
            return Disconnect { code: Some(1002), reason: broken.0 };
        }
    }
}

/// Writes until the connection breaks. It flushes only when nothing more is waiting, so that small
/// frames share a packet.
async fn write<S>(shared: &Shared, sink: &mut S) -> tungstenite::Result<Infallible>
where
    S: futures_util::Sink<Message, Error = tungstenite::Error> + Unpin,
{
    loop {
        let frame = if let Some(frame) = shared.try_out() {
            frame
        } else {
            sink.flush().await?;
            shared.out().await
        };
        match frame {
            OutgoingFrame::Data(bytes) => sink.feed(Message::Binary(bytes)).await?,
            OutgoingFrame::Text(text) => sink.feed(Message::Text(text.into())).await?,
            OutgoingFrame::Close => {
                let frame = CloseFrame { code: 1000.into(), reason: "".into() };
                sink.send(Message::Close(Some(frame))).await?;
            }
        }
    }
}

/// Ready when the gateway has given no sign of life for its heartbeat plus five seconds, and for
/// five more after a ping.
async fn silence(shared: &Shared, heard: &watch::Sender<Instant>) {
    let most = Duration::from_secs(shared.hello().heartbeat) + SILENCE_ALLOWED;
    loop {
        let last = *heard.borrow();
        sleep_until(last + most).await;
        if *heard.borrow() != last {
            continue;
        }
        shared.ping();
        sleep_until(Instant::now() + SILENCE_ALLOWED).await;
        if *heard.borrow() == last {
            return;
        }
    }
}

fn closed(frame: Option<CloseFrame>) -> Disconnect {
    match frame {
        None => Disconnect { code: Some(1000), reason: "closed without a reason".into() },
        Some(frame) => {
            Disconnect { code: Some(frame.code.into()), reason: frame.reason.to_string() }
        }
    }
}
