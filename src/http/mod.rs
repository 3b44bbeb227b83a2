//! Routes, and the way from a connection to a session.

mod account;
mod app;
mod ask;
mod assets;
mod audit;
mod by_door;
mod change;
mod connection;
mod disk;
mod download;
mod exchange;
mod fleet;
mod grants;
mod kick;
mod lapse;
mod log;
mod logins;
mod media;
mod oidc;
mod pages;
mod recordings;
mod refusal;
mod requests;
mod run;
mod say;
mod scope;
mod script;
mod second_factors;
mod signing;
mod tickets;
mod trust;
mod upgrade;
mod visitor;
mod warden;

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post},
};
use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::account::Account;
use self::visitor::{entrance, page};
pub(crate) use self::{
    by_door::Caller,
    connection::{serve, serve_after},
};
use crate::{
    auth::{Auth, ClientAddress, Peer, RequestRates},
    config::Config,
    event::{Event, Events},
    fleet::{Hub, Standing},
    line::Lines,
    metrics::Metrics,
    session::{Parking, Sessions},
    switch::Position,
    tls::{InUse, OwnAuthority},
    wire::close::Refusal,
};

/// What every connection needs. There is one for the daemon's life; `config` brings the reloads.
#[derive(Debug)]
pub(crate) struct Bridge {
    /// The configuration in force.
    pub config: watch::Receiver<Arc<Config>>,
    /// Authentication: every check a request has to pass.
    pub auth: Auth,
    /// The live targets.
    pub lines: Arc<Lines>,
    /// Who is connected.
    pub sessions: Arc<Sessions>,
    /// `wsbridge.v1` sessions that are between two sockets.
    pub parking: Arc<Parking>,
    /// Where events are reported.
    pub events: Arc<Events>,
    pub metrics: Arc<Metrics>,
    /// How this gateway stands with the hub that it calls.
    pub home: watch::Sender<Standing>,
    /// The gateway's own enrolment has changed.
    pub enrolled: Notify,
    /// The hub, if the configuration makes this daemon one.
    pub hub: Hub,
    /// What the listeners present.
    pub certificates: InUse,
    /// Owns the tasks of connections and sessions: they end with the client, or after `stop`.
    pub tasks: TaskTracker,
    /// Where the key switch stands; `None` without one.
    pub switch: watch::Sender<Option<Position>>,
    /// Ends the edge: no new request is heard, and whoever cancels it tells running sessions to
    /// close.
    pub stop: CancellationToken,
    router: Router,
    /// What an app's listener has besides the app's files.
    apps: Router,
    /// What a hub's gateways reach.
    gateways: Router,
    /// Where our script goes in the apps' pages.
    places: app::Places,
    /// How often each client may ask.
    rates: RequestRates,
    /// A session with a known end has come: the warden has to look when that end is due.
    ending: Arc<Notify>,
}

impl Bridge {
    /// Something has changed that may end or hold sessions.
    pub(crate) fn look_at_sessions(&self) {
        self.ending.notify_one();
    }

    /// Puts the parts together.
    pub(crate) fn new(
        config: watch::Receiver<Arc<Config>>,
        lines: Arc<Lines>,
        sessions: Arc<Sessions>,
        events: Arc<Events>,
        (tasks, stop): (TaskTracker, CancellationToken),
    ) -> Arc<Self> {
        let (auth, metrics) = (Auth::default(), Arc::clone(events.metrics()));
        let parking = Parking::new(tasks.clone(), stop.clone());
        let (router, apps) = (routes(assets::ASSETS), app::routes());
        let bridge = Arc::new(Self {
            config,
            auth,
            lines,
            sessions,
            parking,
            events,
            metrics,
            home: watch::Sender::default(),
            enrolled: Notify::new(),
            hub: Hub::default(),
            certificates: InUse::default(),
            switch: watch::Sender::new(None),
            tasks,
            stop,
            router,
            apps,
            gateways: fleet::of_gateways(),
            places: app::Places::default(),
            rates: RequestRates::default(),
            ending: Arc::default(),
        });
        bridge.tasks.spawn(warden::watch(
            Arc::downgrade(&bridge),
            bridge.config.clone(),
            (Arc::clone(&bridge.ending), bridge.stop.clone()),
        ));
        bridge
    }

    /// The configuration as it is now.
    pub(crate) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.borrow())
    }

    /// The authority of the certificate that a connection was shown, if it is our own.
    fn authority(&self, peer: &Peer) -> Option<Arc<OwnAuthority>> {
        if peer.authority { self.certificates.authority() } else { None }
    }

    /// The one way out for a refusal: it is counted, and reported to whoever keeps a record.
    /// `request` is empty where none was read.
    pub(crate) fn refused(&self, client: ClientAddress, request: &str, refusal: &Refusal) {
        self.events.tell(Event::Refusal { client, request, refusal });
    }
}

/// Whether the console is in this build.
pub(crate) fn has_page() -> bool {
    !assets::ASSETS.is_empty()
}

fn routes(assets: &[assets::Asset]) -> Router {
    let mut router = Router::new();
    for asset in assets {
        router =
            router.route(asset.path, get(entrance(pages::asset)).options(page(pages::options)));
    }
    if assets.is_empty() {
        router = router.route("/", get(entrance(pages::home)).options(page(pages::options)));
    }
    fleet::of_people(router)
        .route("/ws/", get(page(upgrade::bus)))
        .route("/ws/{endpoint}", get(page(upgrade::by_path)))
        .route("/websockify", get(page(upgrade::by_token)))
        .route("/healthz", get(page(pages::healthz)).options(page(pages::options)))
        .route("/ca.crt", get(entrance(trust::certificate)).options(page(pages::options)))
        .route("/metrics", get(page(pages::metrics)))
        .route("/api/endpoints", get(page(pages::endpoints)).options(page(pages::preflight)))
        .route("/api/endpoints/{endpoint}/log", get(page(log::log)))
        .route("/api/endpoints/{endpoint}/capture", get(page(recordings::capture)))
        .route("/api/recordings", get(page(recordings::list)))
        .route("/api/recordings/{endpoint}/{name}", get(page(recordings::file)))
        .route("/api/audit", get(page(audit::page)))
        .route("/api/audit/verify", get(page(audit::verify)))
        .route("/api/audit/record.tar", get(page(audit::packed)))
        .route("/api/audit/key", post(page(audit::rotate)))
        .route("/api/sessions", get(page(kick::sessions)))
        .route("/api/sessions/{id}/end", post(page(kick::end)))
        .route("/api/sessions/{id}/hold", post(page(kick::hold)))
        .route("/api/endpoints/{endpoint}/say", post(page(say::say)))
        .route("/api/session", get(entrance(signing::session)))
        .route("/api/login", post(entrance(signing::login)))
        .route("/api/oidc", get(entrance(oidc::issuers)).post(entrance(oidc::depart)))
        .route("/api/oidc/callback", get(entrance(oidc::arrive)))
        .route("/api/logout", post(page(signing::logout)))
        .route("/api/logins", get(page(logins::list)).post(entrance(logins::begin)))
        .route("/api/logins/code", post(page(logins::code)))
        .route("/api/logins/{id}/end", post(page(logins::end)))
        .route("/api/grant", post(entrance(grants::exchange)))
        .route("/api/grants", get(page(grants::list)).post(page(grants::give)))
        .route("/api/grants/clock", post(page(grants::accept_clock)))
        .route("/api/grants/{id}/revoke", post(page(grants::revoke)))
        .route("/api/totp", get(page(second_factors::list)).post(page(second_factors::enrol)))
        .route("/api/totp/off", post(page(second_factors::off)))
        .route("/api/totp/recovery", post(page(second_factors::recovery)))
        .route("/api/requests", get(page(requests::list)).post(page(requests::make)))
        .route("/api/requests/{id}/approve", post(page(requests::approve)))
        .route("/api/requests/{id}/deny", post(page(requests::deny)))
        .route("/api/requests/{id}/withdraw", post(page(requests::withdraw)))
        .route("/api/ticket", post(page(tickets::ticket)).options(page(pages::preflight)))
        .route("/api/pass", post(page(tickets::page_pass)).options(page(pages::preflight)))
        .fallback(page(pages::nothing))
        .method_not_allowed_fallback(page(pages::wrong_method))
}

#[cfg(test)]
pub(crate) mod tests;
