//! Timers, Tasks and Services as people might write them.

use serde_json::{Value, json};

use crate::seed::Dice;

/// A node's label that placements go by, and its values.
pub(crate) const ZONE: &str = "zone";
/// Values of it.
pub(crate) const ZONES: [&str; 3] = ["a", "b", "c"];
/// The lane that pools have, and templates use.
const LANE: &str = "slow";

fn placement(dice: &mut Dice) -> Value {
    match dice.below(3) {
        0 => json!({}),
        1 => json!({"nodeSelector": {ZONE: dice.pick(&ZONES)}}),
        _ => json!({"matchExpressions": [{"key": ZONE, "operator": "NotIn", "values": [dice.pick(&ZONES)]}]}),
    }
}

fn template(dice: &mut Dice, command: Vec<String>) -> Value {
    let mut template = json!({"process": {"command": command}});
    if dice.percent(25) {
        template["timeout"] = format!("{}s", dice.within(5..=120)).into();
    }
    if dice.percent(20) {
        template["lane"] = LANE.into();
    }
    if dice.percent(15) {
        template["mutex"] = json!(["one/$(NODE_NAME)"]);
    }
    if dice.percent(20) {
        template["process"]["terminationGracePeriod"] = format!("{}s", dice.within(1..=10)).into();
    }
    if dice.percent(20) {
        template["process"]["env"] = json!([
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "password"}}},
            {"name": "SETTING", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "setting", "optional": true}}},
        ]);
    }
    template
}

fn retry(dice: &mut Dice, template: &mut Value) {
    if dice.percent(40) {
        template["retry"] = json!({
            "limit": dice.within(1..=4), "backoff": format!("{}s", dice.within(1..=20)), "maxBackoff": "60s",
        });
    }
}

/// What a process that ends by itself does.
fn job(dice: &mut Dice) -> Vec<String> {
    let mut words = vec!["/bin/sim".to_owned()];
    let longest = *dice.pick(&[100, 2_000, 20_000, 120_000]);
    words.push(format!("for={}", dice.within(0..=longest)));
    words.push(format!("jitter={longest}"));
    words.push(format!("fail={}", dice.pick(&[0, 0, 10, 50])));
    if dice.percent(20) {
        words.push("signal=11".into());
    }
    extras(dice, &mut words);
    words
}

fn extras(dice: &mut Dice, words: &mut Vec<String>) {
    if dice.percent(20) {
        words.push("ignore-term".into());
    }
    if dice.percent(30) {
        words.push("fork".into());
    }
}

/// A Timer. `now` is the wall clock's date at the beginning, in seconds.
pub(super) fn timer(dice: &mut Dice, name: &str, now: i64, hours: u64) -> Value {
    let words = job(dice);
    let mut template = template(dice, words);
    retry(dice, &mut template);
    let mut spec = json!({"placement": placement(dice), "template": template});
    let zones = ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu"];
    match dice.below(10) {
        0..=4 => {
            let periods: &[&str] =
                if hours > 6 { &["5m", "10m", "30m", "1h"] } else { &["1m", "2m", "5m", "17m"] };
            spec["every"] = (*dice.pick(periods)).into();
        }
        5..=7 => {
            spec["cron"] = (*dice.pick(&["*/10 * * * *", "7,37 * * * *", "@hourly", "30 1-4 * * *"])).into();
            spec["timeZone"] = (*dice.pick(&zones)).into();
            if dice.percent(30) {
                spec["dst"] = (*dice.pick(&["Elapsed", "Wall"])).into();
            }
        }
        8 => {
            let after = i64::try_from(dice.within(120..=hours * 3000)).unwrap_or(120);
            let at = jiff::Timestamp::from_second(now + after).unwrap_or_default();
            spec["at"] = at.to_string().into();
        }
        _ => spec["onBoot"] = true.into(),
    }
    if spec["onBoot"].is_null() {
        spec["catchUp"] = (*dice.pick(&["Skip", "Once", "All"])).into();
        if dice.percent(30) {
            spec["splay"] = (*dice.pick(&["10s", "1m"])).into();
        }
        if dice.percent(30) {
            spec["startingDeadline"] = (*dice.pick(&["5s", "60s", "10m"])).into();
        }
    }
    spec["concurrencyPolicy"] = (*dice.pick(&["Forbid", "Forbid", "Allow", "Replace", "Queue"])).into();
    json!({"metadata": {"name": name}, "spec": spec})
}

/// A Task that runs once on each of its nodes.
pub(super) fn task(dice: &mut Dice, name: &str) -> Value {
    let words = job(dice);
    let mut template = template(dice, words);
    retry(dice, &mut template);
    let mut spec = json!({"placement": placement(dice), "template": template});
    if dice.percent(30) {
        spec["ttlAfterFinished"] = "10m".into();
    }
    if dice.percent(30) {
        spec["placement"]["count"] = dice.within(1..=3).into();
        if dice.percent(60) {
            spec["placement"]["failoverAfter"] = "2m".into();
        }
    }
    json!({"metadata": {"name": name}, "spec": spec})
}

/// A Task to be called.
pub(super) fn callable(dice: &mut Dice, name: &str) -> Value {
    let words = job(dice);
    let template = template(dice, words);
    json!({"metadata": {"name": name}, "spec": {
        "mode": "OnDemand", "params": [{"name": "key", "default": "k"}], "idempotencyKey": "$(params.key)",
        "placement": {"count": 1}, "template": template,
    }})
}

/// A Service.
pub(super) fn service(dice: &mut Dice, name: &str) -> Value {
    let mut words = vec!["/bin/sim".to_owned(), "forever".to_owned()];
    words.push(format!("fail={}", dice.pick(&[0, 0, 20])));
    extras(dice, &mut words);
    let mut template = template(dice, words);
    // One that ends after a minute is no Service.
    if let Some(template) = template.as_object_mut() {
        template.remove("timeout");
        template.remove("lane");
        template.remove("mutex");
    }
    let mut spec = json!({
        "replicas": dice.within(1..=3), "placement": placement(dice), "template": template,
        "restart": {"policy": dice.pick(&["Always", "Always", "OnFailure", "Never"]), "backoff": "1s", "maxBackoff": "30s"},
    });
    if dice.percent(40) {
        spec["placement"]["count"] = dice.within(1..=2).into();
        if dice.percent(75) {
            spec["placement"]["failoverAfter"] = "2m".into();
        }
    }
    json!({"metadata": {"name": name}, "spec": spec})
}

/// A pool of the nodes of a zone.
pub(super) fn pool(dice: &mut Dice, name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {
        "nodeSelector": {ZONE: dice.pick(&ZONES)}, "lanes": {LANE: dice.within(1..=3)},
    }})
}
