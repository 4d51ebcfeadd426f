//! Schedules in the words that cron and systemd both have.

use std::fmt;

use proptest::prelude::*;

/// One element of a field.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Item {
    One(u8),
    Range(u8, u8),
    /// From, to, step.
    Stepped(u8, u8, u8),
}

/// A field that holds numbers.
#[derive(Clone, Debug)]
pub(crate) enum Field {
    Any,
    /// `*/N`.
    Every(u8),
    List(Vec<Item>),
}

impl Field {
    fn cron(&self) -> String {
        match self {
            Self::Any => "*".into(),
            Self::Every(step) => format!("*/{step}"),
            Self::List(items) => join(items.iter().map(|item| match item {
                Item::One(n) => n.to_string(),
                Item::Range(a, b) => format!("{a}-{b}"),
                Item::Stepped(a, b, step) => format!("{a}-{b}/{step}"),
            })),
        }
    }

    /// Whether it may hold one of these days of the month.
    fn has(&self, days: std::ops::RangeInclusive<u8>) -> bool {
        match self {
            Self::Any | Self::Every(_) => true,
            Self::List(items) => items.iter().any(|item| match item {
                Item::One(n) => days.contains(n),
                Item::Range(a, b) | Item::Stepped(a, b, _) => a <= days.end() && b >= days.start(),
            }),
        }
    }

    /// The same with steps and ranges of one spelt out, which the oracles stumble over: systemd 252 leaves out what
    /// falls on midnight after the shorter gap at the end of a stepped field, and to croniter 6 `5-5` is everything.
    fn spelt_out(&self, (lowest, highest): (u8, u8), range: &str) -> String {
        let stepped = |a: u8, b: u8, step: u8| join((a..=b).step_by(step.into()).map(|n| n.to_string()));
        match self {
            Self::Any => "*".into(),
            Self::Every(step) => stepped(lowest, highest, *step),
            Self::List(items) => join(items.iter().map(|item| match item {
                Item::One(n) => n.to_string(),
                Item::Range(a, b) if a == b => a.to_string(),
                Item::Range(a, b) => format!("{a}{range}{b}"),
                Item::Stepped(a, b, step) => stepped(*a, *b, *step),
            })),
        }
    }
}

const SECONDS: (u8, u8) = (0, 59);
const MINUTES: (u8, u8) = (0, 59);
const HOURS: (u8, u8) = (0, 23);
const OF_MONTH: (u8, u8) = (1, 31);
const MONTHS: (u8, u8) = (1, 12);

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(",")
}

/// Which days.
#[derive(Clone, Debug)]
pub(crate) enum Days {
    Any,
    OfMonth(Field),
    LastOfMonth,
    /// Days of the week, 0 is Sunday, by number or by name.
    OfWeek(Vec<u8>, bool),
    /// Such a day of the week, such a one of the month.
    Nth(u8, u8),
    /// The last such day of the week of the month.
    Last(u8),
    /// Where both are given, either will do. systemd has no such thing.
    Either(Field, Vec<u8>),
}

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// A schedule.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) second: Option<Field>,
    pub(crate) minute: Field,
    pub(crate) hour: Field,
    pub(crate) days: Days,
    pub(crate) month: Field,
}

impl Line {
    /// As an operator writes it.
    pub(crate) fn cron(&self) -> String {
        self.cron_with(|field, _| field.cron(), |day| format!("{day}L"))
    }

    /// As croniter reads it: the last Friday is `L5` to it. `None` where it errs by itself: of days both early and
    /// late in the month, it leaves early ones out after some Februaries.
    pub(crate) fn croniter(&self) -> Option<String> {
        if let Days::OfMonth(field) | Days::Either(field, _) = &self.days
            && field.has(1..=28)
            && field.has(29..=31)
        {
            return None;
        }
        Some(self.cron_with(|field, bounds| field.spelt_out(bounds, "-"), |day| format!("L{day}")))
    }

    fn cron_with(&self, cell: impl Fn(&Field, (u8, u8)) -> String, last: impl Fn(u8) -> String) -> String {
        let week = |days: &[u8]| join(days.iter().map(u8::to_string));
        let (day, weekday) = match &self.days {
            Days::Any => ("*".into(), "*".into()),
            Days::OfMonth(field) => (cell(field, OF_MONTH), "*".into()),
            Days::LastOfMonth => ("L".into(), "*".into()),
            Days::OfWeek(days, false) => ("*".into(), week(days)),
            Days::OfWeek(days, true) => {
                ("*".into(), join(days.iter().map(|day| DAYS[usize::from(*day)].to_uppercase())))
            }
            Days::Nth(day, nth) => ("*".into(), format!("{day}#{nth}")),
            Days::Last(day) => ("*".into(), last(*day)),
            Days::Either(field, days) => (cell(field, OF_MONTH), week(days)),
        };
        let second =
            self.second.as_ref().map_or_else(String::new, |field| format!("{} ", cell(field, SECONDS)));
        let (minute, hour) = (cell(&self.minute, MINUTES), cell(&self.hour, HOURS));
        format!("{second}{minute} {hour} {day} {} {weekday}", cell(&self.month, MONTHS))
    }

    /// The same for systemd; `None` where it has no words for it.
    pub(crate) fn systemd(&self) -> Option<String> {
        let week = |days: &[u8]| join(days.iter().map(|day| DAYS[usize::from(*day)].to_owned()));
        let (weekday, day) = match &self.days {
            Days::Any => (String::new(), "-*".into()),
            Days::OfMonth(field) => (String::new(), format!("-{}", field.spelt_out(OF_MONTH, ".."))),
            Days::LastOfMonth => (String::new(), "~01".into()),
            Days::OfWeek(days, _) => (format!("{} ", week(days)), "-*".into()),
            Days::Nth(day, nth) => {
                (format!("{} ", week(&[*day])), format!("-{}..{}", nth * 7 - 6, (nth * 7).min(31)))
            }
            Days::Last(day) => (format!("{} ", week(&[*day])), "~07/1".into()),
            Days::Either(..) => return None,
        };
        let second = self.second.as_ref().map_or("00".into(), |field| field.spelt_out(SECONDS, ".."));
        let cell = |field: &Field, bounds| field.spelt_out(bounds, "..");
        let (month, hour, minute) =
            (cell(&self.month, MONTHS), cell(&self.hour, HOURS), cell(&self.minute, MINUTES));
        Some(format!("{weekday}*-{month}{day} {hour}:{minute}:{second}"))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cron())
    }
}

fn item(lowest: u8, highest: u8) -> impl Strategy<Value = Item> {
    let pair = move || (lowest..=highest, lowest..=highest).prop_map(|(a, b)| (a.min(b), a.max(b)));
    prop_oneof![
        4 => (lowest..=highest).prop_map(Item::One),
        2 => pair().prop_map(|(a, b)| Item::Range(a, b)),
        1 => (pair(), 1..=highest.min(20)).prop_map(|((a, b), step)| Item::Stepped(a, b, step)),
    ]
}

fn field(lowest: u8, highest: u8, any: u32) -> impl Strategy<Value = Field> {
    prop_oneof![
        any => Just(Field::Any),
        1 => (2..=highest / 2).prop_map(Field::Every),
        4 => prop::collection::vec(item(lowest, highest), 1..4).prop_map(Field::List),
    ]
}

fn days() -> impl Strategy<Value = Days> {
    let week =
        || prop::collection::btree_set(0..7_u8, 1..5).prop_map(|days| days.into_iter().collect::<Vec<_>>());
    let of_month = || prop::collection::vec(item(1, 31), 1..4).prop_map(Field::List);
    prop_oneof![
        3 => Just(Days::Any),
        3 => field(1, 28, 1).prop_map(Days::OfMonth),
        1 => Just(Days::LastOfMonth),
        3 => (week(), any::<bool>()).prop_map(|(days, named)| Days::OfWeek(days, named)),
        1 => (0..7_u8, 1..=5_u8).prop_map(|(day, nth)| Days::Nth(day, nth)),
        1 => (0..7_u8).prop_map(Days::Last),
        1 => (of_month(), week()).prop_map(|(field, days)| Days::Either(field, days)),
    ]
}

/// Any schedule; none is of a day that no month has.
pub(crate) fn line() -> impl Strategy<Value = Line> {
    let second = prop::option::weighted(0.2, field(0, 59, 1));
    (second, field(0, 59, 2), field(0, 23, 4), days(), field(1, 12, 6)).prop_map(
        |(second, minute, hour, days, month)| {
            // The 31st comes in every other month only, and the 30th in all but February.
            let month = if matches!(days, Days::OfMonth(_) | Days::Either(..)) { Field::Any } else { month };
            Line { second, minute, hour, days, month }
        },
    )
}
