//! Answers that never come, or come late.

use tokio::sync::watch;

use super::*;

/// The controls of a port, somebody who reads, and the far end.
async fn controlled()
-> (TcpStream, Arc<RemotePort>, watch::Receiver<PeerState>, impl Future<Output = String>) {
    let (far, mut reader, _writer, link) = pair(false).await;
    let heard = link.subscribe();
    let port =
        Arc::new(RemotePort::new(link, true, Settings::default(), Duration::from_secs(3), &[]));
    (far, port, heard, async move { Early::default().fill(&mut reader).await })
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_comes_is_waited_for_once_and_again_when_it_came_late() {
    let (mut far, port, mut heard, read) = controlled().await;
    let work = async {
        let waited = async |work: &mut (dyn Future<Output = ()> + Unpin)| {
            let begun = tokio::time::Instant::now();
            work.await;
            begun.elapsed()
        };
        let flush = || Box::pin(async { port.flush(true, true).await.unwrap() });
        let set = |baud| {
            let port = &port;
            Box::pin(async move {
                port.configure(Settings { baud, ..Settings::default() }).await.unwrap();
            })
        };
        assert_eq!(waited(&mut flush()).await, Duration::from_secs(3));
        assert_eq!(waited(&mut flush()).await, Duration::ZERO);
        // What is answered is still waited for, although something else is not answered.
        assert_eq!(waited(&mut set(19_200)).await, Duration::from_secs(3));
        assert_eq!(waited(&mut set(9600)).await, Duration::ZERO);
        let mut wire = Vec::new();
        telnet::sub(44, &[112, 3], &mut wire);
        far.write_all(&wire).await.unwrap();
        heard.wait_for(|heard| heard.answers(heard::PeerRequest::Purge) == 1).await.unwrap();
        assert_eq!(waited(&mut flush()).await, Duration::from_secs(3));
    };
    tokio::select! {
        () = work => {}
        why = read => panic!("{why}"),
    }
}

#[tokio::test(start_paused = true)]
async fn settings_that_are_confirmed_in_part_are_waited_for_in_part() {
    let (mut far, port, _, read) = controlled().await;
    let work = async {
        let mut other = Settings { baud: 4800, ..Settings::default() };
        let begun = tokio::time::Instant::now();
        // The speed is confirmed, and nothing else ever is.
        for baud in [4800, 2400, 1200_u32] {
            other.baud = baud;
            let peer = async {
                let mut wire = Vec::new();
                telnet::sub(44, &[&[101][..], &baud.to_be_bytes()].concat(), &mut wire);
                let mut asked = [0; 7];
                far.read_exact(&mut asked).await.unwrap();
                far.write_all(&wire).await.unwrap();
            };
            let (set, ()) = tokio::join!(port.configure(other), peer);
            assert_eq!(set, Ok(()));
            assert_eq!(port.settings(), Ok(other));
        }
        assert_eq!(begun.elapsed(), Duration::from_secs(3));
    };
    tokio::select! {
        () = work => {}
        why = read => panic!("{why}"),
    }
}

#[tokio::test]
async fn what_a_peer_never_answers_is_not_waited_for_at_each_connection() {
    for (sends, control) in
        [(&DO_COM_PORT[..], PortControl::Required), (b"login: ", PortControl::Optional)]
    {
        let (listener, mut target) = far().await;
        (target.control, target.tcp.connect_timeout) = (control, Duration::from_secs(3));
        let peer = async {
            let mut all = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(sends).await.unwrap();
                all.push(stream);
            }
        };
        let work = async {
            let mut learnt = PeerLimits::default();
            let begun = tokio::time::Instant::now();
            let first = open(&target, &mut learnt).await.unwrap();
            let took = begun.elapsed();
            assert!(took >= Duration::from_secs(3), "{took:?}");
            drop(first);
            open(&target, &mut learnt).await.unwrap();
            // Half a second goes to the options that are not answered.
            let again = begun.elapsed().saturating_sub(took);
            assert!(again < Duration::from_millis(2500), "{again:?}");
        };
        tokio::select! {
            () = work => {}
            () = peer => unreachable!(),
        }
    }
}
