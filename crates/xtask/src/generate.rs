//! Files that are made from code and kept in the repository.

use anyhow::Result;

use crate::run;

/// Whether to write the files or only to compare.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Write what differs.
    Write,
    /// Fail on what differs. The drift test of `drover-types` is the comparison.
    Check,
}

/// `schemas/*.json`, from the kinds.
pub(crate) fn schemas(mode: Mode) -> Result<()> {
    let env: &[(&str, &str)] = match mode {
        Mode::Write => &[("DROVER_UPDATE", "1")],
        Mode::Check => &[],
    };
    run::program("cargo", &["test", "--quiet", "--locked", "--package", "drover-types", "schema"], env)
}
