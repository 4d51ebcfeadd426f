//! The table, as text: one line a contestant, ours first, and the goals below it.

use super::goal::Verdict;
use super::{Entry, Row};
use crate::contest::Part;
use crate::foreign::QUIET;

/// A number in as many digits as are worth reading.
pub(crate) fn short(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if value == 0.0 => "0".into(),
        _ if size >= 1e6 => format!("{:.2}M", value / 1e6),
        _ if size >= 1e4 => format!("{:.1}k", value / 1e3),
        _ if size >= 100.0 => format!("{value:.0}"),
        _ if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// All rows.
pub(crate) fn print(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<5} {:<58} {:>16} {:>21} {:>8} {:>8}  {}\n",
        "row", "what, and who", "median", "min - max", "samples", "others", "beside ours; goals"
    );
    let mut last = "";
    for row in rows {
        if !last.is_empty() && last != row.id {
            text.push('\n');
        }
        last = &row.id;
        let class = if row.class.is_empty() { String::new() } else { format!("  [{}]", row.class) };
        text += &format!("{:<5} {}{class}\n", row.id, row.what);
        for entry in &row.entries {
            text += &line(row, entry);
        }
        for goal in &row.goals {
            let verdict = match goal.verdict(row) {
                Verdict::Holds => "holds".to_owned(),
                Verdict::Misses(by) => format!("MISSED, {by} of it"),
                Verdict::Unknown => "not measured".to_owned(),
            };
            text += &format!("{:<5}     goal {}: {verdict}\n", "", goal.text());
        }
    }
    text
}

fn line(row: &Row, entry: &Entry) -> String {
    let Some(spread) = entry.spread else {
        let why = entry.absent.as_deref().unwrap_or("no value");
        return format!("{:<5}   {:<56} {:>16}  {why}\n", "", entry.name, "absent");
    };
    let others = match entry.foreign_cores {
        Some(cores) if cores > QUIET => format!("{cores:.2}!"),
        Some(cores) => format!("{cores:.2}"),
        None => "?".into(),
    };
    let beside = match (entry.part, row.ours()) {
        (Part::Ours, _) | (_, None) => String::new(),
        (_, Some(ours)) if spread.median > 0.0 && ours.median > 0.0 => {
            let times = ours.median / spread.median;
            if row.unit.more_is_better() {
                format!("ours is {} x", short(times))
            } else {
                format!("ours is {} x as much", short(times))
            }
        }
        _ => String::new(),
    };
    format!(
        "{:<5}   {:<56} {:>16} {:>21} {:>8} {:>8}  {beside}\n",
        "",
        entry.name,
        format!("{} {}", short(spread.median), row.unit.text()),
        format!("{} - {}", short(spread.min), short(spread.max)),
        entry.samples,
        others,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contest::Outcome;
    use crate::report::{Goal, Unit};
    use crate::stats::Round;

    #[test]
    fn numbers_are_as_long_as_they_are_worth() {
        for (value, want) in [
            (0.0, "0"),
            (0.125, "0.12"),
            (12.34, "12.3"),
            (123.4, "123"),
            (15_000.0, "15.0k"),
            (4.1e6, "4.10M"),
        ] {
            assert_eq!(short(value), want);
        }
    }

    #[test]
    fn a_row_shows_every_contestant_and_says_which_goal_is_missed() {
        let outcome = |part, name: &str, value, absent: Option<&str>| Outcome {
            part,
            name: name.into(),
            rounds: absent.is_none().then(|| Round::one("v", value, 9)).into_iter().collect(),
            foreign: Some(0.5),
            absent: absent.map(str::to_owned),
        };
        let outcomes = [
            outcome(Part::Ours, "drover", 10.0, None),
            outcome(Part::Floor, "spawn", 5.0, None),
            outcome(Part::Peer, "pm2", 0.0, Some("npm is not here")),
        ];
        let row =
            Row::of("P4", "restart", Unit::Millis, (&outcomes, "v")).goal(Goal::AtMost(5.0)).class("TLS");
        let text = print(&[row]);
        assert!(text.contains("P4    restart  [TLS]"), "{text}");
        assert!(text.contains("0.50!") && text.contains("ours is 2.00 x as much"), "{text}");
        assert!(text.contains("absent  npm is not here") && text.contains("MISSED, x2.00 of it"), "{text}");
    }
}
