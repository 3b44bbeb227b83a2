//! The console and the browser's client, as the build embeds them: where each file is, how long it
//! may be kept, who may load it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
};

use super::ask;
use crate::config::Origin;

/// A file of the page, compressed by gzip.
#[derive(Debug)]
pub(super) struct Asset {
    /// Its place in the URL.
    pub(super) path: &'static str,
    kind: &'static str,
    /// Weak, since it identifies the content however it is encoded (RFC 9110 section 8.8.1).
    etag: &'static str,
    /// The path changes with the content, so the file may be kept for ever.
    immutable: bool,
    /// Pages of other origins may load it: the client's scripts.
    shared: bool,
    gzip: &'static [u8],
}

/// All files. Empty in a gateway that was built without its page.
#[cfg(feature = "console")]
pub(super) const ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));
#[cfg(not(feature = "console"))]
pub(super) const ASSETS: &[Asset] = &[];

/// The window in which somebody lets in a page of another origin: the only page that keeps a link
/// to the one that opened it.
const LETS_IN: &str = "/grant";

/// The page on which somebody signs a program of their computer in.
const SIGNS_IN: &str = "/signin";

/// The console in a frame of another site's page; its address says which.
pub(super) const FRAMED: &str = "/embed";

/// What the page may do. xterm.js draws with style elements, hence `'unsafe-inline'`; Safari before
/// 15.4 does not accept `'self'` for a WebSocket, hence the gateway's own name with both schemes
/// (an IPv6 address is not a source in CSP 3).
fn policy(host: &str, ancestors: &[Origin]) -> String {
    let ancestors: Vec<_> = ancestors.iter().map(Origin::to_string).collect();
    let ancestors = if ancestors.is_empty() { "'none'".to_owned() } else { ancestors.join(" ") };
    let sockets =
        if host.starts_with('[') { String::new() } else { format!(" ws://{host} wss://{host}") };
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'{sockets}; \
         img-src 'self' data:; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors {ancestors}; \
         require-trusted-types-for 'script'; trusted-types 'none'"
    )
}

/// Answers with the file at `path`; `host` is the gateway as the client calls it, and `ancestors`
/// may show the page in a frame.
pub(super) fn answer(
    path: &str,
    (host, ancestors): (&str, &[Origin]),
    asked: &HeaderMap,
) -> Option<Response<Body>> {
    let asset = ASSETS.iter().find(|asset| asset.path == path)?;
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    let keep = match (asset.immutable, asset.path) {
        (true, _) => "public, max-age=31536000, immutable",
        (false, "/" | LETS_IN | SIGNS_IN | FRAMED) => "no-store",
        (false, _) => "no-cache",
    };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    headers.insert(header::ETAG, HeaderValue::from_static(asset.etag));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if asset.shared {
        // It contains nothing personal: the same text for everybody, whatever the cookie.
        headers.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    // Whoever may frame the console: this window is never framed, so that no page can lead a click
    // in it astray.
    let asks = matches!(asset.path, LETS_IN | SIGNS_IN);
    let ancestors = if asks { &[] } else { ancestors };
    if asset.path == LETS_IN {
        headers.insert("cross-origin-opener-policy", HeaderValue::from_static("unsafe-none"));
    }
    if let (true, Ok(policy)) =
        (asset.kind.starts_with("text/html"), HeaderValue::from_str(&policy(host, ancestors)))
    {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    if is_known(asked, asset.etag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Some(response);
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    if takes_gzip(asked) {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        *response.body_mut() = Body::from(Bytes::from_static(asset.gzip));
    } else {
        *response.body_mut() = Body::from(inflated(asset)?);
    }
    Some(response)
}

/// Whether the client already has it (RFC 9110 section 13.1.2; the comparison is the weak one).
pub(super) fn is_known(asked: &HeaderMap, etag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let all = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(','))
        .any(|tag| tag.trim() == "*" || opaque(tag) == opaque(etag))
}

/// Whether the client accepts gzip (RFC 9110 section 12.5.3).
fn takes_gzip(asked: &HeaderMap) -> bool {
    let listed = ask::text(asked, "accept-encoding").unwrap_or_default();
    let weight = |wanted: &str| {
        listed.split(',').find_map(|entry| {
            let mut parts = entry.split(';').map(str::trim);
            let named = parts.next()?.eq_ignore_ascii_case(wanted);
            let refused = parts.any(|part| {
                let value = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
                value.is_some_and(|value| value.parse().is_ok_and(|weight: f32| weight <= 0.0))
            });
            named.then_some(!refused)
        })
    };
    weight("gzip").or_else(|| weight("*")).unwrap_or(false)
}

/// A file for clients that do not accept gzip: inflated once, and shared by all of them.
fn inflated(asset: &'static Asset) -> Option<Bytes> {
    static INFLATED: Mutex<BTreeMap<&str, Bytes>> = Mutex::new(BTreeMap::new());
    let mut all = INFLATED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = all.get(asset.path) {
        return Some(known.clone());
    }
    let text = Bytes::from(inflate(asset.gzip)?);
    all.insert(asset.path, text.clone());
    Some(text)
}

/// Undoes gzip. The build wrote it, so the header is the shortest possible (RFC 1952 section 2.3).
#[cfg(feature = "console")]
fn inflate(gzip: &[u8]) -> Option<Vec<u8>> {
    let deflated = gzip.get(10..gzip.len().checked_sub(8)?)?;
    miniz_oxide::inflate::decompress_to_vec(deflated).ok()
}

#[cfg(not(feature = "console"))]
fn inflate(_: &[u8]) -> Option<Vec<u8>> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        [(header::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())]
            .into_iter()
            .collect()
    }

    #[test]
    fn a_file_is_inflated_once_for_all_clients_without_gzip() {
        for asset in ASSETS {
            let [first, second] = [inflated(asset), inflated(asset)].map(Option::unwrap);
            assert_eq!(first.as_ptr(), second.as_ptr(), "{}", asset.path);
        }
    }

    #[test]
    fn gzip_is_for_those_who_take_it() {
        for (accepted, taken) in [
            ("gzip", true),
            ("gzip, deflate, br, zstd", true),
            ("br;q=1.0, GZIP;q=0.1", true),
            ("*", true),
            ("gzip;q=0, *", false),
            ("gzip; q=0.0", false),
            ("identity", false),
            ("", false),
        ] {
            assert_eq!(takes_gzip(&headers("accept-encoding", accepted)), taken, "{accepted}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn a_known_file_is_known_by_its_tag() {
        for (tags, known) in [
            ("W/\"a\"", true),
            ("\"a\"", true),
            ("\"b\", W/\"a\"", true),
            ("*", true),
            ("\"b\"", false),
        ] {
            assert_eq!(is_known(&headers("if-none-match", tags), "W/\"a\""), known, "{tags}");
        }
    }

    #[test]
    fn what_the_first_page_loads_is_at_most_200_kb_and_what_it_loads_later_is_not_in_it() {
        let page = ASSETS.iter().find(|asset| asset.path == "/");
        let html = page.map_or_else(String::new, |page| {
            String::from_utf8(inflate(page.gzip).unwrap()).unwrap()
        });
        let first = ASSETS.iter().filter(|asset| asset.path == "/" || html.contains(asset.path));
        let sum: usize = first.map(|asset| asset.gzip.len()).sum();
        assert!(sum <= 200_000, "{sum} bytes");
        // Loaded only when needed: uPlot, for the plot. The page's own script contains nothing of
        // it.
        let later =
            ASSETS.iter().filter(|asset| asset.immutable && !html.contains(asset.path)).count();
        assert!(page.is_none() || later > 0);
    }

    #[test]
    fn each_file_is_as_long_inflated_as_its_end_says() {
        for asset in ASSETS {
            let said = asset.gzip.last_chunk().map(|bytes| u32::from_le_bytes(*bytes));
            let length = inflate(asset.gzip).map(|bytes| u32::try_from(bytes.len()).unwrap());
            assert_eq!(length, said, "{}", asset.path);
        }
    }
}
