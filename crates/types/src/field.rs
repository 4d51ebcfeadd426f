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

    /// A key of a free-form map. One longer than any valid key is cut: it only has to be recognised.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let (shown, more) = cut(key, LONGEST_KEY);
        Self(format!("{}[{shown}{more}]", self.0))
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
    /// Nobody knows the field.
    Unknown,
}

impl FieldErrorKind {
    /// The `reason` of the cause in a `Status`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid | Self::Unknown => "FieldValueInvalid",
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
    fn new(path: FieldPath, kind: FieldErrorKind, message: &str) -> Self {
        let (shown, more) = cut(message, LONGEST_MESSAGE);
        Self { path, kind, message: format!("{shown}{more}") }
    }

    /// `path: Unknown field`.
    pub fn unknown(path: FieldPath) -> Self {
        Self { path, kind: FieldErrorKind::Unknown, message: "Unknown field".to_owned() }
    }

    /// `path: Required value: detail`.
    pub fn required(path: FieldPath, detail: impl fmt::Display) -> Self {
        Self::new(path, FieldErrorKind::Required, &format!("Required value: {detail}"))
    }

    /// `path: Invalid value: value: detail`; the value is printed as JSON, its beginning if it is long.
    pub fn invalid(path: FieldPath, value: impl Into<Value>, detail: impl fmt::Display) -> Self {
        let message = format!("Invalid value: {}: {detail}", shown(value.into()));
        Self::new(path, FieldErrorKind::Invalid, &message)
    }

    /// `path: Unsupported value: value: supported values: "a", "b"`.
    pub fn not_supported(path: FieldPath, value: impl Into<Value>, supported: &[&str]) -> Self {
        let list = supported.iter().map(|s| format!("{s:?}")).collect::<Vec<_>>().join(", ");
        let message = format!("Unsupported value: {}: supported values: {list}", shown(value.into()));
        Self::new(path, FieldErrorKind::NotSupported, &message)
    }

    /// `path: Forbidden: detail`.
    pub fn forbidden(path: FieldPath, detail: impl fmt::Display) -> Self {
        Self::new(path, FieldErrorKind::Forbidden, &format!("Forbidden: {detail}"))
    }

    /// `path: Duplicate value: value`.
    pub fn duplicate(path: FieldPath, value: impl Into<Value>) -> Self {
        Self::new(path, FieldErrorKind::Duplicate, &format!("Duplicate value: {}", shown(value.into())))
    }

    /// `path: Too long: detail`.
    pub fn too_long(path: FieldPath, detail: impl fmt::Display) -> Self {
        Self::new(path, FieldErrorKind::TooLong, &format!("Too long: {detail}"))
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.as_str().is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Bytes of a value that an error shows: enough to recognise it, however large it is.
const LONGEST_VALUE: usize = 200;
const LONGEST_KEY: usize = 320;
const LONGEST_MESSAGE: usize = 1000;

fn shown(value: Value) -> String {
    if let Value::String(text) = &value {
        let (beginning, more) = cut(text, LONGEST_VALUE);
        return format!("{}{more}", Value::from(beginning));
    }
    let text = value.to_string();
    let (beginning, more) = cut(&text, LONGEST_VALUE);
    format!("{beginning}{more}")
}

/// The beginning of a text, and what says that there is more.
fn cut(text: &str, limit: usize) -> (&str, &'static str) {
    let end = text.floor_char_boundary(limit);
    if end < text.len() { (&text[..end], "...") } else { (text, "") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_as_short_whatever_it_is_about() {
        let huge = "ä".repeat(1 << 20);
        for error in [
            FieldError::invalid(FieldPath::root().key(&huge), huge.as_str(), &huge),
            FieldError::invalid("a".into(), vec![huge.as_str(); 3], "is large"),
            FieldError::not_supported("a".into(), huge.as_str(), &["b"]),
            FieldError::duplicate("a".into(), huge.as_str()),
        ] {
            let text = error.to_string();
            assert!(text.len() < 1500 && text.contains("..."), "{} bytes", text.len());
        }
    }

    #[test]
    fn an_error_about_the_object_itself_has_no_path() {
        let error = FieldError::invalid(FieldPath::root(), 1, "expected an object");
        assert_eq!(error.to_string(), "Invalid value: 1: expected an object");
    }
}
