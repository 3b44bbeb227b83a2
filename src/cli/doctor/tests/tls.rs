//! Real certificates, each wrong in one way.

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::*;

/// From one year, month and day to another.
type Life = ((i32, u8, u8), (i32, u8, u8));

const GOOD: Life = ((2026, 1, 1), (2026, 12, 31));

/// A pair for these names, readable by the service; its files are `cert.pem` and `key.pem`.
fn pair(place: &Place, names: &[&str], (from, until): Life) {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(from.0, from.1, from.2);
    params.not_after = date_time_ymd(until.0, until.1, until.2);
    let key = KeyPair::generate().unwrap();
    place.write("cert.pem", &params.self_signed(&key).unwrap().pem());
    place.write("key.pem", &key.serialize_pem());
    place.mode("key.pem", 0o640);
}

fn config(place: &Place, more: &str) -> String {
    let folder = place.machine.root.display();
    format!(
        "{ALICE}{more}\nlisten: [ {{ address: '[::]:0', tls: {{ certificate: {folder}/cert.pem, key: {folder}/key.pem }} }} ]\n\
         endpoints: {{ e: {{ sim: echo }} }}"
    )
}

const HOSTS: &str = "hosts: [ gw.example ]";

#[test]
fn a_certificate_for_the_hosts_in_its_time_is_well() {
    let place = Place::new();
    pair(&place, &["gw.example"], GOOD);
    place.find(&config(&place, HOSTS)).well();
}

#[test]
fn certificates_out_of_their_time_are_told_with_the_date() {
    let place = Place::new();
    let with = |life| {
        pair(&place, &["gw.example"], life);
        place.find(&config(&place, HOSTS))
    };
    with(((2025, 1, 1), (2026, 5, 30)))
        .wrong(Id::CertificateExpired, &["2026-05-30", "certbot renew"]);
    with(((2026, 6, 3), (2027, 1, 1)))
        .wrong(Id::CertificateEarly, &["2026-06-03", "2026-06-01", "timedatectl"]);
    with(((2026, 1, 1), (2026, 6, 21))).hint(Id::CertificateExpires, &["in 20 days"]);
    with(((2026, 1, 1), (2026, 7, 2))).none(Id::CertificateExpires);
}

#[test]
fn names_that_clients_use_are_compared_with_the_certificates() {
    let place = Place::new();
    pair(&place, &["other.example", "gw.example"], GOOD);
    let found = place.find(&config(&place, "hosts: [ gw.example, tools.example ]"));
    found.wrong(Id::CertificateName, &["`tools.example`", "other.example, gw.example", "certbot"]);
    found.hint(
        Id::HostMissing,
        &["other.example", "421", "hosts: [ gw.example, other.example, tools.example ]"],
    );
    place
        .find(&config(&place, ""))
        .wrong(Id::HostMissing, &["hosts: [ gw.example, other.example ]"]);
    // The host's own names need no entry, and a star stands for one label.
    pair(&place, &["box", "box.local"], GOOD);
    place.find(&config(&place, "")).well();
    pair(&place, &["*.example"], GOOD);
    place.find(&config(&place, HOSTS)).well();
}

#[test]
fn an_address_listened_on_should_be_in_the_certificate() {
    let place = Place::new();
    pair(&place, &["box"], GOOD);
    let text = config(&place, "").replace("[::]:0", "203.0.113.9:0");
    place.find(&text).hint(Id::CertificateAddress, &["203.0.113.9", "https://box/"]);
    pair(&place, &["box", "203.0.113.9"], GOOD);
    place.find(&text).none(Id::CertificateAddress);
}

#[test]
fn a_key_of_another_certificate_is_told_by_the_daemons_loader() {
    let place = Place::new();
    pair(&place, &["gw.example"], GOOD);
    place.write("key.pem", &KeyPair::generate().unwrap().serialize_pem());
    place
        .find(&config(&place, HOSTS))
        .wrong(Id::CertificateWrong, &["key.pem", "does not belong", "openssl"]);
    place.write("cert.pem", "no certificate");
    place
        .find(&config(&place, HOSTS))
        .wrong(Id::CertificateWrong, &["cert.pem", "no certificate in it"]);
}

#[test]
fn a_key_everybody_may_read_is_closed_and_one_the_service_may_not_read_is_opened() {
    let place = Place::new();
    pair(&place, &["gw.example"], GOOD);
    place.mode("key.pem", 0o644);
    place.find(&config(&place, HOSTS)).wrong(Id::KeyReadable, &["sudo chmod o= "]);
    place.mode("key.pem", 0o600);
    let found = place.find(&config(&place, HOSTS));
    found.wrong(Id::CertificateUnread, &["wsbridge, who runs the daemon", "chgrp wsbridge"]);
}

#[test]
fn an_authority_of_clients_that_has_expired_is_told() {
    let place = Place::new();
    pair(&place, &["gw.example"], ((2020, 1, 1), (2021, 1, 1)));
    fs::rename(place.path("cert.pem"), place.path("ca.pem")).unwrap();
    pair(&place, &["gw.example"], GOOD);
    let ca = format!("client_ca: {}, key:", place.path("ca.pem").display());
    let found = place.find(&config(&place, HOSTS).replace("key:", &ca));
    found.wrong(Id::CertificateExpired, &["ca.pem", "2021-01-01"]);
    place.write("ca.pem", "");
    let found = place.find(&config(&place, HOSTS).replace("key:", &ca));
    found.wrong(Id::CertificateWrong, &["ca.pem"]);
}

#[test]
fn our_own_certificate_is_made_anew_when_the_machine_has_another_name() {
    let place = Place::new();
    let state = place.machine.root.display();
    let text = format!(
        "{ALICE}state_directory: {state}\nlisten: [ {{ address: '[::]:0' }} ]\nendpoints: {{ e: {{ sim: echo }} }}"
    );
    place.find(&text).none(Id::Certificate);
    let names = crate::tls::WantedNames::new("former", &[]).all();
    pair(&place, &names.iter().map(String::as_str).collect::<Vec<_>>(), GOOD);
    fs::create_dir(place.path("tls")).unwrap();
    fs::rename(place.path("cert.pem"), place.path("tls/cert.pem")).unwrap();
    let found = place.find(&text);
    found.hint(Id::CertificateName, &["box", "box.local", "sudo wsbridge ca new"]);
}

#[test]
fn a_clock_that_is_not_set_is_told_before_certificates_are_blamed() {
    let mut place = Place::new();
    let text = format!("{PLAIN}endpoints: {{ e: {{ sim: echo }} }}");
    place.find(&text).well();
    place.machine.now = 4 * DAY;
    place.find(&text).wrong(Id::ClockUnset, &["1970-01-05", "timedatectl set-ntp true"]);
    place.machine.now = NOW;
    fs::remove_file(place.path("run/systemd/timesync/synchronized")).unwrap();
    place.find(&text).well();
    place.machine.ask = |words| (words[0] == "timedatectl").then(|| "no".into());
    place.find(&text).hint(Id::ClockUnsynchronised, &["NTP"]);
    place.machine.ask = |words| (words[0] == "timedatectl").then(|| "yes".into());
    place.find(&text).well();
}
