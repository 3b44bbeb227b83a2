//! What the kernel says of a process and its descendants: CPU time, memory.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::thread::{CpuSet, sched_setaffinity};

use crate::Outcome;

/// Where relays run, and where the load does.
const PROCESSORS: [usize; 2] = [0, 1];

static PINNED: AtomicBool = AtomicBool::new(false);

/// From now on the load has a processor of its own, and so have the relays.
pub(crate) fn pin() -> Outcome<()> {
    PINNED.store(true, Ordering::Relaxed);
    Ok(stay_on(PROCESSORS[1])?)
}

/// Does something whose children inherit the relays' processor.
pub(crate) fn among_relays<T>(work: impl FnOnce() -> T) -> Outcome<T> {
    if !PINNED.load(Ordering::Relaxed) {
        return Ok(work());
    }
    stay_on(PROCESSORS[0])?;
    let result = work();
    stay_on(PROCESSORS[1])?;
    Ok(result)
}

fn stay_on(processor: usize) -> rustix::io::Result<()> {
    let mut set = CpuSet::new();
    set.set(processor);
    sched_setaffinity(None, &set)
}

/// A process to be measured, its living descendants included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// CPU time used so far in nanoseconds: threads that live to the nanosecond (`schedstat`),
    /// descendants that were waited for in clock ticks.
    pub(crate) fn cpu(self) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.0)).into_iter().flatten().flatten();
        let own: u64 = tasks.map(|task| schedstat(&task.path())).sum();
        let living: u64 = self.children().into_iter().map(Self::cpu).sum();
        own + living + self.waited_for()
    }

    /// CPU time of descendants that have ended, in nanoseconds of 10 ms steps.
    fn waited_for(self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
        // Behind the name, which may hold anything, `cutime` and `cstime` are the 14th and 15th.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: u64 =
            fields.skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        ticks * 10_000_000
    }

    /// Proportional set size in KiB (`smaps_rollup`): private pages, and each shared page's part.
    pub(crate) fn memory(self) -> u64 {
        let rollup =
            fs::read_to_string(format!("/proc/{}/smaps_rollup", self.0)).unwrap_or_default();
        let own = field(&rollup, "Pss:");
        own + self.children().into_iter().map(Self::memory).sum::<u64>()
    }

    /// Resident set size in KiB.
    pub(crate) fn resident(self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap_or_default();
        let own = field(&status, "VmRSS:");
        own + self.children().into_iter().map(Self::resident).sum::<u64>()
    }

    /// Memory that is no file's, in KiB: what the system cannot take back.
    pub(crate) fn anonymous(self) -> u64 {
        field(
            &fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap_or_default(),
            "RssAnon:",
        )
    }

    pub(crate) fn children(self) -> Vec<Self> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.0)).into_iter().flatten().flatten();
        let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        lists
            .flat_map(|list| {
                list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()
            })
            .map(Self)
            .collect()
    }
}

fn schedstat(task: &Path) -> u64 {
    let text = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
    text.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or_default()
}

/// A line `Name:   123 kB`.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or_default()
}
