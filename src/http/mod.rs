//! Routes, and the way from a connection to a session.

mod app;
mod ask;
mod assets;
mod connection;
mod gate;
mod grant;
mod log;
mod media;
mod pages;
mod refusal;
mod run;
mod signing;
mod upgrade;
mod warden;

use std::sync::Arc;

use axum::{
    Extension, Router,
    routing::{get, post},
};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::connection::serve;
use self::refusal::Refusals;
pub(crate) use self::refusal::farewell;
use crate::{
    auth::Auth,
    config::Config,
    line::Lines,
    metrics::Metrics,
    session::{Parking, Sessions},
};

/// What every connection needs. One for the daemon's life; `config` brings the reloads.
#[derive(Debug)]
pub struct Bridge {
    /// The configuration in force.
    pub config: watch::Receiver<Arc<Config>>,
    /// The walls.
    pub auth: Auth,
    /// The live targets.
    pub lines: Arc<Lines>,
    /// Who is connected.
    pub sessions: Arc<Sessions>,
    /// `wsbridge.v1` sessions between two sockets.
    pub parking: Arc<Parking>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Owner of connection and session tasks: they end with the client, or after `stop`.
    pub tasks: TaskTracker,
    /// The end of the edge: no new request is heard, running sessions are told to close by whoever cancels it.
    pub stop: CancellationToken,
    refusals: Refusals,
    router: Router,
    /// What an app's listener has, beside the app's files.
    apps: Router,
}

impl Bridge {
    /// Puts the parts together.
    pub fn new(
        config: watch::Receiver<Arc<Config>>,
        lines: Arc<Lines>,
        sessions: Arc<Sessions>,
        metrics: Arc<Metrics>,
        (tasks, stop): (TaskTracker, CancellationToken),
    ) -> Arc<Self> {
        let (auth, refusals) = (Auth::default(), Refusals::default());
        let parking = Parking::new(tasks.clone(), stop.clone());
        let (router, apps) = (routes(), app::routes());
        let bridge = Arc::new(Self {
            config,
            auth,
            lines,
            sessions,
            parking,
            metrics,
            tasks,
            stop,
            refusals,
            router,
            apps,
        });
        bridge.tasks.spawn(warden::watch(
            Arc::downgrade(&bridge),
            bridge.config.clone(),
            bridge.stop.clone(),
        ));
        bridge
    }

    /// The configuration as it is now.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.borrow())
    }
}

/// What a page or a handshake is told of the gateway, with each request: the routes are made once and hold none.
type Bridged = Extension<Arc<Bridge>>;

fn routes() -> Router {
    let mut router = Router::new();
    for asset in assets::ASSETS {
        router = router.route(asset.path, get(pages::asset));
    }
    if assets::ASSETS.is_empty() {
        router = router.route("/", get(pages::home));
    }
    router
        .route("/ws/", get(upgrade::bus))
        .route("/ws/{endpoint}", get(upgrade::by_path))
        .route("/websockify", get(upgrade::by_token))
        .route("/healthz", get(pages::healthz))
        .route("/metrics", get(pages::metrics))
        .route("/api/endpoints", get(pages::endpoints).options(pages::preflight))
        .route("/api/endpoints/{endpoint}/log", get(log::log))
        .route("/api/session", get(signing::session))
        .route("/api/login", post(signing::login))
        .route("/api/logout", post(signing::logout))
        .route("/api/ticket", post(pages::ticket).options(pages::preflight))
        .fallback(pages::nothing)
        .method_not_allowed_fallback(pages::wrong_method)
}

#[cfg(test)]
pub(crate) mod tests;
