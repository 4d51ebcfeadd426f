//! The part of kubectl's JSONPath that scripts use: `{.a.b}`, `['a']`, `[*]`, `[0]`, `[-1]`, `[?(@.x=="y")]`, and text
//! between the braces.
//!
//! Absent, and refused by name: `range`/`end`, slices, unions, recursive descent.

mod evaluate;
mod parse;

use serde_json::Value;

/// A text with paths in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template(Vec<Piece>);

/// A piece of a template.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    /// As it is.
    Text(String),
    /// What the path leads to, a space between several.
    Path(Path),
}

/// A way into a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Path(Vec<Step>);

/// One step of it.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// A member of a map.
    Member(String),
    /// All members, or all elements.
    All,
    /// An element; negative: from the end.
    Index(i64),
    /// The elements for which it holds.
    Filter(Filter),
}

/// A condition on an element.
#[derive(Clone, Debug, PartialEq)]
struct Filter {
    path: Path,
    /// Absent: the path has to lead somewhere.
    test: Option<(Operator, Value)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Template {
    /// Reads a template. Without braces the whole is one path.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.contains('{') {
            parse::template(text).map(Self)
        } else {
            Ok(Self(vec![Piece::Path(Path::parse(text)?)]))
        }
    }

    /// The text, with what the paths lead to filled in. What is not there is left out.
    pub(crate) fn fill(&self, value: &Value) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Path(path) => {
                path.find(value).into_iter().map(evaluate::plain).collect::<Vec<_>>().join(" ")
            }
        };
        self.0.iter().map(piece).collect()
    }

    /// The path, if the template is one and nothing else.
    pub(crate) fn only_path(self) -> Option<Path> {
        match <[Piece; 1]>::try_from(self.0) {
            Ok([Piece::Path(path)]) => Some(path),
            _ => None,
        }
    }
}

impl Path {
    /// Reads a path without its braces; a leading `$`, `@` or `.` may be left out.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        parse::path(text)
    }

    /// All values it leads to.
    pub(crate) fn find<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        evaluate::find(self, value)
    }

    /// All values it leads to, as text with a comma between; none if it leads nowhere.
    pub(crate) fn text(&self, value: &Value) -> Option<String> {
        let found = self.find(value);
        (!found.is_empty()).then(|| found.into_iter().map(evaluate::plain).collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fill(template: &str) -> Result<String, String> {
        let value = json!({
            "kind": "List", "n": 5, "t": true, "empty": [],
            "metadata": {"labels": {"a.b/c": "x"}},
            "items": [
                {"name": "one", "size": 1, "up": true, "on": {"type": "Ready", "status": "True"}},
                {"name": "two", "size": 20, "on": {"type": "Failed", "status": "False"}},
            ],
        });
        Template::parse(template).map(|template| template.fill(&value))
    }

    #[test]
    fn paths_lead_where_kubectls_lead() {
        for (template, want) in [
            ("{.kind}", "List"),
            ("{$.kind} has {.n}", "List has 5"),
            (".kind", "List"),
            ("kind", "List"),
            ("{.items[*].name}", "one two"),
            ("{.items[0].name}{\"\\n\"}{.items[-1].name}", "one\ntwo"),
            ("{.metadata.labels.a\\.b/c}", "x"),
            ("{.metadata.labels['a.b/c']}", "x"),
            ("{['metadata']['labels']}", "{\"a.b/c\":\"x\"}"),
            ("{.items[?(@.name==\"two\")].size}", "20"),
            ("{.items[?(@.name!='two')].size}", "1"),
            ("{.items[?(@.size>1)].name}", "two"),
            ("{.items[?(@.size<=1)].name}", "one"),
            ("{.items[?(@.up)].name}", "one"),
            ("{.items[?(@.up==true)].name}", "one"),
            ("{.items[?(@.on.type=='Ready')].on.status}", "True"),
            ("{.items.*.name}", "one two"),
            ("{.missing.way[0]}", ""),
            ("{.items[7].name}", ""),
            ("a {.n} b", "a 5 b"),
            (
                "",
                "{\"empty\":[],\"items\":[{\"name\":\"one\",\"on\":{\"status\":\"True\",\"type\":\"Ready\"},\"size\":1,\"up\":true},{\"name\":\"two\",\"on\":{\"status\":\"False\",\"type\":\"Failed\"},\"size\":20}],\"kind\":\"List\",\"metadata\":{\"labels\":{\"a.b/c\":\"x\"}},\"n\":5,\"t\":true}",
            ),
        ] {
            assert_eq!(fill(template).as_deref(), Ok(want), "{template}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_and_said() {
        for (template, why) in [
            ("{range .items[*]}{.name}{end}", "range"),
            ("{.items[0:1]}", "slice"),
            ("{.items[0,1]}", "union"),
            ("{..name}", "recursive"),
            ("{.items[}", "]"),
            ("{.kind", "}"),
            ("{.items[x]}", "[x]"),
            ("{.items[?(@.a=~\"b\")]}", "=~"),
            ("{.items[?(name)]}", "@"),
            ("{\"abc}", "\""),
        ] {
            let error = fill(template).unwrap_err();
            assert!(error.contains(why), "{template}: {error}");
        }
    }
}
