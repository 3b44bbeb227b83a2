//! The file of `wsbridge connect --file`: lines of gateways, and where programs of this computer
//! find each.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{
    ConfigError, Warning,
    cursor::{Either, Keys, Placed, Reading, Value, describe},
    described::Described,
    fingerprint::Fingerprint,
    node::{At, NodeKey},
    report::Report,
    resolve::judged,
    text::Text,
    words::{HttpWord, KnownResets, NearPath, SocketAddress, is_name},
    yaml,
};

/// The places where a line can be, by their keys.
const PLACES: [&str; 3] = ["tcp", "rfc2217", "pty"];

/// A line of a gateway, and where it is on this computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalLine<A> {
    /// The gateway it is a line of.
    pub gateway: LocalGateway<A>,
    /// Its name there.
    pub endpoint: String,
    /// Where programs find it.
    pub place: LocalPlace,
    /// Whether several programs are let in at once.
    pub many: bool,
    /// Whether a session begins as the writer.
    pub at_once: bool,
    /// Whether a program that begins like a web page is turned away.
    pub screened: bool,
}

/// A gateway, and how to get in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalGateway<A> {
    /// Where it is.
    pub address: A,
    /// Where its token is; `None` takes the environment's, or the sign-in's.
    pub token_file: Option<PathBuf>,
    /// Whose authorities are believed, where that is said.
    pub ca: Option<PathBuf>,
    /// The one certificate that is believed, where that is said.
    pub fingerprint: Option<[u8; 32]>,
}

/// Where programs of this computer find a line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LocalPlace {
    /// Its bytes over TCP.
    Tcp(SocketAddr),
    /// The same, with settings and signals by RFC 2217; which resets are recognised.
    Rfc2217(SocketAddr, KnownResets),
    /// A device node.
    Pty(PathBuf),
}

impl fmt::Display for LocalPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) | Self::Rfc2217(address, _) => write!(f, "{address}"),
            Self::Pty(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Reads a gateway's address; the error says what is wrong with it.
pub(crate) type AddressReader<'a, A> = dyn Fn(&str) -> Result<A, String> + 'a;

/// Parses the text of a file whose relative paths begin in `folder`.
///
/// # Errors
/// All mistakes of the file.
pub(crate) fn parse_lines<A: Clone>(
    file: Text<'_>,
    folder: &Path,
    address: &AddressReader<'_, A>,
) -> Result<(Vec<LocalLine<A>>, Vec<Warning>), ConfigError> {
    let mut report = Report::default();
    let root = match yaml::parse(file.text, 0) {
        Ok(root) => root,
        Err(mistakes) => {
            for (at, what) in &mistakes {
                report.wrong(*at, "", what);
            }
            return judged(None, report, &[file]);
        }
    };
    let run = Reading::new(report, described_lines);
    let read = run.file(&root, |k| lines(k, folder, address));
    judged(read, run.into_report(), &[file])
}

/// Every key of such a file.
pub(super) fn described_lines() -> Vec<Described> {
    describe(|k| {
        lines::<()>(k, Path::new(""), &|_| Ok(()));
    })
}

/// What the file is read with.
struct Reader<'a, A> {
    /// Where relative paths begin.
    folder: &'a Path,
    address: &'a AddressReader<'a, A>,
}

impl<A> Clone for Reader<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Reader<'_, A> {}

fn lines<A: Clone>(
    k: &mut Keys<'_>,
    folder: &Path,
    address: &AddressReader<'_, A>,
) -> Vec<LocalLine<A>> {
    let reader = Reader { folder, address };
    let meaning = "the gateway of every line that names no other: its address, or a mapping";
    let usual = (k.has("gateway"), gateway(k, (meaning, "none"), reader));
    let named = k
        .key("lines", "the lines, each below its endpoint's name")
        .must(|value| Some(value.named(|name, value| line(name, value, &usual, reader))))
        .unwrap_or_default();
    if named.is_empty() && k.has("lines") {
        k.wrong_in("lines", k.place("lines").unwrap_or_default(), "none: there is nothing to do");
    }
    let mut taken = BTreeMap::new();
    for (name, line) in named.iter().filter_map(|(name, line)| Some((*name, line.as_ref()?))) {
        let is_any = matches!(line.place,
            LocalPlace::Tcp(address) | LocalPlace::Rfc2217(address, _) if address.port() == 0);
        if let (Some(first), false) = (taken.insert(line.place.to_string(), name), is_any) {
            let what = format!("is at {}, as `{}` is; give it another", line.place, first.text);
            k.wrong_in(&format!("lines.{}", name.text), name.at, &what);
        }
    }
    named.into_iter().filter_map(|(_, line)| line).collect()
}

fn line<'a, A: Clone>(
    name: &'a NodeKey,
    value: Value<'a>,
    (is_written, usual): &(bool, Option<LocalGateway<A>>),
    reader: Reader<'_, A>,
) -> (&'a NodeKey, Option<LocalLine<A>>) {
    let read = value.keys(|k| {
        let (endpoint, at) = match k
            .key("endpoint", "the endpoint's name, where the line has another one here")
            .without("the line's name")
            .maybe::<String>()
        {
            Some(Placed { value, at }) => (value, at),
            None => (name.text.clone(), name.at),
        };
        if at != At::default() && !is_name(&endpoint) {
            k.wrong(at, &format!("`{endpoint}` is not the name of an endpoint"));
        }
        let place = place(k, reader.folder);
        let meaning = "the gateway of this line, where it is another one";
        let own = gateway(k, (meaning, "the file's `gateway`"), reader);
        if !k.has("gateway") && !is_written {
            k.lacks(&["gateway"], k.at, "has no gateway; write `gateway:` here, or for the file");
        }
        let (many, at_once, http) = manner(k);
        Some(LocalLine {
            gateway: own.or_else(|| usual.clone())?,
            endpoint,
            place: place?,
            many,
            at_once,
            screened: http == HttpWord::Refuse,
        })
    });
    (name, read.and_then(|it| it.value))
}

fn place(k: &mut Keys<'_>, folder: &Path) -> Option<LocalPlace> {
    let tcp = k
        .key("tcp", "`IP:PORT` where programs find its bytes")
        .maybe::<SocketAddress>()
        .map(|it| LocalPlace::Tcp(it.value.0));
    let rfc2217 = k
        .key(
            "rfc2217",
            "`IP:PORT` where programs speak RFC 2217, to set the baud rate and move DTR and RTS, too",
        )
        .maybe::<SocketAddress>();
    let resets = k
        .key("resets", "of `rfc2217`: `esp` does the resets that esptool and its like send with the timing that the chip needs")
        .or(KnownResets::None);
    if let (Some(at), None) = (k.place("resets"), &rfc2217) {
        k.odd_in("resets", at, "has no effect: only `rfc2217` has signals");
    }
    let rfc2217 = rfc2217.map(|it| LocalPlace::Rfc2217(it.value.0, resets));
    let pty = k
        .key("pty", "path of a device node (Linux); a relative one begins in the file's folder")
        .maybe::<NearPath>()
        .map(|it| LocalPlace::Pty(folder.join(it.value.0)));
    let what = "write exactly one of `tcp:`, `rfc2217:` and `pty:`";
    match PLACES.iter().filter(|place| k.has(place)).count() {
        0 => k.lacks(&PLACES, k.at, &format!("is nowhere; {what}")),
        1 => {}
        _ => k.wrong(k.at, what),
    }
    tcp.or(rfc2217).or(pty)
}

/// How programs are treated.
fn manner(k: &mut Keys<'_>) -> (bool, bool, HttpWord) {
    let many = k
        .key(
            "many",
            "whether several programs are let in at once: one writes, the others read along",
        )
        .or(false);
    let at_once = k
        .key(
            "at_once",
            "whether a session begins as the writer at once, not with the first byte: for a program that only listens, on an \
             exclusive endpoint",
        )
        .or(false);
    let http = k
        .key("http", "`refuse` turns away what begins like HTTP, TLS or STUN, which a web page could have sent; or `allow`")
        .or(HttpWord::Refuse);
    if k.has("pty") {
        for name in ["many", "http"] {
            if let Some(at) = k.place(name) {
                k.odd_in(name, at, "has no effect on a `pty`");
            }
        }
    }
    (many, at_once, http)
}

/// `gateway:`, an address or a mapping that says more.
fn gateway<A: Clone>(
    k: &mut Keys<'_>,
    (meaning, without): (&'static str, &'static str),
    Reader { folder, address }: Reader<'_, A>,
) -> Option<LocalGateway<A>> {
    let written = k.key("gateway", meaning).without(without).either::<String, _>(|k| {
        let url = k.key("url", "its address: `https://HOST:PORT`").needed::<String>();
        let token_file = k
            .key(
                "token_file",
                "file with an API token; a relative one begins in this file's folder",
            )
            .without("`WSBRIDGE_TOKEN`, else the sign-in of `wsbridge login`")
            .maybe::<NearPath>();
        let ca = k
            .key("ca", "PEM file with the authorities that are believed")
            .without("those that `login` was told of, else the system's")
            .maybe::<NearPath>();
        let fingerprint = k
            .key("fingerprint", "SHA-256 of the one certificate that is believed, instead of `ca`")
            .without("none")
            .maybe::<Fingerprint>();
        if let (Some(fingerprint), Some(_)) = (&fingerprint, &ca) {
            k.wrong_in("fingerprint", fingerprint.at, "goes instead of `ca`; keep one of them");
        }
        let near = |path: Option<Placed<NearPath>>| path.map(|it| folder.join(it.value.0));
        (url, near(token_file), near(ca), fingerprint.map(|it| it.value.0))
    });
    let Placed { value, at } = written?;
    let (url, token_file, ca, fingerprint) = match value {
        Either::Word(url) => (Placed { value: url, at }, None, None, None),
        Either::Map((url, token_file, ca, fingerprint)) => (url?, token_file, ca, fingerprint),
    };
    match address(&url.value) {
        Ok(address) => Some(LocalGateway { address, token_file, ca, fingerprint }),
        Err(what) => {
            k.wrong_in("gateway", url.at, &what);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<LocalLine<String>>, String> {
        let address = |text: &str| match text.strip_prefix("https://") {
            Some(host) => Ok(host.to_owned()),
            None => Err(format!("`{text}` is no address")),
        };
        parse_lines(Text { name: "lines.yaml", text }, Path::new("/home/anna"), &address)
            .map(|(lines, _)| lines)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_is_read() {
        let text = "gateway: https://gw\nlines:\n  zigbee: { tcp: 127.0.0.1:6638 }\n  esp:\n    endpoint: esp32\n    \
                    rfc2217: '[::1]:2217'\n    resets: esp\n    many: true\n    at_once: true\n    http: allow\n    gateway: { url: https://other, \
                    token_file: a.token, ca: /etc/ca.crt }\n  modem1: { pty: modem1 }\n";
        let lines = parsed(text).unwrap();
        let usual = LocalGateway {
            address: "gw".to_owned(),
            token_file: None,
            ca: None,
            fingerprint: None,
        };
        let zigbee = LocalLine {
            gateway: usual.clone(),
            endpoint: "zigbee".into(),
            place: LocalPlace::Tcp("127.0.0.1:6638".parse().unwrap()),
            many: false,
            at_once: false,
            screened: true,
        };
        assert_eq!(lines[0], zigbee);
        let esp = LocalLine {
            gateway: LocalGateway {
                address: "other".into(),
                token_file: Some("/home/anna/a.token".into()),
                ca: Some("/etc/ca.crt".into()),
                fingerprint: None,
            },
            endpoint: "esp32".into(),
            place: LocalPlace::Rfc2217("[::1]:2217".parse().unwrap(), KnownResets::Esp),
            many: true,
            at_once: true,
            screened: false,
        };
        assert_eq!(lines[1], esp);
        assert_eq!(lines[2].place, LocalPlace::Pty("/home/anna/modem1".into()));
    }

    #[test]
    fn mistakes_are_told_with_their_place_and_all_at_once() {
        for (text, told) in [
            (
                "gateway: https://gw\nlines:\n  a:\n    tpc: 127.0.0.1:1\n",
                "lines.yaml:4:5: lines.a: unknown key `tpc`; did you mean `tcp`?",
            ),
            (
                "gateway: gw\nlines: { a: { tcp: 127.0.0.1:1 } }",
                "1:10: gateway: `gw` is no address",
            ),
            ("lines: { a: { tcp: 127.0.0.1:1 } }", "has no gateway; write `gateway:` here"),
            ("gateway: https://gw", "the key `lines` is missing here"),
            ("gateway: https://gw\nlines: {}", "lines: none: there is nothing to do"),
            ("gateway: https://gw\nlines: { a: {} }", "lines.a: is nowhere; write exactly one"),
            (
                "gateway: https://gw\nlines: { a: { tcp: 127.0.0.1:1, pty: a } }",
                "lines.a: write exactly one of `tcp:`, `rfc2217:` and `pty:`",
            ),
            (
                "gateway: https://gw\nlines: { A!: { tcp: 127.0.0.1:1 } }",
                "not the name of an endpoint",
            ),
            ("gateway: https://gw\nlines: { a: { tcp: gw:1 } }", "is not an address to listen on"),
            (
                "gateway: https://gw\nlines:\n  a: { tcp: 127.0.0.1:1 }\n  b: { rfc2217: localhost:1 }\n",
                "lines.yaml:4:3: lines.b: is at 127.0.0.1:1, as `a` is; give it another",
            ),
            (
                "gateway: { url: https://gw, ca: a, fingerprint: 0f }\nlines: { a: { pty: a } }",
                "is not a SHA-256 fingerprint",
            ),
            ("lines: [ a ]", "write a mapping here"),
            ("lines: {", "lines.yaml:"),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.contains(told), "{text}\n{error}");
        }
        let two = parsed("gateway: gw\nlines: { a: { tpc: 1 } }").unwrap_err();
        assert!(two.contains("is no address") && two.contains("unknown key `tpc`"), "{two}");
    }
}
