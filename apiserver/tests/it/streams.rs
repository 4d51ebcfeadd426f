//! Watches: over chunked HTTP and over WebSockets on the same address.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use drover_client::WatchOptions;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::cluster::{Cluster, SPACE};

type Socket = WebSocketStream<DuplexStream>;

/// Opens a watch as a browser does: the token is a subprotocol.
async fn open(cluster: &Cluster, path: &str, token: &str) -> Result<(Socket, String), WsError> {
    let (near, far) = tokio::io::duplex(64 << 10);
    let server = cluster.server.clone();
    tokio::spawn(async move { server.serve_connection(far).await });
    let mut request = format!("ws://drover{path}").into_client_request()?;
    let bearer = format!("base64url.bearer.authorization.k8s.io.{}", BASE64_URL_SAFE_NO_PAD.encode(token));
    request.headers_mut().insert("sec-websocket-protocol", format!("{bearer}, v1.watch").parse().unwrap());
    let (socket, answer) = client_async(request, near).await?;
    Ok((socket, answer.headers()["sec-websocket-protocol"].to_str().unwrap().to_owned()))
}

async fn event(socket: &mut Socket) -> Value {
    loop {
        match socket.next().await.expect("it goes on").unwrap() {
            Message::Text(text) => {
                assert!(text.ends_with('\n'));
                return serde_json::from_str(&text).unwrap();
            }
            Message::Pong(_) => {}
            other => panic!("an event is a text frame, this is {other:?}"),
        }
    }
}

fn told(event: &Value) -> (&str, &str) {
    (event["type"].as_str().unwrap(), event["object"]["metadata"]["name"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn a_browser_watches_on_the_same_address() {
    let cluster = Cluster::new().await;
    cluster.timer("a").await;
    let path = format!("{SPACE}/timers?watch=1");
    let (mut socket, protocol) = open(&cluster, &path, cluster.server.admin_token()).await.unwrap();
    assert_eq!(protocol, "v1.watch", "the other one is echoed, never the token");
    assert_eq!(told(&event(&mut socket).await), ("ADDED", "a"));
    cluster.timer("b").await;
    let seen = event(&mut socket).await;
    assert_eq!(told(&seen), ("ADDED", "b"));
    // What a client says changes nothing; a ping is answered.
    socket.send(Message::text("{\"stop\":true}")).await.unwrap();
    socket.send(Message::Ping("are you there".into())).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong("are you there".into()));
    // It resumes where another one was cut off.
    drop(socket);
    cluster.delete(&format!("{SPACE}/timers/a")).await;
    let revision = seen["object"]["metadata"]["resourceVersion"].as_str().unwrap();
    let from = format!("{path}&resourceVersion={revision}");
    let (mut socket, _) = open(&cluster, &from, cluster.server.admin_token()).await.unwrap();
    assert_eq!(told(&event(&mut socket).await), ("DELETED", "a"));
}

#[tokio::test]
async fn a_socket_is_refused_with_an_answer_and_told_of_an_old_revision_in_it() {
    let cluster = Cluster::new().await;
    let timers = format!("{SPACE}/timers?watch=1");
    let refused = open(&cluster, &timers, "dra_wrong").await.err().unwrap();
    let WsError::Http(answer) = refused else { panic!("{refused}") };
    assert_eq!(answer.status(), 401);
    let old = format!("{timers}&resourceVersion=99999");
    let (mut socket, _) = open(&cluster, &old, cluster.server.admin_token()).await.unwrap();
    let error = event(&mut socket).await;
    assert_eq!((&error["type"], &error["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert!(matches!(socket.next().await, Some(Ok(Message::Close(_)))));
}

#[tokio::test]
async fn a_long_message_of_a_client_ends_its_socket() {
    let cluster = Cluster::new().await;
    let path = format!("{SPACE}/timers?watch=1");
    let (mut socket, _) = open(&cluster, &path, cluster.server.admin_token()).await.unwrap();
    socket.send(Message::text("x".repeat(8192))).await.unwrap();
    loop {
        match socket.next().await {
            None | Some(Err(_) | Ok(Message::Close(_))) => break,
            Some(Ok(_)) => {}
        }
    }
    while !cluster.metrics().await.contains("drover_apiserver_watches 0\n") {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_server_that_stops_says_goodbye_and_waits_for_it() {
    let cluster = Cluster::new().await;
    let path = format!("{SPACE}/timers?watch=1");
    let (mut socket, _) = open(&cluster, &path, cluster.server.admin_token()).await.unwrap();
    let mut lines =
        cluster.admin().watch(&format!("{SPACE}/timers"), &WatchOptions::default()).await.unwrap();
    cluster.server.stop();
    assert!(lines.next().await.unwrap().is_none(), "the lines end in good order");
    assert!(matches!(socket.next().await, Some(Ok(Message::Close(_)))));
    drop((socket, lines));
    cluster.server.stopped().await;
}

async fn lines(cluster: &Cluster, query: &str) -> drover_client::Watch {
    // The client's own options go after these.
    let path = format!("{SPACE}/timers?{query}");
    cluster.admin().watch(&path, &WatchOptions { bookmarks: true, ..WatchOptions::default() }).await.unwrap()
}

async fn next(watch: &mut drover_client::Watch) -> Option<Value> {
    let event = watch.next().await.unwrap()?;
    let kind = format!("{:?}", event.kind).to_uppercase();
    Some(json!({"type": kind, "object": event.object::<Value>().unwrap()}))
}

#[tokio::test]
async fn a_list_can_come_as_the_beginning_of_a_watch() {
    let cluster = Cluster::new().await;
    cluster.timer("a").await;
    let mut watch = lines(&cluster, "sendInitialEvents=true&resourceVersionMatch=NotOlderThan").await;
    assert_eq!(told(&next(&mut watch).await.unwrap()), ("ADDED", "a"));
    let mark = next(&mut watch).await.unwrap();
    let metadata = &mark["object"]["metadata"];
    assert_eq!(
        (&mark["type"], &metadata["annotations"]["k8s.io/initial-events-end"]),
        (&json!("BOOKMARK"), &json!("true"))
    );
    let blueprint = metadata["annotations"]["kubernetes.io/initial-events-list-blueprint"].as_str().unwrap();
    let blueprint: Value = serde_json::from_slice(&BASE64_STANDARD.decode(blueprint).unwrap()).unwrap();
    assert_eq!((&blueprint["kind"], &blueprint["items"]), (&json!("TimerList"), &json!([])));
    cluster.timer("b").await;
    assert_eq!(told(&next(&mut watch).await.unwrap()), ("ADDED", "b"));
    let list = cluster.get(&format!("{SPACE}/timers")).await;
    assert_ne!(metadata["resourceVersion"], list["metadata"]["resourceVersion"]);
}

#[tokio::test]
async fn a_watch_ends_at_its_time_with_a_revision_to_resume_from() {
    let cluster = Cluster::new().await;
    cluster.timer("a").await;
    let revision = cluster.get(&format!("{SPACE}/timers")).await["metadata"]["resourceVersion"].clone();
    let mut watch =
        lines(&cluster, &format!("timeoutSeconds=150&resourceVersion={}", revision.as_str().unwrap())).await;
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    let mut marks = 0;
    while let Some(event) = next(&mut watch).await {
        assert_eq!(
            (&event["type"], &event["object"]["metadata"]["resourceVersion"]),
            (&json!("BOOKMARK"), &revision)
        );
        marks += 1;
    }
    assert_eq!(marks, 3, "two of a minute each, and the last");
    assert!((150..155).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_watch_of_one_object_is_of_that_one() {
    let cluster = Cluster::new().await;
    cluster.timer("a").await;
    cluster.timer("b").await;
    let client = cluster.admin();
    let mut watch = client.watch(&format!("{SPACE}/timers/b"), &WatchOptions::default()).await.unwrap();
    assert_eq!(told(&next(&mut watch).await.unwrap()), ("ADDED", "b"));
    cluster.delete(&format!("{SPACE}/timers/a")).await;
    cluster.delete(&format!("{SPACE}/timers/b")).await;
    let gone = next(&mut watch).await.unwrap();
    assert_eq!(told(&gone), ("DELETED", "b"));
    let list = cluster.get(&format!("{SPACE}/timers")).await;
    assert_eq!(gone["object"]["metadata"]["resourceVersion"], list["metadata"]["resourceVersion"]);
    // Zero is no time of its own.
    let mut zero = lines(&cluster, "timeoutSeconds=0").await;
    tokio::time::pause();
    assert!(tokio::time::timeout(Duration::from_secs(59), next(&mut zero)).await.is_err());
}
