//! What this process uses of the system, as the kernel reports it under /proc.

use std::{fs, time::Duration};

use rustix::{
    process::{Resource, getrlimit},
    time::{ClockId, clock_gettime},
};

use crate::metrics::ProcessUsage;

/// What it uses now; `None` where there is no /proc.
pub(crate) fn observe() -> Option<ProcessUsage> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    // One of them is the folder being read.
    let open_files = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
    Some(ProcessUsage {
        cpu: Duration::try_from(cpu).ok()?,
        resident: bytes(&status, "VmRSS:")?,
        virtual_memory: bytes(&status, "VmSize:")?,
        threads: number(&status, "Threads:")?,
        open_files: u64::try_from(open_files).ok()?,
        max_files: getrlimit(Resource::Nofile).current,
    })
}

/// A field of `status` in `kB`.
fn bytes(status: &str, field: &str) -> Option<u64> {
    number(status, field)?.checked_mul(1024)
}

fn number(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_what_it_takes() {
        let now = observe().unwrap();
        assert!(now.resident > 1 << 20 && now.virtual_memory >= now.resident, "{now:?}");
        assert!(now.threads >= 1 && now.open_files >= 3, "{now:?}");
        assert!(now.max_files.is_none_or(|most| most > now.open_files), "{now:?}");
        assert!(now.cpu > Duration::ZERO, "{now:?}");
    }
}
