//! Tests of what counts in a proxy's headers.

use super::*;

fn peer(address: &str) -> Peer {
    Peer { client: ClientAddress::Direct(address.parse().unwrap()), ..Peer::default() }
}

fn trusted() -> TrustedProxies {
    TrustedProxies {
        addresses: vec![("192.0.2.0".parse().unwrap(), 24)],
        ..TrustedProxies::default()
    }
}

fn client(text: &str) -> ClientAddress {
    ClientAddress::Forwarded(text.parse().unwrap())
}

fn seen(forwarded: &Forwarded<'_>, trusted: &TrustedProxies) -> View {
    view(&peer("192.0.2.9:1"), "gateway.example", forwarded, trusted).unwrap()
}

#[test]
fn only_a_trusted_proxys_word_counts() {
    let forwarded = Forwarded {
        addresses: vec!["203.0.113.66, 198.51.100.4"],
        proto: vec!["https"],
        ..Forwarded::default()
    };
    let through = seen(&forwarded, &trusted());
    assert_eq!((through.host.as_str(), through.tls), ("gateway.example", true));
    assert_eq!(through.client, client("198.51.100.4"));
    let straight = view(&peer("192.0.3.9:1"), "127.0.0.1:80", &forwarded, &trusted()).unwrap();
    assert_eq!((straight.host.as_str(), straight.tls), ("127.0.0.1:80", false));
    assert_eq!(straight.client, ClientAddress::Direct("192.0.3.9:1".parse().unwrap()));
}

#[test]
fn the_client_is_the_last_hop_that_is_not_trusted_itself() {
    for (addresses, wanted) in [
        (vec!["198.51.100.4, 192.0.2.8"], "198.51.100.4"),
        (vec!["203.0.113.66, 198.51.100.4, 192.0.2.8, 192.0.2.7"], "198.51.100.4"),
        (vec!["203.0.113.66", "198.51.100.4", "192.0.2.8"], "198.51.100.4"),
        // A client on the proxies' own network.
        (vec!["192.0.2.77, 192.0.2.8"], "192.0.2.77"),
        // A hop that hides somebody answers for them.
        (vec!["198.51.100.4, unknown, 192.0.2.8"], "192.0.2.8"),
        (vec!["198.51.100.4, _secret, 192.0.2.8"], "192.0.2.8"),
        (vec!["[2001:db8::7]:99, 192.0.2.8:4711"], "2001:db8::7"),
    ] {
        let forwarded = Forwarded { addresses: addresses.clone(), ..Forwarded::default() };
        assert_eq!(seen(&forwarded, &trusted()).client, client(wanted), "{addresses:?}");
    }
    let nothing = Forwarded { addresses: vec!["198.51.100.4, unknown"], ..Forwarded::default() };
    assert_eq!(seen(&nothing, &trusted()).client, peer("192.0.2.9:1").client);
}

#[test]
fn the_other_family_is_a_strangers() {
    let forwarded = Forwarded {
        standard: vec!["for=203.0.113.1;host=evil.example;proto=http"],
        addresses: vec!["198.51.100.4"],
        proto: vec!["https"],
        host: vec!["evil.example"],
        prefix: vec!["/evil"],
        ..Forwarded::default()
    };
    let x = seen(&forwarded, &trusted());
    assert_eq!(
        (x.host.as_str(), x.tls, x.client),
        ("gateway.example", true, client("198.51.100.4"))
    );
    assert_eq!(x.prefix, "");
    let other = TrustedProxies { headers: HeaderFamily::Forwarded, ..trusted() };
    let standard = seen(&forwarded, &other);
    assert_eq!(
        (standard.host.as_str(), standard.tls),
        ("evil.example", false),
        "its element is its own word"
    );
    assert_eq!(standard.client, client("203.0.113.1"));
}

#[test]
fn of_forwarded_the_element_of_the_client_counts() {
    let other = TrustedProxies { headers: HeaderFamily::Forwarded, ..trusted() };
    let forwarded = Forwarded {
        standard: vec![
            r#"for=198.51.100.9;proto=http;host="evil.example""#,
            r#"for="[2001:db8::7]:99";host="gw.example:444";proto=https, for=192.0.2.8;proto=http;host=inner"#,
        ],
        ..Forwarded::default()
    };
    let view = seen(&forwarded, &other);
    assert_eq!(
        (view.host.as_str(), view.tls, view.client),
        ("gw.example:444", true, client("2001:db8::7"))
    );
}

#[test]
fn host_and_prefix_count_where_they_are_named() {
    let forwarded = Forwarded {
        host: vec!["evil.example, gw.example"],
        prefix: vec!["/serial/"],
        addresses: vec!["198.51.100.4"],
        ..Forwarded::default()
    };
    let named = TrustedProxies { host: true, prefix: true, ..trusted() };
    let view = seen(&forwarded, &named);
    assert_eq!((view.host.as_str(), view.prefix.as_str()), ("gw.example", "/serial"));
    let one_each = Forwarded {
        addresses: vec!["198.51.100.4, 192.0.2.8"],
        host: vec!["gw.example, inner.example"],
        proto: vec!["https, http"],
        ..Forwarded::default()
    };
    let view = seen(&one_each, &named);
    assert_eq!((view.host.as_str(), view.tls), ("gw.example", true), "as the outer proxy saw it");
}

#[test]
fn a_port_is_read_where_the_host_has_none() {
    let with = |host: &str, port, proto| {
        let forwarded = Forwarded { port: vec![port], proto: vec![proto], ..Forwarded::default() };
        view(&peer("192.0.2.9:1"), host, &forwarded, &trusted()).unwrap().host
    };
    assert_eq!(with("gw.example", "8443", "https"), "gw.example:8443");
    assert_eq!(with("[2001:db8::1]", "8443", "https"), "[2001:db8::1]:8443");
    assert_eq!(with("gw.example", "443", "https"), "gw.example");
    assert_eq!(with("gw.example", "443", "http"), "gw.example:443");
    assert_eq!(with("gw.example:444", "8443", "https"), "gw.example:444");
    for wrong in ["0", "x", "65536", ""] {
        assert_eq!(with("gw.example", wrong, "https"), "gw.example");
    }
}

#[test]
fn a_prefix_that_is_none_is_refused() {
    let forwarded = Forwarded { prefix: vec!["/a/../b"], ..Forwarded::default() };
    let named = TrustedProxies { prefix: true, ..trusted() };
    assert!(matches!(
        view(&peer("192.0.2.9:1"), "x", &forwarded, &named),
        Err(Refusal::BadRequest(why)) if why.contains("X-Forwarded-Prefix")
    ));
}

#[test]
fn a_client_behind_a_proxy_on_this_machine_is_not_here() {
    let here = |address: &str, forwarded: &Forwarded<'_>, trusted: &TrustedProxies| {
        view(&peer(address), "localhost", forwarded, trusted).unwrap().here
    };
    let (plain, nobody) = (Forwarded::default(), TrustedProxies::default());
    assert!(here("127.0.0.1:5", &plain, &nobody));
    for told in [
        Forwarded { addresses: vec!["127.0.0.1"], ..Forwarded::default() },
        Forwarded { standard: vec!["for=127.0.0.1"], ..Forwarded::default() },
        Forwarded { port: vec!["80"], ..Forwarded::default() },
        Forwarded { prefix: vec!["/"], ..Forwarded::default() },
    ] {
        assert!(!here("127.0.0.1:5", &told, &nobody));
    }
    let loopback = TrustedProxies {
        addresses: vec![("127.0.0.0".parse().unwrap(), 8)],
        ..TrustedProxies::default()
    };
    assert!(!here("127.0.0.1:5", &plain, &loopback));
    assert!(!here("192.0.2.9:5", &plain, &nobody));
}

#[test]
fn behind_a_proxy_the_public_address_is_what_the_client_sees() {
    let public = |text: &str, prefix: &str| Public {
        origin: crate::auth::parse_origin(text).unwrap(),
        prefix: prefix.to_owned(),
    };
    let plain = |host: &str| View {
        host: host.to_owned(),
        tls: false,
        prefix: String::new(),
        client: ClientAddress::Local,
        here: false,
    };
    let told = |host: &str, public: &Public| {
        let view = as_public(plain(host), public);
        (view.host, view.tls, view.prefix)
    };
    let usual = public("https://gw.example", "/serial");
    let ours = ("gw.example".to_owned(), true, "/serial".to_owned());
    assert_eq!(told("gw.example", &usual), ours);
    assert_eq!(told("gw.example:443", &usual), ours);
    assert_eq!(told("127.0.0.1:8080", &usual), ours, "a proxy that passes its own way on as Host");
    let other = |host: &str| (host.to_owned(), false, String::new());
    assert_eq!(told("gw.example:8443", &usual), other("gw.example:8443"));
    assert_eq!(told("intranet.example", &usual), other("intranet.example"));
    let odd = public("https://gw.example:8443", "/serial");
    assert_eq!(
        told("gw.example:8443", &odd),
        ("gw.example:8443".to_owned(), true, "/serial".to_owned())
    );
    assert_eq!(told("gw.example", &odd), other("gw.example"));
}
