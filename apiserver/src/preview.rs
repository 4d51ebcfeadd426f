//! What the server would make of an apply, without the server: for a command that is to say what would change, or to
//! leave alone what would not. A pure function of what is stored, made of the same parts as the answer.

use drover_types::Kind;
use jiff::Timestamp;
use serde_json::Value;

use crate::apply::applied;
use crate::change::{is_no_change, next};
use crate::error::ApiError;
use crate::json::Decoded;
use crate::objects::{Place, Stored};
use crate::ownership::{Author, Booking};
use crate::prepare::{self, Part};
use crate::query::{FieldValidation, Params};
use crate::wanted::Wanted;

/// An apply of an object, as a client would send it.
#[derive(Clone, Debug)]
pub struct Preview<'a> {
    /// The kind of the object.
    pub kind: Kind,
    /// Where it lies; None for a kind without namespaces.
    pub namespace: Option<&'a str>,
    /// Its name.
    pub name: &'a str,
    /// `fieldManager`.
    pub manager: &'a str,
    /// `force`: fields are taken from others.
    pub force: bool,
    /// Now.
    pub now: Timestamp,
}

impl Preview<'_> {
    /// The object after the apply; `live` itself where nothing would be written.
    ///
    /// # Errors
    /// As the server would refuse it, as far as the object itself says: not for what lies elsewhere, as owners, and what
    /// has started already.
    pub fn of(&self, live: &Value, mut config: Value) -> Result<Value, ApiError> {
        let at = Place { kind: self.kind, namespace: self.namespace, name: self.name };
        let booking = Booking {
            author: Author::named(self.manager),
            manager: Some(self.manager.to_owned()),
            force: Some(self.force),
        };
        let params = Params { booking, field_validation: FieldValidation::Strict, ..Params::default() };
        prepare::address(at.kind, at.namespace, Some(at.name), &mut config)?;
        let revision = prepare::text(live, "resourceVersion").parse().unwrap_or(0);
        let old = Stored { object: live.clone(), revision, created: 0 };
        Wanted::of(at, Part::Main, &config)?.check(at, &old)?;
        let sent = Decoded { value: config, duplicates: Vec::new() };
        let change = applied((at, Part::Main), Some(live), &sent, &params.booking, self.now)?;
        let (next, _) = next((at, Part::Main), &old, change, &params, self.now)?;
        Ok(if is_no_change(&params.booking, live, &next) { live.clone() } else { next })
    }
}
