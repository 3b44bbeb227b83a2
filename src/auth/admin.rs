//! A request by the admin socket: no name, cookie or password of it counts, and none from a web
//! page is heard.

use super::{AuthRequest, ClientAddress, View};
use crate::wire::close::Refusal;

/// Said to what a browser sent.
const FROM_A_PAGE: &str = "the admin socket is for commands of this machine, and this came from a web page or a proxy (Origin, Sec-Fetch-*, Forwarded): whoever made a way to it from the network has to close that";

/// How such a client sees us, if neither a browser nor a proxy is behind it. Somebody may have led a proxy here, or
/// forwarded a port of a machine with a browser.
pub(super) fn view(ask: &AuthRequest<'_>) -> Result<View, Refusal> {
    let signs = ask.signs;
    if signs.origin.or(signs.site).or(signs.mode).is_some() || !ask.forwarded.is_empty() {
        return Err(Refusal::Origin(FROM_A_PAGE.to_owned()));
    }
    Ok(View {
        host: "localhost".to_owned(),
        tls: false,
        prefix: String::new(),
        client: ClientAddress::Local,
        here: true,
    })
}
