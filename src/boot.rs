//! This boot of the machine: its number, and how long it has run.

use std::{fs, time::Duration};

use rustix::time::{ClockId, clock_gettime};

/// The kernel's number of this boot (random(4)); empty where it cannot be seen, as under a unit
/// with `ProcSubset=pid`.
pub(crate) fn number() -> String {
    let seen = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    seen.map(|number| number.trim().to_owned()).unwrap_or_default()
}

/// Time since boot, including sleep (`CLOCK_BOOTTIME`, `clock_gettime(2)`).
pub(crate) fn uptime() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(time.tv_sec.unsigned_abs(), nanos)
}
