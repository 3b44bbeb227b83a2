//! Tests of HTTP on one connection: the client is the other end of a pipe.

use axum::body::to_bytes;
use tokio::{
    io::{DuplexStream, duplex},
    time::advance,
};

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

const LIMITS: Limits = Limits {
    connections: 1,
    per_address: 1,
    unauthenticated: 1,
    handshake: PATIENCE,
    head: head::HEADERS_MAX,
};

fn pair() -> (DuplexStream, Exchange<DuplexStream>) {
    let (client, ours) = duplex(64 * 1024);
    (client, Exchange::new(ours, Instant::now() + PATIENCE, &LIMITS))
}

async fn next(exchange: &mut Exchange<DuplexStream>) -> (String, String) {
    let incoming = exchange.request(None).await.unwrap().unwrap();
    let line = format!("{} {}", incoming.request.method(), incoming.request.uri());
    let body = to_bytes(incoming.request.into_body(), BODY_MAX).await.unwrap();
    (line, String::from_utf8(body.to_vec()).unwrap())
}

async fn read(client: &mut DuplexStream) -> String {
    let mut space = BytesMut::with_capacity(64 * 1024);
    client.read_buf(&mut space).await.unwrap();
    String::from_utf8(space.to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn pipelined_requests_are_read_one_after_the_other_with_their_bodies() {
    let (mut client, mut exchange) = pair();
    let post = "POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
    let get = "GET /d HTTP/1.1\r\nHost: x\r\n\r\n";
    client.write_all(format!("{post}{get}{post}").as_bytes()).await.unwrap();
    for (line, body) in [("POST /a?b=c", "hello"), ("GET /d", ""), ("POST /a?b=c", "hello")] {
        assert_eq!(next(&mut exchange).await, (line.to_owned(), body.to_owned()));
        exchange.respond(Response::new(Body::from("ok")), false).await.unwrap();
        let answer = read(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ndate: "), "{answer}");
        assert!(answer.ends_with(" GMT\r\n\r\nok"), "{answer}");
    }
    drop(client);
    assert!(exchange.request(None).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_for_leave_gets_it_and_one_that_sends_at_once_does_not() {
    let (mut client, mut exchange) = pair();
    let head = "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    let (request, ()) = tokio::join!(next(&mut exchange), async {
        assert_eq!(read(&mut client).await, "HTTP/1.1 100 Continue\r\n\r\n");
        client.write_all(b"hi").await.unwrap();
    });
    assert_eq!(request.1, "hi");
    client.write_all(format!("{head}hi").as_bytes()).await.unwrap();
    assert_eq!(next(&mut exchange).await.1, "hi");
    exchange.respond(Response::new(Body::empty()), false).await.unwrap();
    assert!(read(&mut client).await.starts_with("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n"));
}

#[tokio::test(start_paused = true)]
async fn head_and_empty_responses_have_no_body() {
    let (mut client, mut exchange) = pair();
    exchange.respond(Response::new(Body::from("hello")), true).await.unwrap();
    let answer = read(&mut client).await;
    assert!(answer.contains("content-length: 5\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    for status in
        [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED, StatusCode::SWITCHING_PROTOCOLS]
    {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        exchange.respond(response, false).await.unwrap();
        assert!(!read(&mut client).await.contains("content-length"), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_as_long_as_promised_breaks_off() {
    for text in ["hell", "hello!"] {
        let (client, mut exchange) = pair();
        let mut response = Response::new(Body::from(text));
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("5"));
        assert!(exchange.respond(response, false).await.is_err(), "{text}");
        drop(client);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_of_unknown_length_comes_in_chunks_or_until_the_end_of_an_old_connection() {
    for (version, ends) in
        [("1.1", "\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"), ("1.0", "\r\n\r\nabc")]
    {
        let (mut client, mut exchange) = pair();
        let get = format!("GET / HTTP/{version}\r\nHost: x\r\n\r\n");
        client.write_all(get.as_bytes()).await.unwrap();
        next(&mut exchange).await;
        let pieces = ["ab", "", "c"].map(Ok::<_, io::Error>);
        let body = Body::from_stream(futures_util::stream::iter(pieces));
        exchange.respond(Response::new(body), false).await.unwrap();
        drop(exchange);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with(ends), "{answer}");
        assert_eq!(answer.contains("transfer-encoding: chunked"), version == "1.1", "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_has_its_time_from_its_first_byte_and_a_connection_may_be_idle() {
    let (mut client, mut exchange) = pair();
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    next(&mut exchange).await;
    // However long a response takes, what follows it has its own time.
    advance(IDLE * 10).await;
    exchange.respond(Response::new(Body::empty()), false).await.unwrap();
    let (refused, ()) = tokio::join!(exchange.request(None), async {
        advance(IDLE / 2).await;
        client.write_all(b"GET").await.unwrap();
    });
    assert_eq!(refused.map(drop), Err(Refusal::Timeout));
    let (_client, mut exchange) = pair();
    exchange.respond(Response::new(Body::empty()), false).await.unwrap();
    assert!(exchange.request(None).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn what_goes_on_behind_an_upgrade_keeps_no_buffer_of_the_request() {
    for behind in ["", "early"] {
        let (mut client, mut exchange) = pair();
        client
            .write_all(format!("GET / HTTP/1.1\r\nHost: x\r\n\r\n{behind}").as_bytes())
            .await
            .unwrap();
        next(&mut exchange).await;
        let (_, early) = exchange.into_parts();
        assert_eq!((early.as_slice(), early.capacity()), (behind.as_bytes(), behind.len()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_of_a_response_is_left() {
    let (_client, mut exchange) = pair();
    let began = Instant::now();
    let long = Response::new(Body::from(vec![b'x'; 1 << 20]));
    assert!(exchange.respond(long, false).await.is_err());
    assert_eq!(began.elapsed().as_secs(), STALLED.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_half_closed_client_is_gone_only_where_it_asked_for_an_upgrade() {
    let (mut client, mut exchange) = pair();
    client.write_all(b"early").await.unwrap();
    client.shutdown().await.unwrap();
    assert!(timeout(PATIENCE, exchange.gone(false)).await.is_err());
    exchange.gone(true).await;
    assert_eq!(&exchange.into_parts().1[..], b"early");
}
