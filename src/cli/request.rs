//! `wsbridge requests`, `approve` and `deny`: what others ask for (docs/lending.md).

use serde_json::json;

use super::{
    CommandError, Outcome, SysExit,
    admin::{self, AdminPlace},
    lent::{self, ForHow},
    print,
    table::table,
};

/// Arguments of `wsbridge requests`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sudo wsbridge requests\n  sudo wsbridge requests --json")]
pub(crate) struct Args {
    /// Print them as JSON, as the API does.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: AdminPlace,
}

/// Prints what was asked for.
pub(crate) fn run(args: &Args) -> Outcome {
    let told = admin::ask(&args.place, "/api/requests", None)?;
    if args.json {
        return lent::json(&told);
    }
    let all = lent::rows(&told, "requests", |one| {
        let seconds = one.get("seconds").and_then(serde_json::Value::as_u64).unwrap_or(0);
        [
            lent::text(one, "id"),
            lent::text(one, "endpoint"),
            lent::text(one, "by"),
            lent::words(one, "rights"),
            crate::span::readable(std::time::Duration::from_secs(seconds)),
            lent::text(one, "at"),
            lent::text(one, "state"),
            lent::text(one, "reason"),
        ]
    });
    if all.is_empty() {
        return print("Nobody asks for anything.\n");
    }
    let heading = ["REQUEST", "ENDPOINT", "WHO", "RIGHTS", "FOR", "ASKED", "STATE", "REASON"];
    print(&table(heading, &all))
}

/// Arguments of `wsbridge approve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sudo wsbridge approve r_7f3k2mpa
  sudo wsbridge approve r_7f3k2mpa --for 1h")]
pub(crate) struct ApproveArgs {
    /// The request, as `wsbridge requests` names it.
    #[arg(value_name = "REQUEST")]
    id: String,
    /// For no longer than this; it is never longer than was asked for.
    #[arg(long = "for", value_name = "TIME", value_parser = ForHow::read)]
    time: Option<ForHow>,
    /// With no more than these rights.
    #[arg(long, value_name = "RIGHTS", value_delimiter = ',')]
    rights: Option<Vec<String>>,
    #[command(flatten)]
    place: AdminPlace,
}

/// Approves a request.
pub(crate) fn approve(args: &ApproveArgs) -> Outcome {
    let mut body = json!({});
    if let Some(body) = body.as_object_mut() {
        body.extend(args.time.map(|time| ("seconds".to_owned(), json!(time.0))));
        body.extend(args.rights.as_ref().map(|rights| ("rights".to_owned(), json!(rights))));
    }
    let told = decide(&args.place, &args.id, "approve", &body)?;
    match lent::text(&told, "state").as_str() {
        "approved" => {
            let seconds = told.get("seconds").and_then(serde_json::Value::as_u64).unwrap_or(0);
            print(&format!(
                "{} is approved: {} on {} for {} ({}).\n",
                args.id,
                lent::words(&told, "rights"),
                lent::text(&told, "endpoint"),
                crate::span::readable(std::time::Duration::from_secs(seconds)),
                lent::text(&told, "grant")
            ))
        }
        _ => print(&format!("{} has your approval; another one is needed.\n", args.id)),
    }
}

/// Arguments of `wsbridge deny`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sudo wsbridge deny r_7f3k2mpa --reason \"after the shift\"")]
pub(crate) struct DenyArgs {
    /// The request, as `wsbridge requests` names it.
    #[arg(value_name = "REQUEST")]
    id: String,
    /// Why: whoever asked is told.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    place: AdminPlace,
}

/// Denies a request.
pub(crate) fn deny(args: &DenyArgs) -> Outcome {
    decide(&args.place, &args.id, "deny", &json!({ "reason": args.reason }))?;
    print(&format!("{} is denied.\n", args.id))
}

fn decide(
    place: &AdminPlace,
    id: &str,
    what: &str,
    body: &serde_json::Value,
) -> Result<serde_json::Value, CommandError> {
    let path = format!("/api/requests/{}/{what}", lent::id(id)?);
    admin::ask(place, &path, Some(body)).map_err(|error| {
        if error.code == SysExit::Refused as u8 && error.message.contains("nothing here") {
            let what = format!("no request `{id}` waits; `wsbridge requests` lists them");
            return CommandError::new(SysExit::Refused, what);
        }
        error
    })
}
