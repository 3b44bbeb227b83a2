//! How long a browser stays signed in.

use std::time::Duration;

use super::{raw, report::Report, units::duration_text};

/// How long a browser stays signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Login {
    /// Time without a request or a byte typed after which it ends.
    pub idle: Duration,
    /// Time after which it ends in any case.
    pub lifetime: Duration,
}

impl Default for Login {
    fn default() -> Self {
        Self { idle: hours(12), lifetime: hours(7 * 24) }
    }
}

const fn hours(number: u64) -> Duration {
    Duration::from_secs(number * 3600)
}

/// Resolves it.
pub(super) fn resolve(raw: &raw::Login, report: &mut Report) -> Login {
    let (least, most, default) = (Duration::from_secs(1), hours(90 * 24), Login::default());
    let mut time = |path, leaf, default| report.within(path, leaf, (least, default, most), duration_text);
    let idle = time("login.idle", raw.idle.as_ref(), default.idle);
    let lifetime = time("login.lifetime", raw.lifetime.as_ref(), default.lifetime);
    Login { idle: idle.min(lifetime), lifetime }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resolve::tests::{good, mistakes};

    #[test]
    fn a_sign_in_is_no_longer_idle_than_it_lives() {
        assert_eq!(good("auth: none").0.login, Login { idle: hours(12), lifetime: hours(168) });
        let (config, _) = good("auth: none\nlogin: { lifetime: 2h }");
        assert_eq!(config.login, Login { idle: hours(2), lifetime: hours(2) });
        assert!(mistakes("auth: none\nlogin: { idle: 0s }").contains("login.idle: `0s` is not from 1s to"));
    }
}
