//! An issuer that forges its answers (`OpenID` Connect): nobody is signed in by any of them, and the
//! log and the page say why.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    harness::{Daemon, client::status, daemon::OPEN, until},
    peers::works,
    signing::{ask, own, session},
};

/// What the issuer lies about, and what is said of it.
const LIES: [(&str, &str); 25] = [
    ("nonce", "(nonce)"),
    ("no-nonce", "(nonce)"),
    ("nonce-list", "(nonce)"),
    ("aud", "(`aud`)"),
    ("no-aud", "(`aud`)"),
    ("azp", "(azp)"),
    ("two-aud", "(azp)"),
    ("two-aud-azp", "(azp)"),
    ("iss", "`iss` is another"),
    ("iss-slash", "`iss` is another"),
    ("none", "its `alg` is none of"),
    ("hmac", "its `alg` is none of"),
    ("hmac-pem", "its `alg` is none of"),
    ("stranger", "the signature is wrong"),
    ("unknown", "a key that is not known"),
    ("expired", "it expired 1 s ago"),
    ("no-exp", "no `exp`"),
    ("future", "from the future"),
    ("week", "longer than 24 h"),
    ("no-sub", "no `sub`"),
    ("no-token", "no id_token"),
    ("replay", "used before"),
    ("stale", "did not ask for a new sign-in (auth_time)"),
    ("no-auth-time", "did not ask for a new sign-in (auth_time)"),
    ("others-code", "refuses the code: 400 invalid_grant"),
];

/// The issuer, which ends with the test.
struct Forger {
    child: Child,
    port: u16,
}

impl Forger {
    /// `None`: the library that it signs with is not there.
    fn start(folder: &Path) -> Option<Self> {
        if !works("python3", &["-c", "import jwcrypto"]) {
            eprintln!("not tried: Python has no jwcrypto");
            return None;
        }
        let file = folder.join("port");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/identity_forged.py");
        let mut command = Command::new("python3");
        let child = command.arg(script).arg(&file).stdin(Stdio::piped()).spawn().unwrap();
        let port = until("its port", || fs::read_to_string(&file).ok()?.parse().ok());
        Some(Self { child, port })
    }

    fn config(&self) -> String {
        let issuer = |name: &str, path: &str| {
            format!(
                "  {name}:\n    issuer: \"http://127.0.0.1:{}{path}\"\n    claims: {{ groups: {{ plc-team: [ all ] }} }}\n    \
                 oidc: {{ client_id: gateway, client_secret: \"a secret of the suite\" }}\n",
                self.port
            )
        };
        let (corp, other) = (issuer("corp", ""), issuer("other", "/other"));
        let access = format!("roles: {{ all: {{ \"*\": [ read ] }} }}\nissuers:\n{corp}{other}");
        OPEN.replace("auth: none\n", &access) + "  echo:\n    sim: echo\n"
    }
}

impl Drop for Forger {
    fn drop(&mut self) {
        // Its input ends.
        self.child.stdin = None;
        let _ = self.child.wait();
    }
}

/// A browser on its way to an issuer.
struct Way {
    /// The cookie's line of a request.
    cookie: String,
    state: String,
    nonce: String,
    challenge: String,
}

impl Way {
    fn begin(address: SocketAddr, wish: &Value) -> Self {
        let answer = ask(address, "POST", "/api/oidc", &own(address), &wish.to_string());
        assert_eq!(status(&answer), 200, "{answer}");
        let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        let cookie = format!("Cookie: {}\r\n", cookie.split(';').next().unwrap());
        let (_, query) = answer.split_once("/authorize?").unwrap();
        let query = query.split('"').next().unwrap();
        let part = |name: &str| {
            let found = query.split('&').find_map(|it| it.strip_prefix(name)?.strip_prefix('='));
            found.unwrap_or_else(|| panic!("{name}: {query}")).to_owned()
        };
        assert_eq!(part("code_challenge_method"), "S256");
        let [state, nonce, challenge] = ["state", "nonce", "code_challenge"].map(part);
        Self { cookie, state, nonce, challenge }
    }

    /// The code with which the issuer would tell this lie.
    fn code(&self, case: &str) -> String {
        format!("{case}~{}~{}~{}", self.nonce, self.challenge, &self.state[..8])
    }

    /// Comes back with a code, and whatever else is in the query.
    fn back(&self, address: SocketAddr, code: &str, more: &str) -> (u16, String, Option<String>) {
        arrive(address, &self.cookie, &format!("code={code}&state={}{more}", self.state))
    }
}

/// The status, the answer, and the sign-in's cookie, if there is one.
fn arrive(address: SocketAddr, cookie: &str, query: &str) -> (u16, String, Option<String>) {
    let answer = ask(address, "GET", &format!("/api/oidc/callback?{query}"), cookie, "");
    let set = answer.lines().filter_map(|line| line.strip_prefix("set-cookie: "));
    let sid = set.map(|line| line.split(';').next().unwrap()).find(|it| it.starts_with("sid"));
    let sid = sid.map(|it| format!("Cookie: {it}\r\n"));
    (status(&answer), answer, sid)
}

fn corp() -> Value {
    json!({ "issuer": "corp" })
}

/// Somebody signs in by a true answer: what is refused before and after is not refused for another
/// reason.
fn honest(address: SocketAddr, case: &str) {
    let way = Way::begin(address, &corp());
    let (code, answer, sid) = way.back(address, &way.code(case), "");
    assert_eq!(code, 200, "{case}: {answer}");
    assert_eq!(session(address, &sid.unwrap()).1["user"], "corp/anna");
}

#[test]
fn no_forged_answer_signs_anybody_in_and_each_is_told_why() {
    let folder = tempfile::tempdir().unwrap();
    let Some(forger) = Forger::start(folder.path()) else { return };
    // So many wrong ones shut a source out for a while.
    for some in LIES.chunks(15) {
        let daemon = Daemon::start(&forger.config());
        let address = daemon.address();
        honest(address, "good");
        for (case, why) in some {
            let asked_anew = ["stale", "no-auth-time"].contains(case);
            let way = Way::begin(address, &json!({ "issuer": "corp", "fresh": asked_anew }));
            let (code, answer, sid) = way.back(address, &way.code(case), "");
            assert_eq!((code, sid), (401, None), "{case}: {answer}");
            assert!(answer.contains(why), "{case}: {answer}");
            daemon.wait_for(why);
        }
        honest(address, "good-two-aud");
        let log = until("the second sign-in", || {
            Some(daemon.log()).filter(|log| log.matches("signed in principal=").count() > 1)
        });
        assert_eq!(log.matches("signed in principal=").count(), 2, "{log}");
        assert!(!log.contains('~'), "no code is logged: {log}");
    }
}

#[test]
fn a_way_back_counts_once_in_its_browser_and_from_its_issuer() {
    let folder = tempfile::tempdir().unwrap();
    let Some(forger) = Forger::start(folder.path()) else { return };
    let daemon = Daemon::start(&forger.config());
    let address = daemon.address();
    let refused = |what: &str, told: (u16, String, Option<String>), code: u16, why: &str| {
        assert_eq!((told.0, told.2), (code, None), "{what}: {}", told.1);
        assert!(told.1.contains(why), "{what}: {}", told.1);
    };
    let begun = "begun too long ago, in another browser, or is already done";

    // Its state, of nobody, of another way, none at all, twice.
    let (way, other) = (Way::begin(address, &corp()), Way::begin(address, &corp()));
    let code = way.code("good");
    let with =
        |cookie: &str, state: &str| arrive(address, cookie, &format!("code={code}&state={state}"));
    refused("a made-up state", with(&way.cookie, "made-up"), 400, begun);
    refused("used up by it", way.back(address, &code, ""), 400, begun);
    refused("another's cookie", with(&other.cookie, &way.state), 400, begun);
    let way = Way::begin(address, &corp());
    let none = arrive(address, &way.cookie, &format!("code={}", way.code("good")));
    refused("no state", none, 400, begun);
    let way = Way::begin(address, &corp());
    refused(
        "no cookie",
        arrive(address, "", &format!("code={}&state={}", way.code("good"), way.state)),
        400,
        begun,
    );
    refused("no code", arrive(address, &way.cookie, &format!("state={}", way.state)), 400, begun);
    let way = Way::begin(address, &corp());
    let two = format!("&state={}", way.state);
    refused("two states", way.back(address, &way.code("good"), &two), 400, "cannot be read");

    // All of it once more.
    let way = Way::begin(address, &corp());
    let code = way.code("good");
    let (got, answer, sid) = way.back(address, &code, "");
    assert!(got == 200 && sid.is_some(), "{answer}");
    refused("all of it twice", way.back(address, &code, ""), 400, begun);
    // The code once more, on a way of its own.
    let way = Way::begin(address, &corp());
    refused("the code twice", way.back(address, &code, ""), 400, begun);

    // Mix-up: the answer is another issuer's, which says so, or does not.
    let way = Way::begin(address, &corp());
    let foreign = format!("&iss=http://127.0.0.1:{}/other", forger.port);
    let told = way.back(address, &way.code("good"), &foreign);
    refused("its iss", told, 401, "not from the issuer that was asked");
    let way = Way::begin(address, &corp());
    let told = way.back(address, &way.code("others-code"), "");
    refused("its code", told, 401, "refuses the code");
    let way = Way::begin(address, &json!({ "issuer": "other" }));
    let told = way.back(address, &way.code("others-code"), "");
    refused("one that names itself, and did not", told, 401, "not from the issuer that was asked");
    let way = Way::begin(address, &json!({ "issuer": "other" }));
    let (got, answer, sid) = way.back(address, &way.code("others-code"), &foreign);
    assert_eq!(got, 200, "{answer}");
    assert_eq!(session(address, &sid.unwrap()).1["user"], "other/anna");
    let way = Way::begin(address, &corp());
    let told = arrive(
        address,
        &way.cookie,
        &format!("error=access_denied&error_description=%3Cb%3Eno&state={}", way.state),
    );
    refused("no", told, 403, "&lt;b&gt;no");
    daemon.wait_for("signed in principal=other/anna");
    assert_eq!(daemon.log().matches("signed in principal=").count(), 2);
}
