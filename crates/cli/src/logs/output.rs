//! The output of one run. What is followed is taken up again where it broke off, each byte once: while an agent or the
//! server restarts, nothing is missing and nothing comes twice.
//!
//! The place is found again by the time of the newest line, so a followed output is asked for with times, which are
//! taken off here where nobody wants them.

use std::time::Duration;

use drover_client::{Backoff, ByteStream, Client, Error, Request};
use drover_world::World;
use http::Method;
use jiff::Timestamp;

use super::request::LogQuery;
use crate::terminal;

const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// `2026-08-01T12:00:00.000000000Z` and a space.
const STAMP: usize = 31;

/// The output of a run, on its way.
pub(super) struct Output {
    client: Client,
    namespace: String,
    run: String,
    query: LogQuery,
    stream: Option<ByteStream>,
    place: Place,
    backoff: Backoff,
}

impl Output {
    /// Asks for a run's output.
    pub(super) async fn open(
        client: &Client,
        namespace: &str,
        run: &str,
        query: &LogQuery,
    ) -> Result<Self, Error> {
        let mut output = Self {
            client: client.clone(),
            namespace: namespace.to_owned(),
            run: run.to_owned(),
            query: query.clone(),
            stream: None,
            place: Place::new(query),
            backoff: Backoff::new(MIN_BACKOFF, MAX_BACKOFF, World::system().entropy),
        };
        output.stream = Some(output.ask().await?);
        Ok(output)
    }

    async fn ask(&self) -> Result<ByteStream, Error> {
        let path = self.place.query(&self.query).path(&self.namespace, &self.run);
        self.client.stream(Request::new(Method::GET, &path)).await
    }

    /// The next bytes, perhaps none of them to be shown; absent at the end. Errors are those that trying again cannot
    /// mend, and all where nothing is followed.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        loop {
            let next = match &mut self.stream {
                Some(stream) => stream.next().await,
                None => match self.ask().await {
                    Ok(stream) => {
                        self.stream = Some(stream);
                        continue;
                    }
                    Err(error) => Err(error),
                },
            };
            match next {
                Ok(Some(bytes)) => {
                    self.backoff.reset();
                    return Ok(Some(self.place.push(&bytes)));
                }
                Ok(None) => return Ok(self.place.finish()),
                Err(error) if !self.query.follow || !error.is_transient() => return Err(error),
                Err(_) => {
                    if self.stream.take().is_some() {
                        self.place.broke();
                    }
                    if self.backoff.failures() == 0 {
                        terminal::tell(&format!(
                            "the output of run/{} broke off; it goes on when its node and the server are back",
                            self.run
                        ));
                    }
                    tokio::time::sleep(self.backoff.next_delay()).await;
                }
            }
        }
    }
}

/// Where in a run's output its reader is. Without stamps it knows no place, and everything goes through.
#[derive(Debug)]
struct Place {
    stamped: bool,
    shown: bool,
    at: At,
    /// The time of the newest line.
    newest: Option<Timestamp>,
    /// Bytes since the beginning of the first line of that time.
    since: usize,
    /// Bytes that come a second time.
    again: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum At {
    /// In a stamp, or in what turns out to be none.
    Start(Vec<u8>),
    /// Behind it.
    Line,
}

impl Place {
    fn new(query: &LogQuery) -> Self {
        Self {
            stamped: query.follow,
            shown: query.timestamps,
            at: At::Start(Vec::new()),
            newest: None,
            since: 0,
            again: 0,
        }
    }

    /// What to ask for to be here again.
    fn query(&self, first: &LogQuery) -> LogQuery {
        let asked = LogQuery { timestamps: self.stamped || self.shown, ..first.clone() };
        match self.newest {
            Some(_) => LogQuery { since_time: self.newest, since: None, tail: None, ..asked },
            None => asked,
        }
    }

    fn broke(&mut self) {
        let held = if let At::Start(held) = &self.at { held.len() } else { 0 };
        self.again = self.since + held;
    }

    fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        if !self.stamped {
            return bytes.to_vec();
        }
        let known = self.again.min(bytes.len());
        self.again -= known;
        let mut rest = &bytes[known..];
        let mut out = Vec::new();
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
            let At::Start(held) = &mut self.at else {
                out.extend_from_slice(&rest[..end]);
                self.since += end;
                if rest[end - 1] == b'\n' {
                    self.at = At::Start(Vec::new());
                }
                rest = &rest[end..];
                continue;
            };
            let take = end.min(STAMP - held.len());
            held.extend_from_slice(&rest[..take]);
            rest = &rest[take..];
            let ended = held.ends_with(b"\n");
            if !ended && held.len() < STAMP {
                break;
            }
            let held = std::mem::take(held);
            let stamp = stamp(&held);
            if stamp.is_some() && stamp != self.newest {
                (self.newest, self.since) = (stamp, 0);
            }
            self.since += held.len();
            if self.shown || stamp.is_none() {
                out.extend_from_slice(&held);
            }
            self.at = if ended { At::Start(Vec::new()) } else { At::Line };
        }
        out
    }

    /// The end: what is held back and was no stamp.
    fn finish(&mut self) -> Option<Vec<u8>> {
        match &mut self.at {
            At::Start(held) if !held.is_empty() => Some(std::mem::take(held)),
            _ => None,
        }
    }
}

fn stamp(held: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(held).ok()?.strip_suffix(' ')?;
    text.parse().ok().filter(|_| held.len() == STAMP)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: [(u8, &str); 6] = [
        (1, "one\n"),
        (1, "two\n"),
        (2, "\n"),
        (3, "2026-08-01 not a stamp\n"),
        (3, "\u{1f980}\n"),
        (4, "half"),
    ];

    fn text(from: u8, stamps: bool) -> Vec<u8> {
        let lines = LINES.iter().filter(|(second, _)| *second >= from);
        let line = |(second, line): &(u8, &str)| match stamps {
            true => format!("2026-08-01T12:00:0{second}.000000000Z {line}"),
            false => (*line).to_owned(),
        };
        lines.map(line).collect::<String>().into_bytes()
    }

    /// Wherever it breaks off, and breaks off again: each byte comes once.
    #[test]
    fn what_broke_off_goes_on_where_it_was() {
        for shown in [false, true] {
            let first = LogQuery { follow: true, tail: Some(100), timestamps: shown, ..LogQuery::default() };
            let whole = text(0, true);
            for (one, two) in (0..=whole.len()).flat_map(|one| [0, 1, 31, 40].map(|two| (one, two))) {
                let mut place = Place::new(&first);
                let mut out = place.push(&whole[..one]);
                for length in [Some(two), None] {
                    place.broke();
                    let since = place.query(&first).since_time;
                    let second = since.map_or(0, |time| (time.as_second() % 60) as u8);
                    let again = text(second, true);
                    let length = length.unwrap_or(again.len()).min(again.len());
                    out.extend(place.push(&again[..length]));
                }
                out.extend(place.finish().unwrap_or_default());
                assert_eq!(
                    String::from_utf8_lossy(&out),
                    String::from_utf8_lossy(&text(0, shown)),
                    "{one} {two}"
                );
            }
        }
    }

    #[test]
    fn what_is_said_of_lost_output_is_no_stamp() {
        let mut place = Place::new(&LogQuery { follow: true, ..LogQuery::default() });
        let marker = b"... 123456789012345678 bytes lost ...\n";
        assert_eq!(place.push(&[&marker[..], &text(4, true)].concat()), [&marker[..], b"half"].concat());
    }

    #[test]
    fn what_is_not_followed_goes_through_as_it_is() {
        let mut place = Place::new(&LogQuery::default());
        assert_eq!(place.push(b"\xff\n no stamp"), b"\xff\n no stamp");
        assert!(!place.query(&LogQuery::default()).timestamps);
    }
}
