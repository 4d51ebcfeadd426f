//! JSON Patch (RFC 6902), bounded in what it may cost and in what it may make.
//!
//! One thing is not as the RFC has it, for clients count on it: `test` with null passes where the last step of its path
//! leads to no member. The parent must be there.

mod budget;
mod document;
mod pointer;

use serde_json::{Map, Value};

use budget::Budget;
use document::Document;
use pointer::Pointer;

/// Operations in one patch.
pub const MAX_OPERATIONS: usize = 10_000;
/// Bytes, about, that the result may have: more than an object that is stored.
pub const MAX_RESULT: usize = 4 << 20;
/// Levels of nesting that the result may have: what is read again from its text.
pub const MAX_DEPTH: usize = 127;

/// Why a patch does not apply. To a client it is 422, `Invalid`; 400 where it is no patch at all, 413 where it has too
/// many operations.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonPatchError {
    /// It is no list.
    #[error("a JSON patch must be a list of operations")]
    NotAList,
    /// It has more than 10,000 operations.
    #[error("a JSON patch may have at most {MAX_OPERATIONS} operations, this one has {0}")]
    TooManyOperations(usize),
    /// One of its operations does not apply.
    #[error("operation {index} ({op} {path:?}): {reason}")]
    Operation {
        /// The operation, counted from 0.
        index: usize,
        /// What it is.
        op: String,
        /// Where it is about.
        path: String,
        /// Why it does not apply.
        reason: Reason,
    },
}

impl JsonPatchError {
    /// Whether it is no patch, rather than one that does not apply.
    pub fn is_bad_request(&self) -> bool {
        match self {
            Self::NotAList => true,
            Self::TooManyOperations(_) => false,
            Self::Operation { reason, .. } => {
                matches!(reason, Reason::NotAnOperation | Reason::Missing(_) | Reason::NotAPointer(_))
            }
        }
    }
}

/// Why an operation does not apply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// It is none of the six.
    #[error("this is none of add, remove, replace, move, copy, test")]
    NotAnOperation,
    /// It lacks a member.
    #[error("it has no {0:?}")]
    Missing(&'static str),
    /// A path is no JSON pointer.
    #[error("{0:?} is no JSON pointer")]
    NotAPointer(String),
    /// The path leads nowhere.
    #[error("there is nothing at {0:?}")]
    Nothing(String),
    /// A step into a list is no index of it.
    #[error("{0:?} is no index of this list")]
    NotAnIndex(String),
    /// It would remove the object itself.
    #[error("the whole object cannot be removed")]
    Whole,
    /// It would move a value into itself.
    #[error("a value cannot be moved into itself")]
    IntoItself,
    /// What is there is not what the test asks for.
    #[error("the test failed")]
    TestFailed,
    /// The result would be too large.
    #[error("the result would be larger than {MAX_RESULT} bytes")]
    TooLarge,
    /// The result would be nested too deep.
    #[error("the result would be nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// It has moved and copied too much.
    #[error("the operations move and copy too much")]
    TooMuchWork,
}

/// What a patch makes of a document. None of it, if one of its operations does not apply.
///
/// # Errors
/// If it is no patch, or does not apply, or would cost or make too much.
pub fn apply(target: &Value, patch: &Value) -> Result<Value, JsonPatchError> {
    let operations = patch.as_array().ok_or(JsonPatchError::NotAList)?;
    if operations.len() > MAX_OPERATIONS {
        return Err(JsonPatchError::TooManyOperations(operations.len()));
    }
    let mut document = Document::new(target.clone(), Budget::default());
    for (index, operation) in operations.iter().enumerate() {
        perform(&mut document, operation).map_err(|reason| {
            let text = |member| short(operation[member].as_str().unwrap_or_default());
            JsonPatchError::Operation { index, op: text("op"), path: text("path"), reason }
        })?;
    }
    Ok(document.into_value())
}

/// What a message quotes of a text that somebody else wrote.
fn short(text: &str) -> String {
    const MAX: usize = 200;
    match text.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn perform(document: &mut Document, operation: &Value) -> Result<(), Reason> {
    let members = operation.as_object().ok_or(Reason::NotAnOperation)?;
    let op = members.get("op").and_then(Value::as_str).ok_or(Reason::NotAnOperation)?;
    let path = pointer(members, "path")?;
    let value = || members.get("value").ok_or(Reason::Missing("value"));
    match op {
        "add" => document.add(&path, value()?.clone()),
        "remove" => document.remove(&path).map(|_| ()),
        "replace" => document.replace(&path, value()?.clone()),
        "move" => {
            let from = pointer(members, "from")?;
            if from.is_prefix_of(&path) {
                // To where it is already: nothing to do, if it is there.
                return if from == path { document.get(&from).map(|_| ()) } else { Err(Reason::IntoItself) };
            }
            let moved = document.remove(&from)?;
            document.add(&path, moved)
        }
        "copy" => {
            let from = pointer(members, "from")?;
            let copied = document.copy(&from)?;
            document.add(&path, copied)
        }
        // Some writers leave null out.
        "test" => document.test(&path, members.get("value").unwrap_or(&Value::Null)),
        _ => Err(Reason::NotAnOperation),
    }
}

fn pointer(members: &Map<String, Value>, member: &'static str) -> Result<Pointer, Reason> {
    let text = members.get(member).and_then(Value::as_str).ok_or(Reason::Missing(member))?;
    Pointer::parse(text)
}
