//! Cron lines, durations and quantities.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use drover_plan::node::cron::CronSchedule;
use drover_types::kinds::timer::Dst;
use drover_types::{Duration, Quantity, validate};
use jiff::Timestamp;

const ZONES: [&str; 5] = ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Cairo", "Pacific/Apia"];

/// The first byte says in which zone, by which policy and from when on.
pub(crate) fn cron(data: &[u8]) {
    let Some((which, line)) = data.split_first() else { return };
    let Ok(line) = std::str::from_utf8(line) else { return };
    let which = usize::from(*which);
    let dst = [None, Some(Dst::Elapsed), Some(Dst::Wall)][which / 5 % 3];
    let accepted = validate::cron::check(line);
    let schedule = CronSchedule::parse(line, Some(ZONES[which % 5]), dst);
    let Ok(()) = accepted else { return };
    let schedule = schedule.unwrap_or_else(|error| panic!("{line:?} was accepted and is not read: {error}"));
    let mut at = Timestamp::from_second(1_325_000_000 + (which / 15) as i64 * 97_000_000).expect("in range");
    for _ in 0..3 {
        let next = schedule.next_after(at).unwrap_or_else(|| panic!("{line:?} was accepted and never ticks"));
        assert!(next > at);
        at = next;
    }
}

pub(crate) fn quantity(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    reads_back::<Duration>(text);
    reads_back::<Quantity>(text);
}

fn reads_back<T: FromStr<Err: Debug> + Display + PartialEq + Debug>(text: &str) {
    let Ok(read) = text.parse::<T>() else { return };
    let shown = read.to_string();
    assert_eq!(shown.parse::<T>().unwrap_or_else(|error| panic!("{text:?} as {shown:?}: {error:?}")), read);
}
