//! Laws of output over a session.

use drover_wire::{Accepted, Body, DEFAULT_WINDOW, Frame, LogStart, OpenLogs, ServerMessage};
use serde_json::{Value, json};

use crate::agent::{Dir, assignment, script, text};
use crate::server::{Server, Stored, output};
use crate::sessions::Node;

fn open(stream: u32, run: &Value) -> OpenLogs {
    OpenLogs {
        stream,
        namespace: "default".into(),
        run: text(run, "/metadata/name").into(),
        uid: text(run, "/metadata/uid").into(),
        follow: false,
        start: LogStart::Beginning,
        timestamps: false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn output_is_followed_to_the_end_of_its_run_byte_for_byte() {
    let dir = Dir::new();
    let go = dir.path().join("go");
    let mut server = Server::start();
    let _node = Node::start(&server, &dir.data());
    let mut store = Stored::default();
    let (mut peer, _) = server.welcome(Accepted::default()).await;
    let body = format!(
        "printf 'a\\377\\000b'; while [ ! -e {} ]; do sleep 0.02; done; echo err >&2; sleep 0.05; printf half",
        go.display()
    );
    peer.desired(1, vec![assignment("odd", "Task", json!({"template": script(&body)}))]).await;
    let running =
        |seen: &crate::agent::Seen| seen.runs_in("odd", "Running").first().map(|run| (*run).clone());
    let run = peer.until(&mut store, "it runs", running).await;
    peer.send(ServerMessage::OpenLogs(OpenLogs { follow: true, ..open(1, &run) })).await;
    let first = loop {
        let frame = peer.next().await.unwrap();
        if let (1, Body::Data(bytes)) = (frame.stream, &frame.body) {
            break bytes.clone();
        }
    };
    assert_eq!(&first[..], b"a\xff\x00b");
    std::fs::write(&go, "").unwrap();
    let (rest, end) = output(&mut peer, 1).await;
    assert_eq!((&rest[..], end), (&b"err\nhalf"[..], None));
    peer.send(ServerMessage::OpenLogs(open(2, &run))).await;
    let (all, end) = output(&mut peer, 2).await;
    assert_eq!((&all[..], end), (&b"a\xff\x00berr\nhalf"[..], None));
    let unknown = OpenLogs { uid: "../..".into(), ..open(3, &run) };
    peer.send(ServerMessage::OpenLogs(unknown)).await;
    assert_eq!(output(&mut peer, 3).await, (Vec::new(), Some("NotFound".into())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_is_sent_than_was_paid_for_and_the_session_goes_on_meanwhile() {
    let dir = Dir::new();
    let mut server = Server::start();
    let _node = Node::start(&server, &dir.data());
    let mut store = Stored::default();
    let (mut peer, _) = server.welcome(Accepted::default()).await;
    let big = script("head -c 900000 /dev/zero");
    peer.desired(1, vec![assignment("big", "Task", json!({"template": big}))]).await;
    let done = |seen: &crate::agent::Seen| seen.runs_in("big", "Succeeded").first().map(|run| (*run).clone());
    let run = peer.until(&mut store, "it is done", done).await;
    peer.send(ServerMessage::OpenLogs(open(5, &run))).await;
    let mut got = 0_u32;
    while got < DEFAULT_WINDOW {
        let frame = peer.next().await.unwrap();
        if let (5, Body::Data(bytes)) = (frame.stream, &frame.body) {
            got += u32::try_from(bytes.len()).unwrap();
        }
    }
    assert_eq!(got, DEFAULT_WINDOW);
    // Without credit nothing more of it comes, and everything else does.
    peer.desired(2, vec![assignment("next", "Task", json!({"template": script("true")}))]).await;
    loop {
        let frame = peer.next().await.unwrap();
        assert_eq!(frame.stream, 0, "{frame:?}");
        if let Ok(drover_wire::AgentMessage::DesiredAck(ack)) = frame.message() {
            assert_eq!(ack.revision, 2);
            break;
        }
    }
    peer.frame(Frame { stream: 5, body: Body::End(None) }).await;
    let gone = |seen: &crate::agent::Seen| seen.is_ready("next").then_some(());
    peer.until(&mut store, "the next", gone).await;
}
