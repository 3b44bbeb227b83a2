//! Somebody's web tools, each served from an origin of its own.

use std::{
    collections::BTreeMap,
    path::{Component, PathBuf},
    sync::Arc,
};

use super::{
    Address, Endpoint, Listen, Origin, RightsTable,
    raw::{self, At, Leaf, Named, Placed},
    report::Report,
    words::is_name,
};

/// A tool and what it may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Its name in the configuration.
    pub name: String,
    /// What people call it.
    pub title: Option<String>,
    /// Its files.
    pub directory: PathBuf,
    /// Where it is served; nothing else is.
    pub listen: Listen,
    /// Its origin as browsers see it, where a proxy stands before the listener.
    pub url: Option<Origin>,
    /// The endpoints it may use.
    pub endpoints: Vec<String>,
}

impl App {
    /// What somebody with these rights may do through the app: nothing beside its endpoints.
    pub fn limit(&self, rights: &RightsTable) -> RightsTable {
        RightsTable(self.endpoints.iter().map(|name| (name.clone(), rights.on(name))).collect())
    }
}

/// Resolves the apps; their listeners are among `listens`, checked with all others.
pub(super) fn resolve(
    raw: &Named<Placed<raw::App>>,
    listens: &[Listen],
    endpoints: &BTreeMap<String, Arc<Endpoint>>,
    report: &mut Report,
) -> BTreeMap<String, Arc<App>> {
    let mut apps = BTreeMap::new();
    for (Leaf { text: name, at, .. }, Placed { value: app, .. }) in &raw.0 {
        let (at, path) = (*at, format!("apps.{name}"));
        if !is_name(name) {
            report.wrong(
                at,
                &path,
                "no name for an app; use 1 to 64 of a-z 0-9 . _ -, first a letter or digit",
            );
            continue;
        }
        let directory = report.read(&format!("{path}.directory"), &app.directory);
        let url = app.url.as_ref().and_then(|leaf| report.read(&format!("{path}.url"), leaf));
        let reached = reached(&app.endpoints, endpoints, &format!("{path}.endpoints"), report);
        if app.endpoints.is_empty() {
            report.wrong(at, &path, "`endpoints` names nothing the app may use; write [ NAME ]");
        }
        let listen = listens.iter().find(|listen| listen.app.as_ref() == Some(name));
        let (Some(directory), Some(listen)) = (directory, listen) else { continue };
        if directory.components().any(|part| part == Component::ParentDir) {
            report.wrong(app.directory.at, &format!("{path}.directory"), "write the folder without `..`");
        }
        if url.is_none() {
            told_where(listen, app.listen.value.address.at, &path, report);
        }
        let title = app.title.as_ref().map(|title| title.text.clone());
        let app =
            App { name: name.clone(), title, directory, listen: listen.clone(), url, endpoints: reached };
        apps.insert(name.clone(), Arc::new(app));
    }
    apps
}

/// Whether browsers can be told where an app is, by its address alone.
fn told_where(listen: &Listen, at: At, path: &str, report: &mut Report) {
    match &listen.address {
        Address::Tcp(address) if address.port() == 0 => {
            let what = "browsers are told the port, so it must be a fixed one";
            report.wrong(at, &format!("{path}.listen.address"), what);
        }
        Address::Tcp(_) => {}
        Address::Unix(_) | Address::Systemd(_) => {
            let what = "nobody finds it: browsers cannot be told where it is; write its `url`";
            report.odd(at, path, what);
        }
    }
}

fn reached(
    leaves: &[Leaf<String>],
    endpoints: &BTreeMap<String, Arc<Endpoint>>,
    path: &str,
    report: &mut Report,
) -> Vec<String> {
    let mut names = Vec::new();
    for leaf in leaves {
        if endpoints.contains_key(&leaf.text) {
            names.push(leaf.text.clone());
        } else {
            report.wrong(leaf.at, path, &format!("there is no endpoint `{}`", leaf.text));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use crate::config::resolve::tests::{good, mistakes};

    const REST: &str =
        "auth: none\nlisten: [ { address: '127.0.0.1:1', tls: none } ]\nendpoints: { e: { sim: echo } }\n";

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
        let with =
            |rest: &str| mistakes(&format!("{REST}apps:\n  tool:\n    directory: /srv/tool\n    {rest}\n"));
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
            ("listen: { address: '[::]:2', tls: none }\n    endpoints: [ e ]".into(), "apps.tool.listen"),
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
