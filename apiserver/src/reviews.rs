//! Questions about who somebody is and what they may do (`authentication.k8s.io`, `authorization.k8s.io`). Nothing is
//! stored.
//!
//! The answers are those of the roles: who has a user's token may do everything, who has a node's or a join token may do
//! nothing here. Absent: RBAC.

use axum::body::Body;
use axum::response::Response;
use drover_types::Kind;
use http::request::Parts;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::answer::object_answer;
use crate::body::read_body;
use crate::content::decode_body;
use crate::error::ApiError;
use crate::identity::{Role, Tokens};
use crate::prepare::expect_type;

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

/// Who bears a token, as Kubernetes names users.
fn user(role: &Role) -> Value {
    let (name, group) = match role {
        Role::Admin { name } => (name.clone(), "drover:admins"),
        Role::Controller => ("drover:reconciler".to_owned(), "drover:controllers"),
        Role::Join { .. } => ("drover:join".to_owned(), "drover:joining"),
        Role::Node { name, .. } => (format!("system:node:{name}"), "system:nodes"),
    };
    json!({"username": name, "groups": [group, "system:authenticated"]})
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
        Role::Join { .. } => (false, "a join token is good for joining only"),
        Role::Node { .. } => (false, "a node's token is good for its session only"),
    }
}

/// Answers a question.
pub(crate) async fn answer(
    tokens: &Tokens,
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
        Review::Token => match tokens.identify(spec["token"].as_str().unwrap_or_default()).await {
            Ok(bearer) => json!({"authenticated": true, "user": user(&bearer)}),
            Err(error) => json!({"authenticated": false, "error": error.to_string()}),
        },
        Review::SelfSubjectAccess => {
            let (allowed, reason) = allowed(role, &spec);
            json!({"allowed": allowed, "reason": reason})
        }
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
            let known = tokens.has_user(spec["user"].as_str().unwrap_or_default());
            let reason = if known { "a user may do everything" } else { "no user of this name has a token" };
            json!({"allowed": known, "reason": reason})
        }
    };
    // A token is not sent back.
    let spec = if review == Review::Token { json!({}) } else { spec };
    let mut answer = json!({
        "apiVersion": api_version, "kind": review.kind(), "metadata": {"creationTimestamp": null}, "status": status,
    });
    if review != Review::SelfSubject {
        answer["spec"] = spec;
    }
    Ok(object_answer(StatusCode::CREATED, &answer, &[]))
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
