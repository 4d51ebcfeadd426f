//! Who asks: bearer tokens, kept as SHA-256 only.
//!
//! Roles are Admin (everything), Controller (the reconciler in the same process), Join (may become a node), Node (sees its
//! own) and ServiceAccount (what its object says). Absent: RBAC, client certificates.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use drover_store::{Cache, CacheOptions, Encoded, Store, StoreError, Txn};
use drover_world::{Disk, World};
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio_util::sync::CancellationToken;

use crate::error::ApiError;
use crate::objects::store_error;
use crate::pki::hex;

/// Where tokens lie: outside of what a watch can show.
const PREFIX: &str = "/tokens/";
/// How often those whose time is over are looked for.
const SWEEP: std::time::Duration = std::time::Duration::from_secs(3600);
/// Who comes with an expired token is told so for as long; after that, it is one that nobody knows.
const TOLD_FOR: SignedDuration = SignedDuration::from_hours(24);
/// No token is longer.
const MAX_TOKEN: usize = 512;

/// What a token allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "role")]
pub(crate) enum Role {
    /// Everything.
    Admin {
        /// Who.
        name: String,
    },
    /// To carry out what the reconciler decides: every object, no tokens. Only the one token that a server makes at its
    /// start, and never stores, has it.
    #[serde(skip)]
    Controller,
    /// To become a node.
    #[serde(rename_all = "camelCase")]
    Join {
        /// Values that a new node may give itself, by label key.
        #[serde(default)]
        allowed_labels: BTreeMap<String, Vec<String>>,
        /// The only node it is good for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node_name: Option<String>,
    },
    /// To be this ServiceAccount.
    ServiceAccount(Account),
    /// To be this node.
    Node {
        /// Which.
        name: String,
        /// Its uid: a later node of the same name is another one.
        uid: String,
    },
}

/// A ServiceAccount, and whom a token of its is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Account {
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// Its uid: a later one of its name is another one.
    pub(crate) uid: String,
    /// Who is to take the token.
    pub(crate) audiences: Vec<String>,
}

impl Account {
    /// As Kubernetes names it.
    pub(crate) fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    /// SHA-256 of the secret, in hex.
    sha256: String,
    #[serde(flatten)]
    role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
}

/// The tokens in the store.
#[derive(Clone)]
pub(crate) struct Tokens {
    pub(crate) store: Arc<dyn Store>,
    /// The records, in memory: every request asks.
    pub(crate) held: Arc<Cache>,
    pub(crate) world: World,
    /// SHA-256 of the CA.
    pub(crate) pin: String,
    /// SHA-256 of the controller's token, in hex.
    pub(crate) controller: String,
}

/// All records, kept up to date.
pub(crate) async fn records(store: &dyn Store) -> Result<Arc<Cache>, StoreError> {
    let as_stored = CacheOptions::new(|_, _, value| Encoded { bytes: value.clone(), event: Bytes::new() });
    // Nobody follows them.
    Cache::attach(store, PREFIX, CacheOptions { ring_events: 0, ..as_stored }).await
}

/// Sweeps tokens now and then, until the server stops.
pub(crate) async fn sweep(tokens: Tokens, stop: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(SWEEP) => {}
        }
        if let Err(error) = tokens.sweep().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "tokens were not swept");
        }
    }
}

/// Makes a controller's token: the token, and what [`Tokens`] keeps of it.
pub(crate) fn controller_token(world: &World) -> (String, String) {
    let token = format!("drc_{}", world.token256());
    let sha256 = digest(&token);
    (token, sha256)
}

/// What is hashed: all before the CA's pin.
fn secret(token: &str) -> &str {
    token.split_once('.').map_or(token, |(secret, _)| secret)
}

fn digest(token: &str) -> String {
    hex(&Sha256::digest(secret(token).as_bytes()))
}

impl Tokens {
    /// Makes a token. It is shown this once.
    pub(crate) async fn create(&self, role: Role, ttl_seconds: Option<i64>) -> Result<String, ApiError> {
        let (lead, pinned) = match &role {
            Role::Admin { .. } => ("dra_", false),
            Role::Controller => return Err(ApiError::bad_request("no controller's token can be asked for")),
            Role::Join { .. } => ("drn_", true),
            Role::Node { .. } => ("drk_", false),
            Role::ServiceAccount(_) => ("drs_", false),
        };
        let secret = format!("{lead}{}", self.world.token256());
        let expires = match ttl_seconds {
            None => None,
            Some(seconds) if (1..=10 * 365 * 24 * 3600).contains(&seconds) => Some(
                self.world.clock.now().checked_add(seconds.seconds()).map_err(|e| ApiError::internal(&e))?,
            ),
            Some(seconds) => {
                return Err(ApiError::bad_request(format!(
                    "ttlSeconds: {seconds} is not between 1 and ten years"
                )));
            }
        };
        self.put(&secret, role, expires).await?;
        Ok(if pinned { format!("{secret}.{}", self.pin) } else { secret })
    }

    /// Makes a token that never expires, for a transaction of the caller: the token, and the key and value to store.
    pub(crate) fn mint(world: &World, role: Role) -> Result<(String, String, Vec<u8>), ApiError> {
        let token = format!("drk_{}", world.token256());
        let sha256 = digest(&token);
        let key = format!("{PREFIX}{sha256}");
        let record = Record { sha256, role, expires: None };
        Ok((token, key, serde_json::to_vec(&record).map_err(|e| ApiError::internal(&e))?))
    }

    /// Where the record of a token lies.
    pub(crate) fn key(token: &str) -> String {
        format!("{PREFIX}{}", digest(token))
    }

    async fn put(&self, token: &str, role: Role, expires: Option<Timestamp>) -> Result<(), ApiError> {
        let sha256 = digest(token);
        let key = format!("{PREFIX}{sha256}");
        let record =
            serde_json::to_vec(&Record { sha256, role, expires }).map_err(|e| ApiError::internal(&e))?;
        self.store.txn(Txn::new().put(key, record)).await.map_err(store_error)?;
        Ok(())
    }

    /// Who bears this token. Only who has a token that was good once is told that it has expired.
    pub(crate) async fn identify(&self, token: &str) -> Result<Role, ApiError> {
        if token.is_empty() || token.len() > MAX_TOKEN {
            return Err(ApiError::unauthorized());
        }
        let sha256 = digest(token);
        if bool::from(sha256.as_bytes().ct_eq(self.controller.as_bytes())) {
            return Ok(Role::Controller);
        }
        let key = format!("{PREFIX}{sha256}");
        let held = self.held.get(key.as_bytes()).ok_or_else(ApiError::unauthorized)?;
        let record: Record = serde_json::from_slice(&held.bytes).map_err(|e| ApiError::internal(&e))?;
        let same = bool::from(record.sha256.as_bytes().ct_eq(sha256.as_bytes()));
        if !same {
            return Err(ApiError::unauthorized());
        }
        match record.expires {
            Some(expires) if expires <= self.world.clock.now() => Err(ApiError::token_expired(expires)),
            _ => Ok(record.role),
        }
    }

    /// Whether there is a token, which has not expired, for a user of this name.
    pub(crate) fn has_user(&self, user: &str) -> bool {
        let now = self.world.clock.now();
        self.held.snapshot(PREFIX.as_bytes()).1.iter().any(|held| {
            serde_json::from_slice::<Record>(&held.bytes).is_ok_and(|record| {
                let lives = record.expires.is_none_or(|expires| expires > now);
                lives && matches!(record.role, Role::Admin { name } if name == user)
            })
        })
    }

    /// Removes the records of tokens whose time has been over for a day; how many those were.
    pub(crate) async fn sweep(&self) -> Result<usize, ApiError> {
        let now = self.world.clock.now();
        let mut gone = 0;
        for held in self.held.snapshot(PREFIX.as_bytes()).1 {
            let expires =
                serde_json::from_slice::<Record>(&held.bytes).ok().and_then(|record| record.expires);
            if expires.and_then(|expires| expires.checked_add(TOLD_FOR).ok()).is_some_and(|end| end <= now) {
                let txn = Txn::new().when(held.key.clone(), held.mod_revision).delete(held.key.clone());
                self.store.txn(txn).await.map_err(store_error)?;
                gone += 1;
            }
        }
        Ok(gone)
    }

    /// The administrator's token: read from `admin.token` in the data directory, or made and written there.
    pub(crate) async fn admin(&self, disk: &dyn Disk, dir: &Path) -> Result<String, AdminError> {
        let path = dir.join("admin.token");
        let file = |source| AdminError::File { path: path.clone(), source };
        let token = match disk.read(&path, MAX_TOKEN as u64) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).trim().to_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(file(error)),
        };
        let role = Role::Admin { name: "admin".into() };
        if token.is_empty() {
            let token = self.create(role, None).await?;
            disk.write_atomic(&path, format!("{token}\n").as_bytes(), 0o600).map_err(file)?;
            return Ok(token);
        }
        // The file is the authority: a store that was restored without it learns it again.
        if self.identify(&token).await.is_err() {
            self.put(&token, role, None).await?;
        }
        Ok(token)
    }
}

/// Why there is no administrator's token.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The file could not be read or written.
    #[error("cannot use {path}")]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The store refused it.
    #[error("cannot store the administrator's token")]
    Store(#[from] ApiError),
}

#[cfg(test)]
mod tests {
    use drover_store::{Options, SqliteStore};
    use drover_world::{Clock, SystemClock};

    use super::*;

    struct At(Timestamp);

    impl Clock for At {
        fn now(&self) -> Timestamp {
            self.0
        }
        fn boottime(&self) -> std::time::Duration {
            SystemClock.boottime()
        }
    }

    #[tokio::test]
    async fn an_expired_token_opens_nothing_says_so_for_a_day_and_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(dir.path(), Options::new(|| 1)).unwrap());
        let held = records(&*store).await.unwrap();
        let start = SystemClock.now();
        let tokens = |after: i64| Tokens {
            store: store.clone(),
            held: held.clone(),
            world: World { clock: Arc::new(At(start + after.seconds())), ..World::system() },
            pin: String::new(),
            controller: String::new(),
        };
        let role = || Role::Admin { name: "a".into() };
        let short = tokens(0).create(role(), Some(60)).await.unwrap();
        let lasting = tokens(0).create(role(), None).await.unwrap();
        assert_eq!(tokens(59).identify(&short).await.unwrap(), role());
        let refused = tokens(60).identify(&short).await.unwrap_err();
        assert_eq!(refused.code(), 401);
        assert!(refused.status().message.starts_with("Unauthorized: the token expired at "), "{refused}");
        const DAY: i64 = 24 * 3600;
        assert_eq!(tokens(59 + DAY).sweep().await.unwrap(), 0);
        assert_eq!(tokens(60 + DAY).sweep().await.unwrap(), 1);
        assert_eq!(tokens(60).identify(&short).await.unwrap_err().status().message, "Unauthorized");
        assert!(tokens(0).identify(&short).await.is_err());
        assert_eq!(tokens(60).identify(&lasting).await.unwrap(), role());
    }
}
