//! A disk whose sync fails once.

use drover_client::{DeleteOptions, Error};
use http::Method;
use serde_json::Value;

use super::hub::{CONFIGMAPS, Hub, code, config_map, config_maps, name_of};
use super::shim;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_04_a_failed_sync_is_never_acknowledged_ends_writing_and_a_restart_heals() {
    let mut hub = Hub::new();
    let Some(layer) = shim::build("eio", hub.folder.path()) else { return };
    let switch = hub.at("switch");
    hub.environment = vec![
        ("LD_PRELOAD".into(), layer.display().to_string()),
        ("DROVER_EIO".into(), switch.display().to_string()),
    ];
    hub.start();
    let client = hub.client();
    let create = async |name: &str| -> Result<Value, Error> {
        client.create(CONFIGMAPS, &config_map(name, "v")).await
    };
    create("before").await.unwrap();
    std::fs::write(&switch, "").unwrap();
    let refused = create("during").await.unwrap_err();
    assert_eq!(code(&refused), Some(503), "{refused}");
    assert!(refused.to_string().contains("read-only until restart"), "{refused}");
    assert!(!switch.exists(), "more than one sync failed");
    // Syncs succeed again, which says nothing of what the failed one was about.
    for name in ["after", "later"] {
        assert_eq!(code(&create(name).await.unwrap_err()), Some(503), "{name}");
    }
    let gone = client.delete(&format!("{CONFIGMAPS}/before"), &DeleteOptions::default()).await;
    assert_eq!(gone.as_ref().err().and_then(code), Some(503), "{gone:?}");
    let names: Vec<String> = config_maps(&client).await.iter().map(name_of).collect();
    assert_eq!(names, ["before"], "reads go on");
    // Whoever looks after the process is told to start it again.
    let alive = client.send(drover_client::Request::new(Method::GET, "/livez")).await;
    assert_eq!(alive.as_ref().err().and_then(code), Some(503), "{alive:?}");
    assert!(hub.log().contains("takes no more writes until it is opened again"), "{}", hub.log());
    hub.kill();
    hub.start();
    let client = hub.client();
    let names: Vec<String> = config_maps(&client).await.iter().map(name_of).collect();
    assert!(names == ["before"] || names == ["before", "during"], "{names:?}");
    client.create::<_, Value>(CONFIGMAPS, &config_map("healed", "v")).await.unwrap();
}
