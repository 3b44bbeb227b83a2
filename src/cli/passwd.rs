//! `wsbridge passwd`: turns a password into a line of YAML, a section of UCI, or a file with its
//! hash.

use std::{
    fs::{self, File, Permissions},
    io::{self, IsTerminal, Write},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown},
    path::{Path, PathBuf},
};

use super::{
    CommandError, Outcome, SysExit, print,
    prompt::{line, unseen},
    shown::{caption, secret},
};
use crate::{auth, config::uci};

/// The fewest characters a password may have.
const PASSWORD_LENGTH_LEAST: usize = 8;

/// Arguments of `wsbridge passwd`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The line printed goes under `users:`. With --generate the first line is the password, shown once; with --uci it goes to \
             standard error, so that standard output holds only what you append.

Examples:
  wsbridge passwd alice --role operator
  wsbridge passwd alice --generate
  wsbridge passwd alice --uci >> /etc/config/wsbridge
  wsbridge passwd admin --file /etc/wsbridge/secrets/admin
  pass show gateway/alice | wsbridge passwd alice"
)]
pub(crate) struct Args {
    /// The user's name.
    #[arg(value_parser = name)]
    name: String,
    /// A role of the user; may be given several times. Without one the user has no rights yet.
    #[arg(long = "role", value_name = "ROLE", value_parser = name)]
    roles: Vec<String>,
    /// Make a password of 128 random bits instead of asking for one.
    #[arg(long)]
    generate: bool,
    /// Print a section of OpenWrt's UCI instead of YAML.
    #[arg(long)]
    uci: bool,
    /// Write the hash into this file, for `password: { file: FILE }`, instead of printing the line.
    /// A new file is its owner's to write and its group's to read; one that is there keeps its
    /// owner, group and mode.
    #[arg(long, value_name = "FILE", conflicts_with = "uci")]
    file: Option<PathBuf>,
}

/// Asks for a password and prints its line.
pub(crate) fn run(args: &Args) -> Outcome {
    let password = if args.generate { auth::new_token().0 } else { ask()? };
    let hash = auth::hash_password(&password)
        .map_err(|error| CommandError::new(SysExit::Software, error.to_string()))?;
    if args.uci {
        return print_uci(args, &password, &hash);
    }
    if let Some(file) = &args.file {
        store(file, &hash).map_err(|error| {
            CommandError::new(SysExit::Io, format!("{}: {error}", file.display()))
        })?;
    }
    if args.generate {
        caption("The password; it is not shown again:");
        print(&format!("{password}\n"))?;
    }
    if args.file.is_some() {
        return Ok(());
    }
    caption("Its line, under `users:` of the configuration:");
    print(&yaml(&args.name, &hash, &args.roles))?;
    if args.roles.is_empty() {
        nothing_yet(&args.name, "add `roles: [ .. ]` or `rights: { .. }` to that line");
    }
    Ok(())
}

/// Says that a user has no role.
fn nothing_yet(name: &str, todo: &str) {
    // The line says enough without it.
    let _ = writeln!(io::stderr(), "wsbridge: {name} has no rights yet: {todo}, or use --role");
}

fn yaml(name: &str, hash: &str, roles: &[String]) -> String {
    let roles =
        if roles.is_empty() { String::new() } else { format!(", roles: [ {} ]", roles.join(", ")) };
    format!("{name}: {{ password: \"{hash}\"{roles} }}\n")
}

fn print_uci(args: &Args, password: &str, hash: &str) -> Outcome {
    if args.generate {
        secret("The password; it is not shown again:", password)?;
    }
    let mut section =
        format!("{}\toption password {}\n", uci::section("user", &args.name), uci::quoted(hash));
    for role in &args.roles {
        section.extend(["\tlist role ", &uci::quoted(role), "\n"]);
    }
    let todo = "add `list role 'ROLE'` or `list right '*=read,write'`";
    if args.roles.is_empty() {
        section.extend(["\t# no rights yet: ", todo, "\n"]);
    }
    caption("Its section of /etc/config/wsbridge:");
    print(&section)?;
    // With --generate, standard error is for the password.
    if args.roles.is_empty() && !args.generate {
        nothing_yet(&args.name, todo);
    }
    Ok(())
}

/// Writes a hash to its file, completely or not at all: the daemon may be reading it.
fn store(file: &Path, hash: &str) -> io::Result<()> {
    let mut draft = file.as_os_str().to_owned();
    draft.push(".new");
    // Left over from an interrupted run.
    let _ = fs::remove_file(&draft);
    let stored = write(Path::new(&draft), file, hash).and_then(|()| fs::rename(&draft, file));
    if stored.is_err() {
        let _ = fs::remove_file(&draft);
    }
    stored
}

fn write(draft: &Path, file: &Path, hash: &str) -> io::Result<()> {
    let mut open = File::options().write(true).create_new(true).mode(0o600).open(draft)?;
    let mut mode = 0o640;
    if let Ok(old) = fs::metadata(file) {
        let new = open.metadata()?;
        if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
            fchown(&open, Some(old.uid()), Some(old.gid()))?;
        }
        mode = old.mode() & 0o777;
    }
    open.set_permissions(Permissions::from_mode(mode))?;
    writeln!(open, "{hash}")?;
    open.sync_all()
}

/// A name that needs no quotes in YAML.
pub(super) fn name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
    if text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("use letters, digits and - _ . @, and begin with a letter or digit".to_owned())
    }
}

/// Gets a password: typed twice without echo, or one line from a pipe.
fn ask() -> Result<String, CommandError> {
    let password = if io::stdin().is_terminal() {
        let [first, again] = unseen(["Password: ", "Once more: "])?;
        if first != again {
            return Err(CommandError::new(
                SysExit::Data,
                "the two passwords differ; nothing was created",
            ));
        }
        first
    } else {
        line()?
    };
    let length = password.chars().count();
    if length < PASSWORD_LENGTH_LEAST {
        let what = format!(
            "the password has {length} characters, at least {PASSWORD_LENGTH_LEAST} are needed; type a longer one, or use --generate"
        );
        return Err(CommandError::new(SysExit::Data, what));
    }
    Ok(password)
}
