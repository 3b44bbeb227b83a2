//! Turns a file's text into the resolved configuration, or reports all of its mistakes at once.

use std::fmt;

use super::{
    Access, Config, Listen, ListenTls,
    access::access,
    admin::admin,
    app::apps,
    audit::audit,
    cursor::{Keys, Reading, describe},
    described::Described,
    dial_in, door,
    endpoint::{Published, endpoints},
    fleet::{call_home, hub},
    gateway::{hsts, limits, names, times},
    joined::joined,
    lending::lending,
    listen::{self, listen},
    login::login,
    node::{At, Node},
    report::Report,
    secret::SecretReader,
    switch::switch,
    text::Text,
};

/// The largest file that is read, in bytes.
pub(crate) const MAX_FILE: usize = 1 << 20;

/// What is wrong with a configuration: for each mistake its place, what it is, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub(super) String);

/// Something legal but odd, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(pub String);

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Parses and resolves a file's text. `name` is the file's path, for the mistakes.
///
/// # Errors
/// All mistakes of the file; if its structure is so broken that reading cannot continue, those up
/// to that point.
/// to there.
pub fn parse(
    text: &str,
    name: &str,
    secrets: &SecretReader<'_>,
) -> Result<(Config, Vec<Warning>), ConfigError> {
    parse_files(&[Text { name, text }], secrets)
}

/// [`parse`] for a file and those beside it that hold endpoints, each a mapping as below
/// `endpoints:`.
///
/// # Errors
/// All mistakes of all files.
pub(crate) fn parse_files(
    files: &[Text<'_>],
    secrets: &SecretReader<'_>,
) -> Result<(Config, Vec<Warning>), ConfigError> {
    let mut left = MAX_FILE;
    for file in files {
        left = left.checked_sub(file.text.len()).ok_or_else(|| ConfigError(too_big(file.name)))?;
    }
    let mut report = Report::default();
    let root = joined(files, &mut report);
    let (config, report) = match root {
        Some(root) => read(&root, report, secrets),
        None => (None, report),
    };
    judged(config, report, files)
}

/// What was read, with its warnings; or all mistakes.
pub(super) fn judged<T>(
    read: Option<T>,
    report: Report,
    files: &[Text<'_>],
) -> Result<(T, Vec<Warning>), ConfigError> {
    if let (Some(read), true) = (read, report.problems.is_empty()) {
        let warnings = report.warnings.iter().map(|found| Warning(found.told(files)));
        return Ok((read, warnings.collect()));
    }
    let told = report
        .sorted()
        .iter()
        .map(|found| found.told(files) + &found.shown(files))
        .collect::<Vec<_>>();
    Err(ConfigError(told.join("\n")))
}

/// What is said about a file larger than [`MAX_FILE`].
pub(super) fn too_big(name: &str) -> String {
    format!("{name}: the file is over 1 MiB; is it the right one?")
}

/// A tree's configuration if there is one, and what is wrong or odd in it.
pub(super) fn read(
    root: &Node,
    report: Report,
    secrets: &SecretReader<'_>,
) -> (Option<Config>, Report) {
    let run = Reading::new(report, described);
    let config = run.file(root, |k| config(k, secrets));
    (config, run.into_report())
}

/// Every key of a file.
pub(super) fn described() -> Vec<Described> {
    describe(|k| {
        config(k, &|_| Err(String::new()));
    })
}

fn config(k: &mut Keys<'_>, secrets: &SecretReader<'_>) -> Config {
    let mut listeners = listen(k);
    let mut names = names(k, secrets);
    let hsts = hsts(k);
    let (dead_after, resume) = times(k);
    let login = k
        .key("login", "how long a browser stays signed in: [below](#login)")
        .without("see below")
        .part(login);
    let lending = k
        .key("lending", "how access may be lent to others: [below](#lending)")
        .without("see below")
        .part(lending);
    let limits = k
        .key("limits", "what strangers may take: [below](#limits)")
        .without("see below")
        .part(limits);
    let audit = k
        .key("audit", "a record of who did what, in which a change is found: [below](#audit)")
        .without("no record")
        .uci("audit")
        .map(audit)
        .map(|it| it.value);
    let switch = switch(k);
    let admin = admin(k);
    let state_directory = k
        .key("state_directory", "where generated keys are kept")
        .uci("state_directory")
        .or("/var/lib/wsbridge".into());
    let endpoints = endpoints(k, dead_after);
    let access = access(k, secrets, &endpoints.names);
    let (call_home, hub) = (call_home(k, &endpoints.names), hub(k, &mut names.hosts));
    let (apps, app_listeners): (Vec<_>, Vec<_>) = apps(k, &endpoints.names).into_iter().unzip();
    listeners.extend(app_listeners);
    listen::check(&listeners, access.open, &names.trusted_proxies);
    let listen: Vec<_> = listeners.into_iter().map(|it| it.listen).collect();
    let taken = dial_in::check(&endpoints.waiting, &listen, k);
    door::check(&endpoints.doors, &access, (taken, names.mdns));
    // A browser heeds it only over TLS (RFC 6797 section 8.1).
    if let (Some(hsts), true) = (&hsts, listen.iter().all(|listen| listen.tls == ListenTls::Off)) {
        k.odd_in("hsts", hsts.at, "no listener has TLS, so no browser hears it");
    }
    certificates(k, &access, &endpoints, &listen);
    Config {
        files: std::collections::BTreeMap::new(),
        listen,
        access,
        origins: names.origins,
        public: names.public,
        frame_ancestors: names.ancestors,
        hsts: hsts.map(|it| it.value),
        hosts: names.hosts,
        trusted_proxies: names.trusted_proxies,
        mdns: names.mdns,
        login,
        lending,
        limits,
        audit,
        switch,
        admin,
        call_home,
        hub,
        apps: apps.into_iter().map(|app| (app.name.clone(), app.into())).collect(),
        endpoints: endpoints.all,
        state_directory,
        dead_after,
        resume,
    }
}

/// Says so where nobody can show a certificate.
fn certificates(k: &Keys<'_>, access: &Access, endpoints: &Published<'_>, listen: &[Listen]) {
    let by_door = endpoints.doors.iter().any(|(_, it)| it.door.way.asks_for_certificates());
    if !access.certificates.is_empty() && !by_door && !listen.iter().any(asks_for_certificates) {
        k.odd_in(
            "certificates",
            At::default(),
            "no listener has a `client_ca`, so nobody can show a certificate",
        );
    }
}

fn asks_for_certificates(listen: &Listen) -> bool {
    matches!(&listen.tls, ListenTls::Files { client_ca: Some(_), .. })
}

#[cfg(test)]
pub(super) mod tests {
    use std::{fmt::Write as _, time::Duration};

    use proptest::prelude::*;

    use super::*;
    use crate::config::Address;

    pub(in crate::config) fn good(text: &str) -> (Config, Vec<Warning>) {
        parse(text, "w.yaml", &|_| Err("no secrets here".into()))
            .unwrap_or_else(|error| panic!("{error}"))
    }

    pub(in crate::config) fn mistakes(text: &str) -> String {
        parse(text, "w.yaml", &|_| Err("no secrets here".into())).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_key_names_line_column_and_the_nearest_right_key() {
        let text = "auth: none\nendpoints:\n  modem1:\n    serial:\n      port: /dev/ttyS1\n      buad: 9600\n";
        let error = mistakes(text);
        for part in [
            "w.yaml:6:7: ",
            "endpoints.modem1.serial: unknown key `buad`",
            "did you mean `baud`?",
            "6 |       buad: 9600",
        ] {
            assert!(error.contains(part), "{part}\n{error}");
        }
        let error = mistakes("auth: none\nendpoint: {}\n");
        assert!(
            error.contains("w.yaml:2:1: unknown key `endpoint`; did you mean `endpoints`?"),
            "{error}"
        );
    }

    #[test]
    fn all_unknown_keys_are_told_at_once_and_what_else_is_wrong_elsewhere() {
        let text = "auth: none\ndead_aftre: 9s\nendpoints:\n  a:\n    serial:\n      port: /dev/ttyS1\n      buad: fast\n      format: 9N1\n  \
                    b:\n    smi: echo\n  c:\n    serial:\n      port: ttyS1\n";
        let error = mistakes(text);
        let told: Vec<_> = error.lines().filter(|line| line.starts_with("w.yaml")).collect();
        let wanted = [
            "w.yaml:2:1: unknown key `dead_aftre`; did you mean `dead_after`?",
            "w.yaml:7:7: endpoints.a.serial: unknown key `buad`; did you mean `baud`?",
            "w.yaml:8:15: endpoints.a.serial.format: ",
            "w.yaml:10:5: endpoints.b: unknown key `smi`; did you mean `sim`?",
            "w.yaml:13:13: endpoints.c.serial.port: `ttyS1` is not the path",
        ];
        assert_eq!(told.len(), wanted.len(), "{error}");
        for (told, wanted) in told.iter().zip(wanted) {
            assert!(told.starts_with(wanted), "{told}\n{wanted}");
        }
        // A mistake in what an alias stands for is reported where that is written.
        let text = "auth: none\nendpoints:\n  a: { sim: echo, limits: &l { sesions: 1 } }\n  b: { sim: echo, limits: *l }\n";
        assert_eq!(mistakes(text).matches("unknown key `sesions`").count(), 2);
    }

    #[test]
    fn all_wrong_values_are_told_at_once_in_the_order_of_the_file() {
        let text = "auth: none\ndead_after: soon\nendpoints:\n  m:\n    serial:\n      port: ttyS1\n      baud: fast\n      \
                    format: 9N1\n    open: maybe\n  M2:\n    sim: echo\n";
        let error = mistakes(text);
        let mut last = 0;
        for part in [
            "w.yaml:2:13: dead_after: `soon` is not a duration; write e.g. 250ms, 10s, 5m",
            "w.yaml:6:13: endpoints.m.serial.port: `ttyS1` is not the path",
            "w.yaml:7:13: endpoints.m.serial.baud: `fast` is not a whole number",
            "w.yaml:8:15: endpoints.m.serial.format: data bits are 5 to 8",
            "w.yaml:9:11: endpoints.m.open: `maybe` is not known here",
            "w.yaml:10:3: endpoints.M2: not a name for an endpoint",
        ] {
            let at = error.find(part).unwrap_or_else(|| panic!("{part}\n{error}"));
            assert!(at >= last, "{part}\n{error}");
            last = at;
        }
    }

    #[test]
    fn wrong_types_name_place_and_path() {
        for (text, parts) in [
            (
                "auth: none\nendpoints:\n  e:\n    sim: [ echo ]\n",
                ["w.yaml:4:10", "endpoints.e.sim"],
            ),
            ("auth: none\nendpoints:\n  e: echo\n", ["w.yaml:3:6", "endpoints.e"]),
            ("auth: none\nlisten: 8443\n", ["w.yaml:2:9", "listen: write a list"]),
            (
                "auth: none\nendpoints:\n  e:\n    serial:\n      baud: 300\n",
                ["endpoints.e", "`port` is missing"],
            ),
            ("auth: none\nauth: none\n", ["w.yaml:2:1", "the key `auth` is here twice"]),
            ("auth: [ none\n", ["w.yaml:", ""]),
            ("auth: none\n---\nauth: none\n", ["one document", ""]),
        ] {
            let error = mistakes(text);
            assert!(parts.iter().all(|part| error.contains(part)), "{text}\n{error}");
        }
    }

    #[test]
    fn without_listen_it_is_loopback_with_a_certificate_of_its_own() {
        let (config, warnings) = good("auth: none");
        assert_eq!(
            config.listen,
            [Listen {
                address: Address::Tcp(([127, 0, 0, 1], 8443).into()),
                tls: ListenTls::SelfSigned,
                proxy_protocol: false,
                app: None
            }]
        );
        assert_eq!(config.dead_after, Duration::from_secs(30));
        assert_eq!(
            (config.limits.connections, config.limits.per_address, config.limits.unauthenticated),
            (256, 32, 64)
        );
        assert!(
            warnings.iter().any(|warning| warning.0.contains("nothing is published")),
            "{warnings:?}"
        );
    }

    #[test]
    fn an_empty_file_says_how_to_begin() {
        for text in ["", "# nothing\n", "endpoints:\n"] {
            assert!(mistakes(text).contains("`wsbridge passwd`"));
        }
    }

    #[test]
    fn a_bomb_and_a_huge_file_are_refused_quickly() {
        let mut bomb = String::from("a: &a [x,x,x,x,x,x,x,x,x,x]\n");
        for (one, two) in "abcdefghi".chars().zip("bcdefghij".chars()) {
            let _ = writeln!(bomb, "{two}: &{two} [{}]", vec![format!("*{one}"); 10].join(","));
        }
        mistakes(&bomb);
        mistakes(&format!("endpoints: {}", "[".repeat(100_000)));
        assert!(mistakes(&"#".repeat(MAX_FILE + 1)).contains("1 MiB"));
    }

    #[test]
    fn hosts_and_proxies_are_checked() {
        let (config, _) = good(
            "auth: none\nhosts: [ Gateway.Example, 192.0.2.1, '[::1]' ]\ntrusted_proxies: [ 10.1.1.1/8 ]",
        );
        assert_eq!(config.hosts, ["gateway.example", "192.0.2.1", "[::1]"]);
        assert_eq!(config.trusted_proxies.addresses, [("10.0.0.0".parse().unwrap(), 8)]);
        for host in ["https://gateway", "gateway:80", "'*.example'", "'a/b'"] {
            assert!(
                mistakes(&format!("auth: none\nhosts: [ {host} ]")).contains("not a host name"),
                "{host}"
            );
        }
        assert!(mistakes("auth: none\nresume: 2h").contains("not from 0s to 1h"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}", lines in "([a-z_]{1,12}: ?[\\[{a-z0-9:'\"/ ]{0,12}\n){0,8}") {
            let _ = (parse(&text, "w", &|_| Err(String::new())), parse(&lines, "w", &|_| Err(String::new())));
        }
    }
}
