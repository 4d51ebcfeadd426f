//! The verbs on objects, and how they refuse.

use std::sync::Arc;

use drover_apiserver::{Server, ServerOptions};
use drover_client::{BoxStream, Client, DeleteOptions, Error, FnDial, PatchKind, Preconditions, Request};
use drover_store::{Options, SqliteStore};
use drover_world::{Entropy, World};
use hyper::Method;
use serde_json::{Value, json};

use crate::cluster::{Cluster, SPACE, code, uid};

const CONFIG: &str = "/api/v1/namespaces/default/configmaps";

async fn send(
    cluster: &Cluster,
    method: Method,
    path: &str,
    headers: &[(&'static str, &str)],
) -> (u16, String) {
    let mut request = Request::new(method, path);
    request.body = "{}".into();
    for (name, value) in headers {
        request.headers.insert(*name, value.parse().unwrap());
    }
    match cluster.admin().send(request).await {
        Ok(answer) => (answer.status.as_u16(), String::from_utf8(answer.body.to_vec()).unwrap()),
        Err(Error::Api(refused)) => (refused.status.code, refused.status.message),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_said_in_the_way_clients_know() {
    let cluster = Cluster::new().await;
    cluster.timer("t").await;
    let timers = format!("{SPACE}/timers");
    let timer = format!("{SPACE}/timers/t");
    let everywhere = "/apis/drover.dev/v1/timers";
    let yaml = [("content-type", "application/x-www-form-urlencoded")];
    let protobuf = [("accept", "application/vnd.kubernetes.protobuf")];
    let written_in_protobuf = [("content-type", "application/vnd.kubernetes.protobuf")];
    let both = [("accept", "application/vnd.kubernetes.protobuf,application/json;q=0.5")];
    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")];
    for (method, path, headers, expected) in [
        (Method::GET, "/apis/nobody.dev/v1/things", &[][..], 404),
        (Method::GET, "/apis/drover.dev/v1/namespaces/default/timers/t/scale", &[], 404),
        (Method::GET, "/api/v1/namespaces/default/secrets/s/status", &[], 404),
        (Method::PUT, &timers, &[], 405),
        (Method::POST, &timer, &[], 405),
        (Method::DELETE, &format!("{timer}/status"), &[], 405),
        (Method::POST, everywhere, &[], 405),
        (Method::DELETE, everywhere, &[], 405),
        (Method::GET, everywhere, &[], 200),
        (Method::GET, &timer, &protobuf, 406),
        (Method::GET, "/apis", &protobuf, 406),
        (Method::GET, "/version", &protobuf, 406),
        (Method::POST, "/apis/drover.dev/v1/tokens", &protobuf, 406),
        (Method::PUT, &format!("{timer}/status"), &written_in_protobuf, 415),
        (Method::GET, &timer, &both, 200),
        (Method::GET, &timers, &table, 200),
        (Method::POST, &timers, &yaml, 415),
        (Method::PATCH, &timer, &[("content-type", "application/json")], 415),
    ] {
        let (got, text) = send(&cluster, method.clone(), path, headers).await;
        assert_eq!(got, expected, "{method} {path} {headers:?}: {text}");
    }
    let (_, text) = send(&cluster, Method::GET, "/apis/nobody.dev/v1/things", &[]).await;
    assert!(text.contains("404 page not found"), "{text}");
}

#[tokio::test]
async fn selectors_that_are_not_supported_are_refused_and_the_others_select() {
    let cluster = Cluster::new().await;
    for (name, on) in [("a", "yes"), ("b", "no"), ("c", "maybe")] {
        let body = json!({"metadata": {"name": name, "labels": {"on": on, "name": name}}});
        cluster.create(CONFIG, &body).await;
    }
    cluster.secret("s", "v").await;
    let selected = async |query: &str| {
        let list = cluster.get(&format!("{CONFIG}?{query}")).await;
        let items = list["items"].as_array().unwrap().iter();
        items.map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect::<String>()
    };
    for (query, expected) in [
        ("labelSelector=on%20in%20(yes,no)", "ab"),
        ("labelSelector=on%20notin%20(yes),name", "bc"),
        ("labelSelector=!on", ""),
        ("labelSelector=on!%3Dno,name%3D%3Da", "a"),
        ("fieldSelector=metadata.name%3Db", "b"),
        ("fieldSelector=metadata.name!%3Db,", "ac"),
        ("fieldSelector=metadata.name%3Db,metadata.name%3Db", "b"),
        ("fieldSelector=metadata.namespace%3Delsewhere", ""),
        ("&limit=500&timeout=32s&pretty=true", "abc"),
    ] {
        assert_eq!(selected(query).await, expected, "{query}");
    }
    let secrets = "/api/v1/namespaces/default/secrets";
    let opaque = cluster.get(&format!("{secrets}?fieldSelector=type%3DOpaque")).await;
    assert_eq!(opaque["items"].as_array().unwrap().len(), 1);
    for (path, message) in [
        (format!("{CONFIG}?fieldSelector=data.a%3Db"), "field label not supported: data.a"),
        (format!("{CONFIG}?labelSelector=a%20b"), "unable to parse label selector"),
        ("/api/v1/nodes?fieldSelector=metadata.namespace%3Dx".into(), "field label not supported"),
        (format!("{CONFIG}?limit=-1"), "limit"),
    ] {
        let error = cluster.admin().get::<Value>(&path).await.unwrap_err();
        assert_eq!(code(&error), 400, "{path}");
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[tokio::test]
async fn a_continue_belongs_to_one_history_and_an_old_one_says_how_to_go_on() {
    let cluster = Cluster::new().await;
    for name in ["a", "b", "c"] {
        cluster.create(CONFIG, &json!({"metadata": {"name": name}})).await;
    }
    let elsewhere = Cluster::new().await;
    for name in ["a", "b", "c"] {
        elsewhere.create(CONFIG, &json!({"metadata": {"name": name}})).await;
    }
    let foreign = elsewhere.get(&format!("{CONFIG}?limit=1")).await["metadata"]["continue"].clone();
    let with_foreign = format!("{CONFIG}?continue={}", foreign.as_str().unwrap());
    let error = cluster.admin().get::<Value>(&with_foreign).await.unwrap_err();
    assert!(error.is_gone(), "{error}");
    // The body has what the client's own type leaves out.
    let token = raw_status(&cluster, &with_foreign).await;
    let next = token["metadata"]["continue"].as_str().unwrap();
    let rest = cluster.get(&format!("{CONFIG}?continue={next}")).await;
    let names: Vec<_> = rest["items"].as_array().unwrap().iter().map(|i| &i["metadata"]["name"]).collect();
    assert_eq!(names, ["b", "c"]);
    for wrong in ["!", "e30"] {
        let error = cluster.admin().get::<Value>(&format!("{CONFIG}?continue={wrong}")).await.unwrap_err();
        assert_eq!(code(&error), 400);
    }
    let future = cluster.admin().get::<Value>(&format!("{CONFIG}?resourceVersion=99999")).await.unwrap_err();
    assert_eq!(code(&future), 504);
    assert_eq!(
        future.api().unwrap().status.details.as_ref().unwrap().causes[0].reason,
        "ResourceVersionTooLarge"
    );
}

async fn raw_status(cluster: &Cluster, path: &str) -> Value {
    use http_body_util::{BodyExt as _, Empty};
    let (near, far) = tokio::io::duplex(64 << 10);
    let server = cluster.server.clone();
    tokio::spawn(async move { server.serve_connection(far).await });
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(near)).await.unwrap();
    tokio::spawn(connection);
    let request = hyper::Request::get(path)
        .header("authorization", format!("Bearer {}", cluster.server.admin_token()))
        .body(Empty::<bytes::Bytes>::new())
        .unwrap();
    let body = sender.send_request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn concurrent_writes_that_name_a_version_lose_no_increment() {
    let cluster = Arc::new(Cluster::new().await);
    cluster.create(CONFIG, &json!({"metadata": {"name": "sum"}, "data": {"n": "0"}})).await;
    let path = format!("{CONFIG}/sum");
    let adders: Vec<_> = (0..8)
        .map(|_| {
            let (cluster, path) = (cluster.clone(), path.clone());
            tokio::spawn(async move {
                let client = cluster.admin();
                for _ in 0..10 {
                    loop {
                        let mut object: Value = client.get(&path).await.unwrap();
                        let n: u64 = object["data"]["n"].as_str().unwrap().parse().unwrap();
                        object["data"]["n"] = (n + 1).to_string().into();
                        match client.replace::<_, Value>(&path, &object).await {
                            Ok(_) => break,
                            Err(error) => assert!(error.is_conflict(), "{error}"),
                        }
                    }
                }
            })
        })
        .collect();
    for adder in adders {
        adder.await.unwrap();
    }
    assert_eq!(cluster.get(&path).await["data"]["n"], "80");
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_and_changes_nothing() {
    let cluster = Cluster::new().await;
    let admin = cluster.admin();
    let timers = format!("{SPACE}/timers");
    let timer = cluster.timer("t").await;
    let path = format!("{timers}/t");
    let before = cluster.get(&timers).await;
    let body = json!({
        "metadata": {"name": "new"}, "spec": {"every": "1h", "template": {"process": {"command": ["x"]}}},
    });
    let made: Value = admin.create(&format!("{timers}?dryRun=All"), &body).await.unwrap();
    assert_eq!(made["metadata"]["name"], "new");
    let twice = admin.create::<_, Value>(&format!("{timers}?dryRun=All"), &timer).await.unwrap_err();
    assert!(twice.is_already_exists());
    let patch = json!({"spec": {"every": "2h"}});
    let patched: Value = admin.patch(&format!("{path}?dryRun=All"), PatchKind::Merge, &patch).await.unwrap();
    assert_eq!((&patched["spec"]["every"], &patched["metadata"]["generation"]), (&json!("2h"), &json!(2)));
    let owner = json!({"metadata": {"ownerReferences": [{
        "apiVersion": "drover.dev/v1", "kind": "Timer", "name": "t", "uid": uid(&timer),
    }]}});
    let cycle = admin.patch::<_, Value>(&format!("{path}?dryRun=All"), PatchKind::Merge, &owner).await;
    assert!(cycle.unwrap_err().is_invalid());
    let in_body = json!({"dryRun": ["All"]});
    let mut request = Request::new(Method::DELETE, &path);
    request.body = in_body.to_string().into();
    assert_eq!(admin.send(request).await.unwrap().status, 200);
    assert_eq!(cluster.get(&timers).await, before, "not even a revision was taken");
}

#[tokio::test]
async fn a_manifest_of_a_namespace_does_not_let_go_of_what_is_in_it() {
    let cluster = Cluster::new().await;
    let admin = cluster.admin();
    let spaces = "/api/v1/namespaces";
    let space = cluster.create(spaces, &json!({"metadata": {"name": "team"}})).await;
    let path = format!("{spaces}/team");
    let finalizers = json!(["kubernetes"]);
    assert_eq!(space["spec"]["finalizers"], finalizers);
    let manifest = json!({"metadata": {"name": "team", "labels": {"a": "b"}}});
    let put: Value = admin.replace(&path, &manifest).await.unwrap();
    assert_eq!(put["spec"]["finalizers"], finalizers);
    let emptied = json!({"spec": {"finalizers": []}});
    let patched: Value = admin.patch(&path, PatchKind::Merge, &emptied).await.unwrap();
    assert_eq!(patched["spec"]["finalizers"], finalizers);
    cluster.delete(&path).await;
    let going = cluster.get(&path).await;
    assert_eq!(going["status"]["phase"], "Terminating");
    let late = admin
        .create::<_, Value>(&format!("{path}/configmaps"), &json!({"metadata": {"name": "x"}}))
        .await
        .unwrap_err();
    assert_eq!(code(&late), 403);
    assert!(late.to_string().contains("being terminated"), "{late}");
    // What is in it is gone, says the one who saw to it.
    admin.patch::<_, Value>(&path, PatchKind::Merge, &emptied).await.unwrap();
    assert!(!cluster.exists(&path).await);
}

#[tokio::test]
async fn nothing_cluster_wide_is_owned_by_what_is_in_a_namespace() {
    let cluster = Cluster::new().await;
    let timer = cluster.timer("t").await;
    let owned = |name: &str| {
        json!({"metadata": {"name": name, "ownerReferences": [{
            "apiVersion": "drover.dev/v1", "kind": "Timer", "name": "t", "uid": uid(&timer),
        }]}})
    };
    let pools = "/apis/drover.dev/v1/nodepools";
    let admin = cluster.admin();
    let refused = admin.create::<_, Value>(pools, &owned("p")).await.unwrap_err();
    assert!(refused.is_invalid());
    assert_eq!(
        refused.api().unwrap().status.details.as_ref().unwrap().causes[0].field,
        "metadata.ownerReferences[0]"
    );
    cluster.create(pools, &json!({"metadata": {"name": "p"}})).await;
    let path = format!("{pools}/p");
    assert!(admin.patch::<_, Value>(&path, PatchKind::Merge, &owned("p")).await.unwrap_err().is_invalid());
    // In the namespace it is fine.
    cluster.create(CONFIG, &owned("c")).await;
}

#[tokio::test]
async fn a_delete_is_of_the_object_that_was_meant() {
    let cluster = Cluster::new().await;
    let config = cluster.create(CONFIG, &json!({"metadata": {"name": "c"}})).await;
    let path = format!("{CONFIG}/c");
    let admin = cluster.admin();
    let of = |uid: &str, version: Option<&str>| DeleteOptions {
        preconditions: Some(Preconditions {
            uid: Some(uid.into()),
            resource_version: version.map(str::to_owned),
        }),
        propagation_policy: None,
    };
    assert!(admin.delete(&path, &of("another", None)).await.unwrap_err().is_conflict());
    assert!(admin.delete(&path, &of(&uid(&config), Some("1"))).await.unwrap_err().is_conflict());
    let foreground = DeleteOptions { propagation_policy: Some("Foreground".into()), preconditions: None };
    let held = admin.delete(&path, &foreground).await.unwrap();
    assert_eq!(held["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    let version = cluster.get(&path).await["metadata"]["resourceVersion"].clone();
    admin.delete(&path, &foreground).await.unwrap();
    assert_eq!(cluster.get(&path).await["metadata"]["resourceVersion"], version, "asked twice is asked once");
    let wrong = DeleteOptions { propagation_policy: Some("Sideways".into()), preconditions: None };
    assert_eq!(code(&admin.delete(&path, &wrong).await.unwrap_err()), 400);
}

#[tokio::test]
async fn no_answer_repeats_a_secret() {
    let cluster = Cluster::new().await;
    let admin = cluster.admin();
    let secrets = "/api/v1/namespaces/default/secrets";
    for data in [
        json!({"data": {"password": "hunter2-not-base64!"}}),
        json!({"data": {"password": 20_240_229}}),
        json!({"stringData": {"password": 20_240_229}}),
        json!({"stringData": {"password": ["hunter2"]}}),
        json!({"data": {"password": {"hunter2": "hunter2"}}}),
        json!({"stringData": {"pass word": "hunter2"}}),
        json!({"data": "hunter2"}),
    ] {
        let mut body = data.clone();
        body["metadata"] = json!({"name": "s"});
        let error = admin.create::<_, Value>(secrets, &body).await.unwrap_err();
        let told = format!("{:?}", error.api().unwrap().status);
        assert!(!told.contains("hunter2") && !told.contains("20240229"), "{data}: {told}");
        assert_eq!(code(&error), 422, "{told}");
    }
}

/// The same bytes again and again.
struct Same;

impl Entropy for Same {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
}

#[tokio::test]
async fn a_generated_name_that_is_taken_is_a_conflict_and_not_an_overwrite() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path(), Options::new(|| 1)).unwrap();
    let world = World { entropy: Arc::new(Same), ..World::system() };
    let options = ServerOptions::new(dir.path(), vec!["localhost".into()]);
    let server = Server::start(Arc::new(store), world, options).await.unwrap();
    let token = server.admin_token().to_owned();
    let dial = FnDial(move || {
        let (near, far) = tokio::io::duplex(64 << 10);
        let server = server.clone();
        tokio::spawn(async move { server.serve_connection(far).await });
        Ok(Box::new(near) as BoxStream)
    });
    let client = Client::new(Arc::new(dial), "drover").unwrap().with_token(&token).unwrap();
    let body = json!({"metadata": {"generateName": "job-"}});
    let made: Value = client.create(CONFIG, &body).await.unwrap();
    let name = made["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("job-") && name.len() == 9, "{name}");
    assert!(client.create::<_, Value>(CONFIG, &body).await.unwrap_err().is_already_exists());
}
