//! Events under both their groups: `v1`, as which they are stored, and `events.k8s.io/v1`, whose members have other names.
//! They are the same objects under both.

use std::borrow::Cow;

use drover_types::Kind;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::admission;
use crate::error::ApiError;
use crate::prepare;
use crate::query::FieldValidation;

/// The newer group.
pub(crate) const GROUP: &str = "events.k8s.io";
/// Its version.
pub(crate) const VERSION: &str = "v1";
/// Both.
pub(crate) const API_VERSION: &str = "events.k8s.io/v1";

/// Members by their names in `v1` and in `events.k8s.io/v1`; the others have one name.
pub(crate) const NAMES: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// Under which names objects are read and written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Face {
    /// Those that they are stored under.
    #[default]
    Stored,
    /// An Event's in `events.k8s.io/v1`.
    Newer,
}

/// The kind at a path of the newer group.
pub(crate) fn by_path(group: &str, version: &str, plural: &str) -> Option<Kind> {
    ((group, version, plural) == (GROUP, VERSION, Kind::Event.names().plural)).then_some(Kind::Event)
}

impl Face {
    /// That of a path.
    pub(crate) fn of(path: &str) -> Self {
        let group =
            path.trim_start_matches('/').strip_prefix("apis/").and_then(|rest| rest.split('/').next());
        if group == Some(GROUP) { Self::Newer } else { Self::Stored }
    }

    /// What objects say that they are.
    pub(crate) fn api_version(self, kind: Kind) -> &'static str {
        match self {
            Self::Stored => kind.api_version(),
            Self::Newer => API_VERSION,
        }
    }

    /// A field in a selector by the name that it is stored under.
    pub(crate) fn stored_path(self, path: &str) -> String {
        let (first, rest) = path.split_once('.').map_or((path, ""), |(first, rest)| (first, rest));
        match NAMES.iter().find(|(_, newer)| *newer == first).filter(|_| self == Self::Newer) {
            Some((stored, _)) if rest.is_empty() => (*stored).to_owned(),
            Some((stored, _)) => format!("{stored}.{rest}"),
            None => path.to_owned(),
        }
    }

    /// An object as a client reads it that is about to change it: nothing is made up.
    pub(crate) fn view(self, object: &Value) -> Cow<'_, Value> {
        match self {
            Self::Stored => Cow::Borrowed(object),
            Self::Newer => Cow::Owned(newer(object)),
        }
    }

    /// An object as it is answered. One without an `eventTime`, as older clients write it, is given the nearest: newer
    /// ones cannot read a list with an Event that has none.
    pub(crate) fn shown(self, object: &Value) -> Cow<'_, Value> {
        let mut shown = self.view(object);
        if self == Self::Newer
            && shown.get("eventTime").is_none_or(Value::is_null)
            && let Some(time) = nearest_time(object)
        {
            shown.to_mut()["eventTime"] = format!("{time:.6}").into();
        }
        shown
    }

    /// What a client wrote, under the names that it is stored under, and what it is warned of: members that this face
    /// does not have.
    pub(crate) fn stored(
        self,
        object: Value,
        validation: FieldValidation,
    ) -> Result<(Value, Vec<String>), ApiError> {
        let Value::Object(mut members) = object else { return Ok((object, Vec::new())) };
        if self == Self::Stored {
            return Ok((Value::Object(members), Vec::new()));
        }
        prepare::expect_type(&mut members, API_VERSION, Kind::Event.names().kind)?;
        members.insert("apiVersion".into(), Kind::Event.api_version().into());
        let unknown = NAMES.iter().filter(|(stored, _)| members.remove(*stored).is_some());
        let unknown = unknown.map(|(stored, _)| format!("unknown field \"{stored}\"")).collect();
        for (stored, newer) in NAMES {
            if let Some(value) = members.remove(newer) {
                members.insert(stored.into(), value);
            }
        }
        Ok((Value::Object(members), admission::warned(unknown, validation)?))
    }
}

fn newer(object: &Value) -> Value {
    let mut next = Map::new();
    for (name, value) in object.as_object().into_iter().flatten() {
        let nothing = value == &Value::from(0) || value.as_object().is_some_and(Map::is_empty);
        match NAMES.iter().find(|(stored, _)| stored == name) {
            // What only older clients count is not there, for those who do not.
            Some((_, newer)) if newer.starts_with("deprecated") && nothing => {}
            Some((_, newer)) => drop(next.insert((*newer).to_owned(), value.clone())),
            None if name == "apiVersion" => drop(next.insert(name.clone(), API_VERSION.into())),
            None => drop(next.insert(name.clone(), value.clone())),
        }
    }
    Value::Object(next)
}

fn nearest_time(object: &Value) -> Option<Timestamp> {
    let time = |pointer: &str| object.pointer(pointer)?.as_str()?.parse::<Timestamp>().ok();
    ["/lastTimestamp", "/firstTimestamp", "/metadata/creationTimestamp"].into_iter().find_map(time)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stored() -> Value {
        json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "involvedObject": {"kind": "Timer", "name": "t"}, "reason": "Missed", "message": "m", "type": "Normal",
            "count": 3, "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-02T00:00:00Z",
            "source": {"component": "c"}, "reportingComponent": "x/y",
        })
    }

    #[test]
    fn what_is_read_under_one_face_is_written_back_as_it_was() {
        let view = Face::Newer.view(&stored()).into_owned();
        assert_eq!((&view["apiVersion"], &view["regarding"]["kind"]), (&API_VERSION.into(), &"Timer".into()));
        assert_eq!((&view["note"], &view["deprecatedCount"]), (&"m".into(), &3.into()));
        assert!(view.get("message").is_none() && view.get("eventTime").is_none());
        assert_eq!(Face::Newer.stored(view, FieldValidation::Strict).unwrap(), (stored(), Vec::new()));
        let (same, _) = Face::Stored.stored(stored(), FieldValidation::Strict).unwrap();
        assert_eq!(same, stored());
    }

    #[test]
    fn an_event_without_its_time_is_shown_with_the_nearest() {
        let mut event = stored();
        assert_eq!(Face::Newer.shown(&event)["eventTime"], "2026-01-02T00:00:00.000000Z");
        assert!(Face::Stored.shown(&event).get("eventTime").is_none());
        event["eventTime"] = "2026-01-03T00:00:00.000001Z".into();
        assert_eq!(Face::Newer.shown(&event)["eventTime"], event["eventTime"]);
        assert!(Face::Newer.shown(&json!({"metadata": {}})).get("eventTime").is_none());
    }

    #[test]
    fn a_member_of_the_other_face_is_unknown() {
        let body = json!({"message": "old", "note": "new"});
        assert_eq!(Face::Newer.stored(body.clone(), FieldValidation::Strict).unwrap_err().code(), 400);
        let (read, warnings) = Face::Newer.stored(body, FieldValidation::Warn).unwrap();
        assert_eq!(
            (&read["message"], warnings),
            (&"new".into(), vec!["unknown field \"message\"".to_owned()])
        );
        let other = json!({"apiVersion": "v1", "kind": "Event"});
        assert_eq!(Face::Newer.stored(other, FieldValidation::Warn).unwrap_err().code(), 400);
    }

    #[test]
    fn a_face_goes_by_the_path() {
        assert_eq!(Face::of("/apis/events.k8s.io/v1/namespaces/a/events/e"), Face::Newer);
        assert_eq!(Face::of("/api/v1/namespaces/events.k8s.io/events"), Face::Stored);
        assert_eq!(Face::Newer.stored_path("regarding.kind"), "involvedObject.kind");
        assert_eq!(Face::Newer.stored_path("reportingController"), "reportingComponent");
        assert_eq!(Face::Newer.stored_path("involvedObject.kind"), "involvedObject.kind");
        assert_eq!(Face::Stored.stored_path("regarding.kind"), "regarding.kind");
    }
}
