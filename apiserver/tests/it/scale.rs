//! `/scale` of a Service.

use drover_client::{PatchKind, Request};
use hyper::Method;
use serde_json::{Value, json};

use crate::cluster::{Cluster, SPACE, code, uid};

async fn service(cluster: &Cluster) -> Value {
    let body = json!({
        "metadata": {"name": "web"}, "spec": {"template": {"process": {"command": ["/bin/cat"]}}},
    });
    cluster.create(&format!("{SPACE}/services"), &body).await
}

fn scale() -> String {
    format!("{SPACE}/services/web/scale")
}

#[tokio::test]
async fn a_scale_is_the_count_of_its_service_and_nothing_else() {
    let cluster = Cluster::new().await;
    let admin = cluster.admin();
    let made = service(&cluster).await;
    let read = cluster.get(&scale()).await;
    assert_eq!(
        (&read["kind"], &read["apiVersion"], &read["spec"]["replicas"]),
        (&"Scale".into(), &"autoscaling/v1".into(), &1.into())
    );
    for member in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        assert_eq!(read["metadata"][member], made["metadata"][member], "{member}");
    }
    let wanted = json!({"spec": {"replicas": 3}});
    let patched: Value = admin.patch(&scale(), PatchKind::Merge, &wanted).await.unwrap();
    assert_eq!((&patched["kind"], &patched["spec"]["replicas"]), (&"Scale".into(), &3.into()));
    let after = cluster.get(&format!("{SPACE}/services/web")).await;
    assert_eq!((&after["spec"]["replicas"], &after["metadata"]["generation"]), (&3.into(), &2.into()));
    assert_eq!(after["spec"]["template"], made["spec"]["template"]);
    // The same again is no write, and one that is only tried is none either.
    let again: Value = admin.patch(&scale(), PatchKind::Merge, &wanted).await.unwrap();
    assert_eq!(again, patched);
    let tried = format!("{}?dryRun=All", scale());
    let tried: Value =
        admin.patch(&tried, PatchKind::Merge, &json!({"spec": {"replicas": 9}})).await.unwrap();
    assert_eq!(tried["spec"]["replicas"], 9);
    assert_eq!(cluster.get(&scale()).await, patched);
    // What is observed is not the client's to say.
    let status = json!({"status": {"replicas": 7}, "metadata": {"labels": {"a": "b"}}});
    admin.patch::<_, Value>(&scale(), PatchKind::Merge, &status).await.unwrap();
    assert_eq!(cluster.get(&scale()).await, patched);
    cluster.patch(&format!("{SPACE}/services/web/status"), &json!({"status": {"ready": 2}})).await;
    assert_eq!(cluster.get(&scale()).await["status"]["replicas"], 2);
    // Go leaves a zero out.
    let none: Value = admin.replace(&scale(), &json!({"metadata": {"name": "web"}})).await.unwrap();
    assert_eq!(none["spec"]["replicas"], 0);
}

#[tokio::test]
async fn a_scale_is_written_for_the_version_that_was_meant() {
    let cluster = Cluster::new().await;
    let admin = cluster.admin();
    let made = service(&cluster).await;
    let old = cluster.get(&scale()).await;
    cluster.patch(&scale(), &json!({"spec": {"replicas": 2}})).await;
    let mut stale = old.clone();
    stale["spec"]["replicas"] = 5.into();
    assert!(admin.replace::<_, Value>(&scale(), &stale).await.unwrap_err().is_conflict());
    let merge =
        json!({"metadata": {"resourceVersion": old["metadata"]["resourceVersion"]}, "spec": {"replicas": 5}});
    assert!(admin.patch::<_, Value>(&scale(), PatchKind::Merge, &merge).await.unwrap_err().is_conflict());
    let test = json!([
        {"op": "test", "path": "/spec/replicas", "value": 1}, {"op": "replace", "path": "/spec/replicas", "value": 5},
    ]);
    let failed = admin.patch::<_, Value>(&scale(), PatchKind::Json, &test).await.unwrap_err();
    assert_eq!(code(&failed), 422);
    let another = json!({"metadata": {"name": "web", "uid": "another"}, "spec": {"replicas": 5}});
    assert!(admin.replace::<_, Value>(&scale(), &another).await.unwrap_err().is_conflict());
    assert_eq!(cluster.get(&scale()).await["spec"]["replicas"], 2);
    let meant = json!({"metadata": {"name": "web", "uid": uid(&made)}, "spec": {"replicas": 5}});
    let put: Value = admin.replace(&scale(), &meant).await.unwrap();
    assert_eq!(put["spec"]["replicas"], 5);
}

#[tokio::test]
async fn a_scale_that_cannot_be_is_refused_and_changes_nothing() {
    let cluster = Cluster::new().await;
    let admin = cluster.admin();
    service(&cluster).await;
    cluster.timer("t").await;
    let before = cluster.get(&format!("{SPACE}/services/web")).await;
    for (body, expected) in [
        (json!({"spec": {"replicas": -1}}), 422),
        (json!({"spec": {"replicas": 1001}}), 422),
        (json!({"spec": {"replicas": "many"}}), 400),
        (json!({"spec": {"replicas": 9_999_999_999_i64}}), 400),
        (json!({"spec": []}), 400),
        (json!({"kind": "Service"}), 400),
        (json!({"metadata": {"name": "other"}}), 400),
        (json!({"metadata": {"resourceVersion": "now"}}), 422),
        (json!(7), 400),
    ] {
        let patched = admin.patch::<_, Value>(&scale(), PatchKind::Merge, &body).await.unwrap_err();
        assert_eq!(code(&patched), expected, "patch {body}: {patched}");
        let put = admin.replace::<_, Value>(&scale(), &body).await.unwrap_err();
        assert_eq!(code(&put), expected, "put {body}: {put}");
    }
    let strict = format!("{}?fieldValidation=Strict", scale());
    let misspelt = json!({"spec": {"replica": 3}});
    let refused = admin.patch::<_, Value>(&strict, PatchKind::Merge, &misspelt).await.unwrap_err();
    assert!(refused.to_string().contains("unknown field \"spec.replica\""), "{refused}");
    for (method, path, type_, expected) in [
        (Method::DELETE, scale(), "", 405),
        (Method::POST, scale(), "", 405),
        (Method::PUT, scale(), "application/vnd.kubernetes.protobuf", 415),
        (Method::PATCH, scale(), "application/json", 415),
        (Method::GET, format!("{SPACE}/services/none/scale"), "", 404),
        (Method::GET, format!("{SPACE}/timers/t/scale"), "", 404),
        (Method::PUT, format!("{SPACE}/services/none/scale"), "", 404),
    ] {
        let mut request = Request::new(method.clone(), &path);
        request.body = "{}".into();
        if !type_.is_empty() {
            request.headers.insert("content-type", type_.parse().unwrap());
        }
        let refused = admin.send(request).await.unwrap_err();
        assert_eq!(code(&refused), expected, "{method} {path} {type_}");
    }
    assert_eq!(cluster.get(&format!("{SPACE}/services/web")).await, before);
}

#[tokio::test]
async fn who_scales_owns_the_count_and_an_apply_of_another_conflicts() {
    let cluster = Cluster::new().await;
    let admin = cluster.admin();
    let web = format!("{SPACE}/services/web");
    let config = |replicas: u32| {
        json!({
            "apiVersion": "drover.dev/v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"replicas": replicas, "template": {"process": {"command": ["/bin/cat"]}}},
        })
    };
    let apply = async |config: Value, force: &str| {
        let path = format!("{web}?fieldManager=ops{force}");
        admin.patch::<_, Value>(&path, PatchKind::Apply, &config).await
    };
    apply(config(1), "").await.unwrap();
    let path = format!("{}?fieldManager=scaler", scale());
    admin.patch::<_, Value>(&path, PatchKind::Merge, &json!({"spec": {"replicas": 4}})).await.unwrap();
    let owners = cluster.get(&web).await["metadata"]["managedFields"].clone();
    let scaler =
        owners.as_array().unwrap().iter().find(|entry| entry["manager"] == "scaler").unwrap().clone();
    assert_eq!(
        (&scaler["operation"], &scaler["subresource"], &scaler["fieldsV1"]),
        (&"Update".into(), &"scale".into(), &json!({"f:spec": {"f:replicas": {}}}))
    );
    let refused = apply(config(2), "").await.unwrap_err();
    assert!(refused.is_conflict());
    assert!(refused.to_string().contains("conflict with \"scaler\" with subresource \"scale\""), "{refused}");
    // Who applies the count alone takes it only by force, and then owns nothing else.
    let two = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": 2}});
    let path = format!("{}?fieldManager=hpa", scale());
    let refused = admin.patch::<_, Value>(&path, PatchKind::Apply, &two).await.unwrap_err();
    assert!(refused.is_conflict(), "{refused}");
    let forced: Value = admin.patch(&format!("{path}&force=true"), PatchKind::Apply, &two).await.unwrap();
    assert_eq!(forced["spec"]["replicas"], 2);
    let after = cluster.get(&web).await;
    let owners = after["metadata"]["managedFields"].as_array().unwrap();
    let hpa = owners.iter().find(|entry| entry["manager"] == "hpa").unwrap();
    assert_eq!(hpa["fieldsV1"], json!({"f:spec": {"f:replicas": {}}}));
    assert_eq!(after["spec"]["template"]["process"]["command"], json!(["/bin/cat"]));
    let silent = json!({"apiVersion": "autoscaling/v1", "kind": "Scale"});
    let refused = admin.patch::<_, Value>(&path, PatchKind::Apply, &silent).await.unwrap_err();
    assert_eq!(code(&refused), 422);
    let nobody = admin.patch::<_, Value>(&scale(), PatchKind::Apply, &two).await.unwrap_err();
    assert!(nobody.to_string().contains("fieldManager: Required value"), "{nobody}");
}

#[tokio::test]
async fn a_part_that_is_applied_leaves_what_kubectl_wrote_down_of_the_whole() {
    let cluster = Cluster::new().await;
    let body = json!({
        "metadata": {"name": "web", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}},
        "spec": {"template": {"process": {"command": ["/bin/cat"]}}},
    });
    cluster.create(&format!("{SPACE}/services"), &body).await;
    let three = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": 3}});
    let path = format!("{}?fieldManager=kubectl&force=true", scale());
    let scaled: Value = cluster.admin().patch(&path, PatchKind::Apply, &three).await.unwrap();
    assert_eq!(scaled["spec"]["replicas"], 3);
    let after = cluster.get(&format!("{SPACE}/services/web")).await;
    assert_eq!(after["metadata"]["annotations"], body["metadata"]["annotations"]);
}

#[tokio::test]
async fn a_scale_can_be_discovered_and_looked_up() {
    let cluster = Cluster::new().await;
    service(&cluster).await;
    let list = cluster.get("/apis/drover.dev/v1").await;
    let found =
        list["resources"].as_array().unwrap().iter().find(|r| r["name"] == "services/scale").unwrap().clone();
    assert_eq!(
        (&found["group"], &found["version"], &found["kind"]),
        (&"autoscaling".into(), &"v1".into(), &"Scale".into())
    );
    let status =
        list["resources"].as_array().unwrap().iter().find(|r| r["name"] == "services/status").unwrap();
    assert_eq!(status.get("group"), None);
    let document = cluster.get("/openapi/v3/apis/drover.dev/v1").await;
    let path = "/apis/drover.dev/v1/namespaces/{namespace}/services/{name}/scale";
    assert_eq!(document["paths"][path]["put"]["x-kubernetes-group-version-kind"]["kind"], "Scale");
    let mut request = Request::new(Method::GET, &scale());
    request.headers.insert("accept", "application/json;as=Table;v=v1;g=meta.k8s.io".parse().unwrap());
    let table: Value = serde_json::from_slice(&cluster.admin().send(request).await.unwrap().body).unwrap();
    assert_eq!(table["rows"][0]["cells"].as_array().unwrap()[..3], ["web", "1", "0"]);
}
