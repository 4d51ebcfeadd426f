//! ServiceAccounts: their tokens, and what those open.

use std::time::Duration;

use drover_client::{PatchKind, Request};
use hyper::Method;
use serde_json::{Value, json};

use crate::cluster::{Cluster, SPACE, code, host_id, uid};

const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";

async fn account(cluster: &Cluster, name: &str, role: Option<&str>) -> Value {
    let mut body = json!({"metadata": {"name": name}});
    if let Some(role) = role {
        body["metadata"]["annotations"] = json!({"drover.dev/role": role});
    }
    cluster.create(ACCOUNTS, &body).await
}

async fn token(cluster: &Cluster, name: &str, spec: Value) -> String {
    let asked = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec});
    let made = cluster.create(&format!("{ACCOUNTS}/{name}/token"), &asked).await;
    made["status"]["token"].as_str().unwrap().to_owned()
}

async fn get_as(cluster: &Cluster, token: &str, path: &str) -> u16 {
    match cluster.client(token).get::<Value>(path).await {
        Ok(_) => 200,
        Err(error) => code(&error),
    }
}

#[tokio::test]
async fn an_account_without_a_role_may_ask_who_it_is_and_nothing_else() {
    let cluster = Cluster::new().await;
    let made = account(&cluster, "ci", None).await;
    cluster.timer("t").await;
    let bearer = token(&cluster, "ci", json!({})).await;
    assert!(bearer.starts_with("drs_"), "the kind of a token can be seen");
    let client = cluster.client(&bearer);
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let who: Value =
        client.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", &review).await.unwrap();
    let expected = json!({
        "username": "system:serviceaccount:default:ci", "uid": uid(&made),
        "groups": ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
    });
    assert_eq!(who["status"]["userInfo"], expected);
    for path in ["/api", "/apis", "/apis/drover.dev/v1", "/version", "/openapi/v3"] {
        assert_eq!(get_as(&cluster, &bearer, path).await, 200, "{path}");
    }
    let timer = format!("{SPACE}/timers/t");
    for path in
        [&timer, "/api/v1/nodes", "/metrics", "/apis/drover.dev/v1/backup", ACCOUNTS, "/api/v1/secrets"]
    {
        assert_eq!(get_as(&cluster, &bearer, path).await, 403, "{path}");
    }
    let refused = client.get::<Value>(&timer).await.unwrap_err();
    let said = "timers.drover.dev \"t\" is forbidden: User \"system:serviceaccount:default:ci\" cannot get resource \
                \"timers\" in API group \"drover.dev\" in the namespace \"default\"";
    assert_eq!(refused.api().unwrap().status.message, said);
}

#[tokio::test]
async fn a_viewer_reads_its_own_namespace_save_secrets_and_writes_nothing_whatever_it_tries() {
    let cluster = Cluster::new().await;
    account(&cluster, "eye", Some("view")).await;
    cluster.timer("t").await;
    cluster.secret("s", "hunter2").await;
    cluster.create("/api/v1/namespaces", &json!({"metadata": {"name": "other"}})).await;
    cluster.node("n").await;
    let bearer = token(&cluster, "eye", json!({})).await;
    let timer = format!("{SPACE}/timers/t");
    for path in [
        &timer,
        &format!("{SPACE}/timers"),
        &format!("{SPACE}/timers?limit=1"),
        &format!("{timer}/status"),
        ACCOUNTS,
    ] {
        assert_eq!(get_as(&cluster, &bearer, path).await, 200, "{path}");
    }
    for path in [
        "/api/v1/namespaces/default/secrets",
        "/api/v1/namespaces/default/secrets/s",
        "/api/v1/namespaces/other/configmaps",
        "/apis/drover.dev/v1/timers",
        "/api/v1/configmaps",
        "/api/v1/nodes/n",
        "/api/v1/namespaces",
        "/api/v1/namespaces/default",
        &format!("{SPACE}/runs/r/log"),
        "/metrics",
    ] {
        assert_eq!(get_as(&cluster, &bearer, path).await, 403, "{path}");
    }
    let before = cluster.get(&timer).await;
    let bodies = json!({"metadata": {"name": "x", "annotations": {"drover.dev/role": "view"}}, "spec": {}});
    for (method, path) in [
        (Method::POST, "/api/v1/namespaces/default/configmaps".to_owned()),
        (Method::POST, format!("{ACCOUNTS}/eye/token")),
        (Method::POST, "/apis/drover.dev/v1/tokens".to_owned()),
        (Method::PUT, timer.clone()),
        (Method::PATCH, timer.clone()),
        (Method::PATCH, format!("{ACCOUNTS}/eye")),
        (Method::PUT, format!("{timer}/status")),
        (Method::DELETE, timer.clone()),
        (Method::DELETE, format!("{SPACE}/timers")),
        (Method::POST, format!("{timer}/trigger")),
        (Method::POST, format!("{SPACE}/tasks/t/run")),
        (Method::POST, "/apis/drover.dev/v1/nodes/n/join".to_owned()),
    ] {
        let mut request = Request::new(method.clone(), &path);
        let joins = json!({"hostId": host_id("n"), "labels": {}});
        request.body = if path.ends_with("/join") { &joins } else { &bodies }.to_string().into();
        let refused = cluster.client(&bearer).send(request).await.unwrap_err();
        assert_eq!(code(&refused), 403, "{method} {path}: {refused}");
    }
    assert_eq!(cluster.get(&timer).await, before);
    // The role is what the object says now.
    cluster.patch(&format!("{ACCOUNTS}/eye"), &json!({"metadata": {"annotations": null}})).await;
    assert_eq!(get_as(&cluster, &bearer, &timer).await, 403);
    for unknown in ["edit", "admin", ""] {
        let body = json!({"metadata": {"name": "big", "annotations": {"drover.dev/role": unknown}}});
        let refused = cluster.admin().create::<_, Value>(ACCOUNTS, &body).await.unwrap_err();
        assert_eq!(code(&refused), 422, "{unknown:?}");
    }
}

#[tokio::test]
async fn a_token_ends_with_its_time_and_with_its_account() {
    let cluster = Cluster::new().await;
    account(&cluster, "a", Some("view")).await;
    account(&cluster, "b", Some("view")).await;
    let path = format!("{ACCOUNTS}/a");
    let (short, long) = (
        token(&cluster, "a", json!({"expirationSeconds": 600})).await,
        token(&cluster, "a", json!({})).await,
    );
    cluster.clock.by(Duration::from_secs(601));
    assert_eq!(get_as(&cluster, &short, &path).await, 401);
    assert_eq!(get_as(&cluster, &long, &path).await, 200);
    let other = token(&cluster, "b", json!({})).await;
    cluster.delete(&path).await;
    assert_eq!(get_as(&cluster, &long, "/version").await, 401);
    account(&cluster, "a", Some("view")).await;
    assert_eq!(get_as(&cluster, &long, "/version").await, 401, "a later one of the name is another one");
    assert_eq!(get_as(&cluster, &other, &path).await, 200);
    // It survives a restart, as what was answered does.
    let cluster = cluster.restart().await;
    assert_eq!(get_as(&cluster, &other, &path).await, 200);
    // An account that only waits for a finalizer has none either.
    cluster.patch(&format!("{ACCOUNTS}/b"), &json!({"metadata": {"finalizers": ["a/b"]}})).await;
    cluster.delete(&format!("{ACCOUNTS}/b")).await;
    assert_eq!(get_as(&cluster, &other, "/version").await, 401);
    let refused = cluster.admin().create::<_, Value>(&format!("{ACCOUNTS}/b/token"), &json!({})).await;
    assert_eq!(code(&refused.unwrap_err()), 409);
}

#[tokio::test]
async fn a_token_is_for_those_that_it_names() {
    let cluster = Cluster::new().await;
    account(&cluster, "a", Some("view")).await;
    let vault = token(&cluster, "a", json!({"audiences": ["vault"]})).await;
    assert_eq!(get_as(&cluster, &vault, "/version").await, 401);
    let ours = token(&cluster, "a", json!({"audiences": ["vault", "https://kubernetes.default.svc"]})).await;
    assert_eq!(get_as(&cluster, &ours, "/version").await, 200);
    let review = async |token: &str, audiences: Value| {
        let spec = json!({"token": token, "audiences": audiences});
        let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec});
        cluster.create("/apis/authentication.k8s.io/v1/tokenreviews", &body).await["status"].clone()
    };
    let status = review(&vault, json!(["vault", "other"])).await;
    assert_eq!((&status["authenticated"], &status["audiences"]), (&true.into(), &json!(["vault"])));
    assert_eq!(status["user"]["username"], "system:serviceaccount:default:a");
    assert_eq!(review(&vault, json!(null)).await["authenticated"], false);
    assert_eq!(review(&ours, json!(["other"])).await["authenticated"], false);
    assert_eq!(review(&ours, json!(null)).await["authenticated"], true);
    let admin = review(cluster.server.admin_token(), json!(null)).await;
    assert_eq!(admin["authenticated"], true);
    cluster.delete(&format!("{ACCOUNTS}/a")).await;
    assert_eq!(review(&ours, json!(null)).await["authenticated"], false);
}

#[tokio::test]
async fn what_an_account_may_do_is_told_as_it_is() {
    let cluster = Cluster::new().await;
    account(&cluster, "eye", Some("view")).await;
    let bearer = token(&cluster, "eye", json!({})).await;
    let attributes = |verb: &str, resource: &str, namespace: &str| {
        let group = if matches!(resource, "secrets" | "configmaps") { "" } else { "drover.dev" };
        json!({"verb": verb, "group": group, "resource": resource, "namespace": namespace})
    };
    let at = "/apis/authorization.k8s.io/v1";
    for (asked, expected) in [
        (attributes("get", "timers", "default"), true),
        (attributes("watch", "configmaps", "default"), true),
        (attributes("get", "secrets", "default"), false),
        (attributes("get", "timers", "other"), false),
        (attributes("delete", "timers", "default"), false),
    ] {
        let body = json!({"kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": asked}});
        let said: Value =
            cluster.client(&bearer).create(&format!("{at}/selfsubjectaccessreviews"), &body).await.unwrap();
        assert_eq!(said["status"]["allowed"], expected, "{asked}");
        let user = "system:serviceaccount:default:eye";
        let body =
            json!({"kind": "SubjectAccessReview", "spec": {"user": user, "resourceAttributes": asked}});
        let said = cluster.create(&format!("{at}/subjectaccessreviews"), &body).await;
        assert_eq!(said["status"]["allowed"], expected, "{asked}");
        // Others are none of its business.
        let refused =
            cluster.client(&bearer).create::<_, Value>(&format!("{at}/subjectaccessreviews"), &body).await;
        assert_eq!(code(&refused.unwrap_err()), 403);
    }
    let body = json!({"kind": "SelfSubjectRulesReview", "spec": {"namespace": "default"}});
    let rules: Value =
        cluster.client(&bearer).create(&format!("{at}/selfsubjectrulesreviews"), &body).await.unwrap();
    let rules = rules["status"]["resourceRules"].to_string();
    assert!(rules.contains("timers") && !rules.contains("secrets") && !rules.contains("nodes"), "{rules}");
}

#[tokio::test]
async fn a_request_for_a_token_that_cannot_be_is_refused_and_a_long_one_is_shortened() {
    let cluster = Cluster::new().await;
    let made = account(&cluster, "a", None).await;
    let path = format!("{ACCOUNTS}/a/token");
    let admin = cluster.admin();
    for (path, body, expected) in [
        (format!("{ACCOUNTS}/nobody/token"), json!({}), 404),
        (path.clone(), json!({"spec": {"expirationSeconds": 10}}), 422),
        (path.clone(), json!({"spec": {"boundObjectRef": {"kind": "Pod", "name": "p"}}}), 422),
        (path.clone(), json!({"kind": "ServiceAccount"}), 400),
        (path.clone(), json!([]), 400),
        (path.clone(), json!({"metadata": {"uid": "another"}}), 409),
        (format!("{SPACE}/timers/t/token"), json!({}), 404),
    ] {
        let refused = admin.create::<_, Value>(&path, &body).await.unwrap_err();
        assert_eq!(code(&refused), expected, "{path} {body}: {refused}");
    }
    assert_eq!(code(&admin.get::<Value>(&path).await.unwrap_err()), 405);
    let mut request = Request::new(Method::POST, &path);
    request.body =
        json!({"metadata": {"uid": uid(&made)}, "spec": {"expirationSeconds": 172_800}}).to_string().into();
    let answer = admin.send(request).await.unwrap();
    assert_eq!(answer.status, 201);
    assert!(answer.headers["warning"].to_str().unwrap().contains("shortened to 86400 seconds"));
    let told: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(told["spec"]["expirationSeconds"], 86_400);
    let tried: Value = admin.create(&format!("{path}?dryRun=All"), &json!({})).await.unwrap();
    assert_eq!(tried["status"]["token"], "");
    // The object never shows one.
    let object = cluster.get(&format!("{ACCOUNTS}/a")).await;
    assert!(!object.to_string().contains("drs_"));
    admin
        .patch::<_, Value>(&format!("{ACCOUNTS}/a"), PatchKind::Merge, &json!({"secrets": [{"name": "x"}]}))
        .await
        .unwrap();
}
