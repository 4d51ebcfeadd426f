//! The table as JSON, with the conditions it was taken under.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::conditions::Conditions;
use super::goal::Verdict;
use super::{Goal, Row};

/// Writes it.
pub(crate) fn write(path: &Path, conditions: &Conditions, rows: &[Row]) -> Result<()> {
    let text = serde_json::to_string_pretty(&document(conditions, rows))?;
    std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
}

fn document(conditions: &Conditions, rows: &[Row]) -> Value {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            let mut value = json!(row);
            value["goals"] = row.goals.iter().map(|goal| verdict(goal, row)).collect();
            value
        })
        .collect();
    json!({ "conditions": conditions, "rows": rows })
}

fn verdict(goal: &Goal, row: &Row) -> Value {
    let (holds, by) = match goal.verdict(row) {
        Verdict::Holds => (json!(true), Value::Null),
        Verdict::Misses(by) => (json!(false), json!(by)),
        Verdict::Unknown => (Value::Null, Value::Null),
    };
    json!({ "goal": goal.text(), "holds": holds, "is": by })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contest::{Outcome, Part};
    use crate::report::Unit;
    use crate::stats::Round;

    #[test]
    fn a_program_can_read_what_was_measured_and_what_holds() {
        let outcomes = [Outcome {
            part: Part::Ours,
            name: "drover".into(),
            rounds: vec![Round::one("v", 3.0, 4), Round::one("v", 5.0, 4)],
            foreign: Some(0.01),
            absent: None,
        }];
        let row = Row::of("P2", "start", Unit::Millis, (&outcomes, "v")).goal(Goal::AtMost(5.0));
        let value = document(&Conditions::default(), &[row]);
        let row = &value["rows"][0];
        assert_eq!(
            (&row["id"], &row["unit"], &row["entries"][0]["median"]),
            (&json!("P2"), &json!("ms"), &json!(4.0))
        );
        assert_eq!((&row["entries"][0]["samples"], &row["goals"][0]["holds"]), (&json!(8), &json!(true)));
    }
}
