//! A node's journal, as an agent finds it after a crash, or a broken disk, or anything else.

use std::collections::BTreeSet;
use std::path::Path;

use drover_testkit::disk::SimDisk;
use drover_world::Disk as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::session::{AgentSite, DATA_DIR};
use crate::virtual_time::in_virtual_time;

/// The most that is read back of it.
const MAX_BYTES: u64 = 64 << 20;

/// The first byte is 255 for a file as it is. Otherwise each line gets a right checksum, but for the line of this number,
/// so that what is behind the checksum is reached, and the end of what counts.
///
/// An agent refuses the file or starts from it, and speaks of no run that its good beginning does not name; of what was
/// good, what it has written stands.
pub(crate) fn journal(data: &[u8]) {
    let Some((which, rest)) = data.split_first() else { return };
    let bytes = if *which == 255 { rest.to_vec() } else { summed(rest, usize::from(*which)) };
    in_virtual_time(async {
        let disk = SimDisk::default();
        let path = Path::new(DATA_DIR).join("journal");
        disk.create_dir(Path::new(DATA_DIR), 0o700).expect("an empty disk takes a directory");
        disk.write_atomic(&path, &bytes, 0o600).expect("an empty disk takes a file");
        let mut agent = AgentSite::start(disk.clone(), "uid-of-n");
        let Some((_peer, hello)) = agent.session().await else { return };
        let mut named = BTreeSet::new();
        for line in good(&bytes) {
            strings(&serde_json::from_slice(&line[17..]).unwrap_or_default(), &mut named);
        }
        for run in hello.open_runs.iter().flatten() {
            assert!(named.contains(run), "{run:?} is nowhere in what is good");
        }
        // Whole lines of what there was, and then its own.
        let now = disk.read(&path, MAX_BYTES).expect("the journal is there");
        let kept = now.iter().zip(&bytes).take_while(|(new, old)| new == old).count();
        let kept = now[..kept].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let own: Vec<&[u8]> = good(&now[kept..]).collect();
        assert_eq!(
            own.iter().map(|line| line.len() + 1).sum::<usize>(),
            now.len() - kept,
            "it wrote what is not good"
        );
        assert!(!own.is_empty(), "its start is not written down");
    });
}

/// The lines before the first whose checksum is wrong.
fn good(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = bytes.split_inclusive(|byte| *byte == b'\n').map_while(|line| line.strip_suffix(b"\n"));
    whole.take_while(|line| {
        line.split_at_checked(17).is_some_and(|(sum, json)| sum == format!("{} ", checksum(json)).as_bytes())
    })
}

fn summed(lines: &[u8], broken: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, line) in lines.split(|byte| *byte == b'\n').enumerate() {
        let sum = if number == broken { "0123456789abcdef".to_owned() } else { checksum(line) };
        bytes.extend_from_slice(format!("{sum} ").as_bytes());
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
    }
    bytes
}

fn checksum(json: &[u8]) -> String {
    Sha256::digest(json).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Every text in it.
fn strings(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => drop(into.insert(text.clone())),
        Value::Array(items) => items.iter().for_each(|item| strings(item, into)),
        Value::Object(fields) => {
            for (name, field) in fields {
                into.insert(name.clone());
                strings(field, into);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
