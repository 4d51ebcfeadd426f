//! Template: the process and the rules of one execution.

use crate::kinds::task::Param;
use crate::kinds::template::{EnvFrom, EnvVar, Process, RetryOn, Template};
use crate::substitute::{NAMES, mentions, substitute, whole_param};
use crate::validate::{bounds, names};
use crate::{Duration, FieldError, FieldPath, not_built};

const SIGNALS: [&str; 10] = [
    "SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGABRT",
    "SIGALRM",
];
const SCRIPT_LIMIT: usize = 256 * 1024;

/// Checks a template; `params` are the names that `$(params.x)` may use.
pub(crate) fn check(at: &FieldPath, template: &Template, params: &[Param], errors: &mut Vec<FieldError>) {
    check_process(&at.child("process"), &template.process, params, errors);
    if template.timeout.is_some_and(Duration::is_zero) {
        errors.push(FieldError::invalid(
            at.child("timeout"),
            "0s",
            "must be above 0; leave it out for no limit",
        ));
    }
    if let Some(retry) = &template.retry {
        let at = at.child("retry");
        if retry.limit > 100 {
            errors.push(FieldError::invalid(at.child("limit"), retry.limit, "must be at most 100"));
        }
        bounds::check_backoff(&at, retry.backoff, retry.max_backoff, Duration::from_secs(300), errors);
        check_ends(&at.child("on"), retry.on.as_deref(), errors);
    }
    if let Some(lane) = &template.lane
        && !names::is_dns_label(lane)
    {
        errors.push(FieldError::invalid(at.child("lane"), lane.as_str(), "must be a DNS-1123 label"));
    }
    let keys = at.child("mutex");
    let held = if bounds::fits(&keys, template.mutex.len(), bounds::MUTEXES, errors) {
        template.mutex.as_slice()
    } else {
        &[]
    };
    for (i, key) in held.iter().enumerate() {
        let at = keys.index(i);
        if key.is_empty() || key.len() > 253 {
            errors.push(FieldError::invalid(at.clone(), key.as_str(), "must have 1 to 253 bytes"));
        } else if !mentions(key, "NODE_NAME") {
            errors.push(not_built::fleet_wide_mutex(at.clone()));
        }
        if held[..i].contains(key) {
            errors.push(FieldError::duplicate(at.clone(), key.as_str()));
        }
        check_names(&at, key, params, errors);
    }
    if let Some(max) = template.output.as_ref().and_then(|o| o.max_bytes)
        && !(4096..=1 << 30).contains(&max.0)
    {
        let detail = "must be from 4Ki to 1Gi";
        errors.push(FieldError::invalid(at.child("output").child("maxBytes"), max.to_string(), detail));
    }
}

fn check_ends(at: &FieldPath, ends: Option<&[RetryOn]>, errors: &mut Vec<FieldError>) {
    let Some(ends) = ends else { return };
    if ends.is_empty() {
        errors.push(FieldError::required(at.clone(), "name at least one end, or leave it out"));
    } else if bounds::fits(at, ends.len(), 3, errors) {
        for (i, end) in ends.iter().enumerate().filter(|(i, end)| ends[..*i].contains(end)) {
            errors.push(FieldError::duplicate(at.index(i), format!("{end:?}")));
        }
    }
}

/// Every `$(NAME)` in `text` must be known, and a parameter must have a value whoever calls.
pub(crate) fn check_names(at: &FieldPath, text: &str, params: &[Param], errors: &mut Vec<FieldError>) {
    let known = |name: &str| match name.strip_prefix("params.") {
        Some(param) => params.iter().any(|p| p.name == param),
        None => NAMES.contains(&name) || name.strip_prefix("node.labels.").is_some_and(names::is_label_key),
    };
    if let Err(error) = substitute(text, |name| known(name).then(String::new)) {
        errors.push(FieldError::invalid(at.clone(), text, error));
    }
    let may_lack = |param: &&Param| param.required != Some(true) && param.default.is_none();
    for param in params.iter().filter(may_lack).filter(|p| mentions(text, &format!("params.{}", p.name))) {
        let name = &param.name;
        let detail = format_args!("params.{name} may be absent; make it required, or give it a default");
        errors.push(FieldError::invalid(at.clone(), text, detail));
    }
}

fn check_process(at: &FieldPath, process: &Process, params: &[Param], errors: &mut Vec<FieldError>) {
    match (process.command.first(), &process.script) {
        (None, None) => errors.push(FieldError::required(at.child("command"), "set command or script")),
        (Some(_), Some(_)) => {
            errors.push(FieldError::forbidden(at.child("script"), "command is set; set only one"))
        }
        (Some(program), None) if program.is_empty() => {
            errors.push(FieldError::required(at.child("command").index(0), "the program must have a name"));
        }
        (Some(_), None) | (None, Some(_)) => {}
    }
    if process.script.is_none() && !process.shell.is_empty() {
        errors.push(FieldError::forbidden(at.child("shell"), "shell is for script"));
    } else if process.shell.first().is_some_and(String::is_empty) {
        errors.push(FieldError::required(at.child("shell").index(0), "the program must have a name"));
    }
    if process.script.is_some() && !process.args.is_empty() {
        errors.push(FieldError::forbidden(at.child("args"), "args are for command"));
    }
    for (name, list) in [("command", &process.command), ("args", &process.args), ("shell", &process.shell)] {
        let at = at.child(name);
        if !bounds::fits(&at, list.len(), bounds::ARGUMENTS, errors) {
            continue;
        }
        for (i, text) in list.iter().enumerate() {
            let at = at.index(i);
            check_nul(&at, text, errors);
            if name != "shell" {
                check_names(&at, text, params, errors);
            }
        }
    }
    if let Some(script) = &process.script {
        let at = at.child("script");
        check_nul(&at, script, errors);
        if script.trim().is_empty() {
            errors.push(FieldError::required(at, "the script is empty"));
        } else if script.len() > SCRIPT_LIMIT {
            errors.push(FieldError::too_long(at, format_args!("at most {SCRIPT_LIMIT} bytes are allowed")));
        } else if whole_param(script).is_some() {
            check_names(&at, script, params, errors);
        }
    }
    if bounds::fits(&at.child("env"), process.env.len(), bounds::VARIABLES, errors) {
        for (i, var) in process.env.iter().enumerate() {
            check_env(&at.child("env").index(i), var, params, errors);
        }
    }
    if bounds::fits(&at.child("envFrom"), process.env_from.len(), bounds::FEW, errors) {
        for (i, from) in process.env_from.iter().enumerate() {
            check_env_from(&at.child("envFrom").index(i), from, errors);
        }
    }
    check_setting(at, process, params, errors);
}

fn check_env_from(at: &FieldPath, from: &EnvFrom, errors: &mut Vec<FieldError>) {
    match (&from.secret_ref, &from.config_map_ref) {
        (Some(one), None) => names::check_subdomain(at.child("secretRef").child("name"), &one.name, errors),
        (None, Some(one)) => {
            names::check_subdomain(at.child("configMapRef").child("name"), &one.name, errors)
        }
        _ => errors.push(FieldError::required(at.clone(), "set exactly one of secretRef and configMapRef")),
    }
    if let Some(prefix) = from.prefix.as_deref().filter(|p| !p.is_empty() && !names::is_env_name(p)) {
        errors.push(FieldError::invalid(at.child("prefix"), prefix, ENV_NAME));
    }
}

const ENV_NAME: &str = "must be letters, digits, '_', '-' and '.', not starting with a digit";

/// What every run is given; a variable of such a name would be overwritten.
const GIVEN: [&str; 9] = [
    "DROVER_NODE_NAME",
    "DROVER_NAMESPACE",
    "DROVER_WORKLOAD",
    "DROVER_RUN_NAME",
    "DROVER_RUN_UID",
    "DROVER_ATTEMPT",
    "DROVER_REPLICA",
    "DROVER_SCHEDULED_TIME",
    "DROVER_SOCKET",
];

fn check_setting(at: &FieldPath, process: &Process, params: &[Param], errors: &mut Vec<FieldError>) {
    if let Some(dir) = process.working_dir.as_deref() {
        let at = at.child("workingDir");
        check_nul(&at, dir, errors);
        check_names(&at, dir, params, errors);
        if !dir.starts_with('/') {
            errors.push(FieldError::invalid(at, dir, "must be an absolute path"));
        }
    }
    for (name, who) in [("user", &process.user), ("group", &process.group)] {
        if let Some(who) = who.as_deref().filter(|who| !is_account(who)) {
            errors.push(FieldError::invalid(
                at.child(name),
                who,
                "must be a name, or a number below 4294967295",
            ));
        }
    }
    if process.stdin.as_ref().is_some_and(|stdin| stdin.text.is_none()) {
        errors.push(FieldError::required(at.child("stdin").child("text"), "say what the process reads"));
    }
    if let Some(umask) = process.umask.as_deref() {
        let octal = (1..=4).contains(&umask.len()) && umask.bytes().all(|b| (b'0'..=b'7').contains(&b));
        if !octal || u32::from_str_radix(umask, 8).is_ok_and(|m| m > 0o777) {
            errors.push(FieldError::invalid(
                at.child("umask"),
                umask,
                "must be octal, from \"000\" to \"777\"",
            ));
        }
    }
    if let Some(signal) = process.termination_signal.as_deref().filter(|s| !SIGNALS.contains(s)) {
        errors.push(FieldError::not_supported(at.child("terminationSignal"), signal, &SIGNALS));
    }
    if let Some(grace) = process.termination_grace_period.filter(|g| *g > Duration::from_secs(3600)) {
        let at = at.child("terminationGracePeriod");
        errors.push(FieldError::invalid(at, grace.to_string(), "must be at most 1h"));
    }
}

/// A user or group by name or number. The highest number means "leave it as it is" to the kernel.
fn is_account(text: &str) -> bool {
    let strange = |c: char| c.is_control() || c.is_whitespace() || matches!(c, ':' | '/' | ',');
    if text.is_empty() || text.len() > 256 || text.contains(strange) || text.starts_with(['-', '+']) {
        return false;
    }
    !text.bytes().all(|b| b.is_ascii_digit()) || text.parse::<u32>().is_ok_and(|number| number < u32::MAX)
}

fn check_env(at: &FieldPath, var: &EnvVar, params: &[Param], errors: &mut Vec<FieldError>) {
    if !names::is_env_name(&var.name) {
        errors.push(FieldError::invalid(at.child("name"), var.name.as_str(), ENV_NAME));
    } else if GIVEN.contains(&var.name.as_str()) || var.name.starts_with("DROVER_PARAM_") {
        errors.push(FieldError::forbidden(at.child("name"), "Drover gives every run this variable itself"));
    }
    if let Some(value) = &var.value {
        check_nul(&at.child("value"), value, errors);
        check_names(&at.child("value"), value, params, errors);
    }
    let Some(from) = &var.value_from else { return };
    let at = at.child("valueFrom");
    if var.value.is_some() {
        errors.push(FieldError::forbidden(at.clone(), "value is set; set only one"));
    }
    let set = [from.secret_key_ref.is_some(), from.config_map_key_ref.is_some(), from.field_ref.is_some()];
    if set.iter().filter(|s| **s).count() != 1 {
        let detail = "set exactly one of secretKeyRef, configMapKeyRef and fieldRef";
        errors.push(FieldError::required(at.clone(), detail));
    }
    for (name, key_ref) in
        [("secretKeyRef", &from.secret_key_ref), ("configMapKeyRef", &from.config_map_key_ref)]
    {
        if let Some(key_ref) = key_ref {
            let at = at.child(name);
            names::check_subdomain(at.child("name"), &key_ref.name, errors);
            if !names::is_data_key(&key_ref.key) {
                errors.push(FieldError::invalid(at.child("key"), key_ref.key.as_str(), "is not a data key"));
            }
        }
    }
    if let Some(field) = &from.field_ref {
        check_field_ref(at.child("fieldRef").child("fieldPath"), &field.field_path, errors);
    }
}

fn check_field_ref(at: FieldPath, path: &str, errors: &mut Vec<FieldError>) {
    const PATHS: [&str; 4] = ["metadata.name", "metadata.namespace", "spec.nodeName", "node.labels['x']"];
    let label = |prefix| path.strip_prefix(prefix).and_then(|rest| rest.strip_suffix("']"));
    if label("metadata.labels['").is_some_and(names::is_label_key) {
        errors.push(not_built::own_labels(at));
    } else if !label("node.labels['").is_some_and(names::is_label_key) && !PATHS[..3].contains(&path) {
        errors.push(FieldError::not_supported(at, path, &PATHS));
    }
}

fn check_nul(at: &FieldPath, text: &str, errors: &mut Vec<FieldError>) {
    if text.contains('\0') {
        errors.push(FieldError::invalid(at.clone(), text, "must not contain a NUL byte"));
    }
}
