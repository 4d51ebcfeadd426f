//! What holds of every apply, update and patch.

use drover_patch::apply::{ApplyError, Outcome, apply};
use drover_patch::fields::{Element, FieldSet};
use drover_patch::managers::{Managers, Operation};
use drover_patch::update::update;
use drover_patch::{Request, Scalar, json_patch, merge_patch};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::generated::{any_json, part, scalar, spec, split};
use crate::setting::{applied, at, bare, by, claims, forced, object, owned};

/// Bits to decide by.
fn coin(bits: Vec<bool>) -> impl FnMut() -> bool {
    let mut bits = bits.into_iter().cycle();
    move || bits.next().unwrap_or(true)
}

fn bits() -> impl Strategy<Value = Vec<bool>> {
    prop::collection::vec(any::<bool>(), 1..40)
}

/// A history: who wrote which spec, by force, so that none is refused; an update replaces it all.
fn history() -> impl Strategy<Value = Vec<(bool, u8, Value)>> {
    prop::collection::vec((any::<bool>(), 0_u8..3, spec()), 0..5)
}

fn lived(history: &[(bool, u8, Value)]) -> Option<Value> {
    let mut live: Option<Value> = None;
    for (second, (applies, who, spec)) in history.iter().enumerate() {
        let name = format!("w{who}");
        let request = Request { now: at(second as i64), ..forced(&name) };
        live = Some(if *applies {
            applied(live.as_ref(), spec, &request)
        } else {
            update(live.as_ref(), object(spec), &request)
        });
    }
    live
}

fn element() -> impl Strategy<Value = Element> {
    let named = || scalar().prop_map(|value| Scalar::new(value).unwrap());
    prop_oneof![
        "[a-c:.\"]{0,3}".prop_map(Element::Field),
        prop::collection::btree_map("[a-c]{0,2}", named(), 1..3)
            .prop_map(|fields| Element::Key(fields.into_iter().collect())),
        named().prop_map(Element::Value),
        any::<u64>().prop_map(Element::Index),
    ]
}

fn field_set() -> impl Strategy<Value = FieldSet> {
    prop::collection::vec(prop::collection::vec(element(), 1..5), 0..20)
        .prop_map(|paths| paths.iter().map(Vec::as_slice).collect())
}

/// The smallest merge patch from one value to another, which it can say if the other has no null.
fn diff(from: &Value, to: &Value) -> Value {
    let (Value::Object(from), Value::Object(to)) = (from, to) else { return to.clone() };
    let mut patch = Map::new();
    for name in from.keys().filter(|name| !to.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    for (name, wanted) in to {
        match from.get(name) {
            Some(held) if held == wanted => {}
            Some(held) if held.is_object() && wanted.is_object() => {
                patch.insert(name.clone(), diff(held, wanted));
            }
            // An object over what is none is merged into nothing.
            Some(_) | None => {
                patch.insert(name.clone(), wanted.clone());
            }
        }
    }
    Value::Object(patch)
}

fn without_nulls(mut value: Value) -> Value {
    match &mut value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(|member| *member = without_nulls(member.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = without_nulls(item.take())),
        _ => {}
    }
    value
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn apply_is_idempotent(history in history(), config in spec()) {
        let live = lived(&history);
        let once = applied(live.as_ref(), &config, &Request { now: at(100), ..forced("m") });
        let again = Request { now: at(200), ..by("m") };
        prop_assert_eq!(apply(Some(&once), object(&config), &again), Ok(Outcome::Unchanged(once)));
    }

    #[test]
    fn what_is_applied_is_there_and_owned(history in history(), config in spec()) {
        let once = applied(lived(&history).as_ref(), &config, &forced("m"));
        let claimed = claims(&config);
        prop_assert_eq!(&owned(&once, "m", Operation::Apply), &claimed);
        // Applied to nothing, the whole result has at least those fields.
        prop_assert_eq!(claims(&once["spec"]).intersection(&claimed), claimed);
    }

    #[test]
    fn two_managers_of_disjoint_fields_never_conflict(all in spec(), bits in bits()) {
        let (a, b) = split(&all, coin(bits));
        for (first, second) in [(&a, &b), (&b, &a)] {
            let live = applied(None, first, &by("first"));
            let both = apply(Some(&live), object(second), &by("second"));
            prop_assert!(both.is_ok(), "{:?}", both);
            let both = both.unwrap().into_object();
            prop_assert_eq!(claims(&both["spec"]), claims(&all));
            // And each can say it again.
            for (config, manager) in [(first, "first"), (second, "second")] {
                let again = apply(Some(&both), object(config), &by(manager));
                prop_assert_eq!(again, Ok(Outcome::Unchanged(both.clone())));
            }
        }
    }

    #[test]
    fn a_dropped_field_goes_unless_somebody_else_owns_it(all in spec(), mine in bits(), theirs in bits(), as_update in any::<bool>()) {
        let (mut mine, mut theirs) = (coin(mine), coin(theirs));
        let (kept, others) = (part(&all, &mut mine), part(&all, &mut theirs));
        let live = if as_update {
            // Who updates owns all that it sets; the others have it by an apply of the same.
            let first = update(None, object(&others), &by("other"));
            applied(Some(&first), &all, &by("me"))
        } else {
            let live = applied(None, &all, &by("me"));
            applied(Some(&live), &others, &by("other"))
        };
        let live = applied(Some(&live), &kept, &by("me"));
        let expected = claims(&kept).union(&claims(&others));
        prop_assert_eq!(claims(&live["spec"]).difference(&expected), FieldSet::new(), "it is left: {}", live);
        prop_assert_eq!(expected.difference(&claims(&live["spec"])), FieldSet::new(), "it is gone: {}", live);
    }

    #[test]
    fn update_and_apply_of_the_same_changes_owners_alone(history in history(), config in spec()) {
        let live = lived(&history);
        let live = update(live.as_ref(), object(&config), &by("u"));
        let next = apply(Some(&live), object(&config), &by("a"));
        prop_assert!(next.is_ok(), "{:?}", next);
        prop_assert_eq!(bare(next.unwrap().object()), bare(&live));
    }

    #[test]
    fn force_never_conflicts_and_takes_what_conflicts(history in history(), config in spec()) {
        let Some(live) = lived(&history) else { return Ok(()) };
        let lost = match apply(Some(&live), object(&config), &by("m")) {
            Err(ApplyError::Conflicts(conflicts)) => conflicts,
            Ok(_) => return Ok(()),
            Err(other) => panic!("{other}"),
        };
        prop_assert!(!lost.0.is_empty());
        prop_assert_eq!(lost.causes().len(), lost.0.len());
        let next = apply(Some(&live), object(&config), &forced("m"));
        prop_assert!(next.is_ok(), "{:?}", next);
        let next = next.unwrap().into_object();
        let managers = Managers::of(&next);
        for conflict in &lost.0 {
            let still = managers.iter().any(|(id, owned)| *id == conflict.owner && owned.fields.contains(&conflict.path.0));
            prop_assert!(!still, "{} still owns {}", conflict.owner.manager, conflict.path);
            prop_assert!(owned(&next, "m", Operation::Apply).contains(&conflict.path.0), "{}", conflict.path);
        }
    }

    #[test]
    fn nobody_owns_what_is_not_there_and_no_entry_is_empty(history in history()) {
        let Some(live) = lived(&history) else { return Ok(()) };
        let mut all = FieldSet::new();
        for (_, owned) in Managers::of(&live).iter() {
            prop_assert!(!owned.fields.is_empty());
            all.extend(&owned.fields);
        }
        // What a create owns is every path that there is.
        let there = owned(&update(None, object(&live["spec"]), &by("r")), "r", Operation::Update);
        prop_assert_eq!(all.difference(&there), FieldSet::new());
    }

    #[test]
    fn fields_v1_is_read_as_it_was_written(set in field_set()) {
        let text = set.to_v1().to_string();
        let read = FieldSet::from_v1(&serde_json::from_str(&text).unwrap());
        prop_assert_eq!(read, Ok(set));
    }

    #[test]
    fn sets_of_fields_are_sets(a in field_set(), b in field_set()) {
        let (union, both, only) = (a.union(&b), a.intersection(&b), a.difference(&b));
        prop_assert_eq!(union.len(), a.len() + b.len() - both.len());
        prop_assert_eq!(&only.union(&both), &a);
        prop_assert!(only.intersection(&b).is_empty());
        for path in a.paths() {
            prop_assert!(a.contains(&path.0) && union.contains(&path.0));
            prop_assert_eq!(both.contains(&path.0), b.contains(&path.0));
            prop_assert_eq!(only.contains(&path.0), !b.contains(&path.0));
        }
    }

    #[test]
    fn a_json_patch_passes_the_test_of_its_own_result(target in any_json(), patch in json_patch_of()) {
        let Ok(result) = json_patch::apply(&target, &patch) else { return Ok(()) };
        let test = json!([{"op": "test", "path": "", "value": result}]);
        prop_assert_eq!(json_patch::apply(&result, &test), Ok(result.clone()));
        let mut whole = patch.as_array().unwrap().clone();
        whole.extend(test.as_array().unwrap().clone());
        prop_assert_eq!(json_patch::apply(&target, &Value::Array(whole)), Ok(result));
    }

    #[test]
    fn a_merge_patch_of_the_difference_makes_the_other(a in any_json(), b in any_json()) {
        let (mut a, b) = (without_nulls(json!({"v": a})), without_nulls(json!({"v": b})));
        let patch = diff(&a, &b);
        prop_assert_eq!(merge_patch::apply(&a, &patch), Ok(b.clone()));
        merge_patch::merge(&mut a, patch);
        prop_assert_eq!(a, b);
    }
}

fn json_patch_of() -> impl Strategy<Value = Value> {
    let step = prop_oneof![
        Just("spec"),
        Just("metadata"),
        Just("name"),
        Just("tags"),
        Just("0"),
        Just("-"),
        Just("1")
    ];
    let path = prop::collection::vec(step, 0..3)
        .prop_map(|steps| steps.iter().map(|step| format!("/{step}")).collect::<String>());
    let op =
        prop_oneof![Just("add"), Just("remove"), Just("replace"), Just("move"), Just("copy"), Just("test")];
    let operation = (op, path.clone(), path, any_json())
        .prop_map(|(op, path, from, value)| json!({"op": op, "path": path, "from": from, "value": value}));
    prop::collection::vec(operation, 0..4).prop_map(Value::from)
}
