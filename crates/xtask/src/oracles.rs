//! croniter, which the cron machine is compared with, in a Python environment of its own under `target/`.

use anyhow::Result;

use crate::python;

/// Where the tests look for it.
const ENVIRONMENT: &str = "target/oracles";
/// Of this version is what `crates/plan/tests/oracles/disagreements.txt` lists.
const CRONITER: &str = "croniter==6.0.0";

/// Makes the environment where it is missing, or holds another version.
pub(crate) fn ensure() -> Result<()> {
    python::ensure(ENVIRONMENT, CRONITER, "the tests compare cron with croniter")
}
