//! The cron machine against one that knows no shortcut: it walks every minute of a stretch and asks whether it ticks.

use std::collections::BTreeSet;

use drover_types::kinds::timer::Dst;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::CronSchedule;

/// The values of one field: all of them, or these.
struct Field(Option<BTreeSet<i8>>);

impl Field {
    fn read(text: &str, first: i8, last: i8) -> Self {
        if text == "*" {
            return Self(None);
        }
        let mut values = BTreeSet::new();
        for item in text.split(',') {
            let (base, step) = item.split_once('/').map_or((item, 1), |(b, s)| (b, s.parse().unwrap()));
            let (from, to) = match base.split_once('-') {
                _ if base == "*" => (first, last),
                Some((from, to)) => (from.parse().unwrap(), to.parse().unwrap()),
                None => (base.parse().unwrap(), base.parse().unwrap()),
            };
            values.extend((from..=to).step_by(step));
        }
        Self(Some(values))
    }

    fn has(&self, value: i8) -> bool {
        self.0.as_ref().is_none_or(|values| values.contains(&value))
    }
}

struct Line {
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    weekday: Field,
}

impl Line {
    fn read(text: &str) -> Self {
        let words: Vec<&str> = text.split(' ').collect();
        Self {
            minute: Field::read(words[0], 0, 59),
            hour: Field::read(words[1], 0, 23),
            day: Field::read(words[2], 1, 31),
            month: Field::read(words[3], 1, 12),
            weekday: Field::read(words[4], 0, 7),
        }
    }

    fn matches(&self, at: DateTime) -> bool {
        let sunday = at.weekday().to_sunday_zero_offset();
        let weekday = self.weekday.has(sunday) || (sunday == 0 && self.weekday.has(7));
        let day = match (&self.day.0, &self.weekday.0) {
            // Where both are given, either will do.
            (Some(_), Some(_)) => self.day.has(at.day()) || weekday,
            _ => self.day.has(at.day()) && weekday,
        };
        self.minute.has(at.minute()) && self.hour.has(at.hour()) && self.month.has(at.month()) && day
    }
}

/// The ticks in `(after, until]`, minute by minute. `Elapsed` asks each reading of the wall. `Wall` asks each reading
/// once: one that comes again is passed over, and those that were jumped over are asked all together at the jump.
fn walked(line: &Line, zone: &TimeZone, dst: Dst, after: Timestamp, until: Timestamp) -> Vec<Timestamp> {
    let minute = SignedDuration::from_mins(1);
    // Half a day ahead, so that a repetition that began before `after` is known as one.
    let mut at = after.checked_sub(SignedDuration::from_hours(12)).unwrap();
    let mut fresh = zone.to_datetime(at);
    let mut ticks = Vec::new();
    while at <= until {
        let reading = zone.to_datetime(at);
        let ticks_now = match dst {
            Dst::Elapsed => line.matches(reading),
            Dst::Wall => {
                let mut any = false;
                while fresh <= reading {
                    any |= line.matches(fresh);
                    fresh = fresh.checked_add(minute).unwrap();
                }
                any
            }
        };
        if ticks_now && at > after {
            ticks.push(at);
        }
        at = at.checked_add(minute).unwrap();
    }
    ticks
}

/// Three days around every change of the clocks from 2010 to 2026, in zones that change by an hour, by half an hour,
/// at midnight, backwards in summer, and by a whole day.
#[test]
fn every_special_night_is_as_a_walk_through_its_minutes_says() {
    const ZONES: [&str; 9] = [
        "Europe/Berlin",
        "Europe/Dublin",
        "America/New_York",
        "America/Sao_Paulo",
        "Australia/Lord_Howe",
        "Africa/Cairo",
        "Pacific/Apia",
        "Asia/Tehran",
        "America/St_Johns",
    ];
    const LINES: [&str; 10] = [
        "30 2 * * *",
        "0 0 * * *",
        "15 1,2,3 * * *",
        "*/20 * * * *",
        "45 0-3 * * *",
        "59 23 * * *",
        "10 */2 * * *",
        "0 12 30 * *",
        "5 2 13 * 0",
        "7,37 0,1 * 3,4,10-12 5-7",
    ];
    let (begin, end): (Timestamp, Timestamp) =
        ("2010-01-01T00:00:00Z".parse().unwrap(), "2026-12-31T00:00:00Z".parse().unwrap());
    let mut nights = 0;
    for name in ZONES {
        let zone = TimeZone::get(name).unwrap();
        // Every third change, so that all kinds of them are met and the walk stays short.
        let changes = zone.following(begin).map(|t| t.timestamp()).take_while(|at| *at < end);
        for change in changes.step_by(3).collect::<Vec<_>>() {
            nights += 1;
            let after = change.checked_sub(SignedDuration::from_hours(30)).unwrap();
            let until = change.checked_add(SignedDuration::from_hours(42)).unwrap();
            for text in LINES {
                for dst in [Dst::Elapsed, Dst::Wall] {
                    let schedule = CronSchedule::parse(text, Some(name), Some(dst)).unwrap();
                    let mut found = Vec::new();
                    let mut at = after;
                    while let Some(next) = schedule.next_after(at).filter(|next| *next <= until) {
                        found.push(next);
                        at = next;
                    }
                    let expected = walked(&Line::read(text), &zone, dst, after, until);
                    assert_eq!(found, expected, "{text} in {name} around {change}, {dst:?}");
                }
            }
        }
    }
    assert!(nights > 50, "{nights}");
}

/// A year of ordinary days: days of the month, of the week, both, months, the end of the year and of February.
#[test]
fn an_ordinary_year_is_as_a_walk_through_its_minutes_says() {
    let zone = TimeZone::UTC;
    let (after, until): (Timestamp, Timestamp) =
        ("2027-06-15T00:00:00Z".parse().unwrap(), "2028-07-01T00:00:00Z".parse().unwrap());
    for text in
        ["0 0 1 * *", "30 6 29 2 *", "0 9 * * 1-5", "0 0 31 * 7", "1 1 */10 1-12/3 *", "0 0 28-31 2,12 0"]
    {
        let schedule = CronSchedule::parse(text, None, None).unwrap();
        let mut found = Vec::new();
        let mut at = after;
        while let Some(next) = schedule.next_after(at).filter(|next| *next <= until) {
            found.push(next);
            at = next;
        }
        assert_eq!(found, walked(&Line::read(text), &zone, Dst::Elapsed, after, until), "{text}");
    }
}

/// Nothing validation accepts is refused by the node, and each has a next tick; whatever it refuses ends quickly.
#[test]
fn what_validation_accepts_ticks_and_what_never_comes_ends() {
    let after: Timestamp = "2026-11-24T00:00:00Z".parse().unwrap();
    for line in [
        "* * * * *",
        " 0 0 * * 7\n",
        "@daily",
        "@Hourly ",
        "@yearly",
        "0 0 L * *",
        "0 0 LW * *",
        "0 0 15W * *",
        "0 0 29W 2 *",
        "0 0 29 2 *",
        "0 0 * * 5L",
        "0 0 * * MON#5",
        "0 0 * 2 MON#5",
        "0 0 * * fri#l",
        "30 */2 * * * *",
        "0 0 ? * ?",
        "0 0 30 2 MON",
        "0 0 31 12 *",
        "59 59 23 31 12 *",
    ] {
        drover_types::validate::cron::check(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let schedule = CronSchedule::parse(line, Some("Europe/Berlin"), None).unwrap();
        assert!(schedule.next_after(after).is_some_and(|next| next > after), "{line}");
    }
    for line in ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 31W 4 *"] {
        assert!(drover_types::validate::cron::check(line).is_err(), "{line}");
        if let Ok(schedule) = CronSchedule::parse(line, Some("Europe/Berlin"), Some(Dst::Wall)) {
            assert_eq!(schedule.next_after(after), None, "{line}");
        }
    }
}
