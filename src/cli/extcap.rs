//! `wsbridge extcap`: the lines of gateways as interfaces in Wireshark.
//!
//! Wireshark calls the link `wsbridge-extcap` at each start, so the answer comes from a file that
//! this command and each capture write.

use std::{
    env, fs,
    fs::OpenOptions,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::runtime::Builder;

use super::{
    CommandError, Outcome, SysExit, admin,
    capture::{From, capture},
    gateway::{Access, Address, Gateway, Kept, Listed, TrustArgs},
    known_lines::{Known, KnownLine, cache, home, keep, lines, now, read},
    print,
};
use crate::span::readable;

/// The name by which Wireshark calls us.
const LINK: &str = "wsbridge-extcap";

/// Arguments of `wsbridge extcap`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Makes the link ~/.config/wireshark/extcap/wsbridge-extcap. Wireshark then shows the lines that the gateway has now; the list is renewed by this command and by each capture. To get in: `wsbridge login`, as for `capture`.

Examples:
  wsbridge extcap --install --host https://gateway:8443
  sudo wsbridge extcap --install"
)]
pub(crate) struct Args {
    /// Make the link, and learn which lines there are
    #[arg(long, required = true)]
    install: bool,
    /// The gateway: https://HOST:PORT [default: that of this machine]
    #[arg(long, value_name = "URL", value_parser = Address::read)]
    host: Option<Address>,
    /// Read the token from this file
    #[arg(long, value_name = "FILE", requires = "host")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
}

/// Installs it.
pub(crate) fn run(args: &Args) -> Outcome {
    let known = ask(args)?;
    let count = known.lines.len();
    let failed = |what: &Path, error: &std::io::Error| {
        CommandError::new(SysExit::Io, format!("{}: {error}", what.display()))
    };
    keep(known).map_err(|error| failed(&cache().unwrap_or_default(), &error))?;
    let folder = home("XDG_CONFIG_HOME", ".config")
        .ok_or_else(|| CommandError::new(SysExit::Io, "there is no HOME"))?
        .join("wireshark/extcap");
    let link = folder.join(LINK);
    let program = env::current_exe().map_err(|error| failed(&link, &error))?;
    let linked = fs::create_dir_all(&folder).and_then(|()| {
        let _ = fs::remove_file(&link);
        symlink(&program, &link)
    });
    linked.map_err(|error| failed(&link, &error))?;
    let s = if count == 1 { "" } else { "s" };
    print(&format!(
        "{count} line{s} that you may capture; Wireshark shows them when it starts anew\n{}\n",
        link.display()
    ))
}

fn ask(args: &Args) -> Result<Known, CommandError> {
    let Some(address) = &args.host else {
        let told = admin::ask(&admin::AdminPlace::default(), "/api/endpoints", None)?;
        let list = told.get("endpoints").cloned().unwrap_or_default();
        let listed: Vec<Listed> = serde_json::from_value(list).unwrap_or_default();
        return Ok(Known { at: now(), lines: lines(&listed), ..Known::default() });
    };
    let kept = Kept::find(address)?;
    let access = Access::find(args.token_file.as_deref(), kept.as_ref())?;
    let gateway = Gateway::new(address.clone(), &args.trust, kept.as_ref());
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| {
        CommandError::new(SysExit::Unavailable, format!("cannot start: {error}"))
    })?;
    let (_, listed) = runtime.block_on(gateway.endpoints(&access))?;
    let token_file =
        args.token_file.as_ref().map(|file| std::path::absolute(file).unwrap_or(file.clone()));
    Ok(Known { host: address.to_string(), at: now(), lines: lines(&listed), token_file })
}

/// What stands for a line in Wireshark: `wsbridge:plc1@gateway:8443`.
fn value(known: &Known, line: &KnownLine) -> String {
    let host = known.host.split_once("://").map_or(known.host.as_str(), |(_, host)| host);
    let host = if host.is_empty() { "localhost" } else { host };
    format!("wsbridge:{}@{host}", line.name)
}

/// Without what ends a field.
fn field(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || "{}".contains(c) { '?' } else { c }).collect()
}

/// The arguments with which Wireshark calls us, if it does.
pub(super) fn called() -> Option<Vec<String>> {
    let mut words = env::args();
    let name = words.next()?;
    let ours = Path::new(&name).file_name().is_some_and(|name| name == LINK);
    ours.then(|| words.collect())
}

/// Answers Wireshark; `words` are its arguments.
pub(super) fn answer(words: &[String]) -> Outcome {
    let has = |name: &str| words.iter().any(|word| word == name);
    let after = |name: &str| {
        let at = words.iter().position(|word| word == name)?;
        words.get(at + 1).map(String::as_str)
    };
    if has("--extcap-interfaces") {
        return print(&interfaces());
    }
    if has("--extcap-dlts") {
        return print(
            "dlt {number=250}{name=RTAC_SERIAL}{display=Serial line}\ndlt {number=101}{name=RAW}{display=TCP or UDP}\n",
        );
    }
    if has("--extcap-config") {
        return print("");
    }
    let (true, Some(wanted), Some(fifo)) =
        (has("--capture"), after("--extcap-interface"), after("--fifo"))
    else {
        let what = "this is for Wireshark; `wsbridge capture` is for you";
        return Err(CommandError::new(SysExit::Usage, what));
    };
    let all = read();
    let found = all.iter().find_map(|known| {
        Some((known, known.lines.iter().find(|line| value(known, line) == wanted)?))
    });
    let (known, line) = found.ok_or_else(|| {
        let what = format!("{wanted} is not known any more: `wsbridge extcap --install` again");
        CommandError::new(SysExit::Unavailable, what)
    })?;
    let host = Some(&known.host).filter(|host| !host.is_empty());
    let host = host.map(|host| Address::read(host)).transpose();
    let host = host.map_err(|why| CommandError::new(SysExit::Data, why))?;
    let mut out = OpenOptions::new()
        .write(true)
        .open(fifo)
        .map_err(|error| CommandError::new(SysExit::Io, format!("{fifo}: {error}")))?;
    let from = From { host, token_file: known.token_file.clone(), ..From::default() };
    capture(&from, &line.name, &mut out)
}

fn interfaces() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let all = read();
    let shown = all.iter().flat_map(|known| {
        let age = readable(Duration::from_secs(now().saturating_sub(known.at)));
        known.lines.iter().map(move |line| interface(known, line, &age))
    });
    format!("extcap {{version={version}}}{{display=wsbridge}}\n{}", shown.collect::<String>())
}

fn interface(known: &Known, line: &KnownLine, age: &str) -> String {
    let value = value(known, line);
    let title = line.title.as_deref().unwrap_or(&line.kind);
    let name = value.trim_start_matches("wsbridge:");
    format!(
        "interface {{value={}}}{{display={} ({}; as of {age} ago)}}\n",
        field(&value),
        field(name),
        field(title),
    )
}
