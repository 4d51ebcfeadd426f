//! Objects that `drover apply` wrote by updates, now applied on the server.

use drover_patch::DROVER;
use drover_patch::apply::{Outcome, apply};
use drover_patch::managers::Operation;
use drover_patch::update::update;
use serde_json::json;

use crate::setting::{by, conflict, object, owned, paths};

#[test]
fn what_drover_updated_before_is_applied_on_without_a_conflict_and_goes_when_it_is_dropped() {
    let live = update(None, object(&json!({"replicas": 1, "text": "x", "tags": ["a"]})), &by(DROVER));
    let mut next = live.clone();
    next["metadata"]["labels"] = json!({"other": "yes"});
    let live = update(Some(&live), next, &by("ops"));
    let config = json!({"replicas": 2, "tags": ["a"]});
    let live = apply(Some(&live), object(&config), &by(DROVER)).unwrap().into_object();
    assert_eq!(live["spec"], config, "what its file no longer lists is gone");
    assert_eq!(live["metadata"]["labels"], json!({"other": "yes"}), "what others wrote is not");
    assert!(owned(&live, DROVER, Operation::Update).is_empty());
    assert_eq!(paths(&live, DROVER, Operation::Apply), [".spec.replicas", ".spec.tags[=\"a\"]"]);
    assert_eq!(apply(Some(&live), object(&config), &by(DROVER)), Ok(Outcome::Unchanged(live)));
}

#[test]
fn what_nobody_is_known_to_have_written_is_not_in_drovers_way_and_stays() {
    let live = object(&json!({"replicas": 1, "text": "x"}));
    let config = json!({"replicas": 2});
    let applied = apply(Some(&live), object(&config), &by(DROVER)).unwrap().into_object();
    assert_eq!(applied["spec"], json!({"replicas": 2, "text": "x"}));
    let other = apply(Some(&live), object(&config), &by("another"));
    assert!(conflict(other).contains("before-first-apply"));
}

#[test]
fn nobody_else_takes_over_what_drover_updated_and_drover_nothing_of_others() {
    let live = update(None, object(&json!({"replicas": 1})), &by(DROVER));
    let refused = apply(Some(&live), object(&json!({"replicas": 2})), &by("ci"));
    assert!(conflict(refused).contains("conflict with \"drover\""));
    let live = update(None, object(&json!({"replicas": 1})), &by("ci"));
    let refused = apply(Some(&live), object(&json!({"replicas": 2})), &by(DROVER));
    assert!(conflict(refused).contains("conflict with \"ci\""));
}

#[test]
fn an_apply_of_nothing_to_what_nobody_owns_is_no_change() {
    let mut live = object(&json!({"replicas": 1}));
    let mut config = live.clone();
    config.as_object_mut().unwrap().remove("spec");
    for manager in [DROVER, "another"] {
        assert_eq!(apply(Some(&live), config.clone(), &by(manager)), Ok(Outcome::Unchanged(live.clone())));
    }
    live["metadata"]["labels"] = json!({"a": "b"});
    config["metadata"]["labels"] = json!({"a": "b"});
    assert!(matches!(apply(Some(&live), config, &by("another")), Ok(Outcome::Changed(_))));
}
