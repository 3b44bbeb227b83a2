//! Every message printed in docs/protocol.md is one of the implementation's.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;
use wsbridge::testing::wire::control::{Ask, Tell, parse};

/// What the gateway (`S`) and the client (`C`) say in the examples: lines that begin with that
/// letter, and the lines that continue them; `//` is a remark.
fn examples() -> Vec<(char, Value)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocol.md");
    let page = fs::read_to_string(path).unwrap();
    let mut examples = Vec::new();
    for (at, _) in page.match_indices(" {\"type\":").filter(|(at, _)| *at > 5) {
        let before = page[..at].rsplit('\n').next().unwrap();
        let (indent, side) = before.split_at(before.len() - 1);
        assert!(
            indent.len() >= 4 && indent.trim().is_empty(),
            "a message outside an example: {before}"
        );
        let mut read = serde_json::Deserializer::from_str(&page[at..]).into_iter::<Value>();
        let message =
            read.next().unwrap().unwrap_or_else(|error| panic!("{error}: {}", &page[at..at + 80]));
        let rest = page[at + read.byte_offset()..].lines().next().unwrap().trim();
        assert!(rest.is_empty() || rest.starts_with("//") || !rest.contains('{'), "{rest}");
        examples.push((side.chars().next().unwrap(), message));
    }
    examples
}

/// Whether every member of `part` is in `whole`.
fn holds(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(name, part)| match whole.get(name) {
                Some(whole) => holds(whole, part),
                // What is not there is null.
                None => part.is_null(),
            })
        }
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len()
                && whole.iter().zip(part).all(|(whole, part)| holds(whole, part))
        }
        (Value::Number(whole), Value::Number(part)) => whole.as_f64() == part.as_f64(),
        (whole, part) => whole == part,
    }
}

#[test]
fn every_message_in_the_specification_is_one_of_the_implementation() {
    let mut kinds = BTreeSet::new();
    for (side, message) in examples() {
        let text = message.to_string();
        let printed = match side {
            'C' => {
                let request =
                    parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
                let ask =
                    request.ask.unwrap_or_else(|failure| panic!("{}: {text}", failure.message));
                let short = matches!(ask, Ask::Signals(_)) && message.get("steps").is_none();
                if short { text.clone() } else { ask.text(request.id) }
            }
            'S' => Tell::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}")).text(),
            other => panic!("`{other}` says {text}"),
        };
        let printed: Value = serde_json::from_str(&printed).unwrap();
        assert!(holds(&printed, &message), "{message}\nis read as\n{printed}");
        kinds.insert(format!("{side} {}", message["type"].as_str().unwrap()));
    }
    let all = "C ack,C config,C drain,C flush,C get,C lease,C macro,C open,C ping,C resume,C signals,C watch,S ack,S config,S error,S \
               gap,S hello,S lease,S line,S notice,S ok,S opened,S pong,S rates,S resumed,S rights,S signals,S status,S time";
    let all: BTreeSet<String> = all.split(',').map(str::to_owned).collect();
    assert_eq!(
        all.difference(&kinds).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "have no example"
    );
}
