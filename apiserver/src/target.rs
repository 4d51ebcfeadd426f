//! What a path names.

use drover_types::{Kind, Scope};

use crate::events;

/// A kind, and perhaps a namespace, an object and a part of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    pub(crate) kind: Kind,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
    pub(crate) sub: Option<&'a str>,
}

impl<'a> Target<'a> {
    pub(crate) fn parse(path: &'a str) -> Option<Self> {
        let segments: Vec<_> = path.trim_matches('/').split('/').collect();
        let (group, version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let by_path = |plural: &str| {
            Kind::by_path(group, version, plural).or_else(|| events::by_path(group, version, plural))
        };
        let target = match rest {
            // `namespaces/x/status` is a part of the namespace, `namespaces/x/timers` lies in it.
            ["namespaces", namespace, plural, rest @ ..] if *plural != "status" => {
                let kind = by_path(plural).filter(|kind| kind.names().scope == Scope::Namespaced)?;
                Self { kind, namespace: Some(namespace), ..Self::tail(kind, rest)? }
            }
            [plural, rest @ ..] => Self::tail(by_path(plural)?, rest)?,
            [] => return None,
        };
        let cluster_wide_object = target.name.is_some()
            && target.namespace.is_none()
            && target.kind.names().scope == Scope::Namespaced;
        (!cluster_wide_object).then_some(target)
    }

    fn tail(kind: Kind, rest: &[&'a str]) -> Option<Self> {
        let (name, sub) = match rest {
            [] => (None, None),
            [name] => (Some(*name), None),
            [name, sub] => (Some(*name), Some(*sub)),
            _ => return None,
        };
        if name == Some("") || sub == Some("") {
            return None;
        }
        Some(Self { kind, namespace: None, name, sub })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_one_thing_or_nothing() {
        let timer = Target::parse("/apis/drover.dev/v1/namespaces/a/timers/t/status").unwrap();
        let expected =
            Target { kind: Kind::Timer, namespace: Some("a"), name: Some("t"), sub: Some("status") };
        assert_eq!(timer, expected);
        assert_eq!(Target::parse("/api/v1/namespaces/a").unwrap().kind, Kind::Namespace);
        assert_eq!(Target::parse("/api/v1/namespaces/a/status").unwrap().kind, Kind::Namespace);
        assert_eq!(Target::parse("/api/v1/namespaces/a/secrets").unwrap().namespace, Some("a"));
        assert_eq!(Target::parse("/apis/drover.dev/v1/timers").unwrap().namespace, None);
        for path in [
            "/api/v1/timers",
            "/apis/drover.dev/v1/timers/t",
            "/api/v1/namespaces/a/nodes",
            "/apis/drover.dev/v2/timers",
            "/api/v1/namespaces/a/secrets//x",
            "/",
        ] {
            assert_eq!(Target::parse(path), None, "{path}");
        }
    }
}
