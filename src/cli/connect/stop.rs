//! The signals that end a command in order.

use std::future::pending;

use tokio::signal::unix::{SignalKind, signal};

/// Ready when somebody wants the end: Ctrl-C, a service manager, a terminal that is closed.
pub(super) async fn stopped() {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [interrupt, terminate, hangup] = kinds.map(|kind| async move {
        match signal(kind) {
            Ok(mut signal) => drop(signal.recv().await),
            // Then the signal does what it does by itself.
            Err(_) => pending().await,
        }
    });
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
        () = hangup => {}
    }
}
