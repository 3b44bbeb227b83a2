//! What ends a command in order.

#[cfg(unix)]
use tokio::signal::unix::{SignalKind, signal};

/// Ready when somebody wants the end: Ctrl-C, a service manager, a terminal that is closed.
#[cfg(unix)]
pub(super) async fn stopped() {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [interrupt, terminate, hangup] = kinds.map(|kind| async move {
        match signal(kind) {
            Ok(mut signal) => drop(signal.recv().await),
            // Then the signal does what it does by itself.
            Err(_) => std::future::pending().await,
        }
    });
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
        () = hangup => {}
    }
}

/// Ready when somebody wants the end: Ctrl-C, Ctrl-Break, a console that is closed, a shutdown.
#[cfg(windows)]
pub(super) async fn stopped() {
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};

    // Where one cannot be had, it does what it does by itself.
    let (Ok(mut c), Ok(mut brk), Ok(mut close), Ok(mut shutdown)) =
        (ctrl_c(), ctrl_break(), ctrl_close(), ctrl_shutdown())
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = c.recv() => {}
        _ = brk.recv() => {}
        _ = close.recv() => {}
        _ = shutdown.recv() => {}
    }
}
