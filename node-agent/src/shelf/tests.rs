//! What the desired state's file holds after changes, crashes and damage, on a real disk.

use drover_types::kinds::service::ServiceSpec;
use drover_types::kinds::timer::TimerSpec;
use drover_world::RealDisk;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn timer(uid: &str, line: &str) -> Arc<Assignment> {
    let object = json!({"apiVersion": "drover.dev/v1", "kind": "Assignment", "metadata": {"name": uid, "uid": uid},
        "spec": {"nodeName": "n", "workloadRef": {}}});
    let mut assignment: Assignment = serde_json::from_value(object).unwrap();
    assignment.spec.timer = Some(Box::new(TimerSpec { cron: Some(line.into()), ..TimerSpec::default() }));
    Arc::new(assignment)
}

fn head(revision: u64) -> Head {
    Head { node_uid: "n".into(), store_epoch: Some("e".into()), revision: Some(revision), ..Head::default() }
}

fn open(dir: &Path) -> (Shelf, Option<String>) {
    Shelf::open(Arc::new(RealDisk), dir, false)
}

fn fresh(dir: &Path) -> Shelf {
    let (shelf, lost) = Shelf::open(Arc::new(RealDisk), dir, true);
    assert_eq!(lost, None);
    shelf
}

fn update(full: bool, put: &[&Arc<Assignment>], removed: &[&str]) -> Update {
    let removed = removed.iter().map(|uid| (*uid).to_owned()).collect();
    Update { full, put: put.iter().map(|assignment| Arc::clone(assignment)).collect(), removed }
}

/// All of it, as it is read from the disk.
fn all(shelf: &Shelf) -> BTreeMap<String, Assignment> {
    let read = |uid: &Arc<str>| (uid.to_string(), (*shelf.get(uid).unwrap().unwrap()).clone());
    shelf.uids().map(read).collect()
}

fn file(shelf: &Shelf) -> PathBuf {
    shelf.log.as_ref().unwrap().path().to_owned()
}

#[test]
fn what_was_taken_over_is_there_after_a_restart_and_a_change_costs_what_it_changes() {
    let dir = tempfile::tempdir().unwrap();
    let mut shelf = fresh(dir.path());
    let many: Vec<_> = (0..1000).map(|number| timer(&format!("u{number}"), "0 0 1 1 *")).collect();
    shelf.update(head(1), update(true, &many.iter().collect::<Vec<_>>(), &[])).unwrap();
    let before = std::fs::metadata(file(&shelf)).unwrap().len();
    let changed = timer("u7", "5 5 * * *");
    shelf.update(head(2), update(false, &[&changed], &["u8", "never there"])).unwrap();
    let grown = std::fs::metadata(file(&shelf)).unwrap().len() - before;
    assert!(grown < 1000, "{grown} bytes for one");
    let mut expected = all(&shelf);
    assert_eq!((expected.len(), &expected["u7"]), (999, &*changed));
    assert!(shelf.awake.is_empty(), "what waits is in memory");
    let (mut shelf, lost) = open(dir.path());
    assert_eq!((lost, shelf.head().revision, all(&shelf)), (None, Some(2), expected.clone()));
    // And what follows goes on behind it.
    shelf.update(head(3), update(false, &[], &["u9"])).unwrap();
    expected.remove("u9");
    assert_eq!(all(&open(dir.path()).0), expected);
}

#[test]
fn of_a_change_that_was_cut_off_nothing_is_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let mut shelf = fresh(dir.path());
    let [a, b, c] = ["a", "b", "c"].map(|uid| timer(uid, "0 0 1 1 *"));
    shelf.update(head(1), update(true, &[&a, &b], &[])).unwrap();
    let path = file(&shelf);
    let kept = std::fs::read(&path).unwrap();
    let before = all(&shelf);
    // Of several sectors.
    let long = timer("a", &"1 ".repeat(900));
    shelf.update(head(2), update(false, &[&long, &c], &["b"])).unwrap();
    let whole = std::fs::read(&path).unwrap();
    drop(shelf);
    let mut damaged: Vec<Vec<u8>> = (kept.len()..whole.len()).map(|cut| whole[..cut].to_vec()).collect();
    for hole in (kept.len()..whole.len()).step_by(512) {
        let mut bytes = whole.clone();
        bytes[hole..whole.len().min(hole + 512)].fill(0);
        damaged.push(bytes);
    }
    for bytes in damaged {
        std::fs::write(&path, &bytes).unwrap();
        let (mut shelf, lost) = open(dir.path());
        assert_eq!((lost, shelf.head().revision), (None, Some(1)), "of {} bytes", bytes.len());
        assert_eq!(all(&shelf), before);
        shelf.update(head(2), update(false, &[&c], &[])).unwrap();
        assert_eq!(all(&open(dir.path()).0).len(), 3, "what follows a torn end is read");
    }
}

#[test]
fn damage_before_what_was_acknowledged_is_a_loss_and_not_an_older_state() {
    let dir = tempfile::tempdir().unwrap();
    let mut shelf = fresh(dir.path());
    for revision in 1..4 {
        let one = timer(&format!("u{revision}"), "0 0 1 1 *");
        shelf.update(head(revision), update(revision == 1, &[&one], &[])).unwrap();
    }
    let path = file(&shelf);
    let whole = std::fs::read(&path).unwrap();
    let [first, second] = [2, 4].map(|lines| {
        whole.split_inclusive(|byte| *byte == b'\n').take(lines).map(<[u8]>::len).sum::<usize>()
    });
    assert!(first < second && second < whole.len());
    for at in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let (shelf, lost) = open(dir.path());
        match lost {
            Some(_) => {
                assert!(at < second, "the last change can be cut off");
                assert!(shelf.uids().next().is_none());
                assert_eq!(std::fs::read(dir.path().join(ASIDE)).unwrap(), bytes);
            }
            // Not to be told from a change that a crash cut off.
            None => {
                assert!(at >= second, "at {at}");
                assert_eq!((shelf.head().revision, all(&shelf).len()), (Some(2), 2));
            }
        }
    }
    std::fs::write(&path, &whole[whole.len() / 2..]).unwrap();
    assert!(open(dir.path()).1.is_some(), "its beginning is gone");
}

#[test]
fn a_new_file_counts_once_it_is_whole_and_then_the_old_one_goes() {
    let dir = tempfile::tempdir().unwrap();
    let mut shelf = fresh(dir.path());
    let [a, b] = ["a", "b"].map(|uid| timer(uid, "0 0 1 1 *"));
    shelf.update(head(1), update(true, &[&a], &[])).unwrap();
    let (first, old) = (file(&shelf), std::fs::read(file(&shelf)).unwrap());
    shelf.update(head(2), update(true, &[&b], &[])).unwrap();
    let (second, new) = (file(&shelf), std::fs::read(file(&shelf)).unwrap());
    assert!(!first.exists());
    drop(shelf);
    for cut in 0..=new.len() {
        std::fs::write(&first, &old).unwrap();
        std::fs::write(&second, &new[..cut]).unwrap();
        let (mut shelf, lost) = open(dir.path());
        let uids: Vec<&str> = shelf.uids().map(|uid| &**uid).collect();
        let expected = if cut == new.len() { "b" } else { "a" };
        assert_eq!((lost, uids), (None, vec![expected]), "cut at {cut}");
        // Whatever lies about is in nobody's way.
        shelf.update(head(3), update(true, &[&a, &b], &[])).unwrap();
        assert_eq!((all(&open(dir.path()).0).len(), shelf.numbers().unwrap().len()), (2, 1));
        std::fs::remove_file(file(&shelf)).unwrap();
    }
}

#[test]
fn a_file_of_many_changes_is_written_anew_and_stays_small() {
    let dir = tempfile::tempdir().unwrap();
    let mut shelf = fresh(dir.path());
    let line = "1 ".repeat(20_000);
    let mut most = 0;
    for revision in 1..120 {
        let one = timer(&format!("u{}", revision % 3), &format!("{revision} {line}"));
        shelf.update(head(revision), update(revision == 1, &[&one], &[])).unwrap();
        most = most.max(std::fs::metadata(file(&shelf)).unwrap().len());
    }
    assert!(most < SLACK + SLACK / 2, "{most} bytes");
    assert!(shelf.number > 1, "it was never written anew");
    let (found, lost) = open(dir.path());
    assert_eq!((lost, found.head().revision, all(&found)), (None, Some(119), all(&shelf)));
    assert_eq!(shelf.numbers().unwrap(), [shelf.number]);
}

#[test]
fn a_line_that_has_changed_on_the_disk_is_an_error_and_not_an_absence() {
    let dir = tempfile::tempdir().unwrap();
    let mut shelf = fresh(dir.path());
    shelf.update(head(1), update(true, &[&timer("a", "0 0 1 1 *")], &[])).unwrap();
    let mut bytes = std::fs::read(file(&shelf)).unwrap();
    bytes[40] ^= 1;
    std::fs::write(file(&shelf), bytes).unwrap();
    assert!(shelf.get("a").is_err() && shelf.contains("a"));
    assert!(shelf.get("b").unwrap().is_none());
}

#[test]
fn the_file_of_before_is_read_once_and_a_newer_form_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (a, old) = (timer("a", "0 0 1 1 *"), dir.path().join(legacy::NAME));
    let stored =
        json!({"node_uid": "n", "store_epoch": "e", "revision": 5, "assignments": [&*a], "pool": {}});
    std::fs::write(&old, stored.to_string()).unwrap();
    for _ in 0..2 {
        let (shelf, lost) = open(dir.path());
        assert_eq!((lost, shelf.head().revision, shelf.contains("a")), (None, Some(5), true));
        assert!(!old.exists());
    }
    std::fs::write(&old, "{").unwrap();
    let (mut shelf, lost) = open(dir.path());
    assert!(lost.is_some() && !shelf.contains("a"), "an older state is in force");
    assert_eq!(std::fs::read(dir.path().join(ASIDE)).unwrap(), b"{");
    shelf.update(head(6), update(true, &[&a], &[])).unwrap();
    assert!(!old.exists() && open(dir.path()).0.contains("a"));
    let newer = Head { version: VERSION + 1, ..head(7) };
    let mut bytes = Vec::new();
    add(&Line::State(&newer), &mut bytes).unwrap();
    std::fs::write(file(&shelf), bytes).unwrap();
    assert!(open(dir.path()).1.is_some_and(|why| why.contains("newer")));
}

#[test]
fn a_service_and_what_has_a_lease_are_in_memory_from_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut shelf = fresh(dir.path());
    let with = |uid: &str, change: fn(&mut Assignment)| {
        let mut assignment = (*timer(uid, "0 0 1 1 *")).clone();
        change(&mut assignment);
        Arc::new(assignment)
    };
    let service = with("s", |assignment| {
        assignment.spec.timer = None;
        assignment.spec.service = Some(Box::new(ServiceSpec::default()));
    });
    let leased = with("l", |assignment| {
        assignment.spec.lease = Some(drover_types::Duration::from_millis(9000));
    });
    let plain = timer("p", "0 0 1 1 *");
    shelf.update(head(1), update(true, &[&service, &leased, &plain], &[])).unwrap();
    for mut shelf in [shelf, open(dir.path()).0] {
        let awake: Vec<&str> = shelf.awake.keys().map(|uid| &**uid).collect();
        assert_eq!(awake, ["l", "s"]);
        let leases: Vec<_> = shelf.leased().iter().map(|(uid, lease)| (&**uid, *lease)).collect();
        assert_eq!(leases, [("l", Duration::from_secs(9))]);
        shelf.update(head(2), update(false, &[], &["l", "s"])).unwrap();
        assert!(shelf.awake.is_empty() && shelf.leased().is_empty());
        let both = update(false, &[&service, &leased], &[]);
        shelf.update(head(3), both).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Whatever is taken over, and however often the agent starts in between.
    #[test]
    fn what_is_held_is_what_the_changes_amount_to(
        steps in proptest::collection::vec((0..12_u8, 0..6_u8, 0..9_u8), 1..40),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut shelf = fresh(dir.path());
        let mut model: BTreeMap<String, Assignment> = BTreeMap::new();
        shelf.update(head(0), Update { full: true, ..Update::default() }).unwrap();
        for (revision, (step, uid, other)) in (1..).zip(steps) {
            let (uid, other) = (format!("u{uid}"), format!("u{other}"));
            let one = timer(&uid, &format!("{revision} 0 1 1 *"));
            match step {
                0 => {
                    shelf.update(head(revision), update(true, &[&one], &[])).unwrap();
                    model = BTreeMap::from([(uid, (*one).clone())]);
                }
                1 | 2 => {
                    let (found, lost) = open(dir.path());
                    prop_assert_eq!(lost, None);
                    shelf = found;
                }
                3 => shelf.full_at = 0,
                _ => {
                    shelf.update(head(revision), update(false, &[&one], &[&other])).unwrap();
                    model.remove(&other);
                    model.insert(uid.clone(), (*one).clone());
                    if step > 8 {
                        shelf.wake(&uid).unwrap();
                    } else {
                        shelf.rest(&uid);
                    }
                }
            }
            prop_assert_eq!(&all(&shelf), &model);
            prop_assert_eq!(shelf.live, shelf.held.values().map(|held| u64::from(held.place.length)).sum::<u64>());
        }
    }
}
