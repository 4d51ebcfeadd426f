//! JSON values as the API compares them: a number by what it is worth, a member that is null as one that is absent.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

/// A scalar that identifies an item of a list: `1` and `1.0` are the same one.
#[derive(Clone, Debug)]
pub struct Scalar(Value);

impl Scalar {
    /// A scalar, or none for a list or an object.
    pub fn new(value: Value) -> Option<Self> {
        (!value.is_array() && !value.is_object()).then_some(Self(value))
    }

    /// As JSON.
    pub fn as_value(&self) -> &Value {
        &self.0
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Scalar {}

impl PartialOrd for Scalar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scalar {
    fn cmp(&self, other: &Self) -> Ordering {
        order(&self.0, &other.0)
    }
}

/// A value by its worth, to be looked up by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Worth<'a>(pub(crate) &'a Value);

impl PartialEq for Worth<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Worth<'_> {}

impl PartialOrd for Worth<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Worth<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        order(self.0, other.0)
    }
}

/// A total order of values, in which `1` and `1.0` are equal.
pub(crate) fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => order_numbers(a, b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => a.iter().map(Worth).cmp(b.iter().map(Worth)),
        (Value::Object(a), Value::Object(b)) => {
            let pairs = |members| Map::iter(members).map(|(name, value)| (name, Worth(value)));
            pairs(a).cmp(pairs(b))
        }
        _ => rank(a).cmp(&rank(b)),
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

fn order_numbers(a: &Number, b: &Number) -> Ordering {
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(a), None) => order_float(float(b), a).reverse(),
        (None, Some(b)) => order_float(float(a), b),
        // Adding zero makes one zero of the two.
        (None, None) => (float(a) + 0.0).total_cmp(&(float(b) + 0.0)),
    }
}

fn integer(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

fn float(number: &Number) -> f64 {
    number.as_f64().unwrap_or(0.0)
}

/// Exact, so that the order is one: an integer beyond 2^53 is not rounded to the float beside it.
fn order_float(float: f64, integer: i128) -> Ordering {
    // The cast saturates, far beyond every integer that JSON numbers hold here.
    let whole = float.trunc() as i128;
    whole.cmp(&integer).then_with(|| float.fract().total_cmp(&0.0_f64.copysign(float.fract())))
}

/// Whether two values say the same. A member that is null says what an absent one says.
pub(crate) fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => alike_but_for(a, b, &[]),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(x, y)| alike(x, y)),
        _ => order(a, b).is_eq(),
    }
}

/// Whether two objects say the same, these members aside.
pub(crate) fn alike_but_for(a: &Map<String, Value>, b: &Map<String, Value>, aside: &[&str]) -> bool {
    let said = |members| {
        Map::iter(members).filter(|(name, value)| !value.is_null() && !aside.contains(&name.as_str()))
    };
    said(a).count() == said(b).count() && said(a).zip(said(b)).all(|((a, x), (b, y))| a == b && alike(x, y))
}

/// Removes the members that are null, at every depth; items of lists stay. In what a client writes as a whole, null
/// means absent.
pub fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// How much there is of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Bytes, about as many as its text has.
    pub(crate) bytes: usize,
    /// Levels of lists and objects in each other; 0 for a scalar.
    pub(crate) depth: usize,
}

/// Measures a value.
pub(crate) fn extent(value: &Value) -> Extent {
    let below = |inner: Extent, sum: Extent, own: usize| Extent {
        bytes: sum.bytes + inner.bytes + own,
        depth: sum.depth.max(inner.depth + 1),
    };
    let container = Extent { bytes: 2, depth: 1 };
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => Extent { bytes: 4, depth: 0 },
        Value::String(text) => Extent { bytes: text.len() + 2, depth: 0 },
        Value::Array(items) => items.iter().fold(container, |sum, item| below(extent(item), sum, 1)),
        Value::Object(members) => {
            members.iter().fold(container, |sum, (name, member)| below(extent(member), sum, name.len() + 4))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_ordered_by_what_they_are_worth() {
        let rising = [
            json!(-1e300),
            json!(i64::MIN),
            json!(-1.5),
            json!(-1),
            json!(-0.5),
            json!(0),
            json!(0.5),
            json!(1),
            json!(9_007_199_254_740_992_u64),
            json!(9_007_199_254_740_993_u64),
            json!(u64::MAX),
            json!(1e300),
        ];
        for (i, a) in rising.iter().enumerate() {
            for (j, b) in rising.iter().enumerate() {
                assert_eq!(order(a, b), i.cmp(&j), "{a} {b}");
            }
        }
        assert!(order(&json!(1), &json!(1.0)).is_eq());
        assert!(order(&json!(-0.0), &json!(0)).is_eq());
        assert!(order(&json!(-0.0), &json!(0.0)).is_eq());
    }

    #[test]
    fn a_null_member_says_nothing_and_a_null_item_does() {
        assert!(alike(&json!({"a": 1, "b": null}), &json!({"a": 1.0})));
        assert!(alike(&json!([{"b": null}]), &json!([{}])));
        assert!(!alike(&json!([null]), &json!([])));
        assert!(!alike(&json!({"a": 1}), &json!({"b": 1})));
    }
}
