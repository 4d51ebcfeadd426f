//! Flow control of one stream in one direction: the receiver gives credit, the sender spends it.

use crate::WireError;
use crate::limits::MAX_WINDOW;

/// The sender's side: how much it may still send.
#[derive(Clone, Debug)]
pub struct SendWindow {
    available: u32,
}

impl SendWindow {
    /// A stream whose receiver allows this much from the start, commonly [`crate::DEFAULT_WINDOW`].
    pub fn new(initial: u32) -> Self {
        Self { available: initial.min(MAX_WINDOW) }
    }

    /// How much may be sent now.
    pub fn available(&self) -> u32 {
        self.available
    }

    /// Spends credit for as much of `wanted` as there is; what is returned must be sent.
    pub fn take(&mut self, wanted: usize) -> usize {
        let taken = u32::try_from(wanted).unwrap_or(u32::MAX).min(self.available);
        self.available -= taken;
        taken as usize
    }

    /// Adds what the receiver allowed.
    pub fn grant(&mut self, credit: u32) -> Result<(), WireError> {
        let bad = WireError::BadCredit { credit, available: self.available, limit: MAX_WINDOW };
        if credit == 0 {
            return Err(bad);
        }
        match self.available.checked_add(credit) {
            Some(sum) if sum <= MAX_WINDOW => {
                self.available = sum;
                Ok(())
            }
            _ => Err(bad),
        }
    }
}

/// The receiver's side: how much it allowed, and how much of that it is done with.
#[derive(Clone, Debug)]
pub struct ReceiveWindow {
    window: u32,
    /// What the peer may still send.
    outstanding: u32,
    /// What came and is still held here.
    held: u32,
    /// What was consumed and not given back yet.
    owed: u32,
}

impl ReceiveWindow {
    /// A stream on which this much may be under way or held at once.
    pub fn new(window: u32) -> Self {
        let window = window.min(MAX_WINDOW);
        Self { window, outstanding: window, held: 0, owed: 0 }
    }

    /// Bytes that came and were not consumed.
    pub fn held(&self) -> u32 {
        self.held
    }

    /// Bytes came. More than was allowed is the peer's fault.
    pub fn received(&mut self, bytes: usize) -> Result<(), WireError> {
        let sent = u32::try_from(bytes).unwrap_or(u32::MAX);
        if sent > self.outstanding {
            return Err(WireError::Overrun { sent, credit: self.outstanding });
        }
        self.outstanding -= sent;
        self.held += sent;
        Ok(())
    }

    /// Bytes that came were consumed. Returns the credit to send, once it is worth a frame.
    pub fn consumed(&mut self, bytes: usize) -> Option<u32> {
        let consumed = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.held);
        self.held -= consumed;
        self.owed += consumed;
        // Half a window: few frames, and the sender never runs dry while the receiver keeps up.
        if self.owed == 0 || self.owed < self.window / 2 {
            return None;
        }
        let credit = std::mem::take(&mut self.owed);
        self.outstanding += credit;
        Some(credit)
    }
}
