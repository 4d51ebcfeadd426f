//! What is secret stays where it belongs: in files of mode 0600, and in no log, however much is asked of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::cluster::{Process, eventually};
use crate::drover::drover;

const PASSWORD: &str = "sesame-opens-the-hidden-door";

/// Starts a role that logs all it can into `NAME.log`.
fn start(at: &Path, name: &str, args: &[&str]) -> Process {
    let log = fs::File::create(at.join(format!("{name}.log"))).unwrap();
    let out = fs::File::create(at.join(format!("{name}.out"))).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_drover"));
    command.args(args).current_dir(at).env_clear().env("DROVER_LOG", "trace").env("PATH", "/usr/bin:/bin");
    Process(command.stdin(Stdio::null()).stdout(out).stderr(log).spawn().unwrap())
}

/// Every file below a folder.
fn files(at: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

#[test]
fn no_log_holds_a_token_or_the_value_of_a_secret_and_no_other_user_reads_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let server =
        start(at, "server", &["server", "--no-agent", "--data-dir", ".drover", "--listen", "127.0.0.1:0"]);
    let url = eventually("the server listens", || {
        let told = fs::read_to_string(at.join("server.out")).unwrap();
        let url = told.lines().next()?.strip_prefix("listening on ")?;
        told.contains("kubeconfig").then(|| url.to_owned())
    });
    let token = drover(at, &["token", "create", "node"]).stdout.trim().to_owned();
    fs::write(at.join("join.token"), &token).unwrap();
    let join = ["agent", "--server", &url, "--token-file", "join.token", "--data-dir", "host"];
    let agent = start(at, "agent", &[&join[..], &["--node-name", "web-1"]].concat());
    let manifest = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: pw}}\nstringData: {{PASSWORD: {PASSWORD}}}\n---\n\
         apiVersion: drover.dev/v1\nkind: Task\nmetadata: {{name: use}}\nspec:\n  mode: Once\n  template:\n    process:\n      script: 'echo \"it has ${{#PASSWORD}} characters\"'\n      envFrom: [{{secretRef: {{name: pw}}}}]\n"
    );
    fs::write(at.join("a.yaml"), manifest).unwrap();
    let ready = drover(at, &["wait", "--for=condition=Ready", "node/web-1", "--timeout", "2m"]);
    assert_eq!(ready.code, Some(0), "{}", ready.stderr);
    assert_eq!(drover(at, &["apply", "-f", "a.yaml"]).code, Some(0));
    let done = drover(at, &["wait", "--for=condition=Complete", "task/use", "--timeout", "2m"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let said = drover(at, &["logs", "task/use"]).stdout;
    assert_eq!(said, format!("it has {} characters\n", PASSWORD.len()));

    let encoded = BASE64_STANDARD.encode(PASSWORD);
    for args in [&["get", "secrets", "-o", "wide"][..], &["describe", "secret", "pw"], &["events"]] {
        let shown = drover(at, args).stdout;
        assert!(!shown.contains(PASSWORD) && !shown.contains(&encoded), "{shown}");
    }
    assert!(drover(at, &["get", "secret", "pw", "-o", "yaml"]).stdout.contains(&encoded));

    drop((agent, server));
    let credential: Value = serde_json::from_slice(&fs::read(at.join("host/credential")).unwrap()).unwrap();
    let admin = fs::read_to_string(at.join(".drover/admin.token")).unwrap();
    let host_id = fs::read_to_string(at.join("host/host-id")).unwrap();
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let secrets = [
        PASSWORD,
        &encoded,
        &hex(PASSWORD),
        &hex(&encoded),
        token.split_once('.').unwrap().0,
        admin.trim(),
        host_id.trim(),
        credential["token"].as_str().unwrap(),
    ];
    for name in ["server.log", "agent.log", "server.out", "agent.out"] {
        let log = String::from_utf8_lossy(&fs::read(at.join(name)).unwrap()).into_owned();
        for secret in secrets {
            assert!(!log.contains(secret), "{name} holds {secret}");
        }
    }
    let mut found = Vec::new();
    for dir in [".drover", "host"] {
        assert_eq!(fs::metadata(at.join(dir)).unwrap().permissions().mode() & 0o777, 0o700, "{dir}");
        files(&at.join(dir), &mut found);
    }
    for path in found {
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        let name = path.file_name().unwrap().to_string_lossy();
        let open = name == "ca.crt" || name.starts_with("keeper-");
        assert!(open || mode == 0o600, "{}: {mode:o}", path.display());
        let bytes = fs::read(&path).unwrap();
        let of_server = path.starts_with(at.join(".drover"));
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(of_server || !holds(PASSWORD) && !holds(&encoded), "{} is not sealed", path.display());
    }
}
