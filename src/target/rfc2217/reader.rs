//! Device to line: takes commands out of what the peer sends, answers them, and finds out why the
//! connection ended.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, ReadBuf},
    time::{Sleep, sleep},
};

use super::{
    link::{EscapingWriter, SharedConnection, UNESCAPED},
    sentence::Sentence,
};
use crate::{
    settings::LineEvent,
    stream::{self, ReadHalf, Stream},
    target::Source,
    wire::telnet::{Decoder, Event, Fault, KnownOption, SUB_MAX},
};

/// How long a sub-negotiation may take from its beginning to its end.
const SUB_TIME: Duration = Duration::from_secs(5);

/// Takes the commands out and answers them. Dropping it closes the connection for all.
#[derive(Debug)]
pub(super) struct CommandReader {
    half: ReadHalf,
    decoder: Decoder,
    /// When a sub-negotiation that has begun must have ended.
    due: Option<Pin<Box<Sleep>>>,
    /// What the peer said, if that is all it ever said.
    sentence: Sentence,
    /// The peer takes nothing more; what it still says explains why.
    broken: Option<io::Error>,
    /// Why we end the connection, after the data that was read.
    fault: Option<io::Error>,
    link: Arc<SharedConnection>,
}

/// Splits a connection and requests the options. A peer that acknowledges nothing for `dead_after`
/// is dead.
pub(super) fn split(
    place: &str,
    stream: Stream,
    dead_after: Duration,
) -> (CommandReader, EscapingWriter, Arc<SharedConnection>) {
    let (half, write, gauge) = stream::split(stream, dead_after);
    let link = Arc::new(SharedConnection::new(place, write, gauge));
    let (decoder, sentence) = (Decoder::default(), Sentence::default());
    let reader = CommandReader {
        half,
        decoder,
        due: None,
        sentence,
        broken: None,
        fault: None,
        link: Arc::clone(&link),
    };
    (reader, EscapingWriter::new(Arc::clone(&link)), link)
}

/// How a connection ended.
enum ConnectionEnd {
    /// By the peer or the network, with an error or without.
    Peer(Option<io::Error>),
    /// By us.
    Ours(io::Error),
}

impl CommandReader {
    /// Decodes what was read; returns the number of data bytes, which are moved to the front.
    fn decode(&mut self, bytes: &mut [u8], marks: &mut Vec<(usize, LineEvent)>) -> usize {
        let (link, mut failed, mut ended) = (&self.link, Ok(()), false);
        let mut binary = link.hears_binary();
        let kept = self.decoder.decode(bytes, binary, |at, event| {
            let took = match event {
                Event::Said(verb, option) => {
                    let answered = link.negotiate(verb, option);
                    binary = link.hears_binary();
                    answered
                }
                Event::Sub(option, content) => {
                    ended = true;
                    let known = option == KnownOption::ComPort.code();
                    if known { link.take(content, |event| marks.push((at, event))) } else { Ok(()) }
                }
                Event::Fault(fault) => {
                    link.fault(fault);
                    ended |= matches!(fault, Fault::Unended(_));
                    if fault == Fault::Overlong { Err(overlong()) } else { Ok(()) }
                }
                // A break that is not the serial port's, and a question whose answer would go to
                // the port as data.
                Event::Break | Event::AreYouThere => Ok(()),
            };
            if failed.is_ok() {
                failed = took;
            }
            binary
        });
        if ended || self.decoder.unended().is_none() {
            self.due = None;
        }
        self.fault = failed.err();
        kept
    }

    /// Ready when a sub-negotiation has not ended in time.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let Some(length) = self.decoder.unended() else { return Poll::Pending };
        let due = self.due.get_or_insert_with(|| Box::pin(sleep(SUB_TIME)));
        ready!(due.as_mut().poll(cx));
        self.link.fault(Fault::Unended(length));
        let seconds = SUB_TIME.as_secs();
        Poll::Ready(invalid(format!(
            "a telnet sub-negotiation of {length} bytes has no end after {seconds} s; {UNESCAPED}"
        )))
    }

    /// Ready with data, marks, or the end.
    fn poll_some(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        marks: &mut Vec<(usize, LineEvent)>,
    ) -> Poll<Result<(), ConnectionEnd>> {
        loop {
            if let Some(error) = self.fault.take() {
                return Poll::Ready(Err(ConnectionEnd::Ours(error)));
            }
            self.answer(cx);
            let mut raw = ReadBuf::new(buf.initialize_unfilled());
            match Pin::new(&mut self.half).poll_read(cx, &mut raw) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(ConnectionEnd::Peer(Some(error))));
                }
                Poll::Pending if self.broken.is_some() => {
                    return Poll::Ready(Err(ConnectionEnd::Peer(self.broken.take())));
                }
                Poll::Pending => {
                    return self.poll_late(cx).map(|error| Err(ConnectionEnd::Ours(error)));
                }
            }
            if raw.filled().is_empty() {
                return Poll::Ready(Err(ConnectionEnd::Peer(self.broken.take())));
            }
            let kept = self.decode(raw.filled_mut(), marks);
            buf.advance(kept);
            if kept > 0 || !marks.is_empty() {
                // What was answered goes out now, not with the next read.
                self.answer(cx);
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Answers go out as far as possible; reading never waits for them.
    fn answer(&mut self, cx: &mut Context<'_>) {
        if self.broken.is_none()
            && let Poll::Ready(Err(error)) = self.link.poll_sent(cx)
        {
            self.broken = Some(error);
        }
    }
}

fn overlong() -> io::Error {
    invalid(format!("a telnet sub-negotiation of more than {SUB_MAX} bytes; {UNESCAPED}"))
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

impl Source for CommandReader {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        marks: &mut Vec<(usize, LineEvent)>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = match ready!(self.poll_some(cx, buf, marks)) {
            Ok(()) => {
                let (_, new) = buf.filled().split_at(before);
                self.sentence.add(new);
                return Poll::Ready(Ok(()));
            }
            Err(ConnectionEnd::Ours(error)) => Err(error),
            Err(ConnectionEnd::Peer(error)) => match self.sentence.said() {
                Some(said) => Err(io::Error::other(format!(
                    "the peer said \"{said}\" and closed the connection"
                ))),
                None => error.map_or(Ok(()), Err),
            },
        };
        let why = match &result {
            Err(error) => error.to_string(),
            Ok(()) => "the peer closed the connection".into(),
        };
        self.link.close(&why);
        Poll::Ready(result)
    }
}

impl Drop for CommandReader {
    fn drop(&mut self) {
        self.link.close("the connection was closed");
    }
}
