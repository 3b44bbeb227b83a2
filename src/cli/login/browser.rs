//! A sign-in by the user's browser: the gateway's page asks, and hands a code to a port of this
//! computer (RFC 8252 section 7.3), which is worth nothing without a word that never left this
//! program (RFC 7636).

use std::{
    env,
    io::{self, Write as _},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::{
    super::{CommandError, SysExit, gateway::Gateway},
    program,
};

/// How long the user may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// How long a request may take, and how long it may be.
const REQUEST: (Duration, usize) = (Duration::from_secs(5), 8192);

/// What the browser shows in the end.
const DONE: &str = "Signed in. You may close this page.";
const DENIED: &str = "Not signed in. You may close this page.";

/// Has the user's browser asked, and gives what is exchanged for the sign-in.
pub(super) async fn code(gateway: &Gateway) -> Result<Value, CommandError> {
    let failed = |error: io::Error| {
        CommandError::new(SysExit::Unavailable, format!("cannot listen on 127.0.0.1: {error}"))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    let (verifier, state) = (word()?, word()?);
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
    let url = format!(
        "{}/signin#port={port}&state={state}&challenge={challenge}&program={}",
        gateway.address,
        program()
    );
    // Nothing is left to be done about a closed standard error.
    let _ = writeln!(io::stderr(), "Open this page, if your browser does not:\n\n    {url}\n");
    open(&url);
    let late = || CommandError::new(SysExit::Refused, "nobody signed in within 10 minutes");
    let answered = timeout(PATIENCE, answered(&listener, &state)).await.map_err(|_| late())?;
    match answered.map_err(failed)? {
        Brought::Code(code) => Ok(json!({ "code": code, "verifier": verifier })),
        Brought::Denied => {
            Err(CommandError::new(SysExit::Refused, "the sign-in was denied in the browser"))
        }
    }
}

/// 256 random bits.
fn word() -> Result<String, CommandError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| CommandError::new(SysExit::Software, format!("no randomness: {error}")))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Opens a page in the user's browser, if there is one that can be found.
fn open(url: &str) {
    let usual: &[&str] =
        if cfg!(windows) { &["rundll32", "url.dll,FileProtocolHandler"] } else { &["xdg-open"] };
    let named = env::var_os("BROWSER").map(|browser| vec![browser]);
    let words = named.unwrap_or_else(|| usual.iter().map(Into::into).collect());
    let Some((program, words)) = words.split_first() else { return };
    let mut command = Command::new(program);
    command.args(words).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // The address is shown in any case.
    drop(thread::spawn(move || command.status()));
}

/// What the page brings.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Brought {
    Code(String),
    Denied,
}

/// What the page brings. Whatever else asks is not the page.
async fn answered(listener: &TcpListener, state: &str) -> io::Result<Brought> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        let Ok(Ok(target)) = timeout(REQUEST.0, target(&mut stream)).await else { continue };
        let Some(answer) = read(&target, state) else {
            let _ = respond(&mut stream, "404 Not Found", "Nothing is here.").await;
            continue;
        };
        let text = if answer == Brought::Denied { DENIED } else { DONE };
        let _ = respond(&mut stream, "200 OK", text).await;
        return Ok(answer);
    }
}

/// The target of a request line.
async fn target(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 || head.len() > REQUEST.1 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let head = String::from_utf8_lossy(&head);
    let target = head.strip_prefix("GET ").and_then(|rest| rest.split(' ').next());
    target.map(str::to_owned).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// What a target says: a code or a denial, behind the word that only our link had.
fn read(target: &str, state: &str) -> Option<Brought> {
    let query = target.strip_prefix("/?")?;
    let value =
        |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    if value("state") != Some(state) {
        return None;
    }
    let hex = |code: &&str| !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_hexdigit());
    match value("code").filter(hex) {
        Some(code) => Some(Brought::Code(code.to_owned())),
        None => query.contains("denied").then_some(Brought::Denied),
    }
}

async fn respond(stream: &mut TcpStream, status: &str, text: &str) -> io::Result<()> {
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>wsbridge</title><p>{text}</p></html>\n"
    );
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\
         Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n\
         Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_knows_the_state_is_heard() {
        assert_eq!(read("/?code=ab12&state=s", "s"), Some(Brought::Code("ab12".into())));
        assert_eq!(read("/?state=s&denied", "s"), Some(Brought::Denied));
        for other in
            ["/?code=ab12&state=t", "/?code=ab12", "/", "/favicon.ico", "/?state=s&code=<b>"]
        {
            assert_eq!(read(other, "s"), None, "{other}");
        }
    }
}
