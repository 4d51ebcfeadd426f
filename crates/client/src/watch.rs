//! Watches: one JSON event a line, for as long as the connection lasts.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::client::{ByteStream, Client, Request};
use crate::error::{ApiError, Error};
use crate::path::Query;

/// An event is one object, and objects are smaller.
const MAX_LINE: usize = 4 << 20;

/// What to watch.
#[derive(Clone, Debug, Default)]
pub struct WatchOptions {
    /// By labels.
    pub label_selector: Option<String>,
    /// By fields.
    pub field_selector: Option<String>,
    /// Events after this revision; absent means everything there is first.
    pub resource_version: Option<String>,
    /// Tell the revision from time to time, also when nothing happens.
    pub bookmarks: bool,
    /// End after so long.
    pub timeout: Option<Duration>,
}

/// Events as they happen.
#[derive(Debug)]
pub struct Watch {
    stream: ByteStream,
    lines: Lines,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EventKind {
    /// The object is new, to this watch.
    Added,
    /// The object changed.
    Modified,
    /// The object is gone, or no longer selected.
    Deleted,
    /// Nothing, up to this revision.
    Bookmark,
    /// The watch is over; comes out of [`Watch::next`] as an error.
    Error,
}

/// One event.
#[derive(Debug, Deserialize)]
pub struct WatchEvent {
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// The object as it is now, or was last.
    pub object: Box<RawValue>,
}

impl WatchEvent {
    /// The object as a type.
    pub fn object<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(self.object.get()).map_err(Error::Decode)
    }
}

impl Client {
    /// Begins to watch a collection.
    pub async fn watch(&self, path: &str, options: &WatchOptions) -> Result<Watch, Error> {
        let seconds = options.timeout.map(|timeout| timeout.as_secs().max(1).to_string());
        let path = Query::new(path)
            .with("watch", "1")
            .with_some("labelSelector", options.label_selector.as_deref())
            .with_some("fieldSelector", options.field_selector.as_deref())
            .with_some("resourceVersion", options.resource_version.as_deref())
            .with_some("allowWatchBookmarks", options.bookmarks.then_some("true"))
            .with_some("timeoutSeconds", seconds.as_deref())
            .into_path();
        let stream = self.stream(Request::new(Method::GET, &path)).await?;
        Ok(Watch { stream, lines: Lines::default() })
    }
}

impl Watch {
    /// The next event, or none when the server ended the watch in good order. An ERROR event is an [`Error::Api`].
    pub async fn next(&mut self) -> Result<Option<WatchEvent>, Error> {
        loop {
            if let Some(line) = self.lines.next()? {
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                let event: WatchEvent = serde_json::from_slice(&line).map_err(Error::Decode)?;
                if event.kind == EventKind::Error {
                    return Err(ApiError::from_status(event.object()?).into());
                }
                return Ok(Some(event));
            }
            match self.stream.next().await? {
                Some(bytes) => self.lines.push(&bytes),
                // A torn last line is of an event that a resumed watch sends again.
                None => return Ok(None),
            }
        }
    }
}

/// Cuts bytes into lines, no longer than [`MAX_LINE`].
#[derive(Debug, Default)]
struct Lines {
    buffer: BytesMut,
    /// How much of the buffer is known to have no newline.
    searched: usize,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(at) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') else {
            self.searched = self.buffer.len();
            if self.searched > MAX_LINE {
                return Err(Error::TooLarge { limit: MAX_LINE, what: "bytes in one event" });
            }
            return Ok(None);
        };
        let line = self.buffer.split_to(self.searched + at).freeze();
        self.buffer.advance(1);
        self.searched = 0;
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_whole_however_the_bytes_come_in() {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        for byte in b"ab\n\ncd\ne" {
            lines.push(&[*byte]);
            while let Some(line) = lines.next().unwrap() {
                seen.push(line);
            }
        }
        assert_eq!(seen, ["ab", "", "cd"]);
        lines.push(b"f\ng\n");
        assert_eq!(lines.next().unwrap().unwrap(), "ef");
        assert_eq!(lines.next().unwrap().unwrap(), "g");
    }

    #[test]
    fn a_line_without_an_end_is_an_error_and_not_a_leak() {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; MAX_LINE]);
        assert!(lines.next().unwrap().is_none());
        lines.push(b"x");
        assert!(matches!(lines.next(), Err(Error::TooLarge { .. })));
    }
}
