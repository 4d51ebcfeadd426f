//! Lists: one consistent snapshot, in pages, filtered by selectors.

use std::sync::Arc;

use axum::body::Body;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::{BufMut, Bytes, BytesMut};
use drover_store::{ListOptions, Object, StoreError};
use drover_types::Kind;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::compress::About;
use crate::error::ApiError;
use crate::fields::FieldSelector;
use crate::keys;
use crate::labels::LabelSelector;
use crate::objects::{Objects, store_error};
use crate::presenter::Presenter;
use crate::query::{Match, Params};

/// Bytes of objects on a page, whatever its limit: a client that asks for pages does so to have them small.
const PAGE_BYTES: usize = 16 << 20;
/// Bytes that are sent at once.
const PIECE: usize = 64 << 10;

/// What a list or watch is about.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) kind: Kind,
    pub(crate) prefix: String,
    pub(crate) filter: Filter,
}

/// Both kinds of selectors.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Filter {
    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether the object, encoded, is selected. Without selectors nothing is decoded.
    pub(crate) fn admits(&self, bytes: &[u8]) -> bool {
        if self.is_empty() {
            return true;
        }
        match serde_json::from_slice::<Value>(bytes) {
            Ok(object) => self.labels.matches(&object) && self.fields.matches(&object),
            Err(_) => false,
        }
    }
}

impl Scope {
    pub(crate) fn new(kind: Kind, namespace: Option<&str>, params: &Params) -> Result<Self, ApiError> {
        Ok(Self {
            kind,
            prefix: keys::prefix(kind, namespace),
            filter: Filter {
                labels: LabelSelector::parse(&params.label_selector)?,
                fields: FieldSelector::parse(kind, &params.field_selector, params.face)?,
            },
        })
    }
}

/// Where the next page begins.
#[derive(Serialize, Deserialize)]
struct Continue {
    epoch: String,
    /// None to go on with how things are then.
    revision: Option<u64>,
    after: String,
    /// How many objects there are behind `after`; absent where selectors decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    remaining: Option<u64>,
}

impl Continue {
    fn encode(&self) -> String {
        // Text and a number: this cannot fail.
        BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }
}

/// The objects of a scope as they were at one revision.
pub(crate) struct Snapshot {
    pub(crate) items: Vec<Arc<Object>>,
    pub(crate) revision: u64,
    more: bool,
    /// How many there are under the scope's prefix at that revision, selected or not, on every page of the list.
    total: u64,
}

/// A list as it is answered.
pub(crate) struct Listed {
    pub(crate) body: Body,
    /// The bytes of its objects as they are stored.
    pub(crate) about: About,
}

impl Objects {
    /// Selected objects, `limit` at most (0: all).
    pub(crate) fn snapshot(
        &self,
        scope: &Scope,
        revision: Option<u64>,
        after: Option<String>,
        limit: usize,
    ) -> Result<Snapshot, StoreError> {
        // With selectors, nobody knows beforehand how many objects a page takes.
        let read = if scope.filter.is_empty() { limit } else { 0 };
        let options = ListOptions { revision, limit: read, start_after: after.map(Bytes::from) };
        let page = self.cache.list(scope.prefix.as_bytes(), &options)?;
        let (revision, mut more, total) = (page.revision, page.more, page.total);
        let mut items = page.items;
        if !scope.filter.is_empty() {
            let keep = if limit == 0 { usize::MAX } else { limit.saturating_add(1) };
            items =
                items.into_iter().filter(|object| scope.filter.admits(&object.bytes)).take(keep).collect();
            more = items.len() == keep;
            if more {
                items.pop();
            }
        }
        let fit = if limit == 0 { items.len() } else { fitting(&items) };
        more |= items.len() > fit;
        items.truncate(fit);
        Ok(Snapshot { items, revision, more, total })
    }

    /// The refusal of a `continue` that is too old, with one that goes on from there as things are now.
    fn expired(&self, after: String) -> ApiError {
        ApiError::expired_continue(
            Continue { epoch: self.epoch.clone(), revision: None, after, remaining: None }.encode(),
        )
    }

    /// GET of a collection.
    pub(crate) fn list(
        &self,
        scope: &Scope,
        params: &Params,
        presenter: Presenter,
    ) -> Result<Listed, ApiError> {
        params.check_list()?;
        let epoch = &self.epoch;
        let limit = params.limit.unwrap_or(0);
        let (revision, after, left) = match &params.continue_token {
            Some(token) => {
                let token: Continue = BASE64_URL_SAFE_NO_PAD
                    .decode(token)
                    .ok()
                    .and_then(|bytes| serde_json::from_slice(&bytes).ok())
                    .ok_or_else(|| ApiError::bad_request("continue key is not valid"))?;
                if token.epoch != *epoch {
                    return Err(self.expired(token.after));
                }
                if !token.after.starts_with(&scope.prefix) {
                    return Err(ApiError::bad_request("continue key is not valid for this list"));
                }
                (token.revision, Some(token.after), Some(token.remaining))
            }
            None => (exact_revision(params, self.cache.revision())?, None, None),
        };
        let page = self.snapshot(scope, revision, after.clone(), limit).map_err(|error| match error {
            StoreError::Compacted { .. } if after.is_some() => self.expired(after.unwrap_or_default()),
            StoreError::Compacted { compacted } => ApiError::expired(revision.unwrap_or(0), compacted),
            other => store_error(other),
        })?;
        // Of how many this page is taken: of all on the first one, of what the one before has left on any other.
        let of = left.unwrap_or_else(|| scope.filter.is_empty().then_some(page.total));
        let remaining = of.map(|of| of.saturating_sub(page.items.len() as u64));
        Ok(encode(page, remaining, epoch, presenter))
    }
}

/// The one revision that the list must be of, if it must be of one.
fn exact_revision(params: &Params, current: u64) -> Result<Option<u64>, ApiError> {
    let Some(asked) = params.resource_version.filter(|asked| *asked > 0) else { return Ok(None) };
    if asked > current {
        return Err(ApiError::from_the_future(asked, current));
    }
    let exact = match params.resource_version_match {
        Some(Match::Exact) => true,
        Some(Match::NotOlderThan) => false,
        None => params.limit.is_some(),
    };
    Ok(exact.then_some(asked))
}

/// How many of these, one at least, are not too much for a page.
fn fitting(items: &[Arc<Object>]) -> usize {
    let mut bytes = 0;
    let within = |object: &&Arc<Object>| {
        bytes += object.bytes.len();
        bytes <= PAGE_BYTES
    };
    items.iter().take_while(within).count().max(items.len().min(1))
}

fn encode(page: Snapshot, remaining: Option<u64>, epoch: &str, presenter: Presenter) -> Listed {
    let mut metadata = json!({"resourceVersion": page.revision.to_string()});
    if let (true, Some(last)) = (page.more, page.items.last()) {
        let after = String::from_utf8_lossy(&last.key).into_owned();
        let token = Continue { epoch: epoch.to_owned(), revision: Some(page.revision), after, remaining };
        metadata["continue"] = token.encode().into();
        if let Some(remaining) = remaining {
            metadata["remainingItemCount"] = remaining.into();
        }
    }
    let head = presenter.list_head(&metadata);
    let size: usize = page.items.iter().map(|object| object.bytes.len() + 1).sum();
    let mut pieces = Pieces {
        open: BytesMut::from(head.as_bytes()),
        items: page.items.into_iter(),
        presenter,
        begun: false,
    };
    if size <= PIECE {
        let whole: Vec<Bytes> = pieces.collect();
        return Listed { body: Body::from(whole.concat()), about: About(size) };
    }
    pieces.open.reserve(PIECE);
    let body = Body::from_stream(stream::iter(pieces.map(Ok::<_, std::convert::Infallible>)));
    Listed { body, about: About(size) }
}

/// The bytes of a list, a piece at a time: a list of everything costs pointers, not a copy of everything.
struct Pieces {
    open: BytesMut,
    items: std::vec::IntoIter<Arc<Object>>,
    presenter: Presenter,
    begun: bool,
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        while self.open.len() < PIECE {
            let Some(object) = self.items.next() else {
                if std::mem::take(&mut self.begun) || !self.open.is_empty() {
                    self.open.put_slice(b"]}\n");
                }
                break;
            };
            if std::mem::replace(&mut self.begun, true) {
                self.open.put_u8(b',');
            }
            self.open.put_slice(&self.presenter.item(&object.bytes));
        }
        let piece = self.open.split().freeze();
        (!piece.is_empty()).then_some(piece)
    }
}
