//! The way to a gateway: TCP, TLS, the handshake, and when to try again.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls::ClientConfig;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        self,
        client::IntoClientRequest as _,
        http::{HeaderValue, Uri, header},
    },
};

use super::Error;
use crate::{
    dial::{DialError, Dialler, Io, Site, Trust},
    wire::subprotocol::Protocol,
};

/// How long a connection, handshakes included, may take.
const CONNECT: Duration = Duration::from_secs(15);

/// Pauses before each attempt to reconnect, in seconds; the last one repeats.
const PAUSES: [u64; 6] = [0, 1, 2, 4, 8, 15];

/// A WebSocket to a gateway.
pub(super) type Ws = WebSocketStream<Box<dyn Io>>;

/// Where a gateway is, and how to get in.
#[derive(Clone)]
pub struct Dial {
    url: String,
    credential: Option<String>,
    origin: Option<String>,
    dialler: Dialler,
    /// A unix socket in place of the address in the URL.
    #[cfg(unix)]
    socket: Option<std::path::PathBuf>,
    once: bool,
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial")
            .field("url", &self.url)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

impl Dial {
    /// `ws://host:port/ws/endpoint`, or `wss://`; `/ws/` alone is the bus.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            credential: None,
            origin: None,
            dialler: Dialler::default(),
            #[cfg(unix)]
            socket: None,
            once: false,
        }
    }

    /// Presents an API token, as a subprotocol.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        let name = format!("wsbridge.bearer.{}", URL_SAFE_NO_PAD.encode(token));
        Self { credential: Some(name), ..self }
    }

    /// Presents a ticket. It is valid for one handshake, so a lost connection is not dialled again.
    #[must_use]
    pub fn ticket(self, ticket: &str) -> Self {
        Self { credential: Some(format!("wsbridge.ticket.{ticket}")), once: true, ..self }
    }

    /// Says which page asks, as a browser does.
    #[must_use]
    pub fn origin(self, origin: impl Into<String>) -> Self {
        Self { origin: Some(origin.into()), ..self }
    }

    /// Trusts what this configuration says, in place of the system's authorities.
    #[must_use]
    pub fn tls(self, config: Arc<ClientConfig>) -> Self {
        let dialler = Dialler { trust: Trust::Given(config), ..self.dialler };
        Self { dialler, ..self }
    }

    /// Goes this way, and believes whom it believes.
    #[must_use]
    pub(crate) fn by(self, dialler: Dialler) -> Self {
        Self { dialler, ..self }
    }

    /// Connects to this unix socket; of the URL only the path counts then.
    #[cfg(unix)]
    #[must_use]
    pub fn at(self, socket: impl Into<std::path::PathBuf>) -> Self {
        Self { socket: Some(socket.into()), ..self }
    }

    /// Ends with the first connection instead of dialling again.
    #[must_use]
    pub fn once(self) -> Self {
        Self { once: true, ..self }
    }

    /// Whether a lost connection is final.
    pub(super) fn is_once(&self) -> bool {
        self.once
    }

    /// Connects and does the handshakes.
    pub(super) async fn connect(&self) -> Result<Ws, Error> {
        let late = Error::Unreachable(format!("no answer in {} s", CONNECT.as_secs()));
        timeout(CONNECT, self.try_connect()).await.unwrap_or(Err(late))
    }

    async fn try_connect(&self) -> Result<Ws, Error> {
        let mut request =
            self.url.as_str().into_client_request().map_err(|error| broken(&error))?;
        let offer = self
            .credential
            .iter()
            .fold(Protocol::V1.name().to_owned(), |all, one| all + ", " + one);
        let named = [
            (header::SEC_WEBSOCKET_PROTOCOL, Some(&offer)),
            (header::ORIGIN, self.origin.as_ref()),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                let value = HeaderValue::from_str(value).map_err(|error| broken(&error))?;
                request.headers_mut().insert(name, value);
            }
        }
        let stream = self.stream(request.uri()).await?;
        match client_async(request, stream).await {
            Ok((socket, _)) => Ok(socket),
            Err(tungstenite::Error::Http(response)) => {
                let body = response.body().as_deref().unwrap_or_default();
                let body = String::from_utf8_lossy(body).trim().to_owned();
                Err(Error::Refused { status: response.status().as_u16(), body })
            }
            Err(tungstenite::Error::Io(error)) => Err(Error::Unreachable(error.to_string())),
            Err(other) => Err(Error::Foreign(other.to_string())),
        }
    }

    async fn stream(&self, url: &Uri) -> Result<Box<dyn Io>, Error> {
        #[cfg(unix)]
        if let Some(path) = &self.socket {
            let stream = tokio::net::UnixStream::connect(path).await;
            let away = |error| Error::Unreachable(format!("{}: {error}", path.display()));
            return stream.map(|stream| Box::new(stream) as Box<dyn Io>).map_err(away);
        }
        let host = url.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let secure = url.scheme_str() == Some("wss");
        let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
        self.dialler.dial(&Site { secure, host, port }).await.map_err(|error| match error {
            DialError::Unreachable(why) => Error::Unreachable(why),
            DialError::Untrusted(why) => Error::Untrusted(why),
        })
    }

    /// Connects again: immediately, then after 1, 2, 4, 8 and every 15 s, each a quarter more or
    /// less, so that a gateway's clients do not all come back together. Ends with a refusal that
    /// another attempt cannot help.
    pub(super) async fn again<T, F>(&self, greet: impl Fn(Ws) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut pauses = PAUSES.into_iter();
        let mut pause = 0;
        loop {
            pause = pauses.next().unwrap_or(pause);
            sleep(jitter(pause)).await;
            let greeted = match self.connect().await {
                Ok(socket) => greet(socket).await,
                Err(error) => Err(error),
            };
            match greeted {
                Ok(greeted) => return Ok(greeted),
                Err(error) if is_final(&error) => return Err(error),
                Err(error) => tracing::debug!(%error, "no connection"),
            }
        }
    }
}

fn broken(error: &dyn fmt::Display) -> Error {
    Error::Unreachable(format!("the address or its headers: {error}"))
}

/// Whether dialling again cannot help.
fn is_final(error: &Error) -> bool {
    match error {
        // Too many connections, or an absent device: both pass.
        Error::Refused { status, .. } => *status < 500 && *status != 429 && *status != 408,
        Error::Foreign(_) | Error::Closed(_) | Error::Untrusted(_) => true,
        Error::Unreachable(_) | Error::Failed { .. } | Error::Lost => false,
    }
}

/// This many seconds, a quarter more or less.
fn jitter(seconds: u64) -> Duration {
    let mut random = [128];
    // Without randomness, everybody comes back at the same time.
    getrandom::fill(&mut random).ok();
    let [random] = random;
    Duration::from_millis(seconds * (750 + u64::from(random) * 500 / 255))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_debug_shows_a_credential() {
        let shown = format!("{:?}", Dial::new("ws://h/ws/e").ticket("topsecret"));
        assert!(!shown.contains("topsecret") && shown.contains("ws://h/ws/e"), "{shown}");
    }

    #[test]
    fn jitter_is_a_quarter_at_most() {
        for _ in 0..100 {
            assert_eq!(jitter(0), Duration::ZERO);
            assert!((750..=1250).contains(&jitter(1).as_millis()));
        }
    }

    #[test]
    fn a_refusal_is_final_and_a_full_or_silent_gateway_is_not() {
        let refused = |status| is_final(&Error::Refused { status, body: String::new() });
        assert!(refused(401) && refused(403) && refused(404) && refused(400));
        assert!(
            !refused(429)
                && !refused(503)
                && !refused(502)
                && !is_final(&Error::Unreachable(String::new()))
        );
    }
}
