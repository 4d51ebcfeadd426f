//! A local copy is as the server's collection is, whatever happens to the connection.

use std::sync::Arc;
use std::time::Duration;

use drover_client::{Key, Reflector, ReflectorOptions};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::server::{Call, Server};

fn object(name: &str, revision: u32) -> Value {
    json!({"metadata": {"name": name, "namespace": "n", "resourceVersion": revision.to_string()}})
}

fn list(revision: u32, items: &[Value]) -> Value {
    json!({"metadata": {"resourceVersion": revision.to_string()}, "items": items})
}

fn key(name: &str) -> Key {
    Key { namespace: "n".into(), name: name.into() }
}

/// Follows `/t`, and tells each change as `n/name:old>new`.
fn follow(server: &Server) -> (Reflector<Value>, mpsc::UnboundedReceiver<String>) {
    let (sender, changes) = mpsc::unbounded_channel();
    let handler = move |change: &drover_client::Change<'_, Value>| {
        let version = |object: Option<&Arc<Value>>| match object {
            Some(object) => object["metadata"]["resourceVersion"].as_str().unwrap().to_owned(),
            None => "-".to_owned(),
        };
        let _ = sender.send(format!("{}:{}>{}", change.key, version(change.old), version(change.new)));
    };
    let options = ReflectorOptions { handler: Some(Box::new(handler)), ..ReflectorOptions::default() };
    (Reflector::start(server.client.clone(), "/t", options), changes)
}

async fn expect(changes: &mut mpsc::UnboundedReceiver<String>, expected: &[&str]) {
    for expected in expected {
        assert_eq!(changes.recv().await.unwrap(), *expected);
    }
}

fn assert_lists(call: &Call) {
    assert_eq!(call.path, "/t?limit=500");
}

fn assert_watches(call: &Call, revision: u32) {
    let expected = format!("/t?watch=1&resourceVersion={revision}&allowWatchBookmarks=true&timeoutSeconds=");
    assert!(call.path.starts_with(&expected), "{} is not {expected}", call.path);
}

#[tokio::test(start_paused = true)]
async fn events_are_followed_and_a_cut_watch_resumes_where_it_was() {
    let mut server = Server::start();
    let (reflector, mut changes) = follow(&server);
    assert!(!reflector.is_synced());
    let call = server.call().await;
    assert_lists(&call);
    call.json(&list(5, &[object("a", 3), object("b", 5)]));
    reflector.synced().await;
    expect(&mut changes, &["n/a:->3", "n/b:->5"]).await;

    let call = server.call().await;
    assert_watches(&call, 5);
    let lines = call.stream();
    let mut bell = reflector.bell();
    lines.event("MODIFIED", &object("a", 6)).await;
    lines.event("DELETED", &object("b", 7)).await;
    expect(&mut changes, &["n/a:3>6", "n/b:5>-"]).await;
    bell.changed().await.unwrap();
    lines.event("BOOKMARK", &json!({"metadata": {"resourceVersion": "9"}})).await;
    drop(lines);

    let call = server.call().await;
    assert_watches(&call, 9);
    call.cut();
    let call = server.call().await;
    assert_watches(&call, 9);
    let lines = call.stream();
    lines.event("ADDED", &object("c", 10)).await;
    expect(&mut changes, &["n/c:->10"]).await;
    let names: Vec<String> = reflector.list().into_iter().map(|(key, _)| key.to_string()).collect();
    assert_eq!(names, ["n/a", "n/c"]);
    assert_eq!(reflector.get(&key("a")).unwrap()["metadata"]["resourceVersion"], "6");
}

#[tokio::test(start_paused = true)]
async fn a_revision_no_longer_kept_leads_to_a_new_list_and_the_right_deletes() {
    let mut server = Server::start();
    let (reflector, mut changes) = follow(&server);
    server.call().await.json(&list(5, &[object("a", 3), object("b", 4), object("c", 5)]));
    expect(&mut changes, &["n/a:->3", "n/b:->4", "n/c:->5"]).await;
    server.call().await.fail(410, "Expired");

    let call = server.call().await;
    assert_lists(&call);
    call.json(&list(20, &[object("b", 18), object("c", 5), object("d", 19)]));
    // What did not change says nothing.
    expect(&mut changes, &["n/b:4>18", "n/d:->19", "n/a:3>-"]).await;
    assert_eq!(reflector.len(), 3);

    // The same by an event in the middle of a watch.
    let call = server.call().await;
    assert_watches(&call, 20);
    let lines = call.stream();
    lines.event("ADDED", &object("e", 21)).await;
    expect(&mut changes, &["n/e:->21"]).await;
    lines.event("ERROR", &json!({"kind": "Status", "code": 410, "reason": "Expired"})).await;
    let call = server.call().await;
    assert_lists(&call);
    call.json(&list(30, &[]));
    expect(&mut changes, &["n/b:18>-", "n/c:5>-", "n/d:19>-", "n/e:21>-"]).await;
    assert!(reflector.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_down_is_asked_less_and_less_often() {
    let mut server = Server::start();
    let (reflector, _changes) = follow(&server);
    let mut last = Instant::now();
    let mut waits = Vec::new();
    for _ in 0..12 {
        let call = server.call().await;
        waits.push(last.elapsed().as_secs_f64());
        last = Instant::now();
        call.fail(503, "ServiceUnavailable");
    }
    assert!(waits[0] < 0.01 && waits[1] < 0.3, "{waits:?}");
    assert!(waits[9..].iter().all(|wait| (15.0..=30.1).contains(wait)), "{waits:?}");
    assert!(!reflector.is_synced());
    server.call().await.json(&list(1, &[]));
    reflector.synced().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_expires_every_watch_is_not_hammered() {
    let mut server = Server::start();
    let (_reflector, _changes) = follow(&server);
    let start = Instant::now();
    for _ in 0..12 {
        server.call().await.json(&list(1, &[]));
        server.call().await.fail(410, "Expired");
    }
    assert!(start.elapsed().as_secs() > 30, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_watch_on_a_connection_that_died_in_silence_is_begun_again() {
    let mut server = Server::start();
    let (_reflector, _changes) = follow(&server);
    server.call().await.json(&list(1, &[]));
    let _silent = server.call().await.stream();
    assert_watches(&server.call().await, 1);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_read_leaves_what_was_known_of_it() {
    let mut server = Server::start();
    #[derive(Debug, serde::Deserialize)]
    struct Strict {
        size: u32,
    }
    let with = |revision: u32, size: Value| {
        let mut object = object("a", revision);
        object["size"] = size;
        object
    };
    let reflector = Reflector::<Strict>::start(server.client.clone(), "/t", ReflectorOptions::default());
    server.call().await.json(&list(1, &[with(1, json!(1))]));
    let lines = server.call().await.stream();
    let mut bell = reflector.bell();
    bell.borrow_and_update();
    lines.event("MODIFIED", &with(2, json!("huge"))).await;
    lines
        .event(
            "ADDED",
            &json!({"metadata": {"name": "b", "namespace": "n", "resourceVersion": "3"}, "size": 2}),
        )
        .await;
    bell.changed().await.unwrap();
    assert_eq!(reflector.get(&key("a")).unwrap().size, 1);
    assert_eq!(reflector.get(&key("b")).unwrap().size, 2);
}

#[tokio::test(start_paused = true)]
async fn a_reflector_ends_with_its_last_handle() {
    let mut server = Server::start();
    let (reflector, mut changes) = follow(&server);
    let other = reflector.clone();
    drop(reflector);
    server.call().await.json(&list(1, &[object("a", 1)]));
    expect(&mut changes, &["n/a:->1"]).await;
    drop(other);
    // The handler, and with it this channel's sender, goes with the task.
    assert_eq!(changes.recv().await, None);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cannot_be_read_leads_to_a_new_list_and_not_to_the_same_event() {
    let mut server = Server::start();
    let (_reflector, mut changes) = follow(&server);
    server.call().await.json(&list(1, &[]));
    let lines = server.call().await.stream();
    lines.event("EXPLODED", &object("a", 2)).await;
    let call = server.call().await;
    assert_lists(&call);
    call.json(&list(2, &[object("a", 2)]));
    expect(&mut changes, &["n/a:->2"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_quiet_collection_is_watched_again_without_a_growing_wait() {
    let mut server = Server::start();
    let (_reflector, _changes) = follow(&server);
    server.call().await.json(&list(1, &[]));
    for _ in 0..20 {
        let lines = server.call().await.stream();
        tokio::time::sleep(Duration::from_secs(60)).await;
        let ended = Instant::now();
        drop(lines);
        let call = server.call().await;
        assert_watches(&call, 1);
        assert!(ended.elapsed() < Duration::from_millis(10), "{:?}", ended.elapsed());
        // One that ends at once waits, and is forgiven by the next good one.
        drop(call.stream());
    }
}
