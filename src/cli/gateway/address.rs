//! A gateway's address as people type or paste it, and the endpoint in it.

use std::fmt;

use crate::dial::Site;

/// Where a gateway is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Address {
    /// The server.
    pub(in crate::cli) site: Site,
    /// The path of the gateway below it, without a slash at the end: empty unless a proxy says so.
    pub(in crate::cli) prefix: String,
    /// The endpoint that was named with it.
    pub(in crate::cli) endpoint: Option<String>,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.site.origin(), self.prefix)
    }
}

impl Address {
    /// Reads `https://gw:8443/plc1`, what `ws` in it makes of it, the console's `#/plc1`, and
    /// `gw:8443/plc1` for any of them.
    pub(in crate::cli) fn read(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" | "wss" => true,
            "http" | "ws" => false,
            other => return Err(format!("`{other}://` is not https://, wss://, http:// or ws://")),
        };
        let (rest, pane) = rest.split_once('#').unwrap_or((rest, ""));
        let rest = rest.split('?').next().unwrap_or_default();
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(
                "no name or password in the address: other users of this machine see it; use `wsbridge login`, WSBRIDGE_TOKEN or \
                 --token-file"
                    .into(),
            );
        }
        let (host, port) = host_and_port(authority, if secure { 443 } else { 80 })?;
        let (prefix, last) = path.rsplit_once('/').unwrap_or(("", path));
        let pane = pane.trim_start_matches('/').split('?').next().unwrap_or_default();
        let (prefix, named) = match (last, pane) {
            (last, "") => (prefix, last),
            // The console's own address: what stands before the fragment is where it is.
            (_, pane) => (path.trim_end_matches('/'), pane),
        };
        let prefix = prefix.trim_matches('/');
        let prefix = prefix
            .strip_suffix("ws")
            .filter(|rest| rest.is_empty() || rest.ends_with('/'))
            .unwrap_or(prefix);
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
        let endpoint = Some(named.to_owned()).filter(|name| !name.is_empty() && name != "ws");
        if let Some(name) = &endpoint
            && !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        {
            return Err(format!("`{name}` is not the name of an endpoint"));
        }
        if !prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("the address has characters that no address has".into());
        }
        Ok(Self { site: Site { secure, host, port }, prefix, endpoint })
    }

    /// The WebSocket of an endpoint.
    pub(in crate::cli) fn socket(&self, endpoint: &str) -> String {
        let scheme = if self.site.secure { "wss" } else { "ws" };
        format!("{scheme}://{}{}/ws/{endpoint}", self.site.authority(), self.prefix)
    }
}

fn host_and_port(authority: &str, usual: u16) -> Result<(String, u16), String> {
    let wrong = || format!("`{authority}` is not HOST or HOST:PORT");
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
        (host, rest.strip_prefix(':').or(rest.is_empty().then_some("")).ok_or_else(wrong)?)
    } else {
        authority.split_once(':').unwrap_or((authority, ""))
    };
    let is_host = !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte));
    let port = if port.is_empty() { Some(usual) } else { port.parse().ok() };
    match port.filter(|port| is_host && *port > 0) {
        Some(port) => Ok((host.to_owned(), port)),
        None => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (String, Option<String>) {
        let address = Address::read(text).unwrap();
        (address.to_string(), address.endpoint)
    }

    #[test]
    fn an_address_is_read_in_all_its_forms() {
        for (text, gateway, endpoint) in [
            ("https://gw:8443/plc1", "https://gw:8443", Some("plc1")),
            ("https://gw:8443/ws/plc1", "https://gw:8443", Some("plc1")),
            ("wss://gw:8443/ws/plc1", "https://gw:8443", Some("plc1")),
            ("gw:8443/plc1", "https://gw:8443", Some("plc1")),
            ("gw/plc1", "https://gw", Some("plc1")),
            ("https://gw:8443", "https://gw:8443", None),
            ("https://gw:8443/", "https://gw:8443", None),
            ("https://gw:8443/ws/", "https://gw:8443", None),
            ("https://gw:443/", "https://gw", None),
            ("http://127.0.0.1:8080/echo", "http://127.0.0.1:8080", Some("echo")),
            ("ws://[::1]:8080/ws/echo", "http://[::1]:8080", Some("echo")),
            ("https://gw/serial/plc1", "https://gw/serial", Some("plc1")),
            ("https://gw/a/serial/ws/plc1", "https://gw/a/serial", Some("plc1")),
            ("https://gw/serial/", "https://gw/serial", None),
            ("https://gw/news/plc1", "https://gw/news", Some("plc1")),
            ("https://gw:8443/#/plc1", "https://gw:8443", Some("plc1")),
            ("https://gw/serial/#/plc1?bare", "https://gw/serial", Some("plc1")),
        ] {
            assert_eq!(read(text), (gateway.into(), endpoint.map(str::to_owned)), "{text}");
        }
        let address = Address::read("https://gw/serial/plc1").unwrap();
        assert_eq!(address.socket("plc1"), "wss://gw/serial/ws/plc1");
    }

    #[test]
    fn what_is_no_address_is_refused_with_a_reason() {
        for (text, why) in [
            ("ftp://gw/x", "is not https://"),
            ("https://anna:secret@gw/plc1", "no name or password"),
            ("https://", "is not HOST"),
            ("https://gw:0/x", "is not HOST"),
            ("https://gw:x/x", "is not HOST"),
            ("https://[::1/x", "is not HOST"),
            ("https://g w/x", "is not HOST"),
            ("https://gw/#/a+b", "`a+b` is not the name of an endpoint"),
            ("gw/ä", "is not the name"),
        ] {
            let told = Address::read(text).unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
        }
    }
}
