//! Lengths of time as kubectl prints them: the two largest units that still say something.

use jiff::{SignedDuration, Timestamp};

use crate::fields::NONE;

/// How long ago; [`NONE`] if never.
pub fn since(then: Option<Timestamp>, now: Timestamp) -> String {
    then.map_or_else(|| NONE.to_owned(), |then| human(now.duration_since(then).as_secs()))
}

/// How long until; `now` if it is due, [`NONE`] if never.
pub fn until(then: Option<Timestamp>, now: Timestamp) -> String {
    match then.map(|then| then.duration_since(now).as_secs()) {
        None => NONE.to_owned(),
        Some(..1) => "now".to_owned(),
        Some(seconds) => format!("in {}", human(seconds)),
    }
}

/// Seconds, as `42s`, `5m12s`, `3h`, `2d4h`. What lies in the future by a clock that differs is `0s`.
pub fn human(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let two = |large: i64, unit: &str, small: i64, rest: &str| match seconds % large / small {
        0 => format!("{}{unit}", seconds / large),
        n => format!("{}{unit}{n}{rest}", seconds / large),
    };
    match seconds {
        ..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(MINUTE, "m", 1, "s"),
        600..10_800 => format!("{}m", seconds / MINUTE),
        10_800..28_800 => two(HOUR, "h", MINUTE, "m"),
        28_800..172_800 => format!("{}h", seconds / HOUR),
        172_800..691_200 => two(DAY, "d", HOUR, "h"),
        691_200..63_072_000 => format!("{}d", seconds / DAY),
        63_072_000..252_288_000 => two(YEAR, "y", DAY, "d"),
        _ => format!("{}y", seconds / YEAR),
    }
}

/// How long something took: `120ms`, `2.3s`, then as [`human`].
pub fn took(length: SignedDuration) -> String {
    match length.as_millis() {
        ..0 => "0ms".to_owned(),
        ms @ 0..1000 => format!("{ms}ms"),
        ms @ 1000..10_000 => format!("{}.{}s", ms / 1000, ms % 1000 / 100),
        _ => human(length.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_at_most_two_units() {
        for (seconds, want) in [
            (-5, "0s"),
            (119, "119s"),
            (120, "2m"),
            (312, "5m12s"),
            (3599, "59m"),
            (3 * 3600 + 60, "3h1m"),
            (30 * 3600, "30h"),
            (52 * 3600, "2d4h"),
            (90 * 86_400, "90d"),
            (1000 * 86_400, "2y270d"),
        ] {
            assert_eq!(human(seconds), want);
        }
        for (ms, want) in [(7, "7ms"), (2345, "2.3s"), (45_000, "45s")] {
            assert_eq!(took(SignedDuration::from_millis(ms)), want);
        }
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        assert_eq!(until(Some(at(130)), at(10)), "in 2m");
        assert_eq!((until(Some(at(5)), at(10)), until(None, at(0))), ("now".into(), "<none>".into()));
    }
}
