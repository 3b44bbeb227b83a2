//! Codes by the time (RFC 6238), as authenticator apps show them: HMAC-SHA-1, six digits, another
//! one every 30 seconds.

use ring::hmac;
use subtle::ConstantTimeEq as _;

/// How long an app shows a code, in seconds.
const STEP: i64 = 30;
/// Steps before and after the present one whose codes count: clocks differ, and people type slowly.
const AROUND: i64 = 1;
/// Steps before and after the present one in which a wrong code is looked for, to say by how much
/// the clocks differ.
const LOOKED_FOR: i64 = 120;
/// Digits of a code.
const DIGITS: usize = 6;
/// Bytes of a secret (RFC 4226 section 4 recommends 20).
const SECRET: usize = 20;
/// The letters of RFC 4648's base32.
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// What became of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CodeCheck {
    /// It is right; this is its step, which has not counted before.
    Right(i64),
    /// It is right, and has counted before, or one that came after it has.
    Used,
    /// It is wrong. If it is that of another time, how many seconds from now that is.
    Wrong(Option<i64>),
}

/// The step at a time, in seconds since 1970.
pub(super) fn step_at(now: i64) -> i64 {
    now.div_euclid(STEP)
}

/// What is typed, if it has the form of a code; apps show it in two groups.
pub(super) fn read(typed: &str) -> Option<u32> {
    let digits: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
    let plain = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

/// Whether a code is right now; steps up to `counted` do not count again.
pub(super) fn check(secret: &[u8], typed: u32, now: i64, counted: i64) -> CodeCheck {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let now = step_at(now);
    let is_of = |step: &i64| bool::from(code(&key, *step).ct_eq(&typed));
    let around: Vec<_> = (now - AROUND..=now + AROUND).filter(is_of).collect();
    if let Some(step) = around.iter().find(|step| **step > counted) {
        return CodeCheck::Right(*step);
    }
    if !around.is_empty() {
        return CodeCheck::Used;
    }
    let far = (now - LOOKED_FOR..=now + LOOKED_FOR).filter(is_of);
    CodeCheck::Wrong(far.min_by_key(|step| (step - now).abs()).map(|step| (step - now) * STEP))
}

/// The code of a step (RFC 4226 section 5.3).
fn code(key: &hmac::Key, step: i64) -> u32 {
    let tag = hmac::sign(key, &step.to_be_bytes());
    let bytes = tag.as_ref();
    let at = usize::from(bytes.last().copied().unwrap_or_default() & 0xf);
    let four = bytes.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
    (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000
}

/// A new secret, as apps take it.
pub(crate) fn new_secret() -> String {
    base32(&super::random::<SECRET>())
}

/// A secret that is typed or sent, if it is as long as one of ours.
pub(super) fn read_secret(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(SECRET);
    let (mut held, mut bits) = (0_u32, 0);
    for letter in text.bytes() {
        let value = LETTERS.iter().position(|it| *it == letter)?;
        held = (held << 5) | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((held >> bits) & 0xff).ok()?);
        }
    }
    (bytes.len() == SECRET).then_some(bytes)
}

/// Bytes in base32, without padding.
pub(super) fn base32(bytes: &[u8]) -> String {
    let (mut held, mut bits) = (0_u32, 0);
    let mut text = String::new();
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            let letter = LETTERS.get(usize::try_from((held >> bits) & 31).unwrap_or(0));
            text.extend(letter.map(|letter| char::from(*letter)));
        }
    }
    if bits > 0 {
        let letter = LETTERS.get(usize::try_from((held << (5 - bits)) & 31).unwrap_or(0));
        text.extend(letter.map(|letter| char::from(*letter)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    /// RFC 6238, appendix B, whose last six digits these are.
    #[test]
    fn the_codes_are_those_of_the_rfc() {
        for (now, typed) in [
            (59, 287_082),
            (1_111_111_109, 81_804),
            (1_111_111_111, 50_471),
            (1_234_567_890, 5_924),
            (2_000_000_000, 279_037),
            (20_000_000_000, 353_130),
        ] {
            assert_eq!(check(SECRET, typed, now, 0), CodeCheck::Right(now / 30), "at {now}");
        }
    }

    #[test]
    fn a_code_counts_once_and_for_one_step_before_and_after() {
        let (now, typed) = (1_111_111_109, 81_804);
        let own = now / 30;
        for (at, expected) in [
            (now - 30, CodeCheck::Right(own)),
            (now + 30, CodeCheck::Right(own)),
            (now - 60, CodeCheck::Wrong(Some(60))),
            (now + 60, CodeCheck::Wrong(Some(-60))),
            (now + 3600, CodeCheck::Wrong(Some(-3600))),
            (now + 3660, CodeCheck::Wrong(None)),
        ] {
            assert_eq!(check(SECRET, typed, at, 0), expected, "at {at}");
        }
        assert_eq!(check(SECRET, typed, now, own), CodeCheck::Used);
        assert_eq!(check(SECRET, typed, now, own + 1), CodeCheck::Used, "a later one has counted");
        assert_eq!(check(SECRET, typed, now, own - 1), CodeCheck::Right(own));
    }

    #[test]
    fn a_code_is_six_digits_however_they_are_grouped() {
        assert_eq!(read("081804"), Some(81_804));
        assert_eq!(read(" 081 804\n"), Some(81_804));
        for wrong in ["", "81804", "0818040", "08180a", "+81804", "٠٨١٨٠٤"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    /// RFC 4648, section 10, without the padding.
    #[test]
    fn base32_is_that_of_the_rfc() {
        for (bytes, text) in [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foobar", "MZXW6YTBOI")] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
        assert_eq!(base32(SECRET), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(read_secret("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").as_deref(), Some(SECRET));
        for wrong in ["", "GEZDGNBVGY3TQOJQ", "gezdgnbvgy3tqojqgezdgnbvgy3tqojq"] {
            assert_eq!(read_secret(wrong), None, "{wrong}");
        }
        assert_eq!(read_secret(&new_secret()).map(|bytes| bytes.len()), Some(20));
    }
}
