//! An app's cookie: it lets in a tool that opens a plain WebSocket and knows nothing of passes.
//!
//! Browsers send it to every port of the host. Only the app's own listener accepts it: from exactly
//! the app's origin, for a session on one of its endpoints, and for nothing else.

use tokio::time::Instant;

use super::{
    AllowedOrigin, Auth, AuthRequest, Principal, Purpose, View, Visit,
    passes::PassScope,
    signing::{COOKIES_MAX, name, set, values},
};
use crate::config::{App, Config};

/// The stem of the cookie's name. It never equals the sign-in's, whatever the app is called.
fn stem(app: &str) -> String {
    format!("app-{app}")
}

/// The `Set-Cookie` that keeps `value` until the browser is closed.
pub(crate) fn app_cookie(app: &App, view: &View, value: &str) -> String {
    set(view, &stem(&app.name), Some(value))
}

impl Auth {
    /// The principal that an app's cookie lets in.
    pub(super) fn by_app_cookie(
        &self,
        config: &Config,
        app: &str,
        ask: &AuthRequest<'_>,
        visit: &Visit,
    ) -> Option<Principal> {
        // Only our own script reads the bus, whose endpoint is empty, and it has a pass.
        let heard = ask.purpose == Purpose::Upgrade && !ask.endpoint.is_empty();
        if !heard || visit.page != AllowedOrigin::Own || !ask.shown.is_nothing() {
            return None;
        }
        let (name, place) = (name(&visit.view, &stem(app)), PassScope::Cookie(app.to_owned()));
        let shown = values(ask.cookie.unwrap_or_default(), &name).take(COOKIES_MAX);
        let mut passes = shown.filter_map(|text| self.passes.find(text, &place, Instant::now()));
        passes.find_map(|pass| self.holder(config, pass))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::ClientAddress, *};

    #[test]
    fn the_cookie_is_named_by_its_app_and_kept_from_scripts() {
        let view = |host: &str, tls| View {
            host: host.into(),
            tls,
            prefix: String::new(),
            client: ClientAddress::Local,
            here: false,
        };
        let cookie = |host, tls| set(&view(host, tls), &stem("sid"), Some("x"));
        assert_eq!(
            cookie("gateway.example:9443", true),
            "__Host-app-sid-9443=x; Path=/; Secure; HttpOnly; SameSite=Strict"
        );
        assert_eq!(cookie("127.0.0.1", false), "app-sid=x; Path=/; HttpOnly; SameSite=Strict");
    }
}
