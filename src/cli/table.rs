//! Tables for people: columns as wide as what is in them.

/// Rows under a heading. Control characters are shown as `?`.
pub(super) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let first = heading.map(str::to_owned);
    let rows: Vec<&[String]> =
        std::iter::once(&first).chain(rows).map(<[_; N]>::as_slice).collect();
    lines(&rows)
}

/// The same for any number of columns: the work is compiled once.
fn lines(rows: &[&[String]]) -> String {
    let clean = |text: &String| -> String {
        text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
    };
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(clean).collect()).collect();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<_> = (0..).map_while(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them_and_nothing_moves_the_cursor() {
        let rows = [["plc1", "up"], ["a\u{1b}[2J", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(table(["NAME", "STATE"], &rows), "NAME   STATE\nplc1   up\na?[2J\n");
    }
}
