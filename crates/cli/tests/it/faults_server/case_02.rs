//! A log cut short, and bits that flip in the log and in the database.

use std::fs;
use std::path::Path;

use super::hub::{CONFIGMAPS, Hub, config_map, config_maps, name_of, value_of};

const OBJECTS: usize = 20;

/// A server that was killed with all of its writes in the log, and a backup of it in `b`.
async fn killed() -> Hub {
    let mut hub = Hub::running();
    let client = hub.client();
    for index in 0..OBJECTS {
        let object = config_map(&format!("c{index:02}"), &format!("needle-{index:02}"));
        client.create::<_, serde_json::Value>(CONFIGMAPS, &object).await.unwrap();
    }
    let said = hub.drover(&["backup", "b"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    hub.kill();
    hub
}

/// A hub, not started, on a copy of another one's data.
fn copied(from: &Hub) -> Hub {
    let hub = Hub::new();
    fs::create_dir(&hub.data).unwrap();
    for entry in fs::read_dir(&from.data).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), hub.data.join(entry.file_name())).unwrap();
    }
    hub
}

/// Starts the server; what is there of the objects must be whole, and the first ones of them.
async fn prefix(hub: &mut Hub) -> usize {
    hub.start();
    let found = config_maps(&hub.client()).await;
    for (index, object) in found.iter().enumerate() {
        assert_eq!(name_of(object), format!("c{index:02}"));
        assert_eq!(value_of(object), format!("needle-{index:02}"));
    }
    found.len()
}

const DROPPED: &str = "the log ended in a write that a crash cut off, or was damaged";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_02_a_torn_or_flipped_log_is_recovered_to_the_last_good_commit_and_reported() {
    let killed = killed().await;
    let log = |hub: &Hub| hub.data.join("store.db-wal");
    let whole = fs::read(log(&killed)).unwrap();
    let mut untouched = copied(&killed);
    assert_eq!(prefix(&mut untouched).await, OBJECTS);
    assert!(!untouched.log().contains(DROPPED), "{}", untouched.log());
    for cut in [1, 100, 2048, 4096] {
        let mut hub = copied(&killed);
        fs::write(log(&hub), &whole[..whole.len() - cut]).unwrap();
        let kept = prefix(&mut hub).await;
        assert!((OBJECTS - 2..OBJECTS).contains(&kept), "cut by {cut}: {kept} are left");
        assert!(hub.log().contains(DROPPED), "cut by {cut}: {}", hub.log());
        // What was recovered is a store like any other.
        let again = config_map("after", "x");
        hub.client().create::<_, serde_json::Value>(CONFIGMAPS, &again).await.unwrap();
    }
    let mut hub = copied(&killed);
    let mut flipped = whole.clone();
    let place = whole.len() * 3 / 4;
    flipped[place] ^= 1;
    fs::write(log(&hub), flipped).unwrap();
    assert!(prefix(&mut hub).await < OBJECTS);
    assert!(hub.log().contains(DROPPED), "{}", hub.log());
}

/// Where something is, also where only a remnant of it is that nobody reads.
fn find(bytes: &[u8], what: &[u8]) -> Vec<usize> {
    let all = bytes.windows(what.len()).enumerate().filter(|(_, window)| *window == what);
    all.map(|(place, _)| place).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_02_a_flipped_bit_in_the_database_is_refused_and_the_backup_is_the_way_back() {
    let mut whole = killed().await;
    // An orderly end moves the log into the database.
    whole.start();
    whole.stop();
    let store = |hub: &Hub| hub.data.join("store.db");
    let bytes = fs::read(store(&whole)).unwrap();
    // In a value, in the text of the schema, in the head of a page.
    for places in [find(&bytes, b"needle-07"), find(&bytes, b"CREATE INDEX"), vec![2 * 4096 + 3]] {
        let mut hub = copied(&whole);
        let mut flipped = bytes.clone();
        for place in &places {
            flipped[*place] ^= 1;
        }
        fs::write(store(&hub), &flipped).unwrap();
        assert_eq!(hub.try_start(), "", "bytes {places:?}: it started");
        let said = hub.log();
        for part in ["store.db is damaged: ", "nothing was changed", "`drover restore`"] {
            assert!(said.contains(part), "bytes {places:?}: {said}");
        }
        assert!(fs::read(store(&hub)).unwrap() == flipped, "bytes {places:?}: it was changed");
    }
    let mut hub = Hub::new();
    let (backup, data) = (whole.at("b").display().to_string(), hub.data.display().to_string());
    let said = crate::drover::drover(Path::new("/"), &["restore", &backup, "--data-dir", &data]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert_eq!(prefix(&mut hub).await, OBJECTS);
}
