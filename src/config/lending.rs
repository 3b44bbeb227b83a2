//! How access may be lent to others.

use std::time::Duration;

use super::cursor::Keys;

/// The longest that anything is lent for.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// How access may be lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lending {
    /// The longest that a grant may last.
    pub longest: Duration,
    /// How many have to approve a request.
    pub approvals: u32,
}

impl Default for Lending {
    fn default() -> Self {
        Self { longest: LONGEST, approvals: 1 }
    }
}

/// Reads it.
pub(super) fn lending(k: &mut Keys<'_>) -> Lending {
    let default = Lending::default();
    let longest = k
        .key(
            "longest",
            "the longest that access may be lent for, by a grant or an approved request",
        )
        .uci("lending_longest")
        .within(Duration::from_secs(1)..=LONGEST)
        .or(default.longest);
    let approvals = k
        .key("approvals", "how many people have to approve a request for access")
        .uci("lending_approvals")
        .within(1..=5)
        .or(default.approvals);
    Lending { longest, approvals }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resolve::tests::{good, mistakes};

    #[test]
    fn access_is_lent_for_a_week_at_most() {
        assert_eq!(good("auth: none").0.lending, Lending::default());
        let (config, _) = good("auth: none\nlending: { longest: 8h, approvals: 2 }");
        let wanted = Lending { longest: Duration::from_secs(8 * 3600), approvals: 2 };
        assert_eq!(config.lending, wanted);
        assert!(mistakes("auth: none\nlending: { longest: 8d }").contains("lending.longest"));
    }
}
