//! To an agent, as a server that says anything.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use drover_testkit::disk::SimDisk;
use drover_wire::{
    Accepted, AgentMessage, Body, DEFAULT_WINDOW, Frame, Report, ReportAck, ServerMessage, WIRE_VERSION,
    Welcome,
};
use serde_json::json;

use super::{AgentSite, Deed, Peer, REST, framed, message, read};
use crate::virtual_time::{in_virtual_time, within_an_hour};

const NODE: &str = "uid-of-n";
const EPOCH: &str = "an-epoch";

/// What was said to the agent in a session.
#[derive(Default)]
struct Said {
    /// Revisions of desired states that were sent whole.
    whole: Vec<u64>,
    pings: Vec<u64>,
    triggers: BTreeSet<String>,
    /// What may be sent on each stream.
    credit: BTreeMap<u32, u64>,
    acknowledged: Vec<ReportAck>,
    /// Welcomes, and whether the first thing said was the one that the agent expects.
    welcomes: usize,
    well: bool,
}

impl Said {
    fn note(&mut self, frame: &Bytes, expected: &str) {
        match message(frame) {
            Some(ServerMessage::Welcome(_)) => {
                self.well = self.welcomes == 0 && frame.ends_with(expected.as_bytes());
                self.welcomes += 1;
            }
            Some(ServerMessage::Desired(chunk)) if !chunk.more => self.whole.push(chunk.revision),
            Some(ServerMessage::Ping(ping)) => self.pings.push(ping.nonce),
            Some(ServerMessage::Trigger(trigger)) => drop(self.triggers.insert(trigger.request_id)),
            Some(ServerMessage::OpenLogs(open)) => {
                *self.credit.entry(open.stream).or_default() += u64::from(DEFAULT_WINDOW);
            }
            Some(ServerMessage::ReportAck(ack)) => self.acknowledged.push(ack),
            Some(ServerMessage::Desired(_) | ServerMessage::Close(_)) => {}
            None => {
                if let Ok(Frame { stream, body: Body::Credit(credit) }) = Frame::decode(frame.clone()) {
                    *self.credit.entry(stream).or_default() += u64::from(credit);
                }
            }
        }
    }
}

/// What came back, checked against what was said.
#[derive(Default)]
struct Came {
    reports: Vec<ReportAck>,
    data: BTreeMap<u32, u64>,
}

impl Came {
    fn check(frames: &[Frame], said: &Said) -> Self {
        let mut came = Self::default();
        let (mut whole, mut pings) = (said.whole.iter(), said.pings.iter());
        for frame in frames {
            match &frame.body {
                Body::Control(_) => match frame.message().expect("an agent speaks its wire") {
                    AgentMessage::Hello(_) => panic!("a second hello"),
                    AgentMessage::Report(report) => {
                        let next = ack(&report);
                        let number = |ack: &ReportAck| (ack.agent_epoch, ack.sequence);
                        let last = came.reports.last().map(number);
                        assert!(last < Some(number(&next)), "{next:?} after {last:?}");
                        came.reports.push(next);
                    }
                    AgentMessage::DesiredAck(ack) => {
                        let sent = whole.any(|revision| *revision == ack.revision);
                        assert!(sent, "{ack:?} of {:?}", said.whole);
                    }
                    AgentMessage::Pong(pong) => {
                        assert_eq!(pings.next(), Some(&pong.nonce), "{:?}", said.pings);
                    }
                    AgentMessage::TriggerResult(result) => {
                        assert!(said.triggers.contains(&result.request_id), "{result:?}");
                    }
                },
                Body::Data(bytes) => *came.data.entry(frame.stream).or_default() += bytes.len() as u64,
                Body::Credit(_) => panic!("credit for a stream that goes one way"),
                Body::End(_) => assert!(said.credit.contains_key(&frame.stream), "{frame:?}"),
            }
        }
        for (stream, bytes) in &came.data {
            let credit = said.credit.get(stream).copied().unwrap_or(0);
            assert!(*bytes <= credit, "{bytes} bytes on stream {stream}, and {credit} were paid for");
        }
        came
    }
}

/// What an agent acknowledges it was told whole, what it answers it was asked, what it sends is paid for; a report is
/// there until it was acknowledged after it was sent; and whatever was said, the agent comes back, and starts again.
pub(crate) fn to_agent(script: &[u8]) {
    in_virtual_time(async {
        let mut agent = AgentSite::start(SimDisk::default(), NODE);
        let (mut peer, _) = agent.session().await.expect("an empty disk refuses nobody");
        let good = json!(welcome(Accepted::default())).to_string();
        let expected = format!("{{\"welcome\":{good}}}");
        let words = [("$WELCOME", good), ("$NODE", NODE.into()), ("$EPOCH", EPOCH.into())];
        let (mut said, mut frames) = (Said::default(), Vec::new());
        for deed in read(script, &words) {
            let frame = match deed {
                Deed::Wait(time) => {
                    tokio::time::sleep(time).await;
                    continue;
                }
                Deed::Send(frame) => frame,
                Deed::Answer => {
                    tokio::time::sleep(REST).await;
                    drain(&mut peer, &mut frames);
                    let Some(report) = frames.iter().rev().find_map(report) else { continue };
                    framed(&ServerMessage::ReportAck(ack(&report)))
                }
            };
            said.note(&frame, &expected);
            if !peer.send(frame).await {
                break;
            }
        }
        tokio::time::sleep(REST).await;
        drain(&mut peer, &mut frames);
        let came = Came::check(&frames, &said);
        drop(peer);

        let (mut peer, hello) = agent.session().await.expect("the agent goes on");
        assert_eq!(hello.node_uid.as_deref(), Some(NODE));
        if said.well && said.welcomes == 1 {
            settle(&mut peer, &said, &came).await;
        }
        let disk = agent.disk.clone();
        drop((agent, peer));
        let mut next = AgentSite::start(disk, NODE);
        let (_, after) = next.session().await.expect("it starts from what it has written");
        assert!(after.agent_epoch > hello.agent_epoch, "{} after {}", after.agent_epoch, hello.agent_epoch);
    });
}

/// The server that has all that it acknowledged is told the rest once more.
async fn settle(peer: &mut Peer, said: &Said, came: &Came) {
    // Any of what it was told in order, and nothing else, is settled.
    let known: Vec<&ReportAck> = said.acknowledged.iter().filter(|ack| came.reports.contains(ack)).collect();
    let settled = known.iter().map(|ack| (ack.agent_epoch, ack.sequence)).max().unwrap_or_default();
    let accepted = Accepted { agent_epoch: settled.0, sequence: settled.1 };
    peer.send(framed(&ServerMessage::Welcome(welcome(accepted)))).await;
    let mut open: BTreeSet<(u64, u64)> =
        came.reports.iter().map(|report| (report.agent_epoch, report.sequence)).collect();
    open.retain(|number| *number > settled);
    while !open.is_empty() {
        let frame = within_an_hour("what was not acknowledged", peer.came.recv()).await;
        let frame = frame.expect("the session lasts until all is told");
        if let Some(report) = report(&frame) {
            open.remove(&(report.agent_epoch, report.sequence));
            peer.send(framed(&ServerMessage::ReportAck(ack(&report)))).await;
        }
    }
}

fn drain(peer: &mut Peer, frames: &mut Vec<Frame>) {
    while let Ok(frame) = peer.came.try_recv() {
        frames.push(frame);
    }
}

fn report(frame: &Frame) -> Option<Report> {
    match frame.message() {
        Ok(AgentMessage::Report(report)) => Some(report),
        _ => None,
    }
}

fn ack(report: &Report) -> ReportAck {
    ReportAck { agent_epoch: report.agent_epoch, sequence: report.sequence }
}

fn welcome(accepted: Accepted) -> Welcome {
    Welcome {
        wire: WIRE_VERSION,
        node_uid: NODE.into(),
        store_epoch: EPOCH.into(),
        heartbeat_interval_ms: 600_000,
        offline_after_ms: 600_000,
        accepted,
    }
}
