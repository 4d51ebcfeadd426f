//! What `wait --for` can wait for, and whether an object is there yet.

use std::str::FromStr;

use serde_json::Value;

use crate::jsonpath::{Path, Template};
use drover_columns::fields::{condition, number, text};

/// What is waited for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Until {
    /// The object is gone.
    Deleted,
    /// The object is there.
    Created,
    /// A condition has this status.
    Condition {
        /// Its type; upper and lower case are the same.
        type_: String,
        /// `True` where none is given.
        status: String,
    },
    /// A path leads to this value, or anywhere if none is given.
    Value {
        /// The path.
        path: Path,
        /// As text.
        wanted: Option<String>,
    },
}

impl FromStr for Until {
    type Err = String;

    fn from_str(said: &str) -> Result<Self, String> {
        match said.split_once('=') {
            None if said == "delete" => Ok(Self::Deleted),
            None if said == "create" => Ok(Self::Created),
            Some(("condition", rest)) => {
                let (type_, status) = rest.split_once('=').unwrap_or((rest, "True"));
                if type_.is_empty() || status.is_empty() {
                    return Err("write condition=TYPE or condition=TYPE=STATUS".into());
                }
                Ok(Self::Condition { type_: type_.to_owned(), status: status.to_owned() })
            }
            Some(("jsonpath", rest)) => value(rest),
            _ => Err("one of delete, create, condition=TYPE[=STATUS], jsonpath='{PATH}'[=VALUE] is expected"
                .into()),
        }
    }
}

fn value(rest: &str) -> Result<Until, String> {
    // The path may hold a filter with `==`; what follows its brace is the value.
    let (path, wanted) = match rest.rfind('}') {
        Some(close) if rest.starts_with('{') => (&rest[..=close], rest[close + 1..].strip_prefix('=')),
        _ => rest.split_once('=').map_or((rest, None), |(path, wanted)| (path, Some(wanted))),
    };
    let path = Template::parse(path)?.only_path().ok_or_else(|| format!("{path:?} is not one path"))?;
    Ok(Until::Value { path, wanted: wanted.map(|wanted| wanted.trim_matches(['"', '\'']).to_owned()) })
}

impl Until {
    /// Whether it holds of an object, or of none.
    pub(crate) fn holds(&self, object: Option<&Value>) -> bool {
        match (self, object) {
            (Self::Deleted, object) => object.is_none(),
            (_, None) => false,
            (Self::Created, Some(_)) => true,
            (Self::Condition { type_, status }, Some(object)) => {
                condition(object, type_).is_some_and(|held| {
                    text(held, "/status").eq_ignore_ascii_case(status) && is_current(object, held)
                })
            }
            (Self::Value { path, wanted }, Some(object)) => match wanted {
                None => !path.find(object).is_empty(),
                Some(wanted) => path.text(object).as_ref() == Some(wanted),
            },
        }
    }

    /// What is said once it holds.
    pub(crate) fn done(&self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Created | Self::Condition { .. } | Self::Value { .. } => "condition met",
        }
    }

    /// What there is instead, for whoever waited in vain.
    pub(crate) fn instead(&self, object: Option<&Value>) -> String {
        let Some(object) = object else { return "it does not exist".to_owned() };
        match self {
            Self::Created => "it exists".to_owned(),
            Self::Deleted => match text(object, "/metadata/deletionTimestamp") {
                "" => "it exists, and nobody has deleted it".to_owned(),
                since => {
                    let held: Vec<&str> = drover_columns::fields::list(object, "/metadata/finalizers")
                        .iter()
                        .filter_map(Value::as_str)
                        .collect();
                    let by = if held.is_empty() {
                        String::new()
                    } else {
                        format!(", held by {}", held.join(", "))
                    };
                    format!("it is being deleted since {since}{by}")
                }
            },
            Self::Condition { type_, .. } => condition(object, type_).map_or_else(
                || format!("it has no condition {type_}"),
                |held| {
                    let stale = if is_current(object, held) { "" } else { ", of an older generation" };
                    format!("{}={}{}{stale}", text(held, "/type"), text(held, "/status"), because(held))
                },
            ),
            Self::Value { path, .. } => path
                .text(object)
                .map_or_else(|| "the path leads nowhere".to_owned(), |held| format!("it is {held:?}")),
        }
    }
}

/// Whether a condition was said of the spec as it is now.
fn is_current(object: &Value, condition: &Value) -> bool {
    match (number(condition, "/observedGeneration"), number(object, "/metadata/generation")) {
        (Some(observed), Some(now)) => observed >= now,
        _ => true,
    }
}

/// ` (Reason: message)`, of a condition.
pub(crate) fn because(condition: &Value) -> String {
    match (text(condition, "/reason"), text(condition, "/message")) {
        ("", "") => String::new(),
        (reason, "") => format!(" ({reason})"),
        (reason, message) => format!(" ({reason}: {message})"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn until(text: &str) -> Until {
        text.parse().unwrap()
    }

    #[test]
    fn a_condition_counts_only_when_it_is_of_the_spec_as_it_is_now() {
        let mut object = json!({"metadata": {"generation": 2}, "status": {"conditions": [
            {"type": "Ready", "status": "True", "observedGeneration": 1, "reason": "Armed", "message": "all"},
        ]}});
        let ready = until("condition=ready");
        assert!(!ready.holds(Some(&object)));
        assert_eq!(ready.instead(Some(&object)), "Ready=True (Armed: all), of an older generation");
        object["status"]["conditions"][0]["observedGeneration"] = 2.into();
        assert!(ready.holds(Some(&object)));
        assert!(!until("condition=Ready=False").holds(Some(&object)));
        assert!(!ready.holds(None));
        assert_eq!(ready.instead(Some(&json!({}))), "it has no condition ready");
    }

    #[test]
    fn a_value_is_compared_as_text() {
        let object = json!({"status": {"ready": 2, "list": [{"name": "a", "up": true}]}});
        for (text, want) in [
            ("jsonpath={.status.ready}=2", true),
            ("jsonpath={.status.ready}=3", false),
            ("jsonpath=.status.ready=2", true),
            ("jsonpath={.status.ready}", true),
            ("jsonpath={.status.missing}", false),
            ("jsonpath={.status.list[?(@.name==\"a\")].up}=true", true),
        ] {
            assert_eq!(until(text).holds(Some(&object)), want, "{text}");
        }
        assert_eq!(until("jsonpath={.status.ready}=3").instead(Some(&object)), "it is \"2\"");
    }

    #[test]
    fn there_and_gone() {
        let object = json!({"metadata": {
            "deletionTimestamp": "2026-08-01T12:00:00Z", "finalizers": ["drover.dev/node"],
        }});
        assert!(until("delete").holds(None) && !until("delete").holds(Some(&object)));
        assert!(until("create").holds(Some(&object)) && !until("create").holds(None));
        assert_eq!(
            until("delete").instead(Some(&object)),
            "it is being deleted since 2026-08-01T12:00:00Z, held by drover.dev/node"
        );
        for bad in ["", "ready", "condition=", "condition=A=", "jsonpath={.a}{.b}", "jsonpath={range}"] {
            assert!(bad.parse::<Until>().is_err(), "{bad}");
        }
    }
}
