//! One request, one answer.

use std::time::Duration;

use drover_client::{DeleteOptions, Error, List, ListOptions, PatchKind};
use serde_json::{Value, json};

use crate::server::Server;

#[tokio::test]
async fn calls_bear_the_token_and_share_a_connection() {
    let mut server = Server::start();
    let client = server.client.clone();
    let calls = tokio::spawn(async move {
        let read: Value = client.get("/a").await.unwrap();
        let made: Value = client.create("/b", &json!({"x": 1})).await.unwrap();
        let patched: Value = client.patch("/c", PatchKind::Merge, &json!({})).await.unwrap();
        let deleted = client.delete("/d", &DeleteOptions::default()).await.unwrap();
        [read, made, patched, deleted]
    });
    for (method, path, content_type) in [
        ("GET", "/a", None),
        ("POST", "/b", Some("application/json")),
        ("PATCH", "/c", Some("application/merge-patch+json")),
        ("DELETE", "/d", Some("application/json")),
    ] {
        let call = server.call().await;
        assert_eq!((call.method.as_str(), call.path.as_str()), (method, path));
        assert_eq!(call.headers["authorization"], "Bearer t0ken");
        assert_eq!(call.headers.get("content-type").map(|value| value.to_str().unwrap()), content_type);
        if path == "/b" {
            assert_eq!(call.body, r#"{"x":1}"#);
        }
        call.json(&json!({"path": path}));
    }
    assert_eq!(calls.await.unwrap()[3], json!({"path": "/d"}));
    assert_eq!(server.dials(), 1);
}

#[tokio::test]
async fn a_refusal_says_what_is_wrong_with_which_field() {
    let mut server = Server::start();
    let client = server.client.clone();
    let call = tokio::spawn(async move { client.create::<_, Value>("/a", &json!({})).await });
    let status = json!({"kind": "Status", "code": 422, "reason": "Invalid", "message": "bad", "details": {
        "kind": "Timer", "causes": [{"reason": "FieldValueInvalid", "message": "no", "field": "spec.cron"}]}});
    server.call().await.answer(422, status.to_string());
    let error = call.await.unwrap().unwrap_err();
    assert!(error.is_invalid() && !error.is_transient());
    assert_eq!(error.to_string(), "bad");
    assert_eq!(error.api().unwrap().status.details.as_ref().unwrap().causes[0].field, "spec.cron");
}

#[tokio::test]
async fn an_answer_of_something_in_between_is_an_error_too() {
    let mut server = Server::start();
    let client = server.client.clone();
    let call = tokio::spawn(async move { client.get::<Value>("/a").await });
    server.call().await.answer(502, "<html>bad gateway");
    let error = call.await.unwrap().unwrap_err();
    assert!(error.is_transient());
    let status = &error.api().unwrap().status;
    assert_eq!((status.code, status.reason.as_str()), (502, "BadGateway"));
    assert!(status.message.contains("bad gateway"));
}

#[tokio::test]
async fn a_read_on_a_stale_connection_is_sent_again_on_a_new_one() {
    let mut server = Server::start();
    let client = server.client.clone();
    let calls = tokio::spawn(async move {
        client.get::<Value>("/first").await.unwrap();
        client.get::<Value>("/second").await
    });
    server.call().await.json(&json!(1));
    let call = server.call().await;
    assert_eq!((call.path.as_str(), server.dials()), ("/second", 1));
    call.cut();
    let call = server.call().await;
    assert_eq!((call.path.as_str(), server.dials()), ("/second", 2));
    call.json(&json!(2));
    assert_eq!(calls.await.unwrap().unwrap(), 2);
}

#[tokio::test]
async fn a_post_that_may_have_taken_effect_is_never_sent_again() {
    let mut server = Server::start();
    let client = server.client.clone();
    let calls = tokio::spawn(async move {
        client.get::<Value>("/first").await.unwrap();
        let post = client.create::<_, Value>("/run", &json!({})).await;
        client.get::<Value>("/last").await.unwrap();
        post
    });
    server.call().await.json(&json!(1));
    let call = server.call().await;
    assert_eq!(call.path, "/run");
    call.cut();
    let call = server.call().await;
    assert_eq!(call.path, "/last");
    call.json(&json!(3));
    assert!(matches!(calls.await.unwrap(), Err(Error::Broken(_))));
}

#[tokio::test]
async fn a_read_that_breaks_on_a_new_connection_is_an_error() {
    let mut server = Server::start();
    let client = server.client.clone();
    let call = tokio::spawn(async move { client.get::<Value>("/a").await });
    server.call().await.cut();
    assert!(matches!(call.await.unwrap(), Err(Error::Broken(_))));
}

#[tokio::test]
async fn a_list_is_read_page_by_page() {
    let mut server = Server::start();
    let client = server.client.clone();
    let list = tokio::spawn(async move {
        let options = ListOptions { label_selector: Some("a=b".into()), ..ListOptions::default() };
        client.list::<u32>("/l", &options).await
    });
    let call = server.call().await;
    assert_eq!(call.path, "/l?labelSelector=a%3Db&limit=500");
    call.json(&json!({"metadata": {"resourceVersion": "7", "continue": "x/y"}, "items": [1, 2]}));
    let call = server.call().await;
    assert_eq!(call.path, "/l?labelSelector=a%3Db&limit=500&continue=x%2Fy");
    call.json(&json!({"metadata": {"resourceVersion": "7"}, "items": [3]}));
    let List { metadata, items } = list.await.unwrap().unwrap();
    assert_eq!((metadata.resource_version.as_str(), items), ("7", vec![1, 2, 3]));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_given_up_on() {
    let mut server = Server::start();
    let client = server.client.clone().with_deadline(Duration::from_secs(3));
    let call = tokio::spawn(async move { client.get::<Value>("/a").await });
    let _unanswered = server.call().await;
    assert!(matches!(call.await.unwrap(), Err(Error::Deadline(_))));
}
