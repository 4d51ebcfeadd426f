//! Frames: what one WebSocket binary message holds.

use bytes::{BufMut, Bytes, BytesMut};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::WireError;
use crate::limits::{Bounded, MAX_DATA, MAX_FRAME, MAX_TEXT, at_most};

/// The stream of control messages.
pub const CONTROL_STREAM: u32 = 0;

const HEADER: usize = 5;
const CONTROL: u8 = 1;
const DATA: u8 = 2;
const CREDIT: u8 = 3;
const END: u8 = 4;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Whose it is: 0 is the control stream.
    pub stream: u32,
    /// What it holds.
    pub body: Body,
}

/// What a frame holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A control message as JSON; only on stream 0.
    Control(Bytes),
    /// Bytes of a stream, paid for with credit; at most [`MAX_DATA`].
    Data(Bytes),
    /// The receiver of a stream allows so many bytes more.
    Credit(u32),
    /// Nothing more comes from this side; either side may send it at any time. Without a status all went well.
    End(Option<EndStatus>),
}

/// Why a stream ended before its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndStatus {
    /// One CamelCase word for programs, for example `NotFound`.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
}

impl Frame {
    /// A control frame with this message.
    pub fn control<M: Serialize + Bounded>(message: &M) -> Result<Self, WireError> {
        message.check()?;
        let payload = serde_json::to_vec(message).map_err(WireError::Json)?;
        at_most("a control message", payload.len(), MAX_FRAME - HEADER)?;
        Ok(Self { stream: CONTROL_STREAM, body: Body::Control(payload.into()) })
    }

    /// Bytes of a stream.
    pub fn data(stream: u32, bytes: Bytes) -> Self {
        Self { stream, body: Body::Data(bytes) }
    }

    /// Credit for a stream.
    pub fn credit(stream: u32, bytes: u32) -> Self {
        Self { stream, body: Body::Credit(bytes) }
    }

    /// The end of a stream.
    pub fn end(stream: u32, status: Option<EndStatus>) -> Self {
        Self { stream, body: Body::End(status) }
    }

    /// The frame as one binary message.
    pub fn encode(&self) -> Result<Bytes, WireError> {
        let status;
        let credit;
        let (kind, payload): (u8, &[u8]) = match &self.body {
            Body::Control(json) => (CONTROL, json),
            Body::Data(bytes) => {
                at_most("a data frame", bytes.len(), MAX_DATA)?;
                (DATA, bytes)
            }
            Body::Credit(bytes) => {
                credit = bytes.to_be_bytes();
                (CREDIT, &credit)
            }
            Body::End(None) => (END, &[]),
            Body::End(Some(end)) => {
                end.check()?;
                status = serde_json::to_vec(end).map_err(WireError::Json)?;
                (END, &status)
            }
        };
        check_stream(self.stream, kind)?;
        at_most("a frame", HEADER + payload.len(), MAX_FRAME)?;
        let mut message = BytesMut::with_capacity(HEADER + payload.len());
        message.put_u32(self.stream);
        message.put_u8(kind);
        message.put_slice(payload);
        Ok(message.freeze())
    }

    /// Reads one binary message. The payload is not copied.
    pub fn decode(message: Bytes) -> Result<Self, WireError> {
        at_most("a frame", message.len(), MAX_FRAME)?;
        let (&[a, b, c, d, kind], payload) =
            message.split_first_chunk().ok_or(WireError::Truncated(message.len()))?;
        let stream = u32::from_be_bytes([a, b, c, d]);
        check_stream(stream, kind)?;
        let body = match kind {
            CONTROL => Body::Control(message.slice(HEADER..)),
            DATA => {
                at_most("a data frame", payload.len(), MAX_DATA)?;
                Body::Data(message.slice(HEADER..))
            }
            CREDIT => match payload.split_first_chunk() {
                None => return Err(WireError::Truncated(message.len())),
                Some((bytes, [])) => Body::Credit(u32::from_be_bytes(*bytes)),
                Some((_, rest)) => return Err(WireError::Trailing(rest.len())),
            },
            END if payload.is_empty() => Body::End(None),
            // `check_stream` let no other kind through.
            _ => {
                let status: EndStatus = serde_json::from_slice(payload).map_err(WireError::Json)?;
                status.check()?;
                Body::End(Some(status))
            }
        };
        Ok(Self { stream, body })
    }

    /// The control message in this frame.
    pub fn message<M: DeserializeOwned + Bounded>(&self) -> Result<M, WireError> {
        let Body::Control(json) = &self.body else { return Err(WireError::NotControl) };
        let message: M = serde_json::from_slice(json).map_err(WireError::Json)?;
        message.check()?;
        Ok(message)
    }
}

fn check_stream(stream: u32, kind: u8) -> Result<(), WireError> {
    match kind {
        CONTROL if stream == CONTROL_STREAM => Ok(()),
        DATA | CREDIT | END if stream != CONTROL_STREAM => Ok(()),
        CONTROL | DATA | CREDIT | END => Err(WireError::WrongStream { stream, kind }),
        _ => Err(WireError::UnknownKind(kind)),
    }
}

impl Bounded for EndStatus {
    fn check(&self) -> Result<(), WireError> {
        crate::limits::name("an end's reason", &self.reason)?;
        at_most("an end's message", self.message.len(), MAX_TEXT)
    }
}
