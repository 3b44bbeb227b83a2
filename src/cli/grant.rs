//! `wsbridge grant`, `grants` and `revoke`: access for others, for a time (docs/lending.md).

use serde_json::{Value, json};

use super::{
    CommandError, Outcome, SysExit,
    admin::{self, AdminPlace},
    lent::{self, ForHow},
    print,
    table::table,
};

/// Arguments of `wsbridge grant`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It prints a link, once; whoever opens it and presses the button has the access. The gateway keeps only a hash of it. For root, and for whoever is in group wsbridge-admin.

Examples:
  sudo wsbridge grant plc1 --rights read,write --for 2h --reason \"firmware 4.2, ticket 4711\"
  sudo wsbridge grant 'rack1-*' --for 30m --from 192.0.2.0/24 --reason \"look at the logs\"
  sudo wsbridge grant plc1 --rights write --at 2026-12-24T08:00:00+01:00 --for 4h --uses 2 --reason \"night shift\""
)]
pub(crate) struct Args {
    /// The endpoint, or a pattern of endpoints.
    #[arg(value_name = "ENDPOINT")]
    endpoint: String,
    /// What is lent: read, write, signals, settings, takeover, recordings. Reading is always part of it.
    #[arg(long, value_name = "RIGHTS", value_delimiter = ',', default_value = "read")]
    rights: Vec<String>,
    /// How long, from its beginning: 30m, 2h, 7d at most.
    #[arg(long = "for", value_name = "TIME", value_parser = ForHow::read)]
    time: ForHow,
    /// Why: everybody concerned is shown it.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// When it begins, like 2026-12-24T08:00:00+01:00 [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// How many browsers or programs may use the link.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    uses: u32,
    /// Networks in which it works: 192.0.2.0/24 [default: everywhere]
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    from: Vec<String>,
    /// The gateway's address in the link [default: `public:`, or as it is announced]
    #[arg(long, value_name = "URL")]
    link: Option<String>,
    /// Print it as JSON, as the API does.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: AdminPlace,
}

/// Lends access, and prints the link.
pub(crate) fn run(args: &Args) -> Outcome {
    let mut loan = json!({
        "endpoint": args.endpoint,
        "rights": args.rights,
        "seconds": args.time.0,
        "reason": args.reason,
        "uses": args.uses,
        "networks": args.from,
    });
    if let (Some(at), Some(loan)) = (&args.at, loan.as_object_mut()) {
        loan.insert("at".into(), json!(at));
    }
    let told = admin::ask(&args.place, "/api/grants", Some(&loan))?;
    if args.json {
        return lent::json(&told);
    }
    let text = |name: &str| lent::text(&told, name);
    let link = match &args.link {
        Some(base) => format!("{}/#grant={}", base.trim_end_matches('/'), text("token")),
        None => text("link"),
    };
    print(&format!(
        "{} on {}: {}, until {}\n\n{link}\n\nThe link is shown this once. A program uses its part from wsg_ on: wsbridge login URL --grant\n",
        text("id"),
        text("endpoint"),
        lent::words(&told, "rights"),
        text("until"),
    ))
}

/// Arguments of `wsbridge grants`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sudo wsbridge grants
  sudo wsbridge grants --json
  sudo wsbridge grants --accept-clock")]
pub(crate) struct ListArgs {
    /// Print them as JSON, as the API does.
    #[arg(long)]
    json: bool,
    /// Say that the clock is right, although it was later before: links work again.
    #[arg(long)]
    accept_clock: bool,
    #[command(flatten)]
    place: AdminPlace,
}

/// Prints what is lent.
pub(crate) fn list(args: &ListArgs) -> Outcome {
    if args.accept_clock {
        let told = admin::ask(&args.place, "/api/grants/clock", Some(&json!({})))?;
        if told.get("accepted") == Some(&Value::Bool(false)) {
            return print("The clock did not go back: there is nothing to accept.\n");
        }
        return print("The clock is accepted; links can be used again.\n");
    }
    let told = admin::ask(&args.place, "/api/grants", None)?;
    if args.json {
        return lent::json(&told);
    }
    let back = told.get("clock_went_back").and_then(Value::as_i64);
    let warning = back.map_or_else(String::new, |seconds| {
        format!("The clock went back by {seconds} s: until it is right again no link can be used. If it is right: wsbridge grants --accept-clock\n")
    });
    let all = lent::rows(&told, "grants", |one| {
        let to = lent::text(one, "to");
        let uses = lent::text(one, "uses_left");
        [
            lent::text(one, "id"),
            lent::text(one, "endpoint"),
            lent::words(one, "rights"),
            lent::text(one, "until"),
            if to.is_empty() { format!("link, {uses} left") } else { to },
            lent::words(one, "by"),
            lent::text(one, "state"),
            lent::text(one, "reason"),
        ]
    });
    if all.is_empty() {
        return print(&format!("{warning}Nothing is lent.\n"));
    }
    let heading = ["GRANT", "ENDPOINT", "RIGHTS", "UNTIL", "TO", "BY", "STATE", "REASON"];
    print(&format!("{warning}{}", table(heading, &all)))
}

/// Arguments of `wsbridge revoke`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sudo wsbridge revoke g_7f3k2mpa")]
pub(crate) struct RevokeArgs {
    /// The grant, as `wsbridge grants` names it.
    #[arg(value_name = "GRANT")]
    id: String,
    #[command(flatten)]
    place: AdminPlace,
}

/// Takes a grant back.
pub(crate) fn revoke(args: &RevokeArgs) -> Outcome {
    let id = lent::id(&args.id)?;
    admin::ask(&args.place, &format!("/api/grants/{id}/revoke"), Some(&json!({})))
        .map_err(|error| named(error, &args.id))?;
    print(&format!("{} is over.\n", args.id))
}

/// "Nothing by that name" says more with the name.
fn named(error: CommandError, id: &str) -> CommandError {
    let unknown = error.code == SysExit::Refused as u8 && error.message.contains("nothing here");
    if unknown {
        return CommandError::new(
            SysExit::Refused,
            format!("no grant `{id}` runs; `wsbridge grants` lists them"),
        );
    }
    error
}
