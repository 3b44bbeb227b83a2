//! The service of a made-up machine: outdated, not reloaded, short of descriptors, without its
//! directory.

use super::*;

const SIM: &str = "listen: [ { address: '127.0.0.1:0', tls: none } ]\nauth: none\nendpoints: { e: { sim: echo } }\n";

#[test]
fn a_daemon_whose_binary_was_replaced_is_old() {
    let place = Place::new();
    place.runs("");
    place.find(SIM).well();
    fs::remove_file(place.path("proc/77/exe")).unwrap();
    symlink("/usr/bin/wsbridge (deleted)", place.path("proc/77/exe")).unwrap();
    place.find(SIM).wrong(Id::ServiceOld, &["pid 77", "sudo systemctl restart wsbridge"]);
}

#[test]
fn a_service_that_is_installed_and_off_is_a_hint_once_it_was_enabled_it_is_none() {
    let place = Place::new();
    place.find(SIM).none(Id::ServiceOff);
    place.write("etc/systemd/system/multi-user.target.wants/wsbridge.service", "");
    // It runs with another file than the one being examined, which is not a mistake.
    place.find(SIM).none(Id::ServiceOff);
    let start = format!("ExecStart=/usr/bin/wsbridge serve --config {}", place.file().display());
    place.unit(&format!("ExecStart=\n{start}"));
    let found = place.find(SIM);
    found.wrong(Id::ServiceOff, &["enabled", "journalctl -u wsbridge"]);
    place.runs("");
    place.find(SIM).well();
}

#[test]
fn a_file_that_was_changed_after_it_was_read_is_not_in_force() {
    let mut place = Place::new();
    place.runs("");
    place.machine.ask = |words| {
        (words[0] == "systemctl")
            .then(|| "1 endpoint on [::]:8443; configuration read 2020-01-01T00:00:00Z".into())
    };
    place.find(SIM).wrong(Id::NotReloaded, &["wsbridge.yaml", "sudo systemctl reload wsbridge"]);
    place.machine.ask = |words| {
        (words[0] == "systemctl")
            .then(|| "1 endpoint on [::]:8443; configuration read 2999-01-01T00:00:00Z".into())
    };
    place.find(SIM).well();
    place.machine.ask = |words| {
        (words[0] == "systemctl").then(|| {
            "1 endpoint; configuration read 2020-01-01T00:00:00Z; the last reload failed: x.yaml:3: no".into()
        })
    };
    place.find(SIM).wrong(Id::ReloadFailed, &["x.yaml:3: no", "sudo wsbridge check"]);
}

#[test]
fn descriptors_must_do_for_all_connections() {
    let place = Place::new();
    place.runs("");
    let many =
        format!("{SIM}limits: {{ connections: 4000, per_address: 4000, unauthenticated: 4000 }}");
    place.find(&many).wrong(Id::Descriptors, &["4000", "4096", "LimitNOFILE=8067"]);
    place.write("proc/77/cmdline", "");
    place.find(&many).none(Id::Descriptors);
    place.unit("LimitNOFILE=1024:2048");
    place.find(&many).wrong(Id::Descriptors, &["2048"]);
}

#[test]
fn a_state_directory_of_ones_own_must_be_writable_for_the_service() {
    let place = Place::new();
    place.write("state/x", "");
    place.mode("state", 0o700);
    let text = format!("{SIM}state_directory: {}", place.path("state").display());
    place.find(&text).wrong(
        Id::StateDirectory,
        &["wsbridge may not write", "sudo install -d -m 700 -o wsbridge"],
    );
    place.mode("state", 0o777);
    place.find(&text).none(Id::StateDirectory);
    place.find(&format!("{SIM}state_directory: /var/lib/wsbridge")).none(Id::StateDirectory);
}

#[test]
fn drop_ins_have_the_last_word_and_an_empty_line_begins_a_list_anew() {
    let place = Place::new();
    place.unit("SupplementaryGroups=\nSupplementaryGroups=a b\n# User=x\nUser=other");
    let unit = super::super::unit::UnitFile::read(&place.machine, "wsbridge.service").unwrap();
    assert_eq!(
        (unit.last("User"), unit.words("SupplementaryGroups")),
        (Some("other"), vec!["a", "b"])
    );
    assert_eq!(unit.last("Type"), Some("notify"));
    assert!(super::super::unit::UnitFile::read(&place.machine, "none.service").is_none());
}
