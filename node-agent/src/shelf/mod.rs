//! The Assignments that are desired: on disk, found again by where they are there. In memory are those that are at work,
//! so that ten thousand timers that wait cost little.
//!
//! A change is on disk or has not been; it costs what it changes. What has been replaced stays in the file until it is
//! more than what counts; then all that counts is written to the next file.

mod legacy;
mod log;
mod read;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use drover_types::kinds::assignment::Assignment;
use drover_world::Disk;

pub(crate) use self::log::Head;
use self::log::{Line, Log, Place, Record, VERSION, add};
use self::read::{Contents, Found};
use crate::journal::unseal;

const DIR: &str = "desired";
/// Where a file goes that cannot be read, for whoever wants to know what it was.
const ASIDE: &str = "desired.unreadable";
/// The longest file. What counts in it is less than half of that, but for the last change.
const MAX_BYTES: u64 = 384 << 20;
/// What has been replaced is not cleared away before it is so much.
const SLACK: u64 = 1 << 20;

/// A change of what is desired.
#[derive(Default)]
pub(crate) struct Update {
    /// Whether what it does not name goes.
    pub(crate) full: bool,
    pub(crate) put: Vec<Arc<Assignment>>,
    pub(crate) removed: Vec<String>,
}

/// What is kept in memory of every Assignment.
#[derive(Clone, Copy, Debug)]
struct Held {
    place: Place,
    /// Whether its references were resolved once against what the node holds now.
    checked: bool,
}

/// What is desired.
pub(crate) struct Shelf {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    head: Head,
    number: u64,
    /// Absent: no state is on disk that counts.
    log: Option<Log>,
    /// Bytes in the file that count.
    live: u64,
    /// The size of the file at which it is written anew.
    full_at: u64,
    /// Whether there is a file of an older form, which goes with the next change.
    legacy: bool,
    held: BTreeMap<Arc<str>, Held>,
    leased: BTreeMap<Arc<str>, Duration>,
    awake: BTreeMap<Arc<str>, Arc<Assignment>>,
    /// Woken since it was asked last.
    woken: BTreeSet<Arc<str>>,
}

impl Shelf {
    /// What was stored last, and if that cannot be read, why: then what was desired is not known, which is not the same as
    /// nothing. `is_new`: whether the node is known never to have stored anything.
    pub(crate) fn open(disk: Arc<dyn Disk>, data_dir: &Path, is_new: bool) -> (Self, Option<String>) {
        let mut shelf = Self {
            disk,
            dir: data_dir.join(DIR),
            head: Head::default(),
            number: 0,
            log: None,
            live: 0,
            full_at: 0,
            legacy: false,
            held: BTreeMap::new(),
            leased: BTreeMap::new(),
            awake: BTreeMap::new(),
            woken: BTreeSet::new(),
        };
        let lost = match shelf.load() {
            Ok(lost) => lost,
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_new => None,
            Err(error) => Some(error.to_string()),
        };
        (shelf, lost)
    }

    fn load(&mut self) -> io::Result<Option<String>> {
        let numbers = self.numbers();
        self.number = numbers.iter().flatten().last().copied().unwrap_or(0);
        match legacy::read(&*self.disk, self.legacy_path()) {
            Ok(Some((head, assignments))) => {
                self.legacy = true;
                self.update(head, Update { full: true, put: assignments, removed: Vec::new() })?;
                return Ok(None);
            }
            Ok(None) => {}
            Err(error) => {
                self.legacy = true;
                self.set_aside(&self.legacy_path());
                return Err(error);
            }
        }
        let numbers = numbers?;
        for number in numbers.iter().rev() {
            let path = self.path(*number);
            match read::read(&*self.disk, &path, MAX_BYTES, is_pinned)? {
                Found::State(contents) => {
                    self.adopt(path, *contents);
                    self.clear(*number);
                    return Ok(None);
                }
                Found::Damaged(why) => {
                    self.set_aside(&path);
                    return Ok(Some(why));
                }
                Found::Nothing => {}
            }
        }
        if let Some(number) = numbers.last() {
            self.set_aside(&self.path(*number));
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "there is no whole one"))
    }

    fn adopt(&mut self, path: PathBuf, contents: Contents) {
        let mut log = Log::found(Arc::clone(&self.disk), path, contents.size, contents.torn);
        if let Err(error) = log.settle() {
            tracing::warn!(%error, "the desired state cannot be written for now");
        }
        self.head = contents.head;
        for (uid, place) in contents.places {
            self.live += u64::from(place.length);
            self.held.insert(uid, Held { place, checked: false });
        }
        for assignment in contents.pinned.into_values() {
            self.pin(&assignment);
        }
        self.full_at = self.live * 2 + SLACK;
        self.log = Some(log);
    }

    fn legacy_path(&self) -> PathBuf {
        self.dir.with_file_name(legacy::NAME)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(number.to_string())
    }

    /// The files that there are, oldest first.
    fn numbers(&self) -> io::Result<Vec<u64>> {
        let entries = self.disk.list(&self.dir)?;
        let mut numbers: Vec<u64> =
            entries.iter().filter_map(|entry| entry.name.to_str()?.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn set_aside(&self, path: &Path) {
        let aside = self.dir.with_file_name(ASIDE);
        let copied = self.disk.read(path, MAX_BYTES);
        if let Err(error) = copied.and_then(|bytes| self.disk.write_atomic(&aside, &bytes, 0o600)) {
            tracing::warn!(%error, "the unreadable desired state was not set aside");
        }
    }

    /// Removes all files but the one that counts. What stays after an error goes after the next start, or change of file.
    fn clear(&self, kept: u64) {
        for number in self.numbers().unwrap_or_default().into_iter().filter(|number| *number != kept) {
            if let Err(error) = self.disk.remove(&self.path(number)) {
                tracing::warn!(%error, "a file of an earlier desired state stays");
            }
        }
    }

    /// What it is beside its Assignments.
    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    pub(crate) fn contains(&self, uid: &str) -> bool {
        self.held.contains_key(uid)
    }

    /// A uid to hold on to: that of the Assignment itself, if it is desired.
    pub(crate) fn key(&self, uid: &str) -> Arc<str> {
        self.held.get_key_value(uid).map_or_else(|| uid.into(), |(held, _)| Arc::clone(held))
    }

    pub(crate) fn uids(&self) -> impl Iterator<Item = &Arc<str>> {
        self.held.keys()
    }

    /// Those that may move, and the lease of each.
    pub(crate) fn leased(&self) -> &BTreeMap<Arc<str>, Duration> {
        &self.leased
    }

    /// An Assignment, if it is desired. An error says nothing of whether it is.
    pub(crate) fn get(&self, uid: &str) -> io::Result<Option<Arc<Assignment>>> {
        match (self.awake.get(uid), self.held.get(uid), &self.log) {
            (Some(assignment), _, _) => Ok(Some(Arc::clone(assignment))),
            (None, Some(held), Some(log)) => {
                let line = self.line(log.path(), held.place)?;
                let record = unseal(&line).map(serde_json::from_slice);
                match record.transpose()? {
                    Some(Record::Put(assignment)) if assignment.metadata.uid == uid => {
                        Ok(Some(Arc::from(assignment)))
                    }
                    _ => Err(io::Error::new(io::ErrorKind::InvalidData, "its line has changed on the disk")),
                }
            }
            (None, _, _) => Ok(None),
        }
    }

    /// The same, to be kept in memory for now.
    pub(crate) fn wake(&mut self, uid: &str) -> io::Result<Option<Arc<Assignment>>> {
        let Some(assignment) = self.get(uid)? else { return Ok(None) };
        if let Some((uid, _)) = self.held.get_key_value(uid)
            && !is_pinned(&assignment)
        {
            self.woken.insert(Arc::clone(uid));
            self.awake.insert(Arc::clone(uid), Arc::clone(&assignment));
        }
        Ok(Some(assignment))
    }

    /// Which were woken since this was asked last.
    pub(crate) fn take_woken(&mut self) -> BTreeSet<Arc<str>> {
        std::mem::take(&mut self.woken)
    }

    /// Keeps an Assignment on disk only.
    pub(crate) fn rest(&mut self, uid: &str) {
        self.awake.remove(uid);
    }

    /// Takes note that an Assignment's references are resolved; whether that is new.
    pub(crate) fn check(&mut self, uid: &str) -> bool {
        self.held.get_mut(uid).is_some_and(|held| !std::mem::replace(&mut held.checked, true))
    }

    /// What an Assignment refers to may be another now.
    pub(crate) fn uncheck(&mut self, uid: &str) {
        if let Some(held) = self.held.get_mut(uid) {
            held.checked = false;
        }
    }

    fn line(&self, path: &Path, place: Place) -> io::Result<Vec<u8>> {
        self.disk.read_range(path, place.at, place.length as usize)
    }

    /// Takes a change over: it is on disk when this returns, or nothing has changed.
    pub(crate) fn update(&mut self, mut head: Head, update: Update) -> io::Result<()> {
        head.version = VERSION;
        let places = match self.log.take() {
            Some(mut log) if !update.full => {
                let written = write(&mut log, &head, &update.put, &update.removed);
                self.log = Some(log);
                written?
            }
            before => {
                let written = self.replace(&before, |log| write(log, &head, &update.put, &[]));
                match written {
                    Ok(places) => places,
                    Err(error) => {
                        self.log = before;
                        return Err(error);
                    }
                }
            }
        };
        if self.legacy {
            self.disk.remove(&self.legacy_path())?;
            self.legacy = false;
        }
        self.head = head;
        if update.full {
            self.held.clear();
            self.leased.clear();
            self.awake.clear();
            self.live = 0;
        }
        for uid in &update.removed {
            self.remove(uid);
        }
        for (assignment, place) in update.put.iter().zip(places.into_iter().skip(update.dropped())) {
            self.put(assignment, place);
        }
        if update.full {
            self.full_at = self.live * 2 + SLACK;
        }
        self.compact();
        Ok(())
    }

    fn remove(&mut self, uid: &str) {
        if let Some(held) = self.held.remove(uid) {
            self.live -= u64::from(held.place.length);
        }
        self.leased.remove(uid);
        self.awake.remove(uid);
    }

    fn put(&mut self, assignment: &Arc<Assignment>, place: Place) {
        let uid = &assignment.metadata.uid;
        self.remove(uid);
        self.live += u64::from(place.length);
        self.held.insert(uid.as_str().into(), Held { place, checked: false });
        if is_pinned(assignment) {
            self.pin(assignment);
        }
    }

    fn pin(&mut self, assignment: &Arc<Assignment>) {
        let Some((uid, _)) = self.held.get_key_value(assignment.metadata.uid.as_str()) else { return };
        if let Some(lease) = assignment.spec.lease {
            self.leased.insert(Arc::clone(uid), lease.to_std());
        }
        self.awake.insert(Arc::clone(uid), Arc::clone(assignment));
    }

    /// Writes the next file, and lets the ones before it go once it is whole.
    fn replace(
        &mut self,
        before: &Option<Log>,
        fill: impl FnOnce(&mut Log) -> io::Result<Vec<Place>>,
    ) -> io::Result<Vec<Place>> {
        if before.is_none() {
            self.disk.create_dir(&self.dir, 0o700)?;
        }
        let number = self.number + 1;
        let mut log = Log::create(Arc::clone(&self.disk), self.path(number))?;
        let places = fill(&mut log).inspect_err(|_| {
            // It is nothing to anybody; what it takes is wanted elsewhere.
            let _ = self.disk.remove(&self.path(number));
        })?;
        self.number = number;
        self.log = Some(log);
        self.clear(number);
        Ok(places)
    }

    /// Writes what counts to a new file, once what does not is more.
    fn compact(&mut self) {
        let Some(log) = self.log.take_if(|log| log.size() > self.full_at) else { return };
        let places: Vec<Place> = self.held.values().map(|held| held.place).collect();
        let head = Head { begin: 0, ..self.head.clone() };
        let (disk, path) = (Arc::clone(&self.disk), log.path().to_owned());
        let before = Some(log);
        let written = self.replace(&before, |log| {
            let mut places = places.iter();
            let mut state = Some(&head);
            log.write(|bytes| {
                let Some(place) = places.next() else {
                    return state
                        .take()
                        .map_or(Ok(false), |head| add(&Line::State(head), bytes).map(|()| true));
                };
                let line = disk.read_range(&path, place.at, place.length as usize)?;
                if unseal(&line).is_none() {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "a line has changed on the disk"));
                }
                bytes.extend_from_slice(&line);
                Ok(true)
            })
        });
        match written {
            Ok(places) => {
                for (held, place) in self.held.values_mut().zip(places) {
                    held.place = place;
                }
                self.full_at = self.live * 2 + SLACK;
            }
            Err(error) => {
                // The change itself is durable all the same; a larger file is tried again when it has grown further.
                tracing::warn!(%error, "the desired state's file was not written anew");
                self.full_at += self.live + SLACK;
                self.log = before;
            }
        }
    }
}

impl Update {
    /// How many lines come before those of what is put.
    fn dropped(&self) -> usize {
        if self.full { 0 } else { self.removed.len() }
    }
}

/// Writes what goes, what comes, and the state that this makes.
fn write(log: &mut Log, head: &Head, put: &[Arc<Assignment>], removed: &[String]) -> io::Result<Vec<Place>> {
    let head = &Head { begin: log.size(), ..head.clone() };
    let gone = removed.iter().map(|uid| Line::Drop(uid));
    let come = put.iter().map(|assignment| Line::Put(assignment));
    let mut lines = gone.chain(come).chain([Line::State(head)]);
    log.write(|bytes| lines.next().map_or(Ok(false), |line| add(&line, bytes).map(|()| true)))
}

/// Whether an Assignment is kept in memory all the time: a Service always has something to do, and a lease is looked at
/// with each heartbeat.
fn is_pinned(assignment: &Assignment) -> bool {
    assignment.spec.service.is_some() || assignment.spec.lease.is_some()
}
