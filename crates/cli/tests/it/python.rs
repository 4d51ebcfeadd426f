//! The clients written in Python, at the versions of `tests/clients/python/requirements.txt`, against the real server over TLS.
//!
//! Each is a program in that folder that names its laws as they hold; `cargo xtask needs` makes the environment.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::drover::Said;
use crate::serving::serve;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Runs a client's program against a server of its own; these laws, and no others, must hold.
#[track_caller]
fn holds(program: &str, laws: &[&str]) {
    let python = Path::new(ROOT).join("target/clients/python/bin/python");
    assert!(python.exists(), "there are no Python clients to be driven: run `cargo xtask needs`");
    let folder = tempfile::tempdir().unwrap();
    let _server = serve(folder.path());
    let said: Said = Command::new(python)
        .arg(Path::new(ROOT).join("tests/clients/python").join(program))
        .current_dir(folder.path())
        .env_clear()
        .env("HOME", folder.path())
        .env("KUBECONFIG", folder.path().join(".drover/kubeconfig"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap()
        .into();
    assert_eq!(
        (said.code, said.stdout.lines().collect::<Vec<_>>()),
        (Some(0), laws.to_vec()),
        "{}",
        said.stderr
    );
}

#[test]
fn the_kubernetes_client_of_python_writes_patches_applies_watches_pages_and_scales() {
    holds(
        "kubernetes_client.py",
        &[
            "a_typed_core_object_is_made_read_changed_and_deleted",
            "a_secret_keeps_its_bytes",
            "a_kind_of_ours_is_a_custom_object",
            "the_dynamic_client_finds_kinds_and_applies_on_the_server",
            "a_watch_shows_what_is_and_then_each_change",
            "a_watch_of_a_revision_that_is_long_gone_or_still_to_come_ends_with_its_reason",
            "pages_are_one_list",
            "a_lease_and_events_are_kept",
            "a_service_is_scaled",
            "who_asks_and_what_they_may_is_told",
        ],
    );
}

#[test]
fn kr8s_writes_patches_scales_and_watches() {
    holds(
        "kr8s_client.py",
        &[
            "an_object_is_made_got_patched_labelled_and_deleted",
            "kinds_are_found_by_their_names",
            "a_service_is_scaled",
            "a_watch_shows_what_is_and_what_goes",
        ],
    );
}

#[test]
fn lightkube_writes_patches_applies_watches_and_lists_in_chunks() {
    holds(
        "lightkube_client.py",
        &[
            "an_object_is_made_replaced_patched_and_deleted",
            "a_kind_of_ours_is_patched_in_every_way",
            "two_managers_share_or_fight",
            "a_list_comes_in_chunks_and_is_whole",
            "a_watch_shows_each_change",
        ],
    );
}
