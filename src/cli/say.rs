//! `wsbridge say`: a message to everybody on an endpoint.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{
    Outcome,
    admin::{self, AdminPlace},
    print,
};

/// Arguments of `wsbridge say`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The console shows it, and so do `wsbridge connect` and whatever else speaks wsbridge.v1. To a program that knows only bytes nothing \
                  is sent.

Examples:
  sudo wsbridge say plc1 'The line is shut down in five minutes'"
)]
pub(crate) struct Args {
    /// The endpoint's name.
    endpoint: String,
    /// The message: one line of at most 500 characters.
    text: String,
    #[command(flatten)]
    place: AdminPlace,
}

/// Sends it.
pub(crate) fn run(args: &Args) -> Outcome {
    let Args { endpoint, text, place } = args;
    let missing = format!("there is no endpoint {endpoint}");
    let path = format!("/api/endpoints/{}/say", segment(endpoint));
    let told = admin::ask_about(place, &path, Some(&json!({ "text": text })), &missing)?;
    let count = |name: &str| told.get(name).and_then(Value::as_u64).unwrap_or_default();
    let (shown, all) = (count("told"), count("sessions"));
    let s = |number| if number == 1 { "" } else { "s" };
    let said = match all - shown.min(all) {
        _ if all == 0 => "nobody is connected\n".to_owned(),
        0 => format!("told {shown} session{}\n", s(shown)),
        deaf => format!("told {shown} session{}; {deaf} cannot show a message\n", s(shown)),
    };
    print(&said)
}

/// A name as part of a path (RFC 3986 section 2.1).
pub(super) fn segment(name: &str) -> String {
    name.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_typed_stays_one_part_of_the_path() {
        assert_eq!(segment("plc-1"), "plc-1");
        assert_eq!(segment("../a b"), "..%2Fa%20b");
    }
}
