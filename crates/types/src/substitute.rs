//! `$(NAME)` in commands, environment, keys and names. `$$(` is a literal `$(`, and every other `$` stays.

/// The names that every run knows, beside `params.x` and `node.labels.x`.
pub const NAMES: [&str; 7] =
    ["NODE_NAME", "node.name", "NAMESPACE", "WORKLOAD", "REPLICA", "run.name", "run.uid"];

/// A name that nothing is known by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("$({0}) is not a name that Drover knows; write $$({0}) for a literal $({0})")]
pub struct UnknownName(pub String);

/// Puts what `lookup` knows in place of each `$(NAME)`.
pub fn substitute(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<String, UnknownName> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("$$(") {
            out.push_str("$(");
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix("$(").and_then(|r| r.split_once(')')) {
            out.push_str(&lookup(name).ok_or_else(|| UnknownName(name.to_owned()))?);
            rest = after;
        } else {
            out.push('$');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// Whether `text` names `name` anywhere.
pub fn mentions(text: &str, name: &str) -> bool {
    let found = std::cell::Cell::new(false);
    let _ = substitute(text, |n| {
        found.set(found.get() || n == name);
        Some(String::new())
    });
    found.get()
}

/// The parameter that a script consists of, if it is one `$(params.x)` as a whole.
pub fn whole_param(script: &str) -> Option<&str> {
    let name = script.trim().strip_prefix("$(params.")?.strip_suffix(')')?;
    (!name.contains(['(', ')'])).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_known_name_is_replaced_and_every_other_dollar_stays() {
        let lookup = |n: &str| (n == "NODE_NAME").then(|| "n1".to_owned());
        for (text, want) in [
            ("vps-host/$(NODE_NAME)", "vps-host/n1"),
            ("$$(NODE_NAME)", "$(NODE_NAME)"),
            ("$HOME $$ ${x} $(open", "$HOME $$ ${x} $(open"),
            ("é$(NODE_NAME)$", "én1$"),
        ] {
            assert_eq!(substitute(text, lookup).as_deref(), Ok(want));
        }
        let error = substitute("$(date)", lookup).unwrap_err().to_string();
        assert!(error.contains("$$(date)"), "{error}");
        assert!(mentions("a/$(NODE_NAME)", "NODE_NAME") && !mentions("a/$$(NODE_NAME)", "NODE_NAME"));
        assert_eq!(whole_param("$(params.x)\n"), Some("x"));
        assert_eq!(whole_param("echo $(params.x)"), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[$()aé]{0,30}") {
            let _ = substitute(&text, |_| Some("x".into()));
        }
    }
}
