//! A simulated PLC: its data, and the functions that access it (MODBUS Application Protocol
//! V1.1b3).
//!
//! Holding register 0 counts seconds, register 1 is a temperature in 0.1 degrees; 2 to 199, and
//! coils 0 to 99, can be written. The input registers show the same values. Discrete input 0 blinks
//! every second.

pub(super) mod rtu;
pub(super) mod tcp;

use std::time::Duration;

/// Registers of each kind.
const REGISTERS: usize = 200;

/// Coils and discrete inputs.
const BITS: usize = 100;

/// Registers, from 0 on, that are computed and cannot be written.
const COMPUTED: usize = 2;

/// Objects of function 43/14: vendor, product code, revision (basic); URL, product name, model name
/// (regular).
const OBJECTS: [&str; 6] = [
    "wsbridge",
    "SIM-PLC",
    env!("CARGO_PKG_VERSION"),
    "https://modbus.org",
    "Simulated PLC",
    "SIM-PLC 1",
];

/// Exception codes (section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exception {
    Function = 1,
    Address = 2,
    Value = 3,
}

/// The PLC's memory, shared by its connections.
pub(super) struct Model {
    holding: [u16; REGISTERS],
    coils: [bool; BITS],
}

impl Default for Model {
    /// Holding register n holds 100 n; every third coil is on.
    fn default() -> Self {
        let mut model = Self { holding: [0; REGISTERS], coils: [false; BITS] };
        for (value, register) in (0..).step_by(100).zip(&mut model.holding) {
            *register = value;
        }
        model.coils.iter_mut().step_by(3).for_each(|coil| *coil = true);
        model
    }
}

impl Model {
    /// Answers a request without address and checksum: function code and data.
    pub(super) fn answer(&mut self, now: Duration, request: &[u8]) -> Vec<u8> {
        let (function, data) =
            request.split_first().map_or((0, request), |(function, data)| (*function, data));
        match self.run(now, function, data) {
            Ok(mut answer) => {
                answer.insert(0, function);
                answer
            }
            Err(exception) => vec![function | 0x80, exception as u8],
        }
    }

    fn run(&mut self, now: Duration, function: u8, data: &[u8]) -> Result<Vec<u8>, Exception> {
        match function {
            1 => bits(data, |range| self.coils.get(range).map(<[bool]>::to_vec)),
            2 => bits(data, |range| inputs(now).get(range).map(<[bool]>::to_vec)),
            3 | 4 => registers(data, |range| self.holding(now).get(range).map(<[u16]>::to_vec)),
            5 => self.write_coil(data),
            6 => self.write_register(data),
            15 => self.write_coils(data),
            16 => self.write_registers(data),
            43 => identify(data),
            _ => Err(Exception::Function),
        }
    }

    /// The holding registers as they are now.
    fn holding(&self, now: Duration) -> [u16; REGISTERS] {
        let mut registers = self.holding;
        for (register, value) in registers.iter_mut().zip(computed(now)) {
            *register = value;
        }
        registers
    }

    fn write_coil(&mut self, data: &[u8]) -> Result<Vec<u8>, Exception> {
        let (address, value) = pair(data)?;
        let on = match value {
            0xFF00 => true,
            0 => false,
            _ => return Err(Exception::Value),
        };
        *self.coils.get_mut(address).ok_or(Exception::Address)? = on;
        Ok(data.to_vec())
    }

    fn write_register(&mut self, data: &[u8]) -> Result<Vec<u8>, Exception> {
        let (address, value) = pair(data)?;
        *self.writable(address, 1)?.first_mut().ok_or(Exception::Address)? = value;
        Ok(data.to_vec())
    }

    fn write_coils(&mut self, data: &[u8]) -> Result<Vec<u8>, Exception> {
        let (head, bytes) = several(data)?;
        let (address, count) = pair(head)?;
        let count = usize::from(count);
        if !(1..=1968).contains(&count) || bytes.len() != count.div_ceil(8) {
            return Err(Exception::Value);
        }
        let coils = self.coils.get_mut(address..address + count).ok_or(Exception::Address)?;
        let states = bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
        coils.iter_mut().zip(states).for_each(|(coil, on)| *coil = on);
        Ok(head.to_vec())
    }

    fn write_registers(&mut self, data: &[u8]) -> Result<Vec<u8>, Exception> {
        let (head, bytes) = several(data)?;
        let (address, count) = pair(head)?;
        let count = usize::from(count);
        if !(1..=123).contains(&count) || bytes.len() != 2 * count {
            return Err(Exception::Value);
        }
        let (words, _) = bytes.as_chunks::<2>();
        let places = self.writable(address, count)?;
        places.iter_mut().zip(words).for_each(|(place, word)| *place = u16::from_be_bytes(*word));
        Ok(head.to_vec())
    }

    /// Registers that can be written.
    fn writable(&mut self, address: usize, count: usize) -> Result<&mut [u16], Exception> {
        if address < COMPUTED {
            return Err(Exception::Address);
        }
        self.holding.get_mut(address..address + count).ok_or(Exception::Address)
    }
}

/// Seconds since the start, modulo 65536, and 25.0 degrees plus or minus 5.0 within a minute.
fn computed(now: Duration) -> [u16; COMPUTED] {
    let seconds = u16::try_from(now.as_secs() % 65536).unwrap_or_default();
    let turn = std::f64::consts::TAU * now.as_secs_f64() / 60.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "200 to 300")]
    let temperature = (250.0 + 50.0 * turn.sin()).round() as u16;
    [seconds, temperature]
}

/// The discrete inputs: one that blinks, then every other one on.
fn inputs(now: Duration) -> [bool; BITS] {
    let mut inputs = [false; BITS];
    inputs.iter_mut().skip(1).step_by(2).for_each(|input| *input = true);
    if let Some(first) = inputs.first_mut() {
        *first = now.as_secs() % 2 == 1;
    }
    inputs
}

/// Two words: an address, and a count or a value.
fn pair(data: &[u8]) -> Result<(usize, u16), Exception> {
    match data {
        [a, b, c, d] => {
            Ok((usize::from(u16::from_be_bytes([*a, *b])), u16::from_be_bytes([*c, *d])))
        }
        _ => Err(Exception::Value),
    }
}

/// Address and count, and the bytes announced by a byte count.
fn several(data: &[u8]) -> Result<(&[u8], &[u8]), Exception> {
    let (head, rest) = data.split_at_checked(4).ok_or(Exception::Value)?;
    match rest.split_first() {
        Some((count, bytes)) if usize::from(*count) == bytes.len() => Ok((head, bytes)),
        _ => Err(Exception::Value),
    }
}

/// Functions 1 and 2: a byte count and packed bits, the first in the lowest place.
fn bits(
    data: &[u8],
    read: impl Fn(std::ops::Range<usize>) -> Option<Vec<bool>>,
) -> Result<Vec<u8>, Exception> {
    let (address, count) = pair(data)?;
    if !(1..=2000).contains(&count) {
        return Err(Exception::Value);
    }
    let bits = read(address..address + usize::from(count)).ok_or(Exception::Address)?;
    let packed = bits
        .chunks(8)
        .map(|eight| eight.iter().rev().fold(0, |byte, on| byte << 1 | u8::from(*on)));
    Ok(counted(packed.collect()))
}

/// Functions 3 and 4: a byte count and words, high byte first.
fn registers(
    data: &[u8],
    read: impl Fn(std::ops::Range<usize>) -> Option<Vec<u16>>,
) -> Result<Vec<u8>, Exception> {
    let (address, count) = pair(data)?;
    if !(1..=125).contains(&count) {
        return Err(Exception::Value);
    }
    let words = read(address..address + usize::from(count)).ok_or(Exception::Address)?;
    Ok(counted(words.into_iter().flat_map(u16::to_be_bytes).collect()))
}

/// Puts the byte count before the bytes; there are at most 250, by the limits above.
fn counted(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.insert(0, u8::try_from(bytes.len()).unwrap_or(u8::MAX));
    bytes
}

/// Function 43 with MEI type 14, read device identification (section 6.21).
fn identify(data: &[u8]) -> Result<Vec<u8>, Exception> {
    let [mei, code, object] = *data else { return Err(Exception::Value) };
    if mei != 14 {
        return Err(Exception::Function);
    }
    let numbered = (0u8..).zip(OBJECTS);
    let wanted: Vec<(u8, &str)> = match code {
        1 => numbered.take(3).collect(),
        2 | 3 => numbered.collect(),
        4 => numbered.filter(|(number, _)| *number == object).collect(),
        _ => return Err(Exception::Value),
    };
    // With stream access, an unknown object starts again from the first.
    let from = if code < 4 && usize::from(object) < wanted.len() { object } else { 0 };
    let wanted: Vec<_> = wanted.into_iter().filter(|(number, _)| *number >= from).collect();
    if wanted.is_empty() {
        return Err(Exception::Address);
    }
    // Conformity 0x82: regular objects, as a stream and individually. No more follows, next object
    // 0.
    let mut answer = vec![mei, code, 0x82, 0, 0, u8::try_from(wanted.len()).unwrap_or_default()];
    for (number, text) in wanted {
        answer.extend([number, u8::try_from(text.len()).unwrap_or_default()]);
        answer.extend(text.as_bytes());
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(15);

    fn ask(model: &mut Model, request: &[u8]) -> Vec<u8> {
        model.answer(NOW, request)
    }

    #[test]
    fn holding_registers_hold_a_counter_a_temperature_and_what_is_written() {
        let mut model = Model::default();
        assert_eq!(ask(&mut model, &[3, 0, 0, 0, 3]), [3, 6, 0, 15, 1, 44, 0, 200]);
        assert_eq!(ask(&mut model, &[4, 0, 1, 0, 1]), [4, 2, 1, 44]);
        assert_eq!(ask(&mut model, &[6, 0, 2, 0x12, 0x34]), [6, 0, 2, 0x12, 0x34]);
        assert_eq!(ask(&mut model, &[16, 0, 3, 0, 2, 4, 1, 2, 3, 4]), [16, 0, 3, 0, 2]);
        assert_eq!(ask(&mut model, &[3, 0, 2, 0, 3]), [3, 6, 0x12, 0x34, 1, 2, 3, 4]);
    }

    #[test]
    fn coils_are_packed_from_the_lowest_bit() {
        let mut model = Model::default();
        assert_eq!(ask(&mut model, &[1, 0, 0, 0, 10]), [1, 2, 0b0100_1001, 0b10]);
        assert_eq!(ask(&mut model, &[5, 0, 1, 0xFF, 0]), [5, 0, 1, 0xFF, 0]);
        assert_eq!(ask(&mut model, &[15, 0, 8, 0, 3, 1, 0b101]), [15, 0, 8, 0, 3]);
        assert_eq!(ask(&mut model, &[1, 0, 0, 0, 11]), [1, 2, 0b0100_1011, 0b101]);
        assert_eq!(ask(&mut model, &[2, 0, 0, 0, 2]), [2, 1, 0b11]);
    }

    #[test]
    fn the_device_identifies_itself() {
        let mut model = Model::default();
        let all = ask(&mut model, &[43, 14, 2, 0]);
        assert_eq!(all.get(..7), Some(&[43, 14, 2, 0x82, 0, 0, 6][..]));
        assert_eq!(ask(&mut model, &[43, 14, 4, 1]), b"\x2B\x0E\x04\x82\0\0\x01\x01\x07SIM-PLC");
    }

    #[test]
    fn what_is_wrong_gets_its_exception() {
        let mut model = Model::default();
        for (request, exception) in [
            (&[7][..], Exception::Function),
            (&[43, 13, 1, 0], Exception::Function),
            (&[3, 0, 0, 0, 0], Exception::Value),
            (&[3, 0, 0, 0, 126], Exception::Value),
            (&[3, 0, 199, 0, 2], Exception::Address),
            (&[3, 0, 0], Exception::Value),
            (&[5, 0, 0, 1, 0], Exception::Value),
            (&[6, 0, 0, 0, 1], Exception::Address),
            (&[6, 0xFF, 0xFF, 0, 1], Exception::Address),
            (&[15, 0, 0, 0, 9, 1, 0], Exception::Value),
            (&[16, 0, 3, 0, 2, 3, 1, 2, 3], Exception::Value),
            (&[43, 14, 4, 99], Exception::Address),
        ] {
            assert_eq!(
                ask(&mut model, request),
                [request[0] | 0x80, exception as u8],
                "{request:?}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn every_request_gets_one_answer_that_fits_a_frame(request: Vec<u8>) {
            let answer = Model::default().answer(NOW, &request);
            assert!((2..=253).contains(&answer.len()));
        }
    }
}
