//! Whose password is hashed next: few at a time, a bounded number waiting, and no source ahead of
//! the others.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};

use super::Source;

/// Tries that may wait. If there are more, one is refused: the newest of the source with the most.
const TURNS_MAX: usize = 64;
/// The longest that one waits.
const TURN_WAIT_MAX: Duration = Duration::from_secs(10);

/// The tries that are running or waiting.
#[derive(Debug, Default)]
pub(super) struct Turns {
    state: Mutex<TurnQueue>,
}

#[derive(Debug, Default)]
struct TurnQueue {
    at_once: usize,
    running: usize,
    /// The source that got the last turn; another's goes first.
    last: Option<Source>,
    waiting: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    source: Source,
    go: oneshot::Sender<Turn>,
}

/// The right to hash now. It belongs to the hash, not to whoever asked for it, and ends when
/// dropped.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Arc<Turns>,
}

impl Turns {
    /// Waits for a turn for `source`, with at most `at_once` running. `None`: too many wait, or it
    /// took too long.
    pub(super) async fn wait(self: &Arc<Self>, source: Source, at_once: usize) -> Option<Turn> {
        let (go, told) = oneshot::channel();
        self.lock().enqueue(Waiter { source, go }, at_once);
        self.advance();
        timeout(TURN_WAIT_MAX, told).await.ok()?.ok()
    }

    /// Whether nothing is being hashed and nobody waits.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.running == 0 && state.waiting.is_empty()
    }

    /// Gives turns while there are any to give.
    fn advance(self: &Arc<Self>) {
        loop {
            let Some(waiter) = self.lock().next() else { return };
            // A waiter that has left gives it back immediately, and the next one gets it.
            drop(waiter.go.send(Turn { turns: Arc::clone(self) }));
        }
    }

    fn lock(&self) -> MutexGuard<'_, TurnQueue> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TurnQueue {
    /// Adds a waiter; if there are too many, the newest of the source with the most is dropped,
    /// which refuses it.
    fn enqueue(&mut self, waiter: Waiter, at_once: usize) {
        self.at_once = at_once;
        self.waiting.retain(|waiter| !waiter.go.is_closed());
        self.waiting.push_back(waiter);
        if self.waiting.len() <= TURNS_MAX {
            return;
        }
        let count = |source| self.waiting.iter().filter(|waiter| waiter.source == source).count();
        let most = self.waiting.iter().map(|waiter| count(waiter.source)).max();
        // If several sources have the most, the newest waiter among them goes.
        let newest = self.waiting.iter().rposition(|waiter| Some(count(waiter.source)) == most);
        if let Some(newest) = newest {
            self.waiting.remove(newest);
        }
    }

    /// Who goes next, now counted as running: the oldest from another source than the last, or else
    /// the oldest.
    fn next(&mut self) -> Option<Waiter> {
        self.waiting.retain(|waiter| !waiter.go.is_closed());
        if self.running >= self.at_once {
            return None;
        }
        let other = self.waiting.iter().position(|waiter| Some(waiter.source) != self.last);
        let waiter = self.waiting.remove(other.unwrap_or(0))?;
        self.running += 1;
        self.last = Some(waiter.source);
        Some(waiter)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.turns.lock();
        state.running = state.running.saturating_sub(1);
        drop(state);
        self.turns.advance();
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::task::{JoinHandle, yield_now};
    use tokio_util::task::TaskTracker;

    use super::*;

    type Order = Arc<Mutex<Vec<&'static str>>>;

    fn source(number: u8) -> Source {
        Source::V4(Ipv4Addr::new(192, 0, 2, number))
    }

    /// A try that notes its name when its turn comes; true if it came.
    async fn begin(
        turns: &Arc<Turns>,
        number: u8,
        (name, order): (&'static str, &Order),
    ) -> JoinHandle<bool> {
        let (turns, order) = (Arc::clone(turns), Arc::clone(order));
        let waits = TaskTracker::new().spawn(async move {
            let turn = turns.wait(source(number), 1).await;
            order.lock().unwrap().extend(turn.iter().map(|_| name));
            turn.is_some()
        });
        yield_now().await;
        waits
    }

    #[tokio::test(start_paused = true)]
    async fn one_source_does_not_keep_the_others_waiting() {
        let (turns, order) = (Arc::new(Turns::default()), Order::default());
        let held = turns.wait(source(1), 1).await;
        let mut all = Vec::new();
        for (number, name) in [(1, "a1"), (1, "a2"), (1, "a3"), (2, "b"), (3, "c")] {
            all.push(begin(&turns, number, (name, &order)).await);
        }
        assert!(order.lock().unwrap().is_empty(), "one at a time");
        drop(held);
        for wait in all {
            assert!(wait.await.unwrap());
        }
        assert_eq!(*order.lock().unwrap(), ["b", "a1", "c", "a2", "a3"]);
        assert!(turns.is_idle());
    }

    #[tokio::test(start_paused = true)]
    async fn of_too_many_the_newest_of_the_fullest_source_is_refused() {
        let (turns, order) = (Arc::new(Turns::default()), Order::default());
        let held = turns.wait(source(9), 1).await;
        let mut noisy = Vec::new();
        for _ in 0..TURNS_MAX {
            noisy.push(begin(&turns, 1, ("noisy", &order)).await);
        }
        let calm = begin(&turns, 2, ("calm", &order)).await;
        let late = begin(&turns, 1, ("late", &order)).await;
        assert!(!noisy.pop().unwrap().await.unwrap(), "gave way to the other source");
        assert!(!late.await.unwrap());
        drop(held);
        assert!(calm.await.unwrap());
        for wait in noisy {
            assert!(wait.await.unwrap());
        }
        assert_eq!(order.lock().unwrap().iter().position(|name| *name == "calm"), Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever_and_who_has_left_takes_no_turn() {
        let (turns, order) = (Arc::new(Turns::default()), Order::default());
        let held = turns.wait(source(9), 1).await;
        let left = begin(&turns, 1, ("left", &order)).await;
        left.abort();
        let late = begin(&turns, 2, ("late", &order)).await;
        assert!(!late.await.unwrap(), "ten seconds are over");
        let stays = begin(&turns, 3, ("stays", &order)).await;
        drop(held);
        assert!(stays.await.unwrap());
        assert_eq!(*order.lock().unwrap(), ["stays"]);
        assert!(turns.is_idle());
    }
}
