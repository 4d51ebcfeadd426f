//! What a role says of itself: to stderr, a line each, `DROVER_LOG` decides how much (as in `debug`, or
//! `drover_node_agent=debug,info`).
//!
//! The libraries below are never heard at `trace`, whatever was asked for: there they print the requests and frames
//! that they carry, and so tokens and the values of Secrets.

use std::io::IsTerminal;

use anyhow::{Context, Result};
use tracing::Level;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

const VARIABLE: &str = "DROVER_LOG";

/// Sets it up for the whole process. `default` is used where `DROVER_LOG` is not set.
pub(crate) fn start(default: &str) -> Result<()> {
    let wanted = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty());
    let text = wanted.as_deref().unwrap_or(default);
    let filter = EnvFilter::try_new(text).with_context(|| format!("{VARIABLE}={text:?} is not a filter"))?;
    let colour = std::io::stderr().is_terminal() && crate::terminal::stderr_colour();
    tracing_subscriber::registry()
        .with(fmt::layer().with_writer(std::io::stderr).with_ansi(colour))
        .with(filter)
        .with(filter_fn(|metadata| may_speak(metadata.target(), metadata.level())))
        .init();
    Ok(())
}

/// Whether a target may be heard at a level.
fn may_speak(target: &str, level: &Level) -> bool {
    *level <= Level::DEBUG || target.starts_with("drover")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_drover_itself_is_heard_at_trace() {
        assert!(may_speak("drover_node_agent::session", &Level::TRACE));
        assert!(may_speak("tungstenite::protocol", &Level::DEBUG));
        assert!(!may_speak("tungstenite::protocol", &Level::TRACE));
        assert!(!may_speak("hyper::proto", &Level::TRACE));
    }
}
