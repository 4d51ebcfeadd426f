//! The file itself, as it is read: what it says it is, its parts, and the sum at its end. Pure: bytes come in pieces of
//! any size, and what they mean comes out.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::BackupError;
use crate::pki::hex;

/// The format that this version writes, and the newest it reads.
pub(super) const FORMAT: u64 = 1;
/// What the first line begins with.
const MAGIC: &str = "drover backup ";
/// The longest first two lines together.
const MAX_HEAD: usize = 64 << 10;
/// The last line: `sha256 `, 64 digits, an end of line.
const TRAILER: usize = 7 + 64 + 1;

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// When it was made, by the clock of the server.
    pub created: Timestamp,
    /// The version of the program that made it.
    pub version: String,
    /// The history that it is a copy of.
    pub epoch: String,
    /// The revision it is of.
    pub revision: u64,
    /// The schema of its store.
    pub schema: i64,
    /// How many keys are in its store.
    pub keys: u64,
    /// Its files, in their order.
    pub files: Vec<Part>,
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// Its name in a data directory.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
}

/// The two lines that a backup begins with.
pub(super) fn head(header: &Header) -> Vec<u8> {
    // Text, numbers and a list: it always encodes.
    let json = serde_json::to_string(header).unwrap_or_default();
    format!("{MAGIC}{FORMAT}\n{json}\n").into_bytes()
}

/// The line that a backup ends with.
pub(super) fn trailer(hash: Sha256) -> Vec<u8> {
    format!("sha256 {}\n", hex(&hash.finalize())).into_bytes()
}

/// How long a backup is in all.
pub(super) fn length(header: &Header) -> u64 {
    let files: u64 = header.files.iter().map(|part| part.bytes).sum();
    head(header).len() as u64 + files + TRAILER as u64
}

/// A backup whose sum is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// What it says of itself.
    pub header: Header,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its sum, in hex.
    pub sha256: String,
}

/// Takes what is of a file: its name, whether it begins here, and bytes.
pub type Sink<'a> = &'a mut dyn FnMut(&str, bool, &[u8]) -> Result<(), BackupError>;

/// A backup as it is read from front to end.
pub struct Reading {
    name: String,
    hash: Sha256,
    bytes: u64,
    head: Vec<u8>,
    header: Option<Header>,
    /// Which file is read, and how much of it was.
    at: (usize, u64),
    trailer: Vec<u8>,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading")
            .field("name", &self.name)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Reading {
    /// Nothing is read yet. `name` is what it is called in errors.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            hash: Sha256::new(),
            bytes: 0,
            head: Vec::new(),
            header: None,
            at: (0, 0),
            trailer: Vec::new(),
        }
    }

    /// What it says of itself, once that was read.
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// How long it is in all, once that is known.
    pub fn length(&self) -> Option<u64> {
        self.header.as_ref().map(length)
    }

    /// Reads the next bytes, and hands on what of them is of a file.
    pub fn push(&mut self, mut bytes: &[u8], write: Sink<'_>) -> Result<(), BackupError> {
        self.bytes += bytes.len() as u64;
        if self.header.is_none() {
            let before = self.head.len();
            self.head.extend_from_slice(bytes);
            let Some(end) = self.head_end()? else { return Ok(()) };
            let header = self.decode(end)?;
            self.hash.update(&self.head[..end]);
            bytes = &bytes[end - before..];
            self.head.clear();
            self.header = Some(header);
            self.begin(write)?;
        }
        while !bytes.is_empty() {
            let Some(part) = self.part().cloned() else {
                self.trailer.extend_from_slice(bytes);
                if self.trailer.len() > TRAILER {
                    return Err(self.damaged("something follows its end"));
                }
                return Ok(());
            };
            let left = part.bytes - self.at.1;
            let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            let (mine, rest) = bytes.split_at(taken);
            self.hash.update(mine);
            write(&part.name, false, mine)?;
            self.at.1 += taken as u64;
            bytes = rest;
            if self.at.1 == part.bytes {
                self.at = (self.at.0 + 1, 0);
                self.begin(write)?;
            }
        }
        Ok(())
    }

    /// Announces the next file, and those that are empty.
    fn begin(&mut self, write: Sink<'_>) -> Result<(), BackupError> {
        while let Some(part) = self.part().cloned() {
            write(&part.name, true, &[])?;
            if part.bytes > 0 {
                break;
            }
            self.at.0 += 1;
        }
        Ok(())
    }

    fn part(&self) -> Option<&Part> {
        self.header.as_ref()?.files.get(self.at.0)
    }

    /// Nothing follows. Whether what was read is whole.
    pub fn finish(self) -> Result<Verified, BackupError> {
        let Some(header) = &self.header else {
            // What was cut off before it said what it is could be anything.
            return Err(BackupError::NotABackup(self.name));
        };
        if self.trailer.len() != TRAILER {
            let why = format!("it is cut off at {} of {} bytes", self.bytes, length(header));
            return Err(self.damaged(&why));
        }
        let sum = trailer(self.hash.clone());
        if sum != self.trailer {
            return Err(self.damaged("its SHA-256 is another than its last line says"));
        }
        let sha256 = String::from_utf8_lossy(&sum).trim().trim_start_matches("sha256 ").to_owned();
        Ok(Verified { header: header.clone(), bytes: self.bytes, sha256 })
    }

    fn damaged(&self, why: &str) -> BackupError {
        BackupError::Damaged { name: self.name.clone(), why: why.into() }
    }

    /// Where the first two lines end, once they are there.
    fn head_end(&self) -> Result<Option<usize>, BackupError> {
        let magic = MAGIC.as_bytes();
        let seen = magic.len().min(self.head.len());
        if self.head[..seen] != magic[..seen] {
            return Err(BackupError::NotABackup(self.name.clone()));
        }
        let mut ends = self.head.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        if let Some(first) = ends.next() {
            let text = String::from_utf8_lossy(&self.head[magic.len()..first]).trim().to_owned();
            let Ok(found) = text.parse::<u64>() else {
                return Err(BackupError::NotABackup(self.name.clone()));
            };
            if found > FORMAT {
                return Err(BackupError::Newer { name: self.name.clone(), found, known: FORMAT });
            }
        }
        match ends.next() {
            Some(end) => Ok(Some(end)),
            None if self.head.len() > MAX_HEAD => Err(self.damaged("its first lines have no end")),
            None => Ok(None),
        }
    }

    fn decode(&self, end: usize) -> Result<Header, BackupError> {
        let line = self.head[..end].split(|byte| *byte == b'\n').nth(1).unwrap_or_default();
        let header: Header = serde_json::from_slice(line)
            .map_err(|error| self.damaged(&format!("its second line cannot be read ({error})")))?;
        // A name becomes a path.
        let strange = header.files.iter().find(|part| !super::make::NAMES.contains(&part.name.as_str()));
        if let Some(part) = strange {
            return Err(self.damaged(&format!("it holds a file {:?} that no backup has", part.name)));
        }
        let twice = |part: &Part| header.files.iter().filter(|other| other.name == part.name).count() > 1;
        if !header.files.iter().any(|part| part.name == super::make::STORE) || header.files.iter().any(twice)
        {
            return Err(self.damaged("it holds no store, or a file twice"));
        }
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Header, Vec<u8>) {
        let header = Header {
            created: Timestamp::UNIX_EPOCH,
            version: "0".into(),
            epoch: "e".into(),
            revision: 7,
            schema: 1,
            keys: 0,
            files: vec![
                Part { name: "store.db".into(), bytes: 5 },
                Part { name: "ca.crt".into(), bytes: 0 },
                Part { name: "ca.key".into(), bytes: 3 },
            ],
        };
        let mut bytes = head(&header);
        bytes.extend_from_slice(b"storekey");
        let mut hash = Sha256::new();
        hash.update(&bytes);
        bytes.extend(trailer(hash));
        assert_eq!(bytes.len() as u64, length(&header));
        (header, bytes)
    }

    type Files = Vec<(String, Vec<u8>)>;

    fn read(bytes: &[u8], step: usize) -> Result<(Verified, Files), BackupError> {
        let mut reading = Reading::new("it");
        let mut files: Files = Vec::new();
        for piece in bytes.chunks(step) {
            reading.push(piece, &mut |name, begins, bytes| {
                if begins {
                    files.push((name.to_owned(), Vec::new()));
                }
                files.last_mut().unwrap().1.extend_from_slice(bytes);
                Ok(())
            })?;
        }
        Ok((reading.finish()?, files))
    }

    #[test]
    fn a_backup_is_read_in_pieces_of_any_size() {
        let (header, bytes) = sample();
        for step in [1, 2, 7, 64, bytes.len()] {
            let (verified, files) = read(&bytes, step).unwrap();
            assert_eq!((verified.bytes, &verified.header), (bytes.len() as u64, &header));
            let files: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
            assert_eq!(files, [("store.db", &b"store"[..]), ("ca.crt", b""), ("ca.key", b"key")]);
        }
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_found() {
        let (_, bytes) = sample();
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end], 16).is_err(), "cut at {end}");
        }
        for place in 0..bytes.len() {
            let mut other = bytes.clone();
            other[place] ^= 1;
            assert!(read(&other, 16).is_err(), "byte {place}");
        }
        let more = [&bytes[..], b"x"].concat();
        assert!(read(&more, 16).unwrap_err().to_string().contains("follows its end"));
    }

    #[test]
    fn what_is_no_backup_a_newer_one_and_one_with_a_path_are_told_apart() {
        let said = |bytes: &[u8]| read(bytes, 16).unwrap_err().to_string();
        assert!(said(b"my shopping list\n").contains("no backup"));
        assert!(said(b"").contains("no backup"));
        assert!(said(b"drover backup 2\n{}\n").contains("format 2, this program knows up to 1"));
        let (mut header, _) = sample();
        header.files[1].name = "../ca.crt".into();
        assert!(said(&head(&header)).contains("that no backup has"));
    }
}
