//! The modem as a terminal program sees it.

use super::*;

fn send(modem: &mut Modem, now_ms: u64, text: &str) -> String {
    let mut out = BytesMut::new();
    modem.input(Duration::from_millis(now_ms), text.as_bytes(), &mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

fn tick(modem: &mut Modem, now_ms: u64) -> String {
    let mut out = BytesMut::new();
    modem.tick(Duration::from_millis(now_ms), &mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

fn quiet() -> Modem {
    let mut modem = Modem::default();
    assert_eq!(send(&mut modem, 0, "ATE0\r"), "ATE0\r\r\nOK\r\n");
    modem
}

#[test]
fn echo_is_on_until_ate0() {
    let mut modem = Modem::default();
    assert_eq!(send(&mut modem, 0, "at\r"), "at\r\r\nOK\r\n");
    assert_eq!(send(&mut modem, 0, "ATE0\r"), "ATE0\r\r\nOK\r\n");
    assert_eq!(send(&mut modem, 0, "AT\r"), "\r\nOK\r\n");
    assert_eq!(send(&mut modem, 0, "ATE1\r"), "\r\nOK\r\n");
    assert_eq!(send(&mut modem, 0, "AT\r"), "AT\r\r\nOK\r\n");
}

#[test]
fn results_are_numbers_after_v0() {
    let mut modem = quiet();
    assert_eq!(send(&mut modem, 0, "ATV0\r"), "0\r");
    assert_eq!(send(&mut modem, 0, "ATW\r"), "4\r");
    assert_eq!(send(&mut modem, 0, "ATV1\r"), "\r\nOK\r\n");
}

#[test]
fn one_line_may_hold_several_commands_and_ends_at_the_first_error() {
    let mut modem = quiet();
    assert_eq!(send(&mut modem, 0, "AT S0=3 E0 S0?\r"), "\r\n003\r\n\r\nOK\r\n");
    assert_eq!(send(&mut modem, 0, "ATE5S0?\r"), "\r\nERROR\r\n");
}

#[test]
fn registers_3_and_4_change_the_line_end() {
    let mut modem = quiet();
    assert_eq!(send(&mut modem, 0, "ATS3=33S4=35\r"), "!#OK!#");
    assert_eq!(send(&mut modem, 0, "AT!"), "!#OK!#");
}

#[test]
fn a_slash_repeats_the_last_line_without_a_return() {
    let mut modem = quiet();
    send(&mut modem, 0, "ATS2?\r");
    assert_eq!(send(&mut modem, 0, "A/"), "\r\n043\r\n\r\nOK\r\n");
}

#[test]
fn dialling_connects_and_the_far_host_echoes_every_byte_value() {
    let mut modem = quiet();
    assert_eq!(send(&mut modem, 0, "ATDT5550100\r\n"), "");
    assert_eq!(modem.deadline(), Some(DIALLING));
    let answer = tick(&mut modem, 600);
    assert!(answer.starts_with("\r\nCONNECT 9600\r\n\r\nRemote host"), "{answer}");
    let all: Vec<u8> = (0..=255).collect();
    let mut out = BytesMut::new();
    modem.input(Duration::from_millis(700), &all, &mut out);
    assert_eq!(out, all);
}

#[test]
fn a_character_aborts_dialling() {
    let mut modem = quiet();
    send(&mut modem, 0, "ATD1\r");
    assert_eq!(send(&mut modem, 10, "x"), "\r\nNO CARRIER\r\n");
    assert_eq!(send(&mut modem, 20, "AT\r"), "\r\nOK\r\n");
}

#[test]
fn three_pluses_between_guard_times_escape_and_ato_returns() {
    let mut modem = quiet();
    send(&mut modem, 0, "ATD1\r");
    tick(&mut modem, 600);
    send(&mut modem, 1000, "x+++");
    assert_eq!(modem.deadline(), None, "no guard time before");
    send(&mut modem, 2500, "++");
    send(&mut modem, 2600, "+");
    assert_eq!(modem.deadline(), Some(Duration::from_millis(3600)));
    assert_eq!(tick(&mut modem, 3600), "\r\nOK\r\n");
    assert_eq!(send(&mut modem, 3700, "ATO\r"), "\r\nCONNECT 9600\r\n");
    send(&mut modem, 5000, "+++");
    assert_eq!(tick(&mut modem, 6000), "\r\nOK\r\n");
    assert_eq!(send(&mut modem, 6100, "ATH\r"), "\r\nOK\r\n");
    assert_eq!(send(&mut modem, 6200, "ATO\r"), "\r\nNO CARRIER\r\n");
}

#[test]
fn a_fourth_plus_is_data() {
    let mut modem = quiet();
    send(&mut modem, 0, "ATD1\r");
    tick(&mut modem, 600);
    send(&mut modem, 2000, "++++");
    assert_eq!(modem.deadline(), None);
}

#[test]
fn a_line_without_an_end_stays_bounded_and_is_an_error() {
    let mut modem = quiet();
    send(&mut modem, 0, &"A".repeat(100_000));
    assert!(modem.line.len() <= COMMAND_LINE_MAX);
    assert_eq!(send(&mut modem, 0, "\r"), "\r\nERROR\r\n");
}

proptest::proptest! {
    #[test]
    fn no_input_panics(bytes: Vec<Vec<u8>>) {
        let (mut modem, mut out, mut now) = (Modem::default(), BytesMut::new(), Duration::ZERO);
        for chunk in bytes {
            modem.input(now, &chunk, &mut out);
            now += Duration::from_secs(2);
            modem.tick(now, &mut out);
        }
    }
}
