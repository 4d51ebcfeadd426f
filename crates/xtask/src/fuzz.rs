//! Fuzzing for a bounded time: every target of `fuzz/`, from what is kept of it.
//!
//! libFuzzer needs coverage, which this toolchain's compiler can add by itself; sanitizers, which it cannot, are left
//! out, as nothing here is `unsafe` but `crates/spawn`. An input that breaks a law is left in `target/fuzz/found`: fix
//! what is wrong, and keep the input in `fuzz/corpus`. CI draws from one seed, so that a change is judged by the inputs
//! the one before it was judged by; whoever runs it by hand looks for what nobody has met.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

/// What `cargo fuzz` hands to the compiler, less the sanitizer.
const INSTRUMENTED: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";
const BUILT: &str = "target/fuzz";
const FOUND: &str = "target/fuzz/found";
/// Longer than any input takes, also on a machine that is busy with something else.
const SLOWEST: u32 = 60;
const MOST_MEGABYTES: u32 = 2048;

/// Where the inputs come from, beside what is kept.
#[derive(Clone, Copy)]
pub(crate) enum Inputs {
    /// One seed, and nothing that an earlier run has found.
    Same,
    /// Another seed each time, going on from what earlier runs have reached.
    New,
}

/// Runs each target for so many seconds, or only those named, two at a time.
pub(crate) fn run(seconds: u32, inputs: Inputs, only: &[&str]) -> Result<()> {
    let host = host()?;
    println!("==> building the programs of fuzz/ with instrumentation");
    let status = Command::new("cargo")
        .args(["build", "--locked", "--manifest-path", "fuzz/Cargo.toml", "--bins", "--target", &host])
        .env("CARGO_TARGET_DIR", BUILT)
        // With a target given, build scripts and macros are left as they are.
        .env("RUSTFLAGS", INSTRUMENTED)
        .status()
        .context("starting `cargo build`")?;
    if !status.success() {
        bail!("the programs of fuzz/ do not build");
    }
    let mut targets = Vec::new();
    for entry in fs::read_dir("fuzz/corpus").context("reading fuzz/corpus")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if only.is_empty() || only.contains(&name.as_str()) {
            targets.push(name);
        }
    }
    if let Some(unknown) = only.iter().find(|name| !targets.iter().any(|target| target == *name)) {
        bail!("there is no target {unknown}");
    }
    targets.sort();
    let program = |name: &str| Path::new(BUILT).join(&host).join("debug").join(name);
    let mut broken = Vec::new();
    for pair in targets.chunks(2) {
        println!("==> {} for {seconds} s", pair.join(" and "));
        let mut running = Vec::new();
        for name in pair {
            running.push((name, start(&program(name), name, seconds, inputs)?));
        }
        for (name, child) in running {
            let output = child.wait_with_output()?;
            let log = String::from_utf8_lossy(&output.stderr);
            if output.status.success() {
                println!(
                    "{name}: {}",
                    log.lines().rev().find(|line| line.starts_with("Done")).unwrap_or("done")
                );
            } else {
                let from = log.lines().position(|line| line.contains("panicked")).unwrap_or(0);
                println!("{name}:\n{}", log.lines().skip(from).take(40).collect::<Vec<_>>().join("\n"));
                broken.push(name.as_str());
            }
        }
    }
    if broken.is_empty() { Ok(()) } else { bail!("broken: {}; the inputs are in {FOUND}", broken.join(", ")) }
}

fn start(program: &Path, name: &str, seconds: u32, inputs: Inputs) -> Result<Child> {
    fs::create_dir_all(FOUND)?;
    let kept = Path::new("fuzz/corpus").join(name);
    let mut command = Command::new(program);
    // New inputs are not kept by themselves: what is kept stays small and is chosen.
    let grown = Path::new(BUILT).join(match inputs {
        Inputs::Same => "same",
        Inputs::New => "corpus",
    });
    let grown = grown.join(name);
    if matches!(inputs, Inputs::Same) {
        if grown.exists() {
            fs::remove_dir_all(&grown)?;
        }
        command.arg("-seed=1");
    }
    fs::create_dir_all(&grown)?;
    command.args([&grown, &kept]);
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-timeout={SLOWEST}"));
    command.arg(format!("-rss_limit_mb={MOST_MEGABYTES}"));
    command.arg(format!("-artifact_prefix={FOUND}/{name}-"));
    command.arg("-max_len=8192");
    let dictionary = Path::new("fuzz/dictionaries").join(name);
    if dictionary.exists() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().with_context(|| format!("starting {}", program.display()))
}

fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("starting `rustc -vV`")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host =
        text.lines().find_map(|line| line.strip_prefix("host: ")).context("`rustc -vV` names no host")?;
    Ok(host.to_owned())
}
