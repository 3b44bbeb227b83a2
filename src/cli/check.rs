//! `wsbridge check`: the configuration as the daemon would run it, and who may do what.

mod doors;
mod explain;
mod files;
mod listens;
mod print;

use std::io::{self, Write};

use self::{explain::explain, print::print};
use super::{
    load::{as_yaml, load},
    which::Which,
    wrap::wrap,
};
use crate::config::schema;

/// Arguments of `wsbridge check`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  wsbridge check
  wsbridge check ./wsbridge.yaml
  wsbridge check - < wsbridge.yaml
  wsbridge check --explain alice@plc1
  wsbridge check --schema > wsbridge.schema.json
  wsbridge check --uci
  wsbridge check --uci --yaml > wsbridge.yaml")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Say what a user, token or certificate may do on an endpoint, and why
    #[arg(long, value_name = "USER@ENDPOINT")]
    pub(crate) explain: Option<String>,
    /// Print the JSON Schema of the file instead
    #[arg(long, conflicts_with_all = ["explain", "uci"])]
    pub(crate) schema: bool,
    /// Print what the UCI file says as YAML instead
    #[arg(long, requires = "uci", conflicts_with = "explain")]
    pub(crate) yaml: bool,
}

/// Checks a file. Returns an exit code of sysexits(3): 0, 64 (`--explain` names nobody or nothing),
/// 66 (no such file), 74 (cannot print) or 78 (the configuration is wrong, or a file it names
/// without which the daemon does not start). Text for `err` is wrapped at `width`.
pub(crate) fn run(
    args: &Args,
    out: &mut dyn Write,
    (err, width): (&mut dyn Write, Option<usize>),
) -> u8 {
    told(args, out, &mut Complaints { err, width }).unwrap_or(74)
}

/// Where mistakes and warnings go.
struct Complaints<'a> {
    err: &'a mut dyn Write,
    width: Option<usize>,
}

impl Complaints<'_> {
    fn say(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.err, "{}", wrap(text, self.width, "  ", 0))
    }
}

/// Answers, and returns the exit code. Warnings do not change it; a file that would keep the daemon
/// from starting does.
fn told(args: &Args, out: &mut dyn Write, err: &mut Complaints<'_>) -> io::Result<u8> {
    if args.schema {
        out.write_all(schema().as_bytes())?;
        return Ok(0);
    }
    if let (true, Some(uci)) = (args.yaml, args.which.uci()) {
        return match as_yaml(uci) {
            Ok(yaml) => out.write_all(yaml.as_bytes()).map(|()| 0),
            Err(error) => err.say(&error.to_string()).map(|()| error.exit_code()),
        };
    }
    let source = args.which.source();
    let (config, warnings) = match load(&source) {
        Ok(loaded) => loaded,
        Err(error) => {
            err.say(&error.to_string())?;
            return Ok(error.exit_code());
        }
    };
    for warning in &warnings {
        err.say(&format!("warning: {warning}"))?;
    }
    match &args.explain {
        None => {
            print(&config, out)?;
            let name = source.name();
            for remark in files::remarks(&config, &source.typed("ca new --replace")) {
                err.say(&format!("warning: {remark}"))?;
            }
            let unusable = files::unusable(&config);
            for why in &unusable.down {
                err.say(&format!("warning: {name}: {why}"))?;
            }
            for why in &unusable.fatal {
                err.say(&format!("{name}: {why}"))?;
            }
            if !unusable.fatal.is_empty() {
                return Ok(78);
            }
            writeln!(out, "\n{name}: valid")?;
            Ok(0)
        }
        Some(question) => match explain(&config, question) {
            Ok(answer) => out.write_all(answer.as_bytes()).map(|()| 0),
            Err(why) => err.say(&why).map(|()| 64),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
roles:
  operator: { "*": [ read, write ], modem1: [ signals ] }
users:
  alice: { password: "HASH", roles: [ operator ] }
tokens:
  alice: { sha256: "0000000000000000000000000000000000000000000000000000000000000001", rights: { "plc*": [ read ] } }
endpoints:
  modem1:
    title: Dial-out
    serial: { port: { usb: 0403:6001, serial: A5 }, baud: 115200, flow: rtscts }
    packing: { delimiter: "\\r\\n" }
    pacing: { byte_delay: 1ms, prompt: "> " }
    lease_idle: 5m
  plc1: { tcp: { address: "192.0.2.20:502" }, limits: { sessions: 4, idle: 30m, rate: 1MiB/s } }
"#;
    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0$ZPpV5wLiZAT6CwD9rFlDjMdWRXpfXSDiKdH6kQ6TSqg";

    fn check(text: &str, explain: Option<&str>) -> (u8, String, String) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text.replace("HASH", HASH)).unwrap();
        let args = Args {
            which: Which::of(file.path()),
            explain: explain.map(Into::into),
            schema: false,
            yaml: false,
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = run(&args, &mut out, (&mut err, None));
        (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn it_prints_every_endpoint_and_who_may_do_what() {
        let (code, out, err) = check(FILE, None);
        assert_eq!((code, err.as_str()), (0, ""));
        let squeezed = out.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            "127.0.0.1:8443 self-signed",
            "modem1 serial usb 0403:6001 A5, 115200 8N1 rtscts one-writer ends with \"\\r\\n\" byte 1ms, prompt \"> \" 256KiB 16 \
             sessions, lease 5m Dial-out",
            "plc1 tcp 192.0.2.20:502 dedicated none none - 4 sessions, idle 30m, 1MiB/s",
            "users.alice modem1 read write signals",
            "users.alice plc1 read write",
            "tokens.alice plc1 read",
        ] {
            assert!(squeezed.contains(part), "{part}\n{out}");
        }
        assert!(!out.contains("argon2") && !out.contains("00000001"));
    }

    #[test]
    fn what_browsers_are_told_of_https_is_said_with_what_it_binds() {
        let endpoints = "auth: none\nendpoints: { e: { sim: echo } }\n";
        let (_, out, _) = check(endpoints, None);
        assert!(!out.contains("hsts"), "{out}");
        let (code, out, _) = check(&format!("{endpoints}hsts: 365d"), None);
        assert!(
            code == 0 && out.contains("for 365d browsers use only HTTPS on every port"),
            "{out}"
        );
        assert_eq!(check(&format!("{endpoints}hsts: 800d"), None).0, 78);
        let plain = "listen: [ { address: '127.0.0.1:80', tls: none } ]\n";
        let (_, _, err) = check(&format!("{plain}{endpoints}hsts: 365d"), None);
        assert!(err.contains("no listener has TLS"), "{err}");
    }

    #[test]
    fn the_last_line_says_that_it_is_valid_or_what_the_daemon_could_not_read() {
        let (code, out, _) = check("auth: none\nendpoints: { e: { sim: echo } }", None);
        assert!(code == 0 && out.ends_with(": valid\n"), "{out}");
        let target = "auth: none\nendpoints: { e: { tcp: { address: 'h:1', tls: { ca: /nonexistent/ca.pem } } } }";
        let (code, out, err) = check(target, None);
        assert!(code == 0 && out.ends_with(": valid\n"), "{out}");
        assert!(err.contains("warning: ") && err.contains("endpoints.e.tcp.tls: "), "{err}");
        let tls = "auth: none\nlisten: [ { address: '127.0.0.1:1', tls: { certificate: /nonexistent/c.pem, key: /k.pem } } ]\n\
                   endpoints: { e: { tcp: { address: 'h:1', tls: { ca: /nonexistent/ca.pem } } } }";
        let (code, out, err) = check(tls, None);
        assert!(code == 78 && !out.contains("valid"), "{out}");
        for part in [
            ": listener 127.0.0.1:1: ",
            "/nonexistent/c.pem",
            ": endpoints.e.tcp.tls: ",
            "/nonexistent/ca.pem",
        ] {
            assert!(err.contains(part), "{part}\n{err}");
        }
    }

    #[test]
    fn explain_names_the_role_and_the_pattern_of_users_and_tokens() {
        let (code, out, _) = check(FILE, Some("alice@plc1"));
        assert_eq!(code, 0);
        let expected = "users.alice may read write on plc1\n  read write: through role operator, pattern \"*\"\n\
                        tokens.alice may read on plc1\n  read: through its own rights, pattern \"plc*\"\n";
        assert_eq!(out, expected);
        assert!(
            check(FILE, Some("tokens.alice@modem1"))
                .1
                .contains("tokens.alice may do nothing on modem1")
        );
        assert!(
            check("auth: none\nendpoints: { e: { sim: echo } }", Some("x@e")).1.contains("anyone")
        );
    }

    #[test]
    fn explain_of_nobody_or_nothing_says_who_and_what_there_is() {
        for (question, part) in
            [("bob@plc1", "users.alice"), ("alice@plc9", "plc1"), ("alice", "USER@ENDPOINT")]
        {
            let (code, out, err) = check(FILE, Some(question));
            assert_eq!((code, out.as_str()), (64, ""));
            assert!(err.contains(part), "{err}");
        }
    }

    #[test]
    fn exit_codes_are_those_of_sysexits_and_warnings_go_to_stderr() {
        let (code, out, err) = check("auth: none", None);
        assert_eq!(code, 0);
        assert!(err.contains("warning: ") && !out.contains("warning"), "{err}");
        assert_eq!(check("auth: sure", None).0, 78);
        let args =
            Args { which: Which::of("/nonexistent"), explain: None, schema: false, yaml: false };
        assert_eq!(run(&args, &mut Vec::new(), (&mut Vec::new(), None)), 66);
        let args = Args { schema: true, ..args };
        let mut out = Vec::new();
        assert_eq!(run(&args, &mut out, (&mut Vec::new(), None)), 0);
        assert_eq!(out, schema().as_bytes());
    }
}
