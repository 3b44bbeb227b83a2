//! Who hears what on a tape, and what that costs the others.

use std::future::poll_fn;

use super::*;

const PLAIN: Hearing = Hearing {
    from: None,
    lossless: Lossless::Never,
    acks: false,
    events: false,
    times: false,
    pauses: false,
    patient: false,
    longest: usize::MAX,
};

#[tokio::test]
async fn what_happened_behind_the_last_byte_is_no_news_to_who_comes_later() {
    let output = Output::new(4096, false);
    output.push(b"x", &[]);
    output.push(b"", &[(0, LineEvent::Break)]);
    output.enter(1, Hearing { events: true, ..PLAIN });
    output.enter(2, Hearing { events: true, from: Some(1), ..PLAIN });
    output.push(b"y", &[]);
    let heard = async |seat| poll_fn(|cx| output.poll_read(seat, cx, &mut [0; 8])).await;
    assert_eq!(heard(1).await, SeatEvent::Bytes(1));
    assert!(matches!(heard(2).await, SeatEvent::Mark(_)));
}

#[tokio::test]
async fn a_slow_viewer_costs_nobody_a_byte_and_is_told_what_it_missed() {
    let output = Output::new(4096, false);
    output.enter(1, PLAIN);
    output.enter(2, PLAIN);
    let mut quick = 0;
    for round in 0..10 {
        output.push(&[round; 1000], &[]);
        let mut buf = [0; 4096];
        let heard = poll_fn(|cx| output.poll_read(1, cx, &mut buf)).await;
        assert_eq!(heard, SeatEvent::Bytes(1000));
        quick += 1000;
    }
    let heard = poll_fn(|cx| output.poll_read(2, cx, &mut [0; 9000])).await;
    assert_eq!(heard, SeatEvent::Gap(Gap { from: 0, to: quick - 4096 }));
    assert_eq!(poll_fn(|cx| output.poll_read(2, cx, &mut [0; 9000])).await, SeatEvent::Bytes(4096));
}

#[tokio::test]
async fn a_lossless_reader_holds_the_device_back_until_it_leaves() {
    let output = Output::new(4096, false);
    output.enter(1, Hearing { lossless: Lossless::Always, acks: true, ..PLAIN });
    output.push(&[0; 4096], &[]);
    assert!(poll_fn(|cx| Poll::Ready(output.poll_room(cx).is_pending())).await);
    assert_eq!(poll_fn(|cx| output.poll_read(1, cx, &mut [0; 96])).await, SeatEvent::Bytes(96));
    assert!(poll_fn(|cx| Poll::Ready(output.poll_room(cx).is_pending())).await);
    output.done(1, 96);
    assert_eq!(poll_fn(|cx| output.poll_room(cx)).await, 96);
    output.leave(1);
    assert_eq!(poll_fn(|cx| output.poll_room(cx)).await, usize::MAX);
}

#[tokio::test]
async fn everything_a_device_sent_is_heard_before_its_end() {
    let output = Output::new(4096, false);
    output.enter(1, PLAIN);
    output.push(b"last words", &[]);
    output.set_down(Some(Gone::Failed("unplugged".into())));
    assert_eq!(poll_fn(|cx| output.poll_read(1, cx, &mut [0; 64])).await, SeatEvent::Bytes(10));
    let end = poll_fn(|cx| output.poll_read(1, cx, &mut [0; 64])).await;
    assert_eq!(end, SeatEvent::Ended(Gone::Failed("unplugged".into())));
}

#[tokio::test]
async fn an_event_is_heard_after_all_bytes_before_it_and_before_all_after_it() {
    let output = Output::new(4096, false);
    output.enter(1, Hearing { events: true, ..PLAIN });
    output.enter(2, PLAIN);
    output.push(b"abcd", &[(2, LineEvent::Parity), (3, LineEvent::Parity), (4, LineEvent::Break)]);
    output.push(b"e", &[]);
    let mut heard = Vec::new();
    for _ in 0..5 {
        heard.push(poll_fn(|cx| output.poll_read(1, cx, &mut [0; 64])).await);
    }
    let mark = |at, kind, count| SeatEvent::Mark(Mark { at, kind: MarkKind::Event(kind), count });
    let (parity, brk) = (mark(2, LineEvent::Parity, 2), mark(4, LineEvent::Break, 1));
    assert_eq!(heard, [SeatEvent::Bytes(2), parity, SeatEvent::Bytes(2), brk, SeatEvent::Bytes(1)]);
    assert_eq!(poll_fn(|cx| output.poll_read(2, cx, &mut [0; 64])).await, SeatEvent::Bytes(5));
}

#[tokio::test]
async fn a_reader_that_comes_back_hears_again_from_where_it_says() {
    let output = Output::new(4096, false);
    output.enter(1, PLAIN);
    output.push(b"abcdef", &[]);
    assert_eq!(poll_fn(|cx| output.poll_read(1, cx, &mut [0; 64])).await, SeatEvent::Bytes(6));
    assert_eq!(output.seek(1, 2), 2);
    let mut buf = [0; 4];
    assert_eq!(poll_fn(|cx| output.poll_read(1, cx, &mut buf)).await, SeatEvent::Bytes(4));
    assert_eq!(&buf, b"cdef");
}

#[tokio::test]
async fn a_reader_alone_misses_nothing_and_holds_nobody_back_who_joins() {
    let output = Output::new(4096, false);
    output.enter(1, Hearing { lossless: Lossless::Alone, ..PLAIN });
    output.push(&[0; 4096], &[]);
    assert!(poll_fn(|cx| Poll::Ready(output.poll_room(cx).is_pending())).await);
    output.enter(2, Hearing { lossless: Lossless::Alone, ..PLAIN });
    assert_eq!(poll_fn(|cx| output.poll_room(cx)).await, usize::MAX);
}
