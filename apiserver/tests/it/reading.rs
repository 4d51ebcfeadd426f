//! A run's output, read through the session of the node that has it.

use bytes::Bytes;
use drover_client::{ByteStream, Error, Request};
use drover_wire::{Body, DEFAULT_WINDOW, EndStatus, Frame, LogStart, OpenLogs, ServerMessage};
use hyper::Method;
use serde_json::Value;

use crate::agents::{Agent, connect, run_path};
use crate::cluster::{Cluster, code};

const RUN: &str = "019ab5f0-3c1e-7a3b-9d55-1d2c3b4a5f60";

async fn with_run() -> (Cluster, Agent) {
    let cluster = Cluster::new().await;
    let credential = cluster.node("n").await;
    let a = cluster.assign("a", "n", &[]).await;
    let mut agent = connect(&cluster, "n", &credential).await;
    agent.desired().await;
    let item = agent.run("r", RUN, &a, "Running");
    agent.report(1, 1, vec![item]).await;
    (cluster, agent)
}

async fn read(cluster: &Cluster, query: &str) -> Result<ByteStream, Error> {
    cluster.admin().stream(Request::new(Method::GET, &format!("{}/log{query}", run_path("r")))).await
}

async fn opened(agent: &mut Agent) -> OpenLogs {
    match agent.next().await {
        ServerMessage::OpenLogs(open) => open,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn output_comes_as_it_is_until_its_end() {
    let (cluster, mut agent) = with_run().await;
    let said = async {
        let open = opened(&mut agent).await;
        agent.frame(Frame::data(open.stream, Bytes::from_static(b"one\n\xff"))).await;
        agent.frame(Frame::data(open.stream, Bytes::from_static(b"two"))).await;
        agent.frame(Frame::end(open.stream, None)).await;
        open
    };
    let (stream, open) = tokio::join!(read(&cluster, "?follow=true&tailLines=2&timestamps=true"), said);
    assert_eq!((open.run.as_str(), open.uid.as_str()), ("r", RUN));
    assert_eq!((open.follow, open.timestamps, open.start), (true, true, LogStart::Tail(2)));
    let (mut stream, mut whole) = (stream.unwrap(), Vec::new());
    while let Some(bytes) = stream.next().await.unwrap() {
        whole.extend_from_slice(&bytes);
    }
    assert_eq!(whole, b"one\n\xfftwo");
}

#[tokio::test]
async fn an_agent_gets_credit_as_its_output_is_read() {
    let (cluster, mut agent) = with_run().await;
    let (stream, open) = tokio::join!(read(&cluster, "?follow=true"), async {
        let open = opened(&mut agent).await;
        for _ in 0..DEFAULT_WINDOW / (32 << 10) {
            agent.frame(Frame::data(open.stream, vec![b'x'; 32 << 10].into())).await;
        }
        open
    });
    let mut stream = stream.unwrap();
    let mut taken = 0;
    while taken < DEFAULT_WINDOW as usize {
        taken += stream.next().await.unwrap().unwrap().len();
    }
    let frame = agent.next_frame().await.unwrap();
    assert_eq!(frame.stream, open.stream);
    let Body::Credit(credit) = frame.body else { panic!("{frame:?}") };
    assert!((DEFAULT_WINDOW / 2..=DEFAULT_WINDOW).contains(&credit), "{credit}");
}

#[tokio::test]
async fn an_agent_that_sends_without_credit_loses_its_session() {
    let (cluster, mut agent) = with_run().await;
    let (stream, open) = tokio::join!(read(&cluster, "?follow=true"), async {
        let open = opened(&mut agent).await;
        agent.frame(Frame::data(open.stream, Bytes::from_static(b"x"))).await;
        open
    });
    // Nobody reads, so no credit comes beyond what is on its way to the client.
    let _stream = stream.unwrap();
    let flood = async {
        loop {
            let frame = Frame::data(open.stream, vec![b'x'; 64 << 10].into());
            if agent.sender.send(frame.encode().unwrap()).await.is_err() {
                return;
            }
        }
    };
    flood.await;
    drop(agent);
    cluster
        .until(&crate::agents::node_path("n"), |node| node["status"]["session"]["connected"] == false)
        .await;
}

#[tokio::test]
async fn a_lost_node_breaks_the_output_and_does_not_end_it() {
    let (cluster, mut agent) = with_run().await;
    let (stream, _) = tokio::join!(read(&cluster, "?follow=true"), async {
        let open = opened(&mut agent).await;
        agent.frame(Frame::data(open.stream, Bytes::from_static(b"half"))).await;
    });
    let mut stream = stream.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), "half");
    drop(agent);
    assert!(stream.next().await.is_err(), "half an output is not the whole");
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_stream() {
    let (cluster, mut agent) = with_run().await;
    let (stream, open) = tokio::join!(read(&cluster, "?follow=true"), async {
        let open = opened(&mut agent).await;
        agent.frame(Frame::data(open.stream, Bytes::from_static(b"x"))).await;
        open
    });
    drop(stream);
    let frame = agent.next_frame().await.unwrap();
    assert_eq!(frame, Frame::end(open.stream, None));
    // What was under way is no fault of the agent.
    agent.frame(Frame::data(open.stream, Bytes::from_static(b"late"))).await;
    let (again, next) = tokio::join!(read(&cluster, ""), async {
        let next = opened(&mut agent).await;
        agent.frame(Frame::end(next.stream, None)).await;
        next
    });
    assert_ne!(next.stream, open.stream);
    assert_eq!(again.unwrap().next().await.unwrap(), None);
}

#[tokio::test]
async fn what_cannot_be_read_says_why() {
    let (cluster, mut agent) = with_run().await;
    let refuse = async {
        let open = opened(&mut agent).await;
        let status = EndStatus { reason: "NotFound".into(), message: "no output is kept".into() };
        agent.frame(Frame::end(open.stream, Some(status))).await;
    };
    let (refused, ()) = tokio::join!(read(&cluster, ""), refuse);
    let refused = refused.err().unwrap();
    assert_eq!(code(&refused), 404);
    assert!(refused.to_string().contains("no output is kept"));
    assert_eq!(code(&read(&cluster, "?previous=true").await.err().unwrap()), 400);
    let none = cluster.admin().get::<Value>(&format!("{}/log", run_path("none"))).await.unwrap_err();
    assert_eq!(code(&none), 404);
    drop(agent);
    cluster
        .until(&crate::agents::node_path("n"), |node| node["status"]["session"]["connected"] == false)
        .await;
    let away = read(&cluster, "").await.err().unwrap();
    assert_eq!(code(&away), 503);
    assert!(away.to_string().contains("no session"), "{away}");
}
