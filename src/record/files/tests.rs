//! Files: names, rotation, mending.

use std::fs;

use tempfile::TempDir;

use super::*;

fn begun(folder: &Path, budget: Budget) -> Files {
    Files::new(folder.to_owned(), RecordFormat::Pcapng, budget)
}

const AMPLE: Budget = Budget { file: 1 << 20, age: DAY, total: 1 << 24 };

fn head() -> Vec<u8> {
    let mut head = Vec::new();
    pcapng::section(&mut head, "test");
    head
}

fn names(folder: &Path) -> Vec<String> {
    list(folder).unwrap().iter().map(Recording::file).collect()
}

#[test]
fn a_file_is_a_part_until_it_is_closed_and_the_oldest_go() {
    let place = TempDir::new().unwrap();
    let mut files = begun(place.path(), Budget { total: 100, ..AMPLE });
    let name = files.begin(&head()).unwrap();
    assert!(is_recording(&name), "{name}");
    assert_eq!(names(place.path()), [format!("{name}.part")]);
    files.close();
    assert_eq!(names(place.path()), [name.as_str()]);
    let second = files.begin(&head()).unwrap();
    assert_ne!(second, name);
    files.append(&[0; 200], false).unwrap();
    files.close();
    // Together they are too much; the newest alone is, too, and stays.
    assert_eq!(names(place.path()), [second]);
}

#[test]
fn what_a_crash_left_is_cut_at_its_last_whole_block() {
    let place = TempDir::new().unwrap();
    let good = head();
    let torn = [good.as_slice(), &good[..good.len() - 1]].concat();
    for (name, bytes) in [
        ("2026-01-01T00-00-00Z.pcapng", torn.as_slice()),
        ("2026-01-02T00-00-00Z.pcapng", &good[..5]),
        ("2026-01-03T00-00-00Z.cast", b"{}\n[1, \"o\", \"x\"]\n[2, \"o"),
        ("notes.txt", b"x"),
    ] {
        fs::write(place.path().join(format!("{name}.part")), bytes).unwrap();
    }
    begun(place.path(), Budget { age: 100_000 * DAY, ..AMPLE }).prepare().unwrap();
    assert_eq!(names(place.path()), ["2026-01-01T00-00-00Z.pcapng", "2026-01-03T00-00-00Z.cast"]);
    let read = |name: &str| fs::read(place.path().join(name)).unwrap();
    assert_eq!(read("2026-01-01T00-00-00Z.pcapng"), good);
    assert_eq!(read("2026-01-03T00-00-00Z.cast"), b"{}\n[1, \"o\", \"x\"]\n");
    assert!(place.path().join("notes.txt.part").exists());
}

#[test]
fn no_name_leads_out_of_the_folder() {
    for name in ["2026-11-30T04-22-33Z.pcapng", "2026-11-30T04-22-33Z_002.cast"] {
        assert!(is_recording(name), "{name}");
    }
    for name in [
        "../2.raw",
        "2/../../x.raw",
        "/etc/passwd",
        ".pcapng",
        "2Z.pcapng.part",
        "x.raw",
        "2\u{e9}Z.raw",
    ] {
        assert!(!is_recording(name), "{name}");
    }
}
