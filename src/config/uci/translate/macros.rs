//! `config macro`: the signal sequences of endpoints.

use super::{Translated, find, flag, no_flag};
use crate::config::{
    node::{At, Node},
    uci::syntax::Section,
    units::suggest,
};

impl<'a> Translated<'a> {
    /// `config macro`: a signal sequence of an endpoint.
    pub(super) fn signal_macro(&mut self, section: &'a Section) {
        let (Some(name), Some((_, of))) = (self.name(section), find(section, "endpoint")) else {
            return;
        };
        let target = self.root.get(&["endpoints", &of.text]).and_then(|endpoint| {
            ["serial", "rfc2217"].into_iter().find(|target| endpoint.get(&[target]).is_some())
        });
        let Some(target) = target else {
            let what = format!(
                "`{}` is not an endpoint of type serial or rfc2217 that is enabled",
                of.text
            );
            return self.wrong(section, Some("endpoint"), what);
        };
        let mut steps = Vec::new();
        let entry = section.entries.iter().find(|entry| entry.option == "step");
        for (entry, value) in
            entry.iter().flat_map(|entry| entry.values.iter().map(|it| (*entry, it)))
        {
            let mark = self.mark(section, Some((entry, value)));
            let mut step = Node::map(mark);
            for part in value.text.split_whitespace() {
                if let Err(what) = step_part(part, mark, &mut step) {
                    self.problems.push((mark, what));
                }
            }
            steps.push(step);
        }
        let mark = self.mark(section, None);
        let path = ["endpoints", of.text.as_str(), target, "macros", name];
        if !self.root.put(&path, Node::list(mark, steps)) {
            self.problems
                .push((mark, format!("another macro of `{}` has the name `{name}`", of.text)));
        }
    }
}

/// One part of a macro's step, like `dtr=1`.
fn step_part(part: &str, mark: At, step: &mut Node) -> Result<(), String> {
    let (key, text) = part.split_once('=').unwrap_or((part, ""));
    let text = match key {
        "dtr" | "rts" | "break" => {
            flag(text).map(|on| on.to_string()).ok_or_else(|| no_flag(text))?
        }
        "wait_ms" => text.to_owned(),
        _ => {
            let known = ["dtr", "rts", "break", "wait_ms"];
            return Err(format!(
                "`{part}` is not a part of a step like `dtr=1 wait_ms=100`{}",
                suggest(key, &known)
            ));
        }
    };
    if step.put(&[key], Node::text(mark, text)) {
        Ok(())
    } else {
        Err(format!("`{key}` is here twice"))
    }
}
