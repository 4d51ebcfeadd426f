//! Where in an object something is wrong, and how: the field errors of the Kubernetes API conventions.

use std::fmt;

use serde_json::Value;

/// A path to a field, as `spec.params[1].name` or `metadata.labels[drover.dev/role]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldPath(String);

impl FieldPath {
    /// The object itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// A member named in the schema.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        if self.0.is_empty() { Self(name.to_owned()) } else { Self(format!("{}.{name}", self.0)) }
    }

    /// An item of a list.
    #[must_use]
    pub fn index(&self, i: usize) -> Self {
        Self(format!("{}[{i}]", self.0))
    }

    /// A key of a free-form map.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        Self(format!("{}[{key}]", self.0))
    }

    /// The path as text; empty for the object itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for FieldPath {
    fn from(path: &str) -> Self {
        Self(path.to_owned())
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is wrong with a field. The names are those of `metav1.CauseType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldErrorKind {
    /// A field that must be there is not.
    Required,
    /// The value cannot be.
    Invalid,
    /// The value is not one of a closed list.
    NotSupported,
    /// The field may not be set here, or is not built yet.
    Forbidden,
    /// A value that must be unique stands twice.
    Duplicate,
    /// Longer or larger than its bound.
    TooLong,
}

impl FieldErrorKind {
    /// The `reason` of the cause in a `Status`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::Duplicate => "FieldValueDuplicate",
            Self::TooLong => "FieldValueTooLong",
        }
    }
}

/// One thing wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field.
    pub path: FieldPath,
    /// What is wrong.
    pub kind: FieldErrorKind,
    /// Everything after the path: `Invalid value: "61 * * * *": minute 61 is out of range 0-59`.
    pub message: String,
}

impl FieldError {
    /// `path: Required value: detail`.
    pub fn required(path: FieldPath, detail: impl fmt::Display) -> Self {
        Self { path, kind: FieldErrorKind::Required, message: format!("Required value: {detail}") }
    }

    /// `path: Invalid value: value: detail`; the value is printed as JSON.
    pub fn invalid(path: FieldPath, value: impl Into<Value>, detail: impl fmt::Display) -> Self {
        let message = format!("Invalid value: {}: {detail}", value.into());
        Self { path, kind: FieldErrorKind::Invalid, message }
    }

    /// `path: Unsupported value: value: supported values: "a", "b"`.
    pub fn not_supported(path: FieldPath, value: impl Into<Value>, supported: &[&str]) -> Self {
        let list = supported.iter().map(|s| format!("{s:?}")).collect::<Vec<_>>().join(", ");
        let message = format!("Unsupported value: {}: supported values: {list}", value.into());
        Self { path, kind: FieldErrorKind::NotSupported, message }
    }

    /// `path: Forbidden: detail`.
    pub fn forbidden(path: FieldPath, detail: impl fmt::Display) -> Self {
        Self { path, kind: FieldErrorKind::Forbidden, message: format!("Forbidden: {detail}") }
    }

    /// `path: Duplicate value: value`.
    pub fn duplicate(path: FieldPath, value: impl Into<Value>) -> Self {
        let message = format!("Duplicate value: {}", value.into());
        Self { path, kind: FieldErrorKind::Duplicate, message }
    }

    /// `path: Too long: detail`.
    pub fn too_long(path: FieldPath, detail: impl fmt::Display) -> Self {
        Self { path, kind: FieldErrorKind::TooLong, message: format!("Too long: {detail}") }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}
