//! Builds the keeper apart from everything else: static, small, and the same whatever profile or lint run this is.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use sha2::{Digest, Sha256};

fn main() {
    let variable = |name: &str| env::var_os(name).unwrap_or_else(|| panic!("cargo sets {name}"));
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(variable("OUT_DIR"));
    let target = env::var("TARGET").unwrap_or_else(|error| panic!("TARGET: {error}"));
    let root = here.join("../..");
    for watched in
        ["crates/keeper/src", "crates/keeper/Cargo.toml", "crates/spawn/src", "crates/spawn/Cargo.toml"]
    {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    println!("cargo::rerun-if-changed=build.rs");

    // A target directory of its own, as the outer cargo holds the lock of the usual one: beside `build/`, so that it
    // is used again when only the name of OUT_DIR changes.
    let target_dir = out.ancestors().nth(3).unwrap_or(&out).join("keeper");
    let mut cargo = Command::new(variable("CARGO"));
    cargo.current_dir(&root).args([
        "build",
        "--quiet",
        "--release",
        "--locked",
        "--package",
        "drover-keeper",
    ]);
    cargo.arg("--target").arg(&target).arg("--target-dir").arg(&target_dir);
    // What a lint run, a coverage run or the caller's flags would put in has no business in this program.
    for name in [
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTFLAGS",
        "CLIPPY_ARGS",
        "CARGO_TARGET_DIR",
        "CARGO_BUILD_TARGET",
    ] {
        cargo.env_remove(name);
    }
    let flags = ["-Ctarget-feature=+crt-static", "-Crelocation-model=static", "-Cforce-unwind-tables=no"];
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    for (name, value) in [
        ("OPT_LEVEL", "s"),
        ("PANIC", "abort"),
        ("LTO", "fat"),
        ("CODEGEN_UNITS", "1"),
        ("STRIP", "symbols"),
        ("DEBUG", "false"),
    ] {
        cargo.env(format!("CARGO_PROFILE_RELEASE_{name}"), value);
    }
    let status = cargo.status().unwrap_or_else(|error| panic!("cargo does not start: {error}"));
    assert!(status.success(), "the keeper does not build: {status}");

    let built = target_dir.join(&target).join("release/drover-keeper");
    let bytes = fs::read(&built).unwrap_or_else(|error| panic!("{}: {error}", built.display()));
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let write = |name: &str, bytes: &[u8]| {
        fs::write(out.join(name), bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    };
    write("drover-keeper", &bytes);
    write("digest.rs", format!("{digest:?}").as_bytes());
}
