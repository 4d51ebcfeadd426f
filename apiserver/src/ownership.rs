//! Who owns which field: what is kept in `metadata.managedFields` for server-side apply.
//!
//! It is kept of what users write. What the server, the reconciler and the agents write is not told apart: each member of
//! a status has one writer, and an object that no user has written has no owners until somebody applies.

use std::sync::OnceLock;

use drover_patch::{Endpoint, Request, Shape, update};
use drover_types::Kind;
use jiff::Timestamp;
use serde_json::Value;

use crate::error::ApiError;
use crate::identity::Role;
use crate::prepare::Part;

/// The longest name of a manager.
const MAX_MANAGER: usize = 128;
/// Who writes without saying who it is.
const UNKNOWN: &str = "unknown";

/// Who makes a request, as far as the ownership of fields goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Author {
    /// The name from `User-Agent`, for writes that name none; None if ownership is not kept.
    product: Option<String>,
}

impl Author {
    /// Of a request by this role with this `User-Agent`.
    pub(crate) fn new(role: &Role, user_agent: Option<&str>) -> Self {
        let Role::Admin { .. } = role else { return Self::default() };
        Self::named(user_agent.unwrap_or_default().split('/').next().unwrap_or_default())
    }

    /// Of somebody who says who it is.
    pub(crate) fn named(product: &str) -> Self {
        let mut product: String = product.chars().filter(|c| !c.is_control()).collect();
        while product.len() > MAX_MANAGER {
            product.pop();
        }
        Self { product: Some(if product.is_empty() { UNKNOWN.to_owned() } else { product }) }
    }
}

const MANAGED_FIELDS: &str = "managedFields";

/// The `managedFields` that come with what is written.
#[derive(Clone, Debug)]
pub(crate) enum Owners {
    /// From an apply: as they are to be stored.
    Settled(Option<Value>),
    /// From a client, which may have left them out.
    Sent(Option<Value>),
}

/// How a write is to be booked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Booking {
    pub(crate) author: Author,
    /// `fieldManager`.
    pub(crate) manager: Option<String>,
    /// `force`.
    pub(crate) force: Option<bool>,
}

impl Booking {
    /// Checks a parameter `fieldManager`.
    pub(crate) fn name(value: String) -> Result<String, ApiError> {
        let wrong = |detail: &str| {
            let message = format!("PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: {detail}");
            ApiError::new(422, "Invalid", message)
        };
        if value.len() > MAX_MANAGER {
            return Err(wrong("Too long: may not be more than 128 bytes"));
        }
        if value.chars().any(char::is_control) {
            return Err(wrong("Invalid value: should only contain printable characters"));
        }
        Ok(value)
    }

    /// `force` has a meaning for apply alone.
    pub(crate) fn refuse_force(&self) -> Result<(), ApiError> {
        match self.force {
            None => Ok(()),
            Some(_) => Err(ApiError::new(
                422,
                "Invalid",
                "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch",
            )),
        }
    }

    /// Whether ownership is kept of this write.
    pub(crate) fn is_kept(&self) -> bool {
        self.author.product.is_some()
    }

    /// For an apply, which has to name its manager.
    pub(crate) fn apply(&self, kind: Kind, part: Part, now: Timestamp) -> Request<'_> {
        let manager = self.manager.as_deref().unwrap_or_default();
        Request {
            shape: shape(kind),
            manager,
            api_version: kind.api_version(),
            endpoint: endpoint(kind, part),
            force: self.force == Some(true),
            now,
        }
    }

    /// What is stored after a write: `next`, with the owners of its fields.
    pub(crate) fn booked(
        &self,
        (kind, part): (Kind, Part),
        (old, mut next): (Option<&Value>, Value),
        owners: Owners,
        now: Timestamp,
    ) -> Value {
        if let Some(metadata) = next.get_mut("metadata").and_then(Value::as_object_mut) {
            match &owners {
                Owners::Settled(None) => drop(metadata.remove(MANAGED_FIELDS)),
                // A part of an object does not say who owns it.
                Owners::Sent(_) if part != Part::Main => {}
                Owners::Settled(Some(list)) | Owners::Sent(Some(list)) => {
                    metadata.insert(MANAGED_FIELDS.into(), list.clone());
                }
                Owners::Sent(None) => {}
            }
        }
        match (owners, &self.author.product) {
            (Owners::Sent(_), Some(product)) => {
                let manager = self.manager.as_deref().unwrap_or(product);
                update::update(old, next, &Request { manager, ..self.apply(kind, part, now) })
            }
            (Owners::Settled(_), _) | (Owners::Sent(_), None) => next,
        }
    }
}

fn endpoint(kind: Kind, part: Part) -> Endpoint<'static> {
    match part {
        Part::Status => Endpoint::Status,
        Part::Scale => Endpoint::Other("scale"),
        Part::Main if kind.names().has_status => Endpoint::Main,
        Part::Main => Endpoint::Whole,
    }
}

/// The shape of a kind's objects, made once.
pub(crate) fn shape(kind: Kind) -> &'static Shape {
    static MADE: [OnceLock<Shape>; Kind::ALL.len()] = [const { OnceLock::new() }; Kind::ALL.len()];
    MADE[kind as usize].get_or_init(|| {
        let shape = Shape::from_schema(&drover_types::schema::schema(kind), "");
        if kind.names().group.is_empty() { shape.with_core_lists(kind.names().kind) } else { shape }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ownership_is_kept_of_what_users_write() {
        let admin = Role::Admin { name: "a".into() };
        assert_eq!(Author::new(&admin, Some("kubectl/v1.32 (linux)")).product.as_deref(), Some("kubectl"));
        assert_eq!(Author::new(&admin, None).product.as_deref(), Some(UNKNOWN));
        assert_eq!(Author::new(&admin, Some(&"ä".repeat(100))).product.map(|name| name.len()), Some(128));
        assert_eq!(Author::new(&Role::Controller, Some("x")), Author::default());
    }

    #[test]
    fn a_manager_has_a_name_that_can_be_printed() {
        assert!(Booking::name("x".repeat(128)).is_ok());
        for bad in ["x".repeat(129), "a\nb".to_owned()] {
            assert_eq!(Booking::name(bad).unwrap_err().code(), 422);
        }
    }
}
