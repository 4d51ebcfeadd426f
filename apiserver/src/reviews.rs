//! Questions about who somebody is and what they may do (`authentication.k8s.io`, `authorization.k8s.io`). Nothing is
//! stored.
//!
//! The answers are those of the roles: who has a user's token may do everything, who has a node's or a join token may do
//! nothing here, and a ServiceAccount may do what its object says. Absent: RBAC.

use axum::body::Body;
use axum::response::Response;
use drover_types::Kind;
use http::request::Parts;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::accounts::{self, Deed};
use crate::answer::object_answer;
use crate::body::read_body;
use crate::content::decode_body;
use crate::error::ApiError;
use crate::identity::{Account, Role};
use crate::objects::{Objects, Place};
use crate::prepare::{self, expect_type};
use crate::server::Server;

/// A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Review {
    /// Who am I?
    SelfSubject,
    /// Whose token is this?
    Token,
    /// May I do this?
    SelfSubjectAccess,
    /// What may I do?
    SelfSubjectRules,
    /// May somebody do this?
    SubjectAccess,
}

impl Review {
    pub(crate) const ALL: [Self; 5] = [
        Self::SelfSubject,
        Self::Token,
        Self::SelfSubjectAccess,
        Self::SelfSubjectRules,
        Self::SubjectAccess,
    ];

    const fn names(self) -> (&'static str, &'static str, &'static str, &'static str) {
        const WHO: &str = "authentication.k8s.io";
        const MAY: &str = "authorization.k8s.io";
        match self {
            Self::SelfSubject => (WHO, "SelfSubjectReview", "selfsubjectreviews", "selfsubjectreview"),
            Self::Token => (WHO, "TokenReview", "tokenreviews", "tokenreview"),
            Self::SelfSubjectAccess => {
                (MAY, "SelfSubjectAccessReview", "selfsubjectaccessreviews", "selfsubjectaccessreview")
            }
            Self::SelfSubjectRules => {
                (MAY, "SelfSubjectRulesReview", "selfsubjectrulesreviews", "selfsubjectrulesreview")
            }
            Self::SubjectAccess => {
                (MAY, "SubjectAccessReview", "subjectaccessreviews", "subjectaccessreview")
            }
        }
    }

    pub(crate) const fn group(self) -> &'static str {
        self.names().0
    }

    pub(crate) const fn kind(self) -> &'static str {
        self.names().1
    }

    pub(crate) const fn plural(self) -> &'static str {
        self.names().2
    }

    pub(crate) const fn singular(self) -> &'static str {
        self.names().3
    }

    /// The question that is asked at a path.
    pub(crate) fn at(path: &str) -> Option<Self> {
        let segments: Vec<_> = path.trim_matches('/').split('/').collect();
        let ["apis", group, "v1", plural] = segments.as_slice() else { return None };
        Self::ALL.into_iter().find(|review| (review.group(), review.plural()) == (group, plural))
    }
}

const BY_ROLE: &str = "a ServiceAccount may do what its annotation drover.dev/role says";

/// Who bears a token, as Kubernetes names users.
fn user(role: &Role) -> Value {
    let (name, group) = match role {
        Role::ServiceAccount(account) => {
            let groups = [
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{}", account.namespace),
                "system:authenticated".to_owned(),
            ];
            return json!({"username": account.user(), "uid": account.uid, "groups": groups});
        }
        Role::Admin { name } => (name.clone(), "drover:admins"),
        Role::Controller => ("drover:reconciler".to_owned(), "drover:controllers"),
        Role::Join { .. } => ("drover:join".to_owned(), "drover:joining"),
        Role::Node { name, .. } => (format!("system:node:{name}"), "system:nodes"),
    };
    json!({"username": name, "groups": [group, "system:authenticated"]})
}

/// Whether an account may do what is asked.
fn account_may(objects: &Objects, account: &Account, spec: &Value) -> Result<bool, ApiError> {
    let text = |pointer: &str| spec.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    if spec.get("nonResourceAttributes").is_some_and(Value::is_object) {
        let path = text("/nonResourceAttributes/path");
        return Ok(text("/nonResourceAttributes/verb") == "get" && accounts::is_for_all(path));
    }
    let deed = Deed {
        verb: text("/resourceAttributes/verb"),
        group: text("/resourceAttributes/group"),
        resource: text("/resourceAttributes/resource"),
        subresource: text("/resourceAttributes/subresource"),
        namespace: text("/resourceAttributes/namespace"),
    };
    Ok(objects.account(account)?.is_some_and(|object| accounts::may(account, &object, deed)))
}

/// The account of a name as Kubernetes gives it to users.
fn account_named(objects: &Objects, user: &str) -> Result<Option<Account>, ApiError> {
    let named = user.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
    let Some((namespace, name)) = named else { return Ok(None) };
    let found = objects.find(Place { kind: Kind::ServiceAccount, namespace: Some(namespace), name })?;
    Ok(found.map(|held| Account {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        uid: prepare::text(&held.object, "uid").to_owned(),
        audiences: Vec::new(),
    }))
}

/// Whether this role may do what is asked, and why.
fn allowed(role: &Role, spec: &Value) -> (bool, &'static str) {
    let of_kind = |group: &str, plural: &str| {
        Kind::ALL.into_iter().any(|kind| (kind.names().group, kind.names().plural) == (group, plural))
    };
    match role {
        Role::Admin { .. } => (true, "who has a user's token may do everything"),
        Role::Controller => {
            let text = |member: &str| {
                spec.pointer(&format!("/resourceAttributes/{member}")).and_then(Value::as_str).unwrap_or("")
            };
            (of_kind(text("group"), text("resource")), "the reconciler may read and write objects")
        }
        Role::ServiceAccount(_) => (false, BY_ROLE),
        Role::Join { .. } => (false, "a join token is good for joining only"),
        Role::Node { .. } => (false, "a node's token is good for its session only"),
    }
}

/// Answers a question.
pub(crate) async fn answer(
    server: &Server,
    review: Review,
    role: &Role,
    (parts, body): (&Parts, Body),
) -> Result<Response, ApiError> {
    if parts.method != Method::POST {
        return Err(ApiError::method_not_allowed(&parts.method));
    }
    let bytes = read_body(&parts.headers, body).await?;
    let mut asked = decode_body(&parts.headers, &bytes)?.value;
    let api_version = format!("{}/v1", review.group());
    if let Some(members) = asked.as_object_mut() {
        expect_type(members, &api_version, review.kind())?;
    }
    let spec = asked.get("spec").cloned().unwrap_or_else(|| json!({}));
    let status = match review {
        Review::SelfSubject => json!({"userInfo": user(role)}),
        // Whose tokens are good is told to nobody but those who may make them.
        Review::Token | Review::SubjectAccess if !matches!(role, Role::Admin { .. }) => {
            return Err(ApiError::new(
                403,
                "Forbidden",
                format!(
                    "{}.{} is forbidden: only a user may ask about others",
                    review.plural(),
                    review.group()
                ),
            ));
        }
        Review::Token => token_review(server, &spec).await?,
        Review::SelfSubjectAccess => {
            let (mut is_allowed, reason) = allowed(role, &spec);
            if let Role::ServiceAccount(account) = role {
                is_allowed = account_may(server.objects(), account, &spec)?;
            }
            json!({"allowed": is_allowed, "reason": reason})
        }
        Review::SelfSubjectRules if matches!(role, Role::ServiceAccount(_)) => rules(server, role, &spec)?,
        Review::SelfSubjectRules => {
            let all = matches!(role, Role::Admin { .. });
            let rules = |rule: Value| if all { vec![rule] } else { Vec::new() };
            json!({
                "resourceRules": rules(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]})),
                "nonResourceRules": rules(json!({"verbs": ["*"], "nonResourceURLs": ["*"]})),
                "incomplete": false,
            })
        }
        Review::SubjectAccess => {
            let name = spec["user"].as_str().unwrap_or_default();
            if let Some(account) = account_named(server.objects(), name)? {
                let is_allowed = account_may(server.objects(), &account, &spec)?;
                return Ok(answered(review, &spec, json!({"allowed": is_allowed, "reason": BY_ROLE})));
            }
            let known = server.tokens().has_user(name);
            let reason = if known { "a user may do everything" } else { "no user of this name has a token" };
            json!({"allowed": known, "reason": reason})
        }
    };
    Ok(answered(review, &spec, status))
}

fn answered(review: Review, spec: &Value, status: Value) -> Response {
    let mut answer = json!({
        "apiVersion": format!("{}/v1", review.group()), "kind": review.kind(),
        "metadata": {"creationTimestamp": null}, "status": status,
    });
    if review != Review::SelfSubject {
        // A token is not sent back.
        answer["spec"] = if review == Review::Token { json!({}) } else { spec.clone() };
    }
    object_answer(StatusCode::CREATED, &answer, &[])
}

/// Whose token it is, and for whom.
async fn token_review(server: &Server, spec: &Value) -> Result<Value, ApiError> {
    let unknown = |error: &str| json!({"authenticated": false, "error": error});
    let bearer = match server.tokens().identify(spec["token"].as_str().unwrap_or_default()).await {
        Ok(bearer) => bearer,
        Err(error) => return Ok(unknown(&error.to_string())),
    };
    if let Role::ServiceAccount(account) = &bearer
        && server.objects().account(account)?.is_none()
    {
        return Ok(unknown("the account of this token is gone"));
    }
    let audiences = accounts::audiences(&bearer, &spec["audiences"]);
    if audiences.is_empty() {
        return Ok(unknown("the token is not for this audience"));
    }
    Ok(json!({"authenticated": true, "user": user(&bearer), "audiences": audiences}))
}

/// What an account may do in a namespace.
fn rules(server: &Server, role: &Role, spec: &Value) -> Result<Value, ApiError> {
    let mut held = Vec::new();
    if let Role::ServiceAccount(account) = role {
        let object = server.objects().account(account)?;
        let namespace = spec["namespace"].as_str().unwrap_or_default();
        for resource in Kind::ALL.map(Kind::names) {
            let (group, resource) = (resource.group, resource.plural);
            let deed = Deed { verb: "get", group, resource, subresource: "", namespace };
            if object.as_ref().is_some_and(|object| accounts::may(account, object, deed)) {
                held.push(json!({
                    "verbs": ["get", "list", "watch"], "apiGroups": [group], "resources": [resource],
                }));
            }
        }
    }
    let paths =
        ["/api", "/api/*", "/apis", "/apis/*", "/openapi/*", "/version", "/healthz", "/livez", "/readyz"];
    Ok(json!({
        "resourceRules": held, "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": paths}],
        "incomplete": false,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_asks_one_question_or_none() {
        let at = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        assert_eq!(Review::at(at), Some(Review::SelfSubjectAccess));
        for nothing in ["/apis/authorization.k8s.io/v1/tokenreviews", "/apis/authorization.k8s.io/v1", "/"] {
            assert_eq!(Review::at(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn only_who_has_a_users_token_may_do_everything() {
        let spec =
            json!({"resourceAttributes": {"group": "drover.dev", "resource": "timers", "verb": "delete"}});
        let node = Role::Node { name: "n".into(), uid: "u".into() };
        assert!(allowed(&Role::Admin { name: "a".into() }, &spec).0);
        assert!(allowed(&Role::Controller, &spec).0);
        assert!(!allowed(&Role::Controller, &json!({"nonResourceAttributes": {"path": "/metrics"}})).0);
        assert!(!allowed(&node, &spec).0);
        assert_eq!(user(&node)["username"], "system:node:n");
    }
}
