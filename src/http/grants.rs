//! Lending access: grants are given, listed, taken back, and exchanged for sign-ins.

use std::{net::IpAddr, sync::Arc};

use axum::{
    RequestExt as _,
    body::Body,
    extract::{Path, Request},
    http::Response,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    ask,
    change::Said,
    disk::blocking,
    kick::is_line,
    pages::content,
    scope::need_fresh,
    signing,
    visitor::{NO_PLACE_WAIT, Visitor},
    warden,
};
use crate::{
    auth::{
        EndOfGrant, Exchanged, Grant, GrantAnswer, GrantRefused, LendingFailure, Loan, Moment,
        Principal, PrincipalId, PrincipalKind, Purpose, Receiver, Visit, cookie, own_name,
        program_name,
    },
    config::{Address, Config, ListenTls, Network, Rights},
    event::{Event, GrantDeed, LendingEvent},
    line::rfc3339,
    wire::close::Refusal,
};

/// The latest beginning of a grant, in seconds from now.
const AHEAD_MAX: i64 = 30 * 86_400;
/// The longest reason, in characters.
const REASON_MAX: usize = 500;
/// How often a grant may be exchanged at most.
const USES_MAX: u32 = 100;

/// What somebody lends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lent {
    endpoint: String,
    rights: Vec<String>,
    seconds: i64,
    reason: String,
    #[serde(default)]
    at: Option<String>,
    #[serde(default = "one")]
    uses: u32,
    #[serde(default)]
    networks: Vec<String>,
}

const LENT: &str = "send {\"endpoint\": \"NAME or PATTERN\", \"rights\": [\"read\", ..], \"seconds\": NUMBER, \"reason\": \"...\"}; \
                    and \"at\" (RFC 3339), \"uses\" and \"networks\" if wanted";

const AT: &str =
    "the beginning is a date and a time with its zone (RFC 3339), like 2026-12-24T08:00:00+01:00";

fn one() -> u32 {
    1
}

/// A reason as people give it: something, not too long, in one line.
pub(super) fn reason(text: &str) -> Result<String, Refusal> {
    let text = text.trim();
    if !is_line(text, REASON_MAX) {
        return Err(Refusal::BadRequest("the reason has 1 to 500 characters, in one line"));
    }
    Ok(text.to_owned())
}

/// Rights that can be lent, of their words.
pub(super) fn rights(words: &[String]) -> Result<Rights, Refusal> {
    let rights = Rights::of_words(words).unwrap_or(Rights::NONE);
    if rights == Rights::NONE || rights.only(Rights::OVER_OTHERS) != Rights::NONE {
        return Err(Refusal::BadRequest(
            "`rights` lists what is lent: read, write, signals, settings, takeover, recordings; never grant, approve or sessions",
        ));
    }
    // Without reading there is no session.
    Ok(rights.with(Rights::READ))
}

/// A time for which access can be lent.
pub(super) fn seconds(config: &Config, seconds: i64) -> Result<i64, Refusal> {
    let longest = i64::try_from(config.lending.longest.as_secs()).unwrap_or(i64::MAX);
    if (1..=longest).contains(&seconds) {
        Ok(seconds)
    } else {
        let longest = crate::span::readable(config.lending.longest);
        Err(Refusal::NotLent(format!("access is lent for {longest} at most (`lending.longest`)")))
    }
}

/// What its giver wants to lend, if the giver may.
fn loan(config: &Config, giver: &Principal, lent: Lent, now: Moment) -> Result<Loan, Refusal> {
    let rights = rights(&lent.rights)?;
    let covered = Grant::named(&lent.endpoint, config);
    if covered.is_empty() {
        return Err(Refusal::NotLent(format!("no endpoint is called `{}`", lent.endpoint)));
    }
    // What a stranger to the endpoint may know is that it is not his to lend.
    let needed = rights.with(Rights::GRANT);
    if let Some(name) = covered.iter().find(|name| !giver.rights.on(name).allows(needed)) {
        let missing = needed.without(giver.rights.on(name)).words().join(", ");
        return Err(Refusal::NotLent(format!(
            "you can lend only what you may do yourself, with the right `grant`; on {name} you lack: {missing}"
        )));
    }
    let at: Option<Result<jiff::Timestamp, _>> = lent.at.as_deref().map(str::parse);
    let at = at.transpose().map_err(|_| Refusal::BadRequest(AT))?;
    need_fresh(config, giver, &covered)?;
    let from = at.map_or(now.wall, jiff::Timestamp::as_second).max(now.wall);
    if from > now.wall + AHEAD_MAX {
        return Err(Refusal::BadRequest("a grant begins within 30 days"));
    }
    let seconds = seconds(config, lent.seconds)?;
    if !(1..=USES_MAX).contains(&lent.uses) {
        return Err(Refusal::BadRequest("`uses` is a number from 1 to 100"));
    }
    let networks: Result<Vec<(IpAddr, u8)>, _> =
        lent.networks.iter().map(|text| Network::parse(text)).collect();
    let networks = networks.map_err(Refusal::NotLent)?;
    let reason = reason(&lent.reason)?;
    let (endpoint, until) = (lent.endpoint, from + seconds);
    Ok(Loan { endpoint, rights, from, until, uses: lent.uses, networks, reason })
}

impl Visitor {
    /// Tells what became of a grant by whoever asks.
    pub(super) fn tell_grant(&self, deed: GrantDeed, by: Option<&PrincipalId>, grant: &Grant) {
        let client = Some(self.client);
        let told = LendingEvent::Grant { deed, by, grant, client };
        self.bridge.events.tell(Event::Lending(told));
    }
}

/// `POST /api/grants`: lends access; the answer has the link, once.
pub(super) async fn give(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let (principal, visit, said) = visitor.change(request).await?;
    let lent: Lent = said.read(LENT)?;
    let bridge = &visitor.bridge;
    let (config, now) = (bridge.config(), Moment::now());
    let loan = loan(&config, &principal, lent, now)?;
    let (own, by) = (Arc::clone(bridge), principal.id.clone());
    let (grant, secret) = blocking(move || own.auth.grants.give(loan, &by, now))
        .await?
        .map_err(|why| failed(&why))?;
    visitor.tell_grant(GrantDeed::Given, Some(&principal.id), &grant);
    let mut told = describe(&grant, now);
    if let Some(told) = told.as_object_mut() {
        let base = if principal.id.kind == PrincipalKind::Local {
            announced(&config)
        } else {
            seen(&config, &visit)
        };
        told.insert("link".into(), json!(base.map(|base| format!("{base}#grant={secret}"))));
        told.insert("token".into(), json!(secret));
    }
    Ok(content("application/json", told.to_string()))
}

/// The gateway's address, as whoever asks sees it.
fn seen(config: &Config, visit: &Visit) -> Option<String> {
    let scheme = if visit.view.tls { "https" } else { "http" };
    let seen = format!("{scheme}://{}{}/", visit.view.host, visit.view.prefix);
    public(config).or(Some(seen))
}

/// The gateway's address for people elsewhere: that of `public:`, or its name and the port of a
/// listener that other machines reach.
fn announced(config: &Config) -> Option<String> {
    let reached = config.listen.iter().filter(|listen| listen.app.is_none());
    let tcp = reached.filter_map(|listen| match &listen.address {
        Address::Tcp(address) => Some((*address, listen.tls != ListenTls::Off)),
        Address::Unix(_) | Address::Systemd(_) => None,
    });
    let far = |(address, tls): &(std::net::SocketAddr, bool)| (!address.ip().is_loopback(), *tls);
    let (address, tls) = tcp.max_by_key(far)?;
    let name = match config.hosts.first() {
        _ if address.ip().is_loopback() => "localhost".to_owned(),
        Some(host) => host.clone(),
        None => format!("{}{}", own_name(), if config.mdns { ".local" } else { "" }),
    };
    let scheme = if tls { "https" } else { "http" };
    public(config).or_else(|| Some(format!("{scheme}://{name}:{}/", address.port())))
}

fn public(config: &Config) -> Option<String> {
    let public = config.public.as_ref()?;
    Some(format!("{}{}/", public.origin, public.prefix))
}

/// `GET /api/grants`: those of endpoints on which the caller may lend, and its own.
pub(super) async fn list(visitor: Visitor, request: Request) -> Result<Response<Body>, Refusal> {
    let request = ask::bare(request);
    let (principal, _) = visitor.authorise(&ask::read(&request, Purpose::Read)).await?;
    let (bridge, now) = (&visitor.bridge, Moment::now());
    let config = bridge.config();
    let mut all = bridge.auth.grants.list();
    all.retain(|grant| may_see(&config, &principal, grant));
    all.sort_by_key(|grant| std::cmp::Reverse((grant.from, grant.id.clone())));
    let list: Vec<_> = all.iter().map(|grant| describe(grant, now)).collect();
    let back = bridge.auth.grants.set_back(now);
    let told = json!({ "grants": list, "clock_went_back": back });
    Ok(content("application/json", told.to_string()))
}

/// Whether it is theirs, or was lent where they may lend.
fn may_see(config: &Config, principal: &Principal, grant: &Grant) -> bool {
    let theirs = grant.by.iter().any(|whose| whose.0 == principal.id);
    theirs || may_end(config, principal, grant)
}

/// Whether somebody may take it back: who lent it, and whoever could lend it.
fn may_end(config: &Config, principal: &Principal, grant: &Grant) -> bool {
    let mut covered = Grant::named(&grant.endpoint, config).into_iter();
    grant.by.iter().any(|whose| whose.0 == principal.id)
        || covered.any(|name| {
            let own = principal.rights.on(&name);
            own.allows(Rights::GRANT) || own.allows(Rights::APPROVE)
        })
}

/// A grant, as lists show it: its secret is kept nowhere.
pub(super) fn describe(grant: &Grant, now: Moment) -> Value {
    let state = match &grant.over {
        Some(over) => over.why.word(),
        None if now.wall >= grant.until => EndOfGrant::Ended.word(),
        None if now.wall < grant.from => "waiting",
        None if grant.uses_left() == Some(0) => "used",
        None => "open",
    };
    let to = match &grant.to {
        Receiver::Bearer { .. } => None,
        Receiver::Asker(whose) => Some(&whose.0.name),
    };
    let used: Vec<_> = grant
        .sign_ins()
        .iter()
        .map(|one| json!({ "at": time(one.at), "client": one.client, "program": one.program }))
        .collect();
    json!({
        "id": grant.id,
        "endpoint": grant.endpoint,
        "rights": grant.rights.words(),
        "from": time(grant.from),
        "until": time(grant.until),
        "ends_in": (grant.until - now.wall).max(0),
        "networks": grant.networks.iter().map(|(ip, bits)| format!("{ip}/{bits}")).collect::<Vec<_>>(),
        "reason": grant.reason,
        "by": grant.by.iter().map(|whose| whose.0.name.clone()).collect::<Vec<_>>(),
        "to": to,
        "uses_left": grant.uses_left(),
        "used": used,
        "state": state,
    })
}

/// Seconds since 1970 as RFC 3339.
pub(super) fn time(seconds: i64) -> String {
    let since = std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    rfc3339(std::time::SystemTime::UNIX_EPOCH + since)
}

/// An empty body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Empty {}

/// `POST /api/grants/ID/revoke`: takes one back; what runs by it ends.
pub(super) async fn revoke(
    visitor: Visitor,
    mut request: Request,
) -> Result<Response<Body>, Refusal> {
    let Path(id): Path<String> = request.extract_parts().await.map_err(|_| Refusal::NotFound)?;
    let (principal, _, said) = visitor.change(request).await?;
    let Empty {} = said.read("send {}")?;
    let bridge = &visitor.bridge;
    let config = bridge.config();
    let mut all = bridge.auth.grants.list().into_iter();
    all.find(|grant| grant.id == id && grant.over.is_none() && may_end(&config, &principal, grant))
        .ok_or(Refusal::NotFound)?;
    let (own, by) = (Arc::clone(bridge), principal.id.clone());
    let ended =
        blocking(move || own.auth.grants.end(&id, (EndOfGrant::Revoked, Some(&by)), Moment::now()))
            .await?;
    warden::look(bridge);
    let (grant, written) = ended.map_err(|why| failed(&why))?;
    visitor.tell_grant(GrantDeed::Over(EndOfGrant::Revoked), Some(&principal.id), &grant);
    if let Err(error) = written {
        return Err(Refusal::NotKept(format!(
            "it is over, but a restart would bring it back until this can be written: {error}"
        )));
    }
    Ok(content("application/json", describe(&grant, Moment::now()).to_string()))
}

/// How a grant is exchanged: by our page, or by a program on this computer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchange {
    grant: String,
    program: Option<String>,
}

const EXCHANGE: &str =
    "send {\"grant\": \"wsg_...\"}, and \"program\": \"COMPUTER\" if it is no page";

/// `POST /api/grant`: exchanges a grant's secret for a sign-in.
pub(super) async fn exchange(
    visitor: Visitor,
    request: Request,
) -> Result<Response<Body>, Refusal> {
    let Visitor { bridge, connection, .. } = &visitor;
    let (request, body) = ask::parted(request);
    let config = bridge.config();
    let ask = ask::read(&request, Purpose::Change);
    let visit = visitor.check_page(&config, &ask)?;
    let Exchange { grant, program } = Said::of(&request, body).await?.read(EXCHANGE)?;
    let program = match program {
        Some(name) => Some(program_name(&name).ok_or(Refusal::BadRequest(EXCHANGE))?),
        None => None,
    };
    let by_program = program.is_some();
    let (own, seen) = (Arc::clone(bridge), visit.clone());
    let made = blocking(move || own.auth.exchange_grant(&config, &seen, (&grant, program))).await?;
    let Exchanged { principal, grant, secret } = made.map_err(refused)?;
    if !connection.signed_in(false) {
        return Err(Refusal::TooMany(NO_PLACE_WAIT));
    }
    visitor.tell_grant(GrantDeed::Used { program: by_program }, None, &grant);
    if by_program {
        let told = json!({
            "token": secret.reveal(),
            "user": principal.id.name,
            "kind": principal.id.kind.word(),
            "grant": describe(&grant, Moment::now()),
        });
        return Ok(content("application/json", told.to_string()));
    }
    let mut response = content("application/json", signing::describe(&visitor, &principal, &visit));
    signing::set(&mut response, &cookie(&visit.view, Some(secret.reveal())));
    Ok(response)
}

fn refused(answer: GrantAnswer) -> Refusal {
    match answer {
        GrantAnswer::No(refusal) => refusal,
        GrantAnswer::Why(why) => Refusal::NotLent(match why {
            GrantRefused::UsedUp => {
                "this link has been used as often as it may; ask for another".to_owned()
            }
            GrantRefused::Early(seconds) => {
                let left = std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
                format!("this link begins to work in {}", crate::span::readable(left))
            }
            GrantRefused::Elsewhere => "this link does not work from this network".to_owned(),
            GrantRefused::Wrong => "this link is over".to_owned(),
            GrantRefused::Failed(failure) => return failed(&failure),
        }),
    }
}

/// What a client is told when something could not be kept.
pub(super) fn failed(failure: &LendingFailure) -> Refusal {
    match failure {
        LendingFailure::Full => {
            Refusal::NotLent("there are as many as there may be; end or decide some first".into())
        }
        LendingFailure::Unknown => Refusal::NotFound,
        LendingFailure::ClockWentBack(seconds) => Refusal::NotLent(format!(
            "the gateway's clock went back by {seconds} s, so it cannot tell what is over; set it right, or say \
             `wsbridge grants --accept-clock` there"
        )),
        LendingFailure::Decided => Refusal::NotLent(
            "nobody decides on what he has asked for himself, and nobody approves twice".into(),
        ),
        LendingFailure::Pending => {
            Refusal::NotLent("you have already asked for this endpoint; it is being decided".into())
        }
        LendingFailure::Several => Refusal::NotLent(
            "you have asked for three endpoints, and nobody has decided; take a request back first"
                .into(),
        ),
        LendingFailure::File(error) => {
            Refusal::NotKept(format!("this cannot be kept, so it has not happened: {error}"))
        }
    }
}

/// `POST /api/grants/clock`: the clock is right although it was later before. For those who may
/// do everything, on this machine.
pub(super) async fn accept_clock(
    visitor: Visitor,
    request: Request,
) -> Result<Response<Body>, Refusal> {
    let (principal, _, said) = visitor.change(request).await?;
    let Empty {} = said.read("send {}")?;
    if principal.id.kind != PrincipalKind::Local {
        return Err(Refusal::Forbidden);
    }
    let bridge = Arc::clone(&visitor.bridge);
    if bridge.auth.grants.set_back(Moment::now()).is_none() {
        return Ok(content("application/json", json!({ "accepted": false }).to_string()));
    }
    let own = Arc::clone(&bridge);
    blocking(move || own.auth.grants.accept_clock(Moment::now()))
        .await?
        .map_err(|why| failed(&why))?;
    bridge.events.tell(Event::Lending(LendingEvent::ClockAccepted { by: &principal.id }));
    Ok(content("application/json", json!({ "accepted": true }).to_string()))
}
