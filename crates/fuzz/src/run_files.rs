//! What keepers leave in a run's directory, as an agent finds it after a crash, or a full disk, or anything else.

use std::path::Path;

use drover_spawn::segments::{Item, MAX_PAYLOAD, Reader, Stream, Writer, first_available, tail};
use drover_spawn::{OutputLimits, RunSpec, RunState, state};

thread_local! {
    static DIR: tempfile::TempDir = tempfile::tempdir().expect("a directory");
}

/// Lines of a state file as they are, and then with a right checksum on each, so that what is behind it is reached.
pub(crate) fn state(data: &[u8]) {
    let _ = RunSpec::read_from(data);
    DIR.with(|dir| {
        let file = dir.path().join(state::STATE_FILE);
        std::fs::write(&file, data).expect("it can be written");
        let _ = state::read(dir.path());
        let mut whole = Vec::new();
        for line in data.split(|byte| *byte == b'\n') {
            whole.extend_from_slice(format!("drover-run 1 {:08x} ", crc32fast::hash(line)).as_bytes());
            whole.extend_from_slice(line);
            whole.push(b'\n');
        }
        std::fs::write(&file, &whole).expect("it can be written");
        let Ok(read) = state::read(dir.path()) else { return };
        // A line that was torn counts as not written: what came before it stands.
        whole.extend_from_slice(b"drover-run 1 0000");
        std::fs::write(&file, &whole).expect("it can be written");
        let torn = state::read(dir.path()).expect("a torn line damages nothing");
        assert_eq!(kind(&torn), kind(&read));
        let _ = read.started();
        std::fs::remove_file(&file).expect("it is there");
    });
}

fn kind(state: &RunState) -> std::mem::Discriminant<RunState> {
    std::mem::discriminant(state)
}

/// The first byte says what the rest is: a segment; or three bytes at a time, which byte of a good segment is which
/// other one; or ten bytes at a time, the sequence, stream and length of a record that is whole.
pub(crate) fn segments(data: &[u8]) {
    let Some((which, rest)) = data.split_first() else { return };
    DIR.with(|dir| {
        let dir = dir.path();
        let first = dir.join("out-00000000000000000000.seg");
        if which % 3 == 0 {
            std::fs::write(first, rest).expect("it can be written");
        } else if which % 3 == 2 {
            let records = rest.chunks_exact(10).flat_map(record);
            let bytes: Vec<u8> = b"DRVSEG\x00\x01".iter().copied().chain(records).collect();
            std::fs::write(first, bytes).expect("it can be written");
        } else {
            let mut writer = Writer::new(dir, OutputLimits { max_bytes: 4096, segment_bytes: 1024 });
            for (at, stream) in [Stream::Stdout, Stream::Stderr, Stream::Stdout].into_iter().enumerate() {
                writer.write(stream, at as i64, &[b'a' + at as u8; 400]);
            }
            for change in rest.chunks_exact(3) {
                damage(dir, change);
            }
        }
        read_all(dir);
        for entry in std::fs::read_dir(dir).expect("it is there").flatten() {
            let _ = std::fs::remove_file(entry.path());
        }
    });
}

/// A record as a keeper writes it, its checksum right.
fn record(from: &[u8]) -> Vec<u8> {
    let payload = vec![b'x'; usize::from(from[9])];
    let mut bytes = (payload.len() as u32).to_le_bytes().to_vec();
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&from[..8]);
    bytes.extend_from_slice(&[0; 8]);
    bytes.push(from[8]);
    bytes.extend_from_slice(&[from[0], 0, 0, 0, 0, 0, from[7]]);
    bytes.extend_from_slice(&payload);
    let mut sum = crc32fast::Hasher::new();
    sum.update(&bytes[..4]);
    sum.update(&bytes[8..]);
    bytes[4..8].copy_from_slice(&sum.finalize().to_le_bytes());
    bytes
}

fn damage(dir: &Path, change: &[u8]) {
    let Ok(Some(first)) = first_available(dir) else { return };
    let path = dir.join(format!("out-{first:020}.seg"));
    let mut bytes = std::fs::read(&path).expect("it is there");
    let at = usize::from(u16::from_le_bytes([change[0], change[1]]));
    match bytes.get_mut(at) {
        Some(byte) => *byte = change[2],
        None => bytes.truncate(at % (bytes.len() + 1)),
    }
    std::fs::write(&path, bytes).expect("it can be written");
}

fn read_all(dir: &Path) {
    for from in [0, 1, u64::MAX] {
        let mut reader = Reader::open(dir, from);
        let mut next = from;
        // Fewer records fit into the largest input; a reader that goes round in circles does not end.
        for _ in 0..100_000 {
            match reader.poll() {
                Ok(Some(Item::Record(record))) => {
                    assert!(record.sequence >= next, "{} after {next}", record.sequence);
                    assert!(record.payload.len() <= MAX_PAYLOAD);
                    next = record.sequence.saturating_add(1);
                }
                Ok(Some(Item::Gap { from, to, .. })) => {
                    assert!(from < to && from >= next, "a gap from {from} to {to} after {next}");
                    next = to;
                }
                Ok(None) | Err(_) => break,
            }
        }
        assert!(matches!(reader.poll(), Ok(None) | Err(_)), "it never comes to an end");
    }
    for bytes in [0, 10, 4096] {
        if let Ok(tail) = tail(dir, bytes) {
            assert!(tail.len() <= bytes);
        }
    }
}
