//! The certificates that listeners present now, for those who watch their dates.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use super::{OwnAuthority, ServerTls, WantedNames};

/// Every listener that serves TLS.
#[derive(Debug, Default)]
pub(crate) struct InUse(Mutex<Vec<Weak<ServedCertificate>>>);

/// A listener's certificate. It is in use while this is held.
#[derive(Debug)]
pub(crate) struct ServedCertificate {
    listener: String,
    tls: Arc<ServerTls>,
}

impl InUse {
    /// Notes that a listener presents its certificate from now on, until the returned value is
    /// dropped.
    #[must_use = "it is in use while this is held"]
    pub(crate) fn show(&self, listener: String, tls: Arc<ServerTls>) -> Arc<ServedCertificate> {
        let shown = Arc::new(ServedCertificate { listener, tls });
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| other.strong_count() > 0);
        all.push(Arc::downgrade(&shown));
        shown
    }

    /// The last second of each listener's certificate, since 1970. If two listeners have one
    /// address because one is about to go, the newer counts. Files that have changed are read
    /// again.
    pub(crate) fn expiries(&self) -> BTreeMap<String, i64> {
        self.all()
            .iter()
            .filter_map(|shown| Some((shown.listener.clone(), shown.tls.expires()?)))
            .collect()
    }

    /// Our own authority, if it issued any of them; there is one at most.
    pub(crate) fn authority(&self) -> Option<Arc<OwnAuthority>> {
        self.all().iter().find_map(|shown| shown.tls.authority())
    }

    /// Sets what certificates of our own have to cover from now on.
    pub(crate) fn want(&self, wanted: &WantedNames) {
        self.all().iter().for_each(|shown| shown.tls.want(wanted));
    }

    fn all(&self) -> Vec<Arc<ServedCertificate>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter_map(Weak::upgrade).collect()
    }
}
