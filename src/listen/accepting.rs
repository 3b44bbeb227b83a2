//! The next connection of a socket, whatever goes wrong before it comes.

use std::{io, time::Duration};

use tokio::time::sleep;

use super::{BoundSocket, Raw};
use crate::{
    auth::{ClientAddress, Peer},
    http::Bridge,
    wire::close::Refusal,
};

/// Pause when the system has no descriptor or memory for another connection.
const EXHAUSTED: Duration = Duration::from_millis(100);

impl BoundSocket {
    /// Waits for a connection. An error of this machine, such as no more file descriptors, is
    /// logged once and not with every attempt. Cancel-safe.
    pub(super) async fn next(&self, bridge: &Bridge, name: &str) -> (Raw, Peer) {
        let mut exhausted = false;
        loop {
            match self.accept().await {
                Ok(accepted) => return accepted,
                Err(error) if is_of_client(&error) => {}
                Err(error) => {
                    if !exhausted {
                        tracing::error!(
                            address = name,
                            "cannot accept connections: {error}; still trying"
                        );
                    }
                    exhausted = true;
                    bridge.refused(ClientAddress::Local, "", &Refusal::Exhausted);
                    sleep(EXHAUSTED).await;
                }
            }
        }
    }
}

/// The errors of accept(2) that concern a single client, which has already left.
fn is_of_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::PermissionDenied
    )
}
