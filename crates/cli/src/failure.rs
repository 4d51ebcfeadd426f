//! How a command ends: exit codes, and how a failure is told to people and to machines.
//!
//! 0 done, 1 failed, 2 a usage error, 130 interrupted.

use std::fmt;
use std::process::ExitCode;

use anyhow::{Error, Result};
use drover_client::{ApiError, Error as ClientError};
use drover_node_agent::NodeError;
use serde_json::{Value, json};

use crate::terminal;

const USAGE: u8 = 2;
const INTERRUPTED: u8 = 130;
const BAD_TOKEN: &str = "the server does not take the token of this kubeconfig; `drover kubeconfig --kubeconfig \
                         DATA_DIR/kubeconfig` on its host prints one with a good token";

/// The command line does not say what can be done.
#[derive(Debug)]
pub(crate) struct Usage(String);

/// Ctrl-C.
#[derive(Debug)]
pub(crate) struct Interrupted;

/// Whoever read stdout went away.
#[derive(Debug)]
pub(crate) struct StdoutClosed;

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl fmt::Display for StdoutClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads stdout")
    }
}

impl std::error::Error for Usage {}
impl std::error::Error for Interrupted {}
impl std::error::Error for StdoutClosed {}

/// A usage error.
pub(crate) fn usage(message: impl Into<String>) -> Error {
    Usage(message.into()).into()
}

/// What went wrong with some of several objects: each is told, and the last is the command's own failure.
#[derive(Default)]
pub(crate) struct Failures(Option<Error>);

impl Failures {
    /// One more.
    pub(crate) fn add(&mut self, error: Error) {
        if let Some(earlier) = self.0.replace(error) {
            terminal::complain(&format!("{earlier:#}"));
        }
    }

    /// How the command ends.
    pub(crate) fn end(self) -> Result<ExitCode> {
        self.0.map_or(Ok(ExitCode::SUCCESS), Err)
    }
}

/// Tells what went wrong, if anything did, and gives the exit code. `machine`: as JSON on stdout.
pub(crate) fn finish(done: Result<ExitCode>, machine: bool) -> ExitCode {
    let error = match done {
        Ok(code) => return code,
        Err(error) => error,
    };
    if error.is::<StdoutClosed>() {
        return ExitCode::SUCCESS;
    }
    if error.is::<Interrupted>() {
        return ExitCode::from(INTERRUPTED);
    }
    if machine {
        // Scripts read one JSON error from stdout instead of prose from stderr. There is nobody left to tell if
        // that fails.
        let _ = terminal::print(&format!("{}\n", as_json(&error)));
    } else {
        terminal::complain(&format!("{error:#}"));
        // An agent has no kubeconfig, and says itself what its token is about.
        if api(&error).is_some_and(|api| api.status.code == 401) && !error.is::<NodeError>() {
            terminal::tell(BAD_TOKEN);
        }
    }
    if error.is::<Usage>() { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
}

fn api(error: &Error) -> Option<&ApiError> {
    error.chain().find_map(|cause| cause.downcast_ref::<ClientError>()?.api())
}

fn as_json(error: &Error) -> Value {
    let mut object = json!({ "error": format!("{error:#}") });
    if let Some(api) = api(error) {
        object["code"] = api.status.code.into();
        object["reason"] = api.status.reason.as_str().into();
    }
    object
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn the_exit_code_tells_usage_interruption_and_failure_apart() {
        let code = |error: Error| finish(Err(error), true);
        assert_eq!(code(usage("no")), ExitCode::from(2));
        assert_eq!(code(Error::new(Interrupted).context("while waiting")), ExitCode::from(130));
        assert_eq!(code(StdoutClosed.into()), ExitCode::SUCCESS);
        assert_eq!(code(anyhow::anyhow!("no").context("why")), ExitCode::FAILURE);
        let told = as_json(&Err::<(), _>(anyhow::anyhow!("no")).context("why").unwrap_err());
        assert_eq!(told, json!({"error": "why: no"}));
    }
}
