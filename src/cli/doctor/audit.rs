//! The record of who did what: whether its witness has it.

use std::io;

use super::{
    Subject,
    finding::{DoctorReport, Id},
};
use crate::audit;

/// Where it is configured.
const PLACE: &str = "audit.witness";

/// Looks at it.
pub(super) fn look(subject: &Subject<'_>, report: &mut DoctorReport) {
    let Some(config) = subject.config else { return };
    let Some(witness) = config.audit.as_ref().and_then(|audit| audit.witness.as_ref()) else {
        return;
    };
    let Some(folder) = audit::folder(config) else { return };
    if std::fs::read_dir(&folder).is_err_and(|it| it.kind() == io::ErrorKind::PermissionDenied) {
        return report.unseen(Id::AuditWitness, PLACE, format!("{}", folder.display()));
    }
    let host = &witness.to.host;
    match audit::witnessed(&folder) {
        (signed, witnessed) if witnessed < signed => {
            let what = format!("{host} has {witnessed} of {signed} signed lines of the record");
            let why = report.system.lines(
                &["journalctl -u wsbridge | grep witness"],
                &["logread -e wsbridge | grep witness"],
            );
            report.wrong(Id::AuditWitness, PLACE, what, &why);
        }
        (signed, _) => {
            let what = format!("{host} has all {signed} signed lines of the record");
            report.ok(Id::AuditWitness, PLACE, what);
        }
    }
}
