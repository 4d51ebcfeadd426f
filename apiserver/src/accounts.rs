//! ServiceAccounts: tokens for them, and what who bears one may do.
//!
//! Without a role, that is to ask what the server has and who one is. With the annotation `drover.dev/role: view`, it is
//! also to read what is in the account's own namespace, save Secrets. An account that is gone has no tokens: one of its
//! name that is made later is another one. Absent: other roles, tokens bound to another object.

use std::collections::BTreeSet;

use axum::response::Response;
use drover_types::kinds::service_account::{ROLE, VIEW};
use drover_types::{FieldError, Kind, Scope};
use http::{Method, StatusCode};
use jiff::ToSpan;
use serde_json::{Value, json};

use crate::answer::object_answer;
use crate::error::{ApiError, qualified};
use crate::events;
use crate::identity::{Account, Role};
use crate::json::Decoded;
use crate::objects::{Objects, Place};
use crate::prepare::{self, expect_type};
use crate::server::Server;
use crate::target::Target;

/// Group, version and kind of a request for a token.
pub(crate) const TOKEN_REQUEST: (&str, &str, &str) = ("authentication.k8s.io", "v1", "TokenRequest");
const API_VERSION: &str = "authentication.k8s.io/v1";

/// For whom tokens are that this server itself takes: its own name, and the one that programs of Kubernetes ask for.
pub(crate) const AUDIENCES: [&str; 2] = ["drover", "https://kubernetes.default.svc"];
/// The most audiences of a token, and the longest.
const MAX_AUDIENCES: usize = 16;
const MAX_AUDIENCE: usize = 253;

/// Bounds of a token's life, in seconds, and what it is if nothing is said.
const SHORTEST: i64 = 600;
const LONGEST: i64 = 24 * 3600;
const USUAL: i64 = 3600;

/// Something to be done with objects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deed<'a> {
    pub(crate) verb: &'a str,
    pub(crate) group: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) subresource: &'a str,
    pub(crate) namespace: &'a str,
}

/// What can be asked of a server by anybody it knows.
pub(crate) fn is_for_all(path: &str) -> bool {
    let first = path.trim_matches('/').split('/').next().unwrap_or_default();
    match first {
        "openapi" | "version" | "healthz" | "livez" | "readyz" => true,
        // Down to a group and version; what lies below are objects.
        "api" => path.trim_matches('/').split('/').count() <= 2,
        "apis" => path.trim_matches('/').split('/').count() <= 3,
        _ => false,
    }
}

/// Whether an account may do this, as its object says. A pure function.
pub(crate) fn may(account: &Account, object: &Value, deed: Deed<'_>) -> bool {
    let role = prepare::metadata(object).get("annotations").and_then(|all| all.get(ROLE));
    let kind = Kind::by_path(deed.group, "v1", deed.resource)
        .or_else(|| events::by_path(deed.group, "v1", deed.resource));
    role.is_some_and(|role| role == VIEW)
        && matches!(deed.verb, "get" | "list" | "watch")
        && matches!(deed.subresource, "" | "status" | "scale")
        && deed.namespace == account.namespace
        && kind.is_some_and(|kind| kind.names().scope == Scope::Namespaced && kind != Kind::Secret)
}

impl Objects {
    /// An account's object, if it is still the one that the token was made for.
    pub(crate) fn account(&self, account: &Account) -> Result<Option<Value>, ApiError> {
        let at =
            Place { kind: Kind::ServiceAccount, namespace: Some(&account.namespace), name: &account.name };
        let held = self.find(at)?.map(|held| held.object);
        Ok(held.filter(|object| prepare::text(object, "uid") == account.uid && !prepare::is_deleting(object)))
    }

    /// Whether who bears this role is still there, and speaks to this server.
    pub(crate) fn is_good(&self, role: &Role) -> Result<bool, ApiError> {
        let Role::ServiceAccount(account) = role else { return Ok(true) };
        let is_ours = account.audiences.iter().any(|audience| AUDIENCES.contains(&audience.as_str()));
        Ok(is_ours && self.account(account)?.is_some())
    }
}

/// Whether a request by an account is let through.
pub(crate) fn check(
    server: &Server,
    account: &Account,
    (method, path): (&Method, &str),
    target: Option<&Target<'_>>,
) -> Result<(), ApiError> {
    let reads = method == Method::GET || method == Method::HEAD;
    let who = account.user();
    let Some(target) = target else {
        if reads && is_for_all(path) {
            return Ok(());
        }
        let message = format!("forbidden: User \"{who}\" cannot {} path \"{path}\"", verb(method, false));
        return Err(ApiError::new(403, "Forbidden", message));
    };
    let names = target.kind.names();
    let deed = Deed {
        verb: verb(method, target.name.is_some()),
        group: names.group,
        resource: names.plural,
        subresource: target.sub.unwrap_or_default(),
        namespace: target.namespace.unwrap_or_default(),
    };
    let object = server.objects().account(account)?;
    if object.is_some_and(|object| may(account, &object, deed)) {
        return Ok(());
    }
    let place = match target.namespace {
        Some(namespace) => format!("in the namespace \"{namespace}\""),
        None => "at the cluster scope".to_owned(),
    };
    let detail = format!(
        "User \"{who}\" cannot {} resource \"{}\" in API group \"{}\" {place}",
        deed.verb,
        qualified(target.kind).split('.').next().unwrap_or_default(),
        names.group
    );
    Err(ApiError::forbidden(target.kind, target.name.unwrap_or_default(), &detail))
}

/// As Kubernetes names what a request does.
fn verb(method: &Method, named: bool) -> &'static str {
    match (method.as_str(), named) {
        ("GET" | "HEAD", true) => "get",
        ("GET" | "HEAD", false) => "list",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", true) => "delete",
        ("DELETE", false) => "deletecollection",
        _ => "use",
    }
}

/// What is asked of a token.
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    audiences: Vec<String>,
    seconds: i64,
    /// What was asked for, if it was too much.
    shortened_from: Option<i64>,
}

fn wish(name: &str, mut body: Value) -> Result<Wish, ApiError> {
    let Some(members) = body.as_object_mut() else {
        return Err(ApiError::bad_request("the body is not a JSON object"));
    };
    expect_type(members, API_VERSION, "TokenRequest")?;
    let spec = body.get("spec").cloned().unwrap_or_default();
    if !matches!(spec, Value::Null | Value::Object(_)) {
        return Err(ApiError::bad_request("spec: is not an object"));
    }
    let invalid = |error: FieldError| Err(ApiError::invalid_as(TOKEN_REQUEST, name, &[error]));
    if spec.get("boundObjectRef").is_some_and(|bound| !bound.is_null()) {
        let detail = "not built yet: a token is bound to its account alone";
        return invalid(FieldError::forbidden("spec.boundObjectRef".into(), detail));
    }
    let mut audiences = Vec::new();
    match spec.get("audiences") {
        None | Some(Value::Null) => {}
        Some(Value::Array(given)) if given.len() <= MAX_AUDIENCES => {
            for audience in given {
                match audience.as_str() {
                    Some(text) if !text.is_empty() && text.len() <= MAX_AUDIENCE => {
                        audiences.push(text.to_owned())
                    }
                    _ => {
                        let detail = format!("has 1 to {MAX_AUDIENCE} characters");
                        return invalid(FieldError::invalid(
                            "spec.audiences".into(),
                            audience.clone(),
                            detail,
                        ));
                    }
                }
            }
        }
        Some(_) => {
            let detail = format!("is a list of at most {MAX_AUDIENCES} names");
            return invalid(FieldError::invalid("spec.audiences".into(), Value::Null, detail));
        }
    }
    if audiences.is_empty() {
        audiences.push(AUDIENCES[0].to_owned());
    }
    let asked = match spec.get("expirationSeconds") {
        None | Some(Value::Null) => USUAL,
        Some(value) => match value.as_i64() {
            Some(seconds) if seconds >= SHORTEST => seconds,
            _ => {
                let detail = "may not specify a duration less than 10 minutes";
                return invalid(FieldError::invalid("spec.expirationSeconds".into(), value.clone(), detail));
            }
        },
    };
    Ok(Wish { audiences, seconds: asked.min(LONGEST), shortened_from: (asked > LONGEST).then_some(asked) })
}

/// `POST .../serviceaccounts/NAME/token`: a token, shown this once.
pub(crate) async fn create_token(
    server: &Server,
    at: Place<'_>,
    body: Decoded,
    dry_run: bool,
) -> Result<Response, ApiError> {
    let held = server.objects().get(at)?;
    if prepare::is_deleting(&held.object) {
        return Err(ApiError::conflict_because(at.kind, at.name, "the account is being deleted"));
    }
    let uid = prepare::text(&held.object, "uid");
    if let Some(meant) =
        body.value.pointer("/metadata/uid").and_then(Value::as_str).filter(|meant| !meant.is_empty())
        && meant != uid
    {
        return Err(ApiError::conflict_because(
            at.kind,
            at.name,
            "the account is another one than was meant",
        ));
    }
    let Wish { audiences, seconds, shortened_from } = wish(at.name, body.value)?;
    let expires = server.objects().world.clock.now().checked_add(seconds.seconds());
    let expires = expires.map_err(|error| ApiError::internal(&error))?;
    let account = Account {
        namespace: at.namespace.unwrap_or_default().to_owned(),
        name: at.name.to_owned(),
        uid: uid.to_owned(),
        audiences: audiences.clone(),
    };
    // A try makes none that anybody could use.
    let token = match dry_run {
        true => String::new(),
        false => server.tokens().create(Role::ServiceAccount(account), Some(seconds)).await?,
    };
    let answer = json!({
        "apiVersion": API_VERSION, "kind": "TokenRequest",
        "metadata": {"name": at.name, "namespace": at.namespace, "creationTimestamp": null},
        "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": null},
        "status": {"token": token, "expirationTimestamp": prepare::time(expires)},
    });
    let warning = |asked| format!("requested expiration of {asked} seconds shortened to {seconds} seconds");
    let warnings: Vec<_> = shortened_from.map(warning).into_iter().collect();
    Ok(object_answer(StatusCode::CREATED, &answer, &warnings))
}

/// Of the audiences that somebody asks about, those that the bearer's token is for.
pub(crate) fn audiences(role: &Role, asked: &Value) -> Vec<String> {
    let asked: BTreeSet<String> = serde_json::from_value(asked.clone()).unwrap_or_default();
    let held = match role {
        Role::ServiceAccount(account) => account.audiences.clone(),
        _ => AUDIENCES.map(str::to_owned).into(),
    };
    let ours = |audience: &String| AUDIENCES.contains(&audience.as_str());
    let wanted = |audience: &String| if asked.is_empty() { ours(audience) } else { asked.contains(audience) };
    held.into_iter().filter(wanted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account {
            namespace: "a".into(),
            name: "ci".into(),
            uid: "u".into(),
            audiences: vec!["drover".into()],
        }
    }

    #[test]
    fn an_account_reads_in_its_own_namespace_what_is_no_secret_and_only_with_its_role() {
        let viewer = json!({"metadata": {"annotations": {ROLE: VIEW}}});
        let deed = |verb, group, resource, subresource, namespace| Deed {
            verb,
            group,
            resource,
            subresource,
            namespace,
        };
        for (deed, expected) in [
            (deed("get", "drover.dev", "timers", "", "a"), true),
            (deed("watch", "", "configmaps", "", "a"), true),
            (deed("list", "events.k8s.io", "events", "", "a"), true),
            (deed("get", "drover.dev", "services", "scale", "a"), true),
            (deed("get", "drover.dev", "timers", "", "b"), false),
            (deed("get", "drover.dev", "timers", "", ""), false),
            (deed("get", "", "secrets", "", "a"), false),
            (deed("create", "drover.dev", "timers", "", "a"), false),
            (deed("create", "", "serviceaccounts", "token", "a"), false),
            (deed("get", "drover.dev", "runs", "log", "a"), false),
            (deed("get", "", "nodes", "", "a"), false),
            (deed("*", "*", "*", "", "a"), false),
            (deed("get", "other.dev", "timers", "", "a"), false),
        ] {
            assert_eq!(may(&account(), &viewer, deed), expected, "{deed:?}");
            assert!(!may(&account(), &json!({"metadata": {}}), deed), "{deed:?}");
        }
    }

    #[test]
    fn a_token_lives_as_long_as_was_asked_for_within_bounds() {
        let asked = |spec: Value| wish("ci", json!({"spec": spec})).map_err(|error| error.code());
        let usual = asked(json!({})).unwrap();
        assert_eq!((usual.seconds, usual.audiences), (3600, vec!["drover".to_owned()]));
        assert_eq!(asked(json!({"expirationSeconds": 600})).unwrap().seconds, 600);
        let long = asked(json!({"expirationSeconds": 4_294_967_296_i64, "audiences": ["vault"]})).unwrap();
        assert_eq!((long.seconds, long.shortened_from), (86_400, Some(4_294_967_296)));
        for bad in [
            json!({"expirationSeconds": 599}),
            json!({"expirationSeconds": -1}),
            json!({"expirationSeconds": "1h"}),
            json!({"audiences": [""]}),
            json!({"audiences": "drover"}),
            json!({"audiences": vec!["x"; 17]}),
            json!({"boundObjectRef": {"kind": "Pod", "name": "p"}}),
        ] {
            assert_eq!(asked(bad.clone()), Err(422), "{bad}");
        }
        assert_eq!(asked(json!([])), Err(400));
    }

    #[test]
    fn only_what_the_server_has_is_told_to_everybody() {
        for path in ["/api", "/apis/", "/apis/drover.dev/v1", "/openapi/v3/api/v1", "/version", "/api/v1"] {
            assert!(is_for_all(path), "{path}");
        }
        for path in ["/metrics", "/", "/apis/drover.dev/v1/tokens", "/api/v1/nodes", "/backup"] {
            assert!(!is_for_all(path), "{path}");
        }
    }
}
