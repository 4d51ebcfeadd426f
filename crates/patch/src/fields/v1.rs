//! `FieldsV1`: a set of field paths as a nested JSON object.

use serde_json::{Map, Value};

use super::{Element, FieldSet, Node};
use crate::value::Scalar;

/// Levels of nesting that are read.
const MAX_DEPTH: usize = 128;
/// Steps that are read: more than an object of 3 MiB can hold, so that nothing is written that is not read again.
const MAX_STEPS: usize = 400_000;

/// Why something is no `FieldsV1`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldsError {
    /// It, or something in it, is not an object.
    #[error("not an object")]
    NotAnObject,
    /// The name of a step cannot be read.
    #[error("{0:?} is no step of a field path")]
    NotAnElement(String),
    /// It nests deeper than 128 levels.
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// It has more than 400,000 steps.
    #[error("more than {MAX_STEPS} steps")]
    TooLarge,
}

impl FieldSet {
    /// As `FieldsV1`: `f:` a member, `k:` an item by key, `v:` an item by value, `i:` an item by place, `.` the node
    /// itself where there is more below it.
    pub fn to_v1(&self) -> Value {
        let mut members = Map::new();
        for (element, node) in self.nodes() {
            let mut below = node.below.to_v1();
            if let Value::Object(below) = &mut below
                && node.member
                && !below.is_empty()
            {
                below.insert(".".into(), Value::Object(Map::new()));
            }
            members.insert(element.to_v1(), below);
        }
        Value::Object(members)
    }

    /// From `FieldsV1`. Steps of a kind that is not known are left out.
    ///
    /// # Errors
    /// If it cannot be read, or is larger than any that this writes.
    pub fn from_v1(value: &Value) -> Result<Self, FieldsError> {
        let mut left = MAX_STEPS;
        Ok(read(value, 0, &mut left)?.below)
    }
}

fn read(value: &Value, depth: usize, left: &mut usize) -> Result<Node, FieldsError> {
    let members = value.as_object().ok_or(FieldsError::NotAnObject)?;
    if depth > MAX_DEPTH {
        return Err(FieldsError::TooDeep);
    }
    // At the top it would be the object itself, which is in no set.
    let mut node = Node { member: members.is_empty() && depth > 0, below: FieldSet::new() };
    for (name, inner) in members {
        *left = left.checked_sub(1).ok_or(FieldsError::TooLarge)?;
        if name == "." {
            node.member = depth > 0;
        } else if let Some(element) = Element::from_v1(name)? {
            let inner = read(inner, depth + 1, left)?;
            // Two spellings of one step.
            match node.below.nodes.get_mut(&element) {
                None => node.below.put(element, inner),
                Some(held) => {
                    held.member |= inner.member;
                    held.below.extend(&inner.below);
                }
            }
        }
    }
    Ok(node)
}

impl Element {
    fn to_v1(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(fields) => {
                let fields: Map<_, _> =
                    fields.iter().map(|(n, v)| (n.clone(), v.as_value().clone())).collect();
                format!("k:{}", Value::Object(fields))
            }
            Self::Value(value) => format!("v:{}", value.as_value()),
            Self::Index(index) => format!("i:{index}"),
        }
    }

    /// None if the kind of step is not known.
    fn from_v1(text: &str) -> Result<Option<Self>, FieldsError> {
        let wrong = || FieldsError::NotAnElement(text.chars().take(100).collect());
        let (kind, rest) = text.split_once(':').ok_or_else(wrong)?;
        let json = || serde_json::from_str::<Value>(rest).map_err(|_| wrong());
        Ok(match kind {
            "f" => Some(Self::field(rest)),
            "k" => {
                let Value::Object(fields) = json()? else { return Err(wrong()) };
                let read = fields.into_iter().map(|(name, value)| Some((name, Scalar::new(value)?)));
                let fields: Vec<_> = read.collect::<Option<_>>().ok_or_else(wrong)?;
                if fields.is_empty() {
                    return Err(wrong());
                }
                Some(Self::Key(fields))
            }
            "v" => Some(Self::Value(Scalar::new(json()?).ok_or_else(wrong)?)),
            "i" => Some(Self::Index(rest.parse().map_err(|_| wrong())?)),
            _ => None,
        })
    }
}
