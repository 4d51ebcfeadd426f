//! The live objects in the order of their keys, how many there are in each directory, and what they were a while ago.
//!
//! A page costs what is on it, and not what lies before or behind it.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use crate::{Event, Object};

/// What lives under the prefix of a cache.
#[derive(Default)]
pub(crate) struct Live {
    objects: BTreeMap<Bytes, Arc<Object>>,
    /// How many objects are in each directory, at any depth: under each prefix of a key that ends with a slash.
    counts: BTreeMap<Bytes, u64>,
}

/// What was otherwise at an earlier revision: the object of then, or none, by its key.
pub(crate) type Past<'a> = BTreeMap<&'a Bytes, Option<&'a Arc<Object>>>;

impl Live {
    pub(crate) fn of(objects: impl IntoIterator<Item = Arc<Object>>) -> Self {
        let mut live = Self::default();
        for object in objects {
            live.insert(object);
        }
        live
    }

    pub(crate) fn len(&self) -> usize {
        self.objects.len()
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.objects.values()
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&Arc<Object>> {
        self.objects.get(key)
    }

    /// Puts it in its place; what was there.
    pub(crate) fn insert(&mut self, object: Arc<Object>) -> Option<Arc<Object>> {
        let key = object.key.clone();
        let before = self.objects.insert(key.clone(), object);
        if before.is_none() {
            for directory in directories(&key) {
                match self.counts.get_mut(directory) {
                    Some(count) => *count += 1,
                    None => drop(self.counts.insert(Bytes::copy_from_slice(directory), 1)),
                }
            }
        }
        before
    }

    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<Arc<Object>> {
        let before = self.objects.remove(key)?;
        for directory in directories(key) {
            let Some(count) = self.counts.get_mut(directory) else { continue };
            *count -= 1;
            if *count == 0 {
                self.counts.remove(directory);
            }
        }
        Some(before)
    }

    /// How many there are under a prefix: known of a directory, counted of any other.
    pub(crate) fn count(&self, prefix: &[u8]) -> u64 {
        if prefix.last() == Some(&b'/') {
            self.counts.get(prefix).copied().unwrap_or(0)
        } else {
            self.under(prefix, None).count() as u64
        }
    }

    /// Those under a prefix, behind a key.
    pub(crate) fn under<'a>(
        &'a self,
        prefix: &'a [u8],
        after: Option<&[u8]>,
    ) -> impl Iterator<Item = &'a Arc<Object>> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        self.objects
            .range::<[u8], _>((start, Bound::Unbounded))
            .map(|(_, object)| object)
            .take_while(move |object| object.key.starts_with(prefix))
    }

    /// Those under a prefix, behind a key, as they were before what `past` undoes.
    pub(crate) fn under_at<'a>(
        &'a self,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
        past: &'a Past<'a>,
    ) -> impl Iterator<Item = &'a Arc<Object>> {
        let unchanged = self.under(prefix, after).filter(|object| !past.contains_key(&object.key));
        let behind = move |key: &Bytes| after.is_none_or(|after| &key[..] > after);
        let then = past.values().flatten().copied().filter(move |object| behind(&object.key));
        Merged { one: unchanged.peekable(), other: then.peekable() }
    }

    /// How many there were under a prefix before what `past` undoes.
    pub(crate) fn count_at(&self, prefix: &[u8], past: &Past<'_>) -> u64 {
        let then = past.values().flatten().count() as u64;
        let now = past.keys().filter(|key| self.objects.contains_key(&key[..])).count() as u64;
        self.count(prefix) + then - now
    }
}

/// What these events changed under a prefix: they are all since some revision, the newest first.
pub(crate) fn past<'a>(prefix: &[u8], events: impl Iterator<Item = &'a Event>) -> Past<'a> {
    events
        .filter(|event| event.object.key.starts_with(prefix))
        .map(|event| (&event.object.key, event.previous.as_ref()))
        .collect()
}

/// Every prefix of a key that ends with a slash.
fn directories(key: &[u8]) -> impl Iterator<Item = &[u8]> {
    key.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| &key[..=at])
}

/// Two that rise, as one.
struct Merged<A: Iterator, B: Iterator> {
    one: Peekable<A>,
    other: Peekable<B>,
}

impl<'a, A, B> Iterator for Merged<A, B>
where
    A: Iterator<Item = &'a Arc<Object>>,
    B: Iterator<Item = &'a Arc<Object>>,
{
    type Item = &'a Arc<Object>;

    fn next(&mut self) -> Option<Self::Item> {
        match (self.one.peek(), self.other.peek()) {
            (Some(one), Some(other)) if other.key < one.key => self.other.next(),
            (None, _) => self.other.next(),
            _ => self.one.next(),
        }
    }
}
