//! Cron lines, field by field, so that an error names the field and its range; croner has the last word.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

/// Why a line is not a schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CronError(String);

const NICKNAMES: [&str; 7] =
    ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];
const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const LENGTHS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// No schedule that a person wrote is longer.
const LONGEST: usize = 500;

struct Field {
    name: &'static str,
    min: u32,
    max: u32,
    names: &'static [&'static str],
    /// What the first of `names` stands for.
    first: u32,
}

const fn field(name: &'static str, min: u32, max: u32) -> Field {
    Field { name, min, max, names: &[], first: 0 }
}

const FIELDS: [Field; 6] = [
    field("second", 0, 59),
    field("minute", 0, 59),
    field("hour", 0, 23),
    field("day of month", 1, 31),
    Field { name: "month", min: 1, max: 12, names: &MONTHS, first: 1 },
    Field { name: "day of week", min: 0, max: 7, names: &DAYS, first: 0 },
];

/// Checks a line of five or six fields, or a nickname.
pub fn check(line: &str) -> Result<(), CronError> {
    if line.len() > LONGEST {
        return Err(CronError(format!("is longer than {LONGEST} bytes")));
    }
    if let Some(c) = line.chars().find(|c| !c.is_ascii()) {
        return Err(CronError(format!("holds U+{:04X}; a line is written in ASCII", u32::from(c))));
    }
    let line = line.trim();
    if line.starts_with('@') {
        if line.eq_ignore_ascii_case("@reboot") {
            return Err(CronError("@reboot is written onBoot: true".into()));
        }
        if NICKNAMES.contains(&line.to_ascii_lowercase().as_str()) {
            return Ok(());
        }
        return Err(CronError(format!("{line} is not one of {}", NICKNAMES.join(", "))));
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let fields = match words.len() {
        5 => &FIELDS[1..],
        6 => &FIELDS[..],
        n => return Err(CronError(format!("has {n} fields; a line has 5, or 6 with seconds first"))),
    };
    for (field, word) in fields.iter().zip(&words) {
        for item in word.split(',') {
            if matches!(item, "*" | "?") && item != *word {
                return Err(CronError(format!("{} {word} lists {item}, which is all of them", field.name)));
            }
            field.check(item)?;
        }
    }
    possible(words[words.len() - 3], words[words.len() - 2], words[words.len() - 1])?;
    read(line).map(|_| ())
}

/// Reads a line that [`check`] lets pass.
pub fn read(line: &str) -> Result<Cron, CronError> {
    let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
    // The parser's idea of white space is narrower than ours.
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    // The one nickname of crontab(5) that it does not know.
    let line = if line.eq_ignore_ascii_case("@midnight") { "@daily" } else { &line };
    parser.parse(line).map_err(|e| CronError(e.to_string()))
}

impl Field {
    fn check(&self, item: &str) -> Result<(), CronError> {
        let name = self.name;
        let (base, step) = match item.split_once('/') {
            Some((base, step)) => (base, Some(step)),
            None => (item, None),
        };
        if let Some(step) = step {
            match step.parse::<u32>() {
                Ok(0) => return Err(CronError(format!("{name} {item} has a step of 0"))),
                Ok(n) if n > self.max => {
                    return Err(CronError(format!("{name} {item} has a step above {}", self.max)));
                }
                Ok(_) => {}
                Err(_) => return Err(CronError(format!("{name} {item} has a step that is not a number"))),
            }
            if base != "*" && !base.contains('-') {
                let max = self.max;
                return Err(CronError(format!(
                    "{name} {item} has a step without a range; write {base}-{max}/{step}"
                )));
            }
        }
        if base == "*" || (base == "?" && (name == "day of month" || name == "day of week")) {
            return Ok(());
        }
        if self.special(base)? {
            return Ok(());
        }
        if let Some((from, to)) = base.split_once('-') {
            let (from, to) = (self.number(from)?, self.number(to)?);
            if from > to {
                return Err(CronError(format!("{name} range {base} runs backwards")));
            }
            return Ok(());
        }
        self.number(base).map(|_| ())
    }

    /// `L`, `LW` and `15W` in the day of month; `5L`, `MON#2` and `MON#L` in the day of week.
    fn special(&self, base: &str) -> Result<bool, CronError> {
        let upper = base.to_ascii_uppercase();
        match self.name {
            "day of month" => match upper.as_str() {
                "L" | "LW" => Ok(true),
                other => match other.strip_suffix('W') {
                    Some(day) => self.number(day).map(|_| true),
                    None => Ok(false),
                },
            },
            "day of week" => {
                if let Some((day, nth)) = upper.split_once('#') {
                    self.number(day)?;
                    if matches!(nth, "1" | "2" | "3" | "4" | "5" | "L") {
                        return Ok(true);
                    }
                    return Err(CronError(format!(
                        "day of week {base} must name the 1st to 5th, or L for the last"
                    )));
                }
                match upper.strip_suffix('L') {
                    // Nothing matches it: readers differ on whether it means the last Saturday.
                    Some("") => Err(CronError(
                        "day of week L stands behind a day, as 6L for the last Saturday".into(),
                    )),
                    Some(day) => self.number(day).map(|_| true),
                    None => Ok(false),
                }
            }
            _ => Ok(false),
        }
    }

    fn number(&self, text: &str) -> Result<u32, CronError> {
        let upper = text.to_ascii_uppercase();
        if let Some(i) = (self.first..).zip(self.names).find(|(_, n)| **n == upper).map(|(i, _)| i) {
            return Ok(i);
        }
        let Self { name, min, max, .. } = self;
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse::<u32>() {
            Ok(n) if digits && (*min..=*max).contains(&n) => Ok(n),
            _ if digits => Err(CronError(format!("{name} {text} is out of range {min}-{max}"))),
            _ => Err(CronError(format!("{name} {text:?} is not a number{}", self.also()))),
        }
    }

    fn also(&self) -> String {
        match self.names {
            [first, .., last] => format!(" or a name, {first} to {last}"),
            _ => String::new(),
        }
    }
}

/// A day that none of the months has never comes. Where the day of week is given too, it comes by that.
fn possible(day: &str, month: &str, weekday: &str) -> Result<(), CronError> {
    if !matches!(weekday, "*" | "?") || day.contains(['*', '?', 'L', 'l']) || month.contains('*') {
        return Ok(());
    }
    let lowest = |text: &str, field: &Field| -> Option<u32> {
        let base = text.split('/').next()?.trim_end_matches(['W', 'w']);
        field.number(base.split('-').next()?).ok()
    };
    let first = day.split(',').filter_map(|d| lowest(d, &FIELDS[3])).min();
    let mut longest = 0;
    for item in month.split(',') {
        let base = item.split('/').next().unwrap_or(item);
        let (from, to) = base.split_once('-').unwrap_or((base, base));
        let (Ok(from), Ok(to)) = (FIELDS[4].number(from), FIELDS[4].number(to)) else { return Ok(()) };
        let step = item.split_once('/').and_then(|(_, s)| s.parse().ok()).unwrap_or(1_usize).max(1);
        for m in (from..=to).step_by(step) {
            longest = longest.max(LENGTHS[m as usize - 1]);
        }
    }
    match first {
        Some(day) if day > longest => Err(CronError(format!("month {month} has no day {day}"))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_wrong_line_is_told_its_field_and_range() {
        for (line, want) in [
            ("61 * * * *", "minute 61 is out of range 0-59"),
            ("* 24 * * *", "hour 24 is out of range 0-23"),
            ("* * 0 * *", "day of month 0 is out of range 1-31"),
            ("* * * 13 *", "month 13 is out of range 1-12"),
            ("* * * * 8", "day of week 8 is out of range 0-7"),
            ("*/0 * * * *", "minute */0 has a step of 0"),
            ("30-10 * * * *", "minute range 30-10 runs backwards"),
            ("0 0 30 2 *", "month 2 has no day 30"),
            ("0 0 31 4,6 ?", "month 4,6 has no day 31"),
            ("* * * *", "has 4 fields; a line has 5, or 6 with seconds first"),
            ("0 0 * * MON#6", "day of week MON#6 must name the 1st to 5th, or L for the last"),
            ("@dayly", "@dayly is not one of"),
            ("x * * * *", "minute \"x\" is not a number"),
            ("5/10 * * * *", "write 5-59/10"),
            ("0 0 *,5 * *", "day of month *,5 lists *, which is all of them"),
            ("0 0 * * L", "day of week L stands behind a day"),
            ("@reboot", "@reboot is written onBoot: true"),
            ("0\u{a0}0 * * * *", "holds U+00A0"),
            ("0 0 0 0 0 0 0", "has 7 fields"),
            ("0 0 31W 4 *", "month 4 has no day 31"),
            ("0 0 32W * *", "day of month 32 is out of range 1-31"),
            ("*/99999999999 * * * *", "has a step that is not a number"),
            (&"1,".repeat(1000), "is longer than 500 bytes"),
        ] {
            let error = check(line).unwrap_err().to_string();
            assert!(error.contains(want), "{line}: {error}");
        }
    }

    #[test]
    fn the_lines_operators_write_are_accepted() {
        for line in [
            "15 3 * * *",
            "*/5 * * * *",
            "0 0 1 * *",
            "0 9 * * MON-FRI",
            "30 */2 * * * *",
            "0 0 L * *",
            "0 0 15W * *",
            "0 0 * * MON#2",
            "0 0 * * 5L",
            "@daily",
            "0 0 29 FEB *",
            "0-30/5 1,2 * JAN-MAR *",
            "0 0 30 2 MON",
            " 0 0 * * 7\n",
            "@Hourly ",
        ] {
            check(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        }
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "[0-9*/,#LW? a@-]{0,20}") {
            let _ = check(&line);
        }
    }
}
