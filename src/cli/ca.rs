//! `wsbridge ca`: an authority of this gateway's own, which other devices can trust.

use std::{fs, io::Write as _};

use super::{CommandError, Outcome, SysExit, add, doctor, load::load, print, which::Which};
use crate::{
    auth::{own_name, unix_now},
    config::{Config, ListenTls},
    tls::{Facts, OwnAuthority, OwnFiles, WantedNames, day, make_anew},
};

/// Arguments of `wsbridge ca`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: CaCommand,
}

#[derive(Debug, clap::Subcommand)]
enum CaCommand {
    /// Make an authority of this gateway, and a certificate under it.
    New(NewAuthority),
    /// Show the authority, its fingerprint, and what it may sign for.
    Show(ShowAuthority),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "For listeners with `tls: self-signed`. Once a device trusts the authority, it accepts the gateway's certificate without a \
             warning, even after that is renewed. The authority may sign for the names of this gateway and for private addresses, and for nothing else; \
             its key stays here.

It replaces the certificate in use: exceptions made in browsers for that one, and pins, have to be made anew. A new \
             installation has an authority from the start.

Examples:
  sudo wsbridge ca new
  sudo wsbridge ca new --replace        For other names, or when its key may be known
  wsbridge ca new --uci"
)]
struct NewAuthority {
    #[command(flatten)]
    which: Which,
    /// Make a new one although there is one: every device that trusts it has to trust the new one
    #[arg(long)]
    replace: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sudo wsbridge ca show
  wsbridge ca show --uci")]
struct ShowAuthority {
    #[command(flatten)]
    which: Which,
}

/// Makes or shows the authority.
pub(crate) fn run(args: &Args) -> Outcome {
    match &args.command {
        CaCommand::New(args) => new(args),
        CaCommand::Show(args) => show(args),
    }
}

/// Makes an authority. One that exists is replaced only if that is asked for, because devices may
/// already trust it.
fn new(args: &NewAuthority) -> Outcome {
    let source = args.which.source();
    let (config, _) = load(&source).map_err(|error| CommandError::from(&error))?;
    if !config.listen.iter().any(|listen| listen.tls == ListenTls::SelfSigned) {
        let what = "no listener has `tls: self-signed`, so nothing would use an authority; write that in place of files or `none`, \
                    or trust the authority of those files";
        return Err(CommandError::new(SysExit::Data, format!("{}: {what}", source.name())));
    }
    let paths = OwnFiles::under(&config.state_directory);
    readable(&paths, &source.typed("ca new"))?;
    if paths.authority.exists() && !args.replace {
        let told = OwnAuthority::read(&paths.authority).map_or_else(
            |error| error.to_string(),
            |authority| {
                format!(
                    "{}: there is an authority already, good until {}, SHA-256\n  {}",
                    paths.authority.display(),
                    day(authority.until),
                    authority.fingerprint
                )
            },
        );
        let what = format!(
            "{told}\nEvery device that trusts it would have to trust a new one. To make one nevertheless:\n  {}",
            source.typed("ca new --replace")
        );
        return Err(CommandError::new(SysExit::Data, what));
    }
    let before = paths.certificate.exists();
    let authority = make_anew(&config.state_directory, &wanted(&config))
        .map_err(|error| CommandError::new(SysExit::Io, error.to_string()))?;
    let told = match doctor::running(&source) {
        None => "No gateway runs with this configuration; the next start uses it.\n".to_owned(),
        Some(pid) => add::told(&source, pid)
            .map_or_else(|why| why, |()| "The gateway that runs uses it from now on.\n".to_owned()),
    };
    let anew = if before {
        "The former certificate is gone: exceptions in browsers and pins for it have to be made anew.\n"
    } else {
        ""
    };
    print(&format!(
        "Made an authority, good until {}, and a certificate under it.\n  {}\n  SHA-256 {}\n{told}{anew}{}",
        day(authority.until),
        authority.file.display(),
        authority.fingerprint,
        next(&config)
    ))
}

/// What to do on another device.
fn next(config: &Config) -> String {
    let own = |listen: &crate::config::Listen| {
        listen.app.is_none() && listen.tls == ListenTls::SelfSigned
    };
    let place = add::reached(config, own).map_or("GATEWAY".to_owned(), |(place, _)| place);
    format!("On each device that should trust it: https://{place}/ca.crt (how: trust.md)\n")
}

fn show(args: &ShowAuthority) -> Outcome {
    let source = args.which.source();
    let (config, _) = load(&source).map_err(|error| CommandError::from(&error))?;
    let paths = OwnFiles::under(&config.state_directory);
    readable(&paths, &source.typed("ca show"))?;
    if !paths.authority.exists() {
        let what = if paths.certificate.exists() {
            "the certificate is self-signed, from before there were authorities"
        } else {
            "nothing was made yet; a gateway with `tls: self-signed` makes one at its first start"
        };
        let command = source.typed("ca new");
        let place = paths.authority.display();
        let what = format!("{place}: no authority: {what}. `{command}` makes one");
        return Err(CommandError::new(SysExit::Unavailable, what));
    }
    let unreadable =
        |error: crate::tls::TlsError| CommandError::new(SysExit::Data, error.to_string());
    let authority = OwnAuthority::read(&paths.authority).map_err(unreadable)?;
    let leaf = Facts::of(&paths.certificate).map_err(unreadable)?;
    let networks =
        authority.scope.networks.iter().map(|(address, length)| format!("{address}/{length}"));
    let row = |name: &str, text: &str| format!("{name:<13} {text}\n");
    let mut text = row("authority", &authority.file.display().to_string());
    text += &row("SHA-256", &authority.fingerprint);
    text += &row("good until", &day(authority.until));
    text += &row("may sign for", &authority.scope.names.join(", "));
    text += &row("", &networks.collect::<Vec<_>>().join(", "));
    text += &row("certificate", &paths.certificate.display().to_string());
    text += &row("good until", &day(leaf.until));
    text += &row("for", &leaf.names.join(", "));
    let addresses: Vec<_> = leaf.addresses.iter().map(ToString::to_string).collect();
    text += &row("", &addresses.join(", "));
    print(&text)?;
    for remark in authority.remarks(&wanted(&config), unix_now(), &source.typed("ca new --replace"))
    {
        // If standard error is closed, nobody wants it.
        let _ = writeln!(std::io::stderr(), "warning: {remark}");
    }
    Ok(())
}

fn wanted(config: &Config) -> WantedNames {
    WantedNames::new(&own_name(), &config.hosts)
}

/// Users other than the daemon's and root see nothing of that folder, not even what is missing.
fn readable(paths: &OwnFiles, command: &str) -> Outcome {
    match fs::metadata(&paths.authority) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            let what = format!("{}: {error}; type: {command}", paths.authority.display());
            Err(CommandError::new(SysExit::NoPermission, what))
        }
        _ => Ok(()),
    }
}
