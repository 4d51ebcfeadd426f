//! Two servers on one data directory.

use serde_json::Value;

use super::hub::{CONFIGMAPS, Hub, config_map, config_maps};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_08_a_second_server_on_one_data_directory_is_refused_and_the_first_goes_on() {
    let mut first = Hub::running();
    let create = async |hub: &Hub, name: &str| -> Value {
        hub.client().create(CONFIGMAPS, &config_map(name, "v")).await.unwrap()
    };
    create(&first, "a").await;
    let mut second = Hub::new();
    second.data = first.data.clone();
    for _ in 0..3 {
        assert_eq!(second.try_start(), "", "it started");
        let said = second.log();
        for part in
            ["store.lock is in use by another server (pid ", "or give this one its own data directory"]
        {
            assert!(said.contains(part), "{said}");
        }
        create(&first, &format!("b{}", config_maps(&first.client()).await.len())).await;
    }
    // The lock goes with its holder, however that ends.
    first.kill();
    second.start();
    create(&second, "c").await;
    assert_eq!(config_maps(&second.client()).await.len(), 5);
}
