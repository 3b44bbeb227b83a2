//! Plain HTTP where TLS is spoken: a browser shows the answer it gets, and nothing of a failed
//! handshake.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    stream::Stream,
    wire::head::{HEAD_MAX, HEADERS_MAX, scan},
};

/// The reason in the log.
pub(super) const WHY: &str = "plain HTTP on a port that speaks TLS";

/// Whether a client begins with the name of a method instead of a TLS record.
pub(super) async fn is_http(stream: &Stream) -> bool {
    let Some(tcp) = stream.tcp() else { return false };
    let mut first = [0];
    matches!(tcp.peek(&mut first).await, Ok(1)) && first.iter().all(u8::is_ascii_uppercase)
}

/// Answers the request with the address that would work.
pub(super) async fn answer(mut stream: Stream) {
    let mut head = Vec::new();
    let host = loop {
        match scan(&head, HEADERS_MAX) {
            Ok(None) if head.len() < HEAD_MAX => {}
            Ok(Some(head)) => {
                let host = head.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(b"host"));
                break host.map(|(_, value)| String::from_utf8_lossy(value).into_owned());
            }
            Ok(None) | Err(_) => break None,
        }
        if !matches!(stream.read_buf(&mut head).await, Ok(1..)) {
            return;
        }
    };
    let text = host.map_or_else(
        || "This port speaks TLS: write https:// (or wss://) before its address.\n".to_owned(),
        |host| {
            format!("This port speaks TLS: open https://{host}/ (programs: https:// or wss://).\n")
        },
    );
    let response = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n\
         x-content-type-options: nosniff\r\ncache-control: no-store\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
    // A client that has left does not hear it.
    if stream.write_all(response.as_bytes()).await.is_ok() {
        let _ = stream.shutdown().await;
    }
}
