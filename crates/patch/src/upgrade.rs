//! The bridge for objects that `drover apply` wrote before it applied on the server: by updates under its own name, and,
//! before owners were kept at all, under none.

use crate::managers::{BEFORE_FIRST_APPLY, ManagerId, Managers, Operation, Owned};
use crate::ownership::Request;

/// The manager that `drover apply` applies as.
pub const MANAGER: &str = "drover";

/// Makes what this manager updated part of what it applied: what its next configuration no longer lists goes.
pub(crate) fn take_over(managers: &mut Managers, request: &Request<'_>) {
    if request.manager != MANAGER {
        return;
    }
    let id = request.id(Operation::Apply);
    let is_own = |held: &ManagerId| {
        held.operation == Operation::Update
            && held.manager == MANAGER
            && held.subresource == id.subresource
            && held.api_version.as_deref() == Some(request.api_version)
    };
    let own: Vec<ManagerId> = managers.0.keys().filter(|held| is_own(held)).cloned().collect();
    for held in own {
        let Some(owned) = managers.0.remove(&held) else { continue };
        match managers.0.get_mut(&id) {
            Some(applied) => applied.fields.extend(&owned.fields),
            None => drop(managers.0.insert(id.clone(), Owned { time: None, ..owned })),
        }
    }
}

/// Whether what somebody owns is in this manager's way: what nobody is known to have written is not.
pub(crate) fn is_in_the_way(owner: &ManagerId, request: &Request<'_>) -> bool {
    request.manager != MANAGER || owner.manager != BEFORE_FIRST_APPLY
}
