//! The JSON Schema of the configuration file.

/// The JSON Schema (2020-12) of the configuration file, pretty-printed, with a newline at its end. A test makes it of the
/// types that parse the file, so that the daemon carries none of what it takes.
pub const SCHEMA: &str = include_str!("../../configs/wsbridge.schema.json");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw::File;

    /// `WSBRIDGE_WRITE` says that it is to be written.
    #[test]
    fn the_shipped_schema_is_current() {
        let mut made = serde_json::to_string_pretty(&schemars::schema_for!(File)).unwrap();
        made.push('\n');
        if std::env::var_os("WSBRIDGE_WRITE").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/wsbridge.schema.json");
            std::fs::write(path, &made).unwrap();
        }
        assert!(SCHEMA == made, "write it anew: WSBRIDGE_WRITE=1 cargo test schema, and again without");
    }

    #[test]
    fn every_key_of_the_schema_has_a_description() {
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
        let mut seen = 0;
        let shapes = schema["$defs"].as_object().unwrap().values().chain([&schema]);
        for shape in shapes {
            for (key, value) in shape["properties"].as_object().unwrap() {
                assert!(value["description"].is_string(), "{key}: {value}");
                seen += 1;
            }
            assert_eq!(shape["additionalProperties"], false);
        }
        assert!(seen > 60, "{seen}");
    }

    fn load(text: &str, name: &str) -> Result<Vec<crate::config::Warning>, String> {
        let loaded = crate::config::parse(text, name, &|source| Err(format!("{source:?} is not here")));
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
                // A part of a file: good once somebody can sign in.
                " fragment" => {
                    let whole = format!("auth: none\n{yaml}\n");
                    assert!(load(&whole, "fragment").is_ok(), "{yaml}\n{:?}", load(&whole, "fragment"));
                }
                other => panic!("{other}"),
            }
        }
    }

    #[test]
    fn the_reference_names_every_key() {
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
        let text = include_str!("../../docs/config.md");
        for shape in schema["$defs"].as_object().unwrap().values().chain([&schema]) {
            for key in shape["properties"].as_object().unwrap().keys() {
                assert!(text.contains(&format!("`{key}`")), "docs/config.md says nothing of `{key}`");
            }
        }
    }
}
