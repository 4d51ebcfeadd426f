//! What clients may rely on, over a pipe in memory and a real store.

use std::sync::Arc;

use bytes::Bytes;
use drover_apiserver::{MAX_BODY, Server, ServerOptions};
use drover_store::{Options, SqliteStore};
use drover_world::World;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

const TIMERS: &str = "/apis/drover.dev/v1/namespaces/default/timers";

struct Fixture {
    server: Server,
    _dir: tempfile::TempDir,
}

type Answer = (u16, Value);

impl Fixture {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let world = World::system();
        let entropy = world.clone();
        let store = SqliteStore::open(dir.path(), Options::new(move || entropy.uuid_v4().as_u128())).unwrap();
        let options = ServerOptions::new(dir.path(), vec!["localhost".into()]);
        let server = Server::start(Arc::new(store), world, options).await.unwrap();
        Self { server, _dir: dir }
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Response<hyper::body::Incoming> {
        let (near, far) = tokio::io::duplex(64 << 10);
        let server = self.server.clone();
        tokio::spawn(async move { server.serve_connection(far).await });
        let (mut sender, connection) = http1::handshake(TokioIo::new(near)).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    }

    fn request(&self, method: Method, path: &str, body: &str) -> Request<Full<Bytes>> {
        let kind = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        Request::builder()
            .method(method)
            .uri(path)
            .header("host", "drover")
            .header("authorization", format!("Bearer {}", self.server.admin_token()))
            .header("content-type", kind)
            .body(Full::new(Bytes::from(body.to_owned())))
            .unwrap()
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Answer {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let response = self.send(self.request(method, path, &text)).await;
        let code = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (code, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn watch(&self, path: &str) -> Lines {
        let response = self.send(self.request(Method::GET, path, "")).await;
        assert_eq!(response.status(), 200);
        Lines { body: response.into_body(), held: Vec::new() }
    }
}

struct Lines {
    body: hyper::body::Incoming,
    held: Vec<u8>,
}

impl Lines {
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.held.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.held.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = self.body.frame().await?.unwrap();
            self.held.extend_from_slice(&frame.into_data().unwrap());
        }
    }

    /// Type and name.
    async fn event(&mut self) -> (String, String) {
        let event = self.next().await.unwrap();
        let text = |pointer: &str| event.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        (text("/type"), text("/object/metadata/name"))
    }
}

fn pair(kind: &str, name: &str) -> (String, String) {
    (kind.into(), name.into())
}

fn timer(name: &str) -> Value {
    json!({
        "apiVersion": "drover.dev/v1", "kind": "Timer", "metadata": {"name": name},
        "spec": {"every": "1m", "template": {"process": {"command": ["/bin/true"]}}},
    })
}

fn revision(object: &Value) -> String {
    object["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_object_is_created_read_listed_changed_and_gone() {
    let f = Fixture::new().await;
    let (code, made) = f.call(Method::POST, TIMERS, timer("t")).await;
    assert_eq!(code, 201, "{made}");
    assert_eq!(made["metadata"]["generation"], 1);
    let path = format!("{TIMERS}/t");
    assert_eq!(f.call(Method::GET, &path, Value::Null).await, (200, made.clone()));
    let (_, list) = f.call(Method::GET, TIMERS, Value::Null).await;
    assert_eq!((&list["kind"], &list["items"][0]), (&json!("TimerList"), &made));
    let (code, same) = f.call(Method::PATCH, &path, json!({"metadata": {"annotations": {}}})).await;
    assert_eq!((code, revision(&same)), (200, revision(&made)), "a change of nothing is none");
    let (code, next) = f.call(Method::PATCH, &path, json!({"spec": {"every": "2m"}, "status": {}})).await;
    assert_eq!((code, &next["metadata"]["generation"]), (200, &json!(2)), "{next}");
    let (code, gone) = f.call(Method::DELETE, &path, Value::Null).await;
    assert_eq!((code, &gone["details"]["uid"]), (200, &made["metadata"]["uid"]));
    let (code, status) = f.call(Method::GET, &path, Value::Null).await;
    assert_eq!((code, &status["message"]), (404, &json!("timers.drover.dev \"t\" not found")));
}

#[tokio::test]
async fn a_write_to_an_old_version_is_a_conflict() {
    let f = Fixture::new().await;
    let (_, made) = f.call(Method::POST, TIMERS, timer("t")).await;
    let path = format!("{TIMERS}/t");
    f.call(Method::PATCH, &path, json!({"metadata": {"labels": {"a": "b"}}})).await;
    let (code, status) = f.call(Method::PUT, &path, made.clone()).await;
    assert_eq!((code, &status["reason"]), (409, &json!("Conflict")));
    let (code, status) = f.call(Method::PUT, &path, timer("t")).await;
    assert_eq!((code, &status["details"]["causes"][0]["field"]), (422, &json!("metadata.resourceVersion")));
    let (code, status) = f.call(Method::POST, TIMERS, timer("t")).await;
    assert_eq!((code, &status["reason"]), (409, &json!("AlreadyExists")));
    let wrong = json!({"preconditions": {"uid": "another"}});
    assert_eq!(f.call(Method::DELETE, &path, wrong).await.0, 409);
}

#[tokio::test]
async fn a_watch_that_resumes_misses_nothing() {
    let f = Fixture::new().await;
    let (_, list) = f.call(Method::GET, TIMERS, Value::Null).await;
    for name in ["a", "b"] {
        f.call(Method::POST, TIMERS, timer(name)).await;
    }
    let mut first = f.watch(&format!("{TIMERS}?watch=1&resourceVersion={}", revision(&list))).await;
    let seen = first.next().await.unwrap();
    assert_eq!(seen["object"]["metadata"]["name"], "a");
    drop(first);
    let from = revision(&seen["object"]);
    let mut again = f.watch(&format!("{TIMERS}?watch=1&resourceVersion={from}")).await;
    assert_eq!(again.event().await, pair("ADDED", "b"));
    f.call(Method::DELETE, &format!("{TIMERS}/a"), Value::Null).await;
    assert_eq!(again.event().await, pair("DELETED", "a"));
    let mut fresh = f.watch(&format!("{TIMERS}?watch=1")).await;
    assert_eq!(fresh.event().await, pair("ADDED", "b"));
    f.server.stop();
    assert_eq!(again.next().await, None, "a stopping server ends its streams");
}

#[tokio::test]
async fn what_leaves_a_selection_is_deleted_to_its_watcher() {
    let f = Fixture::new().await;
    let mut watch = f.watch(&format!("{TIMERS}?watch=true&labelSelector=on%3Dyes")).await;
    f.call(Method::POST, TIMERS, timer("t")).await;
    let path = format!("{TIMERS}/t");
    for (value, expected) in [("yes", "ADDED"), ("no", "DELETED"), ("yes", "ADDED")] {
        f.call(Method::PATCH, &path, json!({"metadata": {"labels": {"on": value}}})).await;
        assert_eq!(watch.event().await, pair(expected, "t"));
    }
}

#[tokio::test]
async fn a_version_that_is_not_kept_is_told_as_an_error_event() {
    let f = Fixture::new().await;
    let mut watch = f.watch(&format!("{TIMERS}?watch=1&resourceVersion=999999")).await;
    let event = watch.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn a_finalizer_holds_what_was_deleted() {
    let f = Fixture::new().await;
    let mut body = timer("t");
    body["metadata"]["finalizers"] = json!(["a.b/c"]);
    f.call(Method::POST, TIMERS, body).await;
    let path = format!("{TIMERS}/t");
    let (code, held) = f.call(Method::DELETE, &path, Value::Null).await;
    assert_eq!(code, 200);
    assert!(held["metadata"]["deletionTimestamp"].is_string());
    let more = json!({"metadata": {"finalizers": ["a.b/c", "d.e/f"]}});
    assert_eq!(f.call(Method::PATCH, &path, more).await.0, 422);
    assert_eq!(f.call(Method::PATCH, &path, json!({"metadata": {"finalizers": null}})).await.0, 200);
    assert_eq!(f.call(Method::GET, &path, Value::Null).await.0, 404);
}

#[tokio::test]
async fn bad_input_is_refused_and_changes_nothing() {
    let f = Fixture::new().await;
    let twice = r#"{"metadata":{"name":"x"},"data":{"a":"1","a":"2"}}"#;
    let secrets = "/api/v1/namespaces/default/configmaps";
    let strict = format!("{secrets}?fieldValidation=Strict");
    let response = f.send(f.request(Method::POST, &strict, twice)).await;
    assert_eq!(response.status(), 400);
    let unknown = json!({"metadata": {"name": "x"}, "bogus": 1});
    let (code, status) = f.call(Method::POST, &strict, unknown.clone()).await;
    assert_eq!((code, &status["message"]), (400, &json!("strict decoding error: unknown field \"bogus\"")));
    let response =
        f.send(f.request(Method::POST, &format!("{secrets}?dryRun=All"), &unknown.to_string())).await;
    assert_eq!(response.headers()["warning"], "299 - \"unknown field \\\"bogus\\\"\"");
    let (code, status) = f.call(Method::POST, secrets, json!({"metadata": {"name": "Not_A_Name"}})).await;
    assert_eq!((code, &status["details"]["causes"][0]["field"]), (422, &json!("metadata.name")));
    let mut wrong = timer("x");
    wrong["spec"] = json!({"cron": "61 * * * *", "template": {"process": {"command": ["/bin/true"]}}});
    let (code, status) = f.call(Method::POST, TIMERS, wrong).await;
    assert_eq!((code, &status["details"]["causes"][0]["field"]), (422, &json!("spec.cron")), "{status}");
    let elsewhere = "/api/v1/namespaces/nowhere/configmaps";
    let (code, status) = f.call(Method::POST, elsewhere, json!({"metadata": {"name": "x"}})).await;
    assert_eq!((code, &status["message"]), (404, &json!("namespaces \"nowhere\" not found")));
    let big = " ".repeat(MAX_BODY + 1);
    assert_eq!(f.send(f.request(Method::POST, secrets, &big)).await.status(), 413);
    let (_, list) = f.call(Method::GET, secrets, Value::Null).await;
    assert_eq!(list["items"], json!([]));
}

#[tokio::test]
async fn the_namespace_default_may_not_be_deleted() {
    let f = Fixture::new().await;
    let (code, status) = f.call(Method::DELETE, "/api/v1/namespaces/default", Value::Null).await;
    assert_eq!(code, 403, "{status}");
    let (_, space) = f.call(Method::GET, "/api/v1/namespaces/default", Value::Null).await;
    assert_eq!(space["metadata"]["deletionTimestamp"], Value::Null);
    assert_eq!(space["status"]["phase"], "Active");
}

#[tokio::test]
async fn owners_may_not_go_in_a_circle() {
    let f = Fixture::new().await;
    let (_, a) = f.call(Method::POST, TIMERS, timer("a")).await;
    let owner = |of: &Value| {
        json!({"metadata": {"ownerReferences": [{
            "apiVersion": "drover.dev/v1", "kind": "Timer",
            "name": of["metadata"]["name"], "uid": of["metadata"]["uid"],
        }]}})
    };
    let (_, b) = f.call(Method::POST, TIMERS, timer("b")).await;
    assert_eq!(f.call(Method::PATCH, &format!("{TIMERS}/b"), owner(&a)).await.0, 200);
    assert_eq!(f.call(Method::PATCH, &format!("{TIMERS}/a"), owner(&b)).await.0, 422);
    assert_eq!(f.call(Method::PATCH, &format!("{TIMERS}/a"), owner(&a)).await.0, 422);
}

#[tokio::test]
async fn only_a_known_token_opens_anything() {
    let f = Fixture::new().await;
    for token in ["", "Bearer wrong", "Basic x"] {
        let mut request = f.request(Method::GET, TIMERS, "");
        request.headers_mut().insert("authorization", token.parse().unwrap());
        assert_eq!(f.send(request).await.status(), 401, "{token:?}");
    }
    let mut request = f.request(Method::GET, "/readyz", "");
    request.headers_mut().remove("authorization");
    assert_eq!(f.send(request).await.status(), 200);
    let tokens = "/apis/drover.dev/v1/tokens";
    let (code, made) = f.call(Method::POST, tokens, json!({"role": "node"})).await;
    assert_eq!(code, 201);
    let token = made["token"].as_str().unwrap();
    assert!(token.starts_with("drn_") && token.ends_with(f.server.ca_pin()));
    let mut request = f.request(Method::GET, TIMERS, "");
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    assert_eq!(f.send(request).await.status(), 403);
    assert_eq!(f.call(Method::POST, tokens, json!({"role": "user", "ttlSeconds": 0})).await.0, 400);
}

#[tokio::test]
async fn pages_are_one_snapshot() {
    let f = Fixture::new().await;
    for name in ["a", "b", "c", "d", "e"] {
        f.call(Method::POST, TIMERS, timer(name)).await;
    }
    let all = format!("{TIMERS}?limit=2");
    let (_, first) = f.call(Method::GET, &all, Value::Null).await;
    let (mut page, mut names) = (first.clone(), Vec::new());
    for left in [Some(3), Some(1), None] {
        assert_eq!(revision(&page), revision(&first));
        assert_eq!(page["metadata"].get("remainingItemCount").and_then(Value::as_u64), left);
        let items = page["items"].as_array().unwrap();
        names.extend(items.iter().map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()));
        for gone in ["a", "c", "d"] {
            f.call(Method::DELETE, &format!("{TIMERS}/{gone}"), Value::Null).await;
        }
        if left.is_some() {
            let next = page["metadata"]["continue"].as_str().unwrap();
            page = f.call(Method::GET, &format!("{all}&continue={next}"), Value::Null).await.1;
        }
    }
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
    assert_eq!(page["metadata"].get("continue"), None);
}

const TASKS: &str = "/apis/drover.dev/v1/namespaces/default/tasks";

fn payment() -> Value {
    json!({
        "metadata": {"name": "pay"},
        "spec": {
            "params": [{"name": "invoice", "type": "integer", "required": true}],
            "idempotencyKey": "invoice/$(params.invoice)",
            "placement": {"nodeSelector": {"role": "server"}, "count": 1},
            "template": {"process": {"command": ["/bin/true", "$(params.invoice)"]}},
        },
    })
}

#[tokio::test]
async fn calls_with_one_key_are_one_call_also_after_the_child_was_let_go() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.call(Method::POST, TASKS, payment()).await.0, 201);
    let run = format!("{TASKS}/pay/run");
    let call = json!({"params": {"invoice": "7"}});
    let (code, child) = fixture.call(Method::POST, &run, call.clone()).await;
    assert_eq!(code, 201, "{child}");
    assert_eq!(child["spec"]["paramValues"]["invoice"], 7);
    assert_eq!(child["metadata"]["ownerReferences"][0]["name"], "pay");
    let (code, again) = fixture.call(Method::POST, &run, call.clone()).await;
    assert_eq!((code, &again["metadata"]["uid"]), (200, &child["metadata"]["uid"]));
    let (code, other) = fixture.call(Method::POST, &run, json!({"params": {"invoice": 8}})).await;
    assert_eq!(code, 201);
    assert_ne!(other["metadata"]["name"], child["metadata"]["name"]);

    // Finished and let go: a repeat still makes nothing.
    let path = format!("{TASKS}/{}", child["metadata"]["name"].as_str().unwrap());
    let mut done = fixture.call(Method::GET, &path, Value::Null).await.1;
    done["status"] = json!({"conditions": [{
        "type": "Complete", "status": "True", "reason": "Succeeded", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]});
    assert_eq!(fixture.call(Method::PUT, &format!("{path}/status"), done).await.0, 200);
    assert_eq!(fixture.call(Method::DELETE, &path, Value::Null).await.0, 200);
    let (code, gone) = fixture.call(Method::POST, &run, call).await;
    assert_eq!((code, &gone["metadata"]["uid"]), (200, &child["metadata"]["uid"]));
    assert_eq!(fixture.call(Method::GET, &path, Value::Null).await.0, 404);

    // One that was taken back before it was done leaves its key free.
    let path = format!("{TASKS}/{}", other["metadata"]["name"].as_str().unwrap());
    assert_eq!(fixture.call(Method::DELETE, &path, Value::Null).await.0, 200);
    let (code, anew) = fixture.call(Method::POST, &run, json!({"params": {"invoice": 8}})).await;
    assert_eq!(code, 201);
    assert_ne!(anew["metadata"]["uid"], other["metadata"]["uid"]);
}

#[tokio::test]
async fn many_calls_with_one_key_at_once_make_one_child() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.call(Method::POST, TASKS, payment()).await.0, 201);
    let run = format!("{TASKS}/pay/run");
    let calls = (0..16).map(|_| fixture.call(Method::POST, &run, json!({"params": {"invoice": 7}})));
    let codes: Vec<u16> = futures_util::future::join_all(calls).await.iter().map(|answer| answer.0).collect();
    assert_eq!(codes.iter().filter(|code| **code == 201).count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == 200).count(), 15, "{codes:?}");
}

#[tokio::test]
async fn a_call_that_cannot_be_made_makes_nothing_and_says_why() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.call(Method::POST, TASKS, payment()).await.0, 201);
    let run = format!("{TASKS}/pay/run");
    for (call, code, field) in [
        (json!({}), 422, "params[invoice]"),
        (json!({"params": {"invoice": "seven"}}), 422, "params[invoice]"),
        (json!({"params": {"invoice": 7, "amount": 1}}), 422, "params[amount]"),
        (json!({"params": {"invoice": 7}, "nodeName": "nowhere"}), 422, "no such node"),
        (json!({"params": {"invoice": 7}, "nodeSelector": {"role": "vps"}}), 422, "own placement"),
        (json!({"param": {"invoice": 7}}), 400, "unknown field"),
    ] {
        let (got, status) = fixture.call(Method::POST, &run, call.clone()).await;
        assert_eq!(got, code, "{call}: {status}");
        assert!(status["message"].as_str().unwrap().contains(field), "{call}: {status}");
    }
    let (_, list) = fixture.call(Method::GET, TASKS, Value::Null).await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    let mut forged = payment();
    forged["metadata"]["name"] = "forged".into();
    forged["spec"]["mode"] = "Once".into();
    forged["spec"]["paramValues"] = json!({"invoice": 7});
    let (code, status) = fixture.call(Method::POST, TASKS, forged).await;
    assert_eq!(code, 422);
    assert!(status["message"].as_str().unwrap().contains("spec.paramValues"), "{status}");
}

#[tokio::test]
async fn a_once_task_that_was_handed_to_a_node_is_not_edited_any_more() {
    let fixture = Fixture::new().await;
    let task = json!({
        "metadata": {"name": "once"},
        "spec": {"mode": "Once", "template": {"process": {"command": ["/bin/true"]}}},
    });
    let (code, mut made) = fixture.call(Method::POST, TASKS, task).await;
    assert_eq!(code, 201, "{made}");
    let path = format!("{TASKS}/once");
    let edit = |object: &mut Value, program: &str| {
        object["spec"]["template"]["process"]["command"][0] = program.into()
    };
    edit(&mut made, "/bin/false");
    let (code, mut made) = fixture.call(Method::PUT, &path, made).await;
    assert_eq!(code, 200, "nobody has it yet: {made}");
    let assignment = json!({
        "metadata": {"name": "once-1"},
        "spec": {
            "nodeName": "n", "task": made["spec"],
            "workloadRef": {"kind": "Task", "name": "once", "uid": made["metadata"]["uid"], "generation": 2},
        },
    });
    let assignments = "/apis/drover.dev/v1/namespaces/default/assignments";
    let (code, said) = fixture.call(Method::POST, assignments, assignment).await;
    assert_eq!(code, 201, "{said}");
    edit(&mut made, "/bin/true");
    let (code, said) = fixture.call(Method::PUT, &path, made.clone()).await;
    assert_eq!(code, 422, "{said}");
    let message = said["message"].as_str().unwrap();
    assert!(message.contains("spec.template: Forbidden: field is immutable"), "{message}");
    assert!(message.contains("under a new name"), "{message}");
    edit(&mut made, "/bin/false");
    made["spec"]["ttlAfterFinished"] = "1h".into();
    assert_eq!(fixture.call(Method::PUT, &path, made).await.0, 200, "what is not fixed may change");
}
