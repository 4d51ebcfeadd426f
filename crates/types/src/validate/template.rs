//! Template: the process and the rules of one execution.

use crate::kinds::task::Param;
use crate::kinds::template::{EnvVar, Process, Template};
use crate::substitute::{NAMES, mentions, substitute, whole_param};
use crate::validate::names;
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
        check_backoff(&at, retry.backoff, retry.max_backoff, errors);
        if retry.on.as_ref().is_some_and(Vec::is_empty) {
            errors.push(FieldError::required(at.child("on"), "name at least one end, or leave it out"));
        }
    }
    if let Some(lane) = &template.lane
        && !names::is_dns_label(lane)
    {
        errors.push(FieldError::invalid(at.child("lane"), lane.as_str(), "must be a DNS-1123 label"));
    }
    for (i, key) in template.mutex.iter().enumerate() {
        let at = at.child("mutex").index(i);
        if key.is_empty() || key.len() > 253 {
            errors.push(FieldError::invalid(at.clone(), key.as_str(), "must have 1 to 253 bytes"));
        } else if !mentions(key, "NODE_NAME") {
            errors.push(not_built::fleet_wide_mutex(at.clone()));
        }
        if template.mutex[..i].contains(key) {
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

/// A wait and its bound, as `retry` and `restart` have them.
pub(crate) fn check_backoff(
    at: &FieldPath,
    first: Option<Duration>,
    max: Option<Duration>,
    errors: &mut Vec<FieldError>,
) {
    if let (Some(first), Some(max)) = (first, max)
        && max < first
    {
        errors.push(FieldError::invalid(
            at.child("maxBackoff"),
            max.to_string(),
            "must not be below backoff",
        ));
    }
}

/// Every `$(NAME)` in `text` must be known.
pub(crate) fn check_names(at: &FieldPath, text: &str, params: &[Param], errors: &mut Vec<FieldError>) {
    let known = |name: &str| match name.strip_prefix("params.") {
        Some(param) => params.iter().any(|p| p.name == param),
        None => NAMES.contains(&name) || name.strip_prefix("node.labels.").is_some_and(names::is_label_key),
    };
    if let Err(error) = substitute(text, |name| known(name).then(String::new)) {
        errors.push(FieldError::invalid(at.clone(), text, error));
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
    }
    if process.script.is_some() && !process.args.is_empty() {
        errors.push(FieldError::forbidden(at.child("args"), "args are for command"));
    }
    for (name, list) in [("command", &process.command), ("args", &process.args), ("shell", &process.shell)] {
        for (i, text) in list.iter().enumerate() {
            let at = at.child(name).index(i);
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
    for (i, var) in process.env.iter().enumerate() {
        check_env(&at.child("env").index(i), var, params, errors);
    }
    for (i, from) in process.env_from.iter().enumerate() {
        let at = at.child("envFrom").index(i);
        match (&from.secret_ref, &from.config_map_ref) {
            (Some(one), None) => {
                names::check_subdomain(at.child("secretRef").child("name"), &one.name, errors)
            }
            (None, Some(one)) => {
                names::check_subdomain(at.child("configMapRef").child("name"), &one.name, errors)
            }
            _ => {
                errors.push(FieldError::required(at.clone(), "set exactly one of secretRef and configMapRef"))
            }
        }
        if let Some(prefix) = from.prefix.as_deref().filter(|p| !p.is_empty() && !names::is_env_name(p)) {
            errors.push(FieldError::invalid(at.child("prefix"), prefix, ENV_NAME));
        }
    }
    check_setting(at, process, errors);
}

const ENV_NAME: &str = "must be letters, digits, '_', '-' and '.', not starting with a digit";

fn check_setting(at: &FieldPath, process: &Process, errors: &mut Vec<FieldError>) {
    if let Some(dir) = process.working_dir.as_deref() {
        check_nul(&at.child("workingDir"), dir, errors);
        if !dir.starts_with('/') {
            errors.push(FieldError::invalid(at.child("workingDir"), dir, "must be an absolute path"));
        }
    }
    for (name, who) in [("user", &process.user), ("group", &process.group)] {
        if let Some(who) = who.as_deref()
            && (who.is_empty() || who.contains(['\0', ':', '/']) || who.len() > 256)
        {
            errors.push(FieldError::invalid(at.child(name), who, "must be a name or a number"));
        }
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

fn check_env(at: &FieldPath, var: &EnvVar, params: &[Param], errors: &mut Vec<FieldError>) {
    if !names::is_env_name(&var.name) {
        errors.push(FieldError::invalid(at.child("name"), var.name.as_str(), ENV_NAME));
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
        const PATHS: [&str; 5] = [
            "metadata.name",
            "metadata.namespace",
            "spec.nodeName",
            "metadata.labels['x']",
            "node.labels['x']",
        ];
        let path = field.field_path.as_str();
        let label = ["metadata.labels['", "node.labels['"]
            .iter()
            .find_map(|p| path.strip_prefix(p)?.strip_suffix("']"))
            .is_some_and(names::is_label_key);
        if !label && !PATHS[..3].contains(&path) {
            errors.push(FieldError::not_supported(at.child("fieldRef").child("fieldPath"), path, &PATHS));
        }
    }
}

fn check_nul(at: &FieldPath, text: &str, errors: &mut Vec<FieldError>) {
    if text.contains('\0') {
        errors.push(FieldError::invalid(at.clone(), text, "must not contain a NUL byte"));
    }
}
