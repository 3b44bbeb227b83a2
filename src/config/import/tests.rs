//! What files become that nobody writes by hand.

use proptest::prelude::*;

use super::*;
use crate::config::{parse, parse_uci};

const KINDS: [ImportKind; 5] = [
    ImportKind::Ser2netYaml,
    ImportKind::Ser2netConf,
    ImportKind::Ser2netUci,
    ImportKind::Tokens,
    ImportKind::Commands,
];

fn made(text: &str, kind: ImportKind, uci: bool) -> Result<Imported, String> {
    let from = ["192.0.2.0/24".to_owned()];
    import(&Import { text, kind: Some(kind), from: &from, uci, endpoints_only: false })
}

/// Whatever is made is a configuration, in either form.
fn holds(text: &str) {
    for kind in KINDS {
        let nothing = |_: &_| Err(String::new());
        let Ok(yaml) = made(text, kind, false) else { continue };
        let read = parse(&yaml.text, "w.yaml", &nothing);
        let Ok((config, _)) = read else { panic!("{text}\n{}\n{read:?}", yaml.text) };
        assert_eq!(config.endpoints.len(), yaml.endpoints);
        let uci = made(text, kind, true).unwrap();
        let read = parse_uci(&uci.text, "wsbridge", &nothing);
        let Ok((again, _)) = read else { panic!("{text}\n{}\n{read:?}", uci.text) };
        let same = yaml.text.contains("    doors:\n") || again.endpoints == config.endpoints;
        assert!(same, "{text}\n{}", uci.text);
    }
}

#[test]
fn a_name_is_given_once_and_a_device_has_one_endpoint() {
    let text = "a-b: h:2\na?b: h:3\n: h:4\n";
    let drafts = made(text, ImportKind::Tokens, false).unwrap();
    assert!(
        drafts.text.contains("\n  a-b:\n") && drafts.text.contains("\n  a-b-2:\n"),
        "{drafts:?}"
    );
    let text = "2001:raw:0:/dev/ttyS0:9600\n2002:raw:0:/dev/ttyS0:19200\n";
    let made = made(text, ImportKind::Ser2netConf, false).unwrap();
    assert_eq!(made.endpoints, 1);
    assert!(made.text.contains("not taken over: `serial.baud: 19200`"), "{made:?}");
}

#[test]
fn what_our_configuration_does_not_take_is_left_out_and_told() {
    let made = made("2001:raw:0:/dev/ttyS0:99999999\n", ImportKind::Ser2netConf, false).unwrap();
    assert_eq!((made.endpoints, made.left), (0, 1));
    assert!(
        made.text.contains("`ttys0` would be wrong: ") && made.text.contains("20000000"),
        "{made:?}"
    );
}

proptest! {
    #[test]
    fn any_text_becomes_a_configuration_or_nothing(text in "\\PC{0,80}(\\n\\PC{0,60}){0,4}") {
        holds(&text);
    }

    #[test]
    fn any_words_of_theirs_become_a_configuration_or_nothing(words in prop::collection::vec(
        prop::sample::select(vec![
            "connection: &a", "\n", "  ", "accepter: ", "connector: ", "tcp,", "telnet(rfc2217),", "localhost,", "2001",
            "serialdev,", "/dev/ttyS0", ",", "9600e71", "options:", "banner: x", ": ", ":", "raw:0:", "telnet:5:", "XONXOFF ",
            "config proxy ", "option port ", "option enabled 1", "option device ", "option protocol raw", "ttyd ", "-W ",
            "picocom ", "-b ", "websockify ", "--unix-target=", "unix:", "udp,", "[::1]:", "'", "\"", "\\", "(", ")", "*(a)",
            "remaddr=192.0.2.1", "max-connections=2 ", "timeout: 9", "é", "DEFAULT:", "speed:", "---\n",
        ]), 0..40))
    {
        holds(&words.concat());
    }
}
