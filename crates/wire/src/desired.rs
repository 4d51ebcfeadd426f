//! What a node is to do, in chunks that fit into frames, and how the chunks become one again.

use std::collections::BTreeMap;
use std::fmt;

use drover_mutants::{Mutant, active};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::WireError;
use crate::limits::{Bounded, MAX_DESIRED, MAX_FRAME, MAX_ITEMS, at_most, name};

/// What a node is to do from now on: everything, or what changed since the revision it acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Desired {
    /// The store revision that this brings the node to.
    pub revision: u64,
    /// Whether this is everything: then what is not in it goes.
    pub full: bool,
    /// Whether another chunk of the same revision follows. Nothing is acted on before the last one.
    pub more: bool,
    /// Whole Assignment objects, new or changed.
    pub assignments: Vec<Value>,
    /// Uids of Assignments that are gone.
    pub removed: Vec<String>,
    /// Values that the Assignments use, new or changed.
    pub materials: Vec<Material>,
    /// Values that nothing on the node uses any more.
    pub dropped_materials: Vec<MaterialRef>,
    /// What the node's pool says; absent means unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolSettings>,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MaterialKind {
    /// A Secret.
    Secret,
    /// A ConfigMap.
    ConfigMap,
    /// A SharedVar.
    SharedVar,
}

/// A value that Assignments of the node refer to. Its `Debug` form shows keys only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Material {
    /// What kind of object it is.
    pub kind: MaterialKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub resource_version: String,
    /// Its content by key; each value is base64, for every kind.
    pub data: BTreeMap<String, String>,
}

/// Names a [`Material`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MaterialRef {
    /// What kind of object it is.
    pub kind: MaterialKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What the node's pool says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PoolSettings {
    /// How many runs at once, by lane.
    pub lanes: BTreeMap<String, u32>,
    /// After how long without a session the node counts as unknown.
    pub offline_after_ms: u64,
}

impl Material {
    /// Its name without its content.
    pub fn reference(&self) -> MaterialRef {
        MaterialRef { kind: self.kind, namespace: self.namespace.clone(), name: self.name.clone() }
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material")
            .field("kind", &self.kind)
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .field("resource_version", &self.resource_version)
            .field("keys", &self.data.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// Room for the frame header and a chunk's own fields.
const CHUNK: usize = MAX_FRAME - 1024;

impl Desired {
    /// The same as chunks, each of which fits into a frame. One Assignment or value that does not is an error
    /// that says so.
    pub fn into_chunks(self) -> Result<Vec<Self>, WireError> {
        let blank = Self { revision: self.revision, full: self.full, more: true, ..Self::default() };
        let pool_size = match &self.pool {
            Some(pool) => encoded_len("a pool's settings", pool)?,
            None => 0,
        };
        let mut chunker = Chunker {
            chunks: Vec::new(),
            current: Self { pool: self.pool, ..blank.clone() },
            size: pool_size,
            items: 0,
            blank,
        };
        for assignment in self.assignments {
            let size = encoded_len("an assignment", &assignment)?;
            chunker.room(size).assignments.push(assignment);
        }
        for uid in self.removed {
            let size = encoded_len("a uid", &uid)?;
            chunker.room(size).removed.push(uid);
        }
        for material in self.materials {
            let size = encoded_len("a value that an assignment uses", &material)?;
            chunker.room(size).materials.push(material);
        }
        for reference in self.dropped_materials {
            let size = encoded_len("a reference", &reference)?;
            chunker.room(size).dropped_materials.push(reference);
        }
        let mut chunks = chunker.chunks;
        chunks.push(Self { more: false, ..chunker.current });
        Ok(chunks)
    }

    fn items(&self) -> usize {
        self.assignments.len() + self.removed.len() + self.materials.len() + self.dropped_materials.len()
    }
}

struct Chunker {
    chunks: Vec<Desired>,
    current: Desired,
    blank: Desired,
    size: usize,
    items: usize,
}

impl Chunker {
    /// A chunk with room for one more item of this size.
    fn room(&mut self, size: usize) -> &mut Desired {
        // A comma comes with it.
        if self.size + size + 1 > CHUNK || self.items == MAX_ITEMS {
            self.chunks.push(std::mem::replace(&mut self.current, self.blank.clone()));
            self.size = 0;
            self.items = 0;
        }
        self.size += size + 1;
        self.items += 1;
        &mut self.current
    }
}

fn encoded_len<T: Serialize>(what: &'static str, value: &T) -> Result<usize, WireError> {
    let mut counter = Counter(0);
    serde_json::to_writer(&mut counter, value).map_err(WireError::Json)?;
    at_most(what, counter.0, CHUNK - 1)?;
    Ok(counter.0)
}

/// Measures an encoding without keeping it.
struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Makes one [`Desired`] of its chunks.
#[derive(Debug, Default)]
pub struct Assembler {
    partial: Option<Desired>,
    size: usize,
}

impl Assembler {
    /// Adds the next chunk, whose frame was `size` bytes long. Returns the whole once the last one is there.
    pub fn push(&mut self, chunk: Desired, size: usize) -> Result<Option<Desired>, WireError> {
        let more = chunk.more;
        self.size = self.size.saturating_add(size);
        at_most("a desired state", self.size, MAX_DESIRED)?;
        let mut whole = match self.partial.take().filter(|_| !active(Mutant::LostChunk)) {
            None => chunk,
            Some(mut whole) => {
                if (whole.revision, whole.full) != (chunk.revision, chunk.full) {
                    return Err(WireError::MixedDesired { expected: whole.revision, got: chunk.revision });
                }
                whole.assignments.extend(chunk.assignments);
                whole.removed.extend(chunk.removed);
                whole.materials.extend(chunk.materials);
                whole.dropped_materials.extend(chunk.dropped_materials);
                whole.pool = whole.pool.or(chunk.pool);
                whole
            }
        };
        whole.more = more;
        if more {
            self.partial = Some(whole);
            return Ok(None);
        }
        self.size = 0;
        Ok(Some(whole))
    }
}

impl Bounded for Desired {
    fn check(&self) -> Result<(), WireError> {
        at_most("a desired chunk's items", self.items(), MAX_ITEMS)?;
        self.removed.iter().try_for_each(|uid| name("a uid", uid))?;
        for material in &self.materials {
            name("a namespace", &material.namespace)?;
            name("a name", &material.name)?;
            name("a resource version", &material.resource_version)?;
            material.data.keys().try_for_each(|key| name("a key", key))?;
        }
        for reference in &self.dropped_materials {
            name("a namespace", &reference.namespace)?;
            name("a name", &reference.name)?;
        }
        let Some(pool) = &self.pool else { return Ok(()) };
        at_most("a pool's lanes", pool.lanes.len(), MAX_ITEMS)?;
        pool.lanes.keys().try_for_each(|lane| name("a lane", lane))
    }
}
