//! A grant's life: uses, times, clocks, power cuts.

use tokio::time::{Duration, Instant};

use super::{super::PrincipalKind, *};

fn alice() -> PrincipalId {
    PrincipalId::new(PrincipalKind::User, "alice")
}

fn loan(from: i64, until: i64, uses: u32) -> Loan {
    Loan {
        endpoint: "plc*".into(),
        rights: Rights::READ.with(Rights::WRITE).with(Rights::GRANT),
        from,
        until,
        uses,
        networks: Vec::new(),
        reason: "firmware".into(),
    }
}

fn browser() -> GrantUse {
    GrantUse { program: None, ip: "192.0.2.1".parse().ok(), client: "192.0.2.1:1".into() }
}

/// A folder, and the moment at which everything begins.
fn place() -> (tempfile::TempDir, Moment) {
    (
        tempfile::tempdir().unwrap(),
        Moment { wall: 1_000_000, part: Duration::ZERO, steady: Instant::now() },
    )
}

fn opened(folder: &tempfile::TempDir, now: Moment) -> Grants {
    let grants = Grants::default();
    grants.open(&folder.path().join("grants.jsonl"), now).unwrap();
    grants
}

fn later(now: Moment, seconds: i64) -> Moment {
    let steady = now.steady + Duration::from_secs(u64::try_from(seconds).unwrap());
    Moment { wall: now.wall + seconds, steady, ..now }
}

fn exchange(grants: &Grants, secret: &str, now: Moment) -> Result<String, Refused> {
    grants.exchange(secret, &browser(), now, |_| true).map(|(_, text)| text)
}

fn finds(grants: &Grants, text: &str, now: Moment) -> bool {
    grants.signed_in(text, false, browser().ip, now).is_some()
}

#[test]
fn one_use_is_one_exchange_and_its_sign_in_lasts_until_the_end() {
    let (folder, now) = place();
    let grants = opened(&folder, now);
    let (grant, secret) = grants.give(loan(now.wall, now.wall + 100, 1), &alice(), now).unwrap();
    assert!(!grant.rights.allows(Rights::GRANT), "a grant lends no right over others");
    let text = exchange(&grants, &secret, now).unwrap();
    assert!(matches!(exchange(&grants, &secret, now), Err(Refused::UsedUp)));
    assert!(finds(&grants, &text, later(now, 99)) && !finds(&grants, &text, later(now, 100)));
    assert!(grants.signed_in(&text, true, None, now).is_none(), "a cookie is no token");
    let file = std::fs::read_to_string(folder.path().join("grants.jsonl")).unwrap();
    assert!(!file.contains(&secret) && !file.contains(&text));
    assert!(!format!("{grants:?}").contains(&secret));
}

#[test]
fn uses_and_sign_ins_outlive_the_gateway_and_the_machine() {
    let (folder, now) = place();
    let grants = opened(&folder, now);
    let (_, secret) = grants.give(loan(now.wall, now.wall + 100, 2), &alice(), now).unwrap();
    let text = exchange(&grants, &secret, now).unwrap();
    assert!(
        Grants::default().open(&folder.path().join("grants.jsonl"), now).is_err(),
        "one gateway"
    );
    drop(grants);
    for _ in 0..2 {
        let again = opened(&folder, later(now, 10));
        assert!(finds(&again, &text, later(now, 11)));
    }
    let again = opened(&folder, later(now, 20));
    exchange(&again, &secret, later(now, 20)).unwrap();
    drop(again);
    let again = opened(&folder, later(now, 30));
    assert!(matches!(exchange(&again, &secret, later(now, 30)), Err(Refused::UsedUp)));
    let (_, login) = again.signed_in(&text, false, browser().ip, later(now, 30)).unwrap();
    assert!(again.sign_in_left(login, later(now, 30)).is_some());
    again.sign_out(login, later(now, 30)).unwrap();
    assert!(again.sign_in_left(login, later(now, 30)).is_none());
    drop(again);
    assert!(!finds(&opened(&folder, later(now, 31)), &text, later(now, 31)));
}

/// Whoever lends at the admin socket is `local`.
#[test]
fn what_anybody_lent_or_asked_for_is_read_again() {
    use PrincipalKind::{Certificate, Grant, Identity, Local, Open, Token, User};
    let (folder, now) = place();
    let grants = opened(&folder, now);
    let kinds = [User, Token, Certificate, Identity, Grant, Open, Local];
    for kind in kinds {
        let by = PrincipalId::new(kind, "a:b/c");
        grants.give(loan(now.wall, now.wall + 100, 1), &by, now).unwrap();
    }
    drop(grants);
    assert_eq!(opened(&folder, now).list().len(), kinds.len());
}

/// What a power cut leaves is any beginning of the file: a use is counted if its line is whole,
/// and otherwise nobody was told.
#[test]
fn a_power_cut_at_any_byte_gives_no_use_back() {
    let (folder, now) = place();
    let path = folder.path().join("grants.jsonl");
    let grants = opened(&folder, now);
    let (_, secret) = grants.give(loan(now.wall, now.wall + 100, 1), &alice(), now).unwrap();
    let given = std::fs::read(&path).unwrap().len();
    let text = exchange(&grants, &secret, now).unwrap();
    let whole = std::fs::read(&path).unwrap();
    drop(grants);
    for cut in (given..whole.len()).step_by(7).chain([whole.len() - 1, whole.len()]) {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let again = opened(&folder, now);
        let told = cut == whole.len();
        assert_eq!(finds(&again, &text, now), told, "cut at {cut}");
        assert_eq!(exchange(&again, &secret, now).is_err(), told, "cut at {cut}");
    }
    // Damage before the end is no power cut.
    let mut damaged = whole.clone();
    damaged[10] = b'#';
    std::fs::write(&path, damaged).unwrap();
    assert!(Grants::default().open(&path, now).is_err());
}

#[test]
fn what_cannot_be_written_has_not_happened() {
    let (folder, now) = place();
    let grants = opened(&folder, now);
    let (grant, secret) = grants.give(loan(now.wall, now.wall + 100, 2), &alice(), now).unwrap();
    let text = exchange(&grants, &secret, now).unwrap();
    // A file that takes nothing more: /dev/full.
    let full = std::fs::OpenOptions::new().append(true).open("/dev/full").unwrap();
    let before = grants.journal().open().unwrap().replace_file(full);
    let wrong = exchange(&grants, &secret, now);
    assert!(matches!(wrong, Err(Refused::Failed(Failure::File(_)))), "{wrong:?}");
    assert!(grants.give(loan(now.wall, now.wall + 9, 1), &alice(), now).is_err());
    assert_eq!(grants.list().len(), 1);
    assert!(finds(&grants, &text, now), "who was let in before goes on");
    // Taking something back works in any case.
    let (_, written) = grants.end(&grant.id, (EndOfGrant::Revoked, Some(&alice())), now).unwrap();
    assert!(written.is_err() && grants.running(&grant.id, now).is_none());
    // It is written as soon as there is room again, and no restart brings it back.
    assert!(!grants.is_idle(now));
    drop(before);
    grants.sweep(now);
    assert!(grants.is_idle(now));
    drop(grants);
    assert!(opened(&folder, now).running(&grant.id, now).is_none());
}

#[test]
fn a_gateway_run_by_root_leaves_the_file_to_its_owner() {
    use std::os::unix::fs::MetadataExt as _;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (folder, now) = place();
    let path = folder.path().join("grants.jsonl");
    drop(opened(&folder, now).give(loan(now.wall, now.wall + 100, 1), &alice(), now).unwrap());
    std::os::unix::fs::chown(&path, Some(12_345), Some(54_321)).unwrap();
    drop(opened(&folder, now));
    let file = std::fs::metadata(&path).unwrap();
    assert_eq!((file.uid(), file.gid(), file.mode() & 0o777), (12_345, 54_321, 0o600));
}

#[test]
fn what_cannot_be_read_is_told_to_whoever_wants_to_lend() {
    let (folder, now) = place();
    let first = opened(&folder, now);
    first.give(loan(now.wall, now.wall + 100, 1), &alice(), now).unwrap();
    let second = Grants::default();
    second.open(&folder.path().join("grants.jsonl"), now).unwrap_err();
    let Err(Failure::File(why)) = second.give(loan(now.wall, now.wall + 9, 1), &alice(), now)
    else {
        panic!("lent by two gateways");
    };
    assert!(why.to_string().contains("another gateway with the same `state_directory`"), "{why}");
}

#[test]
fn nobody_makes_the_list_endless_or_takes_all_places() {
    let (folder, now) = place();
    let grants = opened(&folder, now);
    let tech = PrincipalId::new(PrincipalKind::User, "tech");
    let wish = |n: usize| Wish {
        endpoint: format!("plc{n}"),
        rights: Rights::READ,
        seconds: 600,
        reason: "pump".into(),
    };
    let mut asked = Vec::new();
    for n in 0..3 {
        asked.push(grants.ask(wish(n), &tech, now).unwrap().id);
    }
    assert!(matches!(grants.ask(wish(3), &tech, now), Err(Failure::Several)));
    for id in asked {
        grants.withdraw(&id, &tech, now).unwrap();
    }
    for n in 0..1100 {
        let id = grants.ask(wish(0), &tech, later(now, n)).unwrap().id;
        grants.withdraw(&id, &tech, later(now, n)).unwrap();
    }
    let kept = grants.requests();
    assert!(kept.len() < 1010, "{}", kept.len());
    assert!(kept.iter().any(|one| one.at == now.wall + 1099), "the newest stay");
    grants.ask(wish(0), &tech, later(now, 8 * 86_400)).unwrap();
    assert_eq!(grants.requests().len(), 1, "what is older than a week goes without a restart");
}

#[test]
fn it_begins_and_ends_in_its_time_and_works_in_its_network() {
    let (folder, now) = place();
    let grants = opened(&folder, now);
    let (_, early) = grants.give(loan(now.wall + 50, now.wall + 100, 9), &alice(), now).unwrap();
    assert!(matches!(exchange(&grants, &early, now), Err(Refused::Early(50))));
    exchange(&grants, &early, later(now, 50)).unwrap();
    assert!(matches!(exchange(&grants, &early, later(now, 100)), Err(Refused::Wrong)));
    let now = later(now, 100);
    let networks = vec![("10.0.0.0".parse().unwrap(), 8)];
    let loan = Loan { networks, ..loan(now.wall, now.wall + 100, 9) };
    let (_, inside) = grants.give(loan, &alice(), now).unwrap();
    assert!(matches!(exchange(&grants, &inside, now), Err(Refused::Elsewhere)));
    let inner = GrantUse { ip: "::ffff:10.1.2.3".parse().ok(), ..browser() };
    let (_, text) = grants.exchange(&inside, &inner, now, |_| true).unwrap();
    assert!(grants.signed_in(&text, false, inner.ip, now).is_some());
    assert!(!finds(&grants, &text, now), "its cookie from elsewhere");
    for wrong in ["", "wsg_", "wsg_short", &inside[1..], &format!("{inside}x")] {
        assert!(matches!(exchange(&grants, wrong, now), Err(Refused::Wrong)), "{wrong}");
    }
}

#[test]
fn a_clock_that_is_set_gives_nobody_more_time() {
    let (folder, now) = place();
    let grants = opened(&folder, now);
    let (grant, secret) = grants.give(loan(now.wall, now.wall + 100, 9), &alice(), now).unwrap();
    let text = exchange(&grants, &secret, now).unwrap();
    // Back by an hour: what runs goes on for as long as it would have, and no longer.
    let back = |seconds| Moment { wall: now.wall - 3600 + seconds, ..later(now, seconds) };
    let refused = exchange(&grants, &secret, back(10));
    assert!(matches!(refused, Err(Refused::Failed(Failure::ClockWentBack(3590)))), "{refused:?}");
    assert!(grants.running(&grant.id, back(100)).is_none());
    drop(grants);
    // In a new run nobody can tell how long it has run, so it does not.
    let again = opened(&folder, back(20));
    assert!(!finds(&again, &text, back(20)));
    assert_eq!(again.set_back(back(20)), Some(3580));
    // Right again: as if nothing had been.
    again.sweep(later(now, 30));
    assert!(finds(&again, &text, later(now, 30)));
    // Forward: over at once, and still over when it is set right.
    let forward = Moment { wall: now.wall + 1000, ..later(now, 40) };
    let (ended, _) = again.sweep(forward);
    assert_eq!(
        ended.iter().map(|grant| grant.id.as_str()).collect::<Vec<_>>(),
        [grant.id.as_str()]
    );
    again.accept_clock(later(now, 50)).unwrap();
    assert_eq!(again.set_back(later(now, 50)), None);
    assert!(!finds(&again, &text, later(now, 50)));
    drop(again);
    let third = opened(&folder, later(now, 60));
    assert_eq!(third.set_back(later(now, 60)), None, "accepting outlives a restart");
}

#[test]
fn a_request_is_decided_once_by_others_and_expires() {
    let (folder, now) = place();
    let grants = opened(&folder, now);
    let named = |name: &str| PrincipalId::new(PrincipalKind::User, name);
    let wish = || Wish {
        endpoint: "plc1".into(),
        rights: Rights::READ.with(Rights::WRITE).with(Rights::APPROVE),
        seconds: 600,
        reason: "replace the pump".into(),
    };
    let yes = |seconds, rights| Decision::Approve { seconds, rights, needed: 2 };
    let asked = grants.ask(wish(), &named("tech"), now).unwrap();
    assert!(matches!(grants.ask(wish(), &named("tech"), now), Err(Failure::Pending)));
    let own = grants.decide(&asked.id, &yes(None, Rights::ALL), &named("tech"), now);
    assert!(matches!(own, Err(Failure::Decided)));
    let (_, none) = grants.decide(&asked.id, &yes(Some(300), Rights::ALL), &alice(), now).unwrap();
    assert!(none.is_none(), "one of two");
    let twice = grants.decide(&asked.id, &yes(None, Rights::ALL), &alice(), now);
    assert!(matches!(twice, Err(Failure::Decided)));
    drop(grants);
    let again = opened(&folder, now);
    let last = yes(Some(900), Rights::READ);
    let (done, grant) = again.decide(&asked.id, &last, &named("bob"), now).unwrap();
    let grant = grant.unwrap();
    assert_eq!((grant.until - grant.from, grant.rights), (300, Rights::READ), "the least of each");
    assert_eq!(done.state, RequestState::Approved);
    assert_eq!(again.lent_to(&named("tech"), now).len(), 1);
    assert!(again.lent_to(&named("tech"), later(now, 300)).is_empty());
    assert!(matches!(again.decide(&asked.id, &last, &named("eve"), now), Err(Failure::Unknown)));
    let late = again.ask(wish(), &named("tech"), now).unwrap();
    let (_, expired) = again.sweep(later(now, 1800));
    assert_eq!(expired.iter().map(|one| &one.id).collect::<Vec<_>>(), [&late.id]);
    for n in 0..10 {
        again.ask(wish(), &named(&format!("t{n}")), now).unwrap();
    }
    assert!(matches!(again.ask(wish(), &named("one-more"), now), Err(Failure::Full)));
}

#[test]
fn an_end_is_at_its_second_and_not_within_the_next() {
    let (folder, now) = place();
    let late = Moment { part: Duration::from_millis(900), ..now };
    let grants = opened(&folder, late);
    let (grant, _) = grants.give(loan(now.wall, now.wall + 10, 1), &alice(), late).unwrap();
    let vendor = PrincipalId::new(PrincipalKind::Grant, grant.id);
    let left = grants.left(&vendor, "plc1", late);
    assert_eq!(left, Some(Duration::from_millis(9100)));
}
