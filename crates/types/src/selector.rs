//! Selectors: labels and fields from a query string, and which nodes a placement means.

use std::collections::BTreeMap;

use crate::kinds::placement::{Operator, Placement, Requirement};
use crate::validate::names;

/// Why a text is not a selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part:?} is not part of a selector: {why}")]
pub struct SelectorError {
    part: String,
    why: &'static str,
}

type Labels = BTreeMap<String, String>;

impl Requirement {
    /// Whether labels meet it.
    pub fn matches(&self, labels: &Labels) -> bool {
        let held = labels.get(&self.key);
        let compared = |above: bool| match (held.and_then(|v| v.parse::<i64>().ok()), self.values.as_slice())
        {
            (Some(held), [bound]) => {
                bound.parse::<i64>().is_ok_and(|bound| if above { held > bound } else { held < bound })
            }
            _ => false,
        };
        match self.operator {
            Operator::In => held.is_some_and(|v| self.values.contains(v)),
            Operator::NotIn => held.is_none_or(|v| !self.values.contains(v)),
            Operator::Exists => held.is_some(),
            Operator::DoesNotExist => held.is_none(),
            Operator::Gt => compared(true),
            Operator::Lt => compared(false),
        }
    }
}

impl Placement {
    /// Whether a node of these labels is meant, by labels alone: `nodeName`, taints and `count` are not looked at.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.node_selector.iter().all(|(k, v)| labels.get(k) == Some(v))
            && self.match_expressions.iter().all(|r| r.matches(labels))
    }
}

/// A label selector: all requirements hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector(pub Vec<Requirement>);

impl LabelSelector {
    /// Reads `a=b,c!=d,e in (x,y),f notin (z),g,!h`. An empty text selects everything.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        split(text).into_iter().map(requirement).collect::<Result<_, _>>().map(Self)
    }

    /// Whether labels meet all of it.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|r| r.matches(labels))
    }
}

/// At commas outside brackets.
fn split(text: &str) -> Vec<&str> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    let mut depth = 0_usize;
    text.split(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
    .map(str::trim)
    .collect()
}

fn requirement(part: &str) -> Result<Requirement, SelectorError> {
    let fail = |why| SelectorError { part: part.to_owned(), why };
    let (key, operator, values) = if let Some(key) = part.strip_prefix('!') {
        (key, Operator::DoesNotExist, Vec::new())
    } else if let Some((head, list)) = part.split_once('(') {
        let list = list.strip_suffix(')').ok_or_else(|| fail("the bracket is not closed"))?;
        let values = list.split(',').map(|v| v.trim().to_owned()).collect();
        let mut words = head.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some(key), Some("in"), None) => (key, Operator::In, values),
            (Some(key), Some("notin"), None) => (key, Operator::NotIn, values),
            _ => return Err(fail("write key in (a,b) or key notin (a,b)")),
        }
    } else if let Some((key, value)) = part.split_once("!=") {
        (key, Operator::NotIn, vec![value.trim().to_owned()])
    } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        (key, Operator::In, vec![value.trim().to_owned()])
    } else if let Some((key, value)) = part.split_once('>') {
        (key, Operator::Gt, vec![value.trim().to_owned()])
    } else if let Some((key, value)) = part.split_once('<') {
        (key, Operator::Lt, vec![value.trim().to_owned()])
    } else {
        (part, Operator::Exists, Vec::new())
    };
    let key = key.trim();
    if !names::is_label_key(key) {
        return Err(fail("the key is not a label key"));
    }
    if !values.iter().all(|v| names::is_label_value(v)) {
        return Err(fail("the value is not a label value"));
    }
    if matches!(operator, Operator::Gt | Operator::Lt) && values.iter().any(|v| v.parse::<i64>().is_err()) {
        return Err(fail("the bound is not an integer"));
    }
    Ok(Requirement { key: key.to_owned(), operator, values })
}

/// One comparison of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldTerm {
    /// Path, as `metadata.name` or `spec.nodeName`.
    pub path: String,
    /// Whether it must be equal, or must differ.
    pub equal: bool,
    /// What it is compared with.
    pub value: String,
}

/// Reads `metadata.name=a,status.phase!=Running`. Which paths a kind has is for the server to say.
pub fn parse_fields(text: &str) -> Result<Vec<FieldTerm>, SelectorError> {
    // As in Kubernetes, where nothing stands between two commas nothing is meant.
    text.split(',')
        .filter(|part| !part.trim().is_empty())
        .map(|part| {
            let (path, equal, value) = if let Some((path, value)) = part.split_once("!=") {
                (path, false, value)
            } else if let Some((path, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
                (path, true, value)
            } else {
                return Err(SelectorError { part: part.to_owned(), why: "write path=value or path!=value" });
            };
            let path = path.trim();
            if path.is_empty() {
                return Err(SelectorError { part: part.to_owned(), why: "the path is empty" });
            }
            Ok(FieldTerm { path: path.to_owned(), equal, value: value.trim().to_owned() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_selector_means_what_kubectl_means_by_it() {
        let labels: Labels = [("a", "b"), ("n", "5")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        for (text, want) in [
            ("", true),
            ("a=b", true),
            ("a==b", true),
            ("a!=b", false),
            ("x!=b", true),
            ("a in (c, b)", true),
            ("a notin (b)", false),
            ("!x", true),
            ("!a", false),
            ("a,n", true),
            ("n>4,n<6", true),
            ("x>1", false),
        ] {
            assert_eq!(LabelSelector::parse(text).unwrap().matches(&labels), want, "{text}");
        }
        for bad in ["a in (b", "a=b,", "=b", "a in b", "a=b c", "n>x"] {
            assert!(LabelSelector::parse(bad).is_err(), "{bad}");
        }
        assert!(parse_fields("metadata.name").is_err());
        assert_eq!(
            parse_fields("a!=b,c=d").unwrap().iter().map(|t| t.equal).collect::<Vec<_>>(),
            [false, true]
        );
    }

    proptest! {
        #[test]
        fn no_selector_panics(text in "[a=!(), <>in-]{0,20}") {
            let _ = LabelSelector::parse(&text);
            let _ = parse_fields(&text);
        }
    }
}
