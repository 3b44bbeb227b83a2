//! How long a browser stays signed in.

use std::time::Duration;

use super::cursor::Keys;

/// How long a browser stays signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Login {
    /// It ends after this long without a request or a byte typed.
    pub idle: Duration,
    /// It ends after this long in any case.
    pub lifetime: Duration,
    /// Whether it outlives a restart of the daemon.
    pub keep: bool,
}

impl Default for Login {
    fn default() -> Self {
        Self { idle: hours(12), lifetime: hours(7 * 24), keep: true }
    }
}

const fn hours(number: u64) -> Duration {
    Duration::from_secs(number * 3600)
}

/// Reads it.
pub(super) fn login(k: &mut Keys<'_>) -> Login {
    let (bounds, default) = (Duration::from_secs(1)..=hours(90 * 24), Login::default());
    let idle = k
        .key("idle", "a sign-in ends after this long without a request or a typed byte")
        .uci("login_idle")
        .within(bounds.clone())
        .or(default.idle);
    let lifetime = k
        .key("lifetime", "it ends after this long in any case. When somebody signs out or the time is over, open sockets are closed with 4401")
        .uci("login_lifetime")
        .within(bounds)
        .or(default.lifetime);
    let keep = k
        .key(
            "keep",
            "whether it outlives a restart or an upgrade of the service; a reboot ends it in any case",
        )
        .uci("login_keep")
        .or(default.keep);
    Login { idle: idle.min(lifetime), lifetime, keep }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resolve::tests::{good, mistakes};

    #[test]
    fn a_sign_in_is_no_longer_idle_than_it_lives() {
        assert_eq!(
            good("auth: none").0.login,
            Login { idle: hours(12), lifetime: hours(168), keep: true }
        );
        let (config, _) = good("auth: none\nlogin: { lifetime: 2h }");
        assert_eq!(config.login, Login { idle: hours(2), lifetime: hours(2), keep: true });
        assert!(
            mistakes("auth: none\nlogin: { idle: 0s }")
                .contains("login.idle: `0s` is not from 1s to")
        );
    }
}
