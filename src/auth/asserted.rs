//! Whom a hub vouches for: what it said about each link, for as long as the link and what it has
//! begun may last.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Auth, ClientAddress, LoginId, Principal, PrincipalId, PrincipalKind, View, Visit,
    origin::AllowedOrigin,
};
use crate::{
    config::{Config, Rights, RightsTable},
    wire::assertion::{AssertedPage, Assertion},
};

/// Set in the numbers of what hubs have said, and in no others.
const OF_LINKS: LoginId = 1 << 62;

/// How long what was said counts after its link has ended: a session may be resumed by another one.
const AFTERWARDS: Duration = Duration::from_secs(600);

/// The most assertions of the last minute that are remembered.
const USED_MAX: usize = 10_000;

/// What a hub said about whoever asks by one link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asserted {
    /// Its number, as if it were a sign-in.
    pub login: LoginId,
    id: PrincipalId,
    rights: RightsTable,
    client: Option<IpAddr>,
    page: AssertedPage,
    auth_time: Option<i64>,
    /// The hub's name and port, and the path below which it shows this gateway.
    seen_as: (String, String),
}

/// All that hubs have said.
#[derive(Debug, Default)]
pub(crate) struct Assertions {
    next: AtomicU64,
    all: Mutex<All>,
}

#[derive(Debug, Default)]
struct All {
    said: HashMap<LoginId, Said>,
    /// Identifiers of assertions that were used, and until when they would be good.
    used: HashMap<String, i64>,
}

#[derive(Debug)]
struct Said {
    asserted: Arc<Asserted>,
    /// When its link has ended.
    ended: Option<Instant>,
}

/// Holds what was said while its link lasts.
#[derive(Debug)]
pub(crate) struct HeldAssertion {
    of: Arc<Assertions>,
    pub(crate) asserted: Arc<Asserted>,
}

impl PartialEq for HeldAssertion {
    fn eq(&self, other: &Self) -> bool {
        self.asserted == other.asserted
    }
}

impl Eq for HeldAssertion {}

impl Drop for HeldAssertion {
    fn drop(&mut self) {
        let mut all = self.of.lock();
        if let Some(said) = all.said.get_mut(&self.asserted.login) {
            said.ended = Some(Instant::now());
        }
    }
}

impl Assertions {
    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, who: &PrincipalId, login: Option<LoginId>) -> Option<Arc<Asserted>> {
        let all = self.lock();
        let own = all.said.values().filter(|said| {
            said.asserted.id == *who
                && login.is_none_or(|login| said.asserted.login == login)
                && said.ended.is_none_or(|ended| ended.elapsed() < AFTERWARDS)
        });
        own.max_by_key(|said| said.asserted.login).map(|said| Arc::clone(&said.asserted))
    }

    /// Time that what was said still counts; `None`: it no longer does.
    pub(super) fn left(&self, login: LoginId) -> Option<Duration> {
        let ended = self.lock().said.get(&login)?.ended;
        let left = ended.map_or(Some(AFTERWARDS), |ended| AFTERWARDS.checked_sub(ended.elapsed()));
        left.filter(|left| !left.is_zero())
    }
}

/// Whether a sign-in of this number is a link's.
pub(super) fn is_links(login: LoginId) -> bool {
    login & OF_LINKS != 0 && login & (OF_LINKS << 1) == 0
}

impl Auth {
    /// Takes what a hub says about a link, once; `hub` is its name and port, as browsers see it.
    ///
    /// # Errors
    /// It was used before.
    pub(crate) fn take_assertion(
        &self,
        said: Assertion,
        hub: &str,
        now: i64,
    ) -> Result<HeldAssertion, String> {
        let number = self.assertions.next.fetch_add(1, Ordering::Relaxed);
        let Assertion { gateway, who, rights, client, page, auth_time, expires, id, .. } = said;
        let rights = rights.into_iter().map(|(pattern, words)| {
            // A right that we do not know is one that we do not give.
            let known = words.iter().filter_map(|word| Rights::of_words(&[word]).ok());
            (pattern, known.fold(Rights::NONE, Rights::with))
        });
        let asserted = Arc::new(Asserted {
            login: number | OF_LINKS,
            id: PrincipalId::new(PrincipalKind::Link, who),
            rights: RightsTable(rights.collect()),
            client,
            page,
            auth_time,
            seen_as: (hub.to_owned(), format!("/g/{gateway}")),
        });
        let mut all = self.assertions.lock();
        all.used.retain(|_, until| *until >= now);
        all.said.retain(|_, said| said.ended.is_none_or(|ended| ended.elapsed() < AFTERWARDS));
        if all.used.len() >= USED_MAX || all.used.insert(id, expires).is_some() {
            return Err("the hub's assertion was used before".to_owned());
        }
        all.said.insert(asserted.login, Said { asserted: Arc::clone(&asserted), ended: None });
        drop(all);
        Ok(HeldAssertion { of: Arc::clone(&self.assertions), asserted })
    }

    /// Who a link's client is now: what its hub said, within the ceiling that this gateway's
    /// configuration sets.
    pub(super) fn by_link(
        &self,
        config: &Config,
        who: &PrincipalId,
        login: Option<LoginId>,
    ) -> Option<Principal> {
        let said = self.assertions.find(who, login)?;
        let allow = &config.call_home.allow;
        let both = |name: &String| {
            let rights = said.rights.on(name).only(allow.on(name));
            (rights != Rights::NONE).then(|| (name.clone(), rights))
        };
        let rights = RightsTable(config.endpoints.keys().filter_map(both).collect());
        let auth_time = said.auth_time;
        Some(Principal {
            login: Some(said.login),
            auth_time,
            ..Principal::new(who.clone(), rights)
        })
    }
}

impl Asserted {
    /// Who it is about.
    pub(super) fn id(&self) -> &PrincipalId {
        &self.id
    }

    /// How its client sees this gateway: below the hub's address.
    pub(super) fn view(&self) -> View {
        let (host, prefix) = self.seen_as.clone();
        View { host, tls: true, prefix, client: self.address(), here: false }
    }

    /// The page that asks, as the hub has found.
    pub(super) fn visit(&self) -> Visit {
        let page = match self.page {
            AssertedPage::Own => AllowedOrigin::Own,
            AssertedPage::Listed => AllowedOrigin::Listed,
            AssertedPage::None => AllowedOrigin::None,
        };
        Visit { page, view: self.view() }
    }

    /// Its client's address, as the hub sees it.
    pub(crate) fn address(&self) -> ClientAddress {
        self.client.map_or(ClientAddress::Local, ClientAddress::Forwarded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn said(id: &str) -> Assertion {
        Assertion {
            hub: "hub".to_owned(),
            gateway: "gw-1".to_owned(),
            instance: "a".to_owned(),
            who: "anna".to_owned(),
            rights: [(
                "*".to_owned(),
                ["read", "write", "grant", "fly"].map(str::to_owned).to_vec(),
            )]
            .into(),
            client: None,
            page: AssertedPage::Own,
            auth_time: Some(900),
            issued: 1000,
            expires: 1060,
            id: id.to_owned(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_assertion_counts_once_and_what_it_said_for_as_long_as_a_session_may_be_resumed() {
        let auth = Auth::default();
        let held = auth.take_assertion(said("x"), "hub.example", 1000).unwrap();
        let login = held.asserted.login;
        assert!(is_links(login));
        assert!(auth.take_assertion(said("x"), "hub.example", 1060).is_err());
        let other = auth.take_assertion(said("y"), "hub.example", 1000).unwrap();
        assert!(other.asserted.login != login);
        assert!(auth.assertions.left(login).is_some());
        drop(held);
        tokio::time::advance(AFTERWARDS / 2).await;
        assert!(auth.assertions.left(login).is_some());
        tokio::time::advance(AFTERWARDS / 2).await;
        assert!(auth.assertions.left(login).is_none());
        // One whose link goes on still counts.
        assert!(auth.assertions.left(other.asserted.login).is_some());
    }

    #[tokio::test]
    async fn a_hub_gives_what_the_gateway_allows_and_no_right_that_nobody_knows() {
        let auth = Auth::default();
        let text = "auth: none\nendpoints: { a: { sim: echo }, b: { sim: echo } }\n\
                    call_home: { allow: { a: [ read, signals ] } }";
        let (config, _) = parse(text, "w", &|_| Err(String::new())).unwrap();
        let held = auth.take_assertion(said("x"), "hub.example", 1000).unwrap();
        let who = PrincipalId::new(PrincipalKind::Link, "anna");
        let found = auth.find_with(&config, &who, Some(held.asserted.login)).unwrap();
        assert_eq!((found.rights.on("a"), found.rights.on("b")), (Rights::READ, Rights::NONE));
        // Nobody of this gateway's is taken for him, nor he for them.
        let user = PrincipalId::new(PrincipalKind::User, "anna");
        assert!(auth.find_with(&config, &user, Some(held.asserted.login)).is_none());
    }
}
