//! Frames of the agent session, in both directions.

use bytes::Bytes;
use drover_wire::{AgentMessage, Assembler, Body, Bounded, Frame, ServerMessage};

pub(crate) fn frame(data: &[u8]) {
    let Ok(frame) = Frame::decode(Bytes::copy_from_slice(data)) else { return };
    let again = frame.encode().expect("what was read can be written");
    assert_eq!(Frame::decode(again).expect("what was written can be read"), frame);
    message::<AgentMessage>(&frame);
    message::<ServerMessage>(&frame);
    if let (Ok(ServerMessage::Desired(chunk)), Body::Control(bytes)) = (frame.message(), &frame.body) {
        // More than is allowed is refused, and not only when memory is gone.
        let mut assembler = Assembler::default();
        for _ in 0..3 {
            let _ = assembler.push((*chunk).clone(), bytes.len());
        }
    }
}

/// What was read, written and read again is the same.
fn message<M: serde::Serialize + serde::de::DeserializeOwned + Bounded>(frame: &Frame) {
    let Ok(read) = frame.message::<M>() else { return };
    let json = serde_json::to_value(&read).expect("a message is JSON");
    // Defaults that were filled in may not fit any more.
    let Ok(written) = Frame::control(&read) else { return };
    let again: M = written.message().expect("what was written can be read");
    assert_eq!(serde_json::to_value(&again).expect("a message is JSON"), json);
}
