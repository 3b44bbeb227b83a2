//! Issuers of identities: whose signed tokens count, what their claims give, and how people sign in
//! there.

use std::path::PathBuf;

use serde_json::{Value as Json, json};

use super::{
    RightsTable, Secret,
    cursor::{Keys, Placed},
    node::At,
    secret::{SecretReader, secret},
    units::Scalar,
};

/// An issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// `iss` of its tokens, exactly.
    pub iss: String,
    /// `aud` of the tokens that programs bring; `None`: none are accepted.
    pub audience: Option<String>,
    /// Where its keys are.
    pub keys: KeyPlace,
    /// The authorities of its HTTPS server; `None`: the system's.
    pub ca: Option<PathBuf>,
    /// The claim that names a person.
    pub name: String,
    /// What values of claims give.
    pub claims: Vec<ClaimRule>,
    /// What everybody has whom it vouches for.
    pub rights: RightsTable,
    /// How people sign in there, if they can.
    pub oidc: Option<OidcClient>,
}

/// What a value of a claim gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRule {
    /// The claim: `groups`, or `realm_access.roles` for one within another.
    pub claim: String,
    /// Its value, or one of its values.
    pub value: String,
    /// The rights of the roles that stand for it.
    pub rights: RightsTable,
}

/// Where an issuer's keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// Where its discovery document says.
    Discovered,
    /// A file.
    File(PathBuf),
    /// On an HTTPS server.
    Url(WebAddress),
}

/// The gateway as a client of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcClient {
    /// The name that the issuer knows the gateway by.
    pub id: String,
    /// What it knows it by; `None`: PKCE alone.
    pub(crate) secret: Option<Secret>,
    /// What people know the issuer by.
    pub title: String,
    /// The scopes asked for.
    pub scopes: String,
}

/// An address on an HTTP server: `https://host:port/path`, or `http://` on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebAddress {
    /// As it is written.
    pub text: String,
    /// Whether it is HTTPS.
    pub secure: bool,
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// `/path?query`.
    pub path: String,
}

impl WebAddress {
    /// Reads one; the error says what to type.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is not an address; write it like https://login.example/realm");
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let secure = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(wrong()),
        };
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '#' | '\\' | '"' | '<' | '>');
        if !text.chars().all(plain) {
            return Err(wrong());
        }
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(at).ok_or_else(wrong)?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let usual = if secure { 443 } else { 80 };
        let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, usual),
            Some((host, port)) => {
                (host, port.strip_prefix(':').and_then(|it| it.parse().ok()).ok_or_else(wrong)?)
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, port.parse().map_err(|_| wrong())?),
                None => (authority, usual),
            },
        };
        if host.is_empty() || host.contains(['@', '[', ']']) {
            return Err(wrong());
        }
        let here = matches!(host, "localhost" | "127.0.0.1" | "::1");
        if !secure && !here {
            return Err(format!(
                "`{text}` is plain HTTP, where anybody on the way could change it; write https://"
            ));
        }
        Ok(Self { text: text.to_owned(), secure, host: host.to_owned(), port, path })
    }
}

impl Scalar for KeyPlace {
    fn read(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return PathBuf::read(text).map(Self::File);
        }
        WebAddress::parse(text).map(Self::Url)
    }

    fn kind() -> String {
        "path or address".into()
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^(/|https?://)", "examples": ["/etc/wsbridge/corp.jwks", "https://login.example/keys"] })
    }
}

impl Scalar for WebAddress {
    fn read(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }

    fn kind() -> String {
        "address".into()
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^https?://", "examples": ["https://witness.example/gw1"] })
    }
}

/// A role's rights; the error says that there is no such role.
pub(super) type RoleFinder<'a> = dyn FnMut(&str, &str) -> Result<RightsTable, String> + 'a;

/// Reads one. `role` finds the rights of a role for whoever is named first.
pub(super) fn issuer(
    k: &mut Keys<'_>,
    secrets: &SecretReader<'_>,
    name: &str,
    role: &mut RoleFinder<'_>,
) -> Option<Issuer> {
    let issuer = k
        .key("issuer", "its name in its tokens (`iss`), letter for letter: `https://login.example/realms/plant`")
        .needed::<String>();
    let audience = k
        .key("audience", "`aud` of the tokens (JWT) that programs bring as bearer tokens. Not the `client_id`: otherwise what proves a sign-in to other programs opens the gateway")
        .without("no tokens of programs are accepted")
        .maybe::<String>();
    let keys = k
        .key("jwks", "its public keys (JWKS): a file, which is read again when it changes, or an https address; at most 64 KiB and 32 keys")
        .without("where `issuer`/.well-known/openid-configuration says")
        .maybe::<KeyPlace>();
    let ca = k
        .key("ca", "PEM file with the authorities of its HTTPS server")
        .without("the system's")
        .maybe()
        .map(|it| it.value);
    let claim = k
        .key("name", "the claim that names a person; here the name is `ISSUER/NAME`. `sub` never changes; `email` counts if the issuer says that it is verified")
        .or::<String>("sub".into());
    let claims = k
        .key("claims", "what claims give: for each claim a mapping of its values to roles, `{ groups: { plc-team: [ operator ] } }`. `realm_access.roles` is a claim within another")
        .without("nothing")
        .value();
    let claims: Vec<Vec<ClaimRule>> = claims.named(|claim, values| {
        values.named(|value, roles| {
            let spot = roles.spot();
            let who = format!("issuers.{name}.claims.{}.{}", claim.text, value.text);
            let note = |at, why: &str| spot.wrong(at, why);
            let rights = sum(role, &who, roles.words(), &note);
            ClaimRule { claim: claim.text.clone(), value: value.text.clone(), rights }
        })
    });
    let roles = k.key("roles", "roles of everybody it vouches for").without("none").words();
    let rights =
        sum(role, &format!("issuers.{name}"), roles, &|at, why| k.wrong_in("roles", at, why));
    let oidc = k
        .key("oidc", "people sign in there from the console (OpenID Connect): [below](#issuers)")
        .without("nobody signs in there")
        .map(|k| oidc(k, secrets, name));
    let Placed { value: iss, at } = issuer?;
    let oidc = match oidc {
        Some(it) => Some(it.value?),
        None => None,
    };
    let it = Issuer {
        iss,
        audience: audience.map(|it| it.value),
        keys: keys.map_or(KeyPlace::Discovered, |it| it.value),
        ca,
        name: claim,
        claims: claims.into_iter().flatten().collect(),
        rights,
        oidc,
    };
    check(k, &it, at);
    Some(it)
}

/// Whether it is of use to anybody.
fn check(k: &Keys<'_>, it: &Issuer, at: At) {
    let asked = it.keys == KeyPlace::Discovered || it.oidc.is_some();
    if let (true, Err(why)) = (asked, WebAddress::parse(&it.iss)) {
        k.wrong_in(
            "issuer",
            at,
            &format!("{why}; only an issuer with `jwks` and without `oidc` may have another name"),
        );
    }
    if it.audience.is_none() && it.oidc.is_none() {
        k.wrong(k.at, "nobody could use it: give it an `audience` for the tokens of programs, `oidc` for people, or both");
    }
    if it.rights.0.is_empty() && it.claims.iter().all(|rule| rule.rights.0.is_empty()) {
        k.odd(k.at, "gives no rights; give it `claims` or `roles`");
    }
}

/// What roles add up to.
fn sum(
    role: &mut RoleFinder<'_>,
    who: &str,
    roles: Vec<Placed<String>>,
    note: &dyn Fn(At, &str),
) -> RightsTable {
    let mut rows = Vec::new();
    for Placed { value, at } in roles {
        match role(who, &value) {
            Ok(table) => rows.extend(table.0),
            Err(why) => note(at, &why),
        }
    }
    RightsTable(rows)
}

fn oidc(k: &mut Keys<'_>, secrets: &SecretReader<'_>, name: &str) -> Option<OidcClient> {
    let id = k.key("client_id", "the name that the issuer knows the gateway by").needed::<String>();
    let given = k
        .key("client_secret", "the secret that it gave the gateway; in the file, or elsewhere as for [passwords](#secrets)")
        .without("none: PKCE alone")
        .value();
    let secret = secret(given, "", secrets).map(|it| Secret::new(it.value));
    let title = k
        .key("title", "what people call it: the page says \"Sign in with NAME\"")
        .without("its name here")
        .maybe::<String>();
    let scopes = k
        .key("scopes", "what is asked for; some issuers put groups into `groups` alone")
        .or::<String>("openid".into());
    if !scopes.split(' ').any(|scope| scope == "openid") {
        let at = k.place("scopes").unwrap_or_default();
        k.wrong_in("scopes", at, "has no `openid`, without which nobody signs in");
    }
    let title = title.map_or_else(|| name.to_owned(), |it| it.value);
    Some(OidcClient { id: id?.value, secret, title, scopes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resolve::tests::{good, mistakes};

    #[test]
    fn claims_give_the_rights_of_their_roles() {
        let (config, warnings) = good(
            "roles: { operator: { e: [ read, write ] }, guest: { e: [ read ] } }\nendpoints: { e: { sim: echo } }\nissuers:\n  corp:\n    \
             issuer: https://login.example/realms/plant\n    audience: wsbridge\n    claims: { groups: { plc-team: [ operator ] } }\n    roles: [ guest ]\n",
        );
        assert!(warnings.is_empty(), "{warnings:?}");
        let corp = &config.access.issuers["corp"];
        assert_eq!(corp.keys, KeyPlace::Discovered);
        assert_eq!(corp.claims[0].rights.on("e").words(), ["read", "write"]);
        assert_eq!(corp.rights.on("e").words(), ["read"]);
        let given: Vec<_> =
            config.access.given.iter().map(|given| given.principal.as_str()).collect();
        assert_eq!(given, ["issuers.corp.claims.groups.plc-team", "issuers.corp"]);
    }

    #[test]
    fn an_issuer_that_nobody_could_use_and_a_mistyped_role_are_mistakes() {
        let issuer = |more: &str| {
            mistakes(&format!(
                "roles: {{ operator: {{ e: [ read ] }} }}\nendpoints: {{ e: {{ sim: echo }} }}\nissuers:\n  corp: {{ {more} }}\n"
            ))
        };
        let told = issuer("issuer: https://login.example, roles: [ operator ]");
        assert!(told.contains("nobody could use it"), "{told}");
        let told = issuer(
            "issuer: https://login.example, audience: w, claims: { groups: { a: [ operatr ] } }",
        );
        assert!(told.contains("no role `operatr`; did you mean `operator`?"), "{told}");
        let told = issuer("issuer: http://login.example, audience: w, roles: [ operator ]");
        assert!(told.contains("plain HTTP"), "{told}");
        let told = issuer("issuer: corp, jwks: keys.json, audience: w, roles: [ operator ]");
        assert!(told.contains("issuers.corp.jwks"), "{told}");
        let told = issuer(
            "issuer: https://l.example, oidc: { client_id: w, scopes: email }, roles: [ operator ]",
        );
        assert!(told.contains("has no `openid`"), "{told}");
    }

    #[test]
    fn addresses_are_read_strictly() {
        let parts =
            |text: &str| WebAddress::parse(text).map(|it| (it.secure, it.host, it.port, it.path));
        let name = |host: &str| host.to_owned();
        assert_eq!(parts("https://a.example"), Ok((true, name("a.example"), 443, name("/"))));
        assert_eq!(
            parts("https://[2001:db8::1]:8443/x?y"),
            Ok((true, name("2001:db8::1"), 8443, name("/x?y")))
        );
        assert_eq!(parts("http://127.0.0.1:9/k"), Ok((false, name("127.0.0.1"), 9, name("/k"))));
        for wrong in [
            "",
            "a.example",
            "ftp://a",
            "https://",
            "https://a b/",
            "https://a@b/",
            "https://a:x/",
            "http://a.example/",
            "https://a/#x",
        ] {
            assert!(WebAddress::parse(wrong).is_err(), "{wrong}");
        }
    }
}
