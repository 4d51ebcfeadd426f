//! Following a path into a value.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Filter, Operator, Path, Step};

pub(super) fn find<'a>(path: &Path, value: &'a Value) -> Vec<&'a Value> {
    path.0.iter().fold(vec![value], |found, step| found.into_iter().flat_map(|at| follow(step, at)).collect())
}

fn follow<'a>(step: &Step, at: &'a Value) -> Vec<&'a Value> {
    match (step, at) {
        (Step::Member(name), Value::Object(map)) => map.get(name).into_iter().collect(),
        (Step::All, Value::Object(map)) => map.values().collect(),
        (Step::All, Value::Array(list)) => list.iter().collect(),
        (Step::Index(index), Value::Array(list)) => element(list, *index).into_iter().collect(),
        (Step::Filter(filter), Value::Array(list)) => {
            list.iter().filter(|item| holds(filter, item)).collect()
        }
        _ => Vec::new(),
    }
}

fn element(list: &[Value], index: i64) -> Option<&Value> {
    let from_end = usize::try_from(index.unsigned_abs()).ok()?;
    if index < 0 { list.len().checked_sub(from_end).and_then(|at| list.get(at)) } else { list.get(from_end) }
}

fn holds(filter: &Filter, item: &Value) -> bool {
    let found = find(&filter.path, item);
    match &filter.test {
        None => !found.is_empty(),
        Some((operator, wanted)) => found.into_iter().any(|held| compare(*operator, held, wanted)),
    }
}

fn compare(operator: Operator, held: &Value, wanted: &Value) -> bool {
    let order = match (held, wanted) {
        (Value::Number(held), Value::Number(wanted)) => {
            held.as_f64().zip(wanted.as_f64()).and_then(|(held, wanted)| held.partial_cmp(&wanted))
        }
        (Value::String(held), Value::String(wanted)) => Some(held.cmp(wanted)),
        (held, wanted) => (held == wanted).then_some(Ordering::Equal),
    };
    match operator {
        Operator::Equal => order == Some(Ordering::Equal),
        Operator::NotEqual => order != Some(Ordering::Equal),
        Operator::Less => order == Some(Ordering::Less),
        Operator::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Operator::Greater => order == Some(Ordering::Greater),
        Operator::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    }
}

/// A text as it is, everything else as JSON.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
