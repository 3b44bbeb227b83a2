//! A gateway's hub, and a hub's gateways: what the configuration says of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::{
    Rights, RightsTable, WebAddress, access,
    cursor::{Keys, Placed},
    units::Scalar,
    words::HomeProxy,
};

/// The most labels of a gateway.
const LABELS_MAX: usize = 32;
/// The longest label, in bytes.
const LABEL_MAX: usize = 64;

/// What a gateway lets people do who come by its hub, and what it says about itself there. It calls
/// home once `wsbridge enrol` has made it known to a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallHome {
    /// The most that anybody may do who comes by the hub, whatever the hub says.
    pub allow: RightsTable,
    /// What the hub's list shows besides its name.
    pub labels: BTreeMap<String, String>,
    /// The way out.
    pub proxy: HomeProxy,
}

impl Default for CallHome {
    fn default() -> Self {
        let allow = Rights::ALL.without(Rights::OVER_OTHERS);
        Self {
            allow: RightsTable(vec![("*".to_owned(), allow)]),
            labels: BTreeMap::new(),
            proxy: HomeProxy::System,
        }
    }
}

/// What makes a daemon a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubRules {
    /// What it calls itself when it vouches for somebody.
    pub name: String,
    /// Where gateways and browsers find it.
    pub public: HubAddress,
}

/// A hub's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubAddress(pub(crate) WebAddress);

impl Scalar for HubAddress {
    fn read(text: &str) -> Result<Self, String> {
        let read = WebAddress::parse(text)?;
        if !read.secure {
            return Err(format!("`{text}` is plain HTTP; a hub has https://"));
        }
        if read.path != "/" {
            return Err(format!(
                "`{text}` has a path; a hub is at the top of a name of its own: https://{}",
                read.host
            ));
        }
        Ok(Self(read))
    }

    fn kind() -> String {
        "address".into()
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^https://", "examples": ["https://hub.example"] })
    }

    fn text(&self) -> String {
        self.0.text.clone()
    }
}

/// A hub's name.
struct HubName(String);

impl Scalar for HubName {
    fn read(text: &str) -> Result<Self, String> {
        let fits = crate::wire::home::is_gateway_name(text);
        let what = || format!("`{text}` is no name for a hub: 1 to 63 of a-z, 0-9 and -");
        fits.then(|| Self(text.to_owned())).ok_or_else(what)
    }

    fn kind() -> String {
        "name".into()
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^[a-z0-9-]{1,63}$" })
    }

    fn text(&self) -> String {
        self.0.clone()
    }
}

/// Reads `call_home:`, for endpoints with these names.
pub(super) fn call_home(k: &mut Keys<'_>, names: &BTreeSet<String>) -> CallHome {
    let usual = CallHome::default();
    let read = k
        .key(
            "call_home",
            "what people may do who come by the hub that this gateway is enrolled at: [below](#call_home)",
        )
        .without("see below")
        .map(|k| {
            let allow = k
                .key(
                    "allow",
                    "the most that anybody may do who comes by the hub, for each pattern of endpoints; the hub can give less, \
                     never more",
                )
                .without("everything but `grant`, `approve` and `sessions`, on `*`")
                .value();
            let allow = access::table(allow, names, false);
            let allow = if k.has("allow") { RightsTable(allow) } else { usual.allow.clone() };
            let labels = k
                .key("labels", "what the hub's list shows besides the name, like `site: north`")
                .without("none")
                .value();
            let labels = labels.named(|name, value| {
                let spot = value.spot();
                let text = value.word::<String>().map(|it| it.value).unwrap_or_default();
                let plain = |text: &str| !text.chars().any(char::is_control);
                if name.text.len().max(text.len()) > LABEL_MAX || !plain(&name.text) || !plain(&text) {
                    spot.wrong(name.at, "a label and its value have at most 64 bytes, and no control characters");
                }
                (name.text.clone(), text)
            });
            if labels.len() > LABELS_MAX {
                k.wrong_in("labels", k.at, "a gateway has at most 32 labels");
            }
            let proxy = k
                .key(
                    "proxy",
                    "the way out: `system` is the HTTP proxy that the environment names (`https_proxy`), `none` is no proxy",
                )
                .uci("call_home_proxy")
                .or(HomeProxy::System);
            CallHome { allow, labels: labels.into_iter().collect(), proxy }
        });
    read.map_or(usual, |it| it.value)
}

/// Reads `hub:`, whose name is one that the daemon answers to.
pub(super) fn hub(k: &mut Keys<'_>, hosts: &mut Vec<String>) -> Option<HubRules> {
    let read = k
        .key("hub", "makes this a hub, where gateways behind NAT call in: [below](#hub)")
        .without("no hub")
        .map(|k| {
            let public = k
                .key(
                    "public",
                    "where gateways and browsers find it, like https://hub.example. TLS has to end here, not at a proxy",
                )
                .needed::<HubAddress>();
            let name = k
                .key("name", "what it calls itself when it vouches for somebody at a gateway")
                .without("the first part of its host name")
                .maybe::<HubName>();
            let Placed { value: public, .. } = public?;
            hosts.push(public.0.host.to_ascii_lowercase());
            let first = public.0.host.split('.').next().unwrap_or_default().to_ascii_lowercase();
            let first = if crate::wire::home::is_gateway_name(&first) { first } else { "hub".into() };
            Some(HubRules { name: name.map_or(first, |name| name.value.0), public })
        });
    read?.value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resolve::tests::{good, mistakes};

    #[test]
    fn whoever_comes_by_a_hub_may_not_lend_decide_or_look_at_others_unless_it_says_so() {
        let usual = good("auth: none").0.call_home;
        let all = usual.allow.on("plc1");
        assert!(all.allows(Rights::READ.with(Rights::WRITE).with(Rights::TAKEOVER)));
        assert_eq!(all.only(Rights::OVER_OTHERS), Rights::NONE);
        let (config, _) = good(
            "auth: none\nendpoints: { plc1: { sim: echo }, gate: { sim: echo } }\n\
             call_home: { allow: { plc1: [ read ] }, labels: { site: north }, proxy: none }",
        );
        let home = config.call_home;
        assert_eq!(home.allow.on("plc1"), Rights::READ);
        assert_eq!(home.allow.on("gate"), Rights::NONE);
        assert_eq!(home.labels["site"], "north");
        assert_eq!(home.proxy, HomeProxy::None);
        let (config, _) = good("auth: none\ncall_home: { allow: {} }");
        assert_eq!(config.call_home.allow, RightsTable::default());
    }

    #[test]
    fn a_hub_is_at_the_top_of_a_name_of_its_own() {
        let hub = |text: &str| good(&format!("auth: none\nhub: {text}")).0.hub.unwrap();
        let read = hub("{ public: 'https://hub-1.example:8443' }");
        assert_eq!((read.name.as_str(), read.public.0.port), ("hub-1", 8443));
        assert_eq!(hub("{ public: 'https://192.0.2.7', name: north }").name, "north");
        assert_eq!(hub("{ public: 'https://[2001:db8::7]' }").public.0.host, "2001:db8::7");
        for (text, what) in [
            ("{ public: 'http://localhost' }", "has https://"),
            ("{ public: 'https://a.example/b' }", "has a path"),
            ("{}", "the key `public` is missing"),
            ("{ public: 'https://a.example', name: A }", "no name for a hub"),
        ] {
            let told = mistakes(&format!("auth: none\nhub: {text}"));
            assert!(told.contains(what), "{text}\n{told}");
        }
    }
}
