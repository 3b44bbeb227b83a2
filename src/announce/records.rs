//! What the responder says on one link: its records, which of them answer a question, and which
//! records of others contradict them.

use std::{collections::BTreeSet, net::IpAddr};

use simple_dns::{
    CLASS, Label, Name, Packet, QCLASS, Question, ResourceRecord, TYPE,
    rdata::{A, AAAA, PTR, RData, SRV, TXT},
};

use super::{
    Service, ServiceKind,
    names::{Candidates, title},
};

/// Lifetime of records with an address in them, in seconds (RFC 6762 section 10).
const SHORT: u32 = 120;
/// Lifetime of the others.
const LONG: u32 = 4500;

/// The records of one link. Callers name them by index.
#[derive(Clone, Debug)]
pub(super) struct Records {
    all: Vec<ResourceRecord<'static>>,
    host: Name<'static>,
}

impl Records {
    /// The records about `services`, where these are reached at `addresses`.
    pub(super) fn new(names: &Candidates, services: &[Service], addresses: &[IpAddr]) -> Self {
        let host = local(&[&names.host()]);
        let mut all: Vec<_> = addresses
            .iter()
            .map(|address| match address {
                IpAddr::V4(address) => RData::A(A { address: (*address).into() }),
                IpAddr::V6(address) => RData::AAAA(AAAA { address: (*address).into() }),
            })
            .map(|data| unique(&host, SHORT, data))
            .collect();
        let mut said: Vec<(&str, &str)> = Vec::new();
        for service in services {
            for (kind, about) in types(service) {
                let title = title(service);
                let before = said.iter().filter(|other| **other == (kind, title)).count();
                let instance = names.instance(service, before);
                let full = local(&[&instance, kind, "_tcp"]);
                let target = SRV {
                    priority: 0,
                    weight: 0,
                    port: service.address.port(),
                    target: host.clone(),
                };
                all.push(unique(&full, SHORT, RData::SRV(target)));
                all.push(unique(&full, LONG, RData::TXT(text(&about))));
                all.push(shared(local(&[kind, "_tcp"]), full));
                if said.iter().all(|(other, _)| *other != kind) {
                    // Which types there are (RFC 6763 section 9).
                    all.push(shared(
                        local(&["_services", "_dns-sd", "_udp"]),
                        local(&[kind, "_tcp"]),
                    ));
                }
                said.push((kind, title));
            }
        }
        Self { all, host }
    }

    /// All of them.
    pub(super) fn every(&self) -> BTreeSet<usize> {
        (0..self.all.len()).collect()
    }

    /// Those that point to our names; they are withdrawn when the names change.
    pub(super) fn pointers(&self) -> BTreeSet<usize> {
        self.select(|record| matches!(record.rdata, RData::PTR(_)))
    }

    /// Those that answer a question.
    pub(super) fn answers(&self, question: &Question<'_>) -> BTreeSet<usize> {
        self.select(|record| {
            let class = matches!(question.qclass, QCLASS::ANY | QCLASS::CLASS(CLASS::IN));
            class && record.name == question.qname && record.match_qtype(question.qtype)
        })
    }

    /// Whether other machines may have this record, too.
    pub(super) fn is_shared(&self, at: usize) -> bool {
        self.all.get(at).is_some_and(|record| !record.cache_flush)
    }

    /// Drops what the asker already knows (RFC 6762 section 7.1).
    pub(super) fn unknown(
        &self,
        mut wanted: BTreeSet<usize>,
        known: &[ResourceRecord<'_>],
    ) -> BTreeSet<usize> {
        wanted.retain(|at| {
            let own = self.all.get(*at);
            !own.is_some_and(|own| {
                known.iter().any(|other| other == own && other.ttl >= own.ttl / 2)
            })
        });
        wanted
    }

    /// A probe: does anybody hold these names? It contains what we are going to say about them.
    pub(super) fn probe(&self) -> Packet<'_> {
        let mut packet = Packet::new_query(0);
        for record in self.all.iter().filter(|record| record.cache_flush) {
            if !packet.questions.iter().any(|question| question.qname == record.name) {
                let name = record.name.clone();
                packet.questions.push(Question::new(
                    name,
                    simple_dns::QTYPE::ANY,
                    CLASS::IN.into(),
                    false,
                ));
            }
            packet.name_servers.push(record.clone().with_cache_flush(false));
        }
        packet
    }

    /// A response with these records and those that the receiver would ask for next. `life` maps
    /// each record's lifetime to the one that is sent.
    pub(super) fn response(
        &self,
        wanted: &BTreeSet<usize>,
        life: impl Fn(u32) -> u32,
    ) -> Packet<'_> {
        let mut packet = Packet::new_reply(0);
        packet.set_flags(simple_dns::PacketFlag::AUTHORITATIVE_ANSWER);
        let said = |at: usize| {
            self.all
                .get(at)
                .map(|record| ResourceRecord { ttl: life(record.ttl), ..record.clone() })
        };
        packet.answers = wanted.iter().filter_map(|at| said(*at)).collect();
        packet.additional_records = self.more(wanted).into_iter().filter_map(said).collect();
        packet
    }

    /// What is sent along: the instances that are pointed to, and the addresses.
    fn more(&self, wanted: &BTreeSet<usize>) -> BTreeSet<usize> {
        let asked: Vec<_> = wanted.iter().filter_map(|at| self.all.get(*at)).collect();
        let points = |name: &Name<'_>| {
            asked.iter().any(|record| matches!(&record.rdata, RData::PTR(to) if to.0 == *name))
        };
        let pointed = self.select(|record| points(&record.name) && record.cache_flush);
        let mut more = pointed.clone();
        if !pointed.is_empty()
            || asked.iter().any(|record| record.name == self.host || is_srv(record))
        {
            more.extend(self.select(|record| record.name == self.host));
        }
        more.difference(wanted).copied().collect()
    }

    /// Whether a record of another machine claims one of our names. `here` are the addresses of
    /// this machine, which hears itself on other links.
    pub(super) fn contradicts(&self, other: &ResourceRecord<'_>, here: &[IpAddr]) -> bool {
        if other.ttl == 0
            || other.class != CLASS::IN
            || address(other).is_some_and(|ip| here.contains(&ip))
        {
            return false;
        }
        let mut of_name =
            self.all.iter().filter(|own| own.cache_flush && own.name == other.name).peekable();
        // A name's addresses, of both families, are one statement about it.
        let alike = |own: &ResourceRecord<'_>| {
            own.rdata.type_code() == other.rdata.type_code()
                || (address(own).is_some() && address(other).is_some())
        };
        of_name.peek().is_some()
            && of_name.clone().any(alike)
            && !of_name.any(|own| own.rdata == other.rdata)
    }

    /// Whether a machine that probes for one of our names at the same time goes first (RFC 6762
    /// section 8.2): what it is going to say about the name sorts after what we are.
    pub(super) fn yields_to(&self, probe: &Packet<'_>) -> bool {
        let names = probe.questions.iter().map(|question| &question.qname);
        names.into_iter().any(|name| {
            let ours =
                order(self.all.iter().filter(|record| record.cache_flush && record.name == *name));
            let theirs = order(probe.name_servers.iter().filter(|record| record.name == *name));
            !ours.is_empty() && theirs > ours
        })
    }

    fn select(&self, fits: impl Fn(&ResourceRecord<'_>) -> bool) -> BTreeSet<usize> {
        self.all.iter().enumerate().filter(|(_, record)| fits(record)).map(|(at, _)| at).collect()
    }
}

/// The types under which a service is found, and what is said about it there.
fn types(service: &Service) -> Vec<(&'static str, Vec<&str>)> {
    match &service.kind {
        // One for whoever looks for web pages, one for whoever looks for gateways.
        ServiceKind::Gateway { tls } => {
            let web = if *tls { "_https" } else { "_http" };
            let says = if *tls { "tls=1" } else { "tls=0" };
            vec![(web, vec!["path=/"]), ("_wsbridge", vec![says])]
        }
        // As openHAB looks for them.
        ServiceKind::Rfc2217 { about, .. } => {
            vec![("_rfc2217", about.iter().map(String::as_str).collect())]
        }
    }
}

/// What is said about a service; a string that is too long for DNS is left out.
fn text(about: &[&str]) -> TXT<'static> {
    let mut all = TXT::new();
    for part in about {
        let one = TXT::new().with_string(part).map(TXT::into_owned);
        if one.is_ok() {
            all = all.with_string(part).map(TXT::into_owned).unwrap_or_default();
        }
    }
    all
}

/// `LABELS.local`.
fn local(labels: &[&str]) -> Name<'static> {
    let labels = labels
        .iter()
        .chain(&["local"])
        .map(|label| Label::new_unchecked(label.as_bytes().to_vec()));
    Name::new_with_labels(&labels.collect::<Vec<_>>())
}

/// A record that is ours alone.
fn unique(name: &Name<'static>, life: u32, data: RData<'static>) -> ResourceRecord<'static> {
    ResourceRecord::new(name.clone(), CLASS::IN, life, data).with_cache_flush(true)
}

/// A record that other machines may have, too.
fn shared(name: Name<'static>, to: Name<'static>) -> ResourceRecord<'static> {
    ResourceRecord::new(name, CLASS::IN, LONG, RData::PTR(PTR(to)))
}

fn is_srv(record: &ResourceRecord<'_>) -> bool {
    record.rdata.type_code() == TYPE::SRV
}

/// The address in a record.
fn address(record: &ResourceRecord<'_>) -> Option<IpAddr> {
    if let RData::A(data) = &record.rdata {
        return Some(IpAddr::V4(data.address.into()));
    }
    let RData::AAAA(data) = &record.rdata else { return None };
    Some(IpAddr::V6(data.address.into()))
}

/// Records in the order that breaks ties: by type, then by what they say.
fn order<'a>(records: impl Iterator<Item = &'a ResourceRecord<'a>>) -> Vec<(u16, Vec<u8>)> {
    let mut all: Vec<_> =
        records.map(|record| (record.rdata.type_code().into(), said(&record.rdata))).collect();
    all.sort();
    all
}

/// What a record says, as bytes that compare like those on the wire.
fn said(data: &RData<'_>) -> Vec<u8> {
    if let RData::A(data) = data {
        return data.address.to_be_bytes().to_vec();
    }
    if let RData::AAAA(data) = data {
        return data.address.to_be_bytes().to_vec();
    }
    let RData::SRV(data) = data else { return Vec::new() };
    let mut bytes = [data.priority, data.weight, data.port].map(u16::to_be_bytes).concat();
    for label in data.target.as_bytes() {
        bytes.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(label);
    }
    bytes
}
