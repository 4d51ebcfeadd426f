//! Label selectors as they stand in a query: `a=b,c!=d,e in (f,g),h notin (i),j,!k`.

use serde_json::Value;

use crate::error::ApiError;
use crate::prepare;

/// Requirements on labels, all of which must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LabelSelector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

fn wrong(text: &str, why: &str) -> ApiError {
    ApiError::bad_request(format!("unable to parse label selector {text:?}: {why}"))
}

fn is_name(text: &str) -> bool {
    text.len() <= 63
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && text.bytes().next().is_none_or(|b| b.is_ascii_alphanumeric())
        && text.bytes().last().is_none_or(|b| b.is_ascii_alphanumeric())
}

fn key(text: &str, key: &str) -> Result<String, ApiError> {
    let (prefix, name) = key.rsplit_once('/').unwrap_or(("x", key));
    let domain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'.');
    if name.is_empty()
        || !is_name(name)
        || prefix.is_empty()
        || prefix.len() > 253
        || !prefix.bytes().all(domain)
    {
        return Err(wrong(text, &format!("{key:?} is not a label key")));
    }
    Ok(key.to_owned())
}

fn value(text: &str, value: &str) -> Result<String, ApiError> {
    if is_name(value) {
        Ok(value.to_owned())
    } else {
        Err(wrong(text, &format!("{value:?} is not a label value")))
    }
}

/// Splits at commas that are not within parentheses.
fn parts(text: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    text.split(|c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth <= 0
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
    .collect()
}

impl LabelSelector {
    pub(crate) fn parse(text: &str) -> Result<Self, ApiError> {
        parts(text).into_iter().map(|part| Requirement::parse(text, part)).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = prepare::metadata(object).get("labels");
        self.0.iter().all(|requirement| {
            let held = labels.and_then(|labels| labels.get(&requirement.key)).and_then(Value::as_str);
            match &requirement.test {
                Test::In(values) => held.is_some_and(|held| values.iter().any(|v| v == held)),
                Test::NotIn(values) => held.is_none_or(|held| values.iter().all(|v| v != held)),
                Test::Exists => held.is_some(),
                Test::Absent => held.is_none(),
            }
        })
    }
}

impl Requirement {
    fn parse(text: &str, part: &str) -> Result<Self, ApiError> {
        if let Some(list) = part.strip_suffix(')') {
            let (head, list) = list.split_once('(').ok_or_else(|| wrong(text, "found ')' without '('"))?;
            let mut words = head.split_whitespace();
            let (Some(name), Some(operator), None) = (words.next(), words.next(), words.next()) else {
                return Err(wrong(text, &format!("{part:?} is not of the form: key in (a,b)")));
            };
            let values = list.split(',').map(|v| value(text, v.trim())).collect::<Result<_, _>>()?;
            let test = match operator {
                "in" => Test::In(values),
                "notin" => Test::NotIn(values),
                _ => return Err(wrong(text, &format!("{operator:?} is neither in nor notin"))),
            };
            return Ok(Self { key: key(text, name)?, test });
        }
        let test = |name: &str, test| Ok(Self { key: key(text, name.trim())?, test });
        if let Some(name) = part.strip_prefix('!') {
            return test(name, Test::Absent);
        }
        if let Some((name, other)) = part.split_once("!=") {
            return test(name, Test::NotIn(vec![value(text, other.trim())?]));
        }
        match part.split_once("==").or_else(|| part.split_once('=')) {
            Some((name, other)) => test(name, Test::In(vec![value(text, other.trim())?])),
            None => test(part, Test::Exists),
        }
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
        ];
        for (text, expected) in table {
            assert_eq!(LabelSelector::parse(text).unwrap().matches(&object), expected, "{text}");
        }
        for text in ["a b", "=1", "a in 1)", "a within (1)", "a=b c", "/a", "a=-x"] {
            assert_eq!(LabelSelector::parse(text).unwrap_err().code(), 400, "{text}");
        }
    }
}
