//! websockify: files of tokens, and its command line.

use super::{
    draft::{Draft, Drafts},
    shell::{CommandLine, options},
};

/// Reads a file of tokens.
pub(super) fn tokens(text: &str, drafts: &mut Drafts<'_>) {
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match token(line) {
            Some((token, target)) => {
                let mut draft = Draft::new(token, number);
                draft.say("tcp.address", "address", target);
                let wanted = super::draft::named(token);
                if wanted != token {
                    let why = format!("clients ask for the token `{token}`; here it is `{wanted}`");
                    draft.lost(number, why);
                }
                drafts.push(draft);
            }
            None => drafts.lost(number, "this is no `token: host:port`"),
        }
    }
}

/// A line's token and what it stands for.
pub(super) fn token(line: &str) -> Option<(&str, String)> {
    let (token, target) = line.trim().split_once(": ")?;
    let (token, target) = (token.trim(), target.trim());
    if token.is_empty() || token.starts_with('#') || token.contains(char::is_whitespace) {
        return None;
    }
    if let Some(path) = target.strip_prefix("unix_socket:") {
        return Some((token, format!("unix:{path}")));
    }
    let port = target.rsplit_once(':')?.1;
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    (is_port && !target.contains(char::is_whitespace)).then(|| (token, target.to_owned()))
}

/// Options that take a value.
const VALUED: &str = "cert key key-password ssl-version ssl-ciphers unix-listen unix-listen-mode \
        unix-target inetd web web-auth wrap-mode record timeout idle-timeout target-config \
        token-plugin token-source auth-plugin auth-source heartbeat log-file";

/// Reads a command line; its words after the program's name.
pub(super) fn command(command: &CommandLine, words: &[String], drafts: &mut Drafts<'_>) {
    let line = command.line;
    let (words, wrapped) = match words.iter().position(|word| word == "--") {
        Some(at) => words.split_at(at),
        None => (words, &[][..]),
    };
    let read = options(words, VALUED, false);
    let mut draft = Draft::new("", line);
    if let Some((_, path)) = read.options.iter().find(|(name, _)| *name == "unix-target") {
        draft.name = super::draft::of_device(path);
        draft.say("tcp.address", "address", format!("unix:{path}"));
    } else if let [_, target] = read.rest.as_slice() {
        draft.name = super::draft::named(target);
        draft.say("tcp.address", "address", *target);
    } else if let [_, program, ..] = wrapped {
        drafts.no_endpoint(
            line,
            format!("`{program}`: no program is run for an endpoint; name its port by `tcp:`"),
        );
        return;
    }
    for (name, value) in &read.options {
        if let Some(why) = why_not(name, value) {
            draft.lost(line, format!("`--{name}`: {why}"));
        }
        if *name == "ssl-target" {
            draft.say("tcp.tls", "tls", "{}");
            draft.lost(line, "`--ssl-target`: the target's certificate is checked here; name its authority by `tls: { ca: .. }`");
        }
    }
    if let [listen, ..] = read.rest.as_slice() {
        let why = format!(
            "it listened at `{listen}`, and this gateway listens where `listen:` says, at 127.0.0.1:8443 without it"
        );
        draft.note(line, why);
    }
    if draft.value("tcp.address").is_some() {
        drafts.push(draft);
    } else {
        drafts.no_endpoint(line, "it names no target but in its tokens");
        drafts.notes.extend(draft.notes);
    }
}

fn why_not(name: &str, value: &str) -> Option<String> {
    let why = match name {
        "token-source" | "target-config" => format!("import {value}, too: its tokens are endpoints"),
        "token-plugin" if !matches!(value, "TokenFile" | "ReadOnlyTokenFile") => {
            format!("tokens of `{value}` are made by a program; write the endpoints down")
        }
        "cert" | "key" => "write the file below `tls:` of a listener, which has a certificate of its own without it".into(),
        "web" => "the pages of others are `apps:`, at an origin of their own".into(),
        "auth-plugin" | "auth-source" | "web-auth" => "who may come is said by `users:` and `tokens:`".into(),
        "record" => "there is no record of the data in files".into(),
        "wrap-mode" | "libserver" | "inetd" => "no program is run for an endpoint".into(),
        "timeout" | "idle-timeout" if value != "0" => "the gateway stays when nobody is connected".into(),
        "unix-listen" => format!("write `listen: [ {{ address: \"unix:{value}\" }} ]`"),
        _ => return None,
    };
    Some(why)
}
