//! The record of who did what: where it is kept, how long, and who else keeps its checkpoints.

use std::{path::PathBuf, time::Duration};

use super::{WebAddress, cursor::Keys, units::Size};

/// What the record is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRules {
    /// Where its files are; `None`: `audit` in the state directory.
    pub folder: Option<PathBuf>,
    /// Bytes of all its files; beyond, the oldest go.
    pub keep: u64,
    /// How often it is signed.
    pub every: Duration,
    /// Whether the log has each checkpoint, too.
    pub log: bool,
    /// A file that has each checkpoint, too.
    pub file: Option<PathBuf>,
    /// Who is given each checkpoint, too.
    pub witness: Option<WitnessRules>,
}

/// A server that is given each checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessRules {
    /// Where.
    pub to: WebAddress,
    /// The authorities of its HTTPS server; `None`: the system's.
    pub ca: Option<PathBuf>,
}

/// Reads it.
pub(super) fn audit(k: &mut Keys<'_>) -> AuditRules {
    let folder = k
        .key("directory", "where its files are kept; `wsbridge audit` reads them there")
        .without("`audit` in `state_directory`")
        .uci("audit_directory")
        .maybe()
        .map(|it| it.value);
    let keep = k
        .key("keep", "how much is kept; beyond that the oldest file goes")
        .uci("audit_keep")
        .within(Size(256 << 10)..=Size(1 << 40))
        .or(Size(64 << 20));
    let every = k
        .key("checkpoint", "how often it is signed, if there is something new. What came after the newest checkpoint can be cut off unnoticed")
        .uci("audit_checkpoint")
        .within(Duration::from_secs(10)..=Duration::from_secs(24 * 3600))
        .or(Duration::from_secs(15 * 60));
    let log = k
        .key("log", "whether the log has each checkpoint too: with a journal that is sent to another machine, nobody can change the record before it unnoticed")
        .uci("audit_log")
        .or(true);
    let file = k
        .key("file", "a file that each checkpoint is appended to, for example on another machine's file system")
        .uci("audit_file")
        .maybe()
        .map(|it| it.value);
    let ca = k
        .key("witness_ca", "the authorities of the witness's certificate, in PEM")
        .without("the system's")
        .uci("audit_witness_ca")
        .maybe()
        .map(|it| it.value);
    let witness = k
        .key("witness", "an `https://` address that each checkpoint is sent to (POST): a server that keeps them. [audit.md](audit.md#a-witness)")
        .uci("audit_witness")
        .maybe()
        .map(|it| WitnessRules { to: it.value, ca });
    AuditRules { folder, keep: keep.0, every, log, file, witness }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resolve::tests::{good, mistakes};

    #[test]
    fn nothing_is_recorded_unless_it_says_so() {
        assert_eq!(good("auth: none").0.audit, None);
        let (config, _) = good("auth: none\naudit: { keep: 1MiB, file: /mnt/far/checkpoints }");
        let wanted = AuditRules {
            folder: None,
            keep: 1 << 20,
            every: Duration::from_secs(900),
            log: true,
            file: Some("/mnt/far/checkpoints".into()),
            witness: None,
        };
        assert_eq!(config.audit, Some(wanted));
        assert!(mistakes("auth: none\naudit: { checkpoint: 1s }").contains("audit.checkpoint"));
    }
}
