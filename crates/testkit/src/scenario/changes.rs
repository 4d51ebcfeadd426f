//! Who changes what, and when.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Act, Deed, workloads};
use crate::run::Plan;
use crate::seed::Dice;
use crate::step::node_name;

/// Everything that Drover's own kinds lie under, in the one namespace of workloads.
const OWN: &str = "/apis/drover.dev/v1/namespaces/default";
/// Between two changes, in milliseconds.
const PAUSE: std::ops::RangeInclusive<u64> = 10_000..=300_000;
/// The first changes come from here on: then most nodes have joined.
const BEGIN: Duration = Duration::from_secs(5);

struct Author<'a> {
    plan: &'a Plan,
    dice: Dice,
    at: Duration,
    acts: Vec<Act>,
    /// Path of what was made, and of which kind.
    made: Vec<(String, &'static str)>,
    number: u64,
}

/// All changes of a run, in order.
pub(super) fn write(plan: &Plan) -> Vec<Act> {
    let dice = plan.seed.dice("changes");
    let mut author = Author { plan, dice, at: BEGIN, acts: Vec::new(), made: Vec::new(), number: 0 };
    author.begin();
    let end = plan.time;
    loop {
        // A longer run has no more changes than it takes to see everything.
        let stretch = u32::try_from(plan.hours().div_ceil(4)).unwrap_or(1);
        author.at += author.dice.millis(PAUSE) * stretch;
        if author.at >= end {
            return author.acts;
        }
        author.change();
    }
}

impl Author<'_> {
    fn call(&mut self, method: &'static str, path: String, body: Value) {
        self.acts.push(Act { at: self.at, deed: Deed::Call { method, path, body } });
        self.at += self.dice.millis(0..=2_000);
    }

    fn begin(&mut self) {
        let core = "/api/v1/namespaces/default";
        let secret = json!({"metadata": {"name": "s"}, "stringData": {"password": "first"}});
        self.call("POST", format!("{core}/secrets"), secret);
        let map = json!({"metadata": {"name": "c"}, "data": {"setting": "first"}});
        self.call("POST", format!("{core}/configmaps"), map);
        let pool = workloads::pool(&mut self.dice, "p");
        self.call("POST", "/apis/drover.dev/v1/nodepools".into(), pool);
        for kind in ["timers", "timers", "timers", "services", "services", "tasks", "callables"] {
            self.make(kind);
        }
    }

    /// Names are used once: what one says of a name it says of one object.
    fn make(&mut self, kind: &'static str) {
        self.number += 1;
        let name = format!("{}-{}", &kind[..1], self.number);
        let dice = &mut self.dice;
        let body = match kind {
            "timers" => workloads::timer(dice, &name, self.plan.wall.as_second(), self.plan.hours()),
            "services" => workloads::service(dice, &name),
            "tasks" => workloads::task(dice, &name),
            _ => workloads::callable(dice, &name),
        };
        let plural = if kind == "callables" { "tasks" } else { kind };
        self.call("POST", format!("{OWN}/{plural}"), body);
        self.made.push((format!("{OWN}/{plural}/{name}"), kind));
    }

    fn one(&mut self, kind: &str) -> Option<String> {
        let of: Vec<&String> = self.made.iter().filter(|made| made.1 == kind).map(|made| &made.0).collect();
        if of.is_empty() { None } else { Some((*self.dice.pick(&of)).clone()) }
    }

    fn change(&mut self) {
        match self.dice.below(16) {
            0 => self.make("timers"),
            1 => self.make("tasks"),
            2 => self.make("services"),
            3 => {
                let Some((path, kind)) =
                    self.made.get(usize::try_from(self.number % 5).unwrap_or(0)).cloned()
                else {
                    return;
                };
                // Some are kept, so that there is always something to do.
                if self.made.iter().filter(|made| made.1 == kind).count() > 1 {
                    self.made.retain(|made| made.0 != path);
                    self.call("DELETE", path, Value::Null);
                }
            }
            4 | 5 => {
                let number = self.dice.within(1..=3);
                if let Some(path) = self.one("services") {
                    self.call("PATCH", path, json!({"spec": {"replicas": number}}));
                }
            }
            6 => {
                let setting = format!("value-{}", self.dice.below(1000));
                if let Some(path) = self.one("services") {
                    let env = json!([{"name": "SETTING", "value": setting}]);
                    self.call("PATCH", path, json!({"spec": {"template": {"process": {"env": env}}}}));
                }
            }
            7 => {
                let suspend = self.dice.percent(50);
                if let Some(path) = self.one("timers") {
                    self.call("PATCH", path, json!({"spec": {"suspend": suspend}}));
                }
            }
            8 | 9 => {
                if let Some(path) = self.one("timers") {
                    let node =
                        node_name(usize::try_from(self.dice.below(self.plan.nodes as u64)).unwrap_or(0));
                    let id = format!("{:032x}", self.at.as_millis());
                    self.call("POST", format!("{path}/trigger"), json!({"nodeName": node, "requestId": id}));
                }
            }
            10 | 11 => {
                let key = format!("k{}", self.dice.below(4));
                if let Some(path) = self.one("callables") {
                    self.call("POST", format!("{path}/run"), json!({"params": {"key": key}}));
                }
            }
            12 | 13 => {
                let zone = *self.dice.pick(&workloads::ZONES);
                let path = self.node();
                self.call("PATCH", path, json!({"metadata": {"labels": {workloads::ZONE: zone}}}));
            }
            14 => {
                let path = self.node();
                let cordon = self.dice.percent(40);
                self.call("PATCH", path, json!({"spec": {"unschedulable": cordon}}));
            }
            _ => {
                let password = format!("password-{}", self.dice.below(1000));
                let path = "/api/v1/namespaces/default/secrets/s".into();
                self.call("PATCH", path, json!({"stringData": {"password": password}}));
            }
        }
    }

    fn node(&mut self) -> String {
        let node = usize::try_from(self.dice.below(self.plan.nodes as u64)).unwrap_or(0);
        format!("/api/v1/nodes/{}", node_name(node))
    }
}
