//! Pings that were sent and pongs that came. Pure.

use drover_wire::Ping;

/// How many pings in a row may go unanswered.
const UNANSWERED: u64 = 2;

/// The pings of one session.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heartbeat {
    sent: u64,
    answered: u64,
}

impl Heartbeat {
    /// The next ping; none when the agent counts as gone.
    pub(crate) fn beat(&mut self) -> Option<Ping> {
        if self.sent - self.answered >= UNANSWERED {
            return None;
        }
        self.sent += 1;
        Some(Ping { nonce: self.sent, acknowledged: self.answered })
    }

    /// A pong came. One that answers nothing changes nothing.
    pub(crate) fn pong(&mut self, nonce: u64) {
        if nonce <= self.sent {
            self.answered = self.answered.max(nonce);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_unanswered_pings_are_the_end() {
        let mut heartbeat = Heartbeat::default();
        assert_eq!(heartbeat.beat(), Some(Ping { nonce: 1, acknowledged: 0 }));
        heartbeat.pong(7);
        assert_eq!(heartbeat.beat(), Some(Ping { nonce: 2, acknowledged: 0 }));
        heartbeat.pong(1);
        assert_eq!(heartbeat.beat(), Some(Ping { nonce: 3, acknowledged: 1 }));
        assert_eq!(heartbeat.beat(), None);
        heartbeat.pong(3);
        assert_eq!(heartbeat.beat(), Some(Ping { nonce: 4, acknowledged: 3 }));
    }
}
