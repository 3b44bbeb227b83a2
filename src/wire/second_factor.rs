//! Why a right password did not suffice.

use std::{fmt, time::Duration};

use crate::span::readable;

/// Why somebody with a second factor was not let in, although the password was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondFactor {
    /// The password came by a way on which nobody can be asked for a code.
    NotHere,
    /// The code is not right.
    Wrong,
    /// The code is that of another time: so many seconds from the gateway's.
    Drift(i64),
    /// The code is right, and has counted before.
    Used,
    /// The gateway's clock is wrong, so that no code of an app is.
    Clock,
    /// Too many wrong codes for this user; how many minutes none is looked at.
    TooMany(u32),
    /// Nobody knows whether there is one: what is kept cannot be read.
    Unreadable,
}

impl SecondFactor {
    /// Whether it is about what somebody typed, who may have guessed.
    pub fn is_typed(self) -> bool {
        match self {
            Self::Wrong | Self::Drift(_) | Self::Used | Self::Clock | Self::TooMany(_) => true,
            Self::NotHere | Self::Unreadable => false,
        }
    }

    /// The word for it in the record.
    pub fn word(self) -> &'static str {
        match self {
            Self::NotHere => "password_alone",
            Self::Wrong => "wrong_code",
            Self::Drift(_) => "code_of_another_time",
            Self::Used => "used_code",
            Self::Clock => "clock",
            Self::TooMany(_) => "too_many_codes",
            Self::Unreadable => "unreadable",
        }
    }
}

impl fmt::Display for SecondFactor {
    /// One sentence: what is wrong, and what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHere => f.write_str(
                "this user has a second factor, so the password alone opens nothing: sign in on the page or with `wsbridge login`; \
                 programs use a token (`wsbridge token new`)",
            ),
            Self::Wrong => f.write_str("the code is not right"),
            Self::Drift(seconds) => {
                let (far, way) = (readable(Duration::from_secs(seconds.unsigned_abs())), if *seconds > 0 { "ahead of" } else { "behind" });
                write!(
                    f,
                    "this code is {far} {way} the gateway's clock: set the clock of the phone or of the gateway; a recovery code \
                     works meanwhile"
                )
            }
            Self::Used => f.write_str("this code has been used: wait for the next one"),
            Self::Clock => f.write_str(
                "the gateway's clock is wrong, so no code of an app can be right: use a recovery code, or set the clock",
            ),
            Self::TooMany(minutes) => write!(
                f,
                "too many wrong codes for this user; in {minutes} min one is looked at again, a recovery code is at once"
            ),
            Self::Unreadable => f.write_str(
                "the gateway cannot read who has a second factor, so no password opens anything; its log says why",
            ),
        }
    }
}
