//! Cron lines in a time zone, on ordinary days and on the two special nights.
//!
//! The line is matched against the civil clock alone; which instants that clock's readings stand for is decided here,
//! one stretch of constant UTC offset after the other. `Elapsed`: every reading of a stretch counts, so a repeated
//! hour fires twice and a skipped one not at all. `Wall`: what the jump skipped fires at the jump, once; what is
//! repeated fires the first time only.

use croner::Cron;
use drover_types::kinds::timer::Dst;
use drover_types::validate::cron::read;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::schedule::ScheduleError;

/// Offsets change a few times a year; a line that matches nothing in so many stretches matches never.
const MAX_STRETCHES: usize = 400;

/// A cron line that can be read, in its zone.
#[derive(Clone, Debug)]
pub struct CronSchedule {
    /// As text: read, it is a hundred times larger, and a tick is rare beside the timers that wait for theirs.
    line: Box<str>,
    zone: TimeZone,
    dst: Dst,
}

impl CronSchedule {
    /// Parses a line of 5 or 6 fields, or a nickname. `zone` is an IANA name, UTC when absent; `dst` overrides what
    /// the shape of the hour field says.
    pub fn parse(line: &str, zone: Option<&str>, dst: Option<Dst>) -> Result<Self, ScheduleError> {
        read(line).map_err(|error| ScheduleError::Cron(error.to_string()))?;
        let zone = match zone {
            None => TimeZone::UTC,
            Some(name) => TimeZone::get(name).map_err(|_| ScheduleError::Zone(name.to_owned()))?,
        };
        Ok(Self { line: line.into(), zone, dst: dst.unwrap_or_else(|| default_dst(line)) })
    }

    /// How it treats the two special nights.
    pub fn dst(&self) -> Dst {
        self.dst
    }

    /// The first tick later than `after`.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let mut search = Search { cron: read(&self.line).ok()?, known: None };
        // Where in the current stretch to look from, and whether that reading itself counts.
        let mut at = after;
        let mut inclusive = false;
        for _ in 0..MAX_STRETCHES {
            let offset = self.zone.to_offset(at);
            let mut from = offset.to_datetime(at);
            let end = self.zone.following(at).next().map(|transition| transition.timestamp());
            if self.dst == Dst::Wall {
                if inclusive {
                    // At the beginning of a stretch: `skipped_to` is what the old offset would have read.
                    let old = self.offset_before(at);
                    let skipped_to = old.to_datetime(at);
                    if skipped_to < from && search.next(skipped_to, true)? <= from {
                        return Some(at);
                    }
                }
                if let Some(fresh) = self.first_fresh_reading(at)
                    && from < fresh
                {
                    from = fresh;
                    inclusive = true;
                }
            }
            let reading = search.next(from, inclusive)?;
            let tick = offset.to_timestamp(reading).ok()?;
            match end {
                Some(end) if tick >= end => {
                    at = end;
                    inclusive = true;
                }
                _ => return Some(tick),
            }
        }
        None
    }

    fn offset_before(&self, at: Timestamp) -> jiff::tz::Offset {
        let just_before = at.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(at);
        self.zone.to_offset(just_before)
    }

    /// The first civil reading of the stretch around `at` that no earlier stretch has had.
    fn first_fresh_reading(&self, at: Timestamp) -> Option<DateTime> {
        // `preceding` is exclusive and the stretch may begin at `at` itself.
        let just_after = at.checked_add(SignedDuration::from_nanos(1)).ok()?;
        let began = self.zone.preceding(just_after).next()?.timestamp();
        Some(self.offset_before(began).to_datetime(began))
    }
}

/// An hour field that is `*`, a step or a range makes an interval, which follows elapsed time.
fn default_dst(line: &str) -> Dst {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let hour = match fields.as_slice() {
        [nickname] if nickname.eq_ignore_ascii_case("@hourly") => "*",
        [_, hour, _, _, _] | [_, _, hour, _, _, _] => hour,
        _ => "0",
    };
    if hour.contains(['*', '/', '-', '?']) { Dst::Elapsed } else { Dst::Wall }
}

/// Matches readings of the civil clock. What was found once is not searched for again from a later place before it.
struct Search {
    cron: Cron,
    known: Option<(DateTime, DateTime)>,
}

impl Search {
    fn next(&mut self, from: DateTime, inclusive: bool) -> Option<DateTime> {
        if let Some((searched, found)) = self.known
            && searched < from
            && (from < found || (inclusive && from == found))
        {
            return Some(found);
        }
        let found = self.cron.find_next_occurrence(&from, inclusive).ok()?;
        self.known = Some((from, found));
        Some(found)
    }
}

#[cfg(test)]
#[path = "cron_oracle_tests.rs"]
mod oracle_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ticks(line: &str, zone: &str, dst: Option<Dst>, after: &str, count: usize) -> Vec<String> {
        let schedule = CronSchedule::parse(line, Some(zone), dst).unwrap();
        let mut at: Timestamp = after.parse().unwrap();
        let zone = TimeZone::get(zone).unwrap();
        (0..count)
            .map(|_| {
                at = schedule.next_after(at).unwrap();
                at.to_zoned(zone.clone()).strftime("%m-%d %H:%M%z").to_string()
            })
            .collect()
    }

    #[test]
    fn a_fixed_hour_fires_at_the_jump_and_once() {
        let table: &[(&str, &str, &str, &[&str])] = &[
            (
                "30 2 * * *",
                "Europe/Berlin",
                "2026-03-28T12:00:00Z",
                &["03-29 03:00+0200", "03-30 02:30+0200"],
            ),
            (
                "30 2 * * *",
                "Europe/Berlin",
                "2026-10-24T12:00:00Z",
                &["10-25 02:30+0200", "10-26 02:30+0100"],
            ),
            (
                "30 2 * * *",
                "America/New_York",
                "2026-03-07T12:00:00Z",
                &["03-08 03:00-0400", "03-09 02:30-0400"],
            ),
            (
                "30 1 * * *",
                "America/New_York",
                "2026-10-31T12:00:00Z",
                &["11-01 01:30-0400", "11-02 01:30-0500"],
            ),
            (
                "15 2 * * *",
                "Australia/Lord_Howe",
                "2026-10-03T12:00:00Z",
                &["10-04 02:30+1100", "10-05 02:15+1100"],
            ),
            (
                "45 1 * * *",
                "Australia/Lord_Howe",
                "2026-04-04T12:00:00Z",
                &["04-05 01:45+1100", "04-06 01:45+1030"],
            ),
            ("0 0 * * *", "Africa/Cairo", "2026-04-23T12:00:00Z", &["04-24 01:00+0300", "04-25 00:00+0300"]),
            (
                "30 23 * * *",
                "Africa/Cairo",
                "2026-10-29T12:00:00Z",
                &["10-29 23:30+0300", "10-30 23:30+0200"],
            ),
            // Several readings inside the gap are one tick.
            (
                "*/15 2 * * *",
                "Europe/Berlin",
                "2026-03-28T12:00:00Z",
                &["03-29 03:00+0200", "03-30 02:00+0200"],
            ),
        ];
        for (line, zone, after, expected) in table {
            assert_eq!(ticks(line, zone, None, after, expected.len()), *expected, "{line} in {zone}");
        }
    }

    #[test]
    fn an_interval_follows_elapsed_time_through_both_nights() {
        let table: &[(&str, &str, &str, &[&str])] = &[
            (
                "30 * * * *",
                "Europe/Berlin",
                "2026-03-29T00:00:00Z",
                &["03-29 01:30+0100", "03-29 03:30+0200", "03-29 04:30+0200"],
            ),
            (
                "30 1-3 * * *",
                "Europe/Berlin",
                "2026-10-24T23:00:00Z",
                &["10-25 01:30+0200", "10-25 02:30+0200", "10-25 02:30+0100", "10-25 03:30+0100"],
            ),
            (
                "0 */1 * * *",
                "America/New_York",
                "2026-11-01T04:30:00Z",
                &["11-01 01:00-0400", "11-01 01:00-0500", "11-01 02:00-0500"],
            ),
            (
                "*/30 * * * *",
                "Australia/Lord_Howe",
                "2026-04-04T14:00:00Z",
                &["04-05 01:30+1100", "04-05 01:30+1030", "04-05 02:00+1030"],
            ),
            (
                "30 * * * *",
                "Africa/Cairo",
                "2026-10-29T19:45:00Z",
                &["10-29 23:30+0300", "10-29 23:30+0200", "10-30 00:30+0200"],
            ),
        ];
        for (line, zone, after, expected) in table {
            assert_eq!(ticks(line, zone, None, after, expected.len()), *expected, "{line} in {zone}");
        }
    }

    #[test]
    fn white_space_that_the_check_lets_pass_is_white_space_here() {
        for line in ["@daily\u{b} ", "\t0\u{b}0\u{c}*\n*  *"] {
            drover_types::validate::cron::check(line).unwrap();
            assert_eq!(ticks(line, "UTC", None, "2026-03-28T12:00:00Z", 1), ["03-29 00:00+0000"], "{line:?}");
        }
    }

    #[test]
    fn every_nickname_that_the_check_lets_pass_is_read() {
        for (line, tick) in [
            ("@yearly", "01-01 00:00+0000"),
            ("@annually", "01-01 00:00+0000"),
            ("@monthly", "04-01 00:00+0000"),
            ("@weekly", "03-29 00:00+0000"),
            ("@daily", "03-29 00:00+0000"),
            ("@Midnight", "03-29 00:00+0000"),
            ("@hourly", "03-28 13:00+0000"),
        ] {
            drover_types::validate::cron::check(line).unwrap();
            assert_eq!(ticks(line, "UTC", None, "2026-03-28T12:00:00Z", 1), [tick], "{line}");
        }
    }

    #[test]
    fn dst_overrides_the_shape_of_the_hour_field() {
        let skipped = ticks("30 2 * * *", "Europe/Berlin", Some(Dst::Elapsed), "2026-03-28T12:00:00Z", 1);
        assert_eq!(skipped, ["03-30 02:30+0200"]);
        let twice = ticks("30 2 * * *", "Europe/Berlin", Some(Dst::Elapsed), "2026-10-24T12:00:00Z", 2);
        assert_eq!(twice, ["10-25 02:30+0200", "10-25 02:30+0100"]);
        let once = ticks("30 * * * *", "Europe/Berlin", Some(Dst::Wall), "2026-10-25T00:00:00Z", 2);
        assert_eq!(once, ["10-25 02:30+0200", "10-25 03:30+0100"]);
        assert_eq!(CronSchedule::parse("@hourly", None, None).unwrap().dst(), Dst::Elapsed);
        assert_eq!(CronSchedule::parse("@daily", None, None).unwrap().dst(), Dst::Wall);
        assert_eq!(CronSchedule::parse("0 8,20 * * *", None, None).unwrap().dst(), Dst::Wall);
        assert_eq!(CronSchedule::parse("0 0 8-9 * * *", None, None).unwrap().dst(), Dst::Elapsed);
    }

    #[test]
    fn the_calendar_is_known() {
        assert_eq!(ticks("0 0 L * *", "UTC", None, "2028-02-10T00:00:00Z", 1), ["02-29 00:00+0000"]);
        assert_eq!(ticks("0 0 29 2 *", "UTC", None, "2026-01-01T00:00:00Z", 1), ["02-29 00:00+0000"]);
        assert_eq!(ticks("0 0 * * MON#2", "UTC", None, "2026-11-01T00:00:00Z", 1), ["11-09 00:00+0000"]);
        assert_eq!(ticks("0 0 15W * *", "UTC", None, "2026-08-01T00:00:00Z", 1), ["08-14 00:00+0000"]);
        assert_eq!(
            ticks("30 0 31 12 *", "Europe/Berlin", None, "2037-12-31T23:00:00Z", 1),
            ["12-31 00:30+0100"]
        );
        assert!(CronSchedule::parse("61 * * * *", None, None).is_err());
        assert!(CronSchedule::parse("0 0 * * *", Some("Mars/Olympus"), None).is_err());
    }

    const ZONES: [&str; 5] =
        ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "America/Santiago"];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// On every zone and day: time goes forwards, and where one looks from does not change what comes next.
        #[test]
        fn ticks_rise_and_do_not_depend_on_where_one_looks_from(
            zone in 0..ZONES.len(), wall in any::<bool>(), minute in 0..60_u32, hour in 0..24_u32,
            start in 1_700_000_000_i64..1_900_000_000,
        ) {
            let dst = if wall { Dst::Wall } else { Dst::Elapsed };
            let line = format!("{minute} {hour} * * *");
            let schedule = CronSchedule::parse(&line, Some(ZONES[zone]), Some(dst)).unwrap();
            let start = Timestamp::from_second(start).unwrap();
            let first = schedule.next_after(start).unwrap();
            prop_assert!(first > start);
            let middle = start.checked_add(first.duration_since(start) / 2).unwrap();
            prop_assert_eq!(schedule.next_after(middle).unwrap(), first);
            let second = schedule.next_after(first).unwrap();
            prop_assert!(second > first);
            if wall {
                // One tick per civil day: never closer than 22 h, nor further than 26 h.
                let gap = second.duration_since(first).as_hours();
                prop_assert!((22..=26).contains(&gap), "{first} then {second}");
            }
        }
    }
}
