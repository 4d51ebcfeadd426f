//! Writes that are based on what is no longer there.

use serde_json::{Value, json};

use super::hub::{CONFIGMAPS, Hub, code, config_map, revision_of};

const INCREMENTS: usize = 1000;
const CLIENTS: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_07_a_stale_write_is_a_conflict_and_1000_increments_by_compare_and_swap_are_exact() {
    let hub = Hub::running();
    let client = hub.client();
    let path = format!("{CONFIGMAPS}/counter");
    let first: Value = client.create(CONFIGMAPS, &config_map("counter", "0")).await.unwrap();
    let mut next = first.clone();
    next["data"]["first"] = "1".into();
    next["data"]["second"] = "1".into();
    let second: Value = client.replace(&path, &next).await.unwrap();
    assert!(revision_of(&second) > revision_of(&first));
    let stale = client.replace::<_, Value>(&path, &next).await.unwrap_err();
    assert_eq!(code(&stale), Some(409), "{stale}");
    let status = &stale.api().unwrap().status;
    assert_eq!(status.reason, "Conflict");
    assert!(status.message.contains("\"counter\": the object has been modified"), "{}", status.message);
    let unchanged: Value = client.get(&path).await.unwrap();
    assert_eq!(unchanged, second, "a refused write changed something");

    let workers: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (client, path) = (hub.client(), path.clone());
            tokio::spawn(async move {
                let mut lost = 0;
                for _ in 0..INCREMENTS / CLIENTS {
                    loop {
                        let mut held: Value = client.get(&path).await.unwrap();
                        let value: u64 = held["data"]["first"].as_str().unwrap().parse().unwrap();
                        held["data"] =
                            json!({"first": (value + 1).to_string(), "second": (value + 1).to_string()});
                        match client.replace::<_, Value>(&path, &held).await {
                            Ok(_) => break,
                            Err(error) if error.is_conflict() => lost += 1,
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
                lost
            })
        })
        .collect();
    let mut conflicts = 0;
    for worker in workers {
        conflicts += worker.await.unwrap();
    }
    let end: Value = client.get(&path).await.unwrap();
    assert_eq!(end["data"]["first"], (INCREMENTS + 1).to_string());
    assert!(conflicts > 0, "they never met");
}
