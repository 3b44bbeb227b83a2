//! Raw shapes into the resolved configuration, or every mistake of the file at once.

use std::{fmt, path::PathBuf, time::Duration};

use super::{
    Config, Limits, Listen, ListenTls, Origin, access, app, endpoint, listen, login,
    raw::{self, At, Leaf},
    report::Report,
    secret::SecretReader,
    text::Text,
    trust,
    units::{Size, duration_text, size_text},
    words::host_name,
};
use crate::wire::head::HEADERS_MAX;

/// Longest time that browsers are told to use HTTPS alone: what lists of such names ask for.
const HSTS_MOST: Duration = Duration::from_secs(730 * 24 * 3600);

/// Largest file that is read, in bytes.
pub const MAX_FILE: usize = 1 << 20;

/// What is wrong with a configuration: for each mistake its place, what is wrong and what to do.
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

/// Parses and resolves a file's text. `name` is what mistakes are told to be in: the file's path.
///
/// # Errors
/// All mistakes of the file; where its structure is broken so that it cannot be read on, those up to there.
pub fn parse(
    text: &str,
    name: &str,
    secrets: &SecretReader<'_>,
) -> Result<(Config, Vec<Warning>), ConfigError> {
    parse_files(&[Text { name, text }], secrets)
}

/// [`parse`] of a file and of those beside it that hold endpoints, each a mapping as below `endpoints:`.
///
/// # Errors
/// All mistakes of all files.
pub fn parse_files(
    files: &[Text<'_>],
    secrets: &SecretReader<'_>,
) -> Result<(Config, Vec<Warning>), ConfigError> {
    let mut left = MAX_FILE;
    for file in files {
        left =
            left.checked_sub(file.text.len()).ok_or_else(|| ConfigError(TOO_BIG.replace("{}", file.name)))?;
    }
    let (config, mut report) = read(files, secrets);
    if let (Some(config), true) = (config, report.problems.is_empty()) {
        let warnings = report.warnings.iter().map(|found| Warning(found.told(files)));
        return Ok((config, warnings.collect()));
    }
    report.problems.sort();
    let told = report.problems.iter().map(|found| found.told(files) + &found.shown(files));
    Err(ConfigError(told.collect::<Vec<_>>().join("\n")))
}

/// What a file over [`MAX_FILE`] is told; `{}` is its name.
pub(super) const TOO_BIG: &str = "{}: the file is over 1 MiB; is it the right one?";

/// A file's configuration, or none, and what is wrong or odd with it.
pub(super) fn read(files: &[Text<'_>], secrets: &SecretReader<'_>) -> (Option<Config>, Report) {
    let mut report = Report::default();
    let (file, flaws) = raw::read::<raw::File>(files);
    let config = file.map(|file| resolve(&file, secrets, &mut report));
    if !flaws.is_empty() {
        // What an unknown key was meant to be is missing now: in its own part, or in the file as a whole.
        let parts: Vec<_> = flaws.iter().map(|(_, path, _)| part(path)).collect();
        report.problems.retain(|found| found.at.line > 0 && !parts.contains(&part(&found.path)));
    }
    for (at, path, what) in &flaws {
        report.wrong(*at, path, what);
    }
    (config, report)
}

/// The part of a file that a path leads into: `endpoints.modem1` of `endpoints.modem1.serial.baud`.
fn part(path: &str) -> &str {
    let end = path.match_indices('.').nth(1).map_or(path.len(), |(at, _)| at);
    path.get(..end).unwrap_or(path)
}

/// It is said over TLS alone, and a browser heeds it where it trusts the certificate (RFC 6797 section 8.1).
fn https_alone(leaf: Option<&Leaf<Duration>>, listen: &[Listen], report: &mut Report) -> Option<Duration> {
    let leaf = leaf?;
    let bounds = (Duration::ZERO, Duration::ZERO, HSTS_MOST);
    let hsts = report.within("hsts", Some(leaf), bounds, duration_text);
    if listen.iter().all(|listen| listen.tls == ListenTls::Off) {
        report.odd(leaf.at, "hsts", "no listener has TLS, so no browser hears it");
    }
    Some(hsts)
}

fn resolve(file: &raw::File, secrets: &SecretReader<'_>, report: &mut Report) -> Config {
    let seconds = Duration::from_secs;
    let bounds = (seconds(5), seconds(30), seconds(600));
    let dead_after = report.within("dead_after", file.dead_after.as_ref(), bounds, duration_text);
    let endpoints = endpoint::resolve(&file.endpoints, dead_after, report);
    let access = access::resolve(file, secrets, &endpoints, report);
    let trusted_proxies = trust::resolve(file.trusted_proxies.as_ref(), secrets, report);
    let listen = listen::resolve(file, &access, &trusted_proxies, report);
    let apps = app::resolve(&file.apps, &listen, &endpoints, report);
    if !access.certificates.is_empty() && !listen.iter().any(asks_for_certificates) {
        report.odd(At::default(), "certificates", "no listener has a `client_ca`, so nobody can show one");
    }
    let https_alone = https_alone(file.hsts.as_ref(), &listen, report);
    let origins = file.origins.iter().filter_map(|leaf| report.read("origins", leaf)).collect();
    let frame_ancestors = file.frame_ancestors.iter();
    let frame_ancestors = frame_ancestors.filter_map(|leaf| ancestor(leaf, report)).collect();
    let hosts = file.hosts.iter().filter_map(|leaf| host(leaf, report)).collect();
    Config {
        listen,
        access,
        origins,
        frame_ancestors,
        hosts,
        trusted_proxies,
        hsts: https_alone,
        mdns: report.or("mdns", file.mdns.as_ref(), true),
        login: login::resolve(&file.login, report),
        limits: limits(&file.limits, report),
        apps,
        endpoints,
        state_directory: report.or(
            "state_directory",
            file.state_directory.as_ref(),
            PathBuf::from("/var/lib/wsbridge"),
        ),
        dead_after,
        resume: report.within(
            "resume",
            file.resume.as_ref(),
            (seconds(0), seconds(60), seconds(3600)),
            duration_text,
        ),
    }
}

fn asks_for_certificates(listen: &Listen) -> bool {
    matches!(&listen.tls, ListenTls::Files { client_ca: Some(_), .. })
}

/// A page that may show ours in a frame: a web site.
fn ancestor(leaf: &Leaf<Origin>, report: &mut Report) -> Option<Origin> {
    let origin = report.read("frame_ancestors", leaf)?;
    if matches!(origin.scheme.as_str(), "http" | "https") {
        return Some(origin);
    }
    report.wrong(leaf.at, "frame_ancestors", "a page in a browser is of http or https");
    None
}

fn host(leaf: &Leaf<String>, report: &mut Report) -> Option<String> {
    let bare = leaf.text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&leaf.text);
    if host_name(&leaf.text) || bare.parse::<std::net::IpAddr>().is_ok() {
        return Some(leaf.text.to_ascii_lowercase());
    }
    let what = format!(
        "`{}` is no host name; write it without scheme, port, path or `*`, like gateway.example",
        leaf.text
    );
    report.wrong(leaf.at, "hosts", &what);
    None
}

fn limits(raw: &raw::Limits, report: &mut Report) -> Limits {
    let show = |number: u32| number.to_string();
    let mut count = |path, leaf: Option<&Leaf<u32>>, default| {
        let number = report.within(path, leaf, (1, default, 1_000_000), show);
        usize::try_from(number).unwrap_or(usize::MAX)
    };
    let connections = count("limits.connections", raw.connections.as_ref(), 256);
    let per_address = count("limits.per_address", raw.per_address.as_ref(), 32);
    let unauthenticated = count("limits.unauthenticated", raw.unauthenticated.as_ref(), 64);
    let seconds = Duration::from_secs;
    let bounds = (seconds(1), seconds(10), seconds(300));
    let handshake = report.within("limits.handshake", raw.handshake.as_ref(), bounds, duration_text);
    let bounds = (Size(4 << 10), Size(HEADERS_MAX as u64), Size(64 << 10));
    let head = report.within("limits.head", raw.head.as_ref(), bounds, |size| size_text(size.0));
    let head = usize::try_from(head.0).unwrap_or(HEADERS_MAX);
    Limits { connections, per_address, unauthenticated, handshake, head }
}

#[cfg(test)]
pub(super) mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;
    use crate::config::Address;

    pub(in crate::config) fn good(text: &str) -> (Config, Vec<Warning>) {
        parse(text, "w.yaml", &|_| Err("no secrets here".into())).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(in crate::config) fn mistakes(text: &str) -> String {
        parse(text, "w.yaml", &|_| Err("no secrets here".into())).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_key_names_line_column_and_the_nearest_right_key() {
        let text =
            "auth: none\nendpoints:\n  modem1:\n    serial:\n      port: /dev/ttyS1\n      buad: 9600\n";
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
        assert!(error.contains("w.yaml:2:1: unknown key `endpoint`; did you mean `endpoints`?"), "{error}");
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
            "w.yaml:10:5: endpoints.b: unknown key `smi`; did you mean `sim`?",
            "w.yaml:13:13: endpoints.c.serial.port: `ttyS1` is no path",
        ];
        assert_eq!(told.len(), wanted.len(), "{error}");
        for (told, wanted) in told.iter().zip(wanted) {
            assert!(told.starts_with(wanted), "{told}\n{wanted}");
        }
        // One that stands for another by an alias is told where it stands.
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
            "w.yaml:2:13: dead_after: `soon` is no duration",
            "w.yaml:6:13: endpoints.m.serial.port: `ttyS1` is no path",
            "w.yaml:7:13: endpoints.m.serial.baud: `fast` is no whole number",
            "w.yaml:8:15: endpoints.m.serial.format: data bits are 5 to 8",
            "w.yaml:9:11: endpoints.m.open: `maybe` is not known here",
            "w.yaml:10:3: endpoints.M2: no name for an endpoint",
        ] {
            let at = error.find(part).unwrap_or_else(|| panic!("{part}\n{error}"));
            assert!(at >= last, "{part}\n{error}");
            last = at;
        }
    }

    #[test]
    fn wrong_types_name_place_and_path() {
        for (text, parts) in [
            ("auth: none\nendpoints:\n  e:\n    sim: [ echo ]\n", ["w.yaml:4:10", "endpoints.e.sim"]),
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
        assert!(warnings.iter().any(|warning| warning.0.contains("nothing is published")), "{warnings:?}");
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
            assert!(mistakes(&format!("auth: none\nhosts: [ {host} ]")).contains("no host name"), "{host}");
        }
        assert!(mistakes("auth: none\nresume: 2h").contains("not from 0ms to 1h"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}", lines in "([a-z_]{1,12}: ?[\\[{a-z0-9:'\"/ ]{0,12}\n){0,8}") {
            let _ = (parse(&text, "w", &|_| Err(String::new())), parse(&lines, "w", &|_| Err(String::new())));
        }
    }
}
