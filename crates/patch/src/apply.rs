//! Server-side apply: what a configuration makes of an object.

use serde_json::{Map, Value, json};

use crate::compare::{Changes, compare};
use crate::conflict::{Conflict, Conflicts};
use crate::fields::{FieldSet, Malformed, all, of};
use crate::kubectl;
use crate::managers::{BEFORE_FIRST_APPLY, ManagerId, Managers, Operation, Owned};
use crate::merged::merge;
use crate::ownership::{Endpoint, NEVER_OWNED, Request, with_managed_fields, without_managed_fields};
use crate::prune::prune;
use crate::time;
use crate::upgrade;
use crate::value::{alike, drop_nulls};

/// What an apply made of an object, with its managed fields.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// There was none, and this is to be stored.
    Created(Value),
    /// This is to be stored.
    Changed(Value),
    /// The stored object, as it is. There is nothing to write.
    Unchanged(Value),
}

impl Outcome {
    /// The object.
    pub fn into_object(self) -> Value {
        match self {
            Self::Created(object) | Self::Changed(object) | Self::Unchanged(object) => object,
        }
    }

    /// The object.
    pub fn object(&self) -> &Value {
        match self {
            Self::Created(object) | Self::Changed(object) | Self::Unchanged(object) => object,
        }
    }
}

/// Why an apply was refused. Each says with which code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// 422, `Invalid`.
    #[error(
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch"
    )]
    NoManager,
    /// 400, `BadRequest`.
    #[error("metadata.managedFields must be nil")]
    ManagedFields,
    /// 400.
    #[error("the configuration is not a JSON object")]
    NotAnObject,
    /// 400.
    #[error(
        "Incorrect version specified in apply patch. Specified patch version: {given}, expected: {expected}"
    )]
    Version {
        /// Of the configuration.
        given: String,
        /// Of the endpoint.
        expected: String,
    },
    /// 400. Items of a list cannot be told apart.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// 409, `Conflict`. It is for one object, and that is gone.
    #[error("uid mismatch: the provided object specified uid {0}, and no existing object was found")]
    Gone(String),
    /// 409, `Conflict`, with the causes.
    #[error(transparent)]
    Conflicts(#[from] Conflicts),
}

/// How an object would be stored: with defaults, and with values written as the server writes them (`1m30s` where the
/// client wrote `90s`). None where it would be refused.
pub type Settle<'a> = &'a dyn Fn(&Value) -> Option<Value>;

/// Applies a configuration of a kind whose values are stored as they are written.
///
/// # Errors
/// As [`apply_settled`].
pub fn apply(live: Option<&Value>, config: Value, request: &Request<'_>) -> Result<Outcome, ApplyError> {
    apply_settled(live, config, request, &|_| None)
}

/// Applies a configuration. Without a stored object it makes one. What differs from the stored object only in how it is
/// written is the same, and so no conflict: that is what `settle` is asked for, with an object without managed fields.
/// What comes out is not settled; the admission that follows does that.
///
/// `config` is as the client sent it. That its kind, name and namespace are those of the URL is the server's to check,
/// and to fill in where they may be absent, as are preconditions (`metadata.uid`, `metadata.resourceVersion`).
///
/// # Errors
/// If the configuration cannot be applied, or, unless the request forces it, if others own what it would change.
pub fn apply_settled(
    live: Option<&Value>,
    config: Value,
    request: &Request<'_>,
    settle: Settle<'_>,
) -> Result<Outcome, ApplyError> {
    refuse(live, &config, request)?;
    let attempt = Attempt::new(live, &config, request, settle)?;
    // What is applied to a part is not what the annotation says.
    let whole = matches!(request.endpoint, Endpoint::Whole | Endpoint::Main);
    let bridged = whole && request.manager == kubectl::MANAGER;
    let (object, managers) = match attempt.run(request, request.force) {
        Err(conflicts) if bridged => {
            let allowed = kubectl::own_conflicts(attempt.live.as_ref(), request, settle);
            let left = conflicts.without(&allowed);
            if !left.0.is_empty() {
                return Err(left.into());
            }
            attempt.run(request, true)?
        }
        other => other?,
    };
    let object = if bridged { kubectl::write_last_applied(object, &config) } else { object };
    Ok(attempt.outcome(live, object, managers, request))
}

fn refuse(live: Option<&Value>, config: &Value, request: &Request<'_>) -> Result<(), ApplyError> {
    if request.manager.is_empty() {
        return Err(ApplyError::NoManager);
    }
    if !config.is_object() {
        return Err(ApplyError::NotAnObject);
    }
    if config.pointer("/metadata/managedFields").is_some_and(|list| !list.is_null()) {
        return Err(ApplyError::ManagedFields);
    }
    let given = config["apiVersion"].as_str().unwrap_or_default();
    if given != request.api_version {
        let (given, expected) = (given.to_owned(), request.api_version.to_owned());
        return Err(ApplyError::Version { given, expected });
    }
    match config.pointer("/metadata/uid").and_then(Value::as_str) {
        Some(uid) if !uid.is_empty() && live.is_none() => Err(ApplyError::Gone(uid.to_owned())),
        _ => Ok(()),
    }
}

/// An apply with everything that it starts from.
struct Attempt<'a> {
    settle: Settle<'a>,
    /// What is stored, without managed fields.
    live: Option<Value>,
    managers: Managers,
    /// The configuration, of which nothing is left that it cannot set.
    config: Value,
    /// The fields that it claims.
    claimed: FieldSet,
    id: ManagerId,
}

impl<'a> Attempt<'a> {
    fn new(
        live: Option<&Value>,
        config: &Value,
        request: &Request<'_>,
        settle: Settle<'a>,
    ) -> Result<Self, ApplyError> {
        let at = request.shape.at();
        let mut managers = live.map(Managers::of).unwrap_or_default();
        let live = live.map(|live| without_managed_fields(live.clone()));
        if let Some(live) = &live
            && managers.is_empty()
        {
            let fields = request.own(all(live, at));
            if !fields.is_empty() {
                let id = request.id_of(BEFORE_FIRST_APPLY, Operation::Update);
                let time = Some(time::whole_seconds(request.now));
                let api_version = request.api_version.to_owned();
                managers.0.insert(id, Owned { api_version, time, fields });
            }
        }
        upgrade::take_over(&mut managers, request);
        let mut config = config.clone();
        request.leave_aside(&mut config);
        let claimed = request.own(of(&config, at)?);
        Ok(Self { settle, live, managers, config, claimed, id: request.id(Operation::Apply) })
    }

    /// The object and its managers after the apply.
    fn run(&self, request: &Request<'_>, force: bool) -> Result<(Value, Managers), Conflicts> {
        let at = request.shape.at();
        let empty = Value::Object(Map::new());
        let live = self.live.as_ref().unwrap_or(&empty);
        let mut merged = merge(live, &self.config, at);
        if let Some(last) = self.managers.0.get(&self.id) {
            let mut kept = self.managers.owned_by_others(&self.id);
            kept.extend(&self.claimed);
            kept.extend(&NEVER_OWNED);
            // The entry may be from a time when the endpoint was about more.
            merged = prune(merged, at, &request.own(last.fields.clone()), &kept);
        }
        drop_empty_metadata(&mut merged);
        let changes = compare(live, &merged, at).filter(|fields| request.own(fields));
        drop_nulls(&mut merged);
        let changes = changes.unless_alike(live, (self.settle)(&merged).as_ref(), at);

        let set = changes.set();
        let conflicts = self.conflicts(request, &set);
        if !force && !conflicts.0.is_empty() {
            return Err(conflicts);
        }
        Ok((merged, self.owners(request, &changes, &set)))
    }

    /// Whether nobody owns anything, and this manager is not to either: then there is nothing to write down.
    fn is_about_nothing(&self, live: &Value) -> bool {
        self.claimed.is_empty() && Managers::of(live).is_empty()
    }

    fn conflicts(&self, request: &Request<'_>, set: &FieldSet) -> Conflicts {
        let mut conflicts = Vec::new();
        let others = self.managers.iter().filter(|(id, _)| **id != self.id);
        for (owner, owned) in others.filter(|(id, _)| upgrade::is_in_the_way(id, request)) {
            for path in owned.fields.intersection(set).paths() {
                let (owner, api_version) = (owner.clone(), owned.api_version.clone());
                conflicts.push(Conflict { owner, api_version, path });
            }
        }
        // By name first, as clients know them.
        conflicts.sort_by(|a, b| a.owner.cmp(&b.owner));
        Conflicts(conflicts)
    }

    /// Who owns what afterwards. Times are as they were.
    fn owners(&self, request: &Request<'_>, changes: &Changes, set: &FieldSet) -> Managers {
        let mut managers = self.managers.clone();
        let time = managers.0.get(&self.id).and_then(|owned| owned.time);
        let fields = self.claimed.clone();
        let api_version = request.api_version.to_owned();
        managers.0.insert(self.id.clone(), Owned { api_version, time, fields });
        managers.take_from_others(Some(&self.id), &set.union(&changes.removed));
        managers.cap();
        managers
    }

    fn outcome(
        &self,
        live: Option<&Value>,
        object: Value,
        mut managers: Managers,
        request: &Request<'_>,
    ) -> Outcome {
        let same = self.live.as_ref().is_some_and(|live| {
            alike(live, &object) || (self.settle)(&object).is_some_and(|settled| alike(live, &settled))
        });
        if let Some(live) = live
            && same
            && (managers.same_but_for_times(&Managers::of(live)) || self.is_about_nothing(live))
        {
            return Outcome::Unchanged(live.clone());
        }
        if let Some(own) = managers.0.get_mut(&self.id) {
            own.time = Some(time::whole_seconds(request.now));
        }
        let object = with_managed_fields(object, managers.encode());
        if live.is_some() { Outcome::Changed(object) } else { Outcome::Created(object) }
    }
}

/// Empty is absent here.
fn drop_empty_metadata(object: &mut Value) {
    const LISTS: [&str; 4] = ["annotations", "finalizers", "labels", "ownerReferences"];
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    metadata.retain(|name, value| {
        !LISTS.contains(&name.as_str()) || (*value != json!({}) && *value != json!([]))
    });
}
