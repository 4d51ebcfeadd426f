//! Creating: what the server fills in, and the place that must be free.

use drover_patch::drop_nulls;
use drover_types::{FieldError, Kind};

use crate::admission;
use crate::change::Next;
use crate::error::ApiError;
use crate::json::Decoded;
use crate::objects::{Objects, Place, Written};
use crate::owners;
use crate::ownership::Owners;
use crate::prepare::{self, Part};
use crate::query::Params;

impl Objects {
    /// POST to a collection.
    pub(crate) async fn create(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        body: Decoded,
        params: &Params,
    ) -> Result<Written, ApiError> {
        params.booking.refuse_force()?;
        let Decoded { mut value, duplicates } = body;
        drop_nulls(&mut value);
        prepare::address(kind, namespace, None, &mut value)?;
        self.create_from(kind, namespace, Next { body: value, duplicates, settled: false }, params).await
    }

    /// Creates an object whose body belongs here.
    pub(crate) async fn create_from(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        next: Next,
        params: &Params,
    ) -> Result<Written, ApiError> {
        let Next { body: mut value, duplicates, settled } = next;
        let given = prepare::metadata(&value).get("managedFields").cloned();
        let now = self.world.clock.now();
        let prefix = prepare::text(&value, "generateName").to_owned();
        let generated = prepare::text(&value, "name").is_empty();
        if generated && !prefix.is_empty() {
            value["metadata"]["name"] = format!("{prefix}{}", self.suffix()).into();
        }
        prepare::create(kind, &mut value, self.world.uuid_v4().to_string(), now);
        let (value, warnings) = admission::admit(kind, value, None, &duplicates, params.field_validation)?;
        let name = prepare::text(&value, "name").to_owned();
        let at = Place { kind, namespace, name: &name };
        if kind == Kind::Task && value.pointer("/spec/paramValues").is_some() {
            let detail = "only the server sets it, for a child that a call makes";
            let error = FieldError::forbidden("spec.paramValues".into(), detail);
            return Err(ApiError::invalid(kind, &name, &[error]));
        }
        owners::refuse_unreachable(at, &value)?;
        let owners = if settled { Owners::Settled(given) } else { Owners::Sent(given) };
        let value = params.booking.booked((kind, Part::Main), (None, value), owners, now);
        let object = self.insert(at, value, &[], params.dry_run).await?;
        Ok(Written { object, warnings, created: true })
    }

    /// Five characters, as Kubernetes appends to `generateName`.
    pub(crate) fn suffix(&self) -> String {
        // Without vowels and look-alikes, so that no word and no mistake comes of it.
        const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
        let mut random = [0; 5];
        self.world.entropy.fill(&mut random);
        random.iter().map(|b| char::from(LETTERS[usize::from(*b) % LETTERS.len()])).collect()
    }
}
