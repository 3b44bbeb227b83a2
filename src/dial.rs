//! The one way out to an HTTP server: its names and addresses, a proxy on the way, TLS, and one
//! request with its answer.

mod answer;
mod fetch;
mod proxy;
mod reach;
mod trust;

use std::{fmt, io, sync::Arc, time::Duration};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use self::reach::reach;
pub(crate) use self::{
    answer::Answer,
    fetch::{Fetched, Request, Streamed, converse, stream},
    proxy::Proxies,
    trust::Trust,
};

#[cfg(unix)]
use crate::stream::Stream;

/// How long a connection, with the handshakes below HTTP, may take.
const CONNECT: Duration = Duration::from_secs(15);

/// A byte stream, plain or TLS.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A host and its port, and whether TLS is spoken there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    /// Whether it is TLS.
    pub secure: bool,
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", bracketed(&self.host), self.port)
    }
}

impl Site {
    /// As `Host` and `Origin` show it: without the port if it is the scheme's default.
    pub(crate) fn authority(&self) -> String {
        let usual = if self.secure { 443 } else { 80 };
        if self.port == usual { bracketed(&self.host) } else { self.to_string() }
    }

    /// The origin as a browser writes it.
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}", if self.secure { "https" } else { "http" }, self.authority())
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// Why a site was not reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DialError {
    /// Nobody answers, or a proxy does not let us through. This may pass.
    #[error("{0}")]
    Unreachable(String),
    /// Its certificate is not trusted, or what should make it trusted cannot be read.
    #[error("{0}")]
    Untrusted(String),
}

/// How sites are reached, and which of them are trusted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dialler {
    /// The proxies on the way.
    pub proxies: Proxies,
    /// Whom to trust.
    pub trust: Trust,
}

impl Dialler {
    /// Connects, through a proxy and with TLS as needed.
    pub(crate) async fn dial(&self, site: &Site) -> Result<Box<dyn Io>, DialError> {
        timeout(CONNECT, self.try_dial(site)).await.unwrap_or_else(|_| Err(late(site)))
    }

    /// The same for a connection that outlives the request, and whose state is looked at.
    #[cfg(unix)]
    pub(crate) async fn dial_stream(&self, site: &Site) -> Result<Stream, DialError> {
        let dialled = async {
            let stream = Stream::from(self.reach(site).await?);
            let Some((connector, name)) = self.secure(site).await? else { return Ok(stream) };
            stream.connect_tls(&connector, name).await.map_err(|error| failed(site, &error))
        };
        timeout(CONNECT, dialled).await.unwrap_or_else(|_| Err(late(site)))
    }

    async fn try_dial(&self, site: &Site) -> Result<Box<dyn Io>, DialError> {
        let stream = self.reach(site).await?;
        let Some((connector, name)) = self.secure(site).await? else {
            return Ok(Box::new(stream));
        };
        let stream = connector.connect(name, stream).await;
        stream.map(|stream| Box::new(stream) as Box<dyn Io>).map_err(|error| failed(site, &error))
    }

    /// Connects, through a proxy as needed.
    async fn reach(&self, site: &Site) -> Result<TcpStream, DialError> {
        let stream = match self.proxies.of(site) {
            Some(Ok(proxy)) => proxy.through(site).await,
            Some(Err(why)) => Err(why.clone()),
            None => reach(&site.host, site.port).await.map_err(|why| format!("{site}: {why}")),
        };
        stream.map_err(DialError::Unreachable)
    }

    /// How TLS is spoken with a site, and under which name; `None`: it is not.
    async fn secure(
        &self,
        site: &Site,
    ) -> Result<Option<(TlsConnector, ServerName<'static>)>, DialError> {
        if !site.secure {
            return Ok(None);
        }
        let config = self.tls().await?;
        // The scope of an address means something only to us (RFC 6874).
        let bare = site.host.split_once('%').map_or(site.host.as_str(), |(address, _)| address);
        let name = ServerName::try_from(bare.to_owned())
            .map_err(|_| DialError::Unreachable(format!("`{}` is not a host name", site.host)))?;
        Ok(Some((TlsConnector::from(config), name)))
    }

    /// Files and the system's store are read for each connection, so that renewed ones count.
    async fn tls(&self) -> Result<Arc<ClientConfig>, DialError> {
        if let Trust::Given(config) = &self.trust {
            return Ok(Arc::clone(config));
        }
        let trust = self.trust.clone();
        tokio::task::spawn_blocking(move || trust.config())
            .await
            .unwrap_or_else(|error| Err(error.to_string()))
            .map_err(DialError::Untrusted)
    }
}

fn late(site: &Site) -> DialError {
    DialError::Unreachable(format!("{site}: no answer in {} s", CONNECT.as_secs()))
}

/// A handshake that failed: because of the certificate, or on the way.
fn failed(site: &Site, error: &io::Error) -> DialError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return DialError::Unreachable(format!(
            "{site}: closed within the TLS handshake; if it speaks plain HTTP, write http://"
        ));
    }
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(why)) => {
            DialError::Untrusted(format!("the certificate of {site} is not trusted: {why}"))
        }
        Some(rustls::Error::InvalidMessage(_)) => DialError::Unreachable(format!(
            "{site} does not speak TLS; if it speaks plain HTTP, write http://"
        )),
        _ => DialError::Unreachable(format!("TLS with {site}: {error}")),
    }
}
