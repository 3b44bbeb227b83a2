//! The two formats of the page, and which one a scraper prefers.

/// A format of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExpositionFormat {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' text format 0.0.4.
    Text,
}

impl ExpositionFormat {
    /// The format for a request with this `Accept`: OpenMetrics, unless it names `text/plain` and
    /// prefers that.
    pub(crate) fn accepted(accept: Option<&str>) -> Self {
        let ranges: Vec<_> = accept.unwrap_or_default().split(',').map(range).collect();
        let best = |names: &[&str]| {
            let fits =
                |name: &&str| ranges.iter().filter(|(kind, _)| kind == name).map(|(_, q)| *q).max();
            // The more specific range decides, however high the weight of a wider one (RFC 9110
            // section 12.5.1).
            names.iter().find_map(fits)
        };
        let open = best(&["application/openmetrics-text", "application/*", "*/*"]).unwrap_or(0);
        match best(&["text/plain", "text/*"]) {
            Some(text) if text > open => Self::Text,
            _ => Self::OpenMetrics,
        }
    }

    /// The format's media type.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// A media range of `Accept` without its parameters, and its weight in thousandths.
fn range(text: &str) -> (String, u32) {
    let mut parts = text.split(';').map(|part| part.trim().to_ascii_lowercase());
    let kind = parts.next().unwrap_or_default();
    let weight = parts.find_map(|part| part.strip_prefix("q=").map(str::to_owned));
    (kind, weight.map_or(1000, |weight| thousandths(&weight)))
}

/// `0.25` is 250. Anything that is not a weight counts as none.
fn thousandths(weight: &str) -> u32 {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    whole
        .parse::<u32>()
        .ok()
        .zip(digits.parse::<u32>().ok())
        .map_or(0, |(whole, rest)| whole * 1000 + rest)
}
