//! Doors: other ways in to an endpoint, for programs that know no WebSocket.

mod way;

use std::{collections::BTreeSet, net::IpAddr, path::PathBuf};

pub(crate) use self::way::DoorWay;
use super::{
    Access, Address, Endpoint, ListenTls, Rights,
    cursor::{Keys, Spot, Value},
    node::At,
    proxies::Network,
    words::{HttpWord, KnownResets, SocketAddress},
};

/// The kinds of doors, by their keys.
pub(super) const KINDS: [&str; 5] = ["tcp", "rfc2217", "tls", "unix", "pty"];

/// Another way in to an endpoint.
#[expect(clippy::struct_excessive_bools, reason = "independent properties, a key each")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// What is spoken, and where.
    pub way: DoorWay,
    /// The user or token that whoever comes in counts as; `None` under `auth: none`, and where a
    /// client's certificate says who it is.
    pub who: Option<String>,
    /// What of that principal's rights it lends.
    pub lends: Rights,
    /// Networks whose clients are let in, as (network, prefix length); none listed lets in all that
    /// reach the address.
    pub from: Vec<(IpAddr, u8)>,
    /// Whether a client that begins like a web page's is turned away.
    pub screened: bool,
    /// Whether clients stay while the device is away.
    pub hold: bool,
    /// Whether a refusal is told in a line of text, where the protocol can carry one.
    pub banner: bool,
    /// Whether it is to be found on the network (multicast DNS).
    pub announced: bool,
    /// Which resets are recognised among what a client does with DTR and RTS.
    pub resets: KnownResets,
}

impl Door {
    /// Who can reach it, in words.
    pub fn open_to(&self) -> String {
        if matches!(self.way, DoorWay::Unix(_)) {
            return "whoever may open the file".into();
        }
        if self.way.is_node() {
            return "the group of the gateway's process (0660)".into();
        }
        if self.way.is_local() {
            return "every program of this machine".into();
        }
        let networks: Vec<_> =
            self.from.iter().map(|(network, length)| format!("{network}/{length}")).collect();
        let from = if networks.is_empty() { "any machine".into() } else { networks.join(" ") };
        if self.way.asks_for_certificates() {
            format!("{from}, with a client certificate")
        } else {
            format!("{from}, WITHOUT A LOGIN")
        }
    }
}

/// A door as it is written, and where.
#[derive(Debug)]
pub(super) struct WrittenDoor<'a> {
    pub(super) door: Door,
    spot: Spot<'a>,
    at: At,
    who: At,
}

/// Reads `doors:` of an endpoint.
pub(super) fn doors<'a>(k: &mut Keys<'a>) -> Vec<WrittenDoor<'a>> {
    let value = k
        .key(
            "doors",
            "other ways in to the same endpoint, for programs that know no WebSocket: [below](#doors)",
        )
        .without("none")
        .value();
    let read = value.list(written).unwrap_or_default();
    read.into_iter().flatten().collect()
}

fn written(value: Value<'_>) -> Option<WrittenDoor<'_>> {
    value.keys(door)?.value
}

fn door<'a>(k: &mut Keys<'a>) -> Option<WrittenDoor<'a>> {
    let way = way(k);
    let who = k
        .key(
            "as",
            "the user or token that whoever comes in counts as: its rights, its name in the log. Ends with it",
        ).uci("as")
        .without("nobody may come in, except under `auth: none` or by a client certificate")
        .maybe::<String>();
    let rights = k
        .key(
            "rights",
            "what of that principal's rights the door lends; more than reading and writing only where it is listed here",
        ).uci("right")
        .without("`[ read, write ]`")
        .words::<Rights>();
    let from = k
        .key(
            "from",
            "networks whose clients are let in; needed where other machines reach the door",
        )
        .uci("from")
        .without("loopback alone")
        .words::<Network>();
    let insecure = k
        .key(
            "insecure",
            "`true` beside `from` on any address that other machines reach: there is no login, and whoever is on the way can \
             read and write",
        ).uci("insecure")
        .or(false);
    let http = k
        .key(
            "http",
            "`refuse` turns away whoever begins like a web page (HTTP, TLS, STUN): any page can make a browser on this machine \
             send such things. `allow` passes everything on, and reaches the target before the client has sent something",
        ).uci("http")
        .or(HttpWord::Refuse);
    let (hold, banner, resets) = manner(k);
    let announced = k
        .key(
            "announce",
            "whether an `rfc2217` door is found on the network by multicast DNS (`_rfc2217._tcp`, with the adapter's USB numbers), \
             as openHAB looks for ports; with `mdns`",
        )
        .uci("announce")
        .or(false);
    let lends = rights.iter().fold(Rights::NONE, |sum, right| sum.with(right.value));
    let usual = Rights::READ.with(Rights::WRITE);
    let door = Door {
        way: way?,
        who: who.as_ref().map(|it| it.value.clone()),
        lends: if rights.is_empty() { usual } else { lends },
        from: from.iter().map(|it| (it.value.0, it.value.1)).collect(),
        screened: http == HttpWord::Refuse,
        hold,
        banner,
        announced,
        resets,
    };
    exposure(k, &door, insecure);
    impossible(k, &door);
    without_effect(k, &door);
    Some(WrittenDoor { door, spot: k.spot(), at: k.at, who: who.map_or(k.at, |it| it.at) })
}

/// How it treats who came in.
fn manner(k: &mut Keys<'_>) -> (bool, bool, KnownResets) {
    let hold = k
        .key(
            "hold",
            "clients stay while the device is away, and are not read meanwhile; else they are disconnected, and new ones \
             at once",
        ).uci("hold")
        .or(false);
    let banner = k
        .key("banner", "a refused client of `rfc2217` is told why in a line of text before the end")
        .uci("banner")
        .or(false);
    let resets = k
        .key(
            "resets",
            "`esp`: the resets that esptool and its like send over `rfc2217` are recognised, and done with the timing that the \
             chip needs, whatever the network takes",
        ).uci("resets")
        .or(KnownResets::None);
    (hold, banner, resets)
}

fn way(k: &mut Keys<'_>) -> Option<DoorWay> {
    let tcp = k
        .key("tcp", "`IP:PORT` where the device's bytes are had as they are")
        .uci("tcp")
        .maybe::<SocketAddress>();
    let rfc2217 = k
        .key("rfc2217", "`IP:PORT` where RFC 2217 is spoken: bytes, settings and signals")
        .uci("rfc2217")
        .maybe::<SocketAddress>();
    let tls = k
        .key("tls", "`IP:PORT` where the device's bytes are had over TLS")
        .uci("tls")
        .maybe::<SocketAddress>();
    let unix = k.key("unix", "path of a unix stream socket").uci("unix").maybe::<PathBuf>();
    let pty = k
        .key("pty", "path of a device node, for programs of this machine that open a serial port")
        .uci("pty")
        .maybe::<PathBuf>();
    let files = tls_files(k);
    let [first @ .., last] = KINDS.map(|kind| format!("`{kind}:`"));
    let what = format!("write exactly one of {} and {last}", first.join(", "));
    match KINDS.iter().filter(|kind| k.has(kind)).count() {
        0 => k.lacks(&KINDS, k.at, &format!("leads nowhere; {what}")),
        1 => {}
        _ => k.wrong(k.at, &what),
    }
    tcp.map(|it| DoorWay::Tcp(it.value.0))
        .or(rfc2217.map(|it| DoorWay::Rfc2217(it.value.0)))
        .or(tls.map(|it| DoorWay::Tls(it.value.0, files)))
        .or(unix.map(|it| DoorWay::Unix(it.value)))
        .or(pty.map(|it| DoorWay::Pty(it.value)))
}

/// What a `tls` door shows and asks for.
fn tls_files(k: &mut Keys<'_>) -> ListenTls {
    let certificate = k
        .key("certificate", "of a `tls` door: certificate chain, PEM; with `key`")
        .uci("certificate")
        .without("the gateway's own")
        .maybe::<PathBuf>();
    let key = k
        .key("key", "of a `tls` door: private key, PEM; with `certificate`")
        .uci("key")
        .without("the gateway's own")
        .maybe::<PathBuf>();
    let client_ca = k
        .key(
            "client_ca",
            "of a `tls` door: authority of client certificates, PEM; who comes in is whom `certificates:` say, and `as` is \
             left out",
        ).uci("client_ca")
        .without("none asked for")
        .maybe::<PathBuf>();
    let client_crl = k
        .key("client_crl", "of a `tls` door: the authority's lists of revoked certificates")
        .uci("client_crl")
        .without("none")
        .maybe::<PathBuf>();
    if k.has("certificate") != k.has("key") {
        k.wrong(k.at, "`certificate` and `key` go together; write both or neither");
    }
    if let (Some(ca), false) = (&client_ca, k.has("certificate")) {
        k.wrong_in("client_ca", ca.at, "goes with `certificate` and `key`");
    }
    if let (Some(crl), None) = (&client_crl, &client_ca) {
        k.wrong_in("client_crl", crl.at, "goes with `client_ca`, whose list it is");
    }
    match certificate.zip(key) {
        Some((certificate, key)) => ListenTls::Files {
            certificate: certificate.value,
            key: key.value,
            client_ca: client_ca.map(|it| it.value),
            client_crl: client_crl.map(|it| it.value),
        },
        None => ListenTls::SelfSigned,
    }
}

/// Whether whoever reaches it may: other machines only where that is said.
fn exposure(k: &Keys<'_>, door: &Door, insecure: bool) {
    let Door { way, from, .. } = door;
    if matches!(way, DoorWay::Unix(_)) {
        if let Some(at) = k.place("from") {
            k.wrong_in("from", at, "only TCP has networks; the file's folder says who reaches it");
        }
        return;
    }
    if way.is_local() || way.asks_for_certificates() {
        return;
    }
    if from.is_empty() || !insecure {
        let what = "other machines reach it, and there is no login; listen on 127.0.0.1, use `tls` with `client_ca`, or \
                    write both `from: [ NETWORK ]` and `insecure: true`";
        k.wrong_in(way.kind(), k.place(way.kind()).unwrap_or(k.at), what);
    }
}

/// Keys whose sense a device node does not have.
fn impossible(k: &Keys<'_>, door: &Door) {
    if !door.way.is_node() {
        return;
    }
    for (key, what) in [
        ("from", "only TCP has networks; the node's group says who opens it"),
        ("insecure", "no other machine reaches a device node; leave it out"),
        ("http", "no web page reaches a device node; leave it out"),
        ("banner", "only `rfc2217` can carry it; leave it out"),
    ] {
        if let Some(at) = k.place(key) {
            k.wrong_in(key, at, what);
        }
    }
}

/// Keys that mean nothing for this kind of door.
fn without_effect(k: &Keys<'_>, door: &Door) {
    let is_tls = matches!(door.way, DoorWay::Tls(..));
    let is_rfc2217 = matches!(door.way, DoorWay::Rfc2217(_));
    if let Some(at) = k.place("announce").filter(|_| door.announced && door.way.is_local()) {
        k.odd_in("announce", at, "has no effect: only this machine reaches the door");
    }
    let is_node = door.way.is_node();
    // Bytes and settings are all that a device node can carry.
    let bytes = Rights::READ.with(Rights::WRITE);
    let carries = if is_node { bytes.with(Rights::SETTINGS) } else { bytes };
    let lists_more = door.lends.without(carries) != Rights::NONE;
    for (key, idle, what) in [
        ("certificate", !is_tls, "has no effect: only `tls` shows a certificate"),
        ("client_ca", !is_tls, "has no effect: only `tls` asks for certificates"),
        ("banner", !is_rfc2217 && !is_node, "has no effect: only `rfc2217` can carry it"),
        ("announce", !is_rfc2217, "has no effect: only `rfc2217` is looked for"),
        ("resets", !is_rfc2217, "has no effect: only `rfc2217` moves DTR and RTS"),
        (
            "rights",
            lists_more && !is_rfc2217 && !is_node,
            "more than `read` and `write` has no effect: bytes alone pass here",
        ),
        (
            "rights",
            lists_more && is_node,
            "more than `read`, `write` and `settings` has no effect: a node has no modem lines",
        ),
    ] {
        if let Some(at) = k.place(key).filter(|_| idle) {
            k.odd_in(key, at, what);
        }
    }
}

/// What an endpoint cannot have doors for, or not such.
pub(super) fn fit(doors: &[WrittenDoor<'_>], endpoint: &Endpoint) {
    for WrittenDoor { door, spot, at, .. } in doors {
        if endpoint.target.has_datagrams() {
            let what = "a stream keeps no borders of datagrams; leave the door out";
            spot.wrong(*at, what);
        } else if door.hold && endpoint.share.is_none() {
            let what = "`hold` has no effect: each client has its own connection";
            spot.odd(*at, what);
        }
    }
}

/// Checks all doors, where these may come in and these addresses are taken.
pub(super) fn check(
    doors: &[(String, WrittenDoor<'_>)],
    access: &Access,
    (mut taken, mdns): (BTreeSet<Address>, bool),
) {
    for (endpoint, WrittenDoor { door, spot, at, who }) in doors {
        let any_port = matches!(door.way.address(), Address::Tcp(it) if it.port() == 0);
        if !any_port && !taken.insert(door.way.address()) {
            spot.wrong_in(door.way.kind(), *at, "is taken by another door or listener");
        }
        if door.announced && !mdns {
            spot.odd(*at, "`announce` has no effect with `mdns: false`");
        }
        match &door.who {
            Some(name) => principal(name, endpoint, access, (spot, *who)),
            None if access.open || door.way.asks_for_certificates() => {}
            None => {
                let what = "nobody could come in; write `as: NAME` of a user or token whose rights the door lends";
                spot.wrong(*at, what);
            }
        }
    }
}

/// Whether a name is that of one principal, which may do something on the endpoint.
fn principal(name: &str, endpoint: &str, access: &Access, (spot, at): (&Spot<'_>, At)) {
    let user = access.users.get(name).map(|user| &user.rights);
    let token = access.tokens.get(name).map(|token| &token.rights);
    match (user, token) {
        (Some(_), Some(_)) => {
            let what = format!("both a user and a token are called `{name}`; rename one of them");
            spot.wrong_in("as", at, &what);
        }
        (None, None) => {
            spot.wrong_in("as", at, &format!("there is no user or token `{name}`"));
        }
        (Some(rights), None) | (None, Some(rights)) => {
            if !rights.on(endpoint).allows(Rights::READ) {
                let what =
                    format!("`{name}` has no right to read `{endpoint}`, so nobody comes in");
                spot.odd(at, &what);
            }
        }
    }
}

#[cfg(test)]
mod tests;
