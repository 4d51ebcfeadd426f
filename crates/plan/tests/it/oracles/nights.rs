//! The special nights: a written table that is the truth, and a list of what the oracles make of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use drover_plan::node::cron::CronSchedule;
use drover_types::kinds::timer::Dst;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::ask::{Clock, Oracle, Question, oracles};
use super::compare::{Differences, compare, our_answers};
use super::line::{Days, Field, Item, Line};
use super::{ZONES, at};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracles").join(name)
}

fn rows(name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(file(name)).unwrap();
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn the_special_nights_are_as_the_written_table_says() {
    let mut seen = BTreeMap::<String, usize>::new();
    for row in rows("special-nights.txt") {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [zone, policy, line, after, ticks] = cells[..] else { panic!("five cells: {row}") };
        let dst = match policy {
            "Elapsed" => Dst::Elapsed,
            "Wall" => Dst::Wall,
            other => panic!("no policy {other}"),
        };
        let schedule = CronSchedule::parse(line, Some(zone), Some(dst)).unwrap();
        let expected: Vec<Timestamp> = ticks.split_whitespace().map(at).collect();
        let found = std::iter::successors(schedule.next_after(at(after)), |tick| schedule.next_after(*tick));
        let found: Vec<Timestamp> = found.take(expected.len()).collect();
        assert_eq!(found, expected, "{row}");
        *seen.entry(format!("{zone} {policy}")).or_default() += 1;
    }
    for zone in ZONES {
        for policy in ["Elapsed", "Wall"] {
            assert!(
                seen.contains_key(&format!("{zone} {policy}")),
                "the table says nothing of {zone}, {policy}"
            );
        }
    }
}

fn fixed(minute: u8, hour: u8) -> Line {
    let one = |n| Field::List(vec![Item::One(n)]);
    Line { second: None, minute: one(minute), hour: one(hour), days: Days::Any, month: Field::Any }
}

/// Daily lines over ten years and over the windows that are named below, and intervals around every change in them.
fn questions() -> Vec<Question> {
    let spans = [
        ("2020-01-01T00:00:00Z", 3653, &ZONES[..]),
        ("2011-12-20T00:00:00Z", 30, &["Pacific/Apia"][..]),
        ("2015-01-01T00:00:00Z", 1826, &["America/Sao_Paulo"][..]),
    ];
    let every = |step| Line { minute: Field::Every(step), hour: Field::Any, ..fixed(0, 0) };
    let intervals = [every(20), Line { hour: Field::List(vec![Item::Range(0, 3)]), ..fixed(30, 0) }];
    let mut questions = Vec::new();
    for (begin, days, zones) in spans {
        let end = at(begin).checked_add(SignedDuration::from_hours(24 * days)).unwrap();
        for zone in zones.iter().copied() {
            for line in [fixed(30, 2), fixed(0, 0), fixed(45, 1), fixed(15, 23)] {
                questions.push(Question { line, zone, after: at(begin), count: days as usize });
            }
            let changes = TimeZone::get(zone).unwrap();
            for change in changes.following(at(begin)).map(|c| c.timestamp()).take_while(|c| *c < end) {
                for line in &intervals {
                    let after = change.checked_sub(SignedDuration::from_hours(30)).unwrap();
                    let count = if matches!(line.minute, Field::Every(_)) { 72 * 3 } else { 12 };
                    questions.push(Question { line: line.clone(), zone, after, count });
                }
            }
        }
    }
    questions
}

/// Counted over ten years, with the first of each kind.
#[derive(Default)]
struct Tally {
    count: usize,
    first: Option<Timestamp>,
}

fn count(all: &mut BTreeMap<String, Tally>, row: &str, found: &Differences) {
    for (whose, ticks) in [("only ours", &found.ours), ("only theirs", &found.theirs)] {
        if let Some(first) = ticks.first() {
            let tally = all.entry(format!("{row} | {whose}")).or_default();
            tally.count += ticks.len();
            tally.first = Some(tally.first.map_or(*first, |held| held.min(*first)));
        }
    }
}

#[test]
fn ten_years_are_as_the_oracles_say_but_for_what_is_listed() {
    let (questions, oracles) = (questions(), oracles());
    let ours = our_answers(&questions);
    let mut all: BTreeMap<String, Tally> = BTreeMap::new();
    for oracle in &oracles {
        for (question, found) in questions.iter().zip(compare(*oracle, Clock::Zone, &questions, &ours)) {
            let Some(found) = found else { continue };
            let row = format!("{} | {} | {}", oracle.name(), question.zone, question.line);
            // croniter carries an hour that it is off by into the days after.
            assert!(*oracle == Oracle::Croniter || found.ordinary.is_empty(), "{row}: {:?}", found.ordinary);
            count(&mut all, &format!("{row} | ordinary"), &found.ordinary);
            count(&mut all, &format!("{row} | skips"), &found.skipping);
            count(&mut all, &format!("{row} | repeats"), &found.repeating);
        }
    }
    let mut text = String::new();
    for (row, tally) in &all {
        writeln!(text, "{row} | {} | {}", tally.count, tally.first.expect("it was counted")).unwrap();
    }
    let found: Vec<String> = text.lines().map(str::to_owned).collect();
    let asked = |row: &String| oracles.iter().any(|oracle| row.starts_with(&format!("{} |", oracle.name())));
    let listed: Vec<String> = rows("disagreements.txt").into_iter().filter(asked).collect();
    let (new, gone): (Vec<&String>, Vec<&String>) = (
        found.iter().filter(|row| !listed.contains(row)).collect(),
        listed.iter().filter(|row| !found.contains(row)).collect(),
    );
    assert!(new.is_empty() && gone.is_empty(), "not listed:\n{new:#?}\nlisted, but not so:\n{gone:#?}");
}
