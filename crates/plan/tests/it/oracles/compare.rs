//! Where an oracle and we differ, and how near to a change of the clocks.

use std::collections::BTreeSet;

use drover_plan::node::cron::CronSchedule;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::ask::{Clock, Oracle, Question, ask};

/// What an hour that is special makes of the day around it.
const NEAR: SignedDuration = SignedDuration::from_hours(24);

/// Differences over one question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Differences {
    /// Ticks that only we have, and that only the oracle has.
    pub(crate) ours: Vec<Timestamp>,
    pub(crate) theirs: Vec<Timestamp>,
}

impl Differences {
    pub(crate) fn is_empty(&self) -> bool {
        self.ours.is_empty() && self.theirs.is_empty()
    }
}

/// The differences further than a day from any change of the clocks; within a day of one that skips, within a day of
/// one that repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sorted {
    pub(crate) ordinary: Differences,
    pub(crate) skipping: Differences,
    pub(crate) repeating: Differences,
}

/// Our own answers.
pub(crate) fn our_answers(questions: &[Question]) -> Vec<Vec<Timestamp>> {
    let ticks = |question: &Question| {
        let (line, zone) = (question.line.cron(), Some(question.zone));
        let schedule =
            CronSchedule::parse(&line, zone, None).unwrap_or_else(|error| panic!("{line}: {error}"));
        let first = schedule.next_after(question.after);
        std::iter::successors(first, |tick| schedule.next_after(*tick)).take(question.count).collect()
    };
    questions.iter().map(ticks).collect()
}

/// Puts all questions to an oracle and looks for them in `ours`; none where it has no words.
pub(crate) fn compare(
    oracle: Oracle,
    clock: Clock,
    questions: &[Question],
    ours: &[Vec<Timestamp>],
) -> Vec<Option<Sorted>> {
    let theirs = ask(oracle, clock, questions);
    questions
        .iter()
        .zip(ours)
        .zip(theirs)
        .map(|((question, ours), theirs)| Some(sort(question, ours, &theirs?)))
        .collect()
}

fn sort(question: &Question, ours: &[Timestamp], theirs: &[Timestamp]) -> Sorted {
    // Beyond where one of them stops counting, nothing can be said.
    let end = match (ours.last(), theirs.last()) {
        (Some(a), Some(b)) => *a.min(b),
        (None, None) => question.after,
        _ => panic!("{} in {}: one of us never ticks: {ours:?}, {theirs:?}", question.line, question.zone),
    };
    let set = |ticks: &[Timestamp]| -> BTreeSet<Timestamp> {
        ticks.iter().copied().filter(|tick| *tick <= end).collect()
    };
    let (ours, theirs) = (set(ours), set(theirs));
    let zone = TimeZone::get(question.zone).unwrap();
    let mut sorted = Sorted::default();
    for tick in ours.symmetric_difference(&theirs) {
        let side = match change_near(&zone, *tick) {
            None => &mut sorted.ordinary,
            Some(true) => &mut sorted.skipping,
            Some(false) => &mut sorted.repeating,
        };
        if ours.contains(tick) { side.ours.push(*tick) } else { side.theirs.push(*tick) }
    }
    sorted
}

/// Whether the clocks change within a day of `at`, and if so, whether they skip something.
fn change_near(zone: &TimeZone, at: Timestamp) -> Option<bool> {
    let from = at.checked_sub(NEAR).unwrap();
    let change =
        zone.following(from).next().filter(|change| change.timestamp().duration_since(at) <= NEAR)?;
    let before = zone.to_offset(change.timestamp().checked_sub(SignedDuration::from_secs(1)).unwrap());
    Some(change.offset() > before)
}
