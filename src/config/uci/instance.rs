//! What a `config wsbridge` section tells the init script: whether procd runs the daemon, and as
//! whom.

use std::{ffi::OsStr, path::Path};

use super::{PROGRAM, syntax};

/// How procd should run the daemon of one configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UciInstance {
    /// Whether it should run at all.
    pub enabled: bool,
    /// As whom, if the section says.
    pub user: Option<String>,
    /// With which group, if the section says.
    pub group: Option<String>,
}

/// The instance for `file`, from the text of `/etc/config/wsbridge`; `None` if no section mentions
/// it.
pub(crate) fn uci_instance(text: &str, file: &Path) -> Option<UciInstance> {
    let wanted = file.file_name().and_then(OsStr::to_str)?;
    let sections = syntax::read(text).sections;
    let section = sections.iter().filter(|section| section.kind == PROGRAM).find(|section| {
        section.value("config").map_or(PROGRAM, |value| value.text.as_str()) == wanted
    })?;
    let word = |option: &str| {
        let value = section.value(option).filter(|value| !value.text.is_empty())?;
        Some(value.text.clone())
    };
    let enabled = word("enabled")
        .is_some_and(|word| matches!(word.as_str(), "1" | "on" | "true" | "yes" | "enabled"));
    Some(UciInstance { enabled, user: word("user"), group: word("group") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_that_names_the_file_says_how_it_runs() {
        let text = "config wsbridge 'main'\n\toption enabled '1'\n\nconfig wsbridge lab\n\toption config 'wsbridge-lab'\n\
                    \toption user 'serial'\n\toption enabled 'off'\n";
        let main = uci_instance(text, Path::new("/etc/config/wsbridge")).unwrap();
        assert_eq!(main, UciInstance { enabled: true, ..UciInstance::default() });
        let lab = uci_instance(text, Path::new("/etc/config/wsbridge-lab")).unwrap();
        assert_eq!((lab.enabled, lab.user.as_deref()), (false, Some("serial")));
        assert_eq!(uci_instance(text, Path::new("/etc/config/other")), None);
    }
}
