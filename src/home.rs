//! Calling home: a gateway that is enrolled at a hub keeps a control socket to it, and dials a link
//! for everybody who comes by the hub. It need listen nowhere.

mod card;
mod control;
mod identity;
mod link;

use std::{path::Path, sync::Arc, time::Duration};

use rustls::ClientConfig;
use tokio::time::{Instant, sleep};

pub(crate) use self::identity::{EnrolError, Identity, enrol};
use crate::{
    auth::unix_now,
    config::HomeProxy,
    dial::{Dialler, Proxies, Request, Trust},
    fleet::Standing,
    http::Bridge,
    wire::home::ByeReason,
};

/// The longest pause between two attempts.
const PAUSE_MOST: Duration = Duration::from_secs(60);
/// A socket that lasted this long was a good one: the next attempt comes at once.
const GOOD: Duration = Duration::from_secs(60);

/// A certificate that was renewed is not renewed again for this long, whatever a clock says: one that
/// is ahead sees every certificate as due.
const RENEWED: Duration = Duration::from_secs(24 * 3600);

/// How an attempt ended.
#[derive(Debug)]
enum Outcome {
    /// The way there, or the socket itself, failed.
    Failed(String),
    /// The hub said goodbye.
    Bye(ByeReason, Duration),
    /// There is a new certificate: the next attempt is with that.
    Renewed,
}

/// Calls home for as long as the gateway runs.
pub(crate) async fn run(bridge: Arc<Bridge>) {
    let (stop, instance) = (bridge.stop.clone(), identity::random_text());
    let calling = async {
        let (mut pause, mut renewed) = (Duration::ZERO, None::<Instant>);
        loop {
            let folder = Identity::folder(&bridge.config().state_directory);
            let Some(identity) = own(&folder) else {
                bridge.home.send_replace(Standing::NotEnrolled);
                bridge.enrolled.notified().await;
                pause = Duration::ZERO;
                continue;
            };
            bridge.home.send_replace(Standing::Calling {
                hub: identity.url(),
                gateway: identity.gateway.clone(),
            });
            let (began, renews) =
                (Instant::now(), renewed.is_none_or(|at| at.elapsed() >= RENEWED));
            let outcome = tokio::select! {
                outcome = once(&bridge, &identity, (folder.as_path(), renews), &instance) => outcome,
                // It may be another hub now.
                () = bridge.enrolled.notified() => { pause = Duration::ZERO; continue; }
            };
            if matches!(outcome, Outcome::Renewed) {
                renewed = Some(Instant::now());
                continue;
            }
            pause = next_pause(pause, began.elapsed(), &outcome);
            let why = told(&identity, &outcome);
            bridge.home.send_replace(Standing::Failed {
                hub: identity.url(),
                gateway: identity.gateway.clone(),
                why,
                again: pause.as_secs(),
            });
            tokio::select! {
                () = sleep(pause) => {}
                () = bridge.enrolled.notified() => pause = Duration::ZERO,
            }
        }
    };
    stop.run_until_cancelled(calling).await;
}

/// What `wsbridge enrol` has left, if it can be used.
fn own(folder: &Path) -> Option<Identity> {
    match Identity::read(folder) {
        Ok(identity) => identity,
        Err(why) => {
            tracing::error!("this gateway does not call home: {why}");
            None
        }
    }
}

/// The pause before the next attempt: doubled, and somewhere in its upper half, so that a hub's
/// gateways do not all come back together.
fn next_pause(before: Duration, lasted: Duration, outcome: &Outcome) -> Duration {
    let wanted = match outcome {
        Outcome::Bye(_, after) => *after,
        Outcome::Renewed => Duration::ZERO,
        Outcome::Failed(_) if lasted >= GOOD => Duration::from_secs(1),
        Outcome::Failed(_) => (before * 2).clamp(Duration::from_secs(1), PAUSE_MOST),
    };
    let mut random = [128];
    // Without randomness, everybody comes back at the same time.
    getrandom::fill(&mut random).ok();
    wanted.mul_f64(0.5 + f64::from(random[0]) / 510.0)
}

/// Logs how an attempt ended; returns it for people.
fn told(identity: &Identity, outcome: &Outcome) -> String {
    let hub = identity.url();
    let why = match outcome {
        Outcome::Failed(why) => why.clone(),
        Outcome::Renewed => return String::new(),
        Outcome::Bye(ByeReason::Restart, _) => {
            tracing::info!(hub, "the hub starts anew");
            return "the hub starts anew".to_owned();
        }
        Outcome::Bye(ByeReason::Revoked, _) => {
            "the hub has revoked this gateway; enrol it anew".to_owned()
        }
        Outcome::Bye(ByeReason::Clone, _) => "another machine shows this gateway's certificate (a copied SD card?), and the hub lets \
             neither in; enrol this one anew under another name, or have the hub's operator decide"
            .to_owned(),
        Outcome::Bye(ByeReason::Replaced, _) => {
            "a newer connection of this gateway has taken its place".to_owned()
        }
        Outcome::Bye(ByeReason::Protocol, _) => {
            "the hub does not understand this gateway; are both of one release?".to_owned()
        }
    };
    tracing::warn!(hub, "no connection to the hub: {why}");
    why
}

/// One attempt: renews what is due, and serves the control socket to its end.
async fn once(
    bridge: &Arc<Bridge>,
    identity: &Identity,
    (folder, renews): (&Path, bool),
    instance: &str,
) -> Outcome {
    let way = match Way::new(bridge, identity, folder) {
        Ok(way) => way,
        Err(why) => return Outcome::Failed(why),
    };
    if renews && identity::is_due(folder, unix_now()) {
        match renew(&way, identity, folder).await {
            Ok(()) => {
                tracing::info!("the certificate for the hub is renewed");
                return Outcome::Renewed;
            }
            Err(why) => tracing::warn!("the certificate for the hub cannot be renewed: {why}"),
        }
    }
    control::serve(bridge, identity, &way, instance).await
}

/// The way to the hub.
#[derive(Clone, Debug)]
struct Way {
    dialler: Dialler,
}

impl Way {
    fn new(bridge: &Bridge, identity: &Identity, folder: &Path) -> Result<Self, String> {
        let proxies = match bridge.config().call_home.proxy {
            HomeProxy::System => Proxies::of_environment(),
            HomeProxy::None => Proxies::default(),
        };
        let tls: Arc<ClientConfig> = identity.tls(folder)?;
        Ok(Self { dialler: Dialler { proxies, trust: Trust::Given(tls) } })
    }
}

/// Gets a new certificate for a new key.
async fn renew(way: &Way, identity: &Identity, folder: &Path) -> Result<(), String> {
    let (key, public) = identity::new_key()?;
    let body = serde_json::json!({ "key": public }).to_string();
    let ask =
        Request { path: "/home/renew", fields: &[], body: Some(&body), media: "application/json" };
    let answer = way.dialler.fetch(&identity.site, &ask).await.map_err(|why| why.to_string())?;
    if answer.status != 200 {
        let said = String::from_utf8_lossy(&answer.body).trim().to_owned();
        return Err(format!("the hub says {}: {said}", answer.status));
    }
    identity.renewed(folder, &key, &answer.body)
}
