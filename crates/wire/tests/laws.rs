//! Laws of the wire, over any input.

use std::collections::BTreeMap;

use bytes::Bytes;
use drover_wire::{
    Accepted, AgentMessage, Assembler, Body, Desired, EndStatus, Frame, Hello, MAX_AGENT_EPOCH, MAX_DATA,
    MAX_FRAME, MAX_WINDOW, Material, MaterialKind, NodeFacts, ReceiveWindow, Report, ReportItem, SendWindow,
    ServerMessage, WIRE_VERSION, WireError,
};
use proptest::prelude::*;
use serde_json::json;

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..2000).prop_map(|bytes| Body::Data(bytes.into())),
        any::<u32>().prop_map(Body::Credit),
        Just(Body::End(None)),
        ("[A-Za-z]{0,20}", ".{0,50}")
            .prop_map(|(reason, message)| Body::End(Some(EndStatus { reason, message }))),
    ]
}

fn hello() -> Hello {
    Hello {
        wire: WIRE_VERSION,
        node_name: "edge-1".into(),
        node_uid: None,
        boot_id: "b".into(),
        agent_version: "0.1.0".into(),
        store_epoch: Some("e".into()),
        desired_revision: Some(7),
        open_runs: Some(vec!["run-uid".into()]),
        acknowledged: Some(Accepted { agent_epoch: 2, sequence: 9 }),
        agent_epoch: 3,
        labels: BTreeMap::from([("zone".into(), "a".into())]),
        facts: NodeFacts { cpus: 4, addresses: vec!["10.0.0.1".into()], ..NodeFacts::default() },
    }
}

proptest! {
    #[test]
    fn every_frame_comes_back_as_it_went(stream in 1_u32.., body in body()) {
        let frame = Frame { stream, body };
        prop_assert_eq!(Frame::decode(frame.encode().unwrap()).unwrap(), frame);
    }

    #[test]
    fn garbage_is_an_error_or_a_frame_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(frame) = Frame::decode(bytes.into()) {
            let _ = frame.message::<AgentMessage>();
            let _ = frame.message::<ServerMessage>();
        }
    }

    #[test]
    fn a_cut_control_message_is_an_error(cut in 0_usize..200) {
        let whole = Frame::control(&AgentMessage::Hello(Box::new(hello()))).unwrap().encode().unwrap();
        let cut = cut.min(whole.len() - 1);
        let result = Frame::decode(whole.slice(..cut)).and_then(|frame| frame.message::<AgentMessage>());
        prop_assert!(result.is_err());
    }

    #[test]
    fn a_report_comes_back_as_it_went(epoch in 0..=MAX_AGENT_EPOCH, sequence: u64, text in ".{0,80}") {
        let message = AgentMessage::Report(Report { agent_epoch: epoch, sequence, items: vec![
            ReportItem::Run { object: json!({"kind": "Run", "status": {"outputTail": text}}) },
            ReportItem::Node { facts: NodeFacts { hostname: text, ..NodeFacts::default() } },
        ]});
        let frame = Frame::decode(Frame::control(&message).unwrap().encode().unwrap()).unwrap();
        prop_assert_eq!(frame.message::<AgentMessage>().unwrap(), message);
    }

    #[test]
    fn what_is_sent_never_exceeds_what_was_allowed(
        window in 1_u32..200_000,
        steps in proptest::collection::vec((any::<bool>(), 0_usize..100_000), 0..200),
    ) {
        let mut sender = SendWindow::new(window);
        let mut receiver = ReceiveWindow::new(window);
        for (send, bytes) in steps {
            if send {
                let taken = sender.take(bytes);
                prop_assert!(taken <= bytes);
                prop_assert!(receiver.received(taken).is_ok());
            } else if let Some(credit) = receiver.consumed(bytes) {
                prop_assert!(credit > 0);
                prop_assert!(sender.grant(credit).is_ok());
            }
            prop_assert!(receiver.held() + sender.available() <= window);
        }
        // Once all is consumed, the sender can go on: no credit is ever lost.
        let held = receiver.held() as usize;
        if let Some(credit) = receiver.consumed(held) {
            sender.grant(credit).unwrap();
        }
        prop_assert!(sender.available() > 0);
    }
}

proptest! {
    // Each case is megabytes of JSON.
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn chunks_become_the_same_desired_state_again(sizes in proptest::collection::vec(1_usize..400_000, 0..12)) {
        let desired = Desired {
            revision: 9,
            full: true,
            assignments: sizes.iter().map(|size| json!({"x": "y".repeat(*size)})).collect(),
            removed: vec!["u".into()],
            materials: vec![Material {
                kind: MaterialKind::Secret,
                namespace: "default".into(),
                name: "s".into(),
                resource_version: "1".into(),
                data: BTreeMap::from([("k".into(), "djE=".into())]),
            }],
            ..Desired::default()
        };
        let mut assembler = Assembler::default();
        let mut whole = None;
        for chunk in desired.clone().into_chunks().unwrap() {
            prop_assert!(whole.is_none());
            let bytes = Frame::control(&ServerMessage::Desired(Box::new(chunk))).unwrap().encode().unwrap();
            let size = bytes.len();
            prop_assert!(size <= MAX_FRAME);
            let ServerMessage::Desired(chunk) = Frame::decode(bytes).unwrap().message().unwrap() else { panic!() };
            whole = assembler.push(*chunk, size).unwrap();
        }
        prop_assert_eq!(whole, Some(desired));
    }
}

#[test]
fn frames_of_wrong_length_kind_or_stream_are_refused() {
    let decode = |bytes: &[u8]| Frame::decode(Bytes::copy_from_slice(bytes)).unwrap_err();
    assert!(matches!(decode(&[]), WireError::Truncated(0)));
    assert!(matches!(decode(&[0, 0, 0, 1]), WireError::Truncated(4)));
    assert!(matches!(decode(&[0, 0, 0, 1, 9]), WireError::UnknownKind(9)));
    assert!(matches!(decode(&[0, 0, 0, 1, 1, b'{']), WireError::WrongStream { stream: 1, kind: 1 }));
    assert!(matches!(decode(&[0, 0, 0, 0, 2, b'x']), WireError::WrongStream { stream: 0, kind: 2 }));
    assert!(matches!(decode(&[0, 0, 0, 1, 3, 0, 0]), WireError::Truncated(7)));
    assert!(matches!(decode(&[0, 0, 0, 1, 3, 0, 0, 0, 1, 1]), WireError::Trailing(1)));
    assert!(matches!(decode(&[0, 0, 0, 1, 4, b'{']), WireError::Json(_)));
    assert!(matches!(decode(&vec![0; MAX_FRAME + 1]), WireError::TooLarge { .. }));
    let mut data = vec![0, 0, 0, 1, 2];
    data.resize(5 + MAX_DATA + 1, 0);
    assert!(matches!(decode(&data), WireError::TooLarge { .. }));
    assert!(Frame::data(1, vec![0; MAX_DATA + 1].into()).encode().is_err());
}

#[test]
fn a_message_with_a_part_over_its_bound_is_refused_both_ways() {
    let mut long = hello();
    long.node_name = "n".repeat(400);
    assert!(matches!(
        Frame::control(&AgentMessage::Hello(Box::new(long.clone()))),
        Err(WireError::TooLarge { what: "a node name", .. })
    ));
    let json = serde_json::to_vec(&AgentMessage::Hello(Box::new(long))).unwrap();
    let frame = Frame { stream: 0, body: Body::Control(json.into()) };
    assert!(matches!(frame.message::<AgentMessage>(), Err(WireError::TooLarge { .. })));
    // Whoever counts on from the last number there is has none left.
    let report =
        |agent_epoch| AgentMessage::Report(Report { agent_epoch, sequence: u64::MAX, items: Vec::new() });
    assert!(Frame::control(&report(MAX_AGENT_EPOCH)).is_ok());
    assert!(Frame::control(&report(MAX_AGENT_EPOCH + 1)).is_err());
}

#[test]
fn a_credit_of_nothing_or_over_the_bound_is_refused_and_changes_nothing() {
    let mut window = SendWindow::new(10);
    assert!(window.grant(0).is_err());
    assert!(window.grant(u32::MAX).is_err());
    assert!(window.grant(MAX_WINDOW).is_err());
    assert_eq!(window.available(), 10);
    let mut window = ReceiveWindow::new(10);
    assert!(matches!(window.received(11), Err(WireError::Overrun { sent: 11, credit: 10 })));
    assert_eq!(window.consumed(5), None, "nothing came, so nothing is owed");
}

#[test]
fn an_item_that_fits_into_no_frame_is_refused_by_name() {
    let desired = Desired { assignments: vec![json!("x".repeat(MAX_FRAME))], ..Desired::default() };
    assert!(matches!(desired.into_chunks(), Err(WireError::TooLarge { what: "an assignment", .. })));
}

#[test]
fn chunks_of_two_revisions_are_never_mixed() {
    let chunk = |revision, more| Desired { revision, more, ..Desired::default() };
    let mut assembler = Assembler::default();
    assert!(assembler.push(chunk(1, true), 10).unwrap().is_none());
    assert!(matches!(
        assembler.push(chunk(2, false), 10),
        Err(WireError::MixedDesired { expected: 1, got: 2 })
    ));
}

#[test]
fn the_names_on_the_wire_are_camel_case_and_external_tags() {
    let json = serde_json::to_value(AgentMessage::Hello(Box::new(hello()))).unwrap();
    assert_eq!(json["hello"]["nodeName"], "edge-1");
    assert_eq!(json["hello"]["wire"], json!({"major": 1, "minor": 0}));
    assert_eq!(json["hello"]["facts"]["memoryBytes"], 0);
    let open: ServerMessage = serde_json::from_value(json!({"openLogs": {
        "stream": 4, "namespace": "default", "run": "r", "uid": "u", "start": {"tail": 10}, "newer": true
    }}))
    .unwrap();
    assert!(matches!(open, ServerMessage::OpenLogs(open) if open.stream == 4 && !open.follow));
}

#[test]
fn a_value_never_shows_in_a_debug_form() {
    let material = Material {
        kind: MaterialKind::Secret,
        namespace: "default".into(),
        name: "db".into(),
        resource_version: "1".into(),
        data: BTreeMap::from([("password".into(), "aHVudGVyMg==".into())]),
    };
    let shown = format!("{:?}", Desired { materials: vec![material], ..Desired::default() });
    assert!(shown.contains("password") && !shown.contains("aHVudGVyMg"));
}
