//! The watch in paused time, over peers as a kernel would describe them.

use std::{future::poll_fn, sync::Mutex};

use tokio::time::timeout;

use super::*;
use crate::stream::{NextHop, Outstanding, Sample};

const DEAD_AFTER: Duration = Duration::from_secs(30);
const RTO: Duration = Duration::from_millis(200);

/// A connection to a peer that behaves in one of the possible ways.
struct Peer {
    kind: Kind,
    /// When a byte was written last, and when the peer acknowledged something last.
    times: Mutex<(Instant, Instant)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Acknowledges everything after this long.
    Alive(Duration),
    /// Acknowledges nothing.
    Gone,
    /// Its window is closed; each probe is answered. By now probes come every two minutes.
    Paused,
    /// Its window was closed when it vanished: no probe is answered.
    GonePaused,
}

impl Peer {
    fn new(kind: Kind) -> Self {
        let now = Instant::now();
        Self { kind, times: Mutex::new((now, now)) }
    }

    fn write(&self, vigil: &mut Vigil) {
        self.times.lock().unwrap().0 = Instant::now();
        vigil.wrote();
    }
}

impl NextHop for Peer {
    fn sample(&self) -> Option<Sample> {
        let (now, mut times) = (Instant::now(), self.times.lock().unwrap());
        let (wrote, acked) = *times;
        let arrived = matches!(self.kind, Kind::Alive(trip) if now >= wrote + trip);
        if let (Kind::Alive(trip), true) = (self.kind, arrived) {
            times.1 = acked.max(wrote + trip);
        }
        let waits = now - wrote;
        // It was sent again after the time-out, after twice that, and so on.
        let (mut sent_again, mut rto, mut last_sent) = (0, RTO, waits);
        while let Some(later) = last_sent.checked_sub(rto) {
            (sent_again, rto, last_sent) = (sent_again + 1, 2 * rto, later);
        }
        let probed = Duration::from_secs(now.duration_since(acked).as_secs() % 120);
        Some(Sample {
            acknowledged: u64::from(arrived),
            unacknowledged: u64::from(!arrived),
            in_flight: !arrived && matches!(self.kind, Kind::Alive(_) | Kind::Gone),
            last_ack: if self.kind == Kind::Paused { probed } else { now - times.1 },
            last_sent,
            first_sent: waits,
            probes: if self.kind == Kind::GonePaused { sent_again } else { 0 },
            rto,
            rtt: RTO,
        })
    }

    fn outstanding(&self) -> Outstanding {
        Outstanding { bytes: 1, exact: true }
    }
}

/// Watches for this long; returns when the peer was found dead, if it was.
async fn watch(vigil: &mut Vigil, peer: &Peer, time: Duration) -> Option<Duration> {
    let begun = Instant::now();
    let dead = poll_fn(|cx| match vigil.poll(cx, |liveness, now| liveness.look(peer, now)) {
        Poll::Ready(Some(why)) => Poll::Ready(why),
        Poll::Ready(None) | Poll::Pending => Poll::Pending,
    });
    let why = timeout(time, dead).await.ok()?;
    assert_eq!(why, "nothing acknowledged for 30 s");
    Some(begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_gone_is_found_in_the_time_and_one_behind_a_closed_window_too() {
    for kind in [Kind::Gone, Kind::GonePaused] {
        let (mut vigil, peer) = (Vigil::new(DEAD_AFTER), Peer::new(kind));
        assert_eq!(watch(&mut vigil, &peer, 10 * DEAD_AFTER).await, None, "nothing was written");
        peer.write(&mut vigil);
        let found = watch(&mut vigil, &peer, 10 * DEAD_AFTER).await.unwrap();
        // Behind a closed window, nothing but the look tells when the write was.
        let late =
            if kind == Kind::Gone { Duration::from_millis(2) } else { DEAD_AFTER / FIRST_LOOK };
        assert!(found >= DEAD_AFTER && found <= DEAD_AFTER + late, "{found:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_printer_out_of_paper_for_a_day_is_alive() {
    let (mut vigil, peer) = (Vigil::new(DEAD_AFTER), Peer::new(Kind::Paused));
    peer.write(&mut vigil);
    assert_eq!(watch(&mut vigil, &peer, Duration::from_secs(86_400)).await, None);
    assert!(!vigil.is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_write_after_a_long_silence_has_its_round_trip() {
    for pause in [0.0, 29.6, 29.9, 300.0, 3600.0] {
        let (mut vigil, peer) =
            (Vigil::new(DEAD_AFTER), Peer::new(Kind::Alive(Duration::from_millis(500))));
        for _ in 0..20 {
            peer.write(&mut vigil);
            assert_eq!(
                watch(&mut vigil, &peer, Duration::from_secs_f64(pause + 0.4)).await,
                None,
                "{pause}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_has_no_timer() {
    let (mut vigil, peer) = (Vigil::new(DEAD_AFTER), Peer::new(Kind::Alive(RTO)));
    assert!(vigil.is_idle());
    peer.write(&mut vigil);
    assert!(!vigil.is_idle());
    watch(&mut vigil, &peer, DEAD_AFTER).await;
    assert!(vigil.is_idle());
}
