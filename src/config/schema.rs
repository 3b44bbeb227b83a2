//! The JSON Schema of the configuration file, made from the reader's description of its keys.

use serde_json::{Map, Value, json};

use super::{
    described::{Described, Presence, Shape, WordShape},
    resolve::described,
};

/// The JSON Schema (2020-12) of the configuration file, pretty-printed, with a final newline.
pub(crate) fn schema() -> String {
    let mut schema = mapping(&described());
    let file = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "wsbridge configuration",
        "patternProperties": { "^x-": {} },
    });
    if let (Value::Object(schema), Value::Object(file)) = (&mut schema, file) {
        schema.extend(file);
    }
    format!("{schema:#}\n")
}

fn mapping(keys: &[Described]) -> Value {
    let properties: Map<_, _> =
        keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    let needed: Vec<_> =
        keys.iter().filter(|key| key.presence == Presence::Needed).map(|key| key.name).collect();
    let schema =
        json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if needed.is_empty() { schema } else { with(schema, "required", needed) }
}

fn with(mut schema: Value, name: &str, value: impl Into<Value>) -> Value {
    if let Some(object) = schema.as_object_mut() {
        object.insert(name.to_owned(), value.into());
    }
    schema
}

fn property(key: &Described) -> Value {
    let schema = of(&key.shape);
    let meaning = plain(key.meaning);
    match &key.presence {
        Presence::Needed => with(schema, "description", meaning),
        Presence::Optional(without) if without.is_empty() => {
            with(or_null(&schema), "description", meaning)
        }
        Presence::Optional(without) => {
            let default = plain(without).replace('`', "");
            with(or_null(&schema), "description", format!("{meaning}. Default: {default}"))
        }
    }
}

fn of(shape: &Shape) -> Value {
    match shape {
        Shape::Word(word) => scalar(word),
        Shape::List(item) => json!({ "type": "array", "items": of(item) }),
        Shape::Keys(keys) => mapping(keys),
        Shape::Named(value) => {
            json!({ "type": "object", "additionalProperties": or_null(&of(value)) })
        }
        Shape::Either(word, keys) => json!({ "anyOf": [scalar(word), mapping(keys)] }),
        Shape::ListOr(word, keys) => {
            json!({ "anyOf": [{ "type": "array", "items": scalar(word) }, mapping(keys)] })
        }
    }
}

fn scalar(word: &WordShape) -> Value {
    let schema = word.schema.clone();
    let number = |text: &str| text.parse::<u64>().unwrap_or_default();
    match &word.bounds {
        Some((least, most)) if word.is("integer") => {
            with(with(schema, "minimum", number(least)), "maximum", number(most))
        }
        Some(_) | None => schema,
    }
}

/// A key that is `null` counts as absent.
fn or_null(schema: &Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

/// The manual's Markdown without its links.
fn plain(text: &str) -> String {
    let text = text.replace(": [below](", "[](");
    let mut pieces = text.split('[');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let link =
            piece.split_once("](").and_then(|(name, rest)| Some((name, rest.split_once(')')?.1)));
        match link {
            Some((name, after)) => out.extend([name, after]),
            None => out.extend(["[", piece]),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../configs/wsbridge.schema.json");

    /// `WSBRIDGE_WRITE` makes it write the file.
    #[test]
    fn the_shipped_schema_is_current() {
        let made = schema();
        if std::env::var_os("WSBRIDGE_WRITE").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/wsbridge.schema.json");
            std::fs::write(path, &made).unwrap();
        }
        assert!(
            SHIPPED == made,
            "write it anew: WSBRIDGE_WRITE=1 cargo test schema, and again without"
        );
    }

    /// All keys, including those in nested mappings.
    fn every_key(keys: &[Described]) -> Vec<&Described> {
        keys.iter()
            .flat_map(|key| std::iter::once(key).chain(every_key(key.shape.keys())))
            .collect()
    }

    #[test]
    fn every_key_has_a_meaning() {
        let described = described();
        let all = every_key(&described);
        assert!(all.len() > 90, "{}", all.len());
        for key in all {
            assert!(!key.meaning.is_empty() && !key.meaning.ends_with('.'), "{key:?}");
        }
    }

    fn load(text: &str, name: &str) -> Result<Vec<crate::config::Warning>, String> {
        let loaded =
            crate::config::parse(text, name, &|source| Err(format!("{source:?} is not here")));
        loaded.map(|(_, warnings)| warnings).map_err(|error| error.to_string())
    }

    #[test]
    fn every_example_configuration_loads_without_a_warning() {
        let mut seen = 0;
        for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/configs")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(text.starts_with("# yaml-language-server: $schema="), "{}", path.display());
                assert_eq!(load(&text, &path.display().to_string()), Ok(Vec::new()));
                seen += 1;
            }
        }
        assert!(seen >= 6, "{seen}");
    }

    #[test]
    fn every_yaml_block_of_the_reference_loads() {
        let text = include_str!("../../docs/config.md");
        let blocks: Vec<_> = text.split("\n```yaml").skip(1).collect();
        assert!(blocks.len() >= 4);
        for block in blocks {
            let (mark, rest) = block.split_once('\n').unwrap();
            let (yaml, _) = rest.split_once("\n```").unwrap();
            match mark {
                "" => assert!(load(yaml, "block").is_ok(), "{yaml}\n{:?}", load(yaml, "block")),
                // Part of a file: valid once somebody can sign in.
                " fragment" => {
                    let whole = format!("auth: none\n{yaml}\n");
                    assert!(
                        load(&whole, "fragment").is_ok(),
                        "{yaml}\n{:?}",
                        load(&whole, "fragment")
                    );
                }
                other => panic!("{other}"),
            }
        }
    }
}
