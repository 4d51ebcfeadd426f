//! No client holds more than its share: of time, of places, of memory.

use std::time::Duration;

use drover_client::{Client, ClientConfig, Error, WatchOptions};
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::{TcpListener, TcpStream};

use crate::cluster::{Cluster, SPACE, code};

/// A connection of which nothing was said yet.
fn raw(cluster: &Cluster) -> DuplexStream {
    let (near, far) = tokio::io::duplex(64 << 10);
    let server = cluster.server.clone();
    tokio::spawn(async move { server.serve_connection(far).await });
    near
}

/// All that comes until the server closes the connection.
async fn until_closed(connection: &mut DuplexStream) -> String {
    let mut bytes = Vec::new();
    // A reset is an end too.
    let _ = connection.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

fn head(cluster: &Cluster, line: &str, more: &str) -> String {
    let token = cluster.server.admin_token();
    format!("{line} HTTP/1.1\r\nhost: drover\r\nauthorization: Bearer {token}\r\n{more}\r\n")
}

#[tokio::test]
async fn a_connection_that_asks_nothing_is_closed() {
    let cluster = Cluster::new().await;
    tokio::time::pause();
    // After the handshake: silence; a part of what may become either protocol; a head that never ends.
    for begin in ["", "P", "PRI * HTTP/2.0\r\n", "GET /livez HTTP/1.1\r\nhost:"] {
        let mut connection = raw(&cluster);
        connection.write_all(begin.as_bytes()).await.unwrap();
        until_closed(&mut connection).await;
    }
    // One byte at a time is no request either.
    let mut connection = raw(&cluster);
    let begun = tokio::time::Instant::now();
    while connection.write_all(b"a").await.is_ok() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn a_second_request_may_be_waited_for_only_so_long() {
    let cluster = Cluster::new().await;
    tokio::time::pause();
    let mut connection = raw(&cluster);
    connection.write_all(b"GET /livez HTTP/1.1\r\nhost: drover\r\n\r\n").await.unwrap();
    assert!(until_closed(&mut connection).await.ends_with("ok"));
    let (sender, h2) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(raw(&cluster)))
            .await
            .unwrap();
    let mut sender = sender;
    let ended = tokio::spawn(h2);
    let request = Request::get("https://drover/livez").body(Full::<bytes::Bytes>::default()).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
    // The sender stays, and says nothing more.
    let _ = ended.await.unwrap();
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up_on() {
    let cluster = Cluster::new().await;
    let path = format!("POST {SPACE}/timers");
    tokio::time::pause();
    let mut connection = raw(&cluster);
    connection.write_all(head(&cluster, &path, "content-length: 100\r\n").as_bytes()).await.unwrap();
    connection.write_all(b"{").await.unwrap();
    let answer = until_closed(&mut connection).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("\"Timeout\""), "{answer}");
}

#[tokio::test]
async fn a_body_is_refused_before_all_of_it_was_read() {
    let cluster = Cluster::new().await;
    let path = format!("POST {SPACE}/timers");
    let mut connection = raw(&cluster);
    let declared = format!("content-length: {}\r\n", 1_u64 << 40);
    connection.write_all(head(&cluster, &path, &declared).as_bytes()).await.unwrap();
    assert!(until_closed(&mut connection).await.starts_with("HTTP/1.1 413"));
    // One that does not say how long it will be.
    let mut connection = raw(&cluster);
    connection.write_all(head(&cluster, &path, "transfer-encoding: chunked\r\n").as_bytes()).await.unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", 64 << 10, " ".repeat(64 << 10));
    let mut sent = 0;
    while sent < 8 << 20 && connection.write_all(chunk.as_bytes()).await.is_ok() {
        sent += 64 << 10;
    }
    assert!(sent < 6 << 20, "{sent} bytes were read");
    assert!(until_closed(&mut connection).await.starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn heads_and_addresses_have_a_bound() {
    let cluster = Cluster::new().await;
    let mut connection = raw(&cluster);
    let long = format!("x-long: {}\r\n", "x".repeat(100 << 10));
    // It may close while the rest is still being written.
    let _ = connection.write_all(head(&cluster, "GET /livez", &long).as_bytes()).await;
    assert!(until_closed(&mut connection).await.starts_with("HTTP/1.1 431"));
    let mut connection = raw(&cluster);
    let line = format!("GET {SPACE}/timers?labelSelector={}", "a%2C".repeat(30 << 10));
    let _ = connection.write_all(head(&cluster, &line, "").as_bytes()).await;
    let answer = until_closed(&mut connection).await;
    assert!(answer.starts_with("HTTP/1.1 414") || answer.starts_with("HTTP/1.1 431"), "{answer}");
}

async fn post(cluster: &Cluster, body: String) -> Response<hyper::body::Incoming> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(raw(cluster))).await.unwrap();
    tokio::spawn(connection);
    let request = Request::builder()
        .method(Method::POST)
        .uri("/api/v1/namespaces/default/configmaps")
        .header("authorization", format!("Bearer {}", cluster.server.admin_token()))
        .body(Full::new(bytes::Bytes::from(body)))
        .unwrap();
    sender.send_request(request).await.unwrap()
}

#[tokio::test]
async fn json_that_is_deep_wide_or_says_a_thing_twice_is_refused() {
    let cluster = Cluster::new().await;
    let deep = format!("{}{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let wide = format!("{{\"data\":[{}]}}", vec!["0"; 1_000_000].join(","));
    let labels: Vec<String> = (0..90_000).map(|i| format!("\"l{i}\":\"\"")).collect();
    let labelled = format!("{{\"metadata\":{{\"name\":\"x\",\"labels\":{{{}}}}}}}", labels.join(","));
    let nul = "{\"metadata\":{\"name\":\"a\\u0000b\"}}".to_owned();
    for (body, expected) in
        [(deep, 400), (wide, 400), (labelled, 422), (nul, 422), ("\u{ff}{".to_owned(), 400)]
    {
        let answer = post(&cluster, body).await;
        assert_eq!(answer.status(), expected);
        let status = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(status.len() < 64 << 10, "the refusal has {} bytes", status.len());
        assert_eq!(serde_json::from_slice::<Value>(&status).unwrap()["kind"], "Status");
    }
}

#[tokio::test]
async fn watches_have_a_bound_and_give_their_place_back() {
    let cluster = Cluster::with(|options| options.max_watches = 1).await;
    let path = format!("{SPACE}/timers");
    let admin = cluster.admin();
    let first = admin.watch(&path, &WatchOptions::default()).await.unwrap();
    let refused = admin.watch(&path, &WatchOptions::default()).await.unwrap_err();
    assert_eq!(code(&refused), 429);
    assert!(refused.retry_after().is_some());
    drop(first);
    while let Err(error) = admin.watch(&path, &WatchOptions::default()).await {
        assert_eq!(code(&error), 429);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_watcher_that_takes_nothing_is_cut_off_and_stalls_nobody() {
    let cluster = Cluster::new().await;
    let path = format!("{SPACE}/timers");
    let mut stuck = raw(&cluster);
    stuck.write_all(head(&cluster, &format!("GET {path}?watch=1"), "").as_bytes()).await.unwrap();
    let mut quick = cluster.admin().watch(&path, &WatchOptions::default()).await.unwrap();
    let text = "x".repeat(20_000);
    for index in 0..400 {
        let body = json!({
            "metadata": {"name": format!("t-{index}"), "annotations": {"a": text}},
            "spec": {"every": "1h", "template": {"process": {"command": ["/bin/true"]}}},
        });
        cluster.create(&path, &body).await;
        assert!(quick.next().await.unwrap().is_some(), "the other one sees every event");
    }
    assert!(cluster.metrics().await.contains("drover_apiserver_cache_slow_closes 1"));
    // Its connection holds what fitted, and ends when nothing of the rest was taken for a while.
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(40)).await;
    tokio::time::resume();
    while !cluster.metrics().await.contains("drover_apiserver_watches 1\n") {
        tokio::task::yield_now().await;
    }
    drop(stuck);
}

#[tokio::test]
async fn a_page_has_a_bound_in_bytes_and_a_whole_list_is_sent_in_pieces() {
    let cluster = Cluster::new().await;
    let path = "/api/v1/namespaces/default/configmaps";
    for index in 0..20 {
        let body =
            json!({"metadata": {"name": format!("c-{index:02}")}, "data": {"a": "x".repeat(1_000_000)}});
        cluster.create(path, &body).await;
    }
    let all = cluster.get(path).await;
    let names = |list: &Value| {
        let items = list["items"].as_array().unwrap().iter();
        items.map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&all).len(), 20);
    let page = cluster.get(&format!("{path}?limit=500")).await;
    let first = names(&page);
    assert_eq!((first.len(), &page["metadata"]["remainingItemCount"]), (16, &json!(4)));
    let next = page["metadata"]["continue"].as_str().unwrap();
    let rest = cluster.get(&format!("{path}?limit=500&continue={next}")).await;
    assert_eq!([first, names(&rest)].concat(), names(&all));
    assert_eq!(rest["metadata"].get("continue"), None);
}

/// A server that listens on loopback; its port.
async fn listen(cluster: &Cluster) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = cluster.server.clone();
    tokio::spawn(async move { server.serve(listener).await });
    port
}

fn over_tls(cluster: &Cluster, port: u16) -> Client {
    let url = format!("https://127.0.0.1:{port}");
    let token = cluster.server.admin_token().to_owned();
    let config = ClientConfig::from_url(&url, cluster.server.ca_pem().into(), Some(token)).unwrap();
    Client::from_config(&config).unwrap()
}

#[tokio::test]
async fn a_client_that_does_not_shake_hands_is_let_go() {
    let cluster = Cluster::with(|options| options.handshake_timeout = Duration::from_millis(50)).await;
    let port = listen(&cluster).await;
    for begin in [&b""[..], b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n"] {
        let mut silent = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        silent.write_all(begin).await.unwrap();
        // An alert may come before the end.
        let _ = silent.read_to_end(&mut Vec::new()).await;
    }
    assert_eq!(over_tls(&cluster, port).get::<Value>("/version").await.unwrap()["major"], "1");
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_for_a_place() {
    let cluster = Cluster::with(|options| options.max_connections = 1).await;
    let port = listen(&cluster).await;
    let path = format!("{SPACE}/timers");
    let first = over_tls(&cluster, port).watch(&path, &WatchOptions::default()).await.unwrap();
    let second = over_tls(&cluster, port);
    let waiting = tokio::spawn(async move { second.get::<Value>("/version").await });
    // A third one that is served meanwhile, by another way, shows that the server is well.
    cluster.timer("t").await;
    assert!(!waiting.is_finished());
    drop(first);
    assert_eq!(waiting.await.unwrap().unwrap()["major"], "1");
}

#[tokio::test]
async fn a_server_with_another_ca_is_not_believed() {
    let (cluster, other) = (Cluster::new().await, Cluster::new().await);
    let port = listen(&cluster).await;
    let answer = over_tls(&other, port).get::<Value>("/version").await;
    assert!(matches!(answer, Err(Error::Dial(_))), "{answer:?}");
    assert!(over_tls(&cluster, port).get::<Value>("/version").await.is_ok());
}
