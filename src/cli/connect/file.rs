//! `connect --file`: several lines at once, each for itself.

use std::{path::Path, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    super::{
        CommandError, Outcome, SysExit,
        gateway::{Access, Address, Gateway, Kept, TrustArgs},
        stop::stopped,
    },
    Place,
    tcp::Ways,
    told::Told,
};
use crate::{
    config::{KnownResets, LocalLine, LocalPlace, MAX_FILE, Text, parse_lines},
    regular_file,
};

/// After how long a line that could not be served is tried again, with what the sign-in or the
/// token file then says.
const AGAIN: Duration = Duration::from_secs(10);

/// The same for one that the gateway refused: many wrong tokens at once would bring a penalty.
const REFUSED_AGAIN: Duration = Duration::from_secs(60);

/// Serves every line of a file until somebody wants the end.
pub(super) async fn serve(file: &Path) -> Outcome {
    let told = Told::new();
    let lines = read(file, told)?;
    let mut all = JoinSet::new();
    for line in lines {
        all.spawn(kept_up(line, told));
    }
    all.join_all().await;
    Ok(())
}

fn read(file: &Path, told: Told) -> Result<Vec<LocalLine<Address>>, CommandError> {
    let name = file.display().to_string();
    let unread = |what: &dyn std::fmt::Display| {
        CommandError::new(SysExit::NoInput, format!("{name}: {what}"))
    };
    let text = regular_file::read(file, MAX_FILE).map_err(|error| unread(&error))?;
    let text = String::from_utf8(text).map_err(|_| unread(&"it is not text"))?;
    let folder = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let folder = folder.parent().unwrap_or(Path::new("/"));
    let text = Text { name: &name, text: &text };
    let (lines, warnings) = parse_lines(text, folder, &gateway_alone)
        .map_err(|error| CommandError::new(SysExit::Config, error.to_string()))?;
    for warning in warnings {
        told.fault(&format!("warning: {warning}"));
    }
    Ok(lines)
}

/// A gateway's address without an endpoint, which the file says elsewhere.
fn gateway_alone(text: &str) -> Result<Address, String> {
    let address = Address::read(text)?;
    match &address.endpoint {
        None => Ok(address),
        Some(name) => Err(format!(
            "`{name}` in the address is an endpoint, which belongs below `lines`; if it is a proxy's path, end it with /"
        )),
    }
}

/// Serves one line until somebody wants the end, whatever happens to it.
async fn kept_up(line: LocalLine<Address>, told: Told) {
    let mut said = String::new();
    loop {
        let Err(CommandError { code, message }) = served(&line, told).await else { return };
        let again = if code == SysExit::Refused as u8 { REFUSED_AGAIN } else { AGAIN };
        // What has been said once is true until something else is.
        if message != said {
            let every = again.as_secs();
            told.fault(&format!("{}: {message}; tried again every {every} s", line.endpoint));
            said = message;
        }
        tokio::select! {
            () = sleep_until(Instant::now() + again) => {}
            () = stopped() => return,
        }
    }
}

async fn served(line: &LocalLine<Address>, told: Told) -> Outcome {
    let LocalLine { gateway, .. } = line;
    let kept = Kept::find(&gateway.address)?;
    let access = Access::find(gateway.token_file.as_deref(), kept.as_ref())?;
    let trust = TrustArgs { ca: gateway.ca.clone(), fingerprint: gateway.fingerprint };
    let gateway = Gateway::new(gateway.address.clone(), &trust, kept.as_ref());
    let ways = |rfc2217: Option<KnownResets>| Ways {
        keep: true,
        many: line.many,
        allow_http: !line.screened,
        rfc2217,
    };
    let place = match &line.place {
        LocalPlace::Tcp(address) => Place::Port(*address, ways(None)),
        LocalPlace::Rfc2217(address, resets) => Place::Port(*address, ways(Some(*resets))),
        LocalPlace::Pty(path) => Place::Node(path.clone(), true),
    };
    place.serve((gateway, access, &line.endpoint), told, line.at_once).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_an_endpoint_is_told_where_that_belongs() {
        assert!(gateway_alone("https://gw:8443").is_ok());
        assert!(gateway_alone("https://gw/serial/").is_ok());
        let told = gateway_alone("https://gw/serial").unwrap_err();
        assert!(told.contains("`serial`") && told.contains("end it with /"), "{told}");
    }
}
