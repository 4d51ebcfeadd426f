//! The session of an agent behind its frames: any messages in any order, to a real server and to a real agent, each on a
//! simulated disk and host, in virtual time.
//!
//! An input is a script, a line for each deed: `{...}` is a control message, `+12` lets twelve seconds pass, `=`
//! answers what came last as a good peer would, anything else is a frame as it is. In a control message, words that begin with `$` stand for what only a run knows.

mod agent;
mod agent_site;
mod server;

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use drover_wire::{Bounded, Frame};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use agent::to_agent;
pub(crate) use agent_site::{AgentSite, DATA_DIR, Peer};
pub(crate) use server::to_server;

/// The most deeds of a script.
const DEEDS: usize = 100;
/// How long one end may take to do what it was told: nobody is slow here.
const REST: Duration = Duration::from_secs(2);

/// What is done to one end.
#[derive(Debug)]
enum Deed {
    Send(Bytes),
    Wait(Duration),
    Answer,
}

fn read(script: &[u8], words: &[(&str, String)]) -> Vec<Deed> {
    let deed = |line: &[u8]| match line.first() {
        Some(b'{') => {
            let mut frame = BytesMut::from(&[0, 0, 0, 0, 1][..]);
            frame.put_slice(&filled(line, words));
            Deed::Send(frame.freeze())
        }
        Some(b'+') => {
            let seconds = std::str::from_utf8(&line[1..]).ok().and_then(|text| text.parse().ok());
            Deed::Wait(Duration::from_secs(seconds.unwrap_or(1_u64).min(300)))
        }
        Some(b'=') => Deed::Answer,
        _ => Deed::Send(Bytes::copy_from_slice(line)),
    };
    script.split(|byte| *byte == b'\n').take(DEEDS).filter(|line| !line.is_empty()).map(deed).collect()
}

fn filled(line: &[u8], words: &[(&str, String)]) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(line) else { return line.to_vec() };
    let mut text = text.to_owned();
    for (word, meaning) in words {
        text = text.replace(word, meaning);
    }
    text.into_bytes()
}

/// A message as it is sent.
fn framed<M: Serialize + Bounded>(message: &M) -> Bytes {
    Frame::control(message).and_then(|frame| frame.encode()).expect("a message that fits into a frame")
}

/// The message in a frame, if it is one.
fn message<M: DeserializeOwned + Bounded>(frame: &Bytes) -> Option<M> {
    Frame::decode(frame.clone()).ok()?.message().ok()
}
