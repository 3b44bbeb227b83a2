//! Settings as termios, and back: what a driver was asked for, what it made of it, and where the
//! two differ.

use rustix::termios::{
    ControlModes, InputModes, LocalModes, OutputModes, SpecialCodeIndex, Termios,
};

use crate::settings::{DataBits, Flow, Format, Parity, Settings, StopBits};

/// Puts settings into a termios: raw for all 256 values, no modem control, no hang-up on close.
/// With `marks`, receive errors are marked in the stream (PARMRK), for `target::serial::unmark` to
/// take out.
///
/// # Errors
/// The frame is one that no UART has.
pub(crate) fn apply(termios: &mut Termios, settings: Settings, marks: bool) -> Result<(), String> {
    if settings.stop == StopBits::OneAndHalf && settings.data != DataBits::Five {
        return Err("1.5 stop bits exist only with 5 data bits".into());
    }
    if settings.baud == 0 {
        return Err("0 baud would hang up".into());
    }
    raw(termios);
    if marks {
        termios.input_modes.insert(InputModes::PARMRK | InputModes::INPCK);
    }
    let modes = &mut termios.control_modes;
    modes.remove(
        ControlModes::CSIZE
            | ControlModes::CSTOPB
            | ControlModes::PARENB
            | ControlModes::PARODD
            | ControlModes::CMSPAR
            | ControlModes::CRTSCTS,
    );
    modes.insert(match settings.data {
        DataBits::Five => ControlModes::CS5,
        DataBits::Six => ControlModes::CS6,
        DataBits::Seven => ControlModes::CS7,
        DataBits::Eight => ControlModes::CS8,
    });
    modes.insert(match settings.parity {
        Parity::None => ControlModes::empty(),
        Parity::Even => ControlModes::PARENB,
        Parity::Odd => ControlModes::PARENB | ControlModes::PARODD,
        Parity::Mark => ControlModes::PARENB | ControlModes::PARODD | ControlModes::CMSPAR,
        Parity::Space => ControlModes::PARENB | ControlModes::CMSPAR,
    });
    if settings.stop != StopBits::One {
        modes.insert(ControlModes::CSTOPB);
    }
    match settings.flow {
        Flow::None => {}
        Flow::Hardware => modes.insert(ControlModes::CRTSCTS),
        Flow::Software => termios.input_modes.insert(InputModes::IXON | InputModes::IXOFF),
    }
    termios.set_speed(settings.baud).map_err(|error| format!("{} baud: {error}", settings.baud))
}

/// Turns off whatever would change, swallow or add a byte. Without marks, a break reads as a zero
/// byte and a byte with an error as it came: IGNBRK, IGNPAR and INPCK all stay off, since no byte
/// may be lost silently.
fn raw(termios: &mut Termios) {
    termios.input_modes = InputModes::empty();
    termios.output_modes = OutputModes::empty();
    termios.local_modes = LocalModes::empty();
    termios.control_modes.insert(ControlModes::CLOCAL | ControlModes::CREAD);
    termios.control_modes.remove(ControlModes::HUPCL);
    // With VMIN 0, a read without data would look like the end of the file.
    termios.special_codes[SpecialCodeIndex::VMIN] = 1;
    termios.special_codes[SpecialCodeIndex::VTIME] = 0;
    termios.special_codes[SpecialCodeIndex::VSTART] = 0x11;
    termios.special_codes[SpecialCodeIndex::VSTOP] = 0x13;
}

/// The settings in a termios.
pub(crate) fn read(termios: &Termios) -> Settings {
    let modes = termios.control_modes;
    let size = modes & ControlModes::CSIZE;
    let data = if size == ControlModes::CS8 {
        DataBits::Eight
    } else if size == ControlModes::CS7 {
        DataBits::Seven
    } else if size == ControlModes::CS6 {
        DataBits::Six
    } else {
        DataBits::Five
    };
    let bit = |mode| modes.contains(mode);
    let parity =
        match (bit(ControlModes::PARENB), bit(ControlModes::PARODD), bit(ControlModes::CMSPAR)) {
            (false, _, _) => Parity::None,
            (true, false, false) => Parity::Even,
            (true, true, false) => Parity::Odd,
            (true, true, true) => Parity::Mark,
            (true, false, true) => Parity::Space,
        };
    let stop = match (bit(ControlModes::CSTOPB), data) {
        (false, _) => StopBits::One,
        // What UARTs of the 8250 family send: their line control register has one bit for both.
        (true, DataBits::Five) => StopBits::OneAndHalf,
        (true, _) => StopBits::Two,
    };
    let flow = if bit(ControlModes::CRTSCTS) {
        Flow::Hardware
    } else if termios.input_modes.contains(InputModes::IXON) {
        Flow::Software
    } else {
        Flow::None
    };
    Settings { baud: termios.output_speed(), data, parity, stop, flow }
}

/// What the driver did not accept of the requested frame; nothing if it accepted it all.
pub(crate) fn frame_difference(asked: Settings, got: Settings) -> Option<String> {
    let short = |settings: Settings| {
        let Settings { data, parity, stop, .. } = settings;
        Format { data, parity, stop }
    };
    (short(asked) != short(got))
        .then(|| format!("asked for {}, the driver set {}", text(short(asked)), text(short(got))))
}

/// What the driver did not accept of baud rate and flow control, one sentence each. Within 5 % a
/// speed counts as accepted: UARTs divide a clock, and a frame of ten bits tolerates that much.
pub(crate) fn rate_differences(asked: Settings, got: Settings) -> Vec<String> {
    let mut differences = Vec::new();
    if u64::from(asked.baud.abs_diff(got.baud)) * 20 > u64::from(asked.baud) {
        differences.push(format!("asked for {} baud, the driver set {}", asked.baud, got.baud));
    }
    if asked.flow != got.flow {
        differences.push(format!(
            "asked for {} flow control, the driver set {}",
            asked.flow.text(),
            got.flow.text()
        ));
    }
    differences
}

/// `8N1`
fn text(format: Format) -> String {
    let stop = match format.stop {
        StopBits::One => "1",
        StopBits::OneAndHalf => "1.5",
        StopBits::Two => "2",
    };
    format!("{}{}{stop}", u8::from(format.data), format.parity.letter())
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};
    use rustix::{
        pty::{OpenptFlags, openpt},
        termios::tcgetattr,
    };

    use super::*;

    fn termios() -> Termios {
        tcgetattr(openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap()).unwrap()
    }

    proptest! {
        #[test]
        fn what_is_put_into_a_termios_is_read_from_it(
            baud in 1..=u32::MAX,
            data in select(vec![DataBits::Five, DataBits::Six, DataBits::Seven, DataBits::Eight]),
            parity in select(vec![Parity::None, Parity::Even, Parity::Odd, Parity::Mark, Parity::Space]),
            long in any::<bool>(),
            flow in select(vec![Flow::None, Flow::Hardware, Flow::Software]),
            marks in any::<bool>(),
        ) {
            let stop = match (long, data) {
                (false, _) => StopBits::One,
                (true, DataBits::Five) => StopBits::OneAndHalf,
                (true, _) => StopBits::Two,
            };
            let asked = Settings { baud, data, parity, stop, flow };
            let mut termios = termios();
            apply(&mut termios, asked, marks).unwrap();
            prop_assert_eq!(read(&termios), asked);
            prop_assert_eq!(termios.input_modes.contains(InputModes::PARMRK | InputModes::INPCK), marks);
            prop_assert!(!termios.input_modes.intersects(InputModes::IGNBRK | InputModes::BRKINT));
            prop_assert!(!termios.control_modes.contains(ControlModes::HUPCL));
        }
    }

    #[test]
    fn frames_no_uart_has_are_refused() {
        let odd = Settings { stop: StopBits::OneAndHalf, ..Settings::default() };
        assert_eq!(
            apply(&mut termios(), odd, false).unwrap_err(),
            "1.5 stop bits exist only with 5 data bits"
        );
        assert!(apply(&mut termios(), Settings { baud: 0, ..Settings::default() }, false).is_err());
    }

    #[test]
    fn a_divided_speed_is_as_asked_and_another_speed_is_told() {
        let asked = Settings { baud: 115_200, ..Settings::default() };
        assert_eq!(
            rate_differences(asked, Settings { baud: 115_385, ..asked }),
            Vec::<String>::new()
        );
        let asked = Settings { baud: 230_400, flow: Flow::Hardware, ..asked };
        assert_eq!(
            rate_differences(asked, Settings { baud: 9600, flow: Flow::None, ..asked }),
            [
                "asked for 230400 baud, the driver set 9600",
                "asked for rtscts flow control, the driver set none"
            ]
        );
        let got = Settings { data: DataBits::Seven, parity: Parity::Mark, ..asked };
        assert_eq!(frame_difference(asked, got).unwrap(), "asked for 8N1, the driver set 7M1");
    }
}
