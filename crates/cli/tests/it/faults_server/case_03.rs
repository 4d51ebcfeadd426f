//! A disk of 8 MiB that fills up.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use drover_client::{Client, DeleteOptions, Error, EventKind, WatchOptions};
use serde_json::Value;

use super::hub::{CONFIGMAPS, Hub, code, config_map, config_maps, name_of, soon, value_of};

/// A small file system; it goes after the server on it.
struct Small(PathBuf);

impl Small {
    fn mount(at: PathBuf) -> Option<Self> {
        std::fs::create_dir(&at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(&at).stderr(Stdio::null());
        if mount.status().is_ok_and(|status| status.success()) {
            return Some(Self(at));
        }
        eprintln!("skipped: mounting a tmpfs is not permitted here");
        None
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

async fn put(client: &Client, name: &str, value: &str) -> Result<Value, Error> {
    let object = config_map(name, value);
    match client.create(CONFIGMAPS, &object).await {
        Err(error) if error.is_already_exists() => {
            client.replace(&format!("{CONFIGMAPS}/{name}"), &object).await
        }
        done => done,
    }
}

/// Makes objects until the disk is full; how many were acknowledged, from `f000` on.
async fn fill(client: &Client) -> usize {
    let (mut made, mut refused) = (0, 0);
    // Now and then one still fits, into what the log had for itself; a row of refusals is the end.
    while refused < 5 {
        assert!(made < 2000, "the disk is never full");
        match put(client, &format!("f{made:03}"), &"x".repeat(10_000)).await {
            Ok(_) => (made, refused) = (made + 1, 0),
            Err(error) => {
                let status = &error.api().expect("the server answers").status;
                assert_eq!((status.code, status.reason.as_str()), (507, "InsufficientStorage"));
                assert!(status.message.contains("no space left"), "{}", status.message);
                refused += 1;
            }
        }
    }
    made
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_03_a_full_disk_refuses_writes_and_serves_all_else_and_the_server_recovers_alone() {
    let mut hub = Hub::new();
    hub.data = hub.at("small");
    let Some(_small) = Small::mount(hub.data.clone()) else { return };
    hub.start();
    let client = hub.client();
    put(&client, "kept", "value").await.unwrap();
    let from = config_maps(&client).await.iter().map(super::hub::revision_of).max();
    let options = WatchOptions { resource_version: from.map(|r| r.to_string()), ..WatchOptions::default() };
    let mut watch = client.watch(CONFIGMAPS, &options).await.unwrap();

    let made = fill(&client).await;
    assert!(made > 50, "only {made} fit");
    let listed = config_maps(&client).await;
    assert_eq!(listed.len(), made + 1);
    assert_eq!(value_of(listed.iter().find(|object| name_of(object) == "kept").unwrap()), "value");
    for index in 0..made {
        let path = format!("{CONFIGMAPS}/f{index:03}");
        let gone = client.delete(&path, &DeleteOptions::default()).await;
        assert!(gone.is_ok(), "on a full disk nothing can be deleted: {gone:?}");
    }
    let (mut added, mut deleted) = (BTreeSet::new(), BTreeSet::new());
    soon("the watch tells all of it", async {
        while deleted.len() < made {
            let event = watch.next().await.unwrap().unwrap();
            let name = name_of(&event.object().unwrap());
            let new = match event.kind {
                EventKind::Added => added.insert(name),
                EventKind::Deleted => deleted.insert(name),
                other => panic!("{other:?} {name}"),
            };
            assert!(new, "told twice");
        }
    })
    .await;
    assert_eq!(added, deleted);

    // The space of what was deleted comes back in small steps, with nobody's help.
    soon("it writes again", async {
        while let Err(error) = put(&client, "after", "space").await {
            assert_eq!(code(&error), Some(507), "{error}");
        }
    })
    .await;
    // More than twice the disk, all of it history but the last.
    for round in 0..1000 {
        let value = format!("{round:010000}");
        soon("the past makes room for the present", async {
            while let Err(error) = put(&client, "churn", &value).await {
                assert_eq!(code(&error), Some(507), "{error}");
            }
        })
        .await;
    }
    let again = fill(&client).await;
    assert!(again * 2 > made, "after {made} only {again} fit");
    let before: Vec<String> = config_maps(&client).await.iter().map(|o| name_of(o) + &value_of(o)).collect();
    hub.kill();
    hub.start();
    let after: Vec<String> =
        config_maps(&hub.client()).await.iter().map(|o| name_of(o) + &value_of(o)).collect();
    assert!(before == after, "{} objects before, {} after", before.len(), after.len());
}
