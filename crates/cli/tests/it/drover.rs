//! Starting the binary in a folder of its own and reading what it said.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

/// What one run said.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
        }
    }
}

/// Runs `drover` in `folder`, without a terminal and without the caller's environment.
pub(crate) fn drover(folder: &Path, args: &[&str]) -> Said {
    drover_with(folder, args, &[])
}

/// The same with variables of its environment set.
pub(crate) fn drover_with(folder: &Path, args: &[&str], variables: &[(&str, &str)]) -> Said {
    Command::new(env!("CARGO_BIN_EXE_drover"))
        .args(args)
        .current_dir(folder)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts")
        .into()
}

/// A run that goes on, and what it says as it says it. It is killed when this goes.
pub(crate) struct Going {
    pub(crate) child: Child,
    lines: BufReader<ChildStdout>,
}

impl Going {
    /// The next line of stdout, once it is there; empty at the end.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("stdout can be read");
        line
    }

    /// Sends the signal of Ctrl-C.
    pub(crate) fn interrupt(&self) {
        let pid = self.child.id().to_string();
        let sent = Command::new("/bin/kill").args(["-INT", &pid]).status();
        assert!(sent.expect("there is /bin/kill").success());
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts `drover` in `folder`.
pub(crate) fn begin(folder: &Path, args: &[&str]) -> Going {
    let mut child = Command::new(env!("CARGO_BIN_EXE_drover"))
        .args(args)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let lines = BufReader::new(child.stdout.take().expect("stdout is piped"));
    Going { child, lines }
}
