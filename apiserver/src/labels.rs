//! Label selectors of a query, on objects as they are stored. What they mean is `drover_types::selector`'s.

use std::collections::BTreeMap;

use drover_types::selector::LabelSelector as Requirements;
use serde_json::Value;

use crate::error::ApiError;
use crate::prepare;

/// Requirements on labels, all of which must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LabelSelector(Requirements);

impl LabelSelector {
    pub(crate) fn parse(text: &str) -> Result<Self, ApiError> {
        let wrong =
            |error| ApiError::bad_request(format!("unable to parse label selector {text:?}: {error}"));
        Requirements::parse(text).map(Self).map_err(wrong)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.0.is_empty()
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = prepare::metadata(object).get("labels").and_then(Value::as_object);
        let pair = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
        let labels: BTreeMap<_, _> = labels.into_iter().flatten().filter_map(pair).collect();
        self.0.matches(&labels)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_operator_means_what_it_does_in_kubernetes() {
        let object = json!({"metadata": {"labels": {"a": "1", "x.dev/b": "2", "e": ""}}});
        let table = [
            ("", true),
            ("a=1,x.dev/b==2", true),
            ("a!=1", false),
            ("c!=1", true),
            ("a in (0, 1),c notin (1)", true),
            ("a notin (1,2)", false),
            ("a,!c", true),
            ("!a", false),
            ("e=", true),
            ("a>0", true),
        ];
        for (text, expected) in table {
            assert_eq!(LabelSelector::parse(text).unwrap().matches(&object), expected, "{text}");
        }
        for text in ["a b", "=1", "a in 1)", "a within (1)", "a=b c", "/a", "a=-x"] {
            assert_eq!(LabelSelector::parse(text).unwrap_err().code(), 400, "{text}");
        }
    }
}
