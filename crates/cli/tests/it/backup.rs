//! `drover backup` and `drover restore`: what is said, what is refused, and what comes out.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use crate::drover::{Said, drover};
use crate::serving::{serve, serve_in};

const THINGS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: b}\n---\n\
                      apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {value: hunter2}\n";

fn good(said: &Said) -> &str {
    assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
    &said.stdout
}

/// A server with something in it, backed up to `b`; the server runs on.
fn backed_up(at: &Path) -> crate::serving::Served {
    fs::write(at.join("a.yaml"), THINGS).unwrap();
    let server = serve(at);
    good(&drover(at, &["apply", "-f", "a.yaml"]));
    good(&drover(at, &["backup", "b"]));
    server
}

#[test]
fn a_backup_is_one_private_file_and_says_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = backed_up(at);
    assert_eq!(fs::metadata(at.join("b")).unwrap().permissions().mode() & 0o777, 0o600);
    let said = drover(at, &["backup", "b", "-o", "json"]);
    let told: Value = serde_json::from_str(good(&said)).unwrap();
    assert_eq!(told["file"], "b");
    assert_eq!(told["bytes"], fs::metadata(at.join("b")).unwrap().len());
    let text = drover(at, &["backup", "b"]);
    let sha256 = good(&text).trim().rsplit_once("sha256 ").unwrap().1.to_owned();
    assert_eq!(sha256.len(), 64);
    assert!(text.stdout.starts_with("b: revision "), "{}", text.stdout);
    let left: Vec<_> =
        fs::read_dir(at.join(".drover")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("backup")), "{left:?}");
    assert!(!at.join("b.part").exists());
    // Nobody but an administrator.
    let token = drover(at, &["token", "create", "node"]).stdout;
    let kubeconfig = fs::read_to_string(at.join(".drover/kubeconfig")).unwrap();
    let admin = fs::read_to_string(at.join(".drover/admin.token")).unwrap();
    fs::write(at.join(".drover/host"), kubeconfig.replace(admin.trim(), token.trim())).unwrap();
    let said = drover(at, &["backup", "c", "--kubeconfig", ".drover/host"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("forbidden"), "{}", said.stderr);
    assert!(!at.join("c").exists() && !at.join("c.part").exists());
}

#[test]
fn what_a_crash_left_of_a_backup_is_gone_after_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    drop(backed_up(at));
    fs::write(at.join(".drover/backup.tmp"), "half").unwrap();
    let _server = serve(at);
    assert!(!at.join(".drover/backup.tmp").exists());
}

#[test]
fn a_restored_server_is_the_one_that_was_backed_up_under_a_new_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let server = backed_up(at);
    fs::write(at.join("late.yaml"), THINGS.replace("settings", "late").replace("name: key", "name: k2"))
        .unwrap();
    good(&drover(at, &["apply", "-f", "late.yaml"]));
    let old = drover(at, &["get", "configmaps,secrets", "-o", "json"]).stdout;
    drop(server);
    let said = drover(at, &["restore", "b", "--data-dir", "new", "-o", "json"]);
    let told: Value = serde_json::from_str(good(&said)).unwrap();
    assert_ne!(told["epoch"], told["fromEpoch"]);
    assert!(told["revision"].as_u64() > told["fromRevision"].as_u64());
    let mode = |path: &str| fs::metadata(at.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("new"), mode("new/store.db"), mode("new/ca.key")), (0o700, 0o600, 0o600));
    for same in ["ca.crt", "ca.key", "admin.token"] {
        let read = |dir: &str| fs::read(at.join(dir).join(same)).unwrap();
        assert!(read(".drover") == read("new"), "{same}");
    }
    let _again = serve_in(at, "new");
    let get = |name: &str| drover(at, &["get", name, "-o", "json", "--kubeconfig", "new/kubeconfig"]);
    let data = |text: &str| -> Vec<(Value, Value)> {
        let list: Value = serde_json::from_str(text).unwrap();
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items.iter().map(|item| (item["metadata"]["uid"].clone(), item["data"].clone())).collect()
    };
    let restored = data(good(&get("configmaps,secrets")));
    let before: Vec<_> = data(&old);
    assert_eq!(restored.len(), 2, "{restored:?}");
    assert!(restored.iter().all(|thing| before.contains(thing)), "{restored:?}");
    assert_eq!(get("configmap/late").code, Some(1), "what came after the backup is gone");
}

#[test]
fn what_is_no_whole_backup_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    drop(backed_up(at));
    let whole = fs::read(at.join("b")).unwrap();
    let mut flipped = whole.clone();
    let middle = whole.len() / 2;
    flipped[middle] ^= 1;
    let newer = [b"drover backup 9\n", &whole[16..]].concat();
    let table: [(&str, &[u8], &str); 5] = [
        ("cut", &whole[..whole.len() - 100], "cut is damaged: it is cut off at"),
        ("flipped", &flipped, "flipped is damaged: its SHA-256 is another"),
        ("newer", &newer, "newer is a backup of format 9, this program knows up to 1"),
        ("list", b"my shopping list", "list is no backup of Drover's"),
        ("empty", b"", "empty is no backup of Drover's"),
    ];
    for (name, bytes, why) in table {
        fs::write(at.join(name), bytes).unwrap();
        let said = drover(at, &["restore", name, "--data-dir", "new"]);
        assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""), "{name}");
        assert!(said.stderr.contains(why), "{name}: {}", said.stderr);
        assert!(!at.join("new").exists() && !at.join("new.restoring").exists(), "{name}");
    }
    let said = drover(at, &["restore", "none", "--data-dir", "new"]);
    assert!(said.stderr.contains("cannot use none"), "{}", said.stderr);
    let said = drover(at, &["restore", "b", "--data-dir", ".drover"]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.stderr.contains(".drover is not empty; a restore makes a new data directory"),
        "{}",
        said.stderr
    );
    fs::create_dir(at.join("new.restoring")).unwrap();
    fs::write(at.join("new.restoring/mine"), "").unwrap();
    let said = drover(at, &["restore", "b", "--data-dir", "new"]);
    assert!(said.stderr.contains("new.restoring is not empty"), "{}", said.stderr);
    fs::remove_dir_all(at.join("new.restoring")).unwrap();
    fs::create_dir(at.join("new")).unwrap();
    good(&drover(at, &["restore", "b", "--data-dir", "new/"]));
}

#[test]
fn a_data_directory_at_rest_is_backed_up_without_a_server_and_one_in_use_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let server = backed_up(at);
    let said = drover(at, &["backup", "c", "--data-dir", ".drover"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("is in use by another server (pid "), "{}", said.stderr);
    drop(server);
    let said = drover(at, &["backup", "c", "--data-dir", ".drover"]);
    assert!(good(&said).starts_with("c: revision "), "{}", said.stdout);
    good(&drover(at, &["restore", "c", "--data-dir", "new"]));
    let _again = serve_in(at, "new");
    let said = drover(at, &["get", "secret/key", "-o", "name", "--kubeconfig", "new/kubeconfig"]);
    assert_eq!(good(&said), "secret/key\n");
    let said = drover(at, &["backup", "d", "--data-dir", "nowhere"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("nowhere/store.db") && !at.join("d").exists(), "{}", said.stderr);
}
