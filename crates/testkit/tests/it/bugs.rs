//! Every bug that is put into the product is found.

use drover_testkit::bugs::hunts;

#[test]
fn every_seeded_bug_is_caught() {
    let found =
        hunts().into_iter().map(|hunt| hunt.catch().map_err(|why| format!("{:?}: {why}", hunt.mutant)));
    let missed: Vec<String> = found.filter_map(Result::err).collect();
    assert!(missed.is_empty(), "{missed:#?}");
}
