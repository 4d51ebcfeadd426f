//! What a keeper is told to run.
//!
//! It reaches the keeper in a memory file, so that what is secret in it is neither on a
//! command line nor on a disk: a line of JSON, then the bytes for the child's standard input. Agent and keeper come
//! from one build, so any other version is refused.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Leash;

/// The version of the encoding; changed with any change of meaning.
pub const SPEC_VERSION: u32 = 3;

/// One process to run, with everything already substituted and resolved.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSpec {
    version: u32,
    /// The uid of the run; the child and all it starts bear it as `DROVER_RUN_UID`.
    pub run_uid: String,
    /// The program (searched in the `PATH` of `env` unless it has a slash) and its arguments.
    pub argv: Vec<String>,
    /// The whole environment; nothing is inherited.
    pub env: Vec<(String, String)>,
    /// Where the child starts; `/` when absent.
    pub working_dir: Option<PathBuf>,
    /// A login name or a number.
    pub user: Option<String>,
    /// A group name or a number; the user's primary group when absent.
    pub group: Option<String>,
    /// The file mode mask; the keeper's own when absent.
    pub umask: Option<u32>,
    /// How much output is kept.
    pub output: OutputLimits,
    /// An existing cgroup v2 directory for the child to join.
    pub cgroup: Option<PathBuf>,
    /// Until when it may go on, if its workload may move to another host.
    pub leash: Option<Leash>,
    stdin_bytes: Option<u64>,
    /// What the child reads from its standard input before its end; `/dev/null` when absent.
    #[serde(skip)]
    pub stdin: Option<Vec<u8>>,
}

/// The bounds of a run's stored output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputLimits {
    /// All segments together stay below this; the oldest are dropped. Less than 4 KiB is taken as 4 KiB.
    pub max_bytes: u64,
    /// The size of one segment, at most a quarter of `max_bytes`.
    pub segment_bytes: u64,
}

impl Default for OutputLimits {
    fn default() -> Self {
        Self { max_bytes: 16 << 20, segment_bytes: 1 << 20 }
    }
}

impl RunSpec {
    /// A run of this program, with an empty environment, in `/`, as the keeper's own user.
    pub fn new(run_uid: impl Into<String>, argv: Vec<String>) -> Self {
        Self {
            version: SPEC_VERSION,
            run_uid: run_uid.into(),
            argv,
            env: Vec::new(),
            working_dir: None,
            user: None,
            group: None,
            umask: None,
            output: OutputLimits::default(),
            cgroup: None,
            leash: None,
            stdin_bytes: None,
            stdin: None,
        }
    }

    /// Writes the encoding.
    pub fn write_to(&self, mut to: impl Write) -> io::Result<()> {
        let stdin_bytes = self.stdin.as_ref().map(|bytes| bytes.len() as u64);
        let mut line = serde_json::to_vec(&Self { stdin_bytes, stdin: None, ..self.clone() })?;
        line.push(b'\n');
        to.write_all(&line)?;
        to.write_all(self.stdin.as_deref().unwrap_or_default())
    }

    /// Reads the encoding back.
    pub fn read_from(mut from: impl Read) -> io::Result<Self> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let end = bytes
            .iter()
            .position(|b| *b == b'\n')
            .ok_or_else(|| invalid("the run spec has no end of line".into()))?;
        let mut spec: Self =
            serde_json::from_slice(&bytes[..end]).map_err(|error| invalid(format!("run spec: {error}")))?;
        if spec.version != SPEC_VERSION {
            return Err(invalid(format!(
                "run spec of version {}, this keeper reads {SPEC_VERSION}",
                spec.version
            )));
        }
        if let Some(length) = spec.stdin_bytes.take() {
            let stdin = bytes.split_off(end + 1);
            if stdin.len() as u64 != length {
                return Err(invalid(format!("run spec has {} of {length} bytes of input", stdin.len())));
            }
            spec.stdin = Some(stdin);
        }
        Ok(spec)
    }
}

impl std::fmt::Debug for RunSpec {
    /// Shows what runs, and of environment and input only how much there is: either may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunSpec")
            .field("run_uid", &self.run_uid)
            .field("program", &self.argv.first())
            .field("arguments", &self.argv.len().saturating_sub(1))
            .field("env", &self.env.len())
            .field("working_dir", &self.working_dir)
            .field("user", &self.user)
            .field("group", &self.group)
            .field("output", &self.output)
            .field("cgroup", &self.cgroup)
            .field("stdin_bytes", &self.stdin.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> RunSpec {
        let mut spec = RunSpec::new("u-1", vec!["sh".into(), "-c".into(), "echo\nhi".into()]);
        spec.env = vec![("TOKEN".into(), "s3cret\n".into())];
        spec.stdin = Some(b"\0\n{\xff".to_vec());
        spec
    }

    #[test]
    fn a_spec_comes_back_as_it_was_written() {
        let mut bytes = Vec::new();
        spec().write_to(&mut bytes).expect("write");
        assert_eq!(RunSpec::read_from(&bytes[..]).expect("read"), spec());
    }

    #[test]
    fn a_cut_spec_is_refused() {
        let mut bytes = Vec::new();
        spec().write_to(&mut bytes).expect("write");
        for end in 0..bytes.len() {
            assert!(RunSpec::read_from(&bytes[..end]).is_err(), "{end} bytes were taken for a whole spec");
        }
    }

    #[test]
    fn another_version_is_refused() {
        let other = RunSpec { version: SPEC_VERSION + 1, ..spec() };
        let mut bytes = Vec::new();
        other.write_to(&mut bytes).expect("write");
        let error = RunSpec::read_from(&bytes[..]).expect_err("a foreign version");
        assert!(error.to_string().contains(&format!("version {}", SPEC_VERSION + 1)), "{error}");
    }

    #[test]
    fn debug_output_shows_no_secret() {
        assert!(!format!("{:?}", spec()).contains("s3cret"));
    }
}
