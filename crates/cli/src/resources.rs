//! Which objects a command line names: `KIND`, `KIND NAME...`, `KIND/NAME...`, `KIND,KIND`, `all`.

use anyhow::{Result, anyhow};
use drover_manifest::suggest;
use drover_types::{API_VERSION, Kind, not_built_kind};

use crate::failure::usage;

/// What `all` stands for: everything a workload is made of.
const ALL: [Kind; 5] = [Kind::Service, Kind::Task, Kind::Timer, Kind::Assignment, Kind::Run];
/// Kinds of the design that may not be served yet.
const DESIGNED: [&str; 4] = ["Channel", "SharedVar", "Gateway", "GitSource"];

/// Objects of one kind.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// Their kind.
    pub(crate) kind: Kind,
    /// Their names; none: all that there are.
    pub(crate) names: Vec<String>,
}

/// `timer/beat`.
pub(crate) fn shown(kind: Kind, name: &str) -> String {
    format!("{}/{name}", kind.names().singular)
}

/// A kind as a user writes it.
pub(crate) fn kind(word: &str) -> Result<Kind> {
    if let Some(kind) = Kind::by_user_word(word) {
        return Ok(kind);
    }
    let plain = word.split('.').next().unwrap_or_default();
    for name in DESIGNED {
        let same =
            [name.to_owned(), format!("{name}s")].iter().any(|known| known.eq_ignore_ascii_case(plain));
        if let Some(brings) = not_built_kind(API_VERSION, name).filter(|_| same) {
            return Err(anyhow!("{name} is not built yet: it comes with {brings}"));
        }
    }
    if ["pod", "pods", "po"].contains(&plain) {
        return Err(anyhow!("Pod is not built yet: it comes with Kubernetes clients"));
    }
    let known = Kind::ALL.map(|k| k.names().plural);
    let singular = Kind::ALL.map(|k| k.names().singular);
    Err(match suggest(word, singular).or_else(|| suggest(word, known)) {
        Some(near) => anyhow!("no kind {word:?}; did you mean {near:?}?"),
        None => anyhow!("no kind {word:?}; there are {}", known.join(", ")),
    })
}

/// Reads the words after a verb.
pub(crate) fn parse(words: &[String]) -> Result<Vec<Named>> {
    let Some((first, names)) = words.split_first() else {
        return Err(usage("name a kind, as in `timers`, `timer beat` or `timer/beat`"));
    };
    if words.iter().any(|word| word.contains('/')) {
        return words.iter().map(|word| one(word)).map(|found| found.map(Into::into)).collect();
    }
    let mut found = Vec::new();
    for word in first.split(',') {
        match word {
            "all" if names.is_empty() => found.extend(ALL.map(|kind| Named { kind, names: Vec::new() })),
            "all" => return Err(usage("`all` takes no names")),
            _ => found.push(Named { kind: kind(word)?, names: names.to_vec() }),
        }
    }
    Ok(found)
}

/// Reads `KIND/NAME`.
pub(crate) fn one(word: &str) -> Result<(Kind, String)> {
    match word.split_once('/') {
        Some((kind_word, name)) if !name.is_empty() && !name.contains('/') => {
            Ok((kind(kind_word)?, name.to_owned()))
        }
        _ => Err(usage(format!("{word:?} is not KIND/NAME, as in timer/beat"))),
    }
}

impl From<(Kind, String)> for Named {
    fn from((kind, name): (Kind, String)) -> Self {
        Self { kind, names: vec![name] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Vec<Named>> {
        parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn kinds_and_names_are_read_in_every_form_that_kubectl_takes() {
        let named =
            |kind, names: &[&str]| Named { kind, names: names.iter().map(ToString::to_string).collect() };
        assert_eq!(read("timers").unwrap(), [named(Kind::Timer, &[])]);
        assert_eq!(read("tm a b").unwrap(), [named(Kind::Timer, &["a", "b"])]);
        assert_eq!(
            read("timer/a svc/b").unwrap(),
            [named(Kind::Timer, &["a"]), named(Kind::Service, &["b"])]
        );
        assert_eq!(read("tasks,run").unwrap(), [named(Kind::Task, &[]), named(Kind::Run, &[])]);
        assert_eq!(read("all").unwrap().len(), 5);
        for bad in ["timer/a b", "timer/", "timer/a/b", "all x", "timr"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_kind_that_is_to_come_is_told_from_a_misspelt_one() {
        for word in ["channel", "channels", "sharedvars.drover.dev", "GitSource", "pods"] {
            assert!(kind(word).unwrap_err().to_string().contains("not built yet"), "{word}");
        }
        assert!(kind("tmier").unwrap_err().to_string().contains("did you mean \"timer\"?"));
    }
}
