//! The gateway's key switch: whether it is there, and what a broken wire would mean.

use super::{
    Subject,
    finding::{DoctorReport, Id},
};
use crate::config::{KeySwitch, SwitchSource};

/// Where it is configured.
const PLACE: &str = "switch";

/// Looks at it.
pub(super) fn look(subject: &Subject<'_>, report: &mut DoctorReport) {
    let Some(switch) = subject.config.and_then(|config| config.switch.as_ref()) else { return };
    let mark = report.mark();
    if switch.disables {
        let what = "a closed contact locks, so a broken wire or a pulled plug reads as unlocked";
        let fix = "mode: enables    # and a contact that is closed while writing is allowed";
        report.hint(Id::SwitchDisables, PLACE, what, &[fix.to_owned()]);
    }
    let position = match &switch.source {
        SwitchSource::File(path) => {
            let there = path.exists();
            let file = path.display();
            format!(
                "{file} is {}: {}",
                if there { "there" } else { "not there" },
                means(switch, there)
            )
        }
        SwitchSource::Gpio(line) => {
            let chip = subject.machine.roots.dev.join(&line.chip);
            if !chip.exists() {
                let what = format!(
                    "{} is not there, so the switch counts as off and nobody writes from elsewhere",
                    chip.display()
                );
                let fix = "ls /dev/gpiochip*    # and name one of these";
                report.wrong(Id::SwitchAbsent, PLACE, what, &[fix.to_owned()]);
            }
            let pull = if line.pulls_up { "up" } else { "down" };
            format!(
                "line {} of {}, pulled {pull} by the chip; one that cannot do that needs a resistor",
                line.line, line.chip
            )
        }
    };
    report.ok_since(mark, Id::Switch, PLACE, position);
}

fn means(switch: &KeySwitch, active: bool) -> &'static str {
    if active == switch.disables { "nobody writes from elsewhere" } else { "writing is allowed" }
}
