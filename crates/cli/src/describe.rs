//! All about one object, for people: what it is, what became of it, and the chain down to its runs.

mod chain;
mod config;
mod gather;
mod node;
mod page;
mod run;
mod workload;

use drover_types::Kind;
use jiff::Timestamp;
use serde_json::Value;

use drover_columns::ages;
use drover_columns::fields::{list, number, pairs, text, text_or_none, time};
use page::Page;

pub(crate) use gather::gather;

/// An object and what hangs on it.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// The object.
    pub(crate) object: Value,
    /// Its Assignments; of a Node, those on it.
    pub(crate) assignments: Vec<Value>,
    /// Its Runs; of a Node, those alive on it.
    pub(crate) runs: Vec<Value>,
    /// The calls of an OnDemand Task.
    pub(crate) calls: Vec<Value>,
    /// What happened to it.
    pub(crate) events: Vec<Value>,
}

/// The whole page.
pub(crate) fn render(kind: Kind, facts: &Facts, now: Timestamp) -> String {
    let mut page = Page::default();
    let object = &facts.object;
    head(&mut page, object, now);
    match kind {
        Kind::Timer => workload::timer(&mut page, facts, now),
        Kind::Task => workload::task(&mut page, facts, now),
        Kind::Service => workload::service(&mut page, facts, now),
        Kind::Assignment => workload::assignment(&mut page, facts, now),
        Kind::Run => run::describe(&mut page, object, now),
        Kind::Node => node::describe(&mut page, facts, now),
        Kind::Secret => config::secret(&mut page, object),
        Kind::ConfigMap => config::config_map(&mut page, object),
        Kind::NodePool | Kind::Namespace | Kind::Lease | Kind::ServiceAccount | Kind::Event => {
            config::plain(&mut page, object);
            conditions(&mut page, object, now);
        }
    }
    if kind != Kind::Event {
        chain::events(&mut page, &facts.events, now);
    }
    page.into_text()
}

fn head(page: &mut Page, object: &Value, now: Timestamp) {
    page.field("Name", &text_or_none(object, "/metadata/name"));
    if object.pointer("/metadata/namespace").is_some() {
        page.field("Namespace", text(object, "/metadata/namespace"));
    }
    page.field("Labels", &pairs(object, "/metadata/labels").join("\n"));
    page.field("Annotations", &pairs(object, "/metadata/annotations").join("\n"));
    page.field("Created", &when(object, "/metadata/creationTimestamp", now));
    if object.pointer("/metadata/deletionTimestamp").is_some() {
        let held: Vec<&str> = list(object, "/metadata/finalizers").iter().filter_map(Value::as_str).collect();
        page.field("Deleting", &format!("since {}", when(object, "/metadata/deletionTimestamp", now)));
        page.field("Held by", &held.join(", "));
    }
    let owners: Vec<String> = list(object, "/metadata/ownerReferences")
        .iter()
        .map(|owner| format!("{}/{}", text(owner, "/kind").to_ascii_lowercase(), text(owner, "/name")))
        .collect();
    if !owners.is_empty() {
        page.field("Owned by", &owners.join(", "));
    }
    let generations = (number(object, "/metadata/generation"), number(object, "/status/observedGeneration"));
    if let (Some(now), Some(observed)) = generations
        && observed < now
    {
        page.field("Status", &format!("is of generation {observed}; the spec is at {now}"));
    }
}

/// An instant, to the second, and how long ago it was, or how far it is.
fn when(object: &Value, pointer: &str, now: Timestamp) -> String {
    match time(object, pointer) {
        None => drover_columns::fields::NONE.to_owned(),
        Some(then) if then > now => format!("{then:.0} ({})", ages::until(Some(then), now)),
        Some(then) => format!("{then:.0} ({} ago)", ages::since(Some(then), now)),
    }
}

fn conditions(page: &mut Page, object: &Value, now: Timestamp) {
    let rows: Vec<Vec<String>> = list(object, "/status/conditions")
        .iter()
        .map(|held| {
            vec![
                text_or_none(held, "/type"),
                text_or_none(held, "/status"),
                ages::since(time(held, "/lastTransitionTime"), now),
                text_or_none(held, "/reason"),
                text(held, "/message").to_owned(),
            ]
        })
        .collect();
    page.table("Conditions", "", &["TYPE", "STATUS", "SINCE", "REASON", "MESSAGE"], &rows);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::output::tests::noon;

    #[test]
    fn every_kind_has_a_page_even_of_an_empty_object() {
        for kind in Kind::ALL {
            let facts = Facts { object: json!({"metadata": {"name": "x"}}), ..Facts::default() };
            assert!(render(kind, &facts, noon()).starts_with("Name:               x\n"), "{kind:?}");
        }
    }

    #[test]
    fn a_status_of_an_older_spec_says_so() {
        let object = json!({"metadata": {"name": "x", "generation": 3}, "status": {"observedGeneration": 2}});
        let said = render(Kind::Timer, &Facts { object, ..Facts::default() }, noon());
        assert!(said.contains("is of generation 2; the spec is at 3"), "{said}");
    }
}
