//! `wsbridge sessions`: who is connected.

use serde_json::Value;

use super::{
    Outcome,
    admin::{self, AdminPlace},
    print,
    table::table,
};

/// Arguments of `wsbridge sessions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "For root, and for whoever is in group wsbridge-admin.

Examples:
  sudo wsbridge sessions
  wsbridge sessions --json")]
pub(crate) struct Args {
    /// Print them as JSON, as the API does.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: AdminPlace,
}

/// Prints who is connected.
pub(crate) fn run(args: &Args) -> Outcome {
    let told = admin::ask(&args.place, "/api/sessions", None)?;
    if args.json {
        let text = serde_json::to_string_pretty(&told).unwrap_or_default();
        return print(&format!("{text}\n"));
    }
    let all: Vec<_> =
        told.get("sessions").and_then(Value::as_array).into_iter().flatten().map(row).collect();
    if all.is_empty() {
        return print("Nobody is connected.\n");
    }
    let heading = ["SESSION", "ENDPOINT", "WHO", "KIND", "FROM", "SINCE", "READ", "WRITTEN", "NOW"];
    print(&table(heading, &all))
}

fn row(one: &Value) -> [String; 9] {
    let text = |name: &str| match one.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let from = match text("door") {
        door if door.is_empty() => text("client"),
        door => format!("{} ({door})", text("client")),
    };
    let is = |name: &str| one.get(name) == Some(&Value::Bool(true));
    let part = match one.get("lease") {
        _ if is("held") => "held",
        Some(Value::Bool(true)) => "writes",
        Some(Value::Bool(false)) => "reads",
        _ => "",
    };
    let state = if is("parked") { format!("{part}, away") } else { part.to_owned() };
    [
        text("id"),
        text("endpoint"),
        text("user"),
        text("kind"),
        from,
        text("since"),
        text("to_client"),
        text("to_target"),
        state,
    ]
}
