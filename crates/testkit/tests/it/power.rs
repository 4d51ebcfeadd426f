//! What a power cut leaves.

use std::collections::BTreeSet;
use std::path::Path;

use drover_testkit::disk::SimDisk;
use drover_world::Disk;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

fn cut(disk: &SimDisk, seed: u64) {
    disk.restart(Some(&mut ChaCha8Rng::seed_from_u64(seed)));
}

/// What `/host/file` may hold after a cut at any step of `act`, over many seeds; `None` if it is missing.
fn outcomes(prepare: impl Fn(&SimDisk), act: impl Fn(&SimDisk) -> bool) -> (BTreeSet<Option<Vec<u8>>>, bool) {
    let mut seen = BTreeSet::new();
    let mut finished = false;
    for step in 0.. {
        for seed in 0..50 {
            let disk = SimDisk::default();
            prepare(&disk);
            disk.freeze_after(step);
            finished = act(&disk);
            disk.freeze();
            cut(&disk, seed);
            let found = disk.read(Path::new("/host/file"), 1 << 20).ok();
            if finished {
                // Then it is as it was acknowledged.
                return (seen, outcome_of(&prepare, &act) == found);
            }
            seen.insert(found);
        }
    }
    (seen, finished)
}

fn outcome_of(prepare: &impl Fn(&SimDisk), act: &impl Fn(&SimDisk) -> bool) -> Option<Vec<u8>> {
    let disk = SimDisk::default();
    prepare(&disk);
    assert!(act(&disk));
    disk.read(Path::new("/host/file"), 1 << 20).ok()
}

#[test]
fn a_file_that_is_replaced_is_the_old_one_or_the_new_one_at_any_power_cut() {
    let path = Path::new("/host/file");
    let (seen, kept) = outcomes(
        |disk| {
            disk.create_dir(Path::new("/host"), 0o700).unwrap();
            disk.write_atomic(path, &[b'o'; 1500], 0o600).unwrap();
        },
        |disk| disk.write_atomic(path, &[b'n'; 2500], 0o600).is_ok(),
    );
    assert!(kept);
    assert_eq!(seen, BTreeSet::from([Some(vec![b'o'; 1500]), Some(vec![b'n'; 2500])]));
}

#[test]
fn a_file_in_a_new_directory_is_there_when_it_was_acknowledged_even_if_a_crash_came_between() {
    // A process that crashes at any step of making the directories, then another one that finishes, then the power.
    for step in 0..12 {
        for seed in 0..50 {
            let disk = SimDisk::default();
            let (directory, path) = (Path::new("/var/lib/drover"), Path::new("/var/lib/drover/journal"));
            let start = || -> std::io::Result<()> {
                disk.create_dir(directory, 0o700)?;
                let mut log = disk.append(path, 0o600)?;
                log.append(b"acknowledged")?;
                log.sync()
            };
            disk.freeze_after(step);
            let _ = start();
            disk.freeze();
            disk.restart::<ChaCha8Rng>(None);
            start().unwrap();
            cut(&disk, seed);
            let found = disk.read(path, 64).unwrap_or_default();
            assert!(found.ends_with(b"acknowledged"), "crash at step {step}, seed {seed}: {found:?}");
        }
    }
}

#[test]
fn what_was_not_synced_is_kept_lost_or_torn_at_a_sector() {
    let (mut kept, mut lost, mut torn) = (0, 0, 0);
    for seed in 0..200 {
        let disk = SimDisk::default();
        let path = Path::new("/log");
        let mut log = disk.append(path, 0o600).unwrap();
        log.append(&[b's'; 700]).unwrap();
        log.sync().unwrap();
        log.append(&[b'u'; 2000]).unwrap();
        cut(&disk, seed);
        let found = disk.read(path, 1 << 20).unwrap();
        assert!(found[..700] == [b's'; 700], "seed {seed}: what was synced is damaged");
        match found.len() {
            700 => lost += 1,
            2700 if found[700..].iter().all(|byte| *byte == b'u') => kept += 1,
            len => {
                assert!(len == 2700 || len.is_multiple_of(512), "seed {seed}: torn at {len}");
                torn += 1;
            }
        }
    }
    assert!(kept > 20 && lost > 20 && torn > 20, "{kept} kept, {lost} lost, {torn} torn");
}

#[test]
fn unsynced_writes_survive_out_of_order() {
    let found = |seed| {
        let disk = SimDisk::default();
        let path = Path::new("/log");
        let mut log = disk.append(path, 0o600).unwrap();
        for byte in b"abc" {
            log.append(&[*byte; 512]).unwrap();
        }
        cut(&disk, seed);
        disk.read(path, 1 << 20).unwrap()
    };
    let all: BTreeSet<Vec<u8>> = (0..100).map(found).collect();
    let holes = |bytes: &&Vec<u8>| bytes.len() == 1536 && bytes[512..1024] == [0; 512];
    assert!(all.iter().any(|bytes| holes(&bytes)), "the second is lost and the third is not, at some seed");
    assert!(all.contains(&Vec::new()) && all.len() == 8, "{} outcomes", all.len());
}

#[test]
fn a_failed_sync_leaves_its_writes_in_doubt_whatever_a_later_one_says() {
    let mut lost = 0;
    for seed in 0..60 {
        let disk = SimDisk::default();
        let path = Path::new("/log");
        let mut log = disk.append(path, 0o600).unwrap();
        log.append(&[b'a'; 512]).unwrap();
        disk.fail_syncs(1);
        log.sync().unwrap_err();
        log.append(&[b'b'; 512]).unwrap();
        log.sync().unwrap();
        cut(&disk, seed);
        let found = disk.read(path, 1 << 20).unwrap();
        assert_eq!(found[512..], [b'b'; 512], "what was synced after it is there");
        lost += usize::from(found[..512] == [0; 512]);
    }
    assert!(lost > 10, "lost {lost} times");
}

#[test]
fn the_same_seed_leaves_the_same_bytes() {
    let told = |seed| {
        let disk = SimDisk::default();
        disk.create_dir(Path::new("/a/b"), 0o700).unwrap();
        for number in 0..20_u8 {
            let mut log = disk.append(&Path::new("/a/b").join(format!("{}", number % 4)), 0o600).unwrap();
            log.append(&vec![number; 900]).unwrap();
            disk.write_atomic(&Path::new("/a").join(format!("f{}", number % 3)), &[number; 10], 0o600)
                .unwrap();
        }
        cut(&disk, seed);
        let mut bytes = Vec::new();
        disk.tell(&mut |piece| bytes.extend_from_slice(piece));
        bytes
    };
    assert_eq!(told(7), told(7));
    assert_ne!(told(7), told(8));
}
