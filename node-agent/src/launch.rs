//! What a keeper is told, made of a claim: everything substituted and resolved.

use drover_spawn::{OutputLimits, RunSpec};

use crate::config::Config;
use crate::environment::{self, ConfigMissing, Names};
use crate::host::Host;
use crate::ledger::Claim;
use crate::materials::Materials;

const RUN_BYTES: u64 = 1 << 20;
const SERVICE_BYTES: u64 = 8 << 20;

/// Why a run cannot be started as its template says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaunchError {
    /// Something it refers to is not there; it waits until it is.
    #[error(transparent)]
    ConfigMissing(#[from] ConfigMissing),
    /// It can never be started so.
    #[error("{0}")]
    Invalid(String),
}

/// What is executed, where, with which environment: everything substituted.
pub(crate) struct Resolved {
    argv: Vec<String>,
    env: Vec<(String, String)>,
    working_dir: Option<String>,
}

/// Substitutes and resolves all that a claim's template refers to.
pub(crate) fn resolve(
    claim: &Claim,
    config: &Config,
    materials: &Materials,
    host: &dyn Host,
) -> Result<Resolved, LaunchError> {
    let process = &claim.template.process;
    let names = Names::new(claim, &config.node_name);
    let argv = match &process.script {
        Some(script) => {
            let mut argv =
                if process.shell.is_empty() { vec!["/bin/sh".to_owned()] } else { process.shell.clone() };
            argv.extend(["-c".to_owned(), names.script(script)?]);
            argv
        }
        None => {
            let all = process.command.iter().chain(&process.args);
            all.map(|part| names.substitute(part)).collect::<Result<Vec<_>, _>>()?
        }
    };
    if argv.is_empty() {
        return Err(LaunchError::Invalid("the template has neither command nor script".into()));
    }
    let base = host.user_variables(process.user.as_deref());
    let mut base = base.map_err(|error| LaunchError::Invalid(error.to_string()))?;
    base.push(("PATH", config.search_path.clone()));
    let env = environment::build(&names, process, materials, &base)?;
    let working_dir = process.working_dir.as_deref().map(|dir| names.substitute(dir)).transpose()?;
    Ok(Resolved { argv, env, working_dir })
}

/// The spec for a claim's keeper.
pub(crate) fn run_spec(
    claim: &Claim,
    config: &Config,
    materials: &Materials,
    host: &dyn Host,
) -> Result<RunSpec, LaunchError> {
    let process = &claim.template.process;
    let resolved = resolve(claim, config, materials, host)?;
    let mut spec = RunSpec::new(&claim.run_uid, resolved.argv);
    spec.env = resolved.env;
    spec.working_dir = resolved.working_dir.map(Into::into);
    spec.user = process.user.clone();
    spec.group = process.group.clone();
    let umask = process.umask.as_deref().unwrap_or("022");
    spec.umask = Some(
        u32::from_str_radix(umask, 8)
            .map_err(|_| LaunchError::Invalid(format!("umask {umask:?} is not octal")))?,
    );
    let default_bytes = if claim.replica.is_some() { SERVICE_BYTES } else { RUN_BYTES };
    let max_bytes = claim.template.output.as_ref().and_then(|output| output.max_bytes);
    let max_bytes = max_bytes.map_or(default_bytes, |quantity| quantity.0);
    spec.output = OutputLimits { max_bytes, segment_bytes: max_bytes / 4 };
    let stdin = process.stdin.as_ref().and_then(|stdin| stdin.text.as_deref());
    spec.stdin = stdin.map(|text| text.as_bytes().to_vec());
    Ok(spec)
}
