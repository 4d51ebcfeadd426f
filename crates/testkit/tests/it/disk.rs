//! The simulated disk against the real one.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use drover_testkit::disk::SimDisk;
use drover_world::{Append, Disk, RealDisk};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Read { path: usize, limit: u64 },
    Write { path: usize, len: usize },
    Open { path: usize },
    Append { len: usize },
    Truncate { len: u64 },
    Sync,
    List { path: usize },
    Remove { path: usize },
    RemoveTree { path: usize },
    CreateDir { path: usize },
}

/// Few names, so that they meet as files and as directories.
const PATHS: [&str; 9] = ["a", "b", "a/a", "a/b", "b/a", "a/a/a", "c/a/b", "c", "c/a"];

fn step() -> impl Strategy<Value = Step> {
    let path = 0..PATHS.len();
    prop_oneof![
        3 => (path.clone(), 0_u64..40).prop_map(|(path, limit)| Step::Read { path, limit }),
        4 => (path.clone(), 0_usize..40).prop_map(|(path, len)| Step::Write { path, len }),
        3 => path.clone().prop_map(|path| Step::Open { path }),
        4 => (0_usize..40).prop_map(|len| Step::Append { len }),
        2 => (0_u64..60).prop_map(|len| Step::Truncate { len }),
        1 => Just(Step::Sync),
        2 => path.clone().prop_map(|path| Step::List { path }),
        2 => path.clone().prop_map(|path| Step::Remove { path }),
        1 => path.clone().prop_map(|path| Step::RemoveTree { path }),
        4 => path.prop_map(|path| Step::CreateDir { path }),
    ]
}

/// What a step answers, in words that both disks have.
fn answer(
    disk: &dyn Disk,
    root: &Path,
    log: &mut Option<Box<dyn Append>>,
    number: u8,
    step: &Step,
) -> String {
    let at = |path: &usize| -> PathBuf { root.join(PATHS[*path]) };
    let say = |done: std::io::Result<String>| match done {
        Ok(text) => text,
        Err(error) => format!("{:?} {:?}", error.kind(), error.raw_os_error()),
    };
    let bytes = |len: &usize| vec![number; *len];
    say(match step {
        Step::Read { path, limit } => disk.read(&at(path), *limit).map(|bytes| format!("{bytes:?}")),
        Step::Write { path, len } => disk.write_atomic(&at(path), &bytes(len), 0o600).map(|()| "done".into()),
        Step::Open { path } => {
            *log = None;
            disk.append(&at(path), 0o600).and_then(|opened| {
                let len = opened.len()?;
                *log = Some(opened);
                Ok(format!("open at {len}"))
            })
        }
        Step::Append { len } => match log {
            Some(log) => log.append(&bytes(len)).and_then(|()| log.len()).map(|len| len.to_string()),
            None => return "closed".into(),
        },
        Step::Truncate { len } => match log {
            Some(log) => log.truncate(*len).and_then(|()| log.len()).map(|len| len.to_string()),
            None => return "closed".into(),
        },
        Step::Sync => match log {
            Some(log) => log.sync().map(|()| "synced".into()),
            None => return "closed".into(),
        },
        Step::List { path } => disk.list(&at(path)).map(|entries| {
            let shown = entries.iter().map(|entry| (&entry.name, (!entry.is_dir).then_some(entry.len)));
            format!("{:?}", shown.collect::<Vec<_>>())
        }),
        Step::Remove { path } => disk.remove(&at(path)).map(|()| "gone".into()),
        Step::RemoveTree { path } => disk.remove_tree(&at(path)).map(|()| "gone".into()),
        Step::CreateDir { path } => disk.create_dir(&at(path), 0o700).map(|()| "there".into()),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_simulated_disk_answers_as_the_real_one_does(steps in prop::collection::vec(step(), 1..60)) {
        let directory = tempfile::tempdir().unwrap();
        let simulated = SimDisk::default();
        let root = Path::new("/host");
        simulated.create_dir(root, 0o700).unwrap();
        let (mut one, mut other) = (None, None);
        for (number, step) in steps.iter().enumerate() {
            let real = answer(&RealDisk, directory.path(), &mut one, number as u8, step);
            let sim = answer(&simulated, root, &mut other, number as u8, step);
            prop_assert_eq!(real, sim, "step {}: {:?}", number, step);
        }
    }
}

#[test]
fn a_full_disk_takes_what_fits_of_an_append_and_nothing_of_a_new_file() {
    let disk = SimDisk::default();
    let path = Path::new("/log");
    let mut log = disk.append(path, 0o600).unwrap();
    log.append(b"12345").unwrap();
    disk.set_capacity(Some(8));
    assert_eq!(log.append(b"67890").unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(disk.read(path, 64).unwrap(), b"12345678");
    assert_eq!(disk.write_atomic(Path::new("/new"), b"x", 0o600).unwrap_err().kind(), ErrorKind::StorageFull);
    assert!(disk.read(Path::new("/new"), 64).is_err());
    log.truncate(5).unwrap();
    log.append(b"6").unwrap();
    disk.set_capacity(None);
    log.append(b"7890").unwrap();
    assert_eq!(disk.read(path, 64).unwrap(), b"1234567890");
}

#[test]
fn a_frozen_disk_takes_nothing_and_what_was_open_stays_dead() {
    let disk = SimDisk::default();
    let path = Path::new("/log");
    let mut log = disk.append(path, 0o600).unwrap();
    log.append(b"one").unwrap();
    disk.freeze_after(1);
    log.append(b"two").unwrap();
    assert!(log.append(b"three").is_err());
    assert!(disk.read(path, 64).is_err() && disk.is_frozen());
    disk.thaw();
    assert!(log.append(b"four").is_err(), "it was opened in another life");
    assert_eq!(disk.read(path, 64).unwrap(), b"onetwo");
}

#[test]
fn a_step_that_is_to_fail_fails_once() {
    let disk = SimDisk::default();
    let mut log = disk.append(Path::new("/log"), 0o600).unwrap();
    disk.fail_after(1);
    log.append(b"one").unwrap();
    assert_eq!(log.append(b"two").unwrap_err().raw_os_error(), Some(5));
    log.append(b"three").unwrap();
    disk.fail_syncs(1);
    assert_eq!(log.sync().unwrap_err().raw_os_error(), Some(5));
    log.sync().unwrap();
    assert_eq!(disk.read(Path::new("/log"), 64).unwrap(), b"onethree");
}
