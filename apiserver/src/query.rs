//! Query parameters of the Kubernetes verbs. Unknown ones are ignored, as clients rely on.

use std::time::Duration;

use axum::extract::Query;
use http::Uri;

use crate::error::ApiError;
use crate::events::Face;
use crate::ownership::Booking;

/// What a list or watch asks for beside its selectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    Exact,
    NotOlderThan,
}

/// What becomes of a field that the kind does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Strict,
    #[default]
    Warn,
    Ignore,
}

/// What of its object a row of a Table carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Include {
    None,
    #[default]
    Metadata,
    Object,
}

/// All parameters that some verb understands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params {
    pub(crate) label_selector: String,
    pub(crate) field_selector: String,
    pub(crate) limit: Option<usize>,
    pub(crate) continue_token: Option<String>,
    pub(crate) resource_version: Option<u64>,
    pub(crate) resource_version_match: Option<Match>,
    pub(crate) watch: bool,
    pub(crate) bookmarks: bool,
    pub(crate) send_initial_events: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) dry_run: bool,
    pub(crate) field_validation: FieldValidation,
    pub(crate) propagation: Option<String>,
    pub(crate) include: Include,
    pub(crate) booking: Booking,
    /// Under which names objects are read and written.
    pub(crate) face: Face,
}

fn number(name: &str, value: &str) -> Result<u64, ApiError> {
    value.parse().map_err(|_| {
        ApiError::bad_request(format!(
            "query parameter {name}: {value:?} is not a whole number from 0 to 2^64-1"
        ))
    })
}

fn flag(name: &str, value: &str) -> Result<bool, ApiError> {
    match value {
        // A bare `?watch` is true to Kubernetes.
        "" | "1" | "true" | "True" => Ok(true),
        "0" | "false" | "False" => Ok(false),
        _ => {
            Err(ApiError::bad_request(format!("query parameter {name}: {value:?} is neither true nor false")))
        }
    }
}

fn wrong_list(message: &str) -> ApiError {
    ApiError::new(422, "Invalid", format!("ListOptions.meta.k8s.io \"\" is invalid: {message}"))
}

impl Params {
    pub(crate) fn parse(uri: &Uri) -> Result<Self, ApiError> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| ApiError::bad_request(format!("the query cannot be read: {error}")))?;
        let mut params = Self::default();
        for (name, value) in pairs {
            params.set(&name, value)?;
        }
        Ok(params)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), ApiError> {
        let given = !value.is_empty();
        match name {
            "labelSelector" => self.label_selector = value,
            "fieldSelector" => self.field_selector = value,
            "limit" if given => {
                let limit = number(name, &value)?;
                self.limit = (limit > 0).then(|| usize::try_from(limit).unwrap_or(usize::MAX));
            }
            "continue" if given => self.continue_token = Some(value),
            "resourceVersion" if given => self.resource_version = Some(number(name, &value)?),
            "resourceVersionMatch" if given => {
                self.resource_version_match = Some(match value.as_str() {
                    "Exact" => Match::Exact,
                    "NotOlderThan" => Match::NotOlderThan,
                    _ => {
                        return Err(wrong_list(&format!(
                            "resourceVersionMatch: Unsupported value: {value:?}: supported values: \"Exact\", \
                             \"NotOlderThan\""
                        )));
                    }
                });
            }
            "watch" => self.watch = flag(name, &value)?,
            "allowWatchBookmarks" => self.bookmarks = flag(name, &value)?,
            "sendInitialEvents" => self.send_initial_events = flag(name, &value)?,
            "timeoutSeconds" if given => {
                self.timeout = Some(number(name, &value)?).filter(|n| *n > 0).map(Duration::from_secs);
            }
            "dryRun" if given => match value.as_str() {
                "All" => self.dry_run = true,
                _ => return Err(ApiError::bad_request(format!("dryRun: {value:?} is not \"All\""))),
            },
            "fieldValidation" if given => {
                self.field_validation = match value.as_str() {
                    "Strict" => FieldValidation::Strict,
                    "Warn" => FieldValidation::Warn,
                    "Ignore" => FieldValidation::Ignore,
                    _ => {
                        return Err(ApiError::bad_request(format!(
                            "fieldValidation: {value:?} is none of \"Strict\", \"Warn\", \"Ignore\""
                        )));
                    }
                }
            }
            "fieldManager" if given => self.booking.manager = Some(Booking::name(value)?),
            "force" if given => self.booking.force = Some(flag(name, &value)?),
            "includeObject" if given => {
                self.include = match value.as_str() {
                    "None" => Include::None,
                    "Metadata" => Include::Metadata,
                    "Object" => Include::Object,
                    _ => {
                        return Err(ApiError::bad_request(format!(
                            "includeObject: {value:?} is none of \"None\", \"Metadata\", \"Object\""
                        )));
                    }
                }
            }
            "propagationPolicy" if given => self.propagation = Some(value),
            _ => {}
        }
        Ok(())
    }

    /// The combinations that Kubernetes refuses.
    pub(crate) fn check_list(&self) -> Result<(), ApiError> {
        if self.watch {
            if self.send_initial_events && self.resource_version_match != Some(Match::NotOlderThan) {
                return Err(wrong_list(
                    "resourceVersionMatch: Forbidden: sendInitialEvents requires resourceVersionMatch=NotOlderThan",
                ));
            }
            return Ok(());
        }
        if self.send_initial_events {
            return Err(wrong_list("sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"));
        }
        match (self.resource_version_match, self.resource_version) {
            (Some(_), _) if self.continue_token.is_some() => Err(wrong_list(
                "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden with continue",
            )),
            (Some(_), None) => Err(wrong_list(
                "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
            )),
            (Some(Match::Exact), Some(0)) => Err(wrong_list(
                "resourceVersionMatch: Forbidden: resourceVersionMatch \"Exact\" is forbidden for resourceVersion \
                 \"0\"",
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<Params, ApiError> {
        Params::parse(&format!("/x?{query}").parse().unwrap())
    }

    #[test]
    fn what_clients_send_is_understood() {
        let params = parse("&limit=500&timeout=32s&pretty&fieldSelector=metadata.name%3Da").unwrap();
        assert_eq!((params.limit, params.field_selector.as_str()), (Some(500), "metadata.name=a"));
        assert!(parse("watch=1").unwrap().watch && parse("watch=true").unwrap().watch);
        assert_eq!(parse("resourceVersion=").unwrap().resource_version, None);
        assert_eq!(parse("limit=x").unwrap_err().code(), 400);
        assert_eq!(parse("dryRun=Some").unwrap_err().code(), 400);
    }

    #[test]
    fn a_match_without_a_version_is_refused() {
        assert_eq!(parse("resourceVersionMatch=Exact").unwrap().check_list().unwrap_err().code(), 422);
        let both = "resourceVersionMatch=Exact&resourceVersion=7";
        assert!(parse(both).unwrap().check_list().is_ok());
        assert_eq!(parse("watch=1&sendInitialEvents=1").unwrap().check_list().unwrap_err().code(), 422);
    }
}
