//! The nouns of a serial port: settings, modem lines, steps, error counts.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// How a line is set up: speed, frame and flow control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Bits per second, 1 to 2^32-1.
    pub baud: u32,
    /// Data bits of a frame.
    pub data: DataBits,
    /// Parity bit of a frame.
    pub parity: Parity,
    /// Stop bits of a frame.
    pub stop: StopBits,
    /// Flow control.
    pub flow: Flow,
}

impl Default for Settings {
    /// 9600 8N1 without flow control: what a Linux tty starts with.
    fn default() -> Self {
        Self {
            baud: 9600,
            data: DataBits::Eight,
            parity: Parity::None,
            stop: StopBits::One,
            flow: Flow::None,
        }
    }
}

impl Settings {
    /// Time that one character takes on the line: start, data, parity and stop bits.
    pub fn character(&self) -> Duration {
        let parity = if self.parity == Parity::None { 0.0 } else { 1.0 };
        let bits = 1.0 + f64::from(u8::from(self.data)) + parity + f64::from(self.stop);
        Duration::from_secs_f64(bits / f64::from(self.baud.max(1)))
    }
}

impl fmt::Display for Settings {
    /// `115200 8N1 rtscts`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (data, parity, stop) = (self.data, self.parity.letter(), self.stop);
        write!(f, "{} {}{parity}{} {}", self.baud, u8::from(data), stop.text(), self.flow.text())
    }
}

/// Data bits of a frame, 5 to 8; a number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum DataBits {
    /// 5
    Five,
    /// 6
    Six,
    /// 7
    Seven,
    /// 8
    Eight,
}

impl From<DataBits> for u8 {
    fn from(bits: DataBits) -> Self {
        match bits {
            DataBits::Five => 5,
            DataBits::Six => 6,
            DataBits::Seven => 7,
            DataBits::Eight => 8,
        }
    }
}

impl TryFrom<u8> for DataBits {
    type Error = String;

    fn try_from(bits: u8) -> Result<Self, String> {
        match bits {
            5 => Ok(Self::Five),
            6 => Ok(Self::Six),
            7 => Ok(Self::Seven),
            8 => Ok(Self::Eight),
            _ => Err(format!("data bits are 5 to 8, not {bits}")),
        }
    }
}

/// Parity bit of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Parity {
    /// No parity bit.
    None,
    /// Even number of ones.
    Even,
    /// Odd number of ones.
    Odd,
    /// Always one (CMSPAR with PARODD).
    Mark,
    /// Always zero (CMSPAR).
    Space,
}

impl Parity {
    /// The letter of the usual short form: the N in 8N1.
    pub fn letter(self) -> char {
        match self {
            Self::None => 'N',
            Self::Even => 'E',
            Self::Odd => 'O',
            Self::Mark => 'M',
            Self::Space => 'S',
        }
    }
}

/// Stop bits of a frame; a number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "f64")]
pub enum StopBits {
    /// 1
    One,
    /// 1.5: what CSTOPB means to a 16550A with five data bits.
    OneAndHalf,
    /// 2
    Two,
}

impl StopBits {
    fn text(self) -> &'static str {
        match self {
            Self::One => "1",
            Self::OneAndHalf => "1.5",
            Self::Two => "2",
        }
    }
}

impl Serialize for StopBits {
    /// Whole numbers without a fraction: `1`, not `1.0`.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One => serializer.serialize_u8(1),
            Self::OneAndHalf => serializer.serialize_f64(1.5),
            Self::Two => serializer.serialize_u8(2),
        }
    }
}

impl From<StopBits> for f64 {
    fn from(bits: StopBits) -> Self {
        match bits {
            StopBits::One => 1.0,
            StopBits::OneAndHalf => 1.5,
            StopBits::Two => 2.0,
        }
    }
}

impl TryFrom<f64> for StopBits {
    type Error = String;

    fn try_from(bits: f64) -> Result<Self, String> {
        [Self::One, Self::OneAndHalf, Self::Two]
            .into_iter()
            .find(|known| (f64::from(*known) - bits).abs() < f64::EPSILON)
            .ok_or_else(|| format!("stop bits are 1, 1.5 or 2, not {bits}"))
    }
}

/// Flow control. `wsbridge.v1` says `hardware` and `software`, the configuration says `rtscts` and
/// `xonxoff`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flow {
    /// None.
    None,
    /// RTS/CTS.
    Hardware,
    /// XON/XOFF.
    Software,
}

impl Flow {
    /// The configuration's word.
    pub fn text(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Hardware => "rtscts",
            Self::Software => "xonxoff",
        }
    }
}

/// The short form of a frame: `8N1`, `7E2`, `5N1.5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    /// Data bits.
    pub data: DataBits,
    /// Parity.
    pub parity: Parity,
    /// Stop bits.
    pub stop: StopBits,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a frame format; write data bits, parity letter (N E O M S) and stop bits, like 8N1"
            )
        };
        let mut letters = text.chars();
        let data = letters.next().and_then(|c| c.to_digit(10)).ok_or_else(wrong)?;
        let parity = match letters.next().map(|c| c.to_ascii_uppercase()) {
            Some('N') => Parity::None,
            Some('E') => Parity::Even,
            Some('O') => Parity::Odd,
            Some('M') => Parity::Mark,
            Some('S') => Parity::Space,
            _ => return Err(wrong()),
        };
        let stop = match letters.as_str() {
            "1" => StopBits::One,
            "1.5" => StopBits::OneAndHalf,
            "2" => StopBits::Two,
            _ => return Err(wrong()),
        };
        Ok(Self { data: u8::try_from(data).map_err(|_| wrong())?.try_into()?, parity, stop })
    }
}

/// A change of the lines we drive; `None` leaves a line as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Levels {
    /// Data Terminal Ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dtr: Option<bool>,
    /// Request To Send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rts: Option<bool>,
    /// Break condition (TIOCSBRK, TIOCCBRK).
    #[serde(rename = "break", skip_serializing_if = "Option::is_none")]
    pub brk: Option<bool>,
}

impl Levels {
    /// Whether nothing would change.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// One step of a signal sequence: a change, then a pause.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// What changes, all at once.
    pub change: Levels,
    /// How long to hold after the change.
    pub hold: Duration,
    /// The client's monotonic clock at the change; it paces this step relative to the one before.
    pub at: Option<Duration>,
}

/// The modem lines we read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "four independent wires")]
pub struct Inputs {
    /// Clear To Send.
    pub cts: bool,
    /// Data Set Ready.
    pub dsr: bool,
    /// Data Carrier Detect.
    pub dcd: bool,
    /// Ring Indicator.
    pub ri: bool,
}

/// What a driver has counted since it was loaded (TIOCGICOUNT).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorCounts {
    /// Break conditions received.
    #[serde(rename = "break")]
    pub brk: u32,
    /// Frames with wrong parity.
    pub parity: u32,
    /// Frames without a stop bit.
    pub framing: u32,
    /// Bytes the hardware lost.
    pub overrun: u32,
    /// Bytes the kernel's buffer lost.
    pub buffer_overrun: u32,
    /// Telnet commands from another box that break the rules of telnet.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub telnet: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl ErrorCounts {
    /// What was added since `earlier`; the drivers' counters wrap.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            brk: self.brk.wrapping_sub(earlier.brk),
            parity: self.parity.wrapping_sub(earlier.parity),
            framing: self.framing.wrapping_sub(earlier.framing),
            overrun: self.overrun.wrapping_sub(earlier.overrun),
            buffer_overrun: self.buffer_overrun.wrapping_sub(earlier.buffer_overrun),
            telnet: self.telnet.wrapping_sub(earlier.telnet),
        }
    }
}

/// Something that happened on a line, beside the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineEvent {
    /// A break condition; no byte belongs to it.
    Break,
    /// A frame with wrong parity.
    Parity,
    /// A frame without a stop bit.
    Framing,
    /// Bytes were lost by hardware or kernel.
    Overrun,
}

/// USB vendor and product number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UsbId {
    /// Vendor.
    pub vid: u16,
    /// Product.
    pub pid: u16,
}

impl fmt::Display for UsbId {
    /// `0403:6001`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vid, self.pid)
    }
}
