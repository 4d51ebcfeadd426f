//! Secrets and config maps that the node's Assignments use, in one file sealed with a key that only the node has.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use drover_wire::{Material, MaterialKind, MaterialRef};
use drover_world::{Disk, World};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

const MAX_BYTES: u64 = 128 << 20;
const MAX_KEY: u64 = 1024;

/// The values, in memory and sealed on disk.
pub(crate) struct Materials {
    disk: Arc<dyn Disk>,
    world: World,
    path: PathBuf,
    key: LessSafeKey,
    held: BTreeMap<MaterialRef, Material>,
    /// After a full state: what it brought.
    kept: Option<BTreeSet<MaterialRef>>,
    /// What is on disk cannot be unsealed.
    lost: bool,
}

impl Materials {
    /// Opens what the node holds. Values that cannot be unsealed are [lost](Self::is_lost).
    pub(crate) fn open(disk: Arc<dyn Disk>, world: World, data_dir: &Path) -> io::Result<Self> {
        let key_path = data_dir.join("node.key");
        let sealer = |key: &[u8]| UnboundKey::new(&CHACHA20_POLY1305, key).ok();
        let stored = match disk.read(&key_path, MAX_KEY) {
            Ok(key) => sealer(&key),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let unbound = match stored {
            Some(unbound) => unbound,
            // There is none, or what there is is none: a new one, under which nothing has been sealed yet.
            None => {
                let mut key = vec![0; 32];
                world.entropy.fill(&mut key);
                disk.write_atomic(&key_path, &key, 0o600)?;
                sealer(&key).ok_or_else(|| io::Error::other("a key of 32 bytes is refused"))?
            }
        };
        let mut materials = Self {
            disk,
            world,
            path: data_dir.join("materials"),
            key: LessSafeKey::new(unbound),
            held: BTreeMap::new(),
            kept: None,
            lost: false,
        };
        match materials.disk.read(&materials.path, MAX_BYTES) {
            Ok(sealed) => match materials.unseal(sealed) {
                Some(list) => materials.held = list.into_iter().map(|m| (m.reference(), m)).collect(),
                None => {
                    tracing::warn!(
                        "the stored secrets cannot be unsealed; the server is asked for them again"
                    );
                    materials.lost = true;
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(materials)
    }

    /// Whether there were values that are gone: only a full desired state brings them back.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Takes over what a desired state brings; on disk when this returns, or nothing has changed. Of a full state all
    /// that it does not bring goes with the next [`Materials::drop_unused`].
    pub(crate) fn add(&mut self, full: bool, new: Vec<Material>) -> io::Result<()> {
        self.kept = full.then(|| new.iter().map(Material::reference).collect());
        let mut next = self.held.clone();
        next.extend(new.into_iter().map(|material| (material.reference(), material)));
        self.replace(next)
    }

    /// Drops what nothing names any more.
    pub(crate) fn drop_unused(&mut self, dropped: &[MaterialRef]) -> io::Result<()> {
        let mut next = self.held.clone();
        if let Some(kept) = self.kept.take() {
            next.retain(|reference, _| kept.contains(reference));
        }
        for reference in dropped {
            next.remove(reference);
        }
        self.replace(next)
    }

    fn replace(&mut self, next: BTreeMap<MaterialRef, Material>) -> io::Result<()> {
        if self.held == next && !self.lost {
            return Ok(());
        }
        let list: Vec<&Material> = next.values().collect();
        let mut bytes = serde_json::to_vec(&list)?;
        let mut nonce = [0; NONCE_LEN];
        self.world.entropy.fill(&mut nonce);
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut bytes)
            .map_err(|_| io::Error::other("sealing failed"))?;
        bytes.splice(0..0, nonce);
        self.disk.write_atomic(&self.path, &bytes, 0o600)?;
        self.held = next;
        self.lost = false;
        Ok(())
    }

    /// All keys of an object, decoded; none when the node does not have it.
    pub(crate) fn all(
        &self,
        kind: MaterialKind,
        namespace: &str,
        name: &str,
    ) -> Option<BTreeMap<&str, Vec<u8>>> {
        let reference = MaterialRef { kind, namespace: namespace.into(), name: name.into() };
        let material = self.held.get(&reference)?;
        let decode = |value: &String| base64::engine::general_purpose::STANDARD.decode(value).ok();
        material.data.iter().map(|(key, value)| Some((key.as_str(), decode(value)?))).collect()
    }

    fn unseal(&self, mut sealed: Vec<u8>) -> Option<Vec<Material>> {
        let nonce: [u8; NONCE_LEN] = sealed.get(..NONCE_LEN)?.try_into().ok()?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let plain = self.key.open_within(nonce, Aad::empty(), &mut sealed, NONCE_LEN..).ok()?;
        serde_json::from_slice(plain).ok()
    }
}
