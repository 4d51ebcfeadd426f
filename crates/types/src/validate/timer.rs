//! Timer: exactly one schedule, and bounds.

use super::{Rules, cron, placement, template};
use crate::kinds::Timer;
use crate::kinds::timer::{CatchUp, ConcurrencyPolicy, TimerSpec};
use crate::{Duration, FieldError, FieldPath, ObjectMeta};

impl Rules for Timer {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn fill_defaults(&mut self) {
        let spec = &mut self.spec;
        spec.concurrency_policy.get_or_insert(ConcurrencyPolicy::default());
        spec.catch_up.get_or_insert(CatchUp::default());
        spec.successful_runs_history_limit.get_or_insert(3);
        spec.failed_runs_history_limit.get_or_insert(3);
        if spec.cron.is_some() {
            spec.time_zone.get_or_insert_with(|| "UTC".into());
        }
    }

    fn check(&self, errors: &mut Vec<FieldError>) {
        let at = FieldPath::from("spec");
        check_schedule(&at, &self.spec, errors);
        let limits = [
            ("successfulRunsHistoryLimit", self.spec.successful_runs_history_limit),
            ("failedRunsHistoryLimit", self.spec.failed_runs_history_limit),
        ];
        for (name, limit) in limits {
            if let Some(limit) = limit.filter(|l| *l > 1000) {
                errors.push(FieldError::invalid(at.child(name), limit, "must be at most 1000"));
            }
        }
        if let Some(placement) = &self.spec.placement {
            placement::check(&at.child("placement"), placement, &self.spec.template, errors);
        }
        template::check(&at.child("template"), &self.spec.template, &[], errors);
    }
}

fn check_schedule(at: &FieldPath, spec: &TimerSpec, errors: &mut Vec<FieldError>) {
    let set: Vec<&str> = [
        ("every", spec.every.is_some()),
        ("cron", spec.cron.is_some()),
        ("at", spec.at.is_some()),
        ("onBoot", spec.on_boot == Some(true)),
    ]
    .into_iter()
    .filter_map(|(name, set)| set.then_some(name))
    .collect();
    match set.as_slice() {
        [] => errors.push(FieldError::required(at.clone(), "set one of every, cron, at and onBoot")),
        [_] => {}
        [first, rest @ ..] => {
            for name in rest {
                errors.push(FieldError::forbidden(
                    at.child(name),
                    format_args!("{first} is set; set only one"),
                ));
            }
        }
    }
    if let Some(every) = spec.every
        && every < Duration::from_millis(100)
    {
        errors.push(FieldError::invalid(at.child("every"), every.to_string(), "must be at least 100ms"));
    }
    if let Some(line) = spec.cron.as_deref()
        && let Err(error) = cron::check(line)
    {
        errors.push(FieldError::invalid(at.child("cron"), line, error));
    }
    if let Some(zone) = spec.time_zone.as_deref() {
        if spec.cron.is_none() {
            errors.push(FieldError::forbidden(at.child("timeZone"), "timeZone is for cron"));
        } else if jiff::tz::TimeZone::get(zone).is_err() {
            let detail = "is not a time zone of the IANA database, as Europe/Berlin";
            errors.push(FieldError::invalid(at.child("timeZone"), zone, detail));
        }
    }
    if spec.dst.is_some() && spec.cron.is_none() {
        errors.push(FieldError::forbidden(at.child("dst"), "dst is for cron"));
    }
    if spec.on_boot == Some(true)
        && let Some(catch_up) = spec.catch_up.filter(|catch_up| *catch_up != CatchUp::Skip)
    {
        let detail = format_args!("{catch_up:?} has no meaning with onBoot: a boot is not missed");
        errors.push(FieldError::forbidden(at.child("catchUp"), detail));
    }
    if let Some(splay) = spec.splay {
        let at = at.child("splay");
        if spec.on_boot == Some(true) {
            errors.push(FieldError::forbidden(at, "splay is for every, cron and at"));
        } else if spec.every.is_some_and(|every| splay > every) {
            errors.push(FieldError::invalid(at, splay.to_string(), "must not be longer than every"));
        } else if splay > Duration::from_secs(86_400) {
            errors.push(FieldError::invalid(at, splay.to_string(), "must be at most 1d"));
        }
    }
    if spec.starting_deadline.is_some_and(Duration::is_zero) {
        let detail = "must be above 0; leave it out for no limit";
        errors.push(FieldError::invalid(at.child("startingDeadline"), "0s", detail));
    }
}
