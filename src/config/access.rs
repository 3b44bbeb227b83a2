//! Turns users, tokens, certificates and roles into who may do what.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Access, Certificate, Given, Issuer, Password, Rights, RightsTable, Token, User, certificate,
    cursor::{Keys, Placed, Spot, Value},
    issuer::issuer,
    node::{At, NodeKey},
    secret::{SecretReader, hash, secret},
    units::suggest,
    words::{Expiry, NoAuth},
};

/// The context for reading the access part of a file.
struct AccessContext<'s> {
    secrets: &'s SecretReader<'s>,
    /// The names of endpoints.
    names: &'s BTreeSet<String>,
    /// Whether there are gateways, whose lines no file names.
    hub: bool,
    /// The roles' tables, by name.
    roles: BTreeMap<String, Vec<(String, Rights)>>,
    given: Vec<Given>,
}

/// Reads `auth`, `roles`, `users`, `tokens` and `certificates`, for endpoints with these names.
pub(super) fn access(
    k: &mut Keys<'_>,
    secrets: &SecretReader<'_>,
    names: &BTreeSet<String>,
) -> Access {
    let auth = k
        .key(
            "auth",
            "no login: everyone who reaches a listener has every right. Only with loopback and unix listeners, and without \
             users, tokens and certificates",
        )
        .without("a login is needed")
        .uci("auth")
        .maybe::<NoAuth>();
    let hub = k.has("hub");
    let mut reader =
        AccessContext { secrets, names, hub, roles: BTreeMap::new(), given: Vec::new() };
    let roles = k
        .key("roles", "sets of rights, each a mapping of patterns to rights")
        .without("none")
        .value();
    for (name, table) in roles.named(|name, value| (name.text.clone(), reader.role(name, value))) {
        reader.roles.insert(name, table);
    }
    let users = k.key("users", "people: [below](#who-may-do-what)").without("none").value();
    let users = users.named(|name, value| Some((name.text.clone(), reader.user(name, value)?)));
    let tokens = k.key("tokens", "programs").without("none").value();
    let tokens = tokens.named(|name, value| Some((name.text.clone(), reader.token(name, value)?)));
    let certificates =
        k.key("certificates", "machines with a client certificate").without("none").value();
    let certificates = certificates
        .named(|name, value| Some((name.text.clone(), reader.certificate(name, value)?)));
    let issuers = k
        .key("issuers", "who vouches for people and programs of its own, by signed tokens (JWT) or a sign-in (OpenID Connect): [below](#issuers)")
        .without("none")
        .value();
    let issuers =
        issuers.named(|name, value| Some((name.text.clone(), reader.issuer(name, value)?)));
    someone_or_open(k);
    Access {
        open: auth.is_some(),
        users: users.into_iter().flatten().collect(),
        tokens: unlike(tokens.into_iter().flatten()),
        certificates: known_once(certificates.into_iter().flatten()),
        issuers: issuers.into_iter().flatten().collect(),
        given: reader.given,
    }
}

/// A token, where its hash is written, and where to report mistakes in it.
type WrittenToken<'a> = (Token, At, Spot<'a>);

/// Tokens, without those whose hash another has.
fn unlike<'a>(all: impl Iterator<Item = (String, WrittenToken<'a>)>) -> BTreeMap<String, Token> {
    let mut tokens: BTreeMap<String, Token> = BTreeMap::new();
    for (name, (token, at, spot)) in all {
        if token.sha256 != [0; 32] && tokens.values().any(|other| other.sha256 == token.sha256) {
            spot.wrong_in("sha256", at, "another token has the same hash");
        }
        tokens.insert(name, token);
    }
    tokens
}

/// Certificates, without those that are known by the same as another.
fn known_once<'a>(
    all: impl Iterator<Item = (String, (Certificate, At, Spot<'a>))>,
) -> BTreeMap<String, Certificate> {
    let mut certificates: BTreeMap<String, Certificate> = BTreeMap::new();
    for (name, (certificate, at, spot)) in all {
        if certificates.values().any(|other| other.by == certificate.by) {
            spot.wrong(at, &certificate::same(&certificate.by));
        }
        certificates.insert(name, certificate);
    }
    certificates
}

/// Either somebody can sign in, or the file says that nobody needs to; never both, never neither.
fn someone_or_open(k: &mut Keys<'_>) {
    const PEOPLE: [&str; 4] = ["users", "tokens", "certificates", "issuers"];
    let somebody = PEOPLE.iter().any(|name| k.fills(name));
    match k.place("auth") {
        Some(at) if somebody => {
            k.wrong_in(
                "auth",
                at,
                "there are users, tokens, certificates or issuers; remove them or `auth: none`",
            );
        }
        None if !somebody => {
            let what = "nobody could sign in; add a user (`wsbridge passwd` prints what to paste), or write `auth: none` to \
                        serve this machine alone without a login";
            k.lacks(&["users", "tokens", "certificates", "issuers", "auth"], At::default(), what);
        }
        Some(_) | None => {}
    }
}

fn check_name(name: &NodeKey, spot: &Spot<'_>) {
    let text = &name.text;
    let fits = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._@-".contains(&b))
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if !fits {
        let what =
            "a name has 1 to 64 letters, digits or . _ @ - and begins with a letter or digit";
        spot.wrong(name.at, what);
    }
}

fn no_role(roles: &BTreeMap<String, Vec<(String, Rights)>>, role: &str) -> String {
    let names: Vec<_> = roles.keys().map(String::as_str).collect();
    let near =
        if names.is_empty() { "; there is no `roles:`".into() } else { suggest(role, &names) };
    format!("no role `{role}`{near}")
}

impl AccessContext<'_> {
    fn role(&self, name: &NodeKey, value: Value<'_>) -> Vec<(String, Rights)> {
        check_name(name, &value.spot());
        self.table(value)
    }

    fn user(&mut self, name: &NodeKey, value: Value<'_>) -> Option<User> {
        check_name(name, &value.spot());
        let user = value.keys(|k| {
            let password = k
                .key(
                    "password",
                    "argon2id hash (PHC string) that `wsbridge passwd` prints; weaker than m = 8 MiB and t = 1 is a warning; \
                     above m = 64 MiB or t = 10 that user cannot sign in, which `check` and the log say",
                )
                .uci("password")
                .must(|value| secret(value, "password_file", self.secrets));
            let rights = self.rights(k, name.at);
            let Placed { value: text, at } = password?;
            let Some(password) = Password::parse(&text) else {
                // The text is not repeated, since it may be the password itself.
                let what = "not an argon2id hash; run `wsbridge passwd` and paste the line it prints";
                k.wrong_in("password", at, what);
                return None;
            };
            if let Some(remark) = password.remark(&name.text) {
                k.odd_in("password", at, &remark);
            }
            Some(User { password, rights })
        });
        user?.value
    }

    fn token<'a>(&mut self, name: &NodeKey, value: Value<'a>) -> Option<WrittenToken<'a>> {
        let spot = value.spot();
        check_name(name, &spot);
        let token = value.keys(|k| {
            let sha256 = k
                .key(
                    "sha256",
                    "SHA-256 of the token, 64 hex digits; `wsbridge token new NAME` prints it. A text of your own works, too, \
                     but counts as a password: not looked at while its address is under a penalty for wrong ones",
                )
                .uci("sha256")
                .must(|value| hash(value, "sha256_file", self.secrets));
            let expires = k
                .key("expires", "`2027-01-31`: valid through that day, UTC; or `2027-01-31T12:00:00Z`")
                .without("never")
                .uci("expires")
                .maybe::<Expiry>();
            let shared = k
                .key(
                    "shared",
                    "several programs have this token: a session of one never gives the lease to a session of another. \
                     Otherwise a new session of the same token that wants to write replaces one whose client is gone \
                     ([protocol](protocol.md), section 7)",
                )
                .uci("shared")
                .or(false);
            let rights = self.rights(k, name.at);
            let at = sha256.as_ref().map(|it| it.at).unwrap_or_default();
            let sha256 = sha256.map(|it| it.value).unwrap_or_default();
            (Token { sha256, expires: expires.map(|end| end.value.0), shared, rights }, at)
        });
        let Placed { value: (token, at), .. } = token?;
        Some((token, at, spot))
    }

    fn certificate<'a>(
        &mut self,
        name: &NodeKey,
        value: Value<'a>,
    ) -> Option<(Certificate, At, Spot<'a>)> {
        let spot = value.spot();
        check_name(name, &spot);
        let certificate = value.keys(|k| {
            let by = certificate::known_by(k, &name.text);
            Certificate { by, rights: self.rights(k, name.at) }
        });
        Some((certificate?.value, name.at, spot))
    }

    fn issuer(&mut self, name: &NodeKey, value: Value<'_>) -> Option<Issuer> {
        check_name(name, &value.spot());
        let Self { secrets, roles, given, .. } = self;
        let mut role = |who: &str, role: &str| {
            let table = roles.get(role).ok_or_else(|| no_role(roles, role))?;
            given.extend(table.iter().map(|(pattern, rights)| Given {
                principal: who.to_owned(),
                role: Some(role.to_owned()),
                pattern: pattern.clone(),
                rights: *rights,
            }));
            Ok(RightsTable(table.clone()))
        };
        value.keys(|k| issuer(k, secrets, &name.text, &mut role))?.value
    }

    fn table(&self, value: Value<'_>) -> Vec<(String, Rights)> {
        table(value, self.names, self.hub)
    }

    /// What the principal at a place may do: the sum of its roles' rights and its own.
    fn rights(&mut self, k: &mut Keys<'_>, at: At) -> RightsTable {
        let roles = k.key("roles", "roles it has").without("none").uci("role").words::<String>();
        let own = k
            .key("rights", "rights of its own: a list of them for each pattern")
            .without("none")
            .uci("right")
            .value();
        let own = self.table(own);
        let mut rows = Vec::new();
        for Placed { value: role, at } in roles {
            if let Some(table) = self.roles.get(&role) {
                rows.extend(table.iter().map(|row| (Some(role.clone()), row.clone())));
                continue;
            }
            k.wrong_in("roles", at, &no_role(&self.roles, &role));
        }
        rows.extend(own.into_iter().map(|row| (None, row)));
        if rows.is_empty() && !k.has("roles") {
            k.odd(at, "has no rights; give it `roles:` or `rights:`");
        }
        let mut table = Vec::new();
        for (role, (pattern, rights)) in rows {
            self.given.push(Given {
                principal: k.path.clone(),
                role,
                pattern: pattern.clone(),
                rights,
            });
            table.push((pattern, rights));
        }
        RightsTable(table)
    }
}

/// Reads a mapping of patterns to rights, for endpoints with these names.
pub(super) fn table(
    value: Value<'_>,
    names: &BTreeSet<String>,
    hub: bool,
) -> Vec<(String, Rights)> {
    value.named(|pattern, value| {
        check_pattern(pattern, &value.spot(), names, hub);
        let words = value.words::<Rights>().into_iter();
        (pattern.text.clone(), words.fold(Rights::NONE, |all, right| all.with(right.value)))
    })
}

fn check_pattern(pattern: &NodeKey, spot: &Spot<'_>, names: &BTreeSet<String>, hub: bool) {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-*/".contains(&b);
    let one = RightsTable(vec![(pattern.text.clone(), Rights::READ)]);
    // What is about the lines of a hub's gateways.
    let elsewhere = hub && (pattern.text == "*" || pattern.text.contains('/'));
    let page = pattern.text.starts_with('/');
    if pattern.text.is_empty() || !pattern.text.bytes().all(known) {
        spot.wrong(
            pattern.at,
            "not a pattern; write an endpoint's name, `*` for any run of letters",
        );
    } else if !(elsewhere || page || names.iter().any(|name| one.on(name) == Rights::READ)) {
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let near = if names.is_empty() { String::new() } else { suggest(&pattern.text, &names) };
        spot.odd(pattern.at, &format!("no endpoint has a name like that{near}"));
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, SecretSource, Warning, parse};

    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0$ZPpV5wLiZAT6CwD9rFlDjMdWRXpfXSDiKdH6kQ6TSqg";

    fn read(text: &str) -> Result<(Config, Vec<Warning>), String> {
        let secrets = |source: &SecretSource| match source {
            SecretSource::Credential(name) if name == "alice" => Ok(format!("{HASH}\n")),
            SecretSource::File(_) | SecretSource::Credential(_) => Err(format!("no {source:?}")),
        };
        parse(&text.replace("HASH", &format!("\"{HASH}\"")), "w.yaml", &secrets)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn roles_and_own_rights_add_up_and_keep_where_they_come_from() {
        let (config, warnings) = read(
            "roles: { op: { '*': [ read ], m1: [ write ] } }\nusers: { alice: { password: HASH, roles: [ op ], rights: { m1: [ signals ] } } }\n\
             endpoints: { m1: { sim: modem }, p1: { sim: echo } }",
        )
        .unwrap();
        assert!(warnings.is_empty(), "{warnings:?}");
        let rights = &config.access.users["alice"].rights;
        assert_eq!(rights.on("m1").words(), ["read", "write", "signals"]);
        assert_eq!(rights.on("p1").words(), ["read"]);
        let roles: Vec<_> = config.access.given.iter().map(|given| given.role.as_deref()).collect();
        assert_eq!(roles, [Some("op"), Some("op"), None]);
    }

    #[test]
    fn mistyped_rights_and_roles_get_the_nearest_right_one() {
        let error = read(
            "roles: { operator: { '*': [ raed ] } }\nusers: { a: { password: HASH, roles: [ operatr ] } }",
        )
        .unwrap_err();
        assert!(
            error.contains("did you mean `read`?") && error.contains("did you mean `operator`?"),
            "{error}"
        );
    }

    #[test]
    fn a_pattern_that_fits_no_endpoint_is_a_warning() {
        let (_, warnings) =
            read("users: { a: { password: HASH, rights: { modme1: [ read ], /metrics: [ read ] } } }\nendpoints: { modem1: { sim: modem } }")
                .unwrap();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].0.starts_with("w.yaml:1:")
                && warnings[0].0.contains("did you mean `modem1`?"),
            "{warnings:?}"
        );
    }

    #[test]
    fn a_password_in_the_clear_is_refused_and_not_repeated() {
        for password in [
            "hunter2",
            "'$2b$12$abc'",
            "'$argon2id$v=19$m=8'",
            "'$argon2i$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0$ZPpV5wLiZAT6CwD9rFlDjMdWRXpfXSDiKdH6kQ6TSqg'",
        ] {
            let error = read(&format!("users:\n  a: {{ password: {password} }}")).unwrap_err();
            assert!(
                error.contains("users.a.password") && error.contains("`wsbridge passwd`"),
                "{error}"
            );
            assert!(!error.contains(password.trim_matches('\'')), "{error}");
        }
    }

    #[test]
    fn a_hash_too_costly_to_check_disables_its_user_and_no_other() {
        let costly = HASH.replace("m=19456", "m=1048576");
        let (config, warnings) = read(&format!(
            "users: {{ a: {{ password: '{costly}', rights: {{ /metrics: [ read ] }} }}, b: {{ password: HASH, rights: {{ /metrics: [ read ] }} }} }}"
        ))
        .unwrap();
        assert!(config.access.users["a"].password.is_disabled());
        assert!(!config.access.users["b"].password.is_disabled());
        let told = |name| {
            warnings.iter().any(|warning| warning.0.contains(&format!("users.{name}.password")))
        };
        assert!(told("a") && !told("b"), "{warnings:?}");
    }

    #[test]
    fn secrets_may_be_kept_elsewhere() {
        let (config, _) = read("users: { a: { password: { credential: alice } } }").unwrap();
        assert_eq!(config.access.users["a"].password.reveal(), HASH);
        let error = read("users: { a: { password: { file: /gone } } }").unwrap_err();
        assert!(error.contains("users.a.password: no File(\"/gone\")"), "{error}");
        for wrong in
            ["{ credential: ../alice }", "{}", "{ file: /a, credential: b }", "{ file: a }"]
        {
            assert!(read(&format!("users: {{ a: {{ password: {wrong} }} }}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_login_and_users_exclude_each_other() {
        let error = read("auth: none\nusers: { a: { password: HASH } }").unwrap_err();
        assert!(error.contains("w.yaml:1:7: auth"), "{error}");
    }

    #[test]
    fn names_and_hashes_are_unique_and_plain() {
        let hash = "1f".repeat(32);
        let error =
            read(&format!("tokens: {{ a: {{ sha256: '{hash}' }}, b: {{ sha256: '{hash}' }} }}"))
                .unwrap_err();
        assert!(error.contains("tokens.b.sha256: another token"), "{error}");
        assert!(read("users: { 'a:b': { password: HASH } }").unwrap_err().contains("a name has"));
        let error = read("certificates: { a: {}, b: { common_name: a } }").unwrap_err();
        assert!(error.contains("common name `a`"), "{error}");
        let (_, warnings) = read("certificates: { a: {} }").unwrap();
        assert!(warnings.iter().any(|warning| warning.0.contains("client_ca")), "{warnings:?}");
    }
}
