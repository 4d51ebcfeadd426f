//! What a pretend process does, by its command line: `sim for=5s jitter=2s exit=0 fail=10 ignore-term fork`.

use std::time::Duration;

use drover_spawn::Outcome;

use crate::seed::Dice;

/// How a process behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Behaviour {
    /// How long it takes to begin.
    pub(super) starts_in: Duration,
    /// How long it lives; none: until it is ended.
    pub(super) lives: Option<Duration>,
    /// How it ends by itself.
    pub(super) outcome: Outcome,
    /// How long it takes to end when asked to; none: it does not.
    pub(super) ends_in: Option<Duration>,
    /// How long what it started holds up its keeper after its end.
    pub(super) lingers: Duration,
    /// Lines that it writes.
    pub(super) lines: u64,
}

impl Behaviour {
    /// Of a command line, with these dice. What is not understood means nothing.
    pub(super) fn of(argv: &[String], dice: &mut Dice) -> Self {
        let value = |name: &str| {
            argv.iter().find_map(|word| word.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')))
        };
        let number =
            |name: &str, default: u64| value(name).and_then(|text| text.parse().ok()).unwrap_or(default);
        let has = |name: &str| argv.iter().any(|word| word == name);
        let jitter = number("jitter", 0);
        let lives = if has("forever") { None } else { Some(number("for", 1000) + dice.within(0..=jitter)) };
        let fails = dice.percent(number("fail", 0));
        let outcome = match (fails, number("signal", 0)) {
            (true, 0) => Outcome::Code(1),
            (true, signal) => Outcome::Signal(i32::try_from(signal).unwrap_or(9)),
            (false, _) => Outcome::Code(i32::try_from(number("exit", 0)).unwrap_or(0)),
        };
        Self {
            starts_in: dice.millis(1..=20),
            // One that lives for ever may yet fail.
            lives: lives.or(fails.then(|| dice.within(1000..=600_000))).map(Duration::from_millis),
            outcome,
            ends_in: (!has("ignore-term")).then(|| dice.millis(0..=500)),
            lingers: if has("fork") { dice.millis(0..=1500) } else { Duration::ZERO },
            lines: number("lines", 1),
        }
    }
}
