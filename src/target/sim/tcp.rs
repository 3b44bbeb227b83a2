//! A device behind a TCP port on 127.0.0.1.

use std::{io, net::Ipv4Addr, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, sleep},
};

use super::drive::{SimulatedDevice, drive};
use crate::config::{Target, TcpAddress, TcpTarget};

/// Connections that a device serves at a time; more wait in the kernel's backlog.
const CONNECTIONS: usize = 64;

/// Pause after a failed accept (no descriptors left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Starts a listener that gives each connection a device of its own; its task is in `tasks` and
/// ends with it.
pub(super) async fn start<D: SimulatedDevice>(
    tasks: &mut JoinSet<()>,
    make: impl Fn() -> D + Send + 'static,
) -> io::Result<Target> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tasks.spawn(accept(listener, make));
    Ok(Target::Tcp(TcpTarget {
        address: TcpAddress::Host(address.ip().to_string(), address.port()),
        connect_timeout: Duration::from_secs(5),
        keepalive: Some(Duration::from_secs(30)),
        dead_after: Duration::from_secs(30),
        user_timeout: None,
        tls: None,
        usb: None,
        heartbeat: None,
    }))
}

async fn accept<D: SimulatedDevice>(listener: TcpListener, make: impl Fn() -> D) {
    let start = Instant::now();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(make(), start, stream));
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(device: impl SimulatedDevice, start: Instant, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let (reader, writer) = stream.into_split();
    // A peer that resets its connection is an ordinary ending.
    if let Err(error) = drive(device, start, reader, writer).await {
        tracing::debug!(%error, "a connection of a simulated device broke");
    }
}
