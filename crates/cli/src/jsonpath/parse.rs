//! Reading a JSONPath template.

use serde_json::Value;

use super::{Filter, Operator, Path, Piece, Step};

/// Longest first, so that `<=` is not read as `<`.
const OPERATORS: [(&str, Operator); 6] = [
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

/// Text and paths in braces.
pub(super) fn template(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        if open > 0 {
            pieces.push(Piece::Text(rest[..open].to_owned()));
        }
        let inside = &rest[open + 1..];
        let close = unquoted(inside, '}')?.ok_or_else(|| format!("{rest:?} has no closing '}}'"))?;
        pieces.push(piece(inside[..close].trim())?);
        rest = &inside[close + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

fn piece(inside: &str) -> Result<Piece, String> {
    if inside.starts_with(['"', '\'']) {
        return literal(inside).map(|value| Piece::Text(value.as_str().unwrap_or_default().to_owned()));
    }
    match inside.split_whitespace().next() {
        Some(word @ ("range" | "end")) => {
            Err(format!("{{{word}}} is not supported: `range` is not built; use -o json with a JSON tool"))
        }
        _ => path(inside).map(Piece::Path),
    }
}

/// Where a character first stands outside quotes.
fn unquoted(text: &str, wanted: char) -> Result<Option<usize>, String> {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match quote {
            _ if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == wanted => return Ok(Some(at)),
            None if c == '"' || c == '\'' => quote = Some(c),
            None => {}
        }
    }
    match quote {
        Some(open) => Err(format!("{text:?} has no closing {open}")),
        None => Ok(None),
    }
}

/// A path without its braces.
pub(super) fn path(text: &str) -> Result<Path, String> {
    let text = text.trim();
    let mut rest = text.strip_prefix(['$', '@']).unwrap_or(text);
    let mut steps = Vec::new();
    let mut first = true;
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let close = unquoted(inside, ']')?.ok_or_else(|| format!("{rest:?} has no closing ']'"))?;
            steps.push(bracket(inside[..close].trim())?);
            rest = &inside[close + 1..];
        } else if rest.starts_with("..") {
            return Err(format!("{rest:?}: recursive descent (..) is not supported"));
        } else if let Some(after) = rest.strip_prefix('.').or(first.then_some(rest)) {
            let (name, after) = member(after);
            match name.as_str() {
                // `{.}` is the whole, `.[0]` the same as `[0]`.
                "" if after.is_empty() || after.starts_with('[') => {}
                "" => return Err(format!("{after:?} is not part of a path")),
                "*" => steps.push(Step::All),
                _ => steps.push(Step::Member(name)),
            }
            rest = after;
        } else {
            return Err(format!("{rest:?} is not part of a path"));
        }
        first = false;
    }
    Ok(Path(steps))
}

/// A name up to the next step; a backslash keeps a dot in it.
fn member(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => {
                name.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '.' | '[' => return (name, &text[at..]),
            _ => name.push(c),
        }
    }
    (name, "")
}

fn bracket(inside: &str) -> Result<Step, String> {
    if inside == "*" {
        return Ok(Step::All);
    }
    if let Some(filter) = inside.strip_prefix('?') {
        let filter = filter.trim().strip_prefix('(').and_then(|filter| filter.strip_suffix(')'));
        return filter
            .ok_or_else(|| format!("[{inside}] is not a filter, as [?(@.a==\"b\")]"))
            .and_then(self::filter)
            .map(Step::Filter);
    }
    if inside.starts_with(['"', '\'']) {
        return match literal(inside)? {
            Value::String(name) => Ok(Step::Member(name)),
            _ => Err(format!("[{inside}] is not a name")),
        };
    }
    match inside.parse() {
        Ok(index) => Ok(Step::Index(index)),
        Err(_) if inside.contains(':') => Err(format!("[{inside}]: slices are not supported")),
        Err(_) if inside.contains(',') => Err(format!("[{inside}]: unions are not supported")),
        Err(_) => Err(format!("[{inside}] is neither an index, a 'name', * nor a filter")),
    }
}

fn filter(text: &str) -> Result<Filter, String> {
    let text = text.trim();
    if !text.starts_with('@') {
        return Err(format!("the filter {text:?} does not begin with @"));
    }
    let found = OPERATORS
        .iter()
        .filter_map(|(sign, operator)| text.find(sign).map(|at| (at, *sign, *operator)))
        .min_by_key(|(at, _, _)| *at);
    if text.contains("=~") {
        return Err(format!("the filter {text:?}: =~ is not supported"));
    }
    let Some((at, sign, operator)) = found else {
        return Ok(Filter { path: path(text)?, test: None });
    };
    let wanted = literal(text[at + sign.len()..].trim())?;
    Ok(Filter { path: path(&text[..at])?, test: Some((operator, wanted)) })
}

/// A quoted text, a number, `true`, `false` or `null`.
fn literal(text: &str) -> Result<Value, String> {
    let inside =
        text.strip_prefix('\'').map(|rest| (rest, '\'')).or(text.strip_prefix('"').map(|r| (r, '"')));
    let Some((inside, quote)) = inside else {
        return serde_json::from_str(text)
            .ok()
            .filter(|value: &Value| !value.is_array() && !value.is_object())
            .ok_or_else(|| format!("{text:?} is neither a number, a boolean nor a quoted text"));
    };
    let inside = inside.strip_suffix(quote).ok_or_else(|| format!("{text:?} has no closing {quote}"))?;
    let mut out = String::new();
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some(other) => out.push(other),
                None => return Err(format!("{text:?} ends within an escape")),
            },
            c => out.push(c),
        }
    }
    Ok(Value::String(out))
}
