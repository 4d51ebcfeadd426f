//! Tokens and kubeconfigs: made by one client, used by another.

use std::fs;

use serde_json::Value;

use crate::drover::drover;
use crate::serving::serve;

#[test]
fn a_kubeconfig_needs_no_other_file_and_a_user_token_opens_the_same_door() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = serve(at);
    let elsewhere = tempfile::tempdir().unwrap();
    let config = drover(at, &["kubeconfig", "-n", "web"]).stdout;
    let admin = fs::read_to_string(at.join(".drover/admin.token")).unwrap();
    let token = drover(at, &["token", "create", "user", "--name", "ci", "--ttl", "1h"]).stdout;
    assert!(token.starts_with("dra_") && token.lines().count() == 1, "{token:?}");
    fs::write(elsewhere.path().join("config"), config.replace(admin.trim(), token.trim())).unwrap();
    let said = drover(elsewhere.path(), &["get", "timers", "--kubeconfig", "config"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), "no timers found in namespace web\n"));

    let moved = drover(at, &["kubeconfig", "--server", "https://drover.example.com:443"]).stdout;
    assert!(moved.contains("server: https://drover.example.com:443\n"), "{moved}");
    let bad = drover(at, &["kubeconfig", "--server", "http://x"]);
    assert_eq!(bad.code, Some(1), "{}", bad.stdout);
}

#[test]
fn a_node_token_is_alone_on_stdout_and_its_use_is_explained_on_stderr() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = serve(at);
    let said = drover(at, &["token", "create", "node", "--node-name", "web-1", "--allow-label", "tier=web"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let token = said.stdout.trim();
    assert!(token.starts_with("drn_") && said.stdout == format!("{token}\n"), "{}", said.stdout);
    assert!(said.stderr.contains("drover agent --server https://127.0.0.1:"), "{}", said.stderr);
    assert!(!said.stderr.contains(token), "the token is where everybody can read it");
    let json = drover(at, &["token", "create", "node", "-o", "json"]);
    let told: Value = serde_json::from_str(&json.stdout).unwrap();
    assert!(told["token"].as_str().unwrap().starts_with("drn_") && json.stderr.is_empty());
    let refused = drover(at, &["token", "create", "node", "--allow-label", "tier"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
}

#[test]
fn the_servers_version_is_told_where_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let server = serve(at);
    let told: Value = serde_json::from_str(&drover(at, &["version", "-o", "json"]).stdout).unwrap();
    assert!(told["server"]["gitVersion"].is_string(), "{told}");
    let client = drover(at, &["version", "--client"]);
    assert_eq!(client.stdout, format!("drover {}\n", env!("CARGO_PKG_VERSION")));
    drop(server);
    let said = drover(at, &["version"]);
    assert_eq!((said.code, said.stdout), (Some(0), client.stdout));
    assert!(said.stderr.contains("cannot connect"), "{}", said.stderr);
}
