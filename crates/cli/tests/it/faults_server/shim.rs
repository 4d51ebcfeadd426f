//! Layers between a program and its disk, loaded before the C library.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds one of the store's layers into a folder; `None`, with the reason printed, where there is no C compiler.
pub(crate) fn build(source: &str, folder: &Path) -> Option<PathBuf> {
    let shim = folder.join(format!("{source}.so"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../store/tests/it").join(format!("{source}.c"));
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&shim).arg(source).status();
    if built.is_ok_and(|status| status.success()) {
        return Some(shim);
    }
    eprintln!("skipped: there is no C compiler `cc` here");
    None
}
