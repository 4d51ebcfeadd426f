//! Laws of schedules: once per tick across restarts and clock steps, and the catch-up policies.

use super::*;
use proptest::prelude::*;

fn spec(f: impl FnOnce(&mut TimerSpec)) -> TimerSpec {
    let mut spec = TimerSpec::default();
    f(&mut spec);
    spec
}

fn every(period: &str) -> Schedule {
    Schedule::of(&spec(|s| s.every = Some(period.parse().unwrap())), "w", "n").unwrap()
}

fn cron(line: &str) -> Schedule {
    Schedule::of(&spec(|s| s.cron = Some(line.into())), "w", "n").unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn rules(catch_up: CatchUp, deadline: Option<u64>) -> LateRules {
    LateRules { catch_up, starting_deadline: deadline.map(Duration::from_secs) }
}

#[test]
fn every_ticks_at_multiples_of_its_period_since_the_epoch() {
    let schedule = every("5m");
    assert_eq!(schedule.next_after(at("2026-11-23T12:03:07Z")), Some(at("2026-11-23T12:05:00Z")));
    assert_eq!(schedule.next_after(at("2026-11-23T12:05:00Z")), Some(at("2026-11-23T12:10:00Z")));
    assert_eq!(every("7d").next_after(at("1970-01-01T00:00:00Z")), Some(at("1970-01-08T00:00:00Z")));
}

#[test]
fn splay_is_stable_per_node_and_below_its_bound() {
    let spec = spec(|s| {
        s.every = Some("1m".parse().unwrap());
        s.splay = Some("20s".parse().unwrap());
    });
    let mut offsets = Vec::new();
    for node in 0..40 {
        let node = node.to_string();
        let tick = Schedule::of(&spec, "w", &node).unwrap().next_after(at("2026-11-23T12:00:30Z")).unwrap();
        assert_eq!(
            Schedule::of(&spec, "w", &node).unwrap().next_after(at("2026-11-23T12:00:30Z")),
            Some(tick)
        );
        let offset = tick.duration_since(at("2026-11-23T12:01:00Z"));
        assert!((SignedDuration::ZERO..SignedDuration::from_secs(20)).contains(&offset));
        offsets.push(offset);
    }
    offsets.sort();
    offsets.dedup();
    assert!(offsets.len() > 30, "nodes spread out");
}

#[test]
fn exactly_one_rule_is_wanted() {
    assert_eq!(Schedule::of(&TimerSpec::default(), "w", "n").unwrap_err(), ScheduleError::NotOne);
    let both = spec(|s| {
        s.every = Some("1m".parse().unwrap());
        s.on_boot = Some(true);
    });
    assert_eq!(Schedule::of(&both, "w", "n").unwrap_err(), ScheduleError::NotOne);
    let zero = spec(|s| s.every = Some(drover_types::Duration::ZERO));
    assert_eq!(Schedule::of(&zero, "w", "n").unwrap_err(), ScheduleError::NoPeriod);
}

#[test]
fn at_ticks_once() {
    let schedule = Schedule::of(&spec(|s| s.at = Some(at("2026-11-23T12:00:00Z"))), "w", "n").unwrap();
    let fired =
        due(&schedule, &rules(CatchUp::Skip, None), at("2026-11-01T00:00:00Z"), at("2026-11-23T12:00:01Z"));
    assert_eq!(fired.run, [Tick { time: at("2026-11-23T12:00:00Z"), late: false }]);
    assert_eq!(fired.next, None);
    let again = due(&schedule, &rules(CatchUp::All, None), fired.cursor.unwrap(), at("2026-11-24T12:00:00Z"));
    assert!(again.run.is_empty());
}

#[test]
fn missed_ticks_follow_the_policy() {
    let hourly = cron("0 * * * *");
    let (cursor, now) = (at("2026-11-23T06:00:00Z"), at("2026-11-23T12:30:00Z"));
    let skip = due(&hourly, &rules(CatchUp::Skip, None), cursor, now);
    assert_eq!((skip.run.len(), skip.skipped, skip.cursor), (0, 6, Some(at("2026-11-23T12:00:00Z"))));
    let once = due(&hourly, &rules(CatchUp::Once, None), cursor, now);
    assert_eq!(
        (once.run.as_slice(), once.skipped),
        (&[Tick { time: at("2026-11-23T12:00:00Z"), late: true }][..], 5)
    );
    let all = due(&hourly, &rules(CatchUp::All, None), cursor, now);
    assert_eq!((all.run.len(), all.skipped), (6, 0));
    assert_eq!(all.run[0].time, at("2026-11-23T07:00:00Z"));
    let within = due(&hourly, &rules(CatchUp::All, Some(2 * 3600 + 1800)), cursor, now);
    assert_eq!(within.run[0].time, at("2026-11-23T10:00:00Z"), "the edge itself is within");
    assert_eq!((within.run.len(), within.skipped), (3, 3));
    let too_late = due(&hourly, &rules(CatchUp::Once, Some(60)), cursor, now);
    assert_eq!((too_late.run.len(), too_late.skipped), (0, 6));
}

#[test]
fn no_more_than_a_hundred_are_caught_up_and_the_rest_is_reported() {
    let (cursor, now) = (at("2026-11-20T12:00:00Z"), at("2026-11-23T12:00:30Z"));
    for schedule in [every("1m"), cron("* * * * *")] {
        let all = due(&schedule, &rules(CatchUp::All, None), cursor, now);
        assert_eq!(all.run.len(), MAX_CAUGHT_UP);
        assert!(all.skipped >= 900);
        assert!(all.run.is_sorted_by_key(|tick| tick.time));
        assert_eq!(all.cursor, Some(at("2026-11-23T12:00:00Z")));
    }
}

#[test]
fn a_wall_clock_step_neither_repeats_nor_silences_a_period() {
    let schedule = every("1m");
    let skip = rules(CatchUp::Skip, None);
    let start = Now { wall: at("2026-11-23T12:00:30Z"), boottime: Duration::from_secs(1000) };
    for step in [-3600_i64, 3600, 365 * 86_400] {
        let mut cursor = start.wall;
        let anchor = Anchor::new(start, cursor);
        let mut fired = 0;
        for second in 0..600_u64 {
            // The wall steps half-way; boot time does not.
            let moved = if second >= 300 { step } else { 0 };
            let wall =
                start.wall.checked_add(SignedDuration::from_secs(moved + second.cast_signed())).unwrap();
            let now = Now { wall, boottime: start.boottime + Duration::from_secs(second) };
            let found = due(&schedule, &skip, cursor, anchor.time(now));
            fired += found.run.len();
            cursor = found.cursor.unwrap_or(cursor);
        }
        assert_eq!(fired, 10, "step of {step} s");
    }
}

#[test]
fn a_clock_set_back_between_two_starts_does_not_silence_a_period() {
    let cursor = at("2026-11-23T12:00:00Z");
    let now = Now { wall: at("2026-11-23T11:00:00Z"), boottime: Duration::from_secs(5) };
    let anchor = Anchor::new(now, cursor);
    let later = Now { boottime: Duration::from_secs(66), ..now };
    let found = due(&every("1m"), &rules(CatchUp::Skip, None), cursor, anchor.time(later));
    assert_eq!(found.run, [Tick { time: at("2026-11-23T12:01:00Z"), late: false }]);
    assert_eq!(anchor.boottime_of(at("2026-11-23T12:01:00Z")), Duration::from_secs(65));
}

#[test]
fn a_cursor_from_a_wrong_clock_counts_for_nothing_and_silences_nothing() {
    for schedule in [cron("* * * * *"), every("1m")] {
        let wrong = at("2027-11-23T12:00:00Z");
        let found = due(&schedule, &rules(CatchUp::All, None), wrong, at("2026-11-23T12:00:30Z"));
        assert!(found.run.is_empty());
        assert_eq!(found.next, Some(at("2026-11-23T12:01:00Z")));
        let later = at("2026-11-23T12:01:00Z");
        let found = due(&schedule, &rules(CatchUp::All, None), found.cursor.unwrap_or(wrong), later);
        assert_eq!(found.run, [Tick { time: later, late: false }]);
    }
}

#[test]
fn a_clock_that_was_far_behind_for_a_while_repeats_nothing() {
    let now = |wall: &str, boottime| Now { wall: at(wall), boottime: Duration::from_secs(boottime) };
    let dealt = Dealt { cursor: at("2026-11-23T12:00:00Z"), aside: None };
    let wrong = now("2026-11-22T08:00:00Z", 1000);
    let behind = dealt.across(Some(now("2026-11-23T12:00:30Z", 990)), wrong);
    assert_eq!(behind, Dealt { cursor: wrong.wall, aside: Some(dealt.cursor) });
    // Also where it comes back to a little before the cursor, and across a start.
    for right in [now("2026-11-23T11:59:00Z", 1060), now("2026-11-23T12:01:40Z", 1060)] {
        assert_eq!(behind.across(Some(wrong), right), dealt);
        assert_eq!(behind.across(None, right), dealt);
    }
}

#[test]
fn a_cursor_from_a_clock_far_ahead_silences_nothing_when_time_comes_to_it() {
    let now = |wall: &str, boottime| Now { wall: at(wall), boottime: Duration::from_secs(boottime) };
    let ahead = Dealt { cursor: at("2026-11-25T12:00:00Z"), aside: None };
    let right = now("2026-11-23T12:00:00Z", 0);
    let dealt = Dealt { cursor: at("2026-11-25T11:59:00Z"), ..ahead.across(None, right) };
    let (before, later) = (now("2026-11-25T11:59:30Z", 172_770), now("2026-11-25T11:59:50Z", 172_790));
    assert_eq!(dealt.across(Some(before), later), dealt);
    let past = now("2026-11-25T12:00:10Z", 172_810);
    assert_eq!(dealt.across(Some(later), past), Dealt { aside: None, ..dealt });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The agent looks at any times, and is down in between as long as it likes: no tick runs twice, order is kept,
    /// and what is run and what is skipped is all there was.
    #[test]
    fn a_tick_fires_once_across_restarts(
        looks in proptest::collection::vec(1..4000_i64, 1..30), policy in 0..3_usize, use_cron in any::<bool>(),
    ) {
        let schedule = if use_cron { cron("*/7 * * * *") } else { every("7m") };
        let rules = rules([CatchUp::Skip, CatchUp::Once, CatchUp::All][policy], None);
        let start = at("2026-03-28T20:00:00Z");
        let (mut cursor, mut now) = (start, start);
        let mut ran: Vec<Timestamp> = Vec::new();
        let mut skipped = 0;
        for wait in looks {
            now = now.checked_add(SignedDuration::from_secs(wait)).unwrap();
            let found = due(&schedule, &rules, cursor, now);
            skipped += found.skipped;
            ran.extend(found.run.iter().map(|tick| tick.time));
            // A cursor that is not moved is one that a crash before the write leaves: then nothing was started.
            cursor = found.cursor.unwrap_or(cursor);
            prop_assert!(found.next.is_some_and(|next| next > now));
        }
        prop_assert!(ran.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert_eq!(ran.len() as u64 + skipped, schedule.count_in(start, now).0);
        if policy == 2 {
            prop_assert_eq!(skipped, 0);
        }
    }
}

#[test]
fn ticks_that_a_clock_leapt_over_are_caught_up_once_and_those_of_a_downtime_all() {
    let rules = LateRules { catch_up: CatchUp::All, starting_deadline: None };
    let now = |wall: i64, boot: u64| Now {
        wall: Timestamp::from_second(wall).unwrap(),
        boottime: Duration::from_secs(boot),
    };
    let table = [
        (None, now(10_000, 0), CatchUp::All),
        (Some(now(0, 0)), now(30, 30), CatchUp::All),
        // A virtual machine that was asleep: the boot clock went on.
        (Some(now(0, 0)), now(3600, 3600), CatchUp::All),
        (Some(now(0, 0)), now(3600, 1), CatchUp::Once),
        (Some(now(3600, 0)), now(0, 1), CatchUp::All),
    ];
    for (before, now, want) in table {
        assert_eq!(rules.across(before, now).catch_up, want, "{before:?} {now:?}");
    }
    let skip = LateRules::default();
    assert_eq!(skip.across(Some(now(0, 0)), now(3600, 1)), skip);
}
