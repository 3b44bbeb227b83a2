//! Who is asking, and whether they may: limits, Host, Origin, credentials, rights.

mod admin;
mod app_cookie;
mod asserted;
mod by_issuer;
mod certificate;
mod client;
mod credentials;
mod evidence;
mod grants;
mod hashing;
mod hops;
mod host;
mod issuers;
mod kept;
mod lending;
mod links;
mod logins;
mod memory;
mod origin;
mod passes;
mod passwords;
mod penalty;
mod places;
mod principal;
mod programs;
mod proved;
mod proxy;
mod rates;
mod second_factors;
mod secrets;
mod sign_in;
mod signing;
mod source;
mod tickets;
mod turns;
mod user_header;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;

pub(crate) use self::{
    app_cookie::app_cookie,
    asserted::HeldAssertion,
    by_issuer::{NotSignedIn, flow_cookie},
    certificate::{ClientCertificate, Revocation},
    client::ClientAddress,
    credentials::{PresentedCredential, at_door},
    evidence::SignInForm,
    grants::{
        Decision, EndOfGrant, Failure as LendingFailure, Grant, Grants, Loan, Moment, Receiver,
        Refused as GrantRefused, Request, RequestState, Wish,
    },
    host::{Authority, OwnNames, is_ours},
    issuers::Arrival,
    lending::{Exchanged, GrantAnswer},
    origin::{AllowedOrigin, Purpose, Signs, default_port, parse as parse_origin},
    passes::PASS_LIFE,
    places::{Admission, Slot},
    principal::{LoginId, OneSession, PassLimit, Principal, PrincipalId, PrincipalKind},
    programs::{CODE_LIFE, challenge, program_name},
    proxy::{Forwarded, View, is_trusted},
    rates::RequestRates,
    second_factors::{
        Failure as SecondFactorFailure, SecondFactors, new_secret as new_totp_secret,
    },
    secrets::new_token,
    sign_in::SignInInfo,
    signing::{OWN_PAGE_ALONE, SignedIn, cookie},
    source::Source,
    tickets::{Opens, TICKET_LIFE, Ticket},
    user_header::ProxyWord,
};
use self::{
    asserted::Assertions,
    issuers::Issuers,
    kept::Kept,
    links::Links,
    logins::Logins,
    origin::{Proof, absent_allowed},
    passes::Passes,
    passwords::Passwords,
    penalty::Penalties,
    programs::Codes,
    proved::{is_browser, own_origin, proof},
    proxy::Unnamed,
    secrets::{OWN_PREFIX, hex, is_own_form, is_random_text, random, random_text},
    tickets::Tickets,
};
pub use self::{hashing::hash_password, host::own_name};
use crate::{config::Config, wire::close::Refusal};

/// What a connection came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Way {
    /// A listener or a door.
    #[default]
    Usual,
    /// The admin socket.
    Admin,
    /// A gateway of this hub's fleet, or one that wants to be: its TLS says so.
    Gateway,
    /// A link that this gateway has dialled for its hub, which vouches for whoever asks.
    Link(Arc<HeldAssertion>),
}

/// The other end of a connection.
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    /// Its address: for a connection, that of its other end; for a request, that of the client a
    /// trusted proxy speaks for.
    pub client: ClientAddress,
    /// The address of ours that it connected to; `None` for a unix socket.
    pub local: Option<SocketAddr>,
    /// Whether the connection uses TLS.
    pub tls: bool,
    /// Whether the certificate we showed it was issued by our own authority.
    pub authority: bool,
    /// Its certificate, checked by the TLS handshake.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// The app whose listener it came through: it is served that app and nothing else.
    pub app: Option<Arc<str>>,
    /// What it came to.
    pub way: Way,
    /// The door it came by.
    pub door: Option<Arc<str>>,
    /// Our page asks from inside another page's frame, where nobody is taken over from.
    pub framed: bool,
    /// It says that it asks for somebody else, whether it is believed or not.
    pub relayed: bool,
}

/// A request, as far as authentication needs it.
#[derive(Clone, Debug)]
pub(crate) struct AuthRequest<'a> {
    /// `Host`.
    pub host: &'a str,
    /// The forwarding headers.
    pub forwarded: Forwarded<'a>,
    /// What a browser says about the page.
    pub signs: Signs<'a>,
    /// What a proxy says in headers that the configuration names.
    pub proxy: ProxyWord<'a>,
    /// Whether its path began with that of `public:`, which was cut off.
    pub below: bool,
    /// The cookies that came with it.
    pub cookie: Option<&'a str>,
    pub purpose: Purpose,
    /// The endpoint, for tickets.
    pub endpoint: &'a str,
    /// The credentials.
    pub shown: PresentedCredential,
}

/// The outcome of the first two checks, Host and Origin.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    pub page: AllowedOrigin,
    /// How the client sees us.
    pub view: View,
}

/// The checks and what they remember: places, failures, tickets, right passwords.
#[derive(Debug)]
pub(crate) struct Auth {
    pub admission: Arc<Admission>,
    links: Links,
    penalties: Mutex<Penalties>,
    passwords: Passwords,
    tickets: Tickets,
    logins: Logins,
    kept: Kept,
    passes: Passes,
    codes: Codes,
    issuers: Issuers,
    assertions: Arc<Assertions>,
    /// Access that somebody lends to others.
    pub grants: Grants,
    /// What users show besides their passwords.
    pub second_factors: Arc<SecondFactors>,
    unnamed: Unnamed,
    own_name: String,
    held_name: Arc<Mutex<Option<String>>>,
}

impl Default for Auth {
    fn default() -> Self {
        Self::new(own_name())
    }
}

impl Auth {
    /// Remembers nothing yet; `own_name` is this machine's.
    pub(crate) fn new(own_name: String) -> Self {
        Self {
            admission: Arc::default(),
            links: Links::default(),
            penalties: Mutex::default(),
            passwords: Passwords::new(),
            tickets: Tickets::default(),
            logins: Logins::default(),
            kept: Kept::default(),
            passes: Passes::default(),
            codes: Codes::default(),
            issuers: Issuers::default(),
            assertions: Arc::default(),
            grants: Grants::default(),
            second_factors: Arc::default(),
            unnamed: Unnamed::default(),
            own_name,
            held_name: Arc::default(),
        }
    }

    /// Where the multicast DNS responder says which name it holds, `NAME.local`.
    pub(crate) fn held_name(&self) -> Arc<Mutex<Option<String>>> {
        Arc::clone(&self.held_name)
    }

    /// Whoever asks, as logs and counters know them.
    pub(crate) fn client(
        &self,
        config: &Config,
        peer: &Peer,
        forwarded: &Forwarded<'_>,
    ) -> ClientAddress {
        self.unnamed.look(peer, forwarded, &config.trusted_proxies);
        proxy::sender(peer, forwarded, &config.trusted_proxies)
    }

    /// Checks Host alone: for pages without secrets.
    pub(crate) fn check_host(
        &self,
        config: &Config,
        peer: &Peer,
        ask: &AuthRequest<'_>,
    ) -> Result<View, Refusal> {
        match &peer.way {
            Way::Admin => return admin::view(ask),
            Way::Link(held) => return Ok(held.asserted.view()),
            Way::Usual | Way::Gateway => {}
        }
        let view = proxy::seen(config, peer, ask)?;
        let authority = Authority::parse(&view.host).ok_or(Refusal::Misdirected)?;
        if config.access.open && !authority.is_loopback() {
            // Without a login, a page under another name could be anybody's.
            return Err(Refusal::NotLoopback);
        }
        let held = self.held_name.lock().unwrap_or_else(PoisonError::into_inner);
        let (local, hosts, own) = (peer.local, config.hosts.as_slice(), self.own_name.as_str());
        if !is_ours(&authority, OwnNames { local, hosts, own, held: held.as_deref() }) {
            return Err(Refusal::Misdirected);
        }
        // `here` speaks for a program on this machine that asks this machine under a loopback name.
        let here = view.here && authority.is_loopback();
        Ok(View { here, ..view })
    }

    /// Checks Host, Origin and fetch metadata.
    pub(crate) fn check_page(
        &self,
        config: &Config,
        peer: &Peer,
        ask: &AuthRequest<'_>,
    ) -> Result<Visit, Refusal> {
        let view = self.check_host(config, peer, ask)?;
        match &peer.way {
            Way::Admin => return Ok(Visit { page: AllowedOrigin::None, view }),
            // The hub has looked at it, for nobody else knows under which names it is seen.
            Way::Link(held) => return Ok(held.asserted.visit()),
            Way::Usual | Way::Gateway => {}
        }
        let own = own_origin(&view).ok_or(Refusal::Misdirected)?;
        let page = origin::check(ask.signs, &own, &config.origins, ask.purpose)?;
        Ok(Visit { page, view })
    }

    /// Checks credentials, after [`Self::check_page`].
    pub(crate) async fn check_credentials(
        &self,
        config: &Config,
        peer: &Peer,
        ask: &AuthRequest<'_>,
        visit: &Visit,
    ) -> Result<Principal, Refusal> {
        match &peer.way {
            Way::Admin => return Ok(credentials::local()),
            // Nothing that the request itself brings counts.
            Way::Link(held) => {
                let said = &held.asserted;
                let found = self.by_link(config, said.id(), Some(said.login));
                return found.ok_or(Refusal::Unauthorized);
            }
            // It has no part in what people do here.
            Way::Gateway => return Err(Refusal::Unauthorized),
            Way::Usual => {}
        }
        if let Some(principal) = self.by_proxy(config, peer, ask, visit)? {
            return Ok(principal);
        }
        // Cookies know no ports: at an app's origin the sign-in's cookie would speak for pages that
        // are not ours. An app has a cookie of its own.
        let by_cookie = match peer.app.as_deref() {
            None => self.by_cookie(config, ask, visit)?,
            Some(app) => self.by_app_cookie(config, app, ask, visit),
        };
        let source = self.source(visit.view.client);
        if let Some(principal) = by_cookie {
            self.penalties().signed_in(source, Instant::now());
            return Ok(principal);
        }
        let principal = self.by_evidence(config, peer, ask, (visit.view.client, source)).await?;
        if principal.id.kind != PrincipalKind::Open {
            self.penalties().signed_in(source, Instant::now());
        }
        let proof = proof(ask, visit, &principal);
        if visit.page == AllowedOrigin::App && proof != Proof::Deliberate {
            return Err(Refusal::Origin(origin::APP_NEEDS_TOKEN.to_owned()));
        }
        if visit.page == AllowedOrigin::None
            && !absent_allowed(ask.purpose, proof, is_browser(ask, &visit.view))
        {
            let why = match ask.purpose {
                Purpose::Change => origin::ABSENT_CHANGE,
                Purpose::Read | Purpose::Upgrade => origin::ABSENT,
            };
            return Err(Refusal::Origin(why.to_owned()));
        }
        Ok(self.with_lent(config, principal))
    }

    /// A principal as it is now; `None` if it no longer is one.
    pub(crate) fn find(&self, config: &Config, id: &PrincipalId) -> Option<Principal> {
        self.find_with(config, id, None)
    }

    /// A principal as it is now, with what it came with and what it was lent.
    pub(crate) fn find_with(
        &self,
        config: &Config,
        id: &PrincipalId,
        login: Option<LoginId>,
    ) -> Option<Principal> {
        if id.kind == PrincipalKind::Grant {
            return self.granted(config, (&id.name, login));
        }
        if id.kind == PrincipalKind::Link {
            return self.by_link(config, id, login);
        }
        Some(self.with_lent(config, self.own(config, id, login)?))
    }

    /// A principal as it is now, with what it came with: that has to be good still, and of an
    /// issuer's words the one that was said then counts. Without a sign-in it is the newest one.
    fn own(&self, config: &Config, id: &PrincipalId, login: Option<LoginId>) -> Option<Principal> {
        let terms = (&config.access, config.login);
        let standing = || self.logins.standing(id, login, terms, Instant::now());
        if let (None, true) = (login, id.kind != PrincipalKind::Identity) {
            return credentials::configured(&config.access, id, unix_now());
        }
        let (rights, auth_time) = standing()?;
        let found = match rights {
            Some(rights) => Principal::new(id.clone(), rights),
            None => credentials::configured(&config.access, id, unix_now())?,
        };
        Some(Principal { login, auth_time, ..found })
    }

    /// Whose connections and failures are counted together.
    pub(crate) fn source(&self, client: ClientAddress) -> Source {
        self.links.source(client)
    }

    /// Whether somebody has signed in from this address on one of our links.
    pub(crate) fn has_signed_in(&self, neighbour: Source) -> bool {
        self.penalties().knows(neighbour)
    }

    /// A ticket's text for `principal`, bound to the page that may use it; `None` if too many are
    /// outstanding.
    pub(crate) fn ticket(
        &self,
        principal: &Principal,
        opens: Opens,
        origin: Option<&str>,
    ) -> Option<String> {
        let ticket = Ticket {
            id: principal.id.clone(),
            login: principal.login,
            certificate: principal.certificate.clone(),
            opens,
            origin: origin.map(str::to_owned),
        };
        self.tickets.give(ticket, Instant::now())
    }

    fn penalties(&self) -> MutexGuard<'_, Penalties> {
        self.penalties.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Seconds since 1970.
pub(crate) fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
