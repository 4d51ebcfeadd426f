//! WebSockets over a pipe in memory.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use drover_client::{BoxStream, Client, Error, FnDial, Message, WebSocket};
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::io::DuplexStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

/// Opens a WebSocket to a server that lets in whoever bears the token `t`.
async fn open(token: &str) -> (Result<WebSocket, Error>, Option<WebSocketStream<DuplexStream>>, HeaderMap) {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let ours = Mutex::new(Some(Box::new(ours) as BoxStream));
    let dial = FnDial(move || Ok(ours.lock().unwrap().take().expect("one connection is enough")));
    let client = Client::new(Arc::new(dial), "drover:7443").unwrap().with_token(token).unwrap();
    let mut headers = HeaderMap::new();
    #[expect(clippy::result_large_err, reason = "the callback's type is tungstenite's")]
    let accept = accept_hdr_async(theirs, |request: &Request, mut response: Response| {
        headers = request.headers().clone();
        if headers["authorization"] != "Bearer t" {
            let status = r#"{"kind":"Status","code":401,"reason":"Unauthorized","message":"who are you"}"#;
            let mut refusal = http::Response::new(Some(status.to_owned()));
            *refusal.status_mut() = StatusCode::UNAUTHORIZED;
            return Err(refusal);
        }
        response.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("v1.x"));
        Ok(response)
    });
    let (socket, server) = tokio::join!(client.open_websocket("/session?a=1", &["v2.x", "v1.x"]), accept);
    (socket, server.ok(), headers)
}

#[tokio::test]
async fn messages_go_both_ways_in_the_protocol_that_was_chosen() {
    let (socket, server, headers) = open("t").await;
    let (socket, mut server) = (socket.unwrap(), server.unwrap());
    assert_eq!(headers["host"], "drover:7443");
    assert_eq!(headers["sec-websocket-protocol"], "v2.x, v1.x");
    assert_eq!(socket.protocol(), Some("v1.x"));
    let (mut sender, mut receiver) = socket.split();
    sender.send(Bytes::from_static(b"up")).await.unwrap();
    assert_eq!(server.next().await.unwrap().unwrap().into_data(), "up");
    server.send(tungstenite::Message::Binary(Bytes::from_static(b"down"))).await.unwrap();
    server.send(tungstenite::Message::Ping(Bytes::new())).await.unwrap();
    assert_eq!(receiver.next().await.unwrap(), Some(Message::Binary(Bytes::from_static(b"down"))));
    assert_eq!(receiver.next().await.unwrap(), Some(Message::Alive));
    server.close(None).await.unwrap();
    assert!(matches!(receiver.next().await.unwrap(), Some(Message::Close { .. })));
}

#[tokio::test]
async fn a_refused_upgrade_is_the_servers_own_answer() {
    let (socket, _, _) = open("wrong").await;
    let Err(error) = socket else { panic!("it was let in") };
    assert!(error.is_unauthorized());
    assert_eq!(error.to_string(), "who are you");
}

#[tokio::test]
async fn a_message_over_the_bound_breaks_the_socket() {
    let (socket, server, _) = open("t").await;
    let (_sender, mut receiver) = socket.unwrap().split();
    let mut server = server.unwrap();
    let flood = tokio::spawn(async move {
        let _ = server.send(tungstenite::Message::Binary(vec![0; (1 << 20) + 1].into())).await;
    });
    assert!(matches!(receiver.next().await, Err(Error::WebSocket(_))));
    drop((_sender, receiver));
    flood.await.unwrap();
}
