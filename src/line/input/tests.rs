//! Tests of the queue from seats to device.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Wake,
};

use tokio::{
    io::{AsyncReadExt, duplex},
    sync::oneshot,
};

use super::*;

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
    let (mut near, mut far) = duplex(16);
    let work = poll_fn(|cx| input.poll_work(cx, &mut near, &mut |next, _| next.len())).await;
    assert!(matches!(work, Ok(Work::Wrote)));
    assert_eq!(far.read_u8().await.unwrap(), 2);
}

#[tokio::test]
async fn a_queue_that_never_runs_empty_keeps_no_more_than_its_window() {
    let input = Input::default();
    input.enter(1);
    let (mut near, mut far) = duplex(1000);
    let mut got = vec![0; 1000];
    poll_fn(|cx| input.poll_push(1, cx, &vec![1; WINDOW])).await;
    for _ in 0..2000 {
        poll_fn(|cx| input.poll_work(cx, &mut near, &mut |next, _| next.len())).await.unwrap();
        let n = far.read(&mut got).await.unwrap();
        poll_fn(|cx| input.poll_push(1, cx, &vec![1; n])).await;
        assert!(input.depth() > 0);
    }
    let kept: usize = input.lock().queue.iter().map(|(_, item)| item.capacity()).sum();
    assert!(kept <= 2 * WINDOW + 2 * PIECE, "{kept}");
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
    let (mut near, mut far) = duplex(4096);
    let mut got = vec![0; 4096];
    poll_fn(|cx| input.poll_push(1, cx, &vec![1; WINDOW])).await;
    assert!(input.poll_push(1, &mut cx, b"more").is_pending());
    for _ in 0..4 {
        assert!(!is_woken());
        poll_fn(|cx| input.poll_work(cx, &mut near, &mut |next, _| next.len())).await.unwrap();
        far.read_exact(&mut got).await.unwrap();
    }
    assert!(is_woken());
    // Who waits to be told is told at each quarter.
    assert!(input.poll_done(1, &mut cx, WORTH).is_pending());
    let mut told = Vec::new();
    while input.depth() > 0 {
        poll_fn(|cx| input.poll_work(cx, &mut near, &mut |next, _| next.len())).await.unwrap();
        far.read_exact(&mut got).await.unwrap();
        if is_woken() {
            told.push(input.progress(1).done);
            assert!(input.poll_done(1, &mut cx, input.progress(1).done).is_pending());
        }
    }
    assert_eq!(told, [2 * WORTH, 3 * WORTH, 4 * WORTH]);
    poll_fn(|cx| input.poll_push(1, cx, b"x")).await;
    assert!(input.poll_done(1, &mut cx, 4 * WORTH).is_pending() && !is_woken());
    poll_fn(|cx| input.poll_work(cx, &mut near, &mut |next, _| next.len())).await.unwrap();
    assert!(is_woken(), "all there was is done");
}

#[tokio::test]
async fn data_and_tasks_take_effect_in_the_order_sent() {
    let input = Input::default();
    input.enter(1);
    let (mut near, _far) = duplex(16);
    poll_fn(|cx| input.poll_push(1, cx, b"before")).await;
    let (sender, mut drained) = oneshot::channel();
    input.push_task(Some(1), Task::Drain(sender));
    poll_fn(|cx| input.poll_push(1, cx, b"after")).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(
            match poll_fn(|cx| input.poll_work(cx, &mut near, &mut |next, _| next.len())).await.unwrap() {
                Work::Wrote => "data",
                Work::Task(_) => "task",
                Work::Turn => "turn",
            },
        );
    }
    assert_eq!(seen, ["data", "task", "data"]);
    assert!(drained.try_recv().is_err());
}

#[tokio::test]
async fn what_is_sent_behind_a_flush_waits_until_the_driver_has_discarded_what_it_had() {
    let input = Input::default();
    input.enter(1);
    input.enter(2);
    let (mut near, mut far) = duplex(64);
    poll_fn(|cx| input.poll_push(1, cx, b"before")).await;
    poll_fn(|cx| input.poll_push(2, cx, b"another's ")).await;
    input.flush(1);
    poll_fn(|cx| input.poll_push(1, cx, b"behind")).await;
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let is_woken = || woken.0.swap(false, Ordering::Relaxed);
    let mut cx = Context::from_waker(&waker);
    assert!(input.poll_work(&mut cx, &mut near, &mut |next, _| next.len()).is_pending());
    assert!(!is_woken());
    input.flushed();
    assert!(is_woken());
    for _ in 0..3 {
        if let Work::Turn =
            poll_fn(|cx| input.poll_work(cx, &mut near, &mut |next, _| next.len())).await.unwrap()
        {
            input.turn(0);
        }
    }
    let mut got = [0; 16];
    far.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"another's behind");
}
