//! A second factor, from its first code to its last recovery code.

use std::fs;

use super::*;

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
/// RFC 6238, appendix B: codes of that secret.
const CODES: [(i64, &str); 3] =
    [(1_111_111_109, "081804"), (1_234_567_890, "005924"), (2_000_000_000, "279037")];

fn at(wall: i64) -> Moment {
    Moment { wall, part: Duration::ZERO, steady: Instant::now() }
}

fn open(folder: &Path) -> SecondFactors {
    let all = SecondFactors::default();
    all.open(folder, 1_000_000_000).unwrap();
    all
}

fn enrolled(folder: &Path) -> (SecondFactors, Vec<String>) {
    let all = open(folder);
    assert_eq!(all.need("alice"), Need::Nothing);
    let (now, code) = CODES[0];
    let codes = all.enrol("alice", (SECRET, code), at(now)).unwrap();
    (all, codes)
}

fn wrong(all: &SecondFactors, typed: &str, now: i64) -> SecondFactor {
    match all.prove("alice", typed, at(now)) {
        Err(Failure::Code(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_code_counts_once_and_so_it_does_for_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let (all, _) = enrolled(folder.path());
    assert_eq!((all.need("alice"), all.need("bob")), (Need::Code, Need::Nothing));
    let [(first, confirmed), (now, code), _] = CODES;
    assert_eq!(wrong(&all, confirmed, first), SecondFactor::Used, "it confirmed the secret");
    assert_eq!(all.prove("alice", code, at(now)).unwrap(), Proved::Code);
    assert_eq!(wrong(&all, code, now), SecondFactor::Used);
    drop(all);
    let next = open(folder.path());
    assert_eq!(wrong(&next, code, now), SecondFactor::Used);
    assert_eq!(next.need("alice"), Need::Code);
    next.remove("alice").unwrap();
    assert_eq!(next.need("alice"), Need::Nothing);
    drop(next);
    assert_eq!(open(folder.path()).need("alice"), Need::Nothing);
}

#[test]
fn a_recovery_code_counts_once_however_it_is_typed_and_new_ones_replace_all() {
    let folder = tempfile::tempdir().unwrap();
    let (all, codes) = enrolled(folder.path());
    assert_eq!(codes.len(), RECOVERY_CODES);
    assert_eq!(all.prove("alice", &codes[0], at(0)).unwrap(), Proved::Recovery(9));
    assert_eq!(wrong(&all, &codes[0], 0), SecondFactor::Wrong);
    let typed = format!(" {} ", codes[1].to_uppercase().replace('-', " "));
    assert_eq!(all.prove("alice", &typed, at(0)).unwrap(), Proved::Recovery(8));
    drop(all);
    let all = open(folder.path());
    assert_eq!(wrong(&all, &codes[1], 0), SecondFactor::Wrong, "used by the run before");
    let text = fs::read_to_string(folder.path().join("totp.json")).unwrap();
    assert!(!text.contains(&plain(&codes[2])));
    let new = all.renew_recovery("alice").unwrap();
    assert_eq!(wrong(&all, &codes[2], 0), SecondFactor::Wrong);
    assert_eq!(all.prove("alice", &new[0], at(0)).unwrap(), Proved::Recovery(9));
    assert_eq!(all.list().unwrap()[0].recovery, 9);
}

#[test]
fn a_clock_that_is_certainly_wrong_is_told_from_a_wrong_code() {
    let folder = tempfile::tempdir().unwrap();
    let (all, codes) = enrolled(folder.path());
    let [(first, _), (now, code), _] = CODES;
    assert_eq!(wrong(&all, code, 500_000_000), SecondFactor::Clock, "before this was built");
    assert_eq!(wrong(&all, code, first - 3600), SecondFactor::Clock, "a code has counted later");
    assert_eq!(wrong(&all, "000000", now), SecondFactor::Wrong);
    assert_eq!(wrong(&all, code, now - 600), SecondFactor::Drift(600));
    assert_eq!(all.prove("alice", &codes[0], at(0)).unwrap(), Proved::Recovery(9));
}

#[tokio::test(start_paused = true)]
async fn after_twenty_wrong_codes_in_an_hour_only_recovery_codes_are_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let (all, codes) = enrolled(folder.path());
    let (now, code) = CODES[1];
    for _ in 0..WRONG_CODES {
        assert_eq!(wrong(&all, "000000", now), SecondFactor::Wrong);
        tokio::time::advance(Duration::from_secs(60)).await;
    }
    assert_eq!(wrong(&all, code, now), SecondFactor::TooMany(41));
    assert_eq!(all.prove("alice", &codes[0], at(now)).unwrap(), Proved::Recovery(9));
    tokio::time::advance(Duration::from_secs(41 * 60)).await;
    assert_eq!(all.prove("alice", code, at(now)).unwrap(), Proved::Code);
}

#[test]
fn nobody_gets_one_without_a_code_of_its_secret_or_on_a_disk_that_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let all = open(folder.path());
    let (now, code) = CODES[0];
    let refused = |secret, typed, wall| all.enrol("alice", (secret, typed), at(wall)).unwrap_err();
    assert!(matches!(refused(SECRET, "123456", now), Failure::Code(SecondFactor::Wrong)));
    assert!(matches!(refused(SECRET, code, now + 300), Failure::Code(SecondFactor::Drift(-300))));
    assert!(matches!(refused("GEZDGNBV", code, now), Failure::Secret));
    assert!(matches!(all.remove("alice"), Err(Failure::Absent)));
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none(), "no key without a user");
    fs::create_dir(folder.path().join("totp.new")).unwrap();
    assert!(matches!(refused(SECRET, code, now), Failure::File(_)));
    assert_eq!(all.need("alice"), Need::Nothing);
    assert!(!folder.path().join("totp.key").exists(), "the next start finds nothing lost");
}

#[test]
fn when_it_cannot_be_read_who_has_one_nobody_is_let_in() {
    let folder = tempfile::tempdir().unwrap();
    drop(enrolled(folder.path()));
    fs::write(folder.path().join("totp.json"), "{").unwrap();
    let all = SecondFactors::default();
    assert!(all.open(folder.path(), 0).is_err());
    assert_eq!((all.need("alice"), all.need("bob")), (Need::Unknown, Need::Unknown));
    let (now, code) = CODES[0];
    assert!(matches!(all.enrol("bob", (SECRET, code), at(now)), Err(Failure::File(_))));
    assert_eq!(fs::read_to_string(folder.path().join("totp.json")).unwrap(), "{");
}
