//! Sign-ins of programs on people's computers: begun with a password, or by the user's browser,
//! which hands over a code; shown as a bearer token, listed, and ended one by one.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{
    AllowedOrigin, Auth, LoginId, Peer, Principal, PrincipalId, PrincipalKind, SignInForm,
    SignedIn, Visit, random_text,
};
use crate::{
    config::{Config, Secret},
    wire::close::Refusal,
};

/// How long a code is good.
pub(crate) const CODE_LIFE: Duration = Duration::from_secs(60);
/// Codes outstanding; when full, none is given until some run out.
const OUTSTANDING: usize = 256;
/// Codes outstanding of one user.
const CODES_OF_ONE: usize = 8;
/// Longest name of a computer, in bytes.
const NAME_MAX: usize = 64;

/// What a code stands for.
#[derive(Clone, Debug)]
struct Code {
    user: PrincipalId,
    /// The sign-in of the browser that asked for it.
    login: Option<LoginId>,
    /// SHA-256 of what its program alone knows (RFC 7636, S256).
    challenge: [u8; 32],
    program: String,
    until: Instant,
}

/// The codes given and not yet used.
#[derive(Debug, Default)]
pub(super) struct Codes {
    /// By SHA-256 of the text, so that a look-up's time tells nothing of the text.
    given: Mutex<HashMap<[u8; 32], Code>>,
}

impl Codes {
    fn give(&self, code: Code, now: Instant) -> Option<String> {
        let text = random_text();
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.retain(|_, code| code.until > now);
        let of_one = given.values().filter(|other| other.user == code.user).count();
        if given.len() >= OUTSTANDING || of_one >= CODES_OF_ONE {
            return None;
        }
        given.insert(Sha256::digest(&text).into(), code);
        Some(text)
    }

    /// What a text stands for, to whoever knows the word behind its challenge; used up in any case.
    fn redeem(&self, text: &str, verifier: &str, now: Instant) -> Option<Code> {
        let mark: [u8; 32] = Sha256::digest(text).into();
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let code = given.remove(&mark)?;
        let proof: [u8; 32] = Sha256::digest(verifier).into();
        (code.until > now && proof == code.challenge).then_some(code)
    }
}

/// The name of a computer, as people are shown it.
pub(crate) fn program_name(text: &str) -> Option<String> {
    let name = text.trim();
    let plain = name.chars().all(|c| c.is_alphanumeric() || " ._-@()".contains(c));
    (!name.is_empty() && name.len() <= NAME_MAX && plain).then(|| name.to_owned())
}

/// A challenge of S256.
pub(crate) fn challenge(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

impl Auth {
    /// Signs a program in by what its user typed. `None`: a code is needed besides. A page cannot ask this: its browser
    /// says Origin, and that is not ours.
    pub(crate) async fn sign_in_program(
        &self,
        config: &Config,
        visit: &Visit,
        form: &SignInForm,
        program: String,
    ) -> Result<Option<SignedIn>, Refusal> {
        if !matches!(visit.page, AllowedOrigin::Own | AllowedOrigin::None) {
            return Err(Refusal::Origin(super::OWN_PAGE_ALONE.to_owned()));
        }
        let Some((principal, recovery_left)) =
            self.by_form(config, form, visit.view.client).await?
        else {
            return Ok(None);
        };
        let signed = self.begin_program(config, principal, program)?;
        Ok(Some(SignedIn { recovery_left, ..signed }))
    }

    /// Exchanges a code for the sign-in of the program that asked for it.
    pub(crate) fn exchange(
        &self,
        config: &Config,
        visit: &Visit,
        (code, verifier): (&str, &str),
    ) -> Result<SignedIn, Refusal> {
        self.check_penalty(self.source(visit.view.client))?;
        let code = self.codes.redeem(code, verifier, Instant::now());
        let code = code.ok_or(Refusal::Unauthorized)?;
        if !self.is_signed_in(config, code.login) {
            return Err(Refusal::Unauthorized);
        }
        let principal = self.find_with(config, &code.user, code.login);
        let principal = principal.ok_or(Refusal::Unauthorized)?;
        self.begin_program(config, principal, code.program)
    }

    fn begin_program(
        &self,
        config: &Config,
        principal: Principal,
        program: String,
    ) -> Result<SignedIn, Refusal> {
        let now = Instant::now();
        self.logins.sweep(&config.access, config.login, now);
        let (kind, name) = (principal.id.kind, &principal.id.name);
        let begun = if kind == PrincipalKind::User {
            self.logins.begin_as(&config.access, name, Some(program), now)
        } else {
            // By the browser that is signed in: what its issuer said holds for the program, too.
            let login = principal.login.filter(|_| kind == PrincipalKind::Identity);
            login.and_then(|login| self.logins.begin_after(login, program, now))
        };
        let (text, id) = begun.ok_or(Refusal::Unauthorized)?;
        self.kept.write(config, &self.logins);
        Ok(SignedIn {
            principal: Principal { login: Some(id), ..principal },
            cookie: Secret::new(text),
            recovery_left: None,
        })
    }

    /// A code for a program that the signed-in user of our own page lets in; `None` when too many
    /// are outstanding.
    pub(crate) fn code(
        &self,
        principal: &Principal,
        challenge: [u8; 32],
        program: String,
    ) -> Option<String> {
        let now = Instant::now();
        let user = principal.id.clone();
        let code =
            Code { user, login: principal.login, challenge, program, until: now + CODE_LIFE };
        self.codes.give(code, now)
    }

    /// Who is signed in by a program's token.
    pub(super) fn by_program(&self, config: &Config, peer: &Peer, text: &str) -> Option<Principal> {
        // At an app's origin its pages' scripts could show it.
        if peer.app.is_some() {
            return None;
        }
        let found = self.logins.find_program(text, &config.access, config.login, Instant::now())?;
        self.kept.follow(config, &self.logins);
        self.find_with(config, &found.who, Some(found.id))
    }

    /// The sign-ins of a user.
    pub(crate) fn sign_ins(&self, config: &Config, user: &PrincipalId) -> Vec<super::SignInInfo> {
        self.logins.of_user(user, &config.access, config.login, Instant::now())
    }

    /// Ends one of a user's sign-ins, and what began with it. False: there is none of that number.
    pub(crate) fn end_sign_in(&self, config: &Config, user: &PrincipalId, id: LoginId) -> bool {
        let ended = self.logins.end_of(user, id);
        if ended {
            self.kept.write(config, &self.logins);
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(user: &str, verifier: &str, now: Instant) -> Code {
        Code {
            user: PrincipalId::new(PrincipalKind::User, user),
            login: None,
            challenge: Sha256::digest(verifier).into(),
            program: "laptop".into(),
            until: now + CODE_LIFE,
        }
    }

    #[test]
    fn a_code_is_good_once_in_its_time_for_whoever_began() {
        let (codes, now) = (Codes::default(), Instant::now());
        let give = || codes.give(code("alice", "word", now), now).unwrap();
        let text = give();
        assert_eq!(
            codes.redeem(&text, "word", now).map(|code| code.user.name).as_deref(),
            Some("alice")
        );
        assert!(codes.redeem(&text, "word", now).is_none(), "used up");
        let text = give();
        assert!(codes.redeem(&text, "another", now).is_none());
        assert!(codes.redeem(&text, "word", now).is_none(), "used up by the wrong word");
        assert!(codes.redeem(&give(), "word", now + CODE_LIFE).is_none());
        assert!(!format!("{codes:?}").contains(&text));
    }

    #[test]
    fn one_user_has_a_bounded_number_of_codes() {
        let (codes, now) = (Codes::default(), Instant::now());
        let given = (0..20).filter_map(|_| codes.give(code("alice", "w", now), now)).count();
        assert_eq!(given, CODES_OF_ONE);
        assert!(codes.give(code("bob", "w", now), now).is_some());
    }

    #[test]
    fn names_of_computers_and_challenges_are_read_strictly() {
        assert_eq!(program_name(" lab-7 (Debian) ").as_deref(), Some("lab-7 (Debian)"));
        for wrong in ["", "a\nb", "<b>", &"x".repeat(65)] {
            assert_eq!(program_name(wrong), None, "{wrong}");
        }
        assert!(challenge(&URL_SAFE_NO_PAD.encode([7; 32])).is_some());
        assert!(challenge("short").is_none() && challenge("").is_none());
    }
}
