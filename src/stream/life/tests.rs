//! The rule on its own, with numbers as kernels give them.

use super::*;

const DEAD_AFTER: Duration = Duration::from_secs(30);

fn secs(secs: f64) -> Duration {
    Duration::from_secs_f64(secs)
}

/// Data in flight; the kernel sends them again each time after twice as long.
fn in_flight(last_ack: f64, last_sent: f64) -> Sample {
    Sample {
        acknowledged: 0,
        unacknowledged: 10,
        in_flight: true,
        last_ack: secs(last_ack),
        last_sent: secs(last_sent),
        probes: 0,
        rto: secs(12.8),
        rtt: secs(0.001),
    }
}

/// A closed window, with so many probes unanswered.
fn closed(last_ack: f64, probes: u8) -> Sample {
    Sample { in_flight: false, probes, ..in_flight(last_ack, 1000.0) }
}

const IDLE: Sample = Sample {
    acknowledged: 10,
    unacknowledged: 0,
    in_flight: false,
    last_ack: Duration::ZERO,
    last_sent: Duration::ZERO,
    probes: 0,
    rto: Duration::ZERO,
    rtt: Duration::ZERO,
};

/// A rule that looked just now, when nothing was outstanding.
fn fresh() -> (Liveness, Instant) {
    let (mut life, start) = (Liveness::new(DEAD_AFTER), Instant::now() + secs(100_000.0));
    assert_eq!(life.judge(&IDLE, start), Verdict::Idle);
    (life, start)
}

#[test]
fn a_peer_that_acknowledges_nothing_is_dead_after_that_time_and_no_later() {
    let (mut life, start) = fresh();
    let again = start + secs(30.0);
    // The last acknowledgement was of what came before.
    assert_eq!(life.judge(&in_flight(0.5, 0.5), start + secs(0.5)), Verdict::Alive(again));
    assert_eq!(life.judge(&in_flight(30.0, 4.6), again), Verdict::Dead);
}

#[test]
fn after_an_idle_hour_the_time_runs_from_the_write() {
    let (mut life, start) = fresh();
    let hour = secs(3600.0);
    // Written 0.2 s ago; the last acknowledgement is an hour old.
    let again = start + hour + secs(30.0);
    assert_eq!(life.judge(&in_flight(3600.2, 0.2), start + hour + secs(0.2)), Verdict::Alive(again));
    assert_eq!(life.judge(&in_flight(3630.0, 4.8), again), Verdict::Dead);
    // A look too late: the time runs from the last sending of the data.
    let (mut life, start) = fresh();
    let again = start + hour + secs(29.0);
    assert_eq!(life.judge(&in_flight(3600.0, 1.0), start + hour), Verdict::Alive(again));
}

#[test]
fn the_first_look_of_all_begins_the_time() {
    let (_, start) = fresh();
    let mut life = Liveness::new(DEAD_AFTER);
    assert_eq!(life.judge(&in_flight(3600.0, 3600.0), start), Verdict::Alive(start + DEAD_AFTER));
}

#[test]
fn any_acknowledgement_begins_the_time_anew() {
    let (mut life, start) = fresh();
    life.judge(&in_flight(0.0, 0.0), start);
    for second in 1..1000 {
        let now = start + secs(f64::from(second));
        assert_eq!(life.judge(&in_flight(0.4, 0.1), now), Verdict::Alive(now + secs(29.6)), "{second}");
    }
    let last = start + secs(999.0 + 29.6);
    assert_eq!(life.judge(&in_flight(30.0, 5.0), last), Verdict::Dead);
}

#[test]
fn what_was_acknowledged_in_between_is_forgotten() {
    let (mut life, start) = fresh();
    life.judge(&in_flight(20.0, 20.0), start + secs(20.0));
    assert_eq!(life.judge(&IDLE, start + secs(21.0)), Verdict::Idle);
    let now = start + secs(40.0);
    assert_eq!(life.judge(&in_flight(19.5, 0.0), now), Verdict::Alive(now + DEAD_AFTER));
}

#[test]
fn behind_a_closed_window_an_answered_probe_is_life() {
    let (mut life, start) = fresh();
    // The kernel probes every two minutes by now, and each is answered.
    for minute in 0..100 {
        let now = start + secs(60.0 * f64::from(minute));
        let sample = closed(f64::from(minute % 2) * 60.0, 0);
        assert!(matches!(life.judge(&sample, now), Verdict::Alive(_)), "{minute}");
    }
}

#[test]
fn behind_a_closed_window_two_unanswered_probes_and_the_time_are_death() {
    let (mut life, start) = fresh();
    life.judge(&closed(1.0, 0), start + secs(1.0));
    let now = start + secs(40.0);
    for (last_ack, probes, dead) in [(40.0, 1, false), (29.0, 2, false), (30.0, 2, true), (300.0, 9, true)] {
        let verdict = life.judge(&closed(last_ack, probes), now);
        assert_eq!(verdict == Verdict::Dead, dead, "{last_ack} {probes}: {verdict:?}");
    }
    // It is looked at again although the kernel has nothing new for a while.
    assert_eq!(life.judge(&closed(40.0, 1), now), Verdict::Alive(now + PATIENCE));
}

#[test]
fn a_window_that_was_closed_for_hours_is_not_taken_for_death_when_a_write_comes() {
    let (mut life, start) = fresh();
    let now = start + secs(7200.0);
    assert_eq!(life.judge(&closed(7200.0, 2), now), Verdict::Alive(now + DEAD_AFTER));
}

#[test]
fn a_peer_that_answers_and_takes_nothing_is_alive_however_rarely_it_is_asked() {
    let (mut life, start) = fresh();
    life.judge(&in_flight(0.0, 0.0), start);
    let rare = |last_ack, last_sent| Sample { rto: secs(51.2), ..in_flight(last_ack, last_sent) };
    let now = start + secs(600.0);
    // All that was sent was answered.
    assert_eq!(life.judge(&rare(45.0, 45.001), now), Verdict::Alive(now + PATIENCE));
    // Sent this moment.
    assert_eq!(life.judge(&rare(51.0, 0.002), now), Verdict::Alive(now + secs(0.25)));
    // Sent, and no answer.
    assert_eq!(life.judge(&rare(51.3, 0.3), now), Verdict::Dead);
}
