//! `wsbridge hub`: what the operator of a hub does: tokens, gateways, and making a hub in the first
//! place (docs/fleet.md).

mod init;

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{
    CommandError, Outcome, SysExit,
    admin::{self, AdminPlace},
    lent::{self, ForHow},
    print,
    table::table,
};

/// Arguments of `wsbridge hub`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without a command it shows the hub: its address, its fingerprint, and how many gateways there are.

Examples:
  sudo wsbridge hub init --public https://hub.example
  sudo wsbridge hub token new
  sudo wsbridge hub token new --uses 50 --for 7d --label site=north
  sudo wsbridge hub gateways
  sudo wsbridge hub revoke north-7"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<HubCommand>,
    /// The gateway's admin socket [default: the one there is under /run, of the package or of a gateway run by hand]
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum HubCommand {
    /// Make the gateway of this machine a hub, and print what to type at the first gateway.
    Init(init::Args),
    /// Tokens with which gateways enrol.
    #[command(
        after_help = "Examples:\n  sudo wsbridge hub token new\n  sudo wsbridge hub token list"
    )]
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// List the gateways.
    Gateways(GatewaysArgs),
    /// Forget a gateway: it is cut off, and nothing of it lets it in any more.
    Revoke(GatewayArgs),
    /// Let a gateway in again of which there seemed to be two.
    Clear(GatewayArgs),
}

#[derive(Debug, clap::Subcommand)]
enum TokenCommand {
    /// Make one, and print the line to type at a gateway.
    New(TokenArgs),
    /// List those that are good now.
    List(ListArgs),
    /// End one.
    End(EndArgs),
}

/// Arguments of `wsbridge hub token new`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sudo wsbridge hub token new
  sudo wsbridge hub token new --name north-7
  sudo wsbridge hub token new --uses 50 --for 7d --label site=north")]
pub(super) struct TokenArgs {
    /// How many gateways it lets in.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    uses: u32,
    /// How long it is good: 1h, 7d at most.
    #[arg(long = "for", value_name = "TIME", value_parser = ForHow::read, default_value = "1d")]
    time: ForHow,
    /// The name that the gateway is to have, whatever it asks for; with one use.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// What the list shows besides the name; may be given several times.
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// Print it as JSON, as the API does.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sudo wsbridge hub token list\n  sudo wsbridge hub token list --json"
)]
struct ListArgs {
    /// Print them as JSON, as the API does.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sudo wsbridge hub token end Rc7vTozE")]
struct EndArgs {
    /// The token, as `wsbridge hub token list` names it.
    #[arg(value_name = "TOKEN")]
    id: String,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sudo wsbridge hub gateways
  sudo wsbridge hub gateways site=north plc
  sudo wsbridge hub gateways --json")]
struct GatewaysArgs {
    /// Only those with all of these words in their names, labels or lines.
    #[arg(value_name = "WORD")]
    words: Vec<String>,
    /// Print them as JSON, as the API does.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sudo wsbridge hub revoke north-7\n  sudo wsbridge hub clear north-7"
)]
struct GatewayArgs {
    /// The gateway, as `wsbridge hub gateways` names it.
    #[arg(value_name = "GATEWAY")]
    name: String,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a label is NAME=VALUE")?;
    if name.is_empty() {
        return Err("a label is NAME=VALUE".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// Runs it.
pub(crate) fn run(args: &Args) -> Outcome {
    let place = &AdminPlace::at(args.socket.clone());
    match &args.command {
        None => show(place),
        Some(HubCommand::Init(args)) => init::run(args, place),
        Some(HubCommand::Token { command: TokenCommand::New(args) }) => new_token(args, place),
        Some(HubCommand::Token { command: TokenCommand::List(args) }) => tokens(args, place),
        Some(HubCommand::Token { command: TokenCommand::End(args) }) => {
            let path = format!("/api/hub/tokens/{}/end", plain(&args.id, "token")?);
            let missing = format!("no token `{}` is good now; `wsbridge hub token list`", args.id);
            admin::ask_about(place, &path, Some(&json!({})), &missing)?;
            print(&format!("{} is over.\n", args.id))
        }
        Some(HubCommand::Gateways(args)) => gateways(args, place),
        Some(HubCommand::Revoke(args)) => {
            about(place, &args.name, "revoke")?;
            print(&format!("{} is revoked; it can be enrolled anew.\n", args.name))
        }
        Some(HubCommand::Clear(args)) => {
            about(place, &args.name, "clear")?;
            print(&format!("{} is let in again.\n", args.name))
        }
    }
}

fn about(place: &AdminPlace, name: &str, what: &str) -> Result<Value, CommandError> {
    let path = format!("/api/fleet/{}/{what}", plain(name, "gateway")?);
    let missing = format!("no gateway `{name}` is enrolled; `wsbridge hub gateways` lists them");
    admin::ask_about(place, &path, Some(&json!({})), &missing)
}

/// A name that goes into a path.
fn plain<'a>(text: &'a str, what: &str) -> Result<&'a str, CommandError> {
    let fits = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if fits && !text.is_empty() {
        return Ok(text);
    }
    Err(CommandError::new(SysExit::Usage, format!("`{text}` is no name of a {what}")))
}

/// Asks the hub; a gateway that is none says what to do.
fn ask(place: &AdminPlace, path: &str, body: Option<&Value>) -> Result<Value, CommandError> {
    let missing = "the gateway of this machine is no hub; `wsbridge hub init --public https://...` makes it one";
    admin::ask_about(place, path, body, missing)
}

fn show(place: &AdminPlace) -> Outcome {
    let hub = ask(place, "/api/hub", None)?;
    let text = |name: &str| lent::text(&hub, name);
    let s = if text("gateways") == "1" { "" } else { "s" };
    print(&format!(
        "{} at {}\n{} gateway{s}, {} connected\nfingerprint {}\n",
        text("name"),
        text("public"),
        text("gateways"),
        text("online"),
        text("fingerprint"),
    ))
}

/// The line to type at a gateway.
fn line(token: &Value) -> String {
    let text = |name: &str| lent::text(token, name);
    format!(
        "sudo wsbridge enrol {} --token {} --fingerprint {}\n",
        text("public"),
        text("token"),
        text("fingerprint")
    )
}

fn new_token(args: &TokenArgs, place: &AdminPlace) -> Outcome {
    let labels: serde_json::Map<String, Value> =
        args.labels.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let wanted =
        json!({ "uses": args.uses, "seconds": args.time.0, "name": args.name, "labels": labels });
    let token = ask(place, "/api/hub/tokens", Some(&wanted))?;
    if args.json {
        return lent::json(&token);
    }
    let (many, until) = (args.uses, lent::text(&token, "until"));
    let whom =
        if many == 1 { "the gateway".to_owned() } else { format!("each of {many} gateways") };
    print(&format!(
        "Type this at {whom}, until {until}; the token is shown this once:\n\n{}",
        line(&token)
    ))
}

fn tokens(args: &ListArgs, place: &AdminPlace) -> Outcome {
    let told = ask(place, "/api/hub/tokens", None)?;
    if args.json {
        return lent::json(&told);
    }
    let all = lent::rows(&told, "tokens", |one| {
        [
            lent::text(one, "id"),
            lent::text(one, "uses_left"),
            lent::text(one, "until"),
            lent::text(one, "name"),
            labels(one),
        ]
    });
    if all.is_empty() {
        return print("No token is good now.\n");
    }
    print(&table(["TOKEN", "USES", "UNTIL", "NAME", "LABELS"], &all))
}

fn labels(one: &Value) -> String {
    let rows = one.get("labels").and_then(Value::as_object).into_iter().flatten();
    let words: Vec<_> = rows
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .collect();
    words.join(" ")
}

fn gateways(args: &GatewaysArgs, place: &AdminPlace) -> Outcome {
    let words = escaped(&args.words.join(" "));
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/fleet?limit=500&q={words}&after={after}");
        let mut page = ask(place, &path, None)?;
        if let Some(rows) = page.get_mut("gateways").and_then(Value::as_array_mut) {
            all.append(rows);
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => next.clone_into(&mut after),
            None => break,
        }
    }
    let told = json!({ "gateways": all });
    if args.json {
        return lent::json(&told);
    }
    let rows = lent::rows(&told, "gateways", |one| {
        let online = lent::text(one, "online") == "true";
        let state = match (lent::text(one, "cloned") == "true", online) {
            (true, _) => "two machines",
            (false, true) => "connected",
            (false, false) => "away",
        };
        let lines = one.get("lines").and_then(Value::as_array).map_or_else(String::new, |lines| {
            let names: Vec<_> = lines.iter().map(|line| lent::text(line, "name")).collect();
            names.join(" ")
        });
        [
            lent::text(one, "name"),
            state.to_owned(),
            lent::text(one, "since"),
            lent::text(one, "version"),
            labels(one),
            lines,
        ]
    });
    if rows.is_empty() {
        let none = if args.words.is_empty() {
            "No gateway is enrolled; `wsbridge hub token new` prints what to type at one.\n"
        } else {
            "No gateway fits.\n"
        };
        return print(none);
    }
    print(&table(["GATEWAY", "STATE", "SINCE", "VERSION", "LABELS", "LINES"], &rows))
}

/// A text for a query (RFC 3986 section 2.1).
fn escaped(text: &str) -> String {
    let byte = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(byte).collect()
}
