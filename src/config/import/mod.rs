//! Configurations of ser2net, websockify and ttyd as ours; what has no equivalent stays as a
//! comment with its line.

mod command;
mod draft;
mod line;
mod print;
mod ser2net;
mod shell;
mod terminal;
mod ttyd;
mod websockify;

use self::draft::Drafts;
use super::{MAX_FILE, resolve::parse};

/// What a file was written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportKind {
    /// ser2net 4: YAML.
    Ser2netYaml,
    /// ser2net before 4: a line for each port.
    Ser2netConf,
    /// ser2net as OpenWrt configures it.
    Ser2netUci,
    /// websockify's file of tokens.
    Tokens,
    /// Command lines of ttyd, websockify or ser2net: a script, a unit, or one line.
    Commands,
}

/// What to import, and how to write it.
#[derive(Clone, Debug)]
pub struct Import<'a> {
    /// The text.
    pub text: &'a str,
    /// What it is; recognised if it is not given.
    pub kind: Option<ImportKind>,
    /// Who may come to doors that were open to everybody; without it these doors are only for this
    /// machine.
    pub from: &'a [String],
    /// As UCI, not YAML.
    pub uci: bool,
    /// Only the endpoints, for a file in `endpoints.d`.
    pub endpoints_only: bool,
}

/// The result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Our configuration; what has no equivalent is in its comments.
    pub text: String,
    /// How many endpoints it has.
    pub endpoints: usize,
    /// How many lines have no equivalent, wholly or in part.
    pub left: usize,
}

/// Makes our configuration from somebody else's.
///
/// # Errors
/// It cannot be read; the text says why.
pub fn import(import: &Import<'_>) -> Result<Imported, String> {
    if import.text.len() > MAX_FILE {
        return Err("larger than 1 MiB; such a file is no configuration".into());
    }
    let Some(kind) = import.kind.or_else(|| recognised(import.text)) else {
        return Err(UNKNOWN.into());
    };
    let mut drafts = Drafts::new(import.text);
    match kind {
        ImportKind::Ser2netYaml => ser2net::yaml(import.text, &mut drafts)?,
        ImportKind::Ser2netConf => ser2net::conf(import.text, &mut drafts),
        ImportKind::Ser2netUci => ser2net::uci(import.text, &mut drafts)?,
        ImportKind::Tokens => websockify::tokens(import.text, &mut drafts),
        ImportKind::Commands => command::commands(import.text, &mut drafts),
    }
    if drafts.is_empty() {
        return Err(format!("there is no {} in it", kind.noun()));
    }
    drafts.open_doors(import.from);
    if import.uci {
        drafts.without_doors();
    }
    drafts.keep_if(|draft| print::valid(draft, parse_alone));
    Ok(print::print(import, &drafts))
}

fn parse_alone(text: &str) -> Result<(), String> {
    match parse(text, "", &|_| Err("not here".into())) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

const UNKNOWN: &str = "this is neither ser2net's configuration (YAML, ser2net.conf, UCI) nor websockify's tokens nor \
                       a command line of ttyd, websockify or ser2net; `--kind` says which it is";

impl ImportKind {
    /// What such a file has at least one of.
    fn noun(self) -> &'static str {
        match self {
            Self::Ser2netYaml => "`connection:`",
            Self::Ser2netConf => "line like `2001:raw:0:/dev/ttyUSB0:9600`",
            Self::Ser2netUci => "`config proxy`",
            Self::Tokens => "line like `token: host:port`",
            Self::Commands => "command line of ttyd, websockify or ser2net",
        }
    }
}

/// What the text looks like.
fn recognised(text: &str) -> Option<ImportKind> {
    let any = |fits: &dyn Fn(&str) -> bool| text.lines().any(|line| fits(line.trim()));
    let keys = ["connection:", "connections:", "%YAML"];
    if any(&|line| keys.iter().any(|key| line.starts_with(key))) {
        Some(ImportKind::Ser2netYaml)
    } else if any(&|line| {
        line.strip_prefix("config").is_some_and(|it| it.trim().starts_with("proxy"))
    }) {
        Some(ImportKind::Ser2netUci)
    } else if any(&command::has_one) {
        Some(ImportKind::Commands)
    } else if any(&ser2net::is_conf_line) {
        Some(ImportKind::Ser2netConf)
    } else if any(&|line| websockify::token(line).is_some()) {
        Some(ImportKind::Tokens)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
