//! Who may do what, and why: `wsbridge check --explain`.

use crate::config::{Access, Config, Given, Rights, RightsTable};

/// Every user, token and certificate, under its path in the file.
pub(super) fn principals(access: &Access) -> impl Iterator<Item = (String, &RightsTable)> {
    let users = access.users.iter().map(|(name, user)| (format!("users.{name}"), &user.rights));
    let tokens =
        access.tokens.iter().map(|(name, token)| (format!("tokens.{name}"), &token.rights));
    let certificates =
        access.certificates.iter().map(|(name, it)| (format!("certificates.{name}"), &it.rights));
    users.chain(tokens).chain(certificates)
}

/// What somebody may do on an endpoint, and through which role and pattern.
pub(super) fn explain(config: &Config, question: &str) -> Result<String, String> {
    // A user's name may contain an @, an endpoint's never does.
    let (who, name) = question
        .rsplit_once('@')
        .ok_or_else(|| format!("`{question}`: write USER@ENDPOINT, like alice@modem1"))?;
    if !config.endpoints.contains_key(name) && !name.starts_with('/') {
        return Err(format!(
            "no endpoint `{name}`; there is {}",
            listed(config.endpoints.keys().cloned())
        ));
    }
    if config.access.open {
        let all = Rights::ALL.words().join(" ");
        return Ok(format!("anyone on this machine may {all} on {name}: `auth: none`\n"));
    }
    let mut answer = String::new();
    for (path, table) in principals(&config.access) {
        if path != who && path.split_once('.').is_none_or(|(_, name)| name != who) {
            continue;
        }
        let may = table.on(name);
        let words = if may == Rights::NONE { "do nothing".into() } else { may.words().join(" ") };
        answer.push_str(&[&path, " may ", &words, " on ", name, "\n"].concat());
        for given in config.access.given.iter().filter(|given| given.principal == path) {
            if RightsTable(vec![(given.pattern.clone(), given.rights)]).on(name) != Rights::NONE {
                answer += &reason(given);
            }
        }
    }
    if answer.is_empty() {
        let all = listed(principals(&config.access).map(|(path, _)| path));
        return Err(format!("no user, token or certificate `{who}`; there is {all}"));
    }
    Ok(answer)
}

fn reason(given: &Given) -> String {
    let words = given.rights.words().join(" ");
    let through = match &given.role {
        Some(role) => format!("role {role}"),
        None => "its own rights".into(),
    };
    format!("  {words}: through {through}, pattern \"{}\"\n", given.pattern)
}

fn listed(names: impl Iterator<Item = String>) -> String {
    let names: Vec<_> = names.collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}
