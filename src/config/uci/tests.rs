//! What a router's owner writes, what that is in YAML, and how mistakes are reported.

use proptest::prelude::*;

use super::{Listed, options::sorts, parse_uci, uci_as_yaml};
use crate::config::{Config, SecretSource, Warning, parse, resolve::described};

const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0$ZPpV5wLiZAT6CwD9rFlDjMdWRXpfXSDiKdH6kQ6TSqg";
const SUM: &str = "1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f";

fn secrets(source: &SecretSource) -> Result<String, String> {
    match source {
        SecretSource::File(path) if path.ends_with("sum") => Ok("2e".repeat(32)),
        SecretSource::File(_) => Ok(HASH.into()),
        SecretSource::Credential(name) => Err(format!("no {name}")),
    }
}

fn filled(text: &str) -> String {
    text.replace("HASH", HASH).replace("SUM", SUM)
}

fn good(text: &str) -> (Config, Vec<Warning>) {
    parse_uci(&filled(text), "w", &secrets).unwrap_or_else(|error| panic!("{error}"))
}

/// The mistakes in a file that is right except for these lines.
fn mistakes(lines: &str) -> String {
    let text = format!("config wsbridge main\n\toption auth none\n{lines}\n");
    parse_uci(&filled(&text), "w", &secrets).unwrap_err().to_string()
}

/// The options of a kind of section that stand for keys, each once.
pub(in crate::config) fn listed(section: &str) -> Vec<Listed> {
    let described = described();
    let sorts = sorts(&described);
    let sort =
        sorts.iter().find(|sort| sort.kind == section).unwrap_or_else(|| panic!("{section}"));
    let below = match sort.kind {
        "wsbridge" => &[][..],
        "listener" => &["listen"],
        "door" => &["endpoints", "doors"],
        _ => &[sort.path],
    };
    let mut all: Vec<Listed> = Vec::new();
    for row in sort.rows.iter().filter(|row| !row.path.is_empty()) {
        let of = (!row.of.is_empty()).then_some(row.of);
        if let Some(before) = all.iter_mut().find(|listed| listed.name == row.option) {
            before.of.extend(of);
            continue;
        }
        let mut keys = described.as_slice();
        let mut found = None;
        for name in below.iter().chain(&row.path) {
            found = keys.iter().find(|key| key.name == *name);
            keys = found.unwrap().shape.keys();
        }
        let path = row
            .path
            .get(usize::from(!row.of.is_empty() && row.path.len() > 1)..)
            .unwrap()
            .join(".");
        all.push(Listed {
            name: row.option,
            path,
            key: found.unwrap().clone(),
            of: of.into_iter().collect(),
        });
    }
    all
}

/// Every option there is, in UCI and in the YAML that says the same.
const FULL: (&str, &str) = (include_str!("full.uci"), include_str!("full.yaml"));

#[test]
fn every_option_says_what_its_key_says() {
    let (uci, _) = good(FULL.0);
    let yaml = parse(&filled(FULL.1), "y", &secrets).unwrap_or_else(|error| panic!("{error}")).0;
    for (name, endpoint) in &yaml.endpoints {
        assert_eq!(uci.endpoints.get(name), Some(endpoint), "{name}");
    }
    assert_eq!(uci, yaml);
}

#[test]
fn no_option_is_missing_in_the_file_with_every_option() {
    for sort in sorts(&described()) {
        let section = format!("\nconfig {}", sort.kind);
        let sections: Vec<_> =
            FULL.0.split("\nconfig ").map(|rest| format!("\nconfig {rest}")).collect();
        let own: Vec<_> = sections.iter().filter(|text| text.starts_with(&section)).collect();
        for row in &sort.rows {
            let written = [format!("\toption {} ", row.option), format!("\tlist {} ", row.option)];
            let there =
                own.iter().any(|text| written.iter().any(|line| text.contains(line.as_str())));
            assert!(there, "{} {}", sort.kind, row.option);
        }
    }
}

#[test]
fn the_page_for_routers_names_every_option_and_what_it_says_to_write_loads() {
    let page = include_str!("../../../docs/openwrt.md");
    for row in sorts(&described()).iter().flat_map(|sort| &sort.rows) {
        assert!(page.contains(&format!("`{}`", row.option)), "{}", row.option);
    }
    let block = page.split("```uci\n").nth(1).unwrap().split("```").next().unwrap();
    let (config, warnings) = good(&block.replace("$argon2id$...", "HASH"));
    assert_eq!(
        (config.endpoints.len(), config.access.users.len(), warnings.len()),
        (2, 1, 0),
        "{warnings:?}"
    );
}

#[test]
fn the_shipped_file_lacks_nothing_but_somebody_to_sign_in() {
    let shipped = include_str!("../../../packaging/openwrt/files/wsbridge.config");
    let error = parse_uci(shipped, "w", &secrets).unwrap_err().to_string();
    assert!(error.starts_with("w: nobody could sign in;") && error.lines().count() == 1, "{error}");
    let user = "config user admin\n\toption password HASH\n\tlist right '*=read'\n";
    let (config, _) = good(&format!("{shipped}{user}"));
    assert_eq!((config.limits.connections, config.listen.len()), (32, 1));
    // Its comments are sections, too, once they are uncommented.
    let examples = shipped.split("\n#config ").skip(1).map(|rest| format!("config {rest}"));
    let examples: String = examples.map(|it| it.replace("\n#", "\n")).collect();
    let examples = examples
        .lines()
        .filter(|line| line.starts_with(['c', '\t']))
        .collect::<Vec<_>>()
        .join("\n");
    let examples = examples.replace("$argon2id$...", "HASH");
    assert_eq!(good(&format!("{shipped}{examples}\n")).0.endpoints.len(), 2);
}

#[test]
fn what_it_prints_as_yaml_is_the_same_configuration() {
    let yaml = uci_as_yaml(&filled(FULL.0), "w").unwrap();
    let again = parse(&yaml, "y", &secrets).unwrap_or_else(|error| panic!("{error}\n{yaml}")).0;
    assert_eq!(again, good(FULL.0).0);
    assert!(uci_as_yaml("config endpoint a\n\toption buad 1\n", "w").is_err());
}

#[test]
fn a_mistyped_option_is_named_with_its_line_its_section_and_the_nearest_right_one() {
    let error = mistakes(
        "config endpoint 'modem1'\n\toption type serial\n\toption port /dev/ttyS1\n\toption buad '9600'",
    );
    assert_eq!(
        error,
        "w:6: option 'buad' of endpoint 'modem1': no such option; did you mean 'baud'?\n    6 | option buad '9600'"
    );
}

#[test]
fn values_are_refused_by_the_resolver_in_the_words_of_uci() {
    let serial = "config endpoint e\n\toption type serial\n\toption port /dev/ttyS1\n";
    let tcp = "config endpoint e\n\toption type tcp\n\toption address h:1\n";
    for (lines, part) in [
        (
            format!("{serial}option baud fast"),
            "w:6: option 'baud' of endpoint 'e': 'fast' is not a whole number",
        ),
        (format!("{serial}option flow rts"), "did you mean 'rtscts'?"),
        (format!("{serial}option rs485 1\noption flow rtscts"), "use \"option flow 'none'\""),
        (
            format!("{serial}option packing_length 0"),
            "w:6: option 'packing_length' of endpoint 'e': '0' is not",
        ),
        (format!("{serial}option packing_keep 1"), "\"option packing_idle_ms '4'\""),
        (format!("{tcp}option pacing_byte_delay 1ms"), "\"option share 'one-writer'\""),
        (format!("{serial}option history 1"), "'1' is not from 4KiB to 64MiB"),
        ("config user a\noption password x".into(), "run 'wsbridge passwd --uci'"),
        (
            "config token t\noption sha256 x".into(),
            "'wsbridge token new --uci NAME' prints what to paste",
        ),
        ("config user a\noption password HASH".into(), "w:2: option 'auth' of wsbridge 'main'"),
        (
            "config user a\noption password HASH\nlist role x".into(),
            "no role 'x'; there is no \"config role\"",
        ),
        (
            "config endpoint E\noption type sim\noption device echo".into(),
            "w:3: endpoint 'E': not a name for",
        ),
    ] {
        let error = mistakes(&lines);
        assert!(error.contains(part), "{part}\n{error}");
    }
    let error = parse_uci(
        "config wsbridge\n\tlist listen '0.0.0.0:80'\n\toption tls none\n",
        "w",
        &secrets,
    );
    let error = error.unwrap_err().to_string();
    for part in [
        "w: nobody could sign in; add a user ('wsbridge passwd --uci' prints what to paste), or write \"option auth 'none'\"",
        "w:3: option 'tls' of unnamed wsbridge: anyone on the network",
        "\"option plain 'accepted'\" beside \"option tls 'none'\"",
    ] {
        assert!(error.contains(part), "{part}\n{error}");
    }
}

#[test]
fn what_uci_alone_can_get_wrong_is_told_too() {
    let serial = "config endpoint e\n\toption type serial\n";
    let sim = "config endpoint e\n\toption type sim\n\toption device echo\n";
    for (lines, part) in [
        (
            "config endpiont e",
            "w:3: endpiont 'e': no such kind of section; did you mean 'endpoint'?",
        ),
        (
            "config endpoint e\noption type seriel",
            "w:4: option 'type' of endpoint 'e': 'seriel' is not known here",
        ),
        ("config endpoint e", "w:3: endpoint 'e': has no option 'type'"),
        ("config endpoint e\noption type modem", "known: 'serial', 'rfc2217', 'tcp', 'udp', 'sim'"),
        (
            "config endpoint\noption type sim\noption device echo",
            "has no name; write \"config endpoint 'NAME'\"",
        ),
        (serial, "w:3: endpoint 'e': has no option 'port' or option 'usb'"),
        (
            &format!("{serial}option port /dev/a\noption usb 0403:6001"),
            "write either option 'port' or option 'usb'",
        ),
        (
            &format!("{sim}option baud 1"),
            "w:6: option 'baud' of endpoint 'e': belongs to type serial or rfc2217",
        ),
        (&format!("{sim}option base64 maybe"), "'maybe' is neither 1 nor 0"),
        (&format!("{sim}option enabled x"), "'x' is neither 1 nor 0"),
        (&format!("{sim}list title x"), "takes a single value"),
        (
            &format!("{sim}config door\noption tcp '127.0.0.1:1'"),
            "w:6: unnamed door: has no option 'endpoint'",
        ),
        (
            &format!("{sim}config door d\noption endpoint f\noption tcp '127.0.0.1:1'"),
            "w:7: option 'endpoint' of door 'd': there is no endpoint 'f'",
        ),
        (
            &format!("{sim}config door d\noption endpoint e"),
            "has no option 'tcp' or option 'rfc2217' or option 'tls'",
        ),
        (
            &format!("{serial}option port /dev/a\noption rs485_terminate 1"),
            "no effect without \"option rs485 '1'\"",
        ),
        (
            &format!("{sim}config endpoint f\noption name e\noption type sim\noption device echo"),
            "another endpoint",
        ),
        (&format!("{sim}optoin a b"), "w:6: 'optoin' is not a command; did you mean 'option'?"),
        (
            &format!("{sim}config macro m\noption endpoint e"),
            "w:7: option 'endpoint' of macro 'm': 'e' is not an endpoint",
        ),
    ] {
        let error = mistakes(lines);
        assert!(error.contains(part), "{part}\n{error}");
    }
}

#[test]
fn what_uci_alone_can_get_wrong_beside_endpoints_is_told_too() {
    for (lines, part) in [
        ("config macro m", "has no option 'endpoint'"),
        (
            "config user a\noption password HASH\noption password_file /a",
            "write either option 'password' or",
        ),
        ("config user a\noption password HASH\nlist right read", "like '*=read,write'"),
        ("config role r", "has no option 'right'"),
        ("config wsbridge two", "a second \"config wsbridge\""),
        (
            "config listener l\noption address '[::]:1'\noption tls files",
            "needs option 'certificate'",
        ),
        (
            "config listener l\noption address '[::]:1'\noption tls none\noption key /k",
            "belongs to \"option tls 'files'\"",
        ),
        ("config listener l", "has no option 'address'"),
        (
            "config wsbridge main\noption tls none",
            "has no effect without an address; add \"list listen '[::]:8443'\"",
        ),
    ] {
        let error = mistakes(lines);
        assert!(error.contains(part), "{part}\n{error}");
    }
}

#[test]
fn an_option_by_its_name_in_ser2net_is_told_ours() {
    let serial = "config endpoint e\n\toption type serial\n";
    let error = mistakes(&format!("{serial}option device /dev/ttyS1"));
    assert!(
        error.contains("belongs to type sim; this is type serial; did you mean 'port'?"),
        "{error}"
    );
    let error = mistakes(&format!("{serial}option port /dev/a\noption speed 9600"));
    assert!(
        error.contains("w:6: option 'speed' of endpoint 'e': no such option; did you mean 'baud'?"),
        "{error}"
    );
}

#[test]
fn a_macros_step_is_told_apart_to_its_parts() {
    let serial = "config endpoint e\n\toption type serial\n";
    let port = format!("{serial}option port /dev/a\nconfig macro m\noption endpoint e\nlist step");
    assert!(mistakes(&format!("{port} 'dtr=2'")).contains("'2' is neither 1 nor 0"));
    assert!(mistakes(&format!("{port} 'cts=1'")).contains("did you mean 'rts'?"));
    assert!(mistakes(&format!("{port} 'rts=1 rts=0'")).contains("'rts' is here twice"));
    assert!(mistakes(&format!("{port} 'wait_ms=20000'")).contains("macro"));
}

#[test]
fn passwords_and_their_lines_are_not_repeated() {
    let error = mistakes("config user a\n\toption password 'hunter2'\n\toption password two words");
    assert!(!error.contains("hunter2") && !error.contains("words\n"), "{error}");
    assert!(!mistakes("config user a\n\toption password 'hunter2'").contains("hunter2"));
}

#[test]
fn an_endpoint_that_is_off_is_not_there_and_odd_things_are_warned_of() {
    let text = "config wsbridge main\noption auth none\nconfig endpoint a\noption enabled 0\noption type sim\n\
                option device echo\nconfig endpoint b\noption type sim\noption device echo\noption device modem\n";
    let (config, warnings) = good(text);
    assert_eq!(config.endpoints.keys().collect::<Vec<_>>(), ["b"]);
    assert_eq!(warnings[0].0, "w:10: option 'device' is here twice; this one counts");
    let (_, warnings) = good("config wsbridge main\noption auth none\n");
    assert!(warnings[0].0.contains("nothing is published"), "{warnings:?}");
    let huge = "#".repeat(crate::config::MAX_FILE + 1);
    assert!(
        parse_uci(&huge, "w", &secrets)
            .unwrap_err()
            .to_string()
            .contains("w: the file is over 1 MiB")
    );
}

#[test]
fn each_file_has_a_folder_of_its_own_for_what_outlives_a_restart() {
    for (file, folder) in [
        ("/etc/config/wsbridge", "/etc/wsbridge"),
        ("/etc/config/wsbridge-lab", "/etc/wsbridge-lab"),
        ("/etc/config/wsbridge_lab", "/etc/wsbridge-lab"),
        ("lab", "/etc/wsbridge-lab"),
        ("wsbridges", "/etc/wsbridge-wsbridges"),
    ] {
        let text = "config wsbridge main\noption auth none\n";
        let (config, _) = parse_uci(text, file, &secrets).unwrap();
        assert_eq!(config.state_directory.to_str(), Some(folder), "{file}");
    }
}

#[test]
fn an_empty_value_takes_away_what_the_option_had() {
    let text = "config wsbridge main\noption auth none\nconfig endpoint a\noption type sim\noption device echo\n\
                option title 'Old'\noption title ''\nlist packing_none x\n";
    assert!(mistakes(text).contains("packing_none"));
    let (config, warnings) = good(text.split("list").next().unwrap());
    assert_eq!((&config.endpoints["a"].title, warnings.len()), (&None, 0));
    let (config, warnings) =
        good(&format!("{}option title New\n", text.split("list").next().unwrap()));
    assert_eq!((config.endpoints["a"].title.as_deref(), warnings.len()), (Some("New"), 0));
}

#[test]
fn an_instance_with_a_file_of_its_own_is_not_this_one() {
    let text = "config wsbridge lab\noption config wsbridge-lab\nconfig wsbridge main\noption auth none\n\
                option dead_after 10s\n";
    assert_eq!(good(text).0.dead_after.as_secs(), 10);
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(
        text in "\\PC{0,100}",
        lines in "((config|option|list) (wsbridge|endpoint|user|macro|type|serial|tls|port|right|step|name) '?[a-z0-9:=*/ ]{0,9}'?\n){0,14}",
    ) {
        for text in [text, lines] {
            if let Ok((config, _)) = parse_uci(&text, "w", &|_| Err(String::new())) {
                let yaml = uci_as_yaml(&text, "w").unwrap();
                prop_assert_eq!(parse(&yaml, "w", &|_| Err(String::new())).unwrap().0, config);
            }
        }
    }
}
