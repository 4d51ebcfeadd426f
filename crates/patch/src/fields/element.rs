//! One step of a field path, and how a path is printed.

use std::fmt;

use crate::value::Scalar;

/// A step from an object, map or list to what it holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Element {
    /// A member of an object: `.name`.
    Field(String),
    /// An item of a list, by its key fields in the order of their names: `[name="a"]`.
    Key(Vec<(String, Scalar)>),
    /// An item of a set, by its value: `[="a"]`.
    Value(Scalar),
    /// An item of a list, by its place: `[0]`.
    Index(u64),
}

impl Element {
    /// A member of an object.
    pub fn field(name: &str) -> Self {
        Self::Field(name.to_owned())
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(fields) => {
                f.write_str("[")?;
                for (i, (name, value)) in fields.iter().enumerate() {
                    let comma = if i == 0 { "" } else { "," };
                    write!(f, "{comma}{name}={}", value.as_value())?;
                }
                f.write_str("]")
            }
            Self::Value(value) => write!(f, "[={}]", value.as_value()),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A path from an object to something in it, printed as `.spec.steps[name="a"].cmd`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(pub Vec<Element>);

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|element| element.fmt(f))
    }
}
