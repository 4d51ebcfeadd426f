//! A store that a later version has taken to its own schema. An upgrade that is killed half-way lies with the store.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use serde_json::Value;

use super::hub::{CONFIGMAPS, Hub, config_map, config_maps, name_of};

/// Where SQLite keeps the number of the schema.
const USER_VERSION: u64 = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_12_a_downgrade_is_refused_with_what_to_do_and_changes_nothing() {
    let mut hub = Hub::running();
    hub.client().create::<_, Value>(CONFIGMAPS, &config_map("a", "v")).await.unwrap();
    // An orderly end leaves everything in one file.
    hub.stop();
    let path = hub.data.join("store.db");
    let store = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut number = [0; 4];
    store.read_exact_at(&mut number, USER_VERSION).unwrap();
    let ours = u32::from_be_bytes(number);
    store.write_all_at(&(ours + 1).to_be_bytes(), USER_VERSION).unwrap();
    let before = std::fs::read(&path).unwrap();
    assert_eq!(hub.try_start(), "", "it started");
    let said = hub.log();
    let found = format!("store.db has schema {}, this program knows up to {ours}", ours + 1);
    for part in [found.as_str(), "nothing was changed", "Run the version that wrote it", "`drover restore`"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(std::fs::read(&path).unwrap() == before, "it was changed");
    // The version that wrote it, played by this one.
    store.write_all_at(&ours.to_be_bytes(), USER_VERSION).unwrap();
    hub.start();
    assert_eq!(config_maps(&hub.client()).await.iter().map(name_of).collect::<Vec<_>>(), ["a"]);
}
