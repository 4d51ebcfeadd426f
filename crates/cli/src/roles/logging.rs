//! What a role says of itself: to stderr, a line each, `DROVER_LOG` decides how much (as in `debug`, or
//! `drover_node_agent=debug,info`).

use std::io::IsTerminal;

use anyhow::{Context, Result};
use tracing_subscriber::EnvFilter;

const VARIABLE: &str = "DROVER_LOG";

/// Sets it up for the whole process. `default` is used where `DROVER_LOG` is not set.
pub(crate) fn start(default: &str) -> Result<()> {
    let wanted = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty());
    let text = wanted.as_deref().unwrap_or(default);
    let filter = EnvFilter::try_new(text).with_context(|| format!("{VARIABLE}={text:?} is not a filter"))?;
    let colour = std::io::stderr().is_terminal() && crate::terminal::stderr_colour();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour).init();
    Ok(())
}
