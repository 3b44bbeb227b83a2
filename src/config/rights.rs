//! Rights, and the patterns of endpoints that they apply to.

/// Rights per endpoint pattern. A pattern is a name, or a name with `*` for any run of characters;
/// one that begins with `/` names a page of the gateway (`/metrics`). At a hub, `GATEWAY/NAME` is
/// about the lines of its gateways.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RightsTable(pub Vec<(String, Rights)>);

impl RightsTable {
    /// All of it except these rights.
    #[must_use]
    pub fn without(self, less: Rights) -> Self {
        Self(self.0.into_iter().map(|(pattern, rights)| (pattern, rights.without(less))).collect())
    }

    /// What it gives on the lines of one of a hub's gateways, by patterns of that gateway: those of
    /// `GATEWAY/NAME`, where each half is matched by itself, and what `*` gives on everything.
    #[must_use]
    pub fn of_gateway(&self, gateway: &str) -> Self {
        let of_it = |(pattern, rights): &(String, Rights)| match pattern.split_once('/') {
            None if pattern == "*" => Some(("*".to_owned(), *rights)),
            Some((whose, name)) if !whose.is_empty() && matches(whose, gateway) => {
                Some((name.to_owned(), *rights))
            }
            None | Some(_) => None,
        };
        Self(self.0.iter().filter_map(of_it).collect())
    }

    /// The sum of what all matching patterns give.
    pub fn on(&self, name: &str) -> Rights {
        self.0
            .iter()
            .filter(|(pattern, _)| matches(pattern, name))
            .fold(Rights::NONE, |sum, (_, rights)| sum.with(*rights))
    }
}

/// Whether `name` fits `pattern`; `*` stands for any run of characters, but never for the `/` of a
/// gateway page.
fn matches(pattern: &str, name: &str) -> bool {
    if pattern.starts_with('/') != name.starts_with('/') {
        return false;
    }
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// A set of rights on one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights(u16);

/// Each right: its constant, its bit, its word and what it allows. This is the one list of them.
macro_rules! rights {
    ($($(#[doc = $text:literal])+ $name:ident = $bit:literal, $word:literal;)+) => {
        impl Rights {
            $($(#[doc = $text])+ pub const $name: Self = Self(1 << $bit);)+
            /// Everything.
            pub const ALL: Self = Self($((1 << $bit))|+);
            /// Each right and its word, in the order in which they are printed.
            pub const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$name)),+];
        }
    };
}

rights! {
    /// See the device's output and the endpoint's state; on a pattern for `/metrics`, read that.
    READ = 0, "read";
    /// Hold the lease and send bytes.
    WRITE = 1, "write";
    /// Move DTR and RTS, send break, run macros.
    SIGNALS = 2, "signals";
    /// Change baud, frame and flow control.
    SETTINGS = 3, "settings";
    /// Take the lease from its holder.
    TAKEOVER = 4, "takeover";
    /// Lend access to others: give grants and revoke them.
    GRANT = 5, "grant";
    /// Decide on requests for access.
    APPROVE = 6, "approve";
    /// See who is connected and what the record says, hold sessions read-only, send messages and end
    /// sessions.
    SESSIONS = 7, "sessions";
    /// List, play and download recordings.
    RECORDINGS = 8, "recordings";
}

impl Rights {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Rights over other people's access. They are never lent, and count from the gateway's own
    /// page, with a password or with a token, but not within an app or a frame.
    pub const OVER_OTHERS: Self = Self(Self::GRANT.0 | Self::APPROVE.0 | Self::SESSIONS.0);

    /// The first set without the second.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Both sets.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What both sets have.
    #[must_use]
    pub const fn only(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether every right of `other` is here.
    pub fn allows(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The rights of these words.
    ///
    /// # Errors
    /// The first word that is no right's.
    pub fn of_words<T: AsRef<str>>(words: &[T]) -> Result<Self, &str> {
        words.iter().try_fold(Self::NONE, |sum, word| {
            let found = Self::WORDS.iter().find(|(known, _)| *known == word.as_ref());
            found.map(|(_, right)| sum.with(*right)).ok_or(word.as_ref())
        })
    }

    /// The words for these rights.
    pub fn words(self) -> Vec<&'static str> {
        Self::WORDS.iter().filter(|(_, right)| self.allows(*right)).map(|(word, _)| *word).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_with_a_slash_is_about_a_gateways_lines_and_no_other_is_but_the_star() {
        let table = |patterns: &[&str]| {
            RightsTable(patterns.iter().map(|it| ((*it).to_owned(), Rights::READ)).collect())
        };
        for (pattern, gateway, line, fits) in [
            ("north-*/plc*", "north-7", "plc1", true),
            ("north-*/plc*", "south-7", "plc1", false),
            ("north-*/plc*", "north-7", "modem", false),
            ("*/plc1", "g", "plc1", true),
            ("*", "g", "plc1", true),
            ("n*", "north-7", "plc1", false),
            ("plc1", "north-7", "plc1", false),
            ("/metrics", "north-7", "metrics", false),
            ("/*", "north-7", "plc1", false),
            ("north-7//metrics", "north-7", "/metrics", true),
        ] {
            let given = table(&[pattern]).of_gateway(gateway).on(line) == Rights::READ;
            assert_eq!(given, fits, "{pattern} {gateway}/{line}");
        }
        // Nor is it about a line of the hub's own.
        assert_eq!(table(&["north-*/plc*"]).on("plc1"), Rights::NONE);
    }

    #[test]
    fn a_star_stands_for_any_run_of_characters_but_never_for_a_page() {
        for (pattern, name, fits) in [
            ("plc1", "plc1", true),
            ("plc1", "plc10", false),
            ("*", "plc1", true),
            ("*", "/metrics", false),
            ("/*", "/metrics", true),
            ("/*", "plc1", false),
            ("plc*", "plc", true),
            ("*-a-*", "x-a-y", true),
            ("a*a", "a", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "acb", false),
            ("*aab", "aaab", true),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }
}
