//! Multicast DNS among hostile neighbours: floods, questions from elsewhere, and a war about the
//! name.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket},
    time::{Duration, Instant},
};

use simple_dns::{
    CLASS, Name, Packet, PacketFlag, QTYPE, Question, ResourceRecord, TYPE,
    rdata::{A, RData, TXT},
};
use socket2::{Domain, Socket, Type};

use crate::harness::{Daemon, PATIENCE, namespace};

const GROUP: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(224, 0, 0, 251), 5353);
/// The network of the test: its own address, a neighbour's, and one that is on no link.
const SETUP: &str = "ip link add lan0 type veth peer name lan1; ip link set lan1 up; ip link set lan0 up; \
                     ip address add 192.0.2.7/24 dev lan0; ip address add 192.0.2.8/24 dev lan0; \
                     ip address add 198.51.100.9/32 dev lo";
const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 8);
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);

/// A machine on the link, which hears and says what it likes.
struct Neighbour(UdpSocket);

impl Neighbour {
    fn new(address: Ipv4Addr, port: u16) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.set_reuse_port(true).unwrap();
        // Without an address it hears everybody; with one it speaks from that address.
        socket.bind(&SocketAddr::from((address, port)).into()).unwrap();
        socket.join_multicast_v4(GROUP.ip(), &Ipv4Addr::new(192, 0, 2, 7)).unwrap();
        socket.set_multicast_if_v4(&Ipv4Addr::new(192, 0, 2, 7)).unwrap();
        socket.set_multicast_loop_v4(true).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        Self(socket.into())
    }

    fn say(&self, packet: &Packet<'_>) {
        self.0.send_to(&packet.build_bytes_vec().unwrap(), GROUP).unwrap();
    }

    /// The next packet within a fifth of a second.
    fn hear(&self, buffer: &mut [u8]) -> Option<usize> {
        self.0.recv(buffer).ok()
    }
}

fn question(name: &str, kind: TYPE) -> Packet<'_> {
    let mut packet = Packet::new_query(7);
    packet.questions.push(Question::new(
        Name::new_unchecked(name),
        QTYPE::TYPE(kind),
        CLASS::IN.into(),
        false,
    ));
    packet
}

fn answer(records: Vec<ResourceRecord<'_>>) -> Packet<'_> {
    let mut packet = Packet::new_reply(0);
    packet.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
    packet.answers = records;
    packet
}

fn address(name: &str, address: [u8; 4]) -> ResourceRecord<'_> {
    let data = RData::A(A { address: Ipv4Addr::from(address).into() });
    ResourceRecord::new(Name::new_unchecked(name), CLASS::IN, 120, data).with_cache_flush(true)
}

/// A gateway that is announced on the link, and its name there.
fn announced() -> (Daemon, String) {
    let daemon = Daemon::start(&format!(
        "listen: [ {{ address: \"0.0.0.0:0\" }} ]\nendpoints: {{ e: {{ sim: echo }} }}\n\
         tokens: {{ t: {{ sha256: \"{}\", rights: {{ e: [ read ] }} }} }}\n",
        "1f".repeat(32)
    ));
    let told = daemon.wait_for(" by multicast DNS");
    let name = told.split("announced as ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    (daemon, name)
}

/// Whether a question is answered with an address, within two seconds.
fn is_answered(asker: &Neighbour, name: &str) -> bool {
    asker.say(&question(name, TYPE::A));
    let end = Instant::now() + Duration::from_secs(2);
    let mut buffer = [0; 9000];
    while Instant::now() < end {
        let Some(length) = asker.hear(&mut buffer) else { continue };
        let Ok(packet) = Packet::parse(&buffer[..length]) else { continue };
        let ours = |record: &ResourceRecord<'_>| {
            matches!(record.rdata, RData::A(_)) && record.name.to_string() == name
        };
        if packet.has_flags(PacketFlag::RESPONSE) && packet.answers.iter().any(ours) {
            return true;
        }
    }
    false
}

#[test]
fn a_question_from_the_link_is_answered_and_one_from_elsewhere_is_not() {
    if !namespace::inside(
        "multicast::a_question_from_the_link_is_answered_and_one_from_elsewhere_is_not",
        SETUP,
    ) {
        return;
    }
    let (_daemon, name) = announced();
    // Answers to a port other than 5353 go to the machine that asked, and to nobody else.
    assert!(is_answered(&Neighbour::new(NEIGHBOUR, 0), &name));
    assert!(!is_answered(&Neighbour::new(ELSEWHERE, 0), &name));
    assert!(is_answered(&Neighbour::new(NEIGHBOUR, 0), &name));
}

#[test]
fn a_flood_of_answers_nobody_asked_for_takes_no_memory_and_is_survived() {
    if !namespace::inside(
        "multicast::a_flood_of_answers_nobody_asked_for_takes_no_memory_and_is_survived",
        SETUP,
    ) {
        return;
    }
    let (daemon, name) = announced();
    let before = daemon.memory();
    let neighbour = Neighbour::new(NEIGHBOUR, 0);
    let padding = "x".repeat(200);
    for round in 0..20_000 {
        let names: Vec<_> = (0..10).map(|n| format!("host-{round}-{n}.local")).collect();
        let records = names.iter().map(|name| {
            let data = TXT::new().with_string(&padding).unwrap();
            ResourceRecord::new(Name::new_unchecked(name), CLASS::IN, 4500, RData::TXT(data))
        });
        neighbour.say(&answer(records.collect()));
    }
    let grown = daemon.memory().saturating_sub(before);
    assert!(grown < 8 << 20, "{} KiB more", grown >> 10);
    assert!((0..5).any(|_| is_answered(&neighbour, &name)), "it goes on answering");
}

#[test]
fn a_war_about_the_name_ends_and_the_gateway_serves_on() {
    if !namespace::inside("multicast::a_war_about_the_name_ends_and_the_gateway_serves_on", SETUP) {
        return;
    }
    let (daemon, name) = announced();
    // Whatever name is announced or probed for, somebody else has it.
    let (ears, mouth) = (Neighbour::new(*GROUP.ip(), 5353), Neighbour::new(NEIGHBOUR, 5353));
    mouth.say(&answer(vec![address(&name, [192, 0, 2, 99])]));
    let (end, mut buffer, mut tried) = (Instant::now() + PATIENCE, [0; 9000], Vec::new());
    while Instant::now() < end
        && !daemon.log().contains("not announced by multicast DNS for an hour")
    {
        let Some(length) = ears.hear(&mut buffer) else { continue };
        let Ok(packet) = Packet::parse(&buffer[..length]) else { continue };
        for record in
            packet.name_servers.iter().filter(|record| matches!(record.rdata, RData::A(_)))
        {
            let name = record.name.to_string();
            mouth.say(&answer(vec![address(&name, [192, 0, 2, 99])]));
            if !tried.contains(&name) {
                tried.push(name);
            }
        }
    }
    daemon.wait_for("not announced by multicast DNS for an hour");
    assert!((5..=20).contains(&tried.len()), "{tried:?}");
    assert!(!is_answered(&Neighbour::new(NEIGHBOUR, 0), &tried[0]), "silent");
    assert_eq!(daemon.addresses().len(), 1);
}

#[test]
fn another_machine_of_the_name_keeps_it() {
    if !namespace::inside("multicast::another_machine_of_the_name_keeps_it", SETUP) {
        return;
    }
    let (daemon, name) = announced();
    let (ears, mouth) = (Neighbour::new(*GROUP.ip(), 5353), Neighbour::new(NEIGHBOUR, 5353));
    let own = || mouth.say(&answer(vec![address(&name, [192, 0, 2, 99])]));
    own();
    let (end, mut buffer) = (Instant::now() + PATIENCE, [0; 9000]);
    let second = name.replace(".local", "-2.local");
    while Instant::now() < end && !daemon.log().contains(&format!("announced as {second}")) {
        let Some(length) = ears.hear(&mut buffer) else { continue };
        let Ok(packet) = Packet::parse(&buffer[..length]) else { continue };
        // It defends its name, and no other.
        if packet.name_servers.iter().any(|record| record.name.to_string() == name) {
            own();
        }
    }
    daemon.wait_for(&format!("announced as {second}"));
    assert!(is_answered(&Neighbour::new(NEIGHBOUR, 0), &second));
    assert!(!is_answered(&Neighbour::new(NEIGHBOUR, 0), &name));
}
