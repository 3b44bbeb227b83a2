//! `wsbridge kick` and `wsbridge hold`: what is done to one session.

use serde_json::json;

use super::{
    Outcome,
    admin::{self, AdminPlace},
    print,
};

/// Arguments of `wsbridge kick`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What the session had queued for the device is discarded. A program may connect again at once: to keep somebody out, take the \
                  right away (reload the configuration), or revoke the grant.

Examples:
  sudo wsbridge kick 17
  sudo wsbridge kick 17 --reason 'the line is needed for the night shift'"
)]
pub(crate) struct KickArgs {
    /// The session's number, as `wsbridge sessions` shows it.
    session: u64,
    /// What its client is told, in at most 80 characters; the record has it, too.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    place: AdminPlace,
}

/// Arguments of `wsbridge hold`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A session that is held sees everything and sends nothing: what it had queued for the device is discarded, its lease is given back, \
                  and its client is told. A program at a raw door is disconnected when it sends \
                  something. It stays held when its connection is lost and comes back, but a new session is not. One that has a \
                  connection of its own to the device (a `tcp` endpoint that is not shared) ends instead, unless its client speaks wsbridge.v1.

Examples:
  sudo wsbridge hold 17
  sudo wsbridge hold 17 --release"
)]
pub(crate) struct HoldArgs {
    /// The session's number, as `wsbridge sessions` shows it.
    session: u64,
    /// Let it go: it may write again, if the lease is free.
    #[arg(long)]
    release: bool,
    #[command(flatten)]
    place: AdminPlace,
}

/// Ends a session.
pub(crate) fn kick(args: &KickArgs) -> Outcome {
    let body = args.reason.as_ref().map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
    let path = format!("/api/sessions/{}/end", args.session);
    admin::ask_about(&args.place, &path, Some(&body), &missing(args.session))?;
    print(&format!("session {} has been ended\n", args.session))
}

/// Holds a session read-only, or lets it go.
pub(crate) fn hold(args: &HoldArgs) -> Outcome {
    let body = json!({ "held": !args.release });
    let path = format!("/api/sessions/{}/hold", args.session);
    admin::ask_about(&args.place, &path, Some(&body), &missing(args.session))?;
    let what = if args.release { "has been let go" } else { "is held read-only" };
    print(&format!("session {} {what}\n", args.session))
}

fn missing(session: u64) -> String {
    format!("there is no session {session}; `wsbridge sessions` lists them")
}
