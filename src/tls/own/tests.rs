//! Tests of the gateway's own certificate: what is made, kept, renewed, and by which clock.

use std::os::unix::fs::PermissionsExt as _;

use rcgen::CertificateParams;

use super::*;

const DAY: i64 = 24 * 3600;
/// 2027-01-15.
const NOW: i64 = 1_800_000_000;

/// A state directory; dropped with the test.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn paths(&self) -> OwnFiles {
        OwnFiles::under(self.0.path())
    }

    fn ensure(&self, hosts: &[&str], now: i64) -> OwnCertificate {
        let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
        ensure(&self.paths(), &WantedNames::new("Box.lan", &hosts), now).unwrap().0
    }

    /// All four files.
    fn files(&self) -> [Vec<u8>; 4] {
        let OwnFiles { certificate, key, authority, authority_key, .. } = self.paths();
        [certificate, key, authority, authority_key].map(|file| fs::read(file).unwrap_or_default())
    }

    /// The kind of certificate made before there were authorities, valid until then.
    fn self_signed(&self, until: i64) {
        let paths = self.paths();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["box.lan".to_owned()]).unwrap();
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        params.not_before = epoch + std::time::Duration::from_secs(NOW.unsigned_abs());
        params.not_after = epoch + std::time::Duration::from_secs(until.unsigned_abs());
        fs::create_dir_all(&paths.folder).unwrap();
        fs::write(&paths.certificate, params.self_signed(&key).unwrap().pem()).unwrap();
        fs::write(&paths.key, key.serialize_pem()).unwrap();
    }
}

#[test]
fn a_new_installation_gets_an_authority_and_a_certificate_under_it_once() {
    let place = Place::new();
    let own = place.ensure(&["gateway.example"], NOW);
    let authority = own.authority.unwrap();
    assert!(own.stuck.is_none() && authority.scope.permits("gateway.example"));
    for name in ["box.lan", "box.local", "localhost", "gateway.example", "127.0.0.1"] {
        assert!(own.leaf.covers(name), "{name}");
    }
    assert!(own.leaf.until - own.leaf.from < 397 * DAY, "no browser takes a longer one");
    assert!(own.leaf.until > NOW + 390 * DAY && authority.until > NOW + 3650 * DAY);
    let made = place.files();
    let again = place.ensure(&["gateway.example"], NOW + 300 * DAY);
    assert_eq!((place.files(), again.authority.unwrap()), (made, authority));
    let paths = place.paths();
    for secret in [paths.key, paths.authority_key] {
        assert_eq!(fs::metadata(secret).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn an_existing_self_signed_certificate_stays_byte_for_byte_until_it_ends() {
    let place = Place::new();
    place.self_signed(NOW + 825 * DAY);
    let old = place.files();
    // 1970, an image's date, today with a new name, long afterwards.
    for now in [0, BUILT + DAY, NOW, NOW + 794 * DAY] {
        let own = place.ensure(&["new.example"], now);
        assert!(own.authority.is_none() && !own.is_due(&WantedNames::new("other", &[]), now));
        assert_eq!(place.files(), old, "{now}");
    }
    // Those who have pinned it have to do something now in any case.
    assert!(place.ensure(&[], NOW + 796 * DAY).authority.is_some());
}

#[test]
fn a_certificate_is_renewed_under_the_same_authority_with_the_same_key() {
    let place = Place::new();
    let first = place.ensure(&[], NOW);
    let [old, key, authority, authority_key] = place.files();
    let wanted = WantedNames::new("Box.lan", &[]);
    assert!(!first.is_due(&wanted, NOW + 365 * DAY) && first.is_due(&wanted, NOW + 367 * DAY));
    let second = place.ensure(&[], NOW + 367 * DAY);
    let [new, ..] = place.files();
    assert_ne!(new, old);
    assert_eq!(place.files(), [new, key, authority, authority_key]);
    assert_eq!(second.authority, first.authority);
    assert!(second.leaf.until > first.leaf.until + 360 * DAY);
    // Nothing outlives its authority; near its end nothing is made over and over.
    let until = first.authority.unwrap().until;
    let last = place.ensure(&[], until - 40 * DAY);
    assert_eq!(last.leaf.until, until);
    assert!(!last.is_due(&wanted, until - 5 * DAY) && !last.is_due(&wanted, until + DAY));
}

#[test]
fn a_certificate_of_a_clock_that_was_not_set_is_renewed_when_it_is() {
    let place = Place::new();
    let first = place.ensure(&[], 4 * DAY);
    assert!(first.leaf.from >= BUILT && !first.is_due(&WantedNames::new("Box.lan", &[]), 5 * DAY));
    let authority = first.authority.unwrap();
    assert_eq!(authority.until, BUILT + 3652 * DAY);
    let right = place.ensure(&[], NOW + 700 * DAY);
    assert!(right.leaf.from <= NOW + 700 * DAY && right.leaf.until > NOW + 1000 * DAY);
    assert_eq!(right.authority.unwrap(), authority);
    // The battery is empty again: what is known to be valid stays.
    let made = place.files();
    place.ensure(&[], 4 * DAY);
    assert_eq!(place.files(), made);
    // A clock that was ahead for a while.
    place.ensure(&[], NOW + 2000 * DAY);
    assert!(place.ensure(&[], NOW + 710 * DAY).leaf.from <= NOW + 710 * DAY);
}

#[test]
fn a_name_is_taken_up_where_the_authority_may_sign_for_it_and_told_where_not() {
    let place = Place::new();
    let first = place.ensure(&["gateway.example"], NOW);
    let authority = first.authority.clone().unwrap();
    // Below a name, and an address of a private network.
    let more = ["gateway.example", "a.gateway.example", "10.9.8.7"];
    let wanted = WantedNames::new("Box.lan", &more.map(str::to_owned));
    assert!(first.is_due(&wanted, NOW) && authority.outside(&wanted).is_empty());
    let second = place.ensure(&more, NOW);
    assert!(second.leaf.covers("a.gateway.example") && second.leaf.covers("10.9.8.7"));
    // Outside: nothing is made, and the text says what to type.
    let made = place.files();
    let other = ["gateway.example", "other.example", "203.0.113.7"].map(str::to_owned);
    let wanted = WantedNames::new("Box.lan", &other);
    assert!(!second.is_due(&wanted, NOW));
    assert_eq!(place.ensure(&["other.example", "203.0.113.7"], NOW).authority, second.authority);
    assert_eq!(place.files(), made);
    let told = authority.remarks(&wanted, NOW, "sudo wsbridge ca new --replace");
    assert_eq!(told.len(), 1);
    for word in ["203.0.113.7, other.example", "`sudo wsbridge ca new --replace`"] {
        assert!(told[0].contains(word), "{told:?}");
    }
    let told = authority.remarks(&WantedNames::new("box.lan", &[]), authority.until - 9 * DAY, "x");
    assert!(told.len() == 1 && told[0].contains("ends on 2037-01-14"), "{told:?}");
}

#[test]
fn what_is_damaged_is_told_and_what_can_be_served_is_served() {
    let place = Place::new();
    place.ensure(&[], NOW);
    let OwnFiles { certificate, key, authority, authority_key, .. } = place.paths();
    let made = place.files();
    // An authority's key that is kept elsewhere, or belongs to another.
    fs::remove_file(&authority_key).unwrap();
    assert!(place.ensure(&[], NOW).stuck.is_none());
    let stuck = place.ensure(&[], NOW + 380 * DAY);
    assert!(stuck.stuck.unwrap().contains("ca.key: cannot be read") && stuck.authority.is_some());
    fs::write(&authority_key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let stuck = place.ensure(&[], NOW + 380 * DAY).stuck.unwrap();
    assert!(stuck.contains("ca.key: this key does not belong to"), "{stuck}");
    fs::write(&authority, "rubbish").unwrap();
    let stuck = place.ensure(&[], NOW);
    assert!(stuck.stuck.unwrap().contains("ca.crt: no certificate") && stuck.authority.is_none());
    // Without a certificate there is nothing left to serve, and no authority is made without
    // asking.
    fs::remove_file(&certificate).unwrap();
    let error = ensure(&place.paths(), &WantedNames::new("box", &[]), NOW).unwrap_err();
    assert!(error.to_string().contains("ca.crt: no certificate"), "{error}");
    // A pair that does not match, as after a power cut, is made again under the authority.
    fs::write(&authority, &made[2]).unwrap();
    fs::write(&authority_key, &made[3]).unwrap();
    fs::write(&certificate, &made[0]).unwrap();
    fs::write(&key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let mended = place.ensure(&[], NOW);
    assert!(mended.stuck.is_none() && mended.authority.is_some());
    assert!(is_under(&place.paths(), &mended.authority.unwrap()));
}

#[test]
fn another_authority_takes_the_place_of_all_there_was() {
    let place = Place::new();
    place.self_signed(NOW + 825 * DAY);
    let old = place.files();
    let wanted = WantedNames::new("Box.lan", &["gateway.example".to_owned()]);
    let first = make_anew(place.0.path(), &wanted).unwrap();
    let second = make_anew(place.0.path(), &wanted).unwrap();
    assert_ne!(first.fingerprint, second.fingerprint);
    assert!(place.files().iter().zip(&old).all(|(new, old)| new != old));
    assert_eq!(
        place
            .ensure(&["gateway.example"], jiff::Timestamp::now().as_second())
            .authority
            .unwrap()
            .fingerprint,
        second.fingerprint
    );
    assert!(second.pem().starts_with("-----BEGIN CERTIFICATE-----\n"));
    assert_eq!(second.pem().trim(), fs::read_to_string(place.paths().authority).unwrap().trim());
}
