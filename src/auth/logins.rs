//! Browsers that are signed in: each has a random cookie, kept hashed, with an idle limit and an
//! absolute one.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{
    LoginId, OWN_PREFIX, PrincipalId, PrincipalKind, hex,
    issuers::Vouched,
    random,
    sign_in::{FoundSignIn, Proof, SignInInfo, SignInRecord, digest},
    unix_now,
};
use crate::config::{Access, Login, RightsTable};

/// Sign-ins of one user; if there are more, the one unused longest ends.
const SIGN_INS_OF_ONE: usize = 64;

/// Sign-ins of people whom issuers vouch for; if there are more, the one unused longest ends.
const VOUCHED_MAX: usize = 2048;

/// All sign-ins. Only somebody with a user's password, or an issuer's word, can add one, and at most
/// [`SIGN_INS_OF_ONE`] for that user.
#[derive(Debug, Default)]
pub(super) struct Logins {
    all: Mutex<All>,
}

#[derive(Debug, Default)]
struct All {
    /// By SHA-256 of the cookie, so that the time of a look-up reveals nothing about it.
    open: HashMap<[u8; 32], SignInRecord>,
    next: LoginId,
}

impl Logins {
    /// Signs in a user of `access`; returns the cookie's text, 256 bits, and the sign-in's number.
    pub(super) fn begin(
        &self,
        access: &Access,
        user: &str,
        now: Instant,
    ) -> Option<(String, LoginId)> {
        self.begin_as(access, user, None, now)
    }

    /// The same for a program on this computer, if one is named: then the text is a token.
    pub(super) fn begin_as(
        &self,
        access: &Access,
        user: &str,
        program: Option<String>,
        now: Instant,
    ) -> Option<(String, LoginId)> {
        let password = digest(access.users.get(user)?.password.reveal());
        let who = PrincipalId::new(PrincipalKind::User, user);
        let proof = (Proof::Password(password), Some(unix_now()));
        Some(self.begin_with(who, proof, program, now))
    }

    /// Begins a sign-in that rests on this, proved at that time.
    pub(super) fn begin_with(
        &self,
        who: PrincipalId,
        (proof, auth_time): (Proof, Option<i64>),
        program: Option<String>,
        now: Instant,
    ) -> (String, LoginId) {
        let prefix = if program.is_some() { OWN_PREFIX } else { "" };
        let text = format!("{prefix}{}", hex(&random::<32>()));
        let (began, used) = (now, now);
        let record =
            SignInRecord { id: 0, browser: 0, who, proof, auth_time, began, used, program };
        let id = self.lock().add(digest(&text), record);
        (text, id)
    }

    /// Begins a program's sign-in that rests on what another one does, which was proved when that
    /// was.
    pub(super) fn begin_after(
        &self,
        earlier: LoginId,
        program: String,
        now: Instant,
    ) -> Option<(String, LoginId)> {
        let all = self.lock();
        let record = all.open.values().find(|record| record.id == earlier && !record.is_token())?;
        let (who, proof) = (record.who.clone(), (record.proof.clone(), record.auth_time));
        drop(all);
        Some(self.begin_with(who, proof, Some(program), now))
    }

    /// The sign-in of a program's token, which is begun when it is first shown.
    pub(super) fn show(
        &self,
        text: &str,
        who: &PrincipalId,
        (vouched, auth_time): (Vouched, Option<i64>),
        now: Instant,
    ) -> LoginId {
        let mark = digest(text);
        let mut all = self.lock();
        if let Some(record) = all.open.get_mut(&mark) {
            record.used = now;
            return record.id;
        }
        let left = vouched.until.unwrap_or_default().saturating_sub(unix_now());
        let end = now + Duration::from_secs(u64::try_from(left).unwrap_or_default());
        let record = SignInRecord {
            id: 0,
            browser: 0,
            who: who.clone(),
            proof: Proof::Vouched(vouched, Some(end)),
            auth_time,
            began: now,
            used: now,
            program: None,
        };
        all.add(mark, record)
    }

    /// What a sign-in gives its holder, and when he proved who he is. Without a sign-in: by what was
    /// last said of somebody. `None`: nothing is known. No rights: the configuration says them.
    pub(super) fn standing(
        &self,
        who: &PrincipalId,
        login: Option<LoginId>,
        (access, terms): (&Access, Login),
        now: Instant,
    ) -> Option<(Option<RightsTable>, Option<i64>)> {
        let issued = |record: &SignInRecord| match &record.proof {
            Proof::Password(_) => 0,
            Proof::Vouched(vouched, _) => vouched.issued,
        };
        let all = self.lock();
        let own = all.open.values().filter(|record| {
            record.who == *who
                && login.is_none_or(|id| record.id == id)
                && record.left(access, terms, now).is_some()
        });
        let record = own.max_by_key(|record| issued(record))?;
        Some((record.rights(access), record.auth_time))
    }

    /// The sign-in of a cookie, which counts as used; one that is over is forgotten.
    pub(super) fn find(
        &self,
        text: &str,
        access: &Access,
        terms: Login,
        now: Instant,
    ) -> Option<FoundSignIn> {
        self.find_of(false, text, (access, terms), now)
    }

    /// The same of a program's token.
    pub(super) fn find_program(
        &self,
        text: &str,
        access: &Access,
        terms: Login,
        now: Instant,
    ) -> Option<FoundSignIn> {
        self.find_of(true, text, (access, terms), now)
    }

    fn find_of(
        &self,
        program: bool,
        text: &str,
        (access, terms): (&Access, Login),
        now: Instant,
    ) -> Option<FoundSignIn> {
        let mark = digest(text);
        let mut all = self.lock();
        let record = all
            .open
            .get_mut(&mark)
            .filter(|record| record.program.is_some() == program && !record.is_token())?;
        if record.left(access, terms, now).is_none() {
            all.open.remove(&mark);
            return None;
        }
        record.used = now;
        Some(FoundSignIn { id: record.id, who: record.who.clone() })
    }

    /// Time a sign-in has left unless it is used again; `None`: it is over.
    pub(super) fn left(
        &self,
        id: LoginId,
        access: &Access,
        terms: Login,
        now: Instant,
    ) -> Option<Duration> {
        self.lock().open.values().find(|record| record.id == id)?.left(access, terms, now)
    }

    /// Notes that a sign-in is being used.
    pub(super) fn touch(&self, id: LoginId, now: Instant) {
        if let Some(record) = self.lock().open.values_mut().find(|record| record.id == id) {
            record.used = now;
        }
    }

    /// Notes that a sign-in is from the same browser as an earlier one, whose cookie it showed.
    pub(super) fn join(&self, id: LoginId, earlier: LoginId) {
        let mut all = self.lock();
        let browser = |wanted| {
            all.open.values().find(|record| record.id == wanted).map(|record| record.browser)
        };
        let (Some(new), Some(old)) = (browser(id), browser(earlier)) else { return };
        all.open
            .values_mut()
            .filter(|record| record.browser == old)
            .for_each(|record| record.browser = new);
        // What its user's earlier sign-ins have open may go on as if begun now.
        let own = all.open.values().find(|record| record.id == id);
        let Some((who, auth_time)) = own.map(|it| (it.who.clone(), it.auth_time)) else { return };
        let same = |record: &&mut SignInRecord| record.browser == new && record.who == who;
        let earlier = all.open.values_mut().filter(same);
        earlier.for_each(|record| record.auth_time = record.auth_time.max(auth_time));
    }

    /// Ends a sign-in and the others of its browser.
    pub(super) fn end(&self, id: LoginId) {
        let mut all = self.lock();
        let ended = all.open.values().find(|record| record.id == id).map(|record| record.browser);
        all.open.retain(|_, record| Some(record.browser) != ended);
    }

    /// A user's sign-ins, the newest first.
    pub(super) fn of_user(
        &self,
        who: &PrincipalId,
        access: &Access,
        terms: Login,
        now: Instant,
    ) -> Vec<SignInInfo> {
        let all = self.lock();
        let own = all.open.values().filter(|record| record.who == *who && !record.is_token());
        let mut own: Vec<_> = own
            .filter_map(|record| {
                let ago = now.saturating_duration_since(record.began);
                Some(SignInInfo {
                    id: record.id,
                    program: record.program.clone(),
                    since: SystemTime::now().checked_sub(ago)?,
                    left: record.left(access, terms, now)?,
                })
            })
            .collect();
        own.sort_by_key(|one| std::cmp::Reverse(one.id));
        own
    }

    /// Ends one of a user's sign-ins, and the others of its browser. False: there is none.
    pub(super) fn end_of(&self, who: &PrincipalId, id: LoginId) -> bool {
        let is_own = |record: &SignInRecord| record.id == id && record.who == *who;
        let found = self.lock().open.values().any(is_own);
        if found {
            self.end(id);
        }
        found
    }

    /// Ends all of somebody's sign-ins.
    pub(super) fn end_all_of(&self, who: &PrincipalId) {
        self.lock().open.retain(|_, record| record.who != *who);
    }

    /// All sign-ins, by the hashes of their cookies. Programs show their tokens again.
    pub(super) fn rows(&self) -> Vec<([u8; 32], SignInRecord)> {
        self.lock()
            .open
            .iter()
            .filter(|(_, record)| !record.is_token())
            .map(|(mark, record)| (*mark, record.clone()))
            .collect()
    }

    /// Adds a sign-in from an earlier run of the daemon, whose numbers were different.
    pub(super) fn restore(&self, mark: [u8; 32], record: SignInRecord) {
        let mut all = self.lock();
        let id = all.next;
        // A browser's number is that of a sign-in: no number given from now on may be an old one.
        all.next = all.next.max(record.browser) + 1;
        all.open.insert(mark, SignInRecord { id, ..record });
    }

    /// Forgets sign-ins that are over.
    pub(super) fn sweep(&self, access: &Access, terms: Login, now: Instant) {
        self.lock().open.retain(|_, record| record.left(access, terms, now).is_some());
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl All {
    /// Adds a sign-in, where one that was not used for long may have to go.
    fn add(&mut self, mark: [u8; 32], record: SignInRecord) -> LoginId {
        let who = record.who.clone();
        self.make_room(SIGN_INS_OF_ONE, |record| record.who == who);
        self.make_room(VOUCHED_MAX, |record| matches!(record.proof, Proof::Vouched(..)));
        let id = self.next;
        self.next += 1;
        self.open.insert(mark, SignInRecord { id, browser: id, ..record });
        id
    }

    fn make_room(&mut self, most: usize, of: impl Fn(&SignInRecord) -> bool) {
        while self.open.values().filter(|record| of(record)).count() >= most {
            let fit = self.open.iter().filter(|(_, record)| of(record));
            let Some(oldest) = fit.min_by_key(|(_, record)| record.used).map(|(mark, _)| *mark)
            else {
                return;
            };
            self.open.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Password, RightsTable, User};

    const TERMS: Login =
        Login { idle: Duration::from_secs(100), lifetime: Duration::from_secs(250), keep: true };

    fn access(password: &str) -> Access {
        let hash = format!(
            "$argon2id$v=19$m=8192,t=1,p=1$c29tZXNhbHQxMjM0${password}ZPpV5wLiZAT6CwD9rFlDg"
        );
        let user =
            User { password: Password::parse(&hash).unwrap(), rights: RightsTable::default() };
        Access { users: [("alice".to_owned(), user)].into(), ..Access::default() }
    }

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn a_sign_in_ends_when_unused_and_in_any_case() {
        let (logins, access, start) = (Logins::default(), access("a"), Instant::now());
        let (text, id) = logins.begin(&access, "alice", start).unwrap();
        let find = |after| {
            logins.find(&text, &access, TERMS, start + seconds(after)).map(|found| found.id)
        };
        assert_eq!(find(99), Some(id));
        assert_eq!(find(198), Some(id));
        assert_eq!(logins.left(id, &access, TERMS, start + seconds(198)), Some(seconds(52)));
        assert_eq!(find(249), Some(id));
        assert_eq!(find(250), None);
        assert_eq!(find(1), None, "and is forgotten");
        let (text, id) = logins.begin(&access, "alice", start).unwrap();
        assert_eq!(logins.left(id, &access, TERMS, start + seconds(100)), None);
        logins.touch(id, start + seconds(60));
        assert!(logins.find(&text, &access, TERMS, start + seconds(110)).is_some());
    }

    #[test]
    fn another_password_or_no_such_user_is_no_sign_in() {
        let (logins, now) = (Logins::default(), Instant::now());
        for changed in [access("b"), Access::default()] {
            let (text, id) = logins.begin(&access("a"), "alice", now).unwrap();
            assert_eq!(logins.left(id, &changed, TERMS, now), None);
            logins.sweep(&changed, TERMS, now);
            assert!(logins.find(&text, &access("a"), TERMS, now).is_none());
        }
        assert!(logins.begin(&access("a"), "mallory", now).is_none());
    }

    #[test]
    fn one_user_has_a_bounded_number_and_signing_out_ends_one() {
        let (logins, access, now) = (Logins::default(), access("a"), Instant::now());
        let texts: Vec<_> = (0..=SIGN_INS_OF_ONE as u64)
            .map(|n| logins.begin(&access, "alice", now + seconds(n)).unwrap())
            .collect();
        assert_eq!(logins.lock().open.len(), SIGN_INS_OF_ONE);
        assert!(logins.find(&texts[0].0, &access, TERMS, now).is_none());
        let (text, id) = &texts[1];
        assert!(text.len() == 64 && !format!("{logins:?}").contains(text.as_str()));
        logins.end(*id);
        assert!(logins.find(text, &access, TERMS, now).is_none());
        assert!(logins.find(&texts[2].0, &access, TERMS, now).is_some());
    }
}
