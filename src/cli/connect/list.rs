//! The endpoints of a gateway, for people and for programs.

use std::io::{self, Write as _};

use super::super::{
    Outcome,
    gateway::{Access, Gateway, Listed},
    print,
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
    print(&table(&listed))?;
    let first = listed.first().map_or("NAME", |one| one.name.as_str());
    // The table says enough without.
    let _ = writeln!(io::stderr(), "\nTo open one: wsbridge connect {}/{first}", gateway.address);
    Ok(())
}

fn table(listed: &[Listed]) -> String {
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
        .map(|text| text.chars().map(|c| if c.is_control() { '?' } else { c }).collect())
    };
    let heading = ["NAME", "KIND", "STATE", "WRITER", "YOU MAY", "TITLE"].map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(heading).chain(listed.iter().map(row)).collect();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<_> = (0..6).map(|column| width(column).unwrap_or_default()).collect();
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
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
        let table = table(&[one("plc1", Some("up")), one("a", None)]);
        let lines = [
            "NAME  KIND    STATE  WRITER  YOU MAY     TITLE",
            "plc1  serial  up             read write",
            "a     serial                 read write",
        ];
        assert_eq!(table, lines.join("\n") + "\n");
    }
}
