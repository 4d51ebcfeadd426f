//! Conflicts of an apply, in the words that clients know.

use std::fmt;

use crate::fields::{FieldSet, Path};
use crate::managers::{ManagerId, Operation};

/// A field that the apply would change and that somebody else owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Who owns it.
    pub owner: ManagerId,
    /// The version in which the owner named it.
    pub api_version: String,
    /// The field.
    pub path: Path,
}

/// All conflicts of an apply, by owner, then by path. The text is the message of the answer, which is 409 with the
/// reason `Conflict`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conflicts(pub Vec<Conflict>);

/// One of `details.causes`, whose reason is `FieldManagerConflict`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// `conflict with "x"`.
    pub message: String,
    /// `.spec.replicas`.
    pub field: String,
}

/// `details.causes[].reason` of a conflict. It is what makes kubectl print its advice.
pub const CAUSE_REASON: &str = "FieldManagerConflict";

impl Conflicts {
    /// `details.causes`.
    pub fn causes(&self) -> Vec<Cause> {
        let cause = |conflict: &Conflict| Cause {
            message: format!("conflict with {}", Owner(conflict)),
            field: conflict.path.to_string(),
        };
        self.0.iter().map(cause).collect()
    }

    /// Those about other fields.
    pub(crate) fn without(self, fields: &FieldSet) -> Self {
        Self(self.0.into_iter().filter(|conflict| !fields.contains(&conflict.path.0)).collect())
    }
}

impl std::error::Error for Conflicts {}

impl fmt::Display for Conflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [one] = self.0.as_slice() {
            return write!(f, "Apply failed with 1 conflict: conflict with {}: {}", Owner(one), one.path);
        }
        write!(f, "Apply failed with {} conflicts: ", self.0.len())?;
        let mut before: Option<&ManagerId> = None;
        for conflict in &self.0 {
            if before != Some(&conflict.owner) {
                let newline = if before.is_some() { "\n" } else { "" };
                write!(f, "{newline}conflicts with {}:", Owner(conflict))?;
                before = Some(&conflict.owner);
            }
            write!(f, "\n- {}", conflict.path)?;
        }
        Ok(())
    }
}

/// An owner as it is printed: the time of an update is not said, for it does not identify the owner.
struct Owner<'a>(&'a Conflict);

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Conflict { owner, api_version, .. } = self.0;
        write!(f, "{}", serde_json::Value::from(owner.manager.as_str()))?;
        if !owner.subresource.is_empty() {
            write!(f, " with subresource {}", serde_json::Value::from(owner.subresource.as_str()))?;
        }
        if owner.operation == Operation::Update {
            write!(f, " using {api_version}")?;
        }
        Ok(())
    }
}
