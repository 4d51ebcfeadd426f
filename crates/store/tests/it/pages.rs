//! Pages of the watch cache, at the newest revision and at earlier ones.

use std::collections::BTreeMap;

use bytes::Bytes;
use drover_store::{Cache, CacheOptions, Encoded, ListOptions, Store, Txn};
use proptest::prelude::*;

use super::open;

fn name(number: u8) -> String {
    format!("/r/{}/{}/{}", number % 2, number % 3, number)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is written between two pages of a list.
    #[test]
    fn pages_are_what_was_at_their_revision_and_say_of_how_many(
        writes in proptest::collection::vec((0..12_u8, any::<bool>()), 1..60),
        asked in proptest::collection::vec((0..60_usize, 0..5_usize, proptest::option::of(0..12_u8), 0..4_usize), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let store = open(dir.path());
            let encode = |_, _, value: &Bytes| Encoded { bytes: value.clone(), event: value.clone() };
            let cache = Cache::attach(&store, "/r/", CacheOptions::new(encode)).await.unwrap();
            let mut history: BTreeMap<u64, BTreeMap<String, String>> = BTreeMap::from([(cache.revision(), BTreeMap::new())]);
            for (step, (number, put)) in writes.into_iter().enumerate() {
                let (key, value) = (name(number), step.to_string());
                let mut now = history.last_key_value().unwrap().1.clone();
                let txn = if put {
                    now.insert(key.clone(), value.clone());
                    Txn::new().put(key, value)
                } else {
                    now.remove(&key);
                    Txn::new().delete(key)
                };
                store.txn(txn).await.unwrap();
                history.insert(cache.revision(), now);
            }
            let revisions: Vec<u64> = history.keys().copied().collect();
            // The last is no directory.
            let prefixes = ["/r/", "/r/1/", "/r/0/2/", "/r/1/1/1"];
            for (which, limit, after, prefix) in asked {
                let (revision, prefix) = (revisions[which % revisions.len()], prefixes[prefix]);
                let after = after.map(name);
                let start_after = after.clone().map(Bytes::from);
                let options = ListOptions { revision: Some(revision), limit, start_after };
                let page = cache.list(prefix.as_bytes(), &options).unwrap();
                let all: Vec<_> = history[&revision].iter().filter(|(key, _)| key.starts_with(prefix)).collect();
                let behind: Vec<_> =
                    all.iter().filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after)).collect();
                let fit = if limit == 0 { behind.len() } else { limit.min(behind.len()) };
                let found: Vec<_> = page.items.iter().map(|object| (object.key.clone(), object.bytes.clone())).collect();
                let expected: Vec<_> = behind[..fit]
                    .iter()
                    .map(|(key, value)| (Bytes::from((*key).clone()), Bytes::from((*value).clone())))
                    .collect();
                assert_eq!(found, expected);
                assert_eq!((page.revision, page.more), (revision, fit < behind.len()));
                assert_eq!(page.total, all.len() as u64);
            }
        });
    }
}
