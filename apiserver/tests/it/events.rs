//! Events under both their groups.

use drover_client::{PatchKind, Request};
use hyper::Method;
use serde_json::{Value, json};

use crate::cluster::{Cluster, code};

const CORE: &str = "/api/v1/namespaces/default/events";
const NEWER: &str = "/apis/events.k8s.io/v1/namespaces/default/events";

/// As client-go's newer recorder and kube-rs write them.
fn recorded(name: &str) -> Value {
    json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": name},
        "eventTime": "2026-11-22T07:28:39.265190Z", "reportingController": "ops.example.com/c",
        "reportingInstance": "c-0", "action": "Scaling", "reason": "Scaled", "type": "Normal", "note": "up",
        "regarding": {"kind": "Service", "name": "web", "namespace": "default", "uid": "u", "apiVersion": "drover.dev/v1"},
        "related": {"kind": "Node", "name": "n"},
    })
}

fn older(name: &str) -> Value {
    json!({
        "metadata": {"name": name}, "involvedObject": {"kind": "Timer", "name": "t"}, "reason": "Missed",
        "message": "m", "type": "Warning", "source": {"component": "cron"}, "count": 2,
        "firstTimestamp": "2026-11-22T07:00:00Z", "lastTimestamp": "2026-11-22T07:30:00Z",
    })
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_event_is_the_same_object_under_both_groups() {
    let cluster = Cluster::new().await;
    let made = cluster.create(NEWER, &recorded("a")).await;
    assert_eq!((&made["apiVersion"], &made["note"]), (&"events.k8s.io/v1".into(), &"up".into()));
    for member in ["deprecatedCount", "deprecatedSource", "message", "involvedObject"] {
        assert_eq!(made.get(member), None, "{member}");
    }
    let core = cluster.get(&format!("{CORE}/a")).await;
    assert_eq!(core["metadata"], made["metadata"]);
    assert_eq!((&core["apiVersion"], &core["message"]), (&"v1".into(), &"up".into()));
    assert_eq!((&core["involvedObject"], &core["related"]), (&made["regarding"], &made["related"]));
    assert_eq!(core["reportingComponent"], "ops.example.com/c");
    // Six digits, for that is what Go reads.
    assert_eq!(core["eventTime"], "2026-11-22T07:28:39.265190Z");

    cluster.create(CORE, &older("b")).await;
    let newer = cluster.get(&format!("{NEWER}/b")).await;
    assert_eq!((&newer["note"], &newer["deprecatedCount"]), (&"m".into(), &2.into()));
    assert_eq!(newer["eventTime"], "2026-11-22T07:30:00.000000Z", "its clients read no event without one");
    let list = cluster.get("/apis/events.k8s.io/v1/events").await;
    assert_eq!((&list["kind"], &list["apiVersion"]), (&"EventList".into(), &"events.k8s.io/v1".into()));
    assert_eq!(names(&list), ["a", "b"]);
    assert!(list["items"].as_array().unwrap().iter().all(|item| item["eventTime"].is_string()));
    cluster.delete(&format!("{NEWER}/a")).await;
    assert_eq!(names(&cluster.get(CORE).await), ["b"]);
}

#[tokio::test]
async fn an_event_that_goes_on_is_counted_by_patches_of_either_group() {
    let cluster = Cluster::new().await;
    let admin = cluster.admin();
    cluster.create(NEWER, &recorded("a")).await;
    let series = json!({"series": {"count": 2, "lastObservedTime": "2026-11-22T08:00:00.5Z"}});
    let path = format!("{NEWER}/a");
    let patched: Value = admin.patch(&path, PatchKind::Merge, &series).await.unwrap();
    assert_eq!(patched["series"], json!({"count": 2, "lastObservedTime": "2026-11-22T08:00:00.500000Z"}));
    let note = json!([{"op": "replace", "path": "/note", "value": "higher"}]);
    admin.patch::<_, Value>(&path, PatchKind::Json, &note).await.unwrap();
    let core = cluster.get(&format!("{CORE}/a")).await;
    assert_eq!((&core["message"], &core["series"]["count"]), (&"higher".into(), &2.into()));
    let three = json!({"series": {"count": 3, "lastObservedTime": "2026-11-22T09:00:00.000000Z"}});
    cluster.patch(&format!("{CORE}/a"), &three).await;
    let mut read = cluster.get(&path).await;
    assert_eq!(read["series"]["count"], 3);
    // A write of what was read is none, also of an Event whose time was made up.
    let put: Value = admin.replace(&path, &read).await.unwrap();
    assert_eq!(put, read);
    cluster.create(CORE, &older("b")).await;
    let old = cluster.get(&format!("{NEWER}/b")).await;
    let same: Value =
        admin.patch(&format!("{NEWER}/b"), PatchKind::Merge, &json!({"note": "m"})).await.unwrap();
    assert_eq!(same, old);
    read["metadata"]["resourceVersion"] = "1".into();
    assert!(admin.replace::<_, Value>(&path, &read).await.unwrap_err().is_conflict());
    let config = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "c"}, "note": "applied", "type": "Normal",
    });
    let applied: Value =
        admin.patch(&format!("{NEWER}/c?fieldManager=f"), PatchKind::Apply, &config).await.unwrap();
    assert_eq!((&applied["note"], &applied["apiVersion"]), (&"applied".into(), &"events.k8s.io/v1".into()));
}

#[tokio::test]
async fn field_selectors_and_watches_work_under_both_groups() {
    let cluster = Cluster::new().await;
    cluster.create(NEWER, &recorded("a")).await;
    cluster.create(CORE, &older("b")).await;
    for (path, expected) in [
        (format!("{NEWER}?fieldSelector=regarding.kind%3DService"), vec!["a"]),
        (format!("{NEWER}?fieldSelector=involvedObject.kind%3DTimer"), vec!["b"]),
        (format!("{NEWER}?fieldSelector=reportingController%3Dops.example.com/c,type%3DNormal"), vec!["a"]),
        (
            format!("{CORE}?fieldSelector=involvedObject.uid%3Du,involvedObject.apiVersion%3Ddrover.dev/v1"),
            vec!["a"],
        ),
        (format!("{CORE}?fieldSelector=source%3Dcron"), vec!["b"]),
        (format!("{CORE}?fieldSelector=source%3Dops.example.com/c"), vec!["a"]),
    ] {
        assert_eq!(names(&cluster.get(&path).await), expected, "{path}");
    }
    let refused = cluster.admin().get::<Value>(&format!("{CORE}?fieldSelector=regarding.kind%3Dx")).await;
    assert_eq!(code(&refused.unwrap_err()), 400);

    let watch = format!(
        "{NEWER}?watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&fieldSelector=regarding.kind%3DService"
    );
    let mut stream = cluster.admin().stream(Request::new(Method::GET, &watch)).await.unwrap();
    let mut held = Vec::new();
    let mut next = async || loop {
        if let Some(end) = held.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = held.drain(..=end).collect();
            return serde_json::from_slice::<Value>(&line).unwrap();
        }
        held.extend_from_slice(&stream.next().await.unwrap().unwrap());
    };
    let added = next().await;
    assert_eq!((&added["type"], &added["object"]["regarding"]["name"]), (&"ADDED".into(), &"web".into()));
    let bookmark = next().await;
    assert_eq!(
        (&bookmark["type"], &bookmark["object"]["apiVersion"]),
        (&"BOOKMARK".into(), &"events.k8s.io/v1".into())
    );
    cluster.patch(&format!("{CORE}/a"), &json!({"message": "later"})).await;
    let modified = next().await;
    assert_eq!((&modified["type"], &modified["object"]["note"]), (&"MODIFIED".into(), &"later".into()));
    cluster.delete(&format!("{CORE}/a")).await;
    assert_eq!(next().await["object"]["apiVersion"], "events.k8s.io/v1");
}

#[tokio::test]
async fn what_belongs_to_the_other_group_is_refused() {
    let cluster = Cluster::new().await;
    let admin = cluster.admin();
    for (body, query) in [
        (older("a"), "?fieldValidation=Strict"),
        (json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "a"}}), ""),
        (json!({"kind": "Lease", "metadata": {"name": "a"}}), ""),
        (json!(["a"]), ""),
    ] {
        let refused = admin.create::<_, Value>(&format!("{NEWER}{query}"), &body).await.unwrap_err();
        assert_eq!(code(&refused), 400, "{body}");
    }
    let newer = admin.create::<_, Value>(&format!("{CORE}?fieldValidation=Strict"), &recorded("a")).await;
    assert_eq!(code(&newer.unwrap_err()), 400);
    for path in ["/apis/events.k8s.io/v1/namespaces/default/timers", "/apis/events.k8s.io/v2/events"] {
        assert!(!cluster.exists(path).await, "{path}");
    }
    assert!(names(&cluster.get(CORE).await).is_empty());
}
