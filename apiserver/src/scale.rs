//! `/scale`: how many of something there are to be, as `autoscaling/v1` Scale, whatever kind it is of.
//!
//! A Scale is not stored: it is read from its object and written into it, under the object's own version. Who sets the
//! count by it owns that field of the object, as `subresource: scale`. Absent: who owns the count is told by the object
//! and not on the Scale; a selector where the kind keeps none.

use axum::body::Body;
use axum::response::Response;
use drover_columns::{ages, fields};
use drover_types::{FieldError, Kind};
use http::request::Parts;
use http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::admission;
use crate::answer::object_answer;
use crate::apply;
use crate::body::read_body;
use crate::change::Next;
use crate::content::{APPLY, decode_body, decode_json_or_yaml, media_type};
use crate::error::ApiError;
use crate::json::Decoded;
use crate::negotiate::{self, Form};
use crate::objects::{Place, Stored, Written};
use crate::patch::Patch;
use crate::prepare::{self, Part};
use crate::query::{Include, Params};
use crate::server::Server;
use crate::wanted::Wanted;

/// Group, version and kind of a Scale.
pub(crate) const SCALE: (&str, &str, &str) = ("autoscaling", "v1", "Scale");
const API_VERSION: &str = "autoscaling/v1";
/// What a Scale is written as.
pub(crate) const BODIES: [&str; 2] = ["application/json", "application/yaml"];
/// What a change of one is written as.
pub(crate) const PATCHES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    APPLY,
    "application/strategic-merge-patch+json",
];

/// Where the objects of a kind keep what a Scale shows: paths as `.spec.replicas`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts<'a> {
    /// How many there are to be.
    pub(crate) wanted: &'a str,
    /// How many there are.
    pub(crate) observed: &'a str,
    /// What selects them, as text.
    pub(crate) selector: Option<&'a str>,
}

/// Of a kind, if it can be scaled. A Service counts replicas per chosen node, and what runs over all of them.
pub(crate) fn of(kind: Kind) -> Option<Counts<'static>> {
    let service = Counts { wanted: ".spec.replicas", observed: ".status.ready", selector: None };
    (kind == Kind::Service).then_some(service)
}

fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('.').filter(|name| !name.is_empty())
}

fn read<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    names(path).try_fold(object, |at, name| at.get(name))
}

/// Puts a value where a path says. What stands in its way and is no object is replaced.
fn put(object: &mut Value, path: &str, value: Value) {
    let mut at = object;
    for name in names(path) {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        at = &mut at[name];
    }
    *at = value;
}

impl Counts<'_> {
    /// The Scale of an object.
    fn view(&self, object: &Value) -> Value {
        let count = |path: &str| read(object, path).and_then(Value::as_i64).unwrap_or(0);
        let mut status = json!({"replicas": count(self.observed)});
        if let Some(selector) = self.selector.and_then(|path| read(object, path)?.as_str()) {
            status["selector"] = selector.into();
        }
        let mut metadata = Map::new();
        for member in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
            if let Some(value) = prepare::metadata(object).get(member) {
                metadata.insert(member.into(), value.clone());
            }
        }
        json!({
            "kind": "Scale", "apiVersion": API_VERSION, "metadata": metadata,
            "spec": {"replicas": count(self.wanted)}, "status": status,
        })
    }

    /// The object with another count.
    fn scaled(&self, object: &Value, replicas: i64) -> Value {
        let mut next = object.clone();
        put(&mut next, self.wanted, replicas.into());
        next
    }
}

/// A Scale in a body: how many, if it says so, and the members that nobody knows.
fn count(at: Place<'_>, scale: &mut Value) -> Result<(Option<i64>, Vec<String>), ApiError> {
    let Some(members) = scale.as_object_mut() else {
        return Err(ApiError::bad_request("the body is not a JSON object"));
    };
    prepare::expect_type(members, API_VERSION, "Scale")?;
    for (member, expected) in [("name", Some(at.name)), ("namespace", at.namespace)] {
        let given = members.get("metadata").and_then(|metadata| metadata.get(member));
        let given = given.filter(|given| !given.is_null() && *given != "");
        if given.is_some_and(|given| Some(given) != expected.map(Value::from).as_ref()) {
            let expected = expected.unwrap_or_default();
            return Err(ApiError::bad_request(format!(
                "the {member} of the object does not match the {member} on the URL ({expected})"
            )));
        }
    }
    let known =
        |name: &String| matches!(name.as_str(), "apiVersion" | "kind" | "metadata" | "spec" | "status");
    let mut unknown: Vec<String> = members.keys().filter(|name| !known(name)).cloned().collect();
    let spec = match members.get("spec") {
        None | Some(Value::Null) => return Ok((None, unknown)),
        Some(Value::Object(spec)) => spec,
        Some(_) => return Err(ApiError::bad_request("spec: is not an object")),
    };
    unknown.extend(spec.keys().filter(|name| *name != "replicas").map(|name| format!("spec.{name}")));
    let replicas = match spec.get("replicas") {
        None | Some(Value::Null) => return Ok((None, unknown)),
        Some(value) => value.as_i64().filter(|count| i32::try_from(*count).is_ok()),
    };
    match replicas {
        None => Err(ApiError::bad_request("spec.replicas: is not an integer of 32 bits")),
        Some(count) if count < 0 => {
            let error =
                FieldError::invalid("spec.replicas".into(), count, "must be greater than or equal to 0");
            Err(ApiError::invalid_as(SCALE, at.name, &[error]))
        }
        Some(count) => Ok((Some(count), unknown)),
    }
}

/// The same, with what its client is warned of.
fn asked(at: Place<'_>, scale: &mut Value, params: &Params) -> Result<(Option<i64>, Vec<String>), ApiError> {
    let (replicas, unknown) = count(at, scale)?;
    let unknown = unknown.iter().map(|path| format!("unknown field \"{path}\"")).collect();
    Ok((replicas, admission::warned(unknown, params.field_validation)?))
}

/// Answers a request for the Scale of an object.
pub(crate) async fn answer(
    server: &Server,
    (parts, body): (&Parts, Body),
    (at, counts): (Place<'_>, Counts<'_>),
    params: &Params,
    form: Form,
) -> Result<Response, ApiError> {
    let objects = server.objects();
    let now = objects.world.clock.now();
    let (written, told) = match parts.method {
        Method::GET => {
            let view = counts.view(&objects.get(at)?.object);
            return Ok(object_answer(StatusCode::OK, &shown(view, form, params.include, now), &[]));
        }
        Method::PUT => {
            if !matches!(media_type(&parts.headers), "" | "application/json" | "application/yaml") {
                return Err(ApiError::unsupported_media_type(&BODIES.join(", ")));
            }
            params.booking.refuse_force()?;
            let bytes = read_body(&parts.headers, body).await?;
            let Decoded { mut value, duplicates } = decode_body(&parts.headers, &bytes)?;
            let (replicas, told) = asked(at, &mut value, params)?;
            let wanted = Wanted::of(at, Part::Scale, &value)?;
            let next = |old: &Stored| {
                // Who wants none leaves the count out: it is the zero value of Go.
                let body = counts.scaled(&old.object, replicas.unwrap_or(0));
                Ok(Next { body, duplicates: duplicates.clone(), settled: false })
            };
            (objects.update(at, &wanted, params, next).await?, told)
        }
        Method::PATCH => {
            let type_ = media_type(&parts.headers).to_owned();
            let patch = Patch::of(&type_);
            if patch.is_none() && type_ != APPLY {
                return Err(ApiError::unsupported_media_type(&PATCHES.join(", ")));
            }
            let bytes = read_body(&parts.headers, body).await?;
            match patch {
                Some(patch) => {
                    let body = crate::json::decode(&bytes)?;
                    patched(server, (at, counts), (patch, &body), params).await?
                }
                None => applied(server, (at, counts), decode_json_or_yaml(&bytes)?, params).await?,
            }
        }
        _ => return Err(ApiError::method_not_allowed(&parts.method)),
    };
    let Written { object, mut warnings, .. } = written;
    warnings.extend(told);
    let view = shown(counts.view(&object), form, params.include, now);
    Ok(object_answer(StatusCode::OK, &view, &warnings))
}

async fn patched(
    server: &Server,
    (at, counts): (Place<'_>, Counts<'_>),
    (patch, body): (Patch, &Decoded),
    params: &Params,
) -> Result<(Written, Vec<String>), ApiError> {
    params.booking.refuse_force()?;
    let objects = server.objects();
    let change = |old: &Value| {
        let mut next = patch.apply(at, &counts.view(old), &body.value)?;
        let (replicas, told) = asked(at, &mut next, params)?;
        Ok::<_, ApiError>((next, replicas.unwrap_or(0), told))
    };
    let told = change(&objects.get(at)?.object)?.2;
    let any = Wanted { part: Part::Scale, uid: None, revision: None };
    let next = |old: &Stored| {
        let (next, replicas, _) = change(&old.object)?;
        Wanted::of(at, Part::Scale, &next)?.check(at, old)?;
        let scaled = counts.scaled(&old.object, replicas);
        Ok(Next { body: scaled, duplicates: body.duplicates.clone(), settled: false })
    };
    Ok((objects.update(at, &any, params, next).await?, told))
}

/// Server-side apply: of the object, with nothing but the count.
async fn applied(
    server: &Server,
    (at, counts): (Place<'_>, Counts<'_>),
    body: Decoded,
    params: &Params,
) -> Result<(Written, Vec<String>), ApiError> {
    let objects = server.objects();
    let Decoded { value: mut scale, duplicates } = body;
    let (replicas, told) = asked(at, &mut scale, params)?;
    let Some(replicas) = replicas else {
        let error = FieldError::required("spec.replicas".into(), "");
        return Err(ApiError::invalid_as(SCALE, at.name, &[error]));
    };
    let mut config = json!({
        "apiVersion": at.kind.api_version(), "kind": at.kind.names().kind, "metadata": {"name": at.name},
    });
    if let Some(given) = scale.pointer("/metadata/managedFields") {
        config["metadata"]["managedFields"] = given.clone();
    }
    let wanted = Wanted::of(at, Part::Scale, &scale)?;
    let config = Decoded { value: counts.scaled(&config, replicas), duplicates };
    let next = |old: &Stored| {
        let now = objects.world.clock.now();
        apply::applied((at, Part::Scale), Some(&old.object), &config, &params.booking, now)
    };
    Ok((objects.update(at, &wanted, params, next).await?, told))
}

/// In the form that a client asked for. The columns are those of Kubernetes.
fn shown(view: Value, form: Form, include: Include, now: Timestamp) -> Value {
    let version = match form {
        Form::Object => return view,
        Form::Metadata(version) => return negotiate::metadata_of(version, &view),
        Form::Table(version) => version,
    };
    let text = |path: &str| view.pointer(path).map(ToString::to_string).unwrap_or_default();
    let age = ages::since(fields::time(&view, "/metadata/creationTimestamp"), now);
    let name = prepare::text(&view, "name");
    let cells = json!([name, text("/spec/replicas"), text("/status/replicas"), age]);
    let columns = [("Name", "name"), ("Desired", ""), ("Available", ""), ("Age", "")].map(|(name, format)| {
        json!({"name": name, "type": "string", "format": format, "description": "", "priority": 0})
    });
    let mut row = json!({"cells": cells});
    match include {
        Include::None => {}
        Include::Metadata => row["object"] = negotiate::metadata_of(version, &view),
        Include::Object => row["object"] = view.clone(),
    }
    let revision = prepare::text(&view, "resourceVersion");
    json!({
        "kind": "Table", "apiVersion": version, "metadata": {"resourceVersion": revision},
        "columnDefinitions": columns, "rows": [row],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Place<'_> = Place { kind: Kind::Service, namespace: Some("a"), name: "web" };

    #[test]
    fn a_count_is_where_the_paths_say() {
        let counts =
            Counts { wanted: ".spec.pool.size", observed: ".status.now", selector: Some(".status.by") };
        let object = json!({
            "metadata": {"name": "web", "uid": "u", "labels": {"a": "b"}}, "status": {"now": 2, "by": "a=b"},
            "spec": "in the way",
        });
        let view = counts.view(&object);
        assert_eq!(
            (&view["spec"]["replicas"], &view["status"]),
            (&0.into(), &json!({"replicas": 2, "selector": "a=b"}))
        );
        assert_eq!(view["metadata"], json!({"name": "web", "uid": "u"}));
        assert_eq!(counts.scaled(&object, 3)["spec"], json!({"pool": {"size": 3}}));
    }

    #[test]
    fn what_is_no_scale_of_this_object_is_refused() {
        let read = |mut value: Value| count(AT, &mut value).map_err(|error| error.code());
        assert_eq!(read(json!({"spec": {"replicas": 3}})), Ok((Some(3), Vec::new())));
        assert_eq!(read(json!({"metadata": {"name": "", "namespace": "a"}})), Ok((None, Vec::new())));
        assert_eq!(
            read(json!({"spec": {"size": 3}, "x": 1})),
            Ok((None, vec!["x".into(), "spec.size".into()]))
        );
        for (value, code) in [
            (json!([]), 400),
            (json!({"kind": "Service"}), 400),
            (json!({"apiVersion": "drover.dev/v1"}), 400),
            (json!({"metadata": {"name": "other"}}), 400),
            (json!({"metadata": {"namespace": 7}}), 400),
            (json!({"spec": 3}), 400),
            (json!({"spec": {"replicas": "3"}}), 400),
            (json!({"spec": {"replicas": 3.5}}), 400),
            (json!({"spec": {"replicas": 4_294_967_296_i64}}), 400),
            (json!({"spec": {"replicas": -1}}), 422),
        ] {
            assert_eq!(read(value.clone()), Err(code), "{value}");
        }
    }
}
