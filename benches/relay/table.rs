//! What was measured, and the Markdown table made of it.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::Outcome;

/// The table's columns of figures, in their order.
const COLUMNS: [&str; 8] = [
    "no bridge",
    "socat",
    "wsbridge",
    "other",
    "websockify",
    "websocat",
    "ser2net",
    "websockify + ser2net",
];

/// A row: what is measured, and what it is held against.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    /// The column our figure is divided by, `ws` for our own without TLS, `not kept` for a line
    /// that is not recorded; none when the figure
    /// itself counts.
    pub(crate) base: Option<&'static str>,
    /// Target and limit: of the ratio, or of the figure.
    pub(crate) goal: Option<(f64, f64)>,
}

impl Row {
    /// A row held against `base`, without a goal.
    pub(crate) fn new(
        what: impl Into<String>,
        unit: &'static str,
        base: Option<&'static str>,
    ) -> Self {
        Self { what: what.into(), unit, base, goal: None }
    }

    /// Its target and limit.
    pub(crate) fn goal(self, target: f64, limit: f64) -> Self {
        Self { goal: Some((target, limit)), ..self }
    }
}

/// Every figure of every round.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<(Row, BTreeMap<&'static str, Vec<f64>>)>,
}

impl Table {
    /// One figure of one round.
    pub(crate) fn add(&mut self, row: &Row, column: &'static str, figure: f64) {
        let at = self
            .rows
            .iter()
            .position(|(known, _)| known.what == row.what && known.unit == row.unit);
        let at = at.unwrap_or_else(|| {
            self.rows.push((row.clone(), BTreeMap::new()));
            self.rows.len() - 1
        });
        if let Some((_, cells)) = self.rows.get_mut(at) {
            cells.entry(column).or_default().push(figure);
        }
    }

    /// The whole as Markdown; columns without a figure are left out.
    pub(crate) fn markdown(&self) -> Outcome<String> {
        let used = |column: &&&str| self.rows.iter().any(|(_, cells)| cells.contains_key(**column));
        let columns: Vec<&str> = COLUMNS.iter().filter(used).copied().collect();
        let mut text = String::new();
        write!(text, "| what | unit |")?;
        for column in &columns {
            write!(text, " {column} |")?;
        }
        writeln!(text, " ratio | target | limit | |")?;
        write!(text, "|---|---|{}", "--:|".repeat(columns.len() + 3))?;
        writeln!(text, "---|")?;
        for (row, cells) in &self.rows {
            write!(text, "| {} | {} |", row.what, row.unit)?;
            for column in &columns {
                let cell = cells.get(column).map(|figures| short(median(figures.clone())));
                write!(text, " {} |", cell.unwrap_or_default())?;
            }
            writeln!(text, "{}", verdict(row, cells))?;
        }
        Ok(text)
    }
}

/// Ratio, target, limit, and what it comes to.
fn verdict(row: &Row, cells: &BTreeMap<&'static str, Vec<f64>>) -> String {
    let ours = cells.get("wsbridge");
    let against = row.base.and_then(|base| cells.get(base));
    let ratio = ours.zip(against).map(|(ours, base)| {
        // The figures of one round were taken side by side: their ratio is steadier than that of
        // the medians.
        median(ours.iter().zip(base).map(|(ours, base)| ours / base).collect())
    });
    let mark = match row.base {
        Some("ws") => "x of ws",
        Some("not kept") => "x of the line not kept",
        _ => "x",
    };
    let shown = ratio.map(|ratio| format!("{ratio:.2}{mark}")).unwrap_or_default();
    let figure = if row.base.is_some() { ratio } else { ours.map(|ours| median(ours.clone())) };
    let Some(((target, limit), figure)) = row.goal.zip(figure) else {
        return format!(" {shown} | | | |");
    };
    let word = match figure {
        _ if figure <= target => "in",
        _ if figure <= limit => "over target",
        _ => "**over limit**",
    };
    format!(" {shown} | {target} | {limit} | {word} |")
}

/// The middle one; of an even number the lower of the two.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

/// Three digits that count.
fn short(figure: f64) -> String {
    match figure.abs() {
        100.0.. => format!("{figure:.0}"),
        10.0..100.0 => format!("{figure:.1}"),
        1.0..10.0 => format!("{figure:.2}"),
        _ => format!("{figure:.3}"),
    }
}
