//! Targets on the network: reached in the way the daemon reaches them, and speaking what is
//! expected.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use tokio::{
    io::AsyncReadExt as _, net::lookup_host, runtime, sync::Semaphore, task::JoinSet, time::timeout,
};

use super::{
    Subject,
    finding::{DoctorReport, Id},
    system::System,
};
use crate::{
    config::{Endpoint, Rfc2217Target, Target, TcpAddress, TcpTarget},
    listen::connected,
    target::{OpenError, rfc2217, tcp},
};

/// The longest we wait for one, whatever `connect_timeout` says.
const TARGET_WAIT_MAX: Duration = Duration::from_secs(5);
/// How many are tried at a time: each takes a descriptor, of which a shell has 1024.
const TARGETS_AT_ONCE: usize = 256;
/// How long a telnet server has to send its first option.
const TELNET_GREETING: Duration = Duration::from_millis(500);
/// IAC, the first byte of a telnet command, and the four commands that negotiate (RFC 854).
const IAC: u8 = 255;
const NEGOTIATES: std::ops::RangeInclusive<u8> = 251..=254;

/// What came of trying one.
enum Tried {
    Reached,
    /// The daemon, or another program here, has a connection; a second one might be refused or
    /// disturb it.
    Busy,
    Telnet,
    NoControl(String),
    Failed(OpenError),
}

/// Looks at all of them, many at a time.
pub(super) fn look(subject: &Subject<'_>, report: &mut DoctorReport) {
    let Some(config) = subject.config else { return };
    let Ok(runtime) = runtime::Builder::new_current_thread().enable_all().build() else { return };
    let proc = subject.machine.roots.proc.clone();
    let mut tried = runtime.block_on(async {
        let mut all = JoinSet::new();
        let free = Arc::new(Semaphore::new(TARGETS_AT_ONCE));
        for endpoint in config.endpoints.values().map(Arc::clone) {
            let (proc, free) = (proc.clone(), Arc::clone(&free));
            all.spawn(async move {
                let _turn = free.acquire_owned().await;
                let outcome = attempt(&endpoint, &proc).await;
                (endpoint, outcome)
            });
        }
        all.join_all().await
    });
    // A name look-up cannot be cancelled, and nobody waits for it.
    runtime.shutdown_background();
    tried.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    for (endpoint, outcome) in &tried {
        if let Some((address, outcome)) = outcome {
            tell(&report.system.place("endpoint", &endpoint.name), address, outcome, report);
        }
    }
}

async fn attempt(endpoint: &Endpoint, proc: &Path) -> Option<(TcpAddress, Tried)> {
    match &endpoint.target {
        Target::Tcp(target) => Some((target.address.clone(), stream(target, proc).await)),
        Target::Rfc2217(target) => Some((target.tcp.address.clone(), port(target, proc).await)),
        // UDP has nobody to answer an attempt, and a device that connects to us does so itself.
        Target::Serial(_) | Target::DialIn(_) | Target::Udp(_) | Target::Sim(_) => None,
    }
}

async fn stream(target: &TcpTarget, proc: &Path) -> Tried {
    if is_connected(&target.address, proc).await {
        return Tried::Busy;
    }
    let target = TcpTarget {
        connect_timeout: target.connect_timeout.min(TARGET_WAIT_MAX),
        ..target.clone()
    };
    match tcp::connect(&target).await {
        Err(error) => Tried::Failed(error),
        Ok(mut stream) => {
            let mut first = [0; 2];
            let read = timeout(TELNET_GREETING, stream.read_exact(&mut first)).await;
            let telnet =
                matches!(read, Ok(Ok(_))) && first[0] == IAC && NEGOTIATES.contains(&first[1]);
            if telnet { Tried::Telnet } else { Tried::Reached }
        }
    }
}

async fn port(target: &Rfc2217Target, proc: &Path) -> Tried {
    if is_connected(&target.tcp.address, proc).await {
        return Tried::Busy;
    }
    let mut target = target.clone();
    target.tcp.connect_timeout = target.tcp.connect_timeout.min(TARGET_WAIT_MAX);
    match rfc2217::open(&target, &mut rfc2217::PeerLimits::default()).await {
        Ok(_) => Tried::Reached,
        // The target can be reached, but what answers does not control a port.
        Err(OpenError::Unfit(why) | OpenError::Timeout(why)) if why.contains("RFC 2217") => {
            Tried::NoControl(why)
        }
        Err(error) => Tried::Failed(error),
    }
}

async fn is_connected(address: &TcpAddress, proc: &Path) -> bool {
    let TcpAddress::Host(host, port) = address else { return false };
    let found = timeout(TARGET_WAIT_MAX, lookup_host((host.as_str(), *port))).await;
    let addresses: Vec<SocketAddr> =
        found.ok().and_then(Result::ok).into_iter().flatten().collect();
    addresses.into_iter().any(|address| !connected(proc, address).is_empty())
}

/// Reports what came of trying a target, with the next thing to type.
fn tell(place: &str, address: &TcpAddress, outcome: &Tried, report: &mut DoctorReport) {
    match outcome {
        Tried::Reached => report.ok(Id::Target, place, format!("{address} answers")),
        Tried::Busy => report.ok(Id::Target, place, format!("{address} is connected")),
        Tried::Failed(error) => {
            let why = error.to_string();
            let fix = match address {
                TcpAddress::Host(host, _) if why.contains("resolved") => {
                    vec![format!("{} {host}", report.system.pick("getent hosts", "nslookup"))]
                }
                TcpAddress::Host(host, port) => {
                    let nc = report.system.pick("nc -vz", "nc");
                    vec![format!("{nc} {host} {port}    # cable, power, address, firewall, VLAN")]
                }
                TcpAddress::Unix(path) => vec![format!("ls -l {}", path.display())],
            };
            let named = why.contains(&address.to_string());
            let what = if named { why.clone() } else { format!("{address}: {why}") };
            report.wrong(Id::TargetUnreachable, place, what, &fix);
            report.because(reason(error));
        }
        Tried::Telnet => {
            let tcp = report.system.pick("tcp:", "option type 'tcp'");
            let what = format!(
                "{address} speaks telnet, and `{tcp}` passes its commands on as if they were data"
            );
            let fix = match report.system {
                System::Linux => vec![format!(
                    "rfc2217: {{ address: \"{address}\", control: optional }}    # in place of tcp:"
                )],
                System::OpenWrt => {
                    vec!["option type 'rfc2217'".into(), "option control 'optional'".into()]
                }
            };
            report.hint(Id::TargetTelnet, place, what, &fix);
        }
        Tried::NoControl(why) => {
            let fix = report.system.pick(
                [
                    "control: optional    # telnet without control of the port".to_owned(),
                    format!("tcp: {{ address: \"{address}\" }}    # raw bytes"),
                ],
                [
                    "option control 'optional'    # telnet without control of the port".to_owned(),
                    "option type 'tcp'    # raw bytes".into(),
                ],
            );
            report.wrong(Id::TargetTelnet, place, why.clone(), &fix);
        }
    }
}

/// Why a target cannot be reached, in as few words as possible.
fn reason(error: &OpenError) -> &'static str {
    match error {
        OpenError::Absent(_) => "no such name",
        OpenError::Refused(_) => "refused or unreachable",
        OpenError::Timeout(_) => "no answer",
        OpenError::Denied(_) | OpenError::InUse(_) | OpenError::Unfit(_) => "other",
    }
}
