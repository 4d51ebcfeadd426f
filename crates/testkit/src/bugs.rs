//! What each bug of `drover_mutants` is found by: which law, in which small runs.
//!
//! A bug that survives shows that a law, a fault or a workload is missing.

mod deeds;

use std::ops::Range;
use std::time::Duration;

use drover_mutants::Mutant;

use crate::history::Violation;
use crate::run::{Plan, run};
use crate::scenario::Act;
use crate::seed::Seed;

/// How a bug is looked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Hunt {
    /// The bug.
    pub mutant: Mutant,
    /// The laws that may find it: most are broken in one way, some in several.
    pub laws: &'static [&'static str],
    /// In which seeds.
    pub seeds: Range<u64>,
    /// Of how many nodes.
    pub nodes: usize,
    /// For how many minutes.
    pub minutes: u64,
    /// And how many quiet ones after these.
    pub quiet: u64,
    /// Whether chance breaks anything beside it.
    pub faults: bool,
    /// What is done beside the seed's script, so that it comes to light soon.
    pub deeds: Vec<Act>,
}

/// A bug that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catch {
    /// In which seed.
    pub seed: u64,
    /// What it broke.
    pub violation: Violation,
}

impl Hunt {
    /// The run of one seed, with the bug or without.
    pub fn plan(&self, seed: u64, mutant: Option<Mutant>) -> Plan {
        let mut plan = Plan::new(Seed(seed), self.nodes, Duration::from_secs(self.minutes * 60));
        plan.quiet = Duration::from_secs(self.quiet * 60);
        plan.faults = self.faults;
        let mut script = plan.script();
        script.extend(self.deeds.iter().cloned());
        script.sort_by_key(|act| act.at);
        plan.script = Some(script);
        plan.mutant = mutant;
        plan
    }

    /// Looks for it. An error says what was found instead.
    ///
    /// # Errors
    /// It survives, it breaks a law that it should not, or its seed breaks a law without it too.
    pub fn catch(&self) -> Result<Catch, String> {
        for seed in self.seeds.clone() {
            let Some(violation) = run(&self.plan(seed, Some(self.mutant))).violation else { continue };
            if !self.laws.contains(&violation.law) {
                return Err(format!("seed {seed}: it breaks {}: {}", violation.law, violation.what));
            }
            return match run(&self.plan(seed, None)).violation {
                None => Ok(Catch { seed, violation }),
                Some(other) => Err(format!("seed {seed}: without it, too, {}: {}", other.law, other.what)),
            };
        }
        Err(format!("it survives seeds {:?}", self.seeds))
    }
}

const ACKNOWLEDGED: &str = "what_was_acknowledged_is_in_the_store_after_any_crash";
const CONVERGED: &str = "when_faults_stop_what_is_comes_to_be_what_is_wanted";
const EXIT_CODE: &str = "nothing_is_succeeded_without_the_exit_code_that_its_host_saw";
const FORBID: &str = "executions_of_a_timer_that_forbids_it_never_overlap_on_a_node";
const LISTS: &str = "a_list_is_what_the_store_was_at_its_revision";
const MOVED: &str = "what_has_a_count_lives_on_no_more_nodes_also_while_it_moves";
const MUTEX: &str = "executions_that_name_the_same_mutex_never_overlap_on_a_node";
const PLACED: &str = "when_faults_stop_every_workload_is_where_its_placement_says";
const PUNCTUAL: &str = "while_nothing_breaks_no_tick_is_missed";
const REPLICAS: &str = "a_replica_of_a_service_is_at_most_one_live_process_on_a_node";
const REPORTED: &str = "every_run_that_a_host_saw_is_reported_with_its_end";
const TICK_ONCE: &str = "a_tick_fires_at_most_once_per_node";
const TRACKED: &str = "nothing_runs_untracked";
const WATCHES: &str = "a_watch_has_no_gap_no_duplicate_and_a_rising_revision";

/// How each bug is looked for.
pub fn hunts() -> Vec<Hunt> {
    let hunt = |mutant: Mutant| {
        let usual = |laws| Hunt {
            mutant,
            laws,
            seeds: 0..20,
            nodes: 3,
            minutes: 30,
            quiet: 30,
            faults: true,
            deeds: Vec::new(),
        };
        let set = |laws, deeds| Hunt { faults: false, seeds: 0..5, deeds, ..usual(laws) };
        let calm = |laws| Hunt { faults: false, quiet: 8, ..usual(laws) };
        match mutant {
            Mutant::UnsyncedStore => usual(&[ACKNOWLEDGED, CONVERGED, REPORTED]),
            Mutant::LateResume => usual(&[WATCHES, CONVERGED, PLACED]),
            Mutant::StaleCache => calm(&[LISTS]),
            Mutant::LostChunk => set(&[CONVERGED, PLACED], deeds::large_workloads()),
            Mutant::AckBeforeStore => set(&[REPORTED, CONVERGED], deeds::full_server()),
            Mutant::ForgottenChange => usual(&[CONVERGED]),
            Mutant::IgnoredDeletion => set(&[PLACED], deeds::deleted_timer()),
            Mutant::LostWakeUp => set(&[PLACED], deeds::moved_node()),
            Mutant::MissedEdge => calm(&[PUNCTUAL]),
            Mutant::IgnoredGeneration => calm(&[PLACED]),
            Mutant::ForgottenLeaving => set(&[MOVED], deeds::relabelled_nodes()),
            Mutant::EndlessLease => set(&[MOVED], deeds::silent_nodes()),
            Mutant::ForgottenMutex => set(&[MUTEX], deeds::crashes_under_a_mutex()),
            Mutant::UnsyncedJournal => usual(&[TICK_ONCE, REPORTED, CONVERGED]),
            Mutant::StartedBeforeClaimed => set(&[TICK_ONCE], deeds::crashes_at_ticks()),
            Mutant::DroppedAck => usual(&[REPORTED, CONVERGED]),
            Mutant::LostBell => calm(&[PUNCTUAL, CONVERGED]),
            Mutant::ForbidSeesFirstAttempts => set(&[FORBID], deeds::retries_over_a_tick()),
            // The server refuses to be told so, and the Run stays open.
            Mutant::AssumedExitCode => usual(&[EXIT_CODE, REPORTED, CONVERGED]),
            Mutant::ForgottenClaims => usual(&[CONVERGED, TRACKED]),
            // A replica that ends is looked at again only when something else happens to its Service.
            Mutant::EarlyReplacement => Hunt { seeds: 0..40, ..usual(&[REPLICAS]) },
        }
    };
    Mutant::ALL.iter().copied().map(hunt).collect()
}
