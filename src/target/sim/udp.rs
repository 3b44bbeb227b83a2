//! A device behind a UDP port on 127.0.0.1 that sends without being asked.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use bytes::BytesMut;
use tokio::{
    net::UdpSocket,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::drive::SimulatedDevice;
use crate::config::{Target, UdpTarget};

/// How long a device without a deadline waits.
const NEVER: Duration = Duration::from_secs(86_400);

/// Starts a device; each line that it prints is a datagram. Its task is in `tasks` and ends with
/// it.
pub(super) async fn start(
    tasks: &mut JoinSet<()>,
    device: impl SimulatedDevice,
) -> io::Result<Target> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = socket.local_addr()?;
    // A port that is free now: it is bound again as soon as the line is opened.
    let gateway = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?;
    tasks.spawn(serve(device, socket, gateway));
    Ok(Target::Udp(UdpTarget {
        host: address.ip().to_string(),
        port: address.port(),
        local_port: Some(gateway.port()),
    }))
}

async fn serve(mut device: impl SimulatedDevice, socket: UdpSocket, gateway: SocketAddr) {
    let (start, mut out, mut input) = (Instant::now(), BytesMut::new(), vec![0; 0xFFFF]);
    loop {
        tokio::select! {
            got = socket.recv_from(&mut input) => {
                let bytes = got.ok().filter(|(_, from)| *from == gateway);
                let bytes = bytes.and_then(|(n, _)| input.get(..n)).unwrap_or_default();
                device.input(start.elapsed(), bytes, &mut out);
            }
            () = sleep_until(start + device.deadline().unwrap_or(NEVER)) => {
                device.tick(start.elapsed(), &mut out);
            }
        }
        for line in out.split().split_inclusive(|byte| *byte == b'\n') {
            // While nobody listens yet it is lost, as it is with a real device.
            let _ = socket.send_to(line, gateway).await;
        }
    }
}
