//! The gateway's key switch: its part of the configuration.

use std::{net::IpAddr, path::PathBuf};

use serde_json::{Value, json};

use super::{
    cursor::{Keys, Placed},
    proxies::{Network, contain},
    units::Scalar,
    words::{ActiveLevel, Bias, SwitchMode},
};

/// The key switch: where it is, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySwitch {
    pub source: SwitchSource,
    /// Whether the active contact, or the file, disables instead of enabling.
    pub disables: bool,
    /// Networks whose clients are not remote.
    pub local: Vec<(IpAddr, u8)>,
}

/// Where its position is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SwitchSource {
    /// A file that is there or not.
    File(PathBuf),
    /// A line of a GPIO chip.
    Gpio(GpioLine),
}

/// A line of a GPIO chip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpioLine {
    /// The chip's name in /dev.
    pub chip: String,
    pub line: u32,
    /// Whether a low voltage is active.
    pub active_low: bool,
    /// Whether the chip pulls the line up, rather than down.
    pub pulls_up: bool,
}

impl KeySwitch {
    /// Whether that address is outside of this gateway's own networks.
    pub(crate) fn is_remote(&self, address: IpAddr) -> bool {
        !contain(&self.local, address)
    }
}

/// The name of a chip in /dev.
#[derive(Clone, Debug, PartialEq, Eq)]
struct GpioChip(String);

impl Scalar for GpioChip {
    fn read(text: &str) -> Result<Self, String> {
        let number = text.strip_prefix("gpiochip").unwrap_or_default();
        let fits = !number.is_empty()
            && number.len() <= 5
            && number.bytes().all(|byte| byte.is_ascii_digit());
        let what =
            || format!("`{text}` is not a GPIO chip; write its name in /dev, like gpiochip0");
        fits.then(|| Self(text.to_owned())).ok_or_else(what)
    }

    fn kind() -> String {
        "like `gpiochip0`".into()
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^gpiochip[0-9]{1,5}$" })
    }

    fn text(&self) -> String {
        self.0.clone()
    }
}

/// Reads `switch:`.
pub(super) fn switch(k: &mut Keys<'_>) -> Option<KeySwitch> {
    let read = k
        .key(
            "switch",
            "a key switch; while it is off, nobody from elsewhere may do more than read: [below](#switch)",
        )
        .without("none: always on")
        .map(key_switch);
    read?.value
}

fn key_switch(k: &mut Keys<'_>) -> Option<KeySwitch> {
    let file = k
        .key("file", "a file that is there while the contact is closed; looked at twice a second")
        .uci("switch_file")
        .maybe::<PathBuf>();
    let line = k.key("gpio", "an input of this machine").map(gpio);
    let mode = k
        .key(
            "mode",
            "what a closed contact (the active level, or the file) means: `enables` lets clients from elsewhere write, `disables` \
             stops them. Only with `enables` a broken wire is off",
        )
        .uci("switch_mode")
        .or(SwitchMode::Enables);
    let known = k
        .key("i_know", "has to be `true` with `mode: disables`: a broken wire leaves everything on")
        .uci("switch_i_know")
        .or(false);
    let local = k
        .key("local", "networks whose clients may write whatever the switch says; unix sockets and device nodes always may")
        .without("none")
        .uci("switch_local")
        .words::<Network>();
    let disables = mode == SwitchMode::Disables;
    if disables && !known {
        let at = k.place("mode").unwrap_or(k.at);
        k.wrong_in("mode", at, "with `disables` a broken wire leaves everything on; add `i_know: true` if that is what you want");
    }
    match (&file, &line) {
        (None, None) => k.lacks(&["file", "gpio"], k.at, "write `file:` or `gpio:`"),
        (Some(file), Some(_)) => {
            k.odd_in("file", file.at, "is not looked at beside `gpio`; keep one of them");
        }
        (None, Some(Placed { value: Some(line), at }))
            if !disables && line.active_low != line.pulls_up =>
        {
            let level = if line.active_low { "low" } else { "high" };
            let bias = if line.active_low { "pull-up" } else { "pull-down" };
            k.wrong_in("gpio", *at, &format!(
                "a wire that breaks would be read as a closed contact: `active: {level}` goes with `bias: {bias}`"
            ));
        }
        _ => {}
    }
    let source = match (line, file) {
        (Some(line), _) => SwitchSource::Gpio(line.value?),
        (None, Some(file)) => SwitchSource::File(file.value),
        (None, None) => return None,
    };
    let local = local.into_iter().map(|it| (it.value.0, it.value.1)).collect();
    Some(KeySwitch { source, disables, local })
}

fn gpio(k: &mut Keys<'_>) -> Option<GpioLine> {
    let chip = k
        .key("chip", "the chip, like `gpiochip0`; `gpiodetect` of the package gpiod lists them")
        .uci("switch_gpio_chip")
        .needed::<GpioChip>();
    let line = k
        .key("line", "the number of its line; `gpioinfo` lists them")
        .uci("switch_gpio_line")
        .within::<u32>(0..=4095)
        .maybe();
    if line.is_none() && !k.has("line") {
        k.lacks(&["line"], k.at, "the key `line` is missing here");
    }
    let active = k
        .key("active", "the level of a closed contact: `low` for one to ground")
        .uci("switch_active")
        .or(ActiveLevel::Low);
    let active_low = active == ActiveLevel::Low;
    let bias = k
        .key(
            "bias",
            "where the chip pulls an open contact; a chip that cannot pull needs a resistor that does",
        )
        .without("to the level that is not `active`")
        .maybe::<Bias>();
    let pulls_up = bias.map_or(active_low, |bias| bias.value == Bias::PullUp);
    Some(GpioLine { chip: chip?.value.0, line: line?.value, active_low, pulls_up })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resolve::tests::{good, mistakes};

    #[test]
    fn an_open_contact_is_pulled_to_the_level_that_is_off() {
        let read = |text: &str| good(&format!("auth: none\nswitch: {text}")).0.switch.unwrap();
        let low = read("{ gpio: { chip: gpiochip0, line: 17 } }");
        let SwitchSource::Gpio(line) = &low.source else { panic!("{low:?}") };
        assert_eq!((line.active_low, line.pulls_up, low.disables), (true, true, false));
        let high =
            read("{ gpio: { chip: gpiochip1, line: 3, active: high }, local: [ 192.0.2.0/24 ] }");
        let SwitchSource::Gpio(line) = &high.source else { panic!("{high:?}") };
        assert_eq!((line.active_low, line.pulls_up), (false, false));
        assert!(!high.is_remote("192.0.2.7".parse().unwrap()));
        assert!(high.is_remote("127.0.0.1".parse().unwrap()));
        let other =
            "{ mode: disables, i_know: true, gpio: { chip: gpiochip0, line: 1, bias: pull-down } }";
        assert!(read(other).disables);
    }

    #[test]
    fn a_switch_that_a_broken_wire_turns_on_is_a_mistake() {
        let told = |text: &str| mistakes(&format!("auth: none\nswitch: {text}"));
        for (text, what) in [
            (
                "{ gpio: { chip: gpiochip0, line: 1, bias: pull-down } }",
                "`active: low` goes with `bias: pull-up`",
            ),
            (
                "{ gpio: { chip: gpiochip0, line: 1, active: high, bias: pull-up } }",
                "goes with `bias: pull-down`",
            ),
            ("{ file: /run/key, mode: disables }", "add `i_know: true`"),
            ("{}", "write `file:` or `gpio:`"),
            ("{ gpio: { chip: /dev/gpiochip0, line: 1 } }", "is not a GPIO chip"),
            ("{ gpio: { chip: gpiochip0 } }", "the key `line` is missing"),
        ] {
            assert!(told(text).contains(what), "{text}\n{}", told(text));
        }
    }
}
