//! A network that breaks: a TCP proxy that cuts its connections after so many bytes, even within a
//! frame.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use socket2::SockRef;

/// A proxy; its threads end with their connections.
#[derive(Debug)]
pub(crate) struct Cutter {
    address: SocketAddr,
    cuts: Arc<AtomicUsize>,
    last: Arc<Mutex<Option<TcpStream>>>,
    swallows: Arc<AtomicBool>,
}

impl Cutter {
    /// A proxy to `to`. Each connection carries as many bytes, both directions together, as the
    /// next of `limits` says; after the last limit nothing is cut.
    pub(crate) fn start(to: SocketAddr, limits: Vec<usize>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (cuts, last) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None)));
        let (counted, kept) = (Arc::clone(&cuts), Arc::clone(&last));
        let swallows = Arc::new(AtomicBool::new(false));
        let hole = Arc::clone(&swallows);
        thread::spawn(move || {
            let mut limits = limits.into_iter();
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(to) else { continue };
                *kept.lock().unwrap() = Some(near.try_clone().unwrap());
                let left = Arc::new(AtomicUsize::new(limits.next().unwrap_or(usize::MAX)));
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let (left, cuts, hole) =
                        (Arc::clone(&left), Arc::clone(&counted), Arc::clone(&hole));
                    thread::spawn(move || carry(from, to, (&left, &cuts, &hole)));
                }
            }
        });
        Self { address, cuts, last, swallows }
    }

    /// Where clients connect.
    pub(crate) fn url(&self, endpoint: &str) -> String {
        format!("ws://{}/ws/{endpoint}", self.address)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Carries nothing from now on, and says nothing: a network that has gone without a word.
    pub(crate) fn swallow(&self) {
        self.swallows.store(true, Ordering::Relaxed);
    }

    /// How many connections were cut.
    pub(crate) fn cuts(&self) -> usize {
        self.cuts.load(Ordering::Relaxed)
    }

    /// Cuts the most recent connection now.
    pub(crate) fn cut(&self) {
        let last = self.last.lock().unwrap().take().expect("a connection");
        last.shutdown(Shutdown::Both).unwrap();
    }
}

fn carry(
    mut from: TcpStream,
    mut to: TcpStream,
    (left, cuts, hole): (&AtomicUsize, &AtomicUsize, &AtomicBool),
) {
    let mut buffer = vec![0; 48 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if hole.load(Ordering::Relaxed) {
            continue;
        }
        let before = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            Some(if left == usize::MAX { left } else { left.saturating_sub(read) })
        });
        let before = before.unwrap();
        // Only the direction that gets here first cuts; it is counted before the other one can end
        // the connection.
        if before > 0 && before <= read {
            cuts.fetch_add(1, Ordering::Relaxed);
        }
        if to.write_all(&buffer[..read.min(before)]).is_err() {
            break;
        }
        if before <= read {
            // A reset, as a network that has gone gives it: what is under way is lost.
            SockRef::from(&from).set_linger(Some(Duration::ZERO)).ok();
            break;
        }
    }
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
}
