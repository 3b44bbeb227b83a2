//! A span of time as people read it in a log: `85 ms`, `5.2 s`, `2 min 5 s`, `3 h 10 min`.

use std::time::Duration;

/// In its two largest units; under a minute, in seconds with one decimal.
pub(crate) fn readable(span: Duration) -> String {
    let milliseconds = span.as_millis();
    if milliseconds < 1000 {
        return format!("{milliseconds} ms");
    }
    // Rounded before it is split into units: 59.97 s is a minute.
    let tenths = (milliseconds + 50) / 100;
    if tenths < 600 {
        let (whole, tenth) = (tenths / 10, tenths % 10);
        return if tenth == 0 { format!("{whole} s") } else { format!("{whole}.{tenth} s") };
    }
    let seconds = (milliseconds + 500) / 1000;
    let [minutes, hours, days] = [60, 3600, 86_400].map(|unit| seconds / unit);
    let two = |(large, unit): (u128, &str), (small, below): (u128, &str)| {
        if small == 0 {
            format!("{large} {unit}")
        } else {
            format!("{large} {unit} {small} {below}")
        }
    };
    match (days, hours) {
        (0, 0) => two((minutes, "min"), (seconds % 60, "s")),
        (0, _) => two((hours, "h"), (minutes % 60, "min")),
        _ => two((days, "d"), (hours % 24, "h")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_in_the_two_units_that_matter() {
        for (milliseconds, text) in [
            (0, "0 ms"),
            (85, "85 ms"),
            (999, "999 ms"),
            (1000, "1 s"),
            (5210, "5.2 s"),
            (59_940, "59.9 s"),
            (59_970, "1 min"),
            (125_030, "2 min 5 s"),
            (3_600_000, "1 h"),
            (11_400_000, "3 h 10 min"),
            (86_400_000, "1 d"),
            (187_200_000, "2 d 4 h"),
        ] {
            assert_eq!(readable(Duration::from_millis(milliseconds)), text);
        }
    }
}
