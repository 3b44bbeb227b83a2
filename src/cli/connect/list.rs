//! The endpoints of a gateway, for people and for programs.

use std::io::{self, Write as _};

use super::super::{
    Outcome,
    gateway::{Access, Gateway, Listed},
    print,
    table::table,
};

/// Lists them, and says how to go on.
pub(super) async fn list(gateway: &Gateway, access: &Access, json: bool) -> Outcome {
    let (told, listed) = gateway.endpoints(access).await?;
    if json {
        let text = serde_json::to_string_pretty(&told).unwrap_or_default();
        return print(&format!("{text}\n"));
    }
    if listed.is_empty() {
        return print("There is no endpoint that you may see.\n");
    }
    print(&shown(&listed))?;
    let first = listed.first().map_or("NAME", |one| one.name.as_str());
    // The table says enough without.
    let _ = writeln!(io::stderr(), "\nTo open one: wsbridge connect {}/{first}", gateway.address);
    Ok(())
}

fn shown(listed: &[Listed]) -> String {
    let row = |one: &Listed| {
        let holder = one.holder.as_ref().map_or_else(String::new, |it| it.user.clone());
        [
            one.name.clone(),
            one.kind.clone(),
            one.state.clone().unwrap_or_default(),
            holder,
            one.rights.join(" "),
            one.title.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<[String; 6]> = listed.iter().map(row).collect();
    table(["NAME", "KIND", "STATE", "WRITER", "YOU MAY", "TITLE"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_columns_as_wide_as_what_is_in_them() {
        let one = |name: &str, state: Option<&str>| Listed {
            name: name.into(),
            kind: "serial".into(),
            state: state.map(str::to_owned),
            rights: vec!["read".into(), "write".into()],
            ..Listed::default()
        };
        let table = shown(&[one("plc1", Some("up")), one("a", None)]);
        let lines = [
            "NAME  KIND    STATE  WRITER  YOU MAY     TITLE",
            "plc1  serial  up             read write",
            "a     serial                 read write",
        ];
        assert_eq!(table, lines.join("\n") + "\n");
    }
}
