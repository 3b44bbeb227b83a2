//! Other people's web tools, each served from an origin of its own.

use std::{
    collections::BTreeSet,
    path::{Component, PathBuf},
};

use super::{
    Address, Listen, Origin, RightsTable,
    cursor::{Keys, Placed, Spot, Value},
    listen::{Written, listener},
    node::NodeKey,
    words::is_name,
};

/// A tool, and what it may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Its name in the configuration.
    pub name: String,
    /// What people call it.
    pub title: Option<String>,
    /// Its files.
    pub directory: PathBuf,
    /// Where it is served, and nothing else is.
    pub listen: Listen,
    /// Its origin as browsers see it, if a proxy is in front of the listener.
    pub url: Option<Origin>,
    /// The endpoints it may use.
    pub endpoints: Vec<String>,
}

impl App {
    /// What somebody with these rights may do through the app: nothing beyond its endpoints.
    pub fn limit(&self, rights: &RightsTable) -> RightsTable {
        RightsTable(self.endpoints.iter().map(|name| (name.clone(), rights.on(name))).collect())
    }
}

/// Reads `apps:`, which may use these endpoints; returns each app with its listener as written.
pub(super) fn apps<'a>(k: &mut Keys<'a>, endpoints: &BTreeSet<String>) -> Vec<(App, Written<'a>)> {
    let apps = k
        .key("apps", "other people's web tools, served by the gateway: [below](#apps)")
        .without("none")
        .value();
    apps.named(|name, value| named(name, value, endpoints)).into_iter().flatten().collect()
}

fn named<'a>(
    name: &NodeKey,
    value: Value<'a>,
    endpoints: &BTreeSet<String>,
) -> Option<(App, Written<'a>)> {
    let spot = value.spot();
    let app = value.keys(|k| app(k, name, endpoints))?.value;
    if !is_name(&name.text) {
        spot.wrong(
            name.at,
            "not a name for an app; use 1 to 64 of a-z 0-9 . _ -, first a letter or digit",
        );
        return None;
    }
    app
}

fn app<'a>(
    k: &mut Keys<'a>,
    name: &NodeKey,
    endpoints: &BTreeSet<String>,
) -> Option<(App, Written<'a>)> {
    let title = k.key("title", "what people call it").without("none").uci("title").maybe();
    let directory = k
        .key(
            "directory",
            "the folder of its files; nothing is served whose name begins with a dot, or through a link that leads out of it",
        )
        .uci("directory")
        .needed::<PathBuf>();
    let listen = k
        .key(
            "listen",
            "a listener of its own: `address`, `tls`, `plain` as in [listen](#listen). It serves the app and nothing else",
        )
        .must(|value| value.keys(|k| listener(k, "listen")));
    let url = k
        .key("url", "its origin as browsers see it, if a proxy is in front of the listener")
        .without("from `listen` and the name the browser used")
        .uci("url")
        .maybe::<Origin>();
    let named = k
        .key(
            "endpoints",
            "what it may use, with the rights of whoever opened it; no more than these",
        )
        .uci("endpoint")
        .words::<String>();
    if named.is_empty() {
        k.lacks(
            &["endpoints"],
            name.at,
            "`endpoints` names nothing the app may use; write [ NAME ]",
        );
    }
    let mut reached = Vec::new();
    for Placed { value: endpoint, at } in named {
        if endpoints.contains(&endpoint) {
            reached.push(endpoint);
        } else {
            k.wrong_in("endpoints", at, &format!("there is no endpoint `{endpoint}`"));
        }
    }
    if let Some(directory) = &directory
        && directory.value.components().any(|part| part == Component::ParentDir)
    {
        k.wrong_in("directory", directory.at, "write the folder without `..`");
    }
    let mut written = listen?.value?;
    written.listen.app = Some(name.text.clone());
    if !k.has("url") {
        findable(&written, &k.spot());
    }
    let app = App {
        name: name.text.clone(),
        title: title.map(|it| it.value),
        directory: directory?.value,
        listen: written.listen.clone(),
        url: url.map(|it| it.value),
        endpoints: reached,
    };
    Some((app, written))
}

/// Whether browsers can be told where an app is just from its address.
fn findable(written: &Written<'_>, spot: &Spot<'_>) {
    match &written.listen.address {
        Address::Tcp(address) if address.port() == 0 => {
            let what = "browsers are told the port, so it must be a fixed one";
            spot.wrong_in("listen.address", written.address, what);
        }
        Address::Tcp(_) => {}
        Address::Unix(_) | Address::Systemd(_) => {
            let what = "browsers cannot be told where it is; write its `url`";
            spot.odd(written.address, what);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::resolve::tests::{good, mistakes};

    const REST: &str = "auth: none\nlisten: [ { address: '127.0.0.1:1', tls: none } ]\nendpoints: { e: { sim: echo } }\n";

    #[test]
    fn an_app_has_a_listener_of_its_own_and_names_what_it_reaches() {
        let (config, _) = good(&format!(
            "{REST}apps:\n  tool:\n    title: A tool\n    directory: /srv/tool\n    listen: {{ address: '127.0.0.1:2', tls: none }}\n    endpoints: [ e ]\n"
        ));
        let app = &config.apps["tool"];
        assert_eq!(
            (app.title.as_deref(), app.endpoints.as_slice()),
            (Some("A tool"), ["e".to_owned()].as_slice())
        );
        assert_eq!(config.listen.len(), 2);
        assert_eq!(config.listen[1].app.as_deref(), Some("tool"));
        assert_eq!(config.listen[1], app.listen);
    }

    #[test]
    fn mistakes_are_told_where_they_are() {
        let with = |rest: &str| {
            mistakes(&format!("{REST}apps:\n  tool:\n    directory: /srv/tool\n    {rest}\n"))
        };
        let listen = "listen: { address: '127.0.0.1:2', tls: none }";
        for (rest, part) in [
            (
                format!("{listen}\n    endpoints: [ f ]"),
                "w.yaml:8:18: apps.tool.endpoints: there is no endpoint `f`",
            ),
            (format!("{listen}\n    endpoints: []"), "names nothing the app may use"),
            (
                "listen: { address: '127.0.0.1:1', tls: none }\n    endpoints: [ e ]".into(),
                "listened on twice",
            ),
            (
                "listen: { address: '[::]:2', tls: none }\n    endpoints: [ e ]".into(),
                "apps.tool.listen",
            ),
            ("endpoints: [ e ]".into(), "`listen` is missing"),
            (
                "listen: { address: '127.0.0.1:0', tls: none }\n    endpoints: [ e ]".into(),
                "w.yaml:7:24: apps.tool.listen.address: browsers are told the port",
            ),
        ] {
            let error = with(&rest);
            assert!(error.contains(part), "{part}\n{error}");
        }
        let unix = format!(
            "{REST}apps:\n  tool:\n    directory: /srv/tool\n    listen: {{ address: 'unix:/run/t' }}\n    endpoints: [ e ]\n"
        );
        let (_, warnings) = good(&unix);
        assert!(format!("{warnings:?}").contains("write its `url`"), "{warnings:?}");
        let (_, warnings) =
            good(&unix.replace("    directory", "    url: https://tool.example\n    directory"));
        assert!(!format!("{warnings:?}").contains("url"), "{warnings:?}");
    }
}
