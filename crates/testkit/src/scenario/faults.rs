//! What breaks, and when.

use std::time::Duration;

use super::{Act, Deed, Where, Who, Whose};
use crate::net::Direction;
use crate::run::Plan;
use crate::seed::Dice;

/// Between two faults, in milliseconds.
const PAUSE: std::ops::RangeInclusive<u64> = 500..=150_000;
/// The first comes from here on.
const BEGIN: Duration = Duration::from_secs(20);

/// All faults of a run, in order.
pub(super) fn write(plan: &Plan) -> Vec<Act> {
    let mut dice = plan.seed.dice("faults");
    let mut at = BEGIN;
    let mut acts = Vec::new();
    loop {
        let stretch = u32::try_from(plan.hours().div_ceil(4)).unwrap_or(1);
        at += dice.millis(PAUSE) * stretch;
        if at >= plan.time {
            return acts;
        }
        acts.push(Act { at, deed: fault(&mut dice, plan.nodes) });
    }
}

/// How long a fault lasts: most for seconds, some for longer than anybody waits.
fn time(dice: &mut Dice) -> Duration {
    match dice.below(4) {
        0 => dice.millis(10..=2_000),
        1 | 2 => dice.millis(2_000..=60_000),
        _ => dice.millis(60_000..=900_000),
    }
}

fn link(dice: &mut Dice, nodes: usize) -> Where {
    match dice.below(6) {
        0 => Where::Reconciler,
        1 => Where::Witness,
        2 => Where::Client,
        _ => Where::Node(node(dice, nodes)),
    }
}

fn node(dice: &mut Dice, nodes: usize) -> usize {
    usize::try_from(dice.below(nodes as u64)).unwrap_or(0)
}

fn direction(dice: &mut Dice) -> Direction {
    if dice.percent(50) { Direction::Up } else { Direction::Down }
}

fn whose(dice: &mut Dice, nodes: usize) -> Whose {
    if dice.percent(30) { Whose::Server } else { Whose::Node(node(dice, nodes)) }
}

fn fault(dice: &mut Dice, nodes: usize) -> Deed {
    match dice.below(20) {
        0..=5 => {
            let who = match dice.below(8) {
                0 | 1 => Who::Server,
                2 => Who::Reconciler,
                _ => Who::Node(node(dice, nodes)),
            };
            let power = dice.percent(40);
            // Keepers are on an agent's disk, too: only with the power does it stop for all of them.
            let at_disk = dice.percent(50) && (who == Who::Server || (power && who != Who::Reconciler));
            let most = *dice.pick(&[3, 30, 300]);
            Deed::Crash { who, power, at_disk, after: dice.below(most), down: time(dice) }
        }
        6 | 7 => {
            let days = *dice.pick(&[1_000, 60_000, 3_600_000, 2 * 86_400_000]);
            let millis = i64::try_from(dice.within(1..=days)).unwrap_or(1);
            let millis = if dice.percent(50) { millis } else { -millis };
            Deed::Step { node: node(dice, nodes), millis, time: time(dice) }
        }
        8 => Deed::Suspend { node: node(dice, nodes), time: time(dice) },
        9 | 10 => Deed::Cut(link(dice, nodes)),
        11 | 12 => {
            let direction = match dice.below(3) {
                0 => None,
                _ => Some(direction(dice)),
            };
            Deed::Hold { link: link(dice, nodes), direction, time: time(dice) }
        }
        13 => Deed::Refuse { link: link(dice, nodes), time: time(dice) },
        14 | 15 => Deed::Slow {
            link: link(dice, nodes),
            delay: *dice.pick(&[20, 300, 3_000]),
            bandwidth: *dice.pick(&[20_000, 200_000, 10_000_000]),
            piece: *dice.pick(&[16, 700, 16_000]),
            time: time(dice),
        },
        16 => Deed::Damage(link(dice, nodes), direction(dice)),
        17 => Deed::KillKeeper { node: node(dice, nodes), which: dice.below(64) },
        18 => Deed::Full { whose: whose(dice, nodes), time: time(dice) },
        _ => Deed::FailSyncs { whose: whose(dice, nodes), count: dice.within(1..=3) },
    }
}
