//! A name's addresses: each is tried, the next a moment after the one before, and the first that
//! answers is used.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpStream, lookup_host},
    task::JoinSet,
    time::sleep,
};

/// How long an address is tried alone (RFC 8305 section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// Connects to one of the addresses of a host.
pub(super) async fn reach(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = first(in_turn(lookup_host((host, port)).await?.collect())).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The kinds of address alternately, beginning with the one the system prefers: if one kind leads
/// nowhere, the other is soon tried.
fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let six = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == six);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut turns = Vec::new();
    loop {
        let before = turns.len();
        turns.extend(first.next());
        turns.extend(second.next());
        if turns.len() == before {
            return turns;
        }
    }
}

async fn first(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut left = addresses.into_iter();
    // Attempts that still run when one has succeeded end with the set.
    let mut tried = JoinSet::new();
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        let more = match left.next() {
            Some(address) => {
                tried.spawn(async move {
                    let stream = TcpStream::connect(address).await;
                    stream.map_err(|error| {
                        io::Error::new(error.kind(), format!("{address}: {error}"))
                    })
                });
                left.len() > 0
            }
            None if tried.is_empty() => return Err(failed),
            None => false,
        };
        tokio::select! {
            Some(ended) = tried.join_next() => match ended {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failed = error,
                Err(error) => failed = io::Error::other(error),
            },
            () = sleep(STAGGER), if more => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn kinds_of_address_take_turns() {
        let all = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"].map(|text| text.parse().unwrap());
        let turns: Vec<_> = in_turn(all.to_vec()).iter().map(ToString::to_string).collect();
        assert_eq!(turns, ["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]);
    }

    #[tokio::test]
    async fn an_address_that_refuses_is_followed_by_the_next_and_the_last_failure_is_told() {
        let good = TcpListener::bind("127.0.0.1:0").unwrap();
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let stream = first(vec![gone, good.local_addr().unwrap()]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good.local_addr().unwrap());
        let failed = first(vec![gone]).await.unwrap_err();
        assert!(failed.to_string().contains(&gone.to_string()), "{failed}");
        assert!(first(Vec::new()).await.unwrap_err().to_string().contains("no address"));
    }
}
