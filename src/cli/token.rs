//! `wsbridge token`: API tokens.

use jiff::{civil::Date, tz::TimeZone};

use super::{
    Outcome,
    offered::Offered,
    passwd, print,
    shown::{caption, secret},
};
use crate::{
    auth,
    config::{Rights, uci},
};

/// Arguments of `wsbridge token`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, clap::Subcommand)]
enum TokenCommand {
    /// Make a token; it is shown once, the configuration keeps its hash.
    New(New),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The first line printed is the token, for the client; the second goes under `tokens:`. With --uci the token goes to standard \
             error, so that standard output holds only what you append.

Examples:
  wsbridge token new billing-modem --rights modem1=read,write --expires 2027-01-31
  wsbridge token new prometheus --rights /metrics=read
  wsbridge token new prometheus --rights /metrics=read --uci >> /etc/config/wsbridge"
)]
struct New {
    /// The token's name, for the logs and for revoking it.
    #[arg(value_parser = passwd::name)]
    name: String,
    /// The last day on which it is valid (UTC).
    #[arg(long, value_name = "DATE", value_parser = date)]
    expires: Option<Date>,
    /// What it may do on an endpoint, or on those matching a pattern like plc*; may be given
    /// several times.
    #[arg(
        long,
        value_name = "ENDPOINT=RIGHT,..",
        value_parser = Offered { read: rights, words: &OFFERED },
        hide_possible_values = true
    )]
    rights: Vec<GivenRights>,
    /// Print a section of OpenWrt's UCI instead of YAML.
    #[arg(long)]
    uci: bool,
}

/// What shells offer: every right on every endpoint, and what monitoring needs.
const OFFERED: [&str; 8] = [
    "*=read",
    "*=write",
    "*=signals",
    "*=settings",
    "*=takeover",
    "*=read,write",
    "*=read,write,signals,settings,takeover",
    "/metrics=read",
];

/// `plc*=read,write`, split into its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct GivenRights {
    endpoint: String,
    words: String,
}

impl GivenRights {
    fn yaml(&self) -> String {
        format!("\"{}\": [ {} ]", self.endpoint, self.words.replace(',', ", "))
    }
}

/// Makes a token and prints it with its line of YAML or its section of UCI.
pub(crate) fn run(args: &Args) -> Outcome {
    let TokenCommand::New(new) = &args.command;
    let (token, hash) = auth::new_token();
    let expires = new.expires.map(|day| format!("expires: {day}, ")).unwrap_or_default();
    let rights = new.rights.iter().map(GivenRights::yaml).collect::<Vec<_>>().join(", ");
    let told = "The token, for the client; it is not shown again:";
    if new.uci {
        secret(told, &token)?;
        return print_uci(new, &hash);
    }
    caption(told);
    print(&format!("{token}\n"))?;
    caption("Its line, under `tokens:` of the configuration:");
    print(&format!("{}: {{ sha256: \"{hash}\", {expires}rights: {{ {rights} }} }}\n", new.name))
}

fn print_uci(new: &New, hash: &str) -> Outcome {
    let mut section = format!("{}\toption sha256 '{hash}'\n", uci::section("token", &new.name));
    if let Some(day) = new.expires {
        section.extend(["\toption expires '", &day.to_string(), "'\n"]);
    }
    for GivenRights { endpoint, words } in &new.rights {
        section.extend(["\tlist right '", endpoint, "=", words, "'\n"]);
    }
    caption("Its section of /etc/config/wsbridge:");
    print(&section)
}

fn date(text: &str) -> Result<Date, String> {
    let day: Date = text.parse().map_err(|_| "write a day as YYYY-MM-DD".to_owned())?;
    let today = jiff::Timestamp::now().to_zoned(TimeZone::UTC).date();
    if day < today { Err("that day is over".to_owned()) } else { Ok(day) }
}

fn rights(text: &str) -> Result<GivenRights, String> {
    let (endpoint, words) = text.split_once('=').ok_or("write ENDPOINT=read,write")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*' | '/');
    if endpoint.is_empty() || !endpoint.chars().all(fits) {
        return Err(format!("`{endpoint}` is not an endpoint's name or pattern"));
    }
    for word in words.split(',') {
        if !Rights::WORDS.iter().any(|(known, _)| *known == word) {
            let known: Vec<_> = Rights::WORDS.iter().map(|(known, _)| *known).collect();
            return Err(format!("`{word}` is not a right; there are {}", known.join(", ")));
        }
    }
    Ok(GivenRights { endpoint: endpoint.to_owned(), words: words.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_become_yaml_and_wrong_ones_are_named() {
        assert_eq!(rights("plc*=read,write").unwrap().yaml(), "\"plc*\": [ read, write ]");
        assert!(
            rights("plc1=rite")
                .unwrap_err()
                .contains("`rite` is not a right; there are read, write")
        );
        assert!(rights("plc1").is_err() && rights("a b=read").is_err());
    }

    #[test]
    fn a_day_that_is_over_is_refused() {
        assert!(date("2020-02-30").is_err() && date("2020-02-03").unwrap_err().contains("over"));
        assert!(date("2999-01-31").is_ok());
    }
}
