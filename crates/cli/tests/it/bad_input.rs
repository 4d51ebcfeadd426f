//! Bad input, from the command line down to the disk: refused, told clearly, and nothing has changed.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use drover_types::Kind;
use serde_json::json;

use crate::cluster::eventually;
use crate::drover::{Going, Said, begin, drover};
use crate::serving::{Api, serve, still};

const GOOD: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: good}\n";

fn timer(spec: &str) -> String {
    format!("apiVersion: drover.dev/v1\nkind: Timer\nmetadata: {{name: bad}}\nspec: {spec}\n")
}

#[track_caller]
fn refused(said: &Said, wants: &[&str]) {
    assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""), "{}", said.stderr);
    for want in wants {
        assert!(said.stderr.contains(want), "no {want:?} in:\n{}", said.stderr);
    }
}

#[track_caller]
fn untouched(at: &Path) {
    let left = drover(at, &["get", "configmaps,timers,tasks", "-A", "-o", "name"]);
    assert_eq!(left.stdout, "", "something was applied");
}

#[test]
fn a_bad_manifest_is_shown_where_it_is_bad_and_nothing_of_the_set_is_applied() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    let process = "template: {process: {command: [/bin/true]}}";
    let bomb: String = ["a", "b", "c", "d", "e", "f", "g"]
        .windows(2)
        .map(|pair| format!("{}: &{} [{}]\n", pair[1], pair[1], vec![format!("*{}", pair[0]); 9].join(",")))
        .collect();
    for (text, place, told) in [
        (timer(&format!("{{evry: 5s, {process}}}")), "8:8", "did you mean \"every\"?"),
        (
            format!("{}data: {{a: \"1\"}}\ndata: {{a: \"2\"}}\n", GOOD.replace("good", "bad")),
            "9:1",
            "given twice",
        ),
        (timer(&format!("{{every: 5, {process}}}")), "8:15", "has no unit"),
        (timer(&format!("{{every: 5s, suspend: 1, {process}}}")), "8:28", "expected a boolean"),
        (timer("{every: 5s, template: {process: {command: /bin/true}}}"), "8:49", "expected a list"),
        (format!("a: &a [x,x,x,x,x,x,x,x,x]\n{bomb}"), "4:1", "aliases"),
        (timer(&format!("{{every: 5s, {process}}}")).replace("bad", "Bad_Name"), "7:18", "DNS-1123"),
        (timer(&format!("{{cron: \"61 * * * *\", {process}}}")), "8:14", "minute 61 is out of range"),
        (
            timer(&format!("{{every: 5s, placement: {{nodeSelector: {{\"no key\": x}}}}, {process}}}")),
            "8:46",
            "no key",
        ),
        (timer(&format!("{{every: 5s, {process}")), "9:1", "not valid YAML"),
    ] {
        fs::write(at.join("a.yaml"), format!("{GOOD}---\n{text}")).unwrap();
        let said = drover(at, &["apply", "-f", "a.yaml"]);
        refused(&said, &[told, &format!("--> a.yaml:{place}"), "^", "nothing was applied"]);
        let line = place.split_once(':').unwrap().0;
        assert!(said.stderr.contains(&format!("{line} |")), "{}", said.stderr);
    }
    untouched(at);
}

#[test]
fn one_error_anywhere_in_files_folders_and_stdin_keeps_all_of_them_back() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    fs::create_dir_all(at.join("set/deep")).unwrap();
    fs::write(at.join("one.yaml"), GOOD).unwrap();
    let more = |name: &str| GOOD.replace("good", name);
    fs::write(at.join("set/a.yaml"), more("a")).unwrap();
    let third = format!("{}---\n{}---\n{}", more("b"), more("c"), more("D"));
    fs::write(at.join("set/deep/b.yaml"), &third).unwrap();
    let said = drover(at, &["apply", "-R", "-f", "one.yaml", "-f", "set"]);
    refused(&said, &["set/deep/b.yaml:11:18", "DNS-1123", "nothing was applied"]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_drover"))
        .args(["apply", "-f", "one.yaml", "-f", "-"])
        .current_dir(at)
        .env_clear()
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(third.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("<stdin>:11:18") && output.status.code() == Some(1), "{told}");
    untouched(at);
    fs::write(at.join("empty.yaml"), "# nothing\n").unwrap();
    refused(&drover(at, &["apply", "-f", "empty.yaml"]), &["there is no object"]);
}

#[test]
fn ten_mebibytes_are_refused_by_the_command_and_by_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    let big = format!("{GOOD}data:\n  a: \"{}\"\n", "x".repeat(10 << 20));
    fs::write(at.join("a.yaml"), &big).unwrap();
    let said = drover(at, &["apply", "-f", "a.yaml"]);
    refused(&said, &["too large", "a.yaml", "nothing was applied"]);
    assert!(said.stderr.len() < 1000, "the error is as long as the file");
    let object = json!({"metadata": {"name": "big"}, "data": {"a": "x".repeat(10 << 20)}});
    let refused = Api::new(at).try_create(Kind::ConfigMap, &object).unwrap_err();
    assert_eq!(refused.api().unwrap().status.code, 413, "{refused}");
    untouched(at);
}

#[test]
fn owners_in_a_circle_are_refused_at_the_line_that_closes_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _server = still(at);
    let apply = |name: &str, owner: Option<&str>| {
        let mut text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n");
        if let Some(owner) = owner {
            let uid = Api::new(at).get(Kind::ConfigMap, owner)["metadata"]["uid"].clone();
            text.push_str(&format!(
                "  ownerReferences:\n  - {{apiVersion: v1, kind: ConfigMap, name: {owner}, uid: {uid}}}\n"
            ));
        }
        fs::write(at.join("a.yaml"), text).unwrap();
        drover(at, &["apply", "-f", "a.yaml"])
    };
    for (name, owner) in [("a", None), ("b", Some("a")), ("c", Some("b"))] {
        assert_eq!(apply(name, owner).code, Some(0));
    }
    refused(&apply("a", Some("c")), &["ownerReferences", "a.yaml:", "nothing was applied"]);
    refused(&apply("a", Some("a")), &["ownerReferences", "own itself", "nothing was applied"]);
    assert_eq!(Api::new(at).get(Kind::ConfigMap, "a")["metadata"].get("ownerReferences"), None);
}

/// A server with an agent for its own host.
fn server_with_agent(at: &Path) -> (Going, String) {
    let args = ["server", "--data-dir", ".drover", "--listen", "127.0.0.1:0", "--node-name", "hub"];
    let mut server = begin(at, &args);
    let first = server.line();
    let url = first.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{first:?}")).to_owned();
    (server, url)
}

#[test]
fn a_once_task_is_not_edited_after_it_started_but_given_a_new_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (_server, _) = server_with_agent(at);
    let task = "apiVersion: drover.dev/v1\nkind: Task\nmetadata: {name: once}\nspec:\n  mode: Once\n  template:\n    process:\n      command: [/bin/echo, one]\n";
    fs::write(at.join("a.yaml"), task).unwrap();
    assert_eq!(drover(at, &["apply", "-f", "a.yaml"]).code, Some(0));
    let waited = drover(at, &["wait", "--for=condition=Complete", "task/once", "--timeout", "2m"]);
    assert_eq!(waited.code, Some(0), "{}", waited.stderr);
    fs::write(at.join("a.yaml"), task.replace("one]", "two]")).unwrap();
    let said = drover(at, &["apply", "-f", "a.yaml"]);
    refused(&said, &["new name", "a.yaml:6:3", "nothing was applied"]);
    assert_eq!(drover(at, &["logs", "task/once"]).stdout, "one\n");
    // What was applied before may be applied again.
    fs::write(at.join("a.yaml"), task).unwrap();
    assert_eq!(drover(at, &["apply", "-f", "a.yaml"]).stdout, "task/once unchanged\n");
}

#[test]
fn a_host_that_may_not_join_is_told_why_and_leaves_no_node() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (_server, url) = server_with_agent(at);
    let create = |args: &[&str]| {
        let said = drover(at, &[&["token", "create"], args].concat());
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        said.stdout.trim().to_owned()
    };
    let late = create(&["node", "--ttl", "1s"]);
    let user = create(&["user", "--ttl", "1s"]);
    let token = create(&["node", "--allow-label", "tier=web"]);
    let join = |token: &str, args: &[&str]| {
        fs::write(at.join("join.token"), token).unwrap();
        let fixed = ["agent", "--server", &url, "--token-file", "join.token", "--data-dir", "host"];
        drover(at, &[&fixed, args].concat())
    };
    let new = ["--node-name", "new"];
    let pin = token.split_once('.').unwrap().1;
    let wrong = token.replace(pin, &"0".repeat(64));
    refused(&join(&wrong, &new), &["refusing to join", "0000", pin]);
    refused(&join("nonsense", &new), &["drn_<secret>"]);
    assert!(!join(&format!("drn_unknown.{pin}"), &new).stderr.contains("kubeconfig"));
    let unknown = format!("drn_unknown.{pin}");
    refused(&join(&unknown, &new), &["Unauthorized", "drover token create node"]);
    for (label, why) in [
        ("tier=database", "it allows tier=web"),
        ("pool=edge", "it allows tier=web"),
        ("drover.dev/role=server", "reserved"),
    ] {
        refused(&join(&token, &[&new[..], &["--label", label]].concat()), &[label, why]);
    }
    refused(&join(&token, &["--node-name", "Not_A_Name"]), &["DNS-1123"]);
    refused(&join(&token, &["--node-name", "hub"]), &["another host is this node", "--node-name hub"]);
    eventually("the tokens have expired", || {
        fs::write(at.join("late"), late_kubeconfig(at, &user)).unwrap();
        let said = drover(at, &["get", "nodes", "--kubeconfig", "late"]);
        said.stderr.contains("the token expired at").then_some(())
    });
    refused(&join(&late, &new), &["the token expired at", "drover token create node"]);
    let nodes = drover(at, &["get", "nodes", "-o", "name"]);
    assert_eq!(nodes.stdout, "node/hub\n", "a refused join left something");
}

fn late_kubeconfig(at: &Path, token: &str) -> String {
    let text = drover(at, &["kubeconfig"]).stdout;
    let admin = fs::read_to_string(at.join(".drover/admin.token")).unwrap();
    text.replace(admin.trim(), token)
}

#[test]
fn a_torn_store_is_named_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("a.yaml"), GOOD).unwrap();
    let server = serve(at);
    assert_eq!(drover(at, &["apply", "-f", "a.yaml"]).code, Some(0));
    drop(server);
    // The log is folded into the database by an orderly end.
    let mut again = begin(at, &["server", "--no-agent", "--data-dir", ".drover", "--listen", "127.0.0.1:0"]);
    assert!(again.line().starts_with("listening on "));
    again.interrupt();
    assert!(again.child.wait().unwrap().success());
    let path = at.join(".drover/store.db");
    let mut torn = fs::read(&path).unwrap();
    torn.truncate(torn.len() / 2);
    fs::write(&path, &torn).unwrap();
    let said = drover(at, &["server", "--no-agent", "--data-dir", ".drover", "--listen", "127.0.0.1:0"]);
    refused(&said, &["store.db is damaged", "backup"]);
    assert!(fs::read(&path).unwrap() == torn, "a damaged store was written to");
}

/// A small file system in memory; unmounted when dropped.
struct Small(PathBuf);

impl Small {
    fn mount(path: PathBuf) -> Option<Self> {
        fs::create_dir(&path).unwrap();
        let options = ["-t", "tmpfs", "-o", "size=12m", "tmpfs"];
        let mounted = Command::new("mount").args(options).arg(&path).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(path))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_writes_still_reads_and_heals_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let Some(small) = Small::mount(at.join("small")) else {
        return eprintln!("skipped: no small file system can be mounted here");
    };
    let server = ["server", "--no-agent", "--data-dir", "small/data", "--listen", "127.0.0.1:0"];
    let mut going = begin(at, &server);
    assert!(going.line().starts_with("listening on "));
    let drover = |args: &[&str]| drover(at, &[args, &["--kubeconfig", "small/data/kubeconfig"]].concat());
    fs::write(at.join("a.yaml"), GOOD).unwrap();
    assert_eq!(drover(&["apply", "-f", "a.yaml"]).code, Some(0));
    let mut ballast = fs::File::create(small.0.join("ballast")).unwrap();
    while ballast.write_all(&[0; 4096]).is_ok() {}
    let set: Vec<String> = (0..20)
        .map(|n| format!("{}data: {{a: {}}}\n", GOOD.replace("good", &format!("c{n}")), "x".repeat(300_000)))
        .collect();
    fs::write(at.join("set.yaml"), set.join("---\n")).unwrap();
    let said = drover(&["apply", "-f", "set.yaml"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("no space left"), "{}", said.stderr);
    assert!(said.stderr.contains("applying again goes on from there"), "{}", said.stderr);
    assert_eq!(drover(&["get", "configmap", "good", "-o", "name"]).stdout, "configmap/good\n");
    assert_eq!(drover(&["delete", "configmap", "good"]).stdout, "configmap/good deleted\n");
    drop(ballast);
    fs::remove_file(small.0.join("ballast")).unwrap();
    assert_eq!(drover(&["apply", "-f", "a.yaml"]).stdout, "configmap/good created\n");
}
