//! Every change to a record is found: of one byte, of a line, of a file, of everything after it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use proptest::prelude::*;
use tempfile::TempDir;

use super::{
    files::{Budget, Files, Recovered, list},
    line::Entry,
    note::SignedCheckpoint,
    *,
};

const BUDGET: Budget = Budget { file: 2048, total: 1 << 20 };

fn entry(n: u64) -> Entry {
    Entry {
        at: jiff::Timestamp::from_second(1_790_000_000 + n.cast_signed()).unwrap(),
        what: "open",
        who: Some(format!("user:u{n}")),
        ..Entry::default()
    }
}

fn write(folder: &Path, budget: Budget, numbers: std::ops::Range<u64>) -> Recovered {
    let (mut files, recovered) = Files::open(folder, "gw1", budget).unwrap();
    for n in numbers {
        let line = files.at.line(&entry(n), ("boot", 1.5));
        files.append(&line).unwrap();
    }
    recovered
}

fn sign(folder: &Path) -> SignedCheckpoint {
    let (mut files, _) = Files::open(folder, "gw1", BUDGET).unwrap();
    files.checkpoint().unwrap().unwrap().parse().unwrap()
}

/// A record of 40 lines in several files, signed at 20 and at 40.
fn record() -> (TempDir, SignedCheckpoint) {
    let folder = TempDir::new().unwrap();
    write(folder.path(), BUDGET, 0..20);
    sign(folder.path());
    write(folder.path(), BUDGET, 20..40);
    let newest = sign(folder.path());
    assert!(list(folder.path()).unwrap().len() > 2);
    (folder, newest)
}

fn verified(folder: &Path) -> Result<Verified, Broken> {
    verify(folder, &[], None).unwrap()
}

fn newest_file(folder: &Path) -> PathBuf {
    list(folder).unwrap().pop().unwrap().1
}

#[test]
fn a_record_that_nobody_touched_is_whole() {
    let (folder, newest) = record();
    let found = verified(folder.path()).unwrap();
    assert_eq!((found.lines, found.signed, found.torn), ((0, 40), 40, 0));
    assert!(found.origin.starts_with("gw1/"), "{}", found.origin);
    assert_eq!(newest.checkpoint.size, 40);
    // It goes on after a restart.
    assert_eq!(write(folder.path(), BUDGET, 40..45), Recovered::default());
    let found = verified(folder.path()).unwrap();
    assert_eq!((found.lines, found.signed), ((0, 45), 40));
}

#[test]
fn a_line_that_was_not_written_whole_is_cut_at_the_next_start() {
    let (folder, _) = record();
    let file = newest_file(folder.path());
    let whole = fs::read(&file).unwrap();
    let torn = [whole.as_slice(), b"{\"n\":40,\"t\":"].concat();
    fs::write(&file, &torn).unwrap();
    assert_eq!(verified(folder.path()).unwrap().torn, 12);
    assert_eq!(write(folder.path(), BUDGET, 40..41), Recovered { cut: 12, missing: 0 });
    assert_eq!(verified(folder.path()).unwrap().lines, (0, 41));
}

#[test]
fn what_a_checkpoint_had_and_the_disk_has_not_is_told_at_the_next_start_and_for_ever() {
    let (folder, _) = record();
    let file = newest_file(folder.path());
    let whole = fs::read(&file).unwrap();
    let end = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap();
    fs::write(&file, &whole[..=end]).unwrap();
    assert_eq!(verified(folder.path()), Err(Broken::Cut { size: 40, is: 39 }));
    assert_eq!(write(folder.path(), BUDGET, 0..0), Recovered { cut: 0, missing: 1 });
    write(folder.path(), BUDGET, 90..95);
    assert_eq!(verified(folder.path()), Err(Broken::Root { size: 40 }));
}

#[test]
fn the_end_cannot_be_cut_before_a_checkpoint_that_somebody_else_has() {
    let (folder, newest) = record();
    // All that the gateway itself has says 20 lines.
    let notes = fs::read_to_string(folder.path().join("checkpoints")).unwrap();
    let (first, _) = notes.split_at(notes.len() / 2);
    fs::write(folder.path().join("checkpoints"), first).unwrap();
    for (number, path) in list(folder.path()).unwrap() {
        if number >= 20 {
            fs::remove_file(path).unwrap();
        }
    }
    let whole = verified(folder.path()).unwrap();
    assert!(whole.lines.1 >= 20 && whole.lines.1 < 40, "{whole:?}");
    let told = verify(folder.path(), &[newest], None).unwrap();
    assert_eq!(told, Err(Broken::Cut { size: 40, is: whole.lines.1 }));
}

#[test]
fn a_record_made_anew_has_another_key() {
    let (folder, _) = record();
    let key = verified(folder.path()).unwrap().key.parse().unwrap();
    let (anew, _) = record();
    let told = verify(anew.path(), &[], Some(&key)).unwrap();
    assert!(matches!(told, Err(Broken::Signature { size: 20, .. })), "{told:?}");
    assert!(verify(folder.path(), &[], Some(&key)).unwrap().is_ok());
}

#[test]
fn the_oldest_files_go_and_what_is_kept_is_still_proved() {
    let folder = TempDir::new().unwrap();
    let budget = Budget { file: 4096, total: 20_000 };
    write(folder.path(), budget, 0..200);
    sign(folder.path());
    let total: u64 =
        list(folder.path()).unwrap().iter().map(|(_, it)| fs::metadata(it).unwrap().len()).sum();
    assert!(total <= budget.total, "{total}");
    let found = verified(folder.path()).unwrap();
    assert!(found.lines.0 > 100 && found.lines.1 == 200, "{found:?}");
    let key = found.key.parse().unwrap();
    let proof = prove(folder.path(), 190).unwrap().unwrap().unwrap();
    assert!(proof.line.contains("user:u190"));
    assert!(proof.holds(190, &key) && !proof.holds(191, &key));
    let forged = Proof { line: proof.line.replace("u190", "u191"), ..proof };
    assert!(!forged.holds(190, &key));
    assert_eq!(prove(folder.path(), 3).unwrap(), Ok(None));
}

#[test]
fn one_file_is_verified_alone() {
    let (folder, _) = record();
    let (first, path) = list(folder.path()).unwrap().swap_remove(1);
    let found = verify(&path, &[], None).unwrap().unwrap();
    // What was signed over later files says nothing of this one.
    assert!(found.lines.0 == first && first > 0 && found.signed <= found.lines.1, "{found:?}");
}

#[test]
fn pages_from_the_end_have_every_line_once_and_no_half_one() {
    let (folder, _) = record();
    let file = newest_file(folder.path());
    let torn = [fs::read(&file).unwrap().as_slice(), b"{\"n\":40,\"t\":"].concat();
    fs::write(&file, torn).unwrap();
    for most in [1, 3, 40, 100] {
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let page = look(folder.path(), before, most, |_| true).unwrap();
            assert!(page.lines.len() <= most);
            seen.extend(page.lines.iter().map(|line| line["n"].as_u64().unwrap()));
            let Some(older) = page.older else { break };
            before = Some(older.to_string().parse().unwrap());
        }
        assert_eq!(seen, (0..40).rev().collect::<Vec<_>>(), "{most}");
    }
    // A place that nobody was given: the whole lines before it.
    let page = look(folder.path(), Some("0-500".parse().unwrap()), 9, |_| true).unwrap();
    assert!(!page.lines.is_empty() && page.lines.iter().all(|line| line["who"].is_string()));
    let none = look(folder.path(), None, 9, |line| line["who"] == "user:u41").unwrap();
    assert_eq!((none.lines.len(), none.older), (0, None));
}

/// What somebody may do to the lines of a record.
fn tampered(lines: &mut Vec<Vec<u8>>, (how, at, byte, bits): (u8, usize, usize, u8)) {
    let at = at % lines.len();
    match how {
        0 => {
            let line = &mut lines[at];
            let byte = byte % line.len();
            line[byte] ^= bits;
        }
        1 => drop(lines.remove(at)),
        2 => lines.insert(at, lines[at].clone()),
        3 => lines.swap(at, (at + 1 + byte % 38) % 40),
        _ => lines.truncate(at),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn each_change_deletion_insertion_swap_and_cut_is_found(
        how in 0_u8..5, at in 0_usize..40, byte in 0_usize..4096, bits in 1_u8..=255,
    ) {
        let folder = TempDir::new().unwrap();
        write(folder.path(), Budget { file: 1 << 20, total: 1 << 22 }, 0..40);
        sign(folder.path());
        let file = newest_file(folder.path());
        let whole = fs::read(&file).unwrap();
        let mut lines: Vec<_> = whole.split_inclusive(|it| *it == b'\n').map(<[u8]>::to_vec).collect();
        let heading = lines.remove(0);
        tampered(&mut lines, (how, at, byte, bits));
        fs::write(&file, [heading, lines.concat()].concat()).unwrap();
        prop_assert!(verified(folder.path()).is_err(), "{how} {at} {byte} {bits}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn each_changed_byte_of_a_heading_is_found(byte in 0_usize..4096, bits in 1_u8..=255) {
        let (folder, _) = record();
        for (_, file) in list(folder.path()).unwrap() {
            let mut whole = fs::read(&file).unwrap();
            let end = whole.iter().position(|it| *it == b'\n').unwrap();
            whole[byte % end] ^= bits;
            fs::write(&file, &whole).unwrap();
            prop_assert!(verified(folder.path()).is_err(), "{}", file.display());
            whole[byte % end] ^= bits;
            fs::write(&file, &whole).unwrap();
        }
        prop_assert!(verified(folder.path()).is_ok());
    }
}

fn rotate(folder: &Path) -> String {
    let (mut files, _) = Files::open(folder, "gw1", BUDGET).unwrap();
    files.checkpoint().unwrap();
    let key = files
        .rotate(|at, detail| at.line(&Entry { what: "key", detail, ..entry(0) }, ("boot", 1.5)));
    files.checkpoint().unwrap();
    key.unwrap()
}

#[test]
fn a_new_key_is_followed_from_any_key_before_it() {
    let (folder, _) = record();
    let mut keys = vec![verified(folder.path()).unwrap().key];
    for n in 0..3 {
        keys.push(rotate(folder.path()));
        write(folder.path(), BUDGET, n * 20..n * 20 + 15);
        sign(folder.path());
    }
    let found = verified(folder.path()).unwrap();
    assert_eq!((found.lines, found.signed), ((0, 88), 88));
    assert_eq!(&found.key, keys.last().unwrap());
    for key in &keys {
        let known = key.parse().unwrap();
        assert!(verify(folder.path(), &[], Some(&known)).unwrap().is_ok(), "{key}");
    }
    // A later file alone has the chain of keys at its beginning.
    let newest = verify(&newest_file(folder.path()), &[], Some(&keys[0].parse().unwrap()));
    assert!(newest.unwrap().unwrap().lines.0 > 80);
    let (other, _) = record();
    let other = verified(other.path()).unwrap().key.parse().unwrap();
    assert!(verify(folder.path(), &[], Some(&other)).unwrap().is_err());
    assert!(!folder.path().join("key.next").exists());
}

#[test]
fn a_key_that_the_one_before_has_not_signed_is_found() {
    let (folder, _) = record();
    let foreign = SignerKey::from_pkcs8("gw1", &SignerKey::generate().unwrap()).unwrap();
    let (mut files, _) = Files::open(folder.path(), "gw1", BUDGET).unwrap();
    let mut detail = serde_json::Map::new();
    for (name, text) in
        [("key", foreign.verifier().to_string()), ("signed", foreign.say("wsbridge audit key\n"))]
    {
        detail.insert(name.to_owned(), text.into());
    }
    let line = files.at.line(&Entry { what: "key", detail, ..entry(0) }, ("boot", 1.5));
    files.append(&line).unwrap();
    drop(files);
    let told = verified(folder.path());
    assert!(matches!(told, Err(Broken::Key { .. })), "{told:?}");
}

#[test]
fn a_key_file_that_was_replaced_is_found_with_the_key_that_was_kept() {
    let (folder, _) = record();
    let kept = verified(folder.path()).unwrap().key.parse().unwrap();
    let (other, _) = record();
    fs::copy(other.path().join("key"), folder.path().join("key")).unwrap();
    write(folder.path(), BUDGET, 40..45);
    sign(folder.path());
    for key in [None, Some(&kept)] {
        assert!(verify(folder.path(), &[], key).unwrap().is_err());
    }
}

#[test]
fn a_new_key_survives_a_loss_of_power_at_each_step() {
    // The next key was kept, and its line not written.
    let (folder, _) = record();
    let before = verified(folder.path()).unwrap().key;
    let (other, _) = record();
    fs::copy(other.path().join("key"), folder.path().join("key.next")).unwrap();
    write(folder.path(), BUDGET, 40..45);
    sign(folder.path());
    assert_eq!(verified(folder.path()).unwrap().key, before);
    assert!(!folder.path().join("key.next").exists());
    // Its line was written, and the file not renamed.
    let old = fs::read(folder.path().join("key")).unwrap();
    let new = rotate(folder.path());
    fs::rename(folder.path().join("key"), folder.path().join("key.next")).unwrap();
    fs::write(folder.path().join("key"), old).unwrap();
    write(folder.path(), BUDGET, 50..75);
    sign(folder.path());
    let found = verified(folder.path()).unwrap();
    assert_eq!((found.key, found.lines.1), (new, found.signed));
}
