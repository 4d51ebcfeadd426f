//! What form of an answer a client asks for, from its Accept header.

use drover_types::Kind;
use http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::error::ApiError;

/// The forms in which an object, a list or a watch is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// JSON as it is.
    Object,
    /// `PartialObjectMetadata` of `meta.k8s.io`, in this version.
    Metadata(&'static str),
    /// `Table` of `meta.k8s.io`, in this version.
    Table(&'static str),
}

/// A form that is asked for by `as`, `g` and `v`, as in `application/json;as=Table;g=meta.k8s.io;v=v1`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Range<'a> {
    media: &'a str,
    pub(crate) as_kind: &'a str,
    pub(crate) group: &'a str,
    pub(crate) version: &'a str,
    /// Thousandths.
    quality: u16,
}

/// What a client takes, in the order in which it prefers them.
pub(crate) fn ranges(headers: &HeaderMap) -> Vec<Range<'_>> {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut ranges: Vec<_> = values.flat_map(|value| value.split(',')).map(Range::parse).collect();
    // Stable: among equals, the order in which they stand.
    ranges.sort_by_key(|range| std::cmp::Reverse(range.quality));
    ranges.retain(|range| range.quality > 0);
    ranges
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let mut range = Self { media: parts.next().unwrap_or_default(), quality: 1000, ..Self::default() };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name {
                "as" => range.as_kind = value,
                "g" => range.group = value,
                "v" => range.version = value,
                "q" => {
                    let quality = value.parse::<f32>().unwrap_or(1.0).clamp(0.0, 1.0);
                    range.quality = (quality * 1000.0) as u16;
                }
                // Others, such as `charset` and `stream`, change nothing.
                _ => {}
            }
        }
        range
    }

    pub(crate) fn media(&self) -> &'a str {
        self.media
    }

    pub(crate) fn is_json(&self) -> bool {
        matches!(self.media, "" | "*/*" | "application/*" | "application/json")
    }

    fn form(&self) -> Option<Form> {
        let version = match self.version {
            "v1" => "meta.k8s.io/v1",
            "v1beta1" => "meta.k8s.io/v1beta1",
            _ => "",
        };
        match (self.as_kind, self.group) {
            ("", _) => Some(Form::Object),
            (_, group) if group != "meta.k8s.io" || version.is_empty() => None,
            ("Table", _) => Some(Form::Table(version)),
            ("PartialObjectMetadata" | "PartialObjectMetadataList", _) => Some(Form::Metadata(version)),
            _ => None,
        }
    }
}

/// The form that a client likes best of those there are. Without an Accept header, JSON.
pub(crate) fn form(headers: &HeaderMap) -> Result<Form, ApiError> {
    if !headers.contains_key(header::ACCEPT) {
        return Ok(Form::Object);
    }
    let ranges = ranges(headers);
    let found = ranges.iter().filter(|range| range.is_json()).find_map(Range::form);
    found.ok_or_else(ApiError::not_acceptable)
}

/// The metadata of an object, alone. `served` is JSON of the server's own.
pub(crate) fn metadata_alone(version: &str, served: &[u8]) -> Vec<u8> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow)]
        metadata: Option<&'a RawValue>,
    }
    let metadata = serde_json::from_slice::<Head<'_>>(served).ok().and_then(|head| head.metadata);
    let metadata = metadata.map_or("{}", RawValue::get);
    format!("{{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"{version}\",\"metadata\":{metadata}}}")
        .into()
}

/// As [`metadata_alone`], of an object that is decoded.
pub(crate) fn metadata_of(version: &str, object: &Value) -> Value {
    let metadata = object.get("metadata").cloned().unwrap_or_else(|| json!({}));
    json!({"kind": "PartialObjectMetadata", "apiVersion": version, "metadata": metadata})
}

/// How a list of this kind is called in a form.
pub(crate) fn list_head(form: Form, kind: Kind, api_version: &'static str) -> (String, &'static str) {
    match form {
        Form::Object => (format!("{}List", kind.names().kind), api_version),
        Form::Metadata(version) => ("PartialObjectMetadataList".to_owned(), version),
        Form::Table(version) => ("Table".to_owned(), version),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn asked(accept: &str) -> Result<Form, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_str(accept).unwrap());
        form(&headers).map_err(|error| error.code())
    }

    #[test]
    fn the_first_form_there_is_wins() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,\
            application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(asked(kubectl), Ok(Form::Table("meta.k8s.io/v1")));
        assert_eq!(asked("application/json;as=Table;v=v7;g=meta.k8s.io, application/json"), Ok(Form::Object));
        assert_eq!(asked("application/vnd.kubernetes.protobuf, application/json"), Ok(Form::Object));
        assert_eq!(asked("application/vnd.kubernetes.protobuf, */*"), Ok(Form::Object));
        let metadata = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        assert_eq!(asked(metadata), Ok(Form::Metadata("meta.k8s.io/v1")));
        assert_eq!(asked("application/json;stream=watch;charset=utf-8"), Ok(Form::Object));
        let weighed = "application/json;q=0.5, application/json;as=Table;v=v1;g=meta.k8s.io;q=0.9";
        assert_eq!(asked(weighed), Ok(Form::Table("meta.k8s.io/v1")));
        for refused in ["text/html", "application/json;as=Table;v=v7;g=meta.k8s.io", "application/json;q=0"] {
            assert_eq!(asked(refused), Err(406), "{refused}");
        }
        assert_eq!(form(&HeaderMap::new()).unwrap(), Form::Object);
    }

    #[test]
    fn metadata_alone_keeps_every_member_of_it() {
        let object =
            json!({"kind": "K", "metadata": {"name": "a", "labels": {"x": "y"}}, "spec": {"metadata": 1}});
        let alone: Value =
            serde_json::from_slice(&metadata_alone("meta.k8s.io/v1", object.to_string().as_bytes())).unwrap();
        assert_eq!(alone, metadata_of("meta.k8s.io/v1", &object));
        assert_eq!(alone["metadata"], object["metadata"]);
        assert!(alone.get("spec").is_none());
    }
}
