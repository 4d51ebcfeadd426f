//! What a run is called: the same name for the same attempt of the same thing, whoever computes it and when.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// What makes an attempt the one it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunIdentity<'a> {
    /// Uid of the Timer, Task or Service.
    pub workload_uid: &'a str,
    /// Uid of the node.
    pub node_uid: &'a str,
    /// Which replica, of a Service.
    pub replica: Option<u32>,
    /// What asked for the execution.
    pub cause: Cause<'a>,
    /// 1 for the first.
    pub attempt: u32,
}

/// What asked for an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause<'a> {
    /// A timer's tick.
    Tick(Timestamp),
    /// A request with an id of its own: a trigger, a task's assignment, a service's start.
    Request(&'a str),
}

/// `<workload, at most 40 characters>-<12 hex digits>`: a valid object name.
pub fn run_name(workload: &str, identity: &RunIdentity<'_>) -> String {
    let mut hash = Sha256::new();
    // Lengths go first, so that no two identities are the same bytes.
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(identity.workload_uid.as_bytes());
    part(identity.node_uid.as_bytes());
    part(identity.replica.map_or_else(String::new, |replica| replica.to_string()).as_bytes());
    match identity.cause {
        Cause::Tick(time) => {
            part(b"tick");
            part(&time.as_nanosecond().to_be_bytes());
        }
        Cause::Request(id) => {
            part(b"request");
            part(id.as_bytes());
        }
    }
    part(&identity.attempt.to_be_bytes());
    let digest = hash.finalize();
    let mut name: String = workload.chars().take(40).collect();
    // A cut may leave a dash or a dot at the end, which no part of a name may have.
    name.truncate(name.trim_end_matches(['-', '.']).len());
    name.push('-');
    for byte in &digest[..6] {
        name.push_str(&format!("{byte:02x}"));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn identity(attempt: u32, replica: Option<u32>) -> RunIdentity<'static> {
        RunIdentity {
            workload_uid: "w",
            node_uid: "n",
            replica,
            cause: Cause::Tick(Timestamp::UNIX_EPOCH),
            attempt,
        }
    }

    #[test]
    fn every_part_of_the_identity_changes_the_name() {
        let base = identity(1, None);
        let mut names = vec![
            run_name("t", &base),
            run_name("t", &identity(2, None)),
            run_name("t", &identity(1, Some(0))),
            run_name("t", &RunIdentity { workload_uid: "x", ..base }),
            run_name("t", &RunIdentity { node_uid: "x", ..base }),
            run_name("t", &RunIdentity { workload_uid: "wn", node_uid: "", ..base }),
            run_name("t", &RunIdentity { cause: Cause::Request("0"), ..base }),
        ];
        assert_eq!(names[0], run_name("t", &base));
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 7);
    }

    proptest! {
        #[test]
        fn a_name_is_a_valid_object_name(workload in "[a-z0-9]{1,9}([.-][a-z0-9]{1,9}){0,9}") {
            let name = run_name(&workload, &identity(1, None));
            prop_assert!(name.len() <= 53);
            prop_assert!(!name.contains(".-"));
            prop_assert!(name.starts_with(|c: char| c.is_ascii_alphanumeric()));
        }
    }
}
