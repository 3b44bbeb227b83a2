//! `wsbridge import` with files as people write them for ser2net, websockify and ttyd. Next to each
//! is the result; `WSBRIDGE_WRITE=1` writes it.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use wsbridge::testing::{parse, parse_uci};

/// The result for a file is in a file with this suffix.
const BECOMES: &str = ".wsbridge.yaml";

fn wsbridge(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_wsbridge"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input may have ended already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/import");
    let mut all: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.to_str().unwrap().ends_with(BECOMES))
        .collect();
    all.sort();
    all
}

#[test]
fn each_file_becomes_what_is_beside_it_and_the_gateway_takes_it() {
    let files = files();
    assert!(files.len() >= 12, "{files:?}");
    for file in files {
        let path = file.to_str().unwrap();
        let output = wsbridge(&["import", path], "");
        let made = out(&output);
        let partly = made.contains("not taken over: ");
        assert_eq!(output.status.code(), Some(if partly { 3 } else { 0 }), "{path}: {output:?}");
        let expected = PathBuf::from(format!("{path}{BECOMES}"));
        if std::env::var_os("WSBRIDGE_WRITE").is_some() {
            fs::write(&expected, &made).unwrap();
        }
        assert_eq!(made, fs::read_to_string(&expected).unwrap(), "{path}");
        let checked = wsbridge(&["check", "-"], &made);
        assert!(checked.status.success(), "{path}\n{made}\n{}", err(&checked));
        assert!(out(&checked).ends_with("valid\n"), "{path}: {}", out(&checked));

        // The same as UCI, and for a folder of endpoints.
        let uci = out(&wsbridge(&["import", "--uci", path], ""));
        let no_secret = |_: &_| Err(String::new());
        let (from_uci, _) = parse_uci(&uci, "wsbridge", &no_secret)
            .unwrap_or_else(|error| panic!("{path}\n{uci}\n{error}"));
        let (from_yaml, _) = parse(&made, "wsbridge.yaml", &no_secret).unwrap();
        assert!(
            made.contains("    doors:\n") || from_uci.endpoints == from_yaml.endpoints,
            "{path}\n{uci}"
        );
        let part = out(&wsbridge(&["import", "--endpoints", path], ""));
        let folder = tempfile::tempdir().unwrap();
        let main = folder.path().join("wsbridge.yaml");
        fs::write(&main, "auth: none\nendpoints: { first: { sim: echo } }\n").unwrap();
        fs::create_dir(folder.path().join("endpoints.d")).unwrap();
        fs::write(folder.path().join("endpoints.d/imported.yaml"), part).unwrap();
        let checked = wsbridge(&["check", main.to_str().unwrap()], "");
        assert!(checked.status.success(), "{path}: {}", err(&checked));
    }
}

#[test]
fn a_password_of_theirs_is_shown_to_nobody() {
    for file in files() {
        let made = out(&wsbridge(&["import", file.to_str().unwrap()], ""));
        assert!(!made.contains("geheim9") && !made.contains("secret9"), "{made}");
    }
}

#[test]
fn a_command_is_imported_as_it_is_typed() {
    let words = ["import", "--", "ttyd", "-W", "picocom", "-b", "115200", "/dev/ttyUSB0"];
    let output = wsbridge(&words, "");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let made = out(&output);
    assert!(
        made.contains(
            "  ttyusb0:\n    serial:\n      port: \"/dev/ttyUSB0\"\n      baud: 115200\n"
        ),
        "{made}"
    );
    assert!(err(&output).contains("1 endpoint, everything was taken over"), "{output:?}");
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    for (args, input, code, part) in [
        (&["import", "/nonexistent/ser2net.yaml"][..], "", 66, "/nonexistent/ser2net.yaml: "),
        (&["import", "/dev/null"], "", 66, "/dev/null: "),
        (&["import", "-"], "hello\n", 65, "--kind"),
        (
            &["import", "--kind", "ser2net", "-"],
            "connection: &a\n  accepter: *nobody\n",
            65,
            "line 2: ",
        ),
        (&["import", "-"], "%YAML 1.1\n---\nconnection: &a\n  accepter: *nobody\n", 65, "line 4: "),
        (
            &["import", "--kind", "ser2net-uci", "-"],
            "config proxy\n\toption device '/dev\n",
            65,
            "line 2: ",
        ),
        (
            &["import", "--kind", "ser2net", "-"],
            "define: &a b\n",
            65,
            "there is no `connection:` in it",
        ),
        (&["import"], "", 64, "FILE"),
    ] {
        let output = wsbridge(args, input);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
        assert!(err(&output).contains(part), "{args:?}: {output:?}");
        assert_eq!(out(&output), "", "{args:?}");
    }
}
