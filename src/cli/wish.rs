//! `wsbridge request`: asks for access to a line of a gateway, and waits for the answer.

use std::{io, io::Write as _, path::PathBuf, time::Duration};

use serde_json::{Value, json};
use tokio::{runtime::Builder, time::sleep};

use super::{
    CommandError, Outcome, SysExit,
    gateway::{Access, Address, Gateway, Kept, TrustArgs},
    lent::{self, ForHow},
    print,
    stop::stopped,
};

/// How often the gateway is asked what has been decided.
const EVERY: Duration = Duration::from_secs(2);

/// Arguments of `wsbridge request`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "To get in: `wsbridge login`, else a token in WSBRIDGE_TOKEN or of --token-file. It waits until somebody has decided; Ctrl-C takes the request back. What is approved counts at once: `wsbridge connect` again.

Examples:
  wsbridge request https://gateway:8443/plc1 --rights write --for 2h --reason \"replace the pump\"
  wsbridge request https://gateway:8443/plc1 --for 1h --reason \"look at it\" --no-wait"
)]
pub(crate) struct Args {
    /// The gateway and the endpoint: https://HOST:PORT/ENDPOINT
    #[arg(value_name = "URL", value_parser = Address::read)]
    url: Address,
    /// What is wanted: write, signals, settings, takeover, recordings.
    #[arg(long, value_name = "RIGHTS", value_delimiter = ',', default_value = "write")]
    rights: Vec<String>,
    /// For how long, from the moment when it is approved: 30m, 2h.
    #[arg(long = "for", value_name = "TIME", value_parser = ForHow::read)]
    time: ForHow,
    /// Why: whoever decides is shown it.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Do not wait for the answer.
    #[arg(long)]
    no_wait: bool,
    /// Read the token from this file.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
}

/// Asks, and waits.
pub(crate) fn run(args: &Args) -> Outcome {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| {
        CommandError::new(SysExit::Unavailable, format!("cannot start: {error}"))
    })?;
    let outcome = runtime.block_on(ask(args));
    runtime.shutdown_background();
    outcome
}

async fn ask(args: &Args) -> Outcome {
    let Some(endpoint) = &args.url.endpoint else {
        let what = "name the endpoint, too: https://HOST:PORT/ENDPOINT";
        return Err(CommandError::new(SysExit::Usage, what));
    };
    let kept = Kept::find(&args.url)?;
    let access = Access::find(args.token_file.as_deref(), kept.as_ref())?;
    let gateway = Gateway::new(args.url.clone(), &args.trust, kept.as_ref());
    let wish = json!({
        "endpoint": endpoint,
        "rights": args.rights,
        "seconds": args.time.0,
        "reason": args.reason,
    });
    let asked = gateway.get("/api/requests", &access, Some(&wish)).await?;
    let id = lent::text(&asked, "id");
    print(&format!("{id} asks for {} on {endpoint}\n", lent::words(&asked, "rights")))?;
    if args.no_wait {
        return Ok(());
    }
    let waiting = "waiting for somebody to decide; Ctrl-C takes it back";
    // Nothing can be done about a closed standard error.
    let _ = writeln!(io::stderr(), "{waiting}");
    tokio::select! {
        told = decided(&gateway, &access, &id) => outcome(&told?),
        () = stopped() => {
            let path = format!("/api/requests/{}/withdraw", lent::id(&id)?);
            gateway.get(&path, &access, Some(&json!({}))).await?;
            Err(CommandError::new(SysExit::Interrupted, format!("{id} is taken back")))
        }
    }
}

/// The request, once it waits no longer.
async fn decided(gateway: &Gateway, access: &Access, id: &str) -> Result<Value, CommandError> {
    loop {
        let told = gateway.get("/api/requests", access, None).await?;
        let all = told.get("requests").and_then(Value::as_array).into_iter().flatten();
        let mut own = all.filter(|one| lent::text(one, "id") == id);
        match own.next() {
            Some(one) if lent::text(one, "state") == "pending" => sleep(EVERY).await,
            Some(one) => return Ok(one.clone()),
            None => {
                let what = format!("{} knows nothing of {id} any more", gateway.address);
                return Err(CommandError::new(SysExit::Refused, what));
            }
        }
    }
}

fn outcome(told: &Value) -> Outcome {
    let state = lent::text(told, "state");
    if state == "approved" {
        let seconds = told.get("seconds").and_then(Value::as_u64).unwrap_or(0);
        let time = crate::span::readable(Duration::from_secs(seconds));
        let rights = lent::words(told, "rights");
        return print(&format!("approved: {rights} for {time}\n"));
    }
    let why = lent::text(told, "answer");
    let why = if why.is_empty() { why } else { format!(": {why}") };
    Err(CommandError::new(SysExit::Refused, format!("{state}{why}")))
}
