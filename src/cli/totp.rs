//! `wsbridge totp`: a second factor for a user, set up and taken away (docs/identity.md).

use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _, Write as _},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::{
    CommandError, Outcome, SysExit,
    admin::{self, AdminPlace},
    lent, print,
    prompt::shown,
    table::table,
};
use crate::auth::{new_totp_secret, own_name};

/// How often somebody at a terminal may type the code that confirms the key.
const TRIES: usize = 3;

/// Arguments of `wsbridge totp`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It makes a key for an authenticator app (as a QR code, if qrencode is installed), asks for a code of the app, and only then puts the second \
                  factor in force, at once; the user's sign-ins end. Then it prints ten recovery codes: each counts once, where the app's code does. For such a user \
                  a password alone opens nothing any more: programs need a token. For root, and for whoever is in group wsbridge-admin.

Without a user it lists who has a second factor.

Examples:
  sudo wsbridge totp alice
  sudo wsbridge totp
  sudo wsbridge totp alice --recovery
  sudo wsbridge totp alice --off"
)]
pub(crate) struct Args {
    /// The user, as `users:` of the configuration has it.
    user: Option<String>,
    /// Take the second factor away: a lost phone. The password is enough again.
    #[arg(long, requires = "user")]
    off: bool,
    /// Make new recovery codes; those that are left count no more.
    #[arg(long, requires = "user", conflicts_with = "off")]
    recovery: bool,
    /// Print the list as JSON, as the API does.
    #[arg(long, conflicts_with = "user")]
    json: bool,
    #[command(flatten)]
    place: AdminPlace,
}

/// Does what was asked for.
pub(crate) fn run(args: &Args) -> Outcome {
    let told = admin::ask(&args.place, "/api/totp", None)?;
    let Some(user) = &args.user else {
        return if args.json { lent::json(&told) } else { list(&told) };
    };
    let all = lent::rows(&told, "users", |one| one);
    let Some(one) = all.iter().find(|one| lent::text(one, "user") == *user) else {
        let names: Vec<_> = all.iter().map(|one| lent::text(one, "user")).collect();
        let there = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
        let what = format!("there is no user `{user}`; `users:` has {there}");
        return Err(CommandError::new(SysExit::Refused, what));
    };
    let has = !lent::text(one, "since").is_empty();
    if (args.off || args.recovery) && !has {
        return Err(CommandError::new(SysExit::Refused, format!("{user} has no second factor")));
    }
    let whose = json!({ "user": user });
    if args.off {
        admin::ask(&args.place, "/api/totp/off", Some(&whose))?;
        return print(&format!("{user} signs in with the password alone from now on.\n"));
    }
    if args.recovery {
        let told = admin::ask(&args.place, "/api/totp/recovery", Some(&whose))?;
        return print(&recovery_codes(user, &told));
    }
    enrol(args, user, has)
}

/// Who has one.
fn list(told: &Value) -> Outcome {
    let all = lent::rows(told, "users", |one| {
        let left = lent::text(one, "recovery_codes");
        let gone = one.get("configured") == Some(&Value::Bool(false));
        let since = match lent::text(one, "since") {
            none if none.is_empty() => "none".to_owned(),
            since if gone => format!("{since} (no such user any more)"),
            since => since,
        };
        [lent::text(one, "user"), since, left]
    });
    if all.is_empty() {
        return print("There are no users.\n");
    }
    print(&table(["USER", "SECOND FACTOR SINCE", "RECOVERY CODES LEFT"], &all))
}

fn enrol(args: &Args, user: &str, has: bool) -> Outcome {
    let secret = new_totp_secret();
    let uri = uri(user, &secret);
    if has {
        print(&format!(
            "{user} has a second factor: a right code puts the new one in its place.\n\n"
        ))?;
    }
    let code = qr_code(&uri).unwrap_or_default();
    print(&format!(
        "{code}Add this to the authenticator app of {user}:\n\n  {uri}\n\nor type the key there (time-based, 6 digits, 30 s):\n\n  {}\n\n",
        grouped(&secret)
    ))?;
    for left in (0..TRIES).rev() {
        let code = shown("Code that the app shows: ")?;
        let body = json!({ "user": user, "secret": secret, "code": code });
        match admin::ask(&args.place, "/api/totp", Some(&body)) {
            Ok(told) => {
                print(&format!("{user} needs a code to sign in from now on.\n\n"))?;
                return print(&recovery_codes(user, &told));
            }
            Err(error) if left > 0 && may_try_again(&error) => {
                // A prompt follows.
                let _ = writeln!(io::stderr(), "{}", error.message);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether a person may have mistyped the code.
fn may_try_again(error: &CommandError) -> bool {
    error.code == SysExit::Refused as u8 && io::stdin().is_terminal()
}

/// What an app reads (Key URI Format).
fn uri(user: &str, secret: &str) -> String {
    let host = own_name();
    let issuer = escaped(&format!("wsbridge {}", host.split('.').next().unwrap_or(&host)));
    format!("otpauth://totp/{issuer}:{}?secret={secret}&issuer={issuer}", escaped(user))
}

fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            all.push(char::from(byte));
        } else {
            let _ = write!(all, "%{byte:02X}");
        }
        all
    })
}

fn grouped(secret: &str) -> String {
    let groups: Vec<_> = secret.as_bytes().chunks(4).map(String::from_utf8_lossy).collect();
    groups.join(" ")
}

/// The address as a QR code for a terminal, by a program that many have; it is handed over so that
/// no list of processes shows it.
fn qr_code(uri: &str) -> Option<String> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let mut drawing = Command::new("qrencode")
        .args(["-t", "UTF8"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    drawing.stdin.take()?.write_all(uri.as_bytes()).ok()?;
    let drawn = drawing.wait_with_output().ok().filter(|drawn| drawn.status.success())?;
    String::from_utf8(drawn.stdout).ok()
}

fn recovery_codes(user: &str, told: &Value) -> String {
    let codes = lent::words(told, "recovery_codes").replace(',', "\n  ");
    format!(
        "Recovery codes of {user}, for when the phone is away: each counts once. They are not shown again.\n\n  {codes}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_has_what_an_app_wants_to_know_and_no_letter_that_ends_it() {
        let uri = uri("anna@plant & co", "GEZDGNBV");
        let rest = uri.strip_prefix("otpauth://totp/wsbridge%20").unwrap();
        assert!(
            rest.contains(":anna%40plant%20%26%20co?secret=GEZDGNBV&issuer=wsbridge%20"),
            "{uri}"
        );
        assert_eq!(grouped("GEZDGNBVGY3TQOJQ"), "GEZD GNBV GY3T QOJQ");
    }
}
