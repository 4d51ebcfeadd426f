//! Columns of Secret, ConfigMap, ServiceAccount, Namespace and Lease. Of a Secret's data, only how many keys there are.

use drover_types::kinds::service_account;
use serde_json::Value;

use crate::ages;
use crate::fields::{NONE, number, text, text_or_none, time};
use crate::{AGE, Column, NAME, column, wide};

pub(super) const SECRET: [Column; 4] = [
    NAME,
    column("TYPE", |object, _| match text(object, "/type") {
        "" => "Opaque".to_owned(),
        type_ => type_.to_owned(),
    }),
    column("DATA", |object, _| keys(object).to_string()),
    AGE,
];

pub(super) const CONFIG_MAP: [Column; 3] = [NAME, column("DATA", |object, _| keys(object).to_string()), AGE];

pub(super) const SERVICE_ACCOUNT: [Column; 3] = [
    NAME,
    column("ROLE", |object, _| {
        let annotations = object.pointer("/metadata/annotations");
        let role = annotations.and_then(|all| all.get(service_account::ROLE)).and_then(Value::as_str);
        role.unwrap_or(NONE).to_owned()
    }),
    AGE,
];

pub(super) const NAMESPACE: [Column; 3] =
    [NAME, column("STATUS", |object, _| text_or_none(object, "/status/phase")), AGE];

pub(super) const LEASE: [Column; 6] = [
    NAME,
    column("HOLDER", |object, _| text_or_none(object, "/spec/holderIdentity")),
    AGE,
    wide("DURATION", |object, _| {
        number(object, "/spec/leaseDurationSeconds").map_or_else(|| NONE.to_owned(), ages::human)
    }),
    wide("RENEWED", |object, now| ages::since(time(object, "/spec/renewTime"), now)),
    wide("TRANSITIONS", |object, _| number(object, "/spec/leaseTransitions").unwrap_or(0).to_string()),
];

fn keys(object: &Value) -> usize {
    let count = |member: &str| object.get(member).and_then(Value::as_object).map_or(0, serde_json::Map::len);
    count("data") + count("binaryData")
}

#[cfg(test)]
mod tests {
    use drover_types::Kind;
    use serde_json::json;

    use crate::tests::check;

    #[test]
    fn a_secret_shows_how_many_keys_it_has_and_no_value() {
        let secret = json!({"metadata": {"name": "s"}, "data": {"a": "c2VjcmV0", "b": "eA=="}});
        check(Kind::Secret, &secret, &[("NAME", "s"), ("TYPE", "Opaque"), ("DATA", "2"), ("AGE", "<none>")]);
    }

    #[test]
    fn a_lease_shows_who_holds_it() {
        let lease = json!({"metadata": {"name": "l"}, "spec": {
            "holderIdentity": "h", "leaseDurationSeconds": 15, "renewTime": "2026-08-01T11:59:57Z",
            "leaseTransitions": 2,
        }});
        check(
            Kind::Lease,
            &lease,
            &[
                ("NAME", "l"),
                ("HOLDER", "h"),
                ("AGE", "<none>"),
                ("DURATION", "15s"),
                ("RENEWED", "3s"),
                ("TRANSITIONS", "2"),
            ],
        );
    }
}
