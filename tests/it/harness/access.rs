//! Configurations with tokens.

use sha2::{Digest, Sha256};

use super::daemon::OPEN;

/// [`OPEN`], with a token `wsb_NAME` for each of these names and its rights on every endpoint.
pub(crate) fn tokens(of: &[(&str, &str)]) -> String {
    let line = |(name, rights): &(&str, &str)| {
        let hash = Sha256::digest(format!("wsb_{name}"));
        let hash = hash.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        format!("  {name}: {{ sha256: \"{hash}\", rights: {{ \"*\": [ {rights} ] }} }}\n")
    };
    let all: String = of.iter().map(line).collect();
    OPEN.replace("auth: none\n", &format!("tokens:\n{all}"))
}
