//! A user's password as the configuration has it: an argon2id hash, and what checking it costs.

use argon2::{Params, password_hash::phc::PasswordHash};

use super::Secret;

/// Memory and passes below which a stolen hash is cheap to guess: KiB (m) and rounds (t).
const WEAK: (u32, u32) = (8 * 1024, 1);
/// Memory and passes above which a sign-in costs the gateway more than it can give.
const COSTLY: (u32, u32) = (64 * 1024, 10);

/// A user's password, hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Password {
    phc: Secret,
    memory: u32,
    passes: u32,
}

impl Password {
    /// Reads a PHC string of argon2id; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let hash = PasswordHash::new(text).ok()?;
        hash.hash.filter(|_| hash.algorithm.as_str() == "argon2id")?;
        let params = Params::try_from(&hash).ok()?;
        Some(Self { phc: Secret::new(text), memory: params.m_cost(), passes: params.t_cost() })
    }

    /// The PHC string.
    pub fn reveal(&self) -> &str {
        self.phc.reveal()
    }

    /// Memory that checking it takes, in KiB.
    pub fn memory(&self) -> u32 {
        self.memory
    }

    /// Whether checking it would take more than anybody may ask of the gateway: then it is never
    /// checked, and lets nobody in.
    pub fn is_disabled(&self) -> bool {
        self.memory > COSTLY.0 || self.passes > COSTLY.1
    }

    /// What there is to say about its parameters, and what to do.
    pub(super) fn remark(&self, user: &str) -> Option<String> {
        let Self { memory, passes, .. } = self;
        let again = format!("run `wsbridge passwd {user}` and paste the line it prints");
        if self.is_disabled() {
            let (most, rounds) = COSTLY;
            return Some(format!(
                "{user} cannot sign in: checking this hash takes m={memory} and t={passes}, and at most m={most} and \
                 t={rounds} are allowed; {again}"
            ));
        }
        (*memory < WEAK.0 || *passes < WEAK.1).then(|| {
            format!(
                "a weak hash: m={memory} and t={passes} are below m={} and t={}, so that whoever steals it guesses \
                 cheaply; {again}",
                WEAK.0, WEAK.1
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(params: &str) -> Password {
        Password::parse(&format!(
            "$argon2id$v=19${params}$c29tZXNhbHQxMjM0$ZPpV5wLiZAT6CwD9rFlDjMdWRXpfXSDiKdH6kQ6TSqg"
        ))
        .unwrap()
    }

    #[test]
    fn weak_parameters_are_remarked_and_costly_ones_disable() {
        let told = |params| (password(params).is_disabled(), password(params).remark("alice"));
        assert_eq!(told("m=8192,t=1,p=1"), (false, None));
        assert_eq!(told("m=65536,t=10,p=1"), (false, None));
        let (disabled, remark) = told("m=8191,t=3,p=1");
        assert!(!disabled && remark.unwrap().starts_with("a weak hash: m=8191 and t=3"));
        for params in ["m=65537,t=1,p=1", "m=19456,t=11,p=1", "m=4294967295,t=4294967295,p=1"] {
            let (disabled, remark) = told(params);
            let remark = remark.unwrap();
            assert!(
                disabled
                    && remark.contains("alice cannot sign in")
                    && remark.contains("passwd alice")
            );
        }
    }

    #[test]
    fn the_hash_is_never_printed() {
        assert!(!format!("{:?}", password("m=8192,t=1,p=1")).contains("argon2id"));
    }
}
