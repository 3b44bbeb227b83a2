//! Tests of the queue from seats to device.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Wake,
};

use super::{
    super::task::{Action, Undone},
    *,
};

/// What comes next; at most `most` bytes of it go to the device.
fn next(input: &Input, most: usize) -> Option<Vec<u8>> {
    match input.poll_front(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Next::Data(front)) => {
            let bytes = front.bytes().split_at(most.min(front.bytes().len())).0.to_vec();
            front.consumed(bytes.len());
            Some(bytes)
        }
        Poll::Ready(Next::Turn) => {
            input.turn(0);
            next(input, most)
        }
        Poll::Ready(Next::Task(task)) => Some(format!("{:?}", task.what).into_bytes()),
        Poll::Pending => None,
    }
}

#[tokio::test]
async fn a_full_window_holds_back_its_own_seat_alone() {
    let input = Input::default();
    input.enter(1);
    input.enter(2);
    let first = poll_fn(|cx| input.poll_push(1, cx, &vec![1; 2 * WINDOW])).await;
    assert_eq!(first, WINDOW);
    assert!(poll_fn(|cx| Poll::Ready(input.poll_push(1, cx, &[1]).is_pending())).await);
    assert_eq!(poll_fn(|cx| input.poll_push(2, cx, &[2])).await, 1);
    assert_eq!(input.depth(), WINDOW + 1);
    assert_eq!(input.leave(1), WINDOW);
    assert_eq!(next(&input, 10), Some(vec![2]));
    assert_eq!(next(&input, 10), None);
}

#[tokio::test]
async fn a_queue_that_never_runs_empty_keeps_no_more_than_its_window() {
    let input = Input::default();
    input.enter(1);
    poll_fn(|cx| input.poll_push(1, cx, &vec![1; WINDOW])).await;
    for _ in 0..2000 {
        let n = next(&input, 1000).unwrap().len();
        poll_fn(|cx| input.poll_push(1, cx, &vec![1; n])).await;
        assert!(input.depth() > 0);
    }
    let kept: usize = input.lock().queue.iter().map(|(_, item)| item.capacity()).sum();
    assert!(kept <= 2 * WINDOW + 2 * QUEUE_PIECE, "{kept}");
}

/// Whether a waker was used.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_seat_is_woken_when_a_quarter_of_its_window_is_free_or_all_is_done() {
    let input = Input::default();
    input.enter(1);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    let is_woken = || woken.0.swap(false, Ordering::Relaxed);
    poll_fn(|cx| input.poll_push(1, cx, &vec![1; WINDOW])).await;
    assert!(input.poll_push(1, &mut cx, b"more").is_pending());
    for _ in 0..4 {
        assert!(!is_woken());
        assert_eq!(next(&input, 4096).unwrap().len(), 4096);
    }
    assert!(is_woken());
    // A seat that waits to be told is told at each quarter.
    assert!(input.poll_done(1, &mut cx, WORTH, 0).is_pending());
    let mut told = Vec::new();
    while input.depth() > 0 {
        assert_eq!(next(&input, 4096).unwrap().len(), 4096);
        if is_woken() {
            told.push(input.progress(1).done);
            assert!(input.poll_done(1, &mut cx, input.progress(1).done, 0).is_pending());
        }
    }
    assert_eq!(told, [2 * WORTH, 3 * WORTH, 4 * WORTH]);
    poll_fn(|cx| input.poll_push(1, cx, b"x")).await;
    assert!(input.poll_done(1, &mut cx, 4 * WORTH, 0).is_pending() && !is_woken());
    next(&input, 1).unwrap();
    assert!(is_woken(), "all there was is done");
}

#[tokio::test]
async fn data_and_tasks_take_effect_in_the_order_sent() {
    let input = Input::default();
    input.enter(1);
    poll_fn(|cx| input.poll_push(1, cx, b"before")).await;
    let (task, mut drained) = Task::new(Action::Drain);
    input.offer(1, task);
    poll_fn(|cx| input.poll_push(1, cx, b"after")).await;
    let seen: Vec<_> =
        (0..3).map(|_| String::from_utf8(next(&input, 10).unwrap()).unwrap()).collect();
    assert_eq!(seen, ["before", "Drain", "after"]);
    assert!(drained.try_recv().is_err());
}

/// A step that holds for this long.
fn hold(seconds: u64) -> Action {
    let hold = Duration::from_secs(seconds);
    let step = crate::settings::Step { change: crate::settings::Levels::default(), hold, at: None };
    Action::Signals { steps: vec![step], seat: 1, by: None }
}

#[tokio::test]
async fn what_is_cut_begins_with_the_first_task_and_data_before_it_and_others_stay() {
    let input = Input::default();
    input.enter(1);
    input.enter(2);
    poll_fn(|cx| input.poll_push(1, cx, b"before")).await;
    let (task, mut first) = Task::new(Action::Drain);
    input.offer(1, task);
    poll_fn(|cx| input.poll_push(1, cx, b"behind")).await;
    poll_fn(|cx| input.poll_push(2, cx, b"another's")).await;
    let (task, mut second) = Task::new(hold(9));
    input.offer(1, task);
    assert_eq!(next(&input, 2), Some(b"be".to_vec()));
    assert_eq!(input.cut(1, CutPoint::Waiting), 6);
    assert_eq!(
        (first.try_recv(), second.try_recv()),
        (Ok(Err(Undone::Taken)), Ok(Err(Undone::Taken)))
    );
    assert_eq!(input.progress(1), Progress { taken: 12, done: 8, lost: 6, too_long: 0 });
    let seen: Vec<_> =
        (0..2).map(|_| String::from_utf8(next(&input, 10).unwrap()).unwrap()).collect();
    assert_eq!(seen, ["fore", "another's"]);
    assert_eq!(input.progress(1), Progress { taken: 12, done: 12, lost: 6, too_long: 0 });
    // What it waited for is no longer held against it.
    let (task, mut third) = Task::new(hold(10));
    input.offer(1, task);
    assert!(third.try_recv().is_err());
}

#[tokio::test]
async fn where_a_task_runs_everything_is_behind_it_and_its_wait_ends() {
    let input = Input::default();
    input.enter(1);
    input.enter(2);
    input.offer(1, Task::new(hold(9)).0);
    poll_fn(|cx| input.poll_push(1, cx, b"behind")).await;
    let Poll::Ready(Next::Task(running)) =
        input.poll_front(&mut Context::from_waker(Waker::noop()))
    else {
        panic!("no task");
    };
    // Whoever takes over does not wait for it.
    let ahead = input.push_ahead(2, 1, Task::new(Action::Drain).0);
    assert!(ahead.is_some() && !running.turn.is_cancelled());
    assert_eq!(input.cut(1, CutPoint::Waiting), 6);
    assert!(running.turn.is_cancelled());
    assert_eq!(next(&input, 10), None);
}

#[tokio::test]
async fn a_task_ahead_stands_behind_the_data_that_go_and_before_what_waits() {
    let input = Input::default();
    input.enter(1);
    input.enter(2);
    poll_fn(|cx| input.poll_push(1, cx, b"before")).await;
    input.offer(1, Task::new(hold(9)).0);
    poll_fn(|cx| input.poll_push(1, cx, b"behind")).await;
    assert!(input.push_ahead(2, 1, Task::new(Action::Drain).0).is_none());
    let seen: Vec<_> =
        (0..2).map(|_| String::from_utf8(next(&input, 10).unwrap()).unwrap()).collect();
    assert_eq!(seen, ["before", "Drain"]);
    assert!(next(&input, 10).unwrap().starts_with(b"Signals"));
}

#[tokio::test]
async fn what_a_seat_has_queued_waits_for_ten_seconds_at_most_until_it_is_done() {
    let input = Input::default();
    input.enter(1);
    let offer = |seconds| {
        let (task, mut outcome) = Task::new(hold(seconds));
        input.offer(1, task);
        outcome.try_recv().ok()
    };
    assert_eq!((offer(6), offer(4), offer(1)), (None, None, Some(Err(Undone::TooLong))));
    // The one that runs still waits.
    next(&input, 1).unwrap();
    assert_eq!(offer(1), Some(Err(Undone::TooLong)));
    next(&input, 1).unwrap();
    assert_eq!((offer(6), offer(1)), (None, Some(Err(Undone::TooLong))));
    poll_fn(|cx| input.poll_push(1, cx, b"data do not count")).await;
}

#[tokio::test]
async fn what_the_device_did_not_take_stays_at_the_front_of_the_queue() {
    let input = Input::default();
    input.enter(1);
    poll_fn(|cx| input.poll_push(1, cx, b"abcdef")).await;
    assert_eq!(next(&input, 0), Some(vec![]));
    assert_eq!(next(&input, 4), Some(b"abcd".to_vec()));
    let progress = Progress { taken: 6, done: 4, lost: 0, too_long: 0 };
    assert_eq!((input.progress(1), input.depth()), (progress, 2));
    assert_eq!(next(&input, 9), Some(b"ef".to_vec()));
}

#[tokio::test]
#[should_panic(expected = "7 of 6 bytes consumed")]
async fn more_bytes_than_there_are_cannot_be_consumed() {
    let input = Input::default();
    input.enter(1);
    poll_fn(|cx| input.poll_push(1, cx, b"abcdef")).await;
    if let Poll::Ready(Next::Data(front)) =
        input.poll_front(&mut Context::from_waker(Waker::noop()))
    {
        front.consumed(7);
    }
}

#[tokio::test]
async fn what_is_sent_behind_a_flush_waits_until_the_driver_has_discarded_what_it_had() {
    let input = Input::default();
    input.enter(1);
    input.enter(2);
    poll_fn(|cx| input.poll_push(1, cx, b"before")).await;
    poll_fn(|cx| input.poll_push(2, cx, b"another's ")).await;
    input.flush(1);
    poll_fn(|cx| input.poll_push(1, cx, b"behind")).await;
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let is_woken = || woken.0.swap(false, Ordering::Relaxed);
    let mut cx = Context::from_waker(&waker);
    assert!(input.poll_front(&mut cx).is_pending());
    assert!(!is_woken());
    input.go_on();
    assert!(is_woken());
    assert_eq!(next(&input, 100), Some(b"another's ".to_vec()));
    assert_eq!(next(&input, 100), Some(b"behind".to_vec()));
}
