//! ttyd's command line, where the program it runs is one that talks to a port.

use super::{
    draft::{Draft, Drafts},
    shell::{CommandLine, options},
    terminal,
};

/// Options that take a value.
const VALUED: &str = "p port i interface U socket-owner c credential H auth-header u uid g gid s signal w \
        cwd I index b base-path P ping-interval f srv-buf-size C ssl-cert K ssl-key A ssl-ca \
        T terminal-type t client-option m max-clients";

/// Reads a command line; its words after the program's name.
pub(super) fn command(command: &CommandLine, words: &[String], drafts: &mut Drafts<'_>) {
    let line = command.line;
    let read = options(words, VALUED, true);
    let mut draft = Draft::new("", line);
    if let Err(why) = terminal::command(&read.rest, line, &mut draft) {
        drafts.no_endpoint(line, why);
        return;
    }
    let mut writable = false;
    for (name, value) in &read.options {
        let typed = if name.len() == 1 { format!("-{name}") } else { format!("--{name}") };
        match *name {
            "W" | "writable" => writable = true,
            "m" | "max-clients" if *value != "0" => {
                draft.say("limits.sessions", "sessions", *value);
            }
            "o" | "once" => draft.lost(line, "`--once`: the gateway stays when a session ends"),
            "c" | "credential" => {
                draft.lost(line, "`--credential`: passwords are hashed here; `wsbridge passwd NAME` makes a user");
            }
            "H" | "auth-header" => {
                draft.lost(line, "`--auth-header`: see `user_header:` of `trusted_proxies:`");
            }
            "b" | "base-path" => draft.lost(line, "`--base-path`: see `public:`"),
            "C" | "ssl-cert" | "K" | "ssl-key" | "A" | "ssl-ca" => {
                draft.lost(line, format!("`{typed}`: write the file below `tls:` of a listener"));
            }
            "I" | "index" | "t" | "client-option" | "T" | "terminal-type" => {
                draft.lost(line, format!("`{typed}`: the page of this gateway is its own"));
            }
            "a" | "url-arg" => {
                draft.lost(line, "`--url-arg`: no address gives a program arguments");
            }
            "p" | "port" | "i" | "interface" => {
                draft.note(
                    line,
                    format!("`{typed} {value}`: this gateway listens where `listen:` says"),
                );
            }
            _ => {}
        }
    }
    if !writable {
        draft.note(
            line,
            "without `-W` newer versions of ttyd let nobody write; here that is the right `write`",
        );
    }
    drafts.push(draft);
}
