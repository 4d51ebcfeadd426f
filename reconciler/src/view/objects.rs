//! Objects as the reconciler keeps them: without what it never looks at, which for secrets is everything.

use drover_types::ObjectMeta;
use drover_types::kinds::Run;
use drover_types::kinds::core::EventSeries;
use drover_types::meta::Object;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

/// Anything with metadata.
pub(crate) trait HasMeta {
    /// Its metadata.
    fn meta(&self) -> &ObjectMeta;
}

impl<T, S> HasMeta for Object<T, S> {
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
}

/// Metadata alone: what ownership and namespaces need to know of any object.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Bare {
    /// Metadata.
    #[serde(default, deserialize_with = "without_owners_of_fields")]
    pub(crate) metadata: ObjectMeta,
}

/// Who owns which field is, as a tree, larger than most objects.
fn without_owners_of_fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let metadata = ObjectMeta::deserialize(deserializer)?;
    Ok(ObjectMeta { managed_fields: Vec::new(), ..metadata })
}

impl HasMeta for Bare {
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
}

/// A Run without its output: there are many, and most of what they hold is that.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Run")]
pub(crate) struct SlimRun(pub(crate) Run);

impl From<Run> for SlimRun {
    fn from(mut run: Run) -> Self {
        if let Some(status) = &mut run.status {
            status.output_tail = String::new();
        }
        run.metadata.managed_fields = Vec::new();
        Self(run)
    }
}

impl HasMeta for SlimRun {
    fn meta(&self) -> &ObjectMeta {
        &self.0.metadata
    }
}

/// An Event: how old it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SeenEvent {
    /// Metadata.
    #[serde(deserialize_with = "without_owners_of_fields")]
    pub(crate) metadata: ObjectMeta,
    last_timestamp: Option<Timestamp>,
    event_time: Option<Timestamp>,
    series: Option<EventSeries>,
}

impl SeenEvent {
    /// When it last happened, as far as anybody knows.
    pub(crate) fn last(&self) -> Option<Timestamp> {
        let goes_on = self.series.as_ref().and_then(|series| series.last_observed_time);
        goes_on.or(self.last_timestamp).or(self.event_time).or(self.metadata.creation_timestamp)
    }
}

impl HasMeta for SeenEvent {
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
}
