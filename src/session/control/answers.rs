//! Requests whose answers take time.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use crate::wire::control::{Answer, Code, Failure};

/// Requests that may be waiting at the same time.
const REQUESTS_WAITING_MAX: usize = 64;

/// How a request turned out.
#[derive(Debug)]
pub(super) enum RequestOutcome {
    /// Done, with the members of the `ok`.
    Ok(Answer),
    /// Done, and the line's input was discarded: the `ok` says where the client continues.
    Flushed(Answer),
    /// Not done.
    Failed(Failure),
}

type PendingAnswer = Pin<Box<dyn Future<Output = RequestOutcome> + Send>>;

/// The requests that are waiting.
#[derive(Default)]
pub(super) struct Answers(Vec<(Option<u64>, PendingAnswer)>);

impl Answers {
    /// Whether one more may wait; checked before its work begins.
    pub(super) fn room(&self) -> Result<(), Failure> {
        if self.0.len() < REQUESTS_WAITING_MAX {
            return Ok(());
        }
        Err(Failure::new(
            Code::Limit,
            format!("at most {REQUESTS_WAITING_MAX} requests may wait at once"),
        ))
    }

    /// Waits for the outcome of a request; at most 64 at a time.
    pub(super) fn wait(
        &mut self,
        id: Option<u64>,
        work: impl Future<Output = RequestOutcome> + Send + 'static,
    ) -> Result<(), Failure> {
        self.room()?;
        self.0.push((id, Box::pin(work)));
        Ok(())
    }

    /// The first that is done, in the order in which they were made.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(Option<u64>, RequestOutcome)> {
        let done = self.0.iter_mut().enumerate().find_map(|(index, (_, work))| {
            match work.as_mut().poll(cx) {
                Poll::Ready(outcome) => Some((index, outcome)),
                Poll::Pending => None,
            }
        });
        match done {
            Some((index, outcome)) => Poll::Ready((self.0.remove(index).0, outcome)),
            None => Poll::Pending,
        }
    }

    /// The session has ended: what still waits will not be done. Returns the requests' numbers.
    pub(super) fn abandon(&mut self) -> Vec<Option<u64>> {
        self.0.drain(..).map(|(id, _)| id).collect()
    }
}
