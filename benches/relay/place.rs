//! Which processor runs what: where the scheduler puts two processes that wake each other changes
//! the cost of a wake-up fivefold, and differs from round to round.

use std::fs;

use rustix::{
    process::Pid,
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

use crate::{Outcome, process::Process, relay::Relay};

/// Where relay and load generator run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// Both on one processor, as on a small gateway.
    Together,
    /// The relay has a processor for itself.
    Apart,
}

/// Everything is where it was when this is dropped.
#[derive(Debug)]
pub(crate) struct Placed {
    before: CpuSet,
    processes: Vec<Process>,
}

impl Drop for Placed {
    fn drop(&mut self) {
        // What cannot be put back has ended.
        let _ = sched_setaffinity(None, &self.before);
        for process in &self.processes {
            pin(*process, &self.before);
        }
    }
}

/// Puts the calling thread, those it will start, and a relay where they are wanted.
pub(crate) fn put(place: Place, relay: &Relay) -> Outcome<Placed> {
    let before = sched_getaffinity(None)?;
    let last = (0..CpuSet::MAX_CPU).rev().find(|cpu| before.is_set(*cpu)).unwrap_or_default();
    let mut alone = CpuSet::new();
    alone.set(last);
    let mut rest = before;
    rest.unset(last);
    let (ours, theirs) = match place {
        Place::Together => (alone, alone),
        Place::Apart if before.count() > 1 => (rest, alone),
        Place::Apart => (before, before),
    };
    sched_setaffinity(None, &ours)?;
    for process in &relay.processes {
        pin(*process, &theirs);
    }
    Ok(Placed { before, processes: relay.processes.clone() })
}

/// Every thread of a process and of its descendants; those that end meanwhile need no place.
fn pin(process: Process, cpus: &CpuSet) {
    for task in fs::read_dir(format!("/proc/{}/task", process.0)).into_iter().flatten().flatten() {
        let id = task.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(id) = id.and_then(Pid::from_raw) {
            let _ = sched_setaffinity(Some(id), cpus);
        }
    }
    for child in process.children() {
        pin(child, cpus);
    }
}
