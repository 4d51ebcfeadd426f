//! Cron beside `systemd-analyze calendar` and Python's croniter, over ten years and the zones that hurt. On ordinary
//! days all three agree. Within a day of a change of the clocks the table in `tests/oracles/special-nights.txt` is the
//! truth, and what an oracle makes of it is listed in `tests/oracles/disagreements.txt`: a difference that is not
//! listed, and one that is listed and is not there any more, fail.
//!
//! Absent: `W`, which neither of the two has; the tests beside the cron machine have it.

mod ask;
mod compare;
mod line;
mod nights;
mod ordinary;

/// UTC, and the zones that hurt: by an hour, half an hour, at midnight, backwards in summer, by a whole day, given up
/// in 2019, and never.
const ZONES: [&str; 9] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "Europe/Dublin",
    "Pacific/Apia",
    "America/Sao_Paulo",
    "Asia/Kolkata",
];

fn at(text: &str) -> jiff::Timestamp {
    text.parse().unwrap()
}
