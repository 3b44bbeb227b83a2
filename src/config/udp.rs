//! A UDP target: its part of the configuration.

use std::fmt;

use super::{TcpAddress, cursor::Keys};

/// A UDP port of another machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UdpTarget {
    /// Host name or address; resolved when the socket is opened.
    pub host: String,
    pub port: u16,
    /// Our own port; `None` takes any.
    pub local_port: Option<u16>,
}

impl fmt::Display for UdpTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        TcpAddress::Host(self.host.clone(), self.port).fmt(f)
    }
}

/// Reads `udp:`.
pub(super) fn udp(k: &mut Keys<'_>) -> Option<UdpTarget> {
    let address = k
        .key(
            "address",
            "`HOST:PORT` (resolved when it is opened) or `\"[IPv6]:PORT\"`: datagrams go there, and only those from there are accepted",
        )
        .uci("address")
        .needed::<TcpAddress>();
    let local_port = k
        .key(
            "local_port",
            "our own port, for a device that sends to one without being asked; a firewall must let it in",
        )
        .without("any")
        .uci("local_port")
        .within::<u32>(1..=65_535)
        .maybe();
    let address = address?;
    match address.value {
        TcpAddress::Host(host, port) => {
            let local_port = local_port.and_then(|it| u16::try_from(it.value).ok());
            Some(UdpTarget { host, port, local_port })
        }
        TcpAddress::Unix(_) => {
            k.wrong_in("address", address.at, "UDP has no unix sockets; write HOST:PORT");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Share, Target, parse};

    fn read(endpoint: &str) -> Result<(Target, Option<Share>), String> {
        let text = format!("auth: none\nendpoints:\n  e: {{ {endpoint} }}\n");
        let (config, _) =
            parse(&text, "w.yaml", &|_| Err(String::new())).map_err(|error| error.to_string())?;
        let endpoint = &config.endpoints["e"];
        Ok((endpoint.target.clone(), endpoint.share))
    }

    #[test]
    fn it_is_a_line_and_its_address_is_a_host_and_a_port() {
        let (target, share) = read("udp: { address: '[2001:db8::7]:10110' }").unwrap();
        let Target::Udp(udp) = target else { panic!("{target:?}") };
        assert_eq!((udp.host.as_str(), udp.port, udp.local_port), ("2001:db8::7", 10110, None));
        assert_eq!(
            (udp.to_string().as_str(), share),
            ("[2001:db8::7]:10110", Some(Share::OneWriter))
        );
        let (target, _) = read("udp: { address: 'h:1', local_port: 10110 }").unwrap();
        let Target::Udp(udp) = target else { panic!("{target:?}") };
        assert_eq!(udp.local_port, Some(10110));
    }

    #[test]
    fn what_a_datagram_has_no_use_for_is_refused_with_a_way_out() {
        for (endpoint, part) in [
            ("udp: { address: 'unix:/run/d' }", "write HOST:PORT"),
            ("udp: {}", "address"),
            ("udp: { address: 'h:1', local_port: 0 }", "not from 1 to 65535"),
            ("udp: { address: 'h:1', keepalive: 3s }", "keepalive"),
            ("udp: { address: 'h:1' }, packing: { idle_ms: 4 }", "each datagram is one message"),
            ("udp: { address: 'h:1' }, pacing: { byte_delay: 1ms }", "a datagram goes whole"),
            ("udp: { address: 'h:1' }, sim: echo", "exactly one of"),
        ] {
            let error = read(endpoint).unwrap_err();
            assert!(error.contains(part) && error.contains("w.yaml:3:"), "{endpoint}\n{error}");
        }
        assert!(read("udp: { address: 'h:1' }, packing: none").is_ok());
    }
}
