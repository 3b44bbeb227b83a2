//! Users, tokens, certificates and roles into who may do what.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Access, Certificate, Endpoint, Given, Password, Rights, RightsTable, Token, User, certificate,
    raw::{self, At, Leaf, Named, OneOf, Placed},
    report::Report,
    secret::{SecretReader, SecretSource},
    units::suggest,
    words::Sha256,
};

/// Tables of the roles, by name.
type Roles = BTreeMap<String, RightsTable>;

/// What a principal is written to have: role names, and rights of its own.
type Written<'a> = (&'a [Leaf<String>], &'a Named<Vec<Leaf<Rights>>>);

/// Resolves users, tokens and certificates.
pub(super) fn resolve(
    file: &raw::File,
    secrets: &SecretReader<'_>,
    endpoints: &BTreeMap<String, Arc<Endpoint>>,
    report: &mut Report,
) -> Access {
    let mut tables =
        Tables { roles: Roles::new(), names: endpoints.keys().cloned().collect(), given: Vec::new() };
    for (name, rights) in &file.roles.0 {
        let path = format!("roles.{}", name.text);
        principal_name(name, &path, report);
        let table = tables.table(rights, &path, report);
        tables.roles.insert(name.text.clone(), RightsTable(table));
    }
    let mut access = Access { open: file.auth.is_some(), ..Access::default() };
    if let Some(auth) = &file.auth {
        report.read("auth", auth);
    }
    for (name, user) in &file.users.0 {
        let path = format!("users.{}", name.text);
        principal_name(name, &path, report);
        let rights = tables.sum(&path, name.at, (&user.roles, &user.rights), report);
        // Without one the file is wrong and nothing of it holds.
        if let Some(password) = password(&user.password, &path, &name.text, secrets, report) {
            access.users.insert(name.text.clone(), User { password, rights });
        }
    }
    for (name, token) in &file.tokens.0 {
        let path = format!("tokens.{}", name.text);
        principal_name(name, &path, report);
        let rights = tables.sum(&path, name.at, (&token.roles, &token.rights), report);
        let sha256 = hash(&token.sha256, &format!("{path}.sha256"), secrets, report).unwrap_or_default();
        if access.tokens.values().any(|other| other.sha256 == sha256) && sha256 != [0; 32] {
            report.wrong(token.sha256.at, &format!("{path}.sha256"), "another token has the same hash");
        }
        let expires = token.expires.as_ref().and_then(|leaf| report.read(&format!("{path}.expires"), leaf));
        let shared = report.or(&format!("{path}.shared"), token.shared.as_ref(), false);
        let token = Token { sha256, expires: expires.map(|end| end.0), shared, rights };
        access.tokens.insert(name.text.clone(), token);
    }
    for (name, raw) in &file.certificates.0 {
        let path = format!("certificates.{}", name.text);
        principal_name(name, &path, report);
        let rights = tables.sum(&path, name.at, (&raw.roles, &raw.rights), report);
        let by = certificate::known_by((name, raw), &access, &path, report);
        access.certificates.insert(name.text.clone(), Certificate { by, rights });
    }
    access.given = tables.given;
    someone_or_open(file, report);
    access
}

/// Somebody can sign in, or the file says that nobody needs to; never both, never neither.
fn someone_or_open(file: &raw::File, report: &mut Report) {
    let nobody = file.users.0.is_empty() && file.tokens.0.is_empty() && file.certificates.0.is_empty();
    match &file.auth {
        Some(auth) if !nobody => {
            report.wrong(auth.at, "auth", "there are users, tokens or certificates; remove them or `auth: none`");
        }
        None if nobody => report.wrong(
            At::default(),
            "",
            "nobody could sign in; add a user (`wsbridge passwd` prints what to paste), or write `auth: none` to \
             serve this machine alone without a login",
        ),
        Some(_) | None => {}
    }
}

fn principal_name(name: &Leaf<String>, path: &str, report: &mut Report) {
    let text = &name.text;
    let fits = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._@-".contains(&b))
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if !fits {
        let what = "a name has 1 to 64 letters, digits or . _ @ - and begins with a letter or digit";
        report.wrong(name.at, path, what);
    }
}

/// Rights as they are put together.
#[derive(Debug)]
struct Tables {
    roles: Roles,
    names: Vec<String>,
    given: Vec<Given>,
}

impl Tables {
    /// One mapping of patterns to rights.
    fn table(
        &self,
        rows: &Named<Vec<Leaf<Rights>>>,
        path: &str,
        report: &mut Report,
    ) -> Vec<(String, Rights)> {
        let mut table = Vec::new();
        for (pattern, words) in &rows.0 {
            let path = format!("{path}.{}", pattern.text);
            let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-*/".contains(&b);
            let one = RightsTable(vec![(pattern.text.clone(), Rights::READ)]);
            if pattern.text.is_empty() || !pattern.text.bytes().all(known) {
                report.wrong(
                    pattern.at,
                    &path,
                    "no pattern; write an endpoint's name, `*` for any run of letters",
                );
            } else if !pattern.text.starts_with('/')
                && !self.names.iter().any(|name| one.on(name) == Rights::READ)
            {
                let names: Vec<_> = self.names.iter().map(String::as_str).collect();
                let near = if names.is_empty() { String::new() } else { suggest(&pattern.text, &names) };
                report.odd(pattern.at, &path, &format!("no endpoint has a name like that{near}"));
            }
            let all = words.iter().filter_map(|word| report.read(&path, word));
            table.push((pattern.text.clone(), all.fold(Rights::NONE, Rights::with)));
        }
        table
    }

    /// What a principal's roles and own rights add up to; keeps where each comes from.
    fn sum(&mut self, path: &str, at: At, (roles, rights): Written<'_>, report: &mut Report) -> RightsTable {
        let mut rows = Vec::new();
        for role in roles {
            let Some(table) = self.roles.get(&role.text) else {
                let names: Vec<_> = self.roles.keys().map(String::as_str).collect();
                let near = if names.is_empty() {
                    "; there is no `roles:`".into()
                } else {
                    suggest(&role.text, &names)
                };
                report.wrong(role.at, &format!("{path}.roles"), &format!("no role `{}`{near}", role.text));
                continue;
            };
            rows.extend(table.0.iter().map(|row| (Some(role.text.clone()), row.clone())));
        }
        let own = self.table(rights, &format!("{path}.rights"), report);
        rows.extend(own.into_iter().map(|row| (None, row)));
        if rows.is_empty() {
            report.odd(at, path, "has no rights; give it `roles:` or `rights:`");
        }
        let mut table = Vec::new();
        for (role, (pattern, rights)) in rows {
            self.given.push(Given { principal: path.to_owned(), role, pattern: pattern.clone(), rights });
            table.push((pattern, rights));
        }
        RightsTable(table)
    }
}

/// A secret's text from wherever it is kept.
fn secret<T>(
    written: &Placed<OneOf<T, raw::Elsewhere>>,
    path: &str,
    secrets: &SecretReader<'_>,
    report: &mut Report,
) -> Option<String> {
    let elsewhere = match &written.value {
        OneOf::Word(text, _) => return Some(text.clone()),
        OneOf::Map(elsewhere) => elsewhere,
    };
    let source = match (&elsewhere.file, &elsewhere.credential) {
        (Some(file), None) => SecretSource::File(report.read(&format!("{path}.file"), file)?),
        (None, Some(name)) => {
            let fits = !name.text.is_empty() && !name.text.contains('/') && !name.text.starts_with('.');
            if !fits {
                report.wrong(
                    name.at,
                    &format!("{path}.credential"),
                    "no credential's name; it has no / in it",
                );
                return None;
            }
            SecretSource::Credential(name.text.clone())
        }
        _ => {
            report.wrong(written.at, path, "write either { file: /path } or { credential: NAME }");
            return None;
        }
    };
    match secrets(&source) {
        Ok(text) => Some(text.trim().to_owned()),
        Err(why) => {
            report.wrong(written.at, path, &why);
            None
        }
    }
}

fn password(
    written: &Placed<OneOf<String, raw::Elsewhere>>,
    path: &str,
    user: &str,
    secrets: &SecretReader<'_>,
    report: &mut Report,
) -> Option<Password> {
    let path = format!("{path}.password");
    let text = secret(written, &path, secrets, report)?;
    let Some(password) = Password::parse(&text) else {
        // The text is not repeated: it may be the password itself.
        let what = "not an argon2id hash; run `wsbridge passwd` and paste the line it prints";
        report.wrong(written.at, &path, what);
        return None;
    };
    if let Some(remark) = password.remark(user) {
        report.odd(written.at, &path, &remark);
    }
    Some(password)
}

pub(super) fn hash(
    written: &Placed<OneOf<Sha256, raw::Elsewhere>>,
    path: &str,
    secrets: &SecretReader<'_>,
    report: &mut Report,
) -> Option<[u8; 32]> {
    let text = secret(written, path, secrets, report)?;
    report.read_text::<Sha256>(path, &text, written.at).map(|sum| sum.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Warning, parse};

    const HASH: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0$ZPpV5wLiZAT6CwD9rFlDjMdWRXpfXSDiKdH6kQ6TSqg";

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
            warnings[0].0.starts_with("w.yaml:1:") && warnings[0].0.contains("did you mean `modem1`?"),
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
            assert!(error.contains("users.a.password") && error.contains("`wsbridge passwd`"), "{error}");
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
        let told =
            |name| warnings.iter().any(|warning| warning.0.contains(&format!("users.{name}.password")));
        assert!(told("a") && !told("b"), "{warnings:?}");
    }

    #[test]
    fn secrets_may_be_kept_elsewhere() {
        let (config, _) = read("users: { a: { password: { credential: alice } } }").unwrap();
        assert_eq!(config.access.users["a"].password.reveal(), HASH);
        let error = read("users: { a: { password: { file: /gone } } }").unwrap_err();
        assert!(error.contains("users.a.password: no File(\"/gone\")"), "{error}");
        for wrong in ["{ credential: ../alice }", "{}", "{ file: /a, credential: b }", "{ file: a }"] {
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
            read(&format!("tokens: {{ a: {{ sha256: '{hash}' }}, b: {{ sha256: '{hash}' }} }}")).unwrap_err();
        assert!(error.contains("tokens.b.sha256: another token"), "{error}");
        assert!(read("users: { 'a:b': { password: HASH } }").unwrap_err().contains("a name has"));
        let error = read("certificates: { a: {}, b: { common_name: a } }").unwrap_err();
        assert!(error.contains("common name `a`"), "{error}");
        let (_, warnings) = read("certificates: { a: {} }").unwrap();
        assert!(warnings.iter().any(|warning| warning.0.contains("client_ca")), "{warnings:?}");
    }
}
