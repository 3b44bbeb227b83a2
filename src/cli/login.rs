//! `wsbridge login` and `logout`: a sign-in at a gateway, kept for `connect`.

mod browser;

use std::io::{self, IsTerminal as _, Write as _};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Builder;

use super::{
    CommandError, Outcome, SysExit,
    gateway::{Access, Address, Gateway, Kept, TrustArgs},
    prompt,
    stop::stopped,
};
use crate::dial::Fetched;

/// How often somebody at a terminal may type a code.
const CODES: usize = 3;

/// Arguments of `wsbridge login`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The sign-in is kept in ~/.config/wsbridge (XDG_CONFIG_HOME), for you alone, and with it whom to believe (--ca, --fingerprint). It ends when \
             it is not used, and after a time in any case, as a browser's does; `wsbridge logout` ends it at once, and so does the gateway's list.

Examples:
  wsbridge login https://gateway:8443
  wsbridge login https://gateway:8443 --browser
  wsbridge login https://gateway:8443 --grant
  wsbridge login https://gateway:8443 --user alice --ca gateway-ca.crt
  pass show gateway/alice | wsbridge login https://gateway:8443 --user alice"
)]
pub(crate) struct Args {
    /// The gateway: https://HOST:PORT.
    #[arg(value_name = "URL", value_parser = Address::read)]
    url: Address,
    /// Sign in as this user, instead of asking for the name.
    #[arg(long, value_name = "NAME", conflicts_with = "browser")]
    user: Option<String>,
    /// Sign in on the gateway's page in your browser.
    #[arg(long)]
    browser: bool,
    /// Use a link that somebody lent you access with; it is asked for.
    #[arg(long, conflicts_with_all = ["user", "browser"])]
    grant: bool,
    #[command(flatten)]
    trust: TrustArgs,
}

/// Arguments of `wsbridge logout`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wsbridge logout https://gateway:8443")]
pub(crate) struct LogoutArgs {
    /// The gateway: https://HOST:PORT.
    #[arg(value_name = "URL", value_parser = Address::read)]
    url: Address,
}

/// What the gateway answers to a sign-in.
#[derive(Deserialize)]
struct Answer {
    /// What it wants to know before it gives a token.
    next: Option<Value>,
    token: Option<String>,
    user: Option<String>,
    /// How many recovery codes are left, if one was used.
    recovery_codes: Option<u64>,
}

/// Signs in.
pub(crate) fn run(args: &Args) -> Outcome {
    block_on(login(args))
}

/// Signs out.
pub(crate) fn logout(args: &LogoutArgs) -> Outcome {
    block_on(end(&args.url))
}

fn block_on(work: impl Future<Output = Outcome>) -> Outcome {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| {
        CommandError::new(SysExit::Unavailable, format!("cannot start: {error}"))
    })?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = work => outcome,
            () = stopped() => Err(prompt::interrupted()),
        }
    });
    runtime.shutdown_background();
    outcome
}

async fn login(args: &Args) -> Outcome {
    // One that cannot be read is made anew.
    let kept = Kept::find(&args.url).unwrap_or_default();
    let gateway = Gateway::new(args.url.clone(), &args.trust, kept.as_ref());
    let wish = if args.grant {
        let text = prompt::secret("Link: ")?;
        json!({ "grant": secret(&text)?, "program": program() })
    } else if args.browser {
        browser::code(&gateway).await?
    } else {
        // Before anybody types a password for it.
        let there = gateway.ask("/healthz", None, None).await?;
        if matches!(there.status, 300..=399 | 401 | 403 | 407) {
            return Err(in_front(&gateway, there.status));
        }
        let (user, password) = prompt::sign_in(args.user.as_deref())?;
        json!({ "user": user, "password": password, "program": program() })
    };
    let path = if args.grant { "/api/grant" } else { "/api/logins" };
    let answer = gateway.ask(path, None, Some(&wish)).await?;
    let (answer, code) = second_factor(&gateway, wish, answer).await?;
    let text = String::from_utf8_lossy(&answer.body);
    if answer.status == 401 {
        let said = said(&answer);
        let what = match (args.grant, args.browser) {
            _ if code => said.as_str(),
            (true, _) => "this link is wrong, or over",
            (_, true) => "the code is not good any more",
            _ => "the user or the password is wrong",
        };
        return Err(CommandError::new(SysExit::Refused, what));
    }
    if answer.status != 200 {
        return Err(gateway.refused(answer.status, &text, &Access::none()));
    }
    let answer: Answer = serde_json::from_str(&text).map_err(|_| foreign(&gateway))?;
    let Answer { next: None, token: Some(token), user: Some(user), recovery_codes } = answer else {
        let what = "the gateway wants to know more than this version of wsbridge can ask; sign in with --browser";
        return Err(CommandError::new(SysExit::Refused, what));
    };
    let trust = args.trust.kept().or(kept.and_then(|kept| kept.trust));
    let kept = Kept { gateway: args.url.to_string(), user, token, trust };
    let file = kept.keep(&args.url)?;
    if let Some(left) = recovery_codes {
        told(&format!(
            "{left} recovery codes are left; `wsbridge totp {} --recovery` on the gateway makes new ones",
            kept.user
        ));
    }
    told(&format!("signed in to {} as {}; kept in {}", kept.gateway, kept.user, file.display()));
    Ok(())
}

/// The answer after the code of an app, if the gateway asks for one, and whether it did. At a
/// terminal a wrong one may be typed again.
async fn second_factor(
    gateway: &Gateway,
    mut wish: Value,
    mut answer: Fetched,
) -> Result<(Fetched, bool), CommandError> {
    let next = |answer: &Fetched| serde_json::from_slice::<Answer>(&answer.body).ok()?.next;
    if next(&answer) != Some(json!("totp")) {
        return Ok((answer, false));
    }
    for left in (0..CODES).rev() {
        let code = prompt::shown("Code of the authenticator app, or a recovery code: ")?;
        if let Some(wish) = wish.as_object_mut() {
            wish.insert("code".into(), code.into());
        }
        answer = gateway.ask("/api/logins", None, Some(&wish)).await?;
        if answer.status != 401 || left == 0 || !io::stdin().is_terminal() {
            break;
        }
        // A prompt follows.
        let _ = writeln!(io::stderr(), "{}", said(&answer));
    }
    Ok((answer, true))
}

/// The gateway's own words.
fn said(answer: &Fetched) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    let line = text.lines().next().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(500).collect()
}

/// The secret in a link, or alone.
fn secret(text: &str) -> Result<&str, CommandError> {
    let text = text.trim();
    let secret = text.rsplit_once("#grant=").map_or(text, |(_, secret)| secret);
    if secret.starts_with("wsg_") {
        return Ok(secret);
    }
    let what = "that is no link of `wsbridge grant`: it ends in #grant=wsg_ and 43 letters";
    Err(CommandError::new(SysExit::Usage, what))
}

/// Somebody in front of the gateway wants to know first who asks: the page itself has no secrets.
fn in_front(gateway: &Gateway, status: u16) -> CommandError {
    let what = format!(
        "{} answers with HTTP {status} even to what anybody may ask: a proxy in front of it wants a sign-in of its own, which no \
         program can give; let /api/, /ws/ and /healthz through there",
        gateway.address
    );
    CommandError::new(SysExit::Refused, what)
}

fn foreign(gateway: &Gateway) -> CommandError {
    let what = format!("{} does not answer as a gateway does", gateway.address);
    CommandError::new(SysExit::Refused, what)
}

async fn end(url: &Address) -> Outcome {
    let Some(kept) = Kept::find(url)? else {
        return Err(CommandError::new(SysExit::Refused, format!("not signed in to {url}")));
    };
    let gateway = Gateway::new(url.clone(), &TrustArgs::default(), Some(&kept));
    let access = Access::of(&kept);
    let told_of = gateway.get("/api/logins", &access, None).await;
    // Whatever the gateway says: here it is over.
    Kept::forget(url)?;
    let listed = match told_of {
        Ok(listed) => listed,
        // It was over there already.
        Err(error) if error.code == SysExit::Refused as u8 => Value::Null,
        Err(error) => return Err(error),
    };
    let logins = listed.get("logins").and_then(Value::as_array).cloned().unwrap_or_default();
    let current = logins.iter().find(|one| one.get("current") == Some(&Value::Bool(true)));
    if let Some(id) = current.and_then(|one| one.get("id")).and_then(Value::as_u64) {
        gateway.get(&format!("/api/logins/{id}/end"), &access, Some(&json!({}))).await?;
    }
    told(&format!("signed out of {url}"));
    Ok(())
}

/// What the gateway's list calls this computer.
fn program() -> String {
    let host = computer();
    let fits = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
    let host: String = host.chars().filter(fits).take(60).collect();
    if host.is_empty() { "a computer".into() } else { host }
}

/// This computer's name.
#[cfg(unix)]
fn computer() -> String {
    crate::auth::own_name()
}

#[cfg(windows)]
fn computer() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_default()
}

fn told(text: &str) {
    if io::stderr().is_terminal() {
        // It is done all the same.
        let _ = writeln!(io::stderr(), "wsbridge: {text}");
    }
}
