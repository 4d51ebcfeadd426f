//! The laws of stored output, on real files.

use super::*;
use crate::spec::OutputLimits;
use std::fs;

fn writer(dir: &Path, max_bytes: u64) -> Writer {
    Writer::new(dir, OutputLimits { max_bytes, segment_bytes: max_bytes / 4 })
}

fn drain(reader: &mut Reader) -> (Vec<u8>, Vec<(u64, u64)>) {
    let (mut bytes, mut gaps) = (Vec::new(), Vec::new());
    while let Some(item) = reader.poll().expect("readable") {
        match item {
            Item::Record(record) => bytes.extend(record.payload),
            Item::Gap { from, to, .. } => gaps.push((from, to)),
        }
    }
    (bytes, gaps)
}

#[test]
fn every_byte_comes_back_in_order_with_its_stream() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut writer = writer(dir.path(), 1 << 20);
    let all: Vec<u8> = (0..=255).collect();
    writer.write(Stream::Stdout, 11, &all);
    writer.write(Stream::Stderr, 12, b"half a li");
    let mut reader = Reader::open(dir.path(), 0);
    let first = Record { sequence: 0, stream: Stream::Stdout, wall_ns: 11, offset: 0, payload: all };
    let second = Record {
        sequence: 1,
        stream: Stream::Stderr,
        wall_ns: 12,
        offset: 256,
        payload: b"half a li".to_vec(),
    };
    assert_eq!(reader.poll().expect("readable"), Some(Item::Record(first)));
    assert_eq!(reader.poll().expect("readable"), Some(Item::Record(second)));
    assert_eq!(reader.poll().expect("readable"), None);
    writer.write(Stream::Stdout, 13, b"ne\n");
    assert_eq!(drain(&mut reader), (b"ne\n".to_vec(), vec![]), "a reader at the end sees what comes later");
}

#[test]
fn output_beyond_the_limit_drops_the_oldest_and_shows_the_gap() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut writer = writer(dir.path(), 8192);
    let mut early = Reader::open(dir.path(), 0);
    writer.write(Stream::Stdout, 0, b"0\n");
    assert_eq!(drain(&mut early).0, b"0\n");
    for line in 1..=5000 {
        writer.write(Stream::Stdout, 0, format!("{line}\n").as_bytes());
    }
    let size: u64 = fs::read_dir(dir.path())
        .expect("list")
        .map(|e| e.expect("entry").metadata().expect("size").len())
        .sum();
    assert!(size <= 8192, "{size} bytes kept");
    let first = first_available(dir.path()).expect("list").expect("some");
    let (bytes, gaps) = drain(&mut Reader::open(dir.path(), 0));
    assert_eq!(gaps, [(0, first)]);
    let lost: usize = (0..first).map(|line| format!("{line}\n").len()).sum();
    let gap = Reader::open(dir.path(), 0).poll().expect("readable");
    assert_eq!(gap, Some(Item::Gap { from: 0, to: first, bytes: Some(lost as u64) }));
    let want: String = (first..=5000).map(|line| format!("{line}\n")).collect();
    assert_eq!(String::from_utf8(bytes).expect("text"), want);
    let (bytes, gaps) = drain(&mut early);
    assert!(bytes.ends_with(b"4999\n5000\n"));
    assert_eq!(gaps.len(), 1, "a reader that was overtaken sees one gap: {gaps:?}");
    assert_eq!(tail(dir.path(), 10).expect("tail"), b"4999\n5000\n");
}

#[test]
fn a_reader_starts_at_any_sequence() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut writer = writer(dir.path(), 1 << 16);
    for line in 0..600 {
        writer.write(Stream::Stdout, 0, format!("{line:04}").as_bytes());
    }
    for from in [0, 1, 299, 455, 599] {
        let (bytes, gaps) = drain(&mut Reader::open(dir.path(), from));
        assert!(gaps.is_empty());
        assert_eq!(bytes.len() as u64, (600 - from) * 4);
        assert!(bytes.starts_with(format!("{from:04}").as_bytes()));
    }
    assert_eq!(Reader::open(dir.path(), 600).poll().expect("readable"), None);
}

#[test]
fn a_torn_tail_hides_nothing_before_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut writer = writer(dir.path(), 1 << 16);
    writer.write(Stream::Stdout, 0, b"whole");
    writer.write(Stream::Stdout, 0, b"torn away");
    let path = segment_path(dir.path(), 0);
    let bytes = fs::read(&path).expect("read");
    let whole = MAGIC.len() + HEADER + 5;
    for end in whole..bytes.len() {
        fs::write(&path, &bytes[..end]).expect("write");
        assert_eq!(drain(&mut Reader::open(dir.path(), 0)), (b"whole".to_vec(), vec![]), "cut at {end}");
    }
}

#[test]
fn a_record_half_written_is_read_once_it_is_whole() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut writer = writer(dir.path(), 1 << 16);
    writer.write(Stream::Stdout, 0, b"abcdefgh");
    let path = segment_path(dir.path(), 0);
    let bytes = fs::read(&path).expect("read");
    let mut zeroed = bytes.clone();
    let end = zeroed.len();
    zeroed[end - 4..].fill(0);
    for broken in [&bytes[..end - 3], &zeroed[..]] {
        fs::write(&path, broken).expect("write");
        let mut reader = Reader::open(dir.path(), 0);
        assert_eq!(reader.poll().expect("readable"), None);
        fs::write(&path, &bytes).expect("write");
        assert_eq!(drain(&mut reader).0, b"abcdefgh");
    }
}

#[test]
fn damage_in_an_old_segment_is_a_gap_and_not_the_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut writer = writer(dir.path(), 1 << 16);
    for _ in 0..40 {
        writer.write(Stream::Stdout, 0, &[b'x'; 1000]);
    }
    let firsts = list(dir.path()).expect("list");
    assert!(firsts.len() >= 3);
    let path = segment_path(dir.path(), firsts[0]);
    let mut bytes = fs::read(&path).expect("read");
    bytes[MAGIC.len() + HEADER + 1000 + HEADER + 10] ^= 0xff;
    fs::write(&path, bytes).expect("write");
    let (bytes, gaps) = drain(&mut Reader::open(dir.path(), 0));
    assert_eq!(gaps, [(1, firsts[1])]);
    assert_eq!(bytes.len() as u64, (40 - firsts[1] + 1) * 1000);
}

#[test]
fn a_huge_write_is_cut_into_records_and_comes_back_whole() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut writer = writer(dir.path(), 8 << 20);
    let line: Vec<u8> = (0..1_000_003u32).map(|n| (n % 251) as u8).collect();
    writer.write(Stream::Stdout, 0, &line);
    writer.sync().expect("sync");
    assert_eq!(drain(&mut Reader::open(dir.path(), 0)), (line, vec![]));
}

#[test]
fn a_directory_that_takes_no_output_loses_it_aloud() {
    let dir = tempfile::tempdir().expect("a directory");
    let gone = dir.path().join("gone");
    let mut writer = writer(&gone, 8192);
    writer.write(Stream::Stdout, 0, b"12345");
    assert_eq!(writer.lost_bytes(), 5);
    fs::create_dir(&gone).expect("make");
    writer.write(Stream::Stdout, 0, b"678");
    assert_eq!(drain(&mut Reader::open(&gone, 0)), (b"678".to_vec(), vec![(0, 1)]));
}
