//! The rule on its own, with numbers like those that kernels report.

use super::*;

const DEAD_AFTER: Duration = Duration::from_secs(30);

fn secs(secs: f64) -> Duration {
    Duration::from_secs_f64(secs)
}

/// Data in flight, after 100 bytes that have arrived.
fn in_flight(last_ack: f64, first_sent: f64) -> Sample {
    Sample {
        acknowledged: 100,
        unacknowledged: 10,
        in_flight: true,
        last_ack: secs(last_ack),
        last_sent: secs(first_sent / 2.0),
        first_sent: secs(first_sent),
        probes: 0,
        rto: secs(12.8),
        rtt: secs(0.001),
    }
}

/// A closed window, with this many probes unanswered.
fn closed(last_ack: f64, probes: u8) -> Sample {
    Sample { in_flight: false, probes, ..in_flight(last_ack, 1000.0) }
}

/// Everything has arrived, `last_ack` ago.
fn settled(last_ack: f64) -> Sample {
    Sample {
        acknowledged: 110,
        unacknowledged: 0,
        in_flight: false,
        ..in_flight(last_ack, last_ack)
    }
}

/// A rule that looked just now, when nothing was outstanding.
fn fresh() -> (Liveness, Instant) {
    let (mut life, start) = (Liveness::new(DEAD_AFTER), Instant::now() + secs(100_000.0));
    assert_eq!(life.judge(&settled(3.0), start), LifeCheck::Idle);
    (life, start)
}

/// Alive, and looked at again within the time that is left.
fn alive(verdict: LifeCheck, now: Instant, over: Instant) {
    assert_eq!(verdict, LifeCheck::Alive(over.min(now + secs(3.75))));
}

#[test]
fn a_peer_that_acknowledges_nothing_is_dead_after_that_time_and_no_later() {
    let (mut life, start) = fresh();
    let over = start + secs(30.0);
    for at in [0.5, 3.0, 15.0, 29.9] {
        // The last acknowledgement belonged to what came before.
        alive(life.judge(&in_flight(at, at), start + secs(at)), start + secs(at), over);
    }
    assert_eq!(life.judge(&in_flight(30.0, 30.0), over), LifeCheck::Dead);
}

#[test]
fn after_an_idle_hour_the_time_runs_from_the_write() {
    let (mut life, start) = fresh();
    let write = start + secs(3600.0);
    // The last acknowledgement is an hour old.
    alive(
        life.judge(&in_flight(3600.2, 0.2), write + secs(0.2)),
        write + secs(0.2),
        write + DEAD_AFTER,
    );
    assert_eq!(
        life.judge(&in_flight(3629.9, 29.9), write + secs(29.9)),
        LifeCheck::Alive(write + DEAD_AFTER)
    );
    assert_eq!(life.judge(&in_flight(3630.0, 30.0), write + DEAD_AFTER), LifeCheck::Dead);
}

#[test]
fn a_write_just_before_a_look_is_not_taken_for_the_one_before() {
    let (mut life, start) = fresh();
    life.judge(&in_flight(0.3, 0.3), start + secs(0.3));
    // That arrived; 29.9 s later comes more, and its first round trip takes half a second.
    let now = start + secs(30.4);
    let next = Sample { acknowledged: 110, ..in_flight(30.0, 0.2) };
    alive(life.judge(&next, now), now, now + secs(29.8));
}

#[test]
fn a_first_look_however_late_finds_when_the_data_were_sent() {
    let mut life = Liveness::new(DEAD_AFTER);
    let now = Instant::now() + secs(3600.0);
    alive(life.judge(&in_flight(3600.0, 15.0), now), now, now + secs(15.0));
}

#[test]
fn any_acknowledgement_begins_the_time_anew() {
    let (mut life, start) = fresh();
    for second in 0..1000 {
        let now = start + secs(f64::from(second));
        alive(life.judge(&in_flight(0.4, f64::from(second)), now), now, now + secs(29.6));
    }
    let last = start + secs(999.0 + 29.6);
    assert_eq!(life.judge(&in_flight(30.0, 30.0), last), LifeCheck::Dead);
}

#[test]
fn of_a_stream_without_a_break_the_time_runs_from_the_last_acknowledgement() {
    let (mut life, start) = fresh();
    let all = |sent, last_ack, first_sent| Sample {
        acknowledged: sent,
        ..in_flight(last_ack, first_sent)
    };
    for second in 1..100_u32 {
        life.judge(&all(1000 * u64::from(second), 0.01, 0.02), start + secs(f64::from(second)));
    }
    // The cable is pulled at 100 s. The look at 102 s finds that everything it knew of has arrived,
    // and sees what has not.
    let pulled = start + secs(100.0);
    alive(
        life.judge(&all(100_000, 2.0, 2.0), pulled + secs(2.0)),
        pulled + secs(2.0),
        pulled + DEAD_AFTER,
    );
    assert_eq!(life.judge(&all(100_000, 30.0, 29.0), pulled + DEAD_AFTER), LifeCheck::Dead);
}

#[test]
fn behind_a_closed_window_an_answered_probe_is_life() {
    let (mut life, start) = fresh();
    // By now the kernel probes every two minutes, and each probe is answered.
    for minute in 0..100 {
        let now = start + secs(60.0 * f64::from(minute));
        let sample = closed(f64::from(minute % 2) * 60.0, 0);
        assert!(matches!(life.judge(&sample, now), LifeCheck::Alive(_)), "{minute}");
    }
}

#[test]
fn behind_a_closed_window_two_unanswered_probes_and_the_time_are_death() {
    let (mut life, start) = fresh();
    life.judge(&closed(1.0, 0), start + secs(1.0));
    let now = start + secs(400.0);
    for (last_ack, probes, dead) in
        [(40.0, 1, false), (29.0, 2, false), (30.0, 2, true), (300.0, 9, true)]
    {
        let verdict = life.judge(&closed(last_ack, probes), now);
        assert_eq!(verdict == LifeCheck::Dead, dead, "{last_ack} {probes}: {verdict:?}");
    }
    // It is looked at again although the kernel has nothing new for a while.
    assert_eq!(life.judge(&closed(40.0, 1), now), LifeCheck::Alive(now + secs(3.75)));
}

#[test]
fn a_window_that_was_closed_for_hours_is_not_taken_for_death_when_a_write_comes() {
    let (mut life, start) = fresh();
    let now = start + secs(7200.0);
    alive(life.judge(&closed(7200.0, 2), now), now, now + DEAD_AFTER);
}

#[test]
fn a_peer_that_answers_and_takes_nothing_is_alive_however_rarely_it_is_asked() {
    let (mut life, start) = fresh();
    life.judge(&in_flight(0.0, 0.0), start);
    let rare = |last_ack, last_sent| Sample {
        rto: secs(51.2),
        last_sent: secs(last_sent),
        ..in_flight(last_ack, 600.0)
    };
    let now = start + secs(600.0);
    // Everything that was sent was answered.
    assert_eq!(life.judge(&rare(45.0, 45.001), now), LifeCheck::Alive(now + secs(3.75)));
    // Sent this moment.
    assert_eq!(life.judge(&rare(51.0, 0.002), now), LifeCheck::Alive(now + secs(0.25)));
    // Sent, and no answer.
    assert_eq!(life.judge(&rare(51.3, 0.3), now), LifeCheck::Dead);
}
