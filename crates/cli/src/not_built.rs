//! Verbs of the design that this build does not have: each is refused by name, with what brings it, so that nobody
//! takes it for a misspelling. They are in no help and no completion.

const MESSAGES: &str = "messages, variables and gateways";
const AGENT: &str = "the node agent in depth";
const MOVING_IN: &str = "moving in from cron, systemd, supervisor and pm2";

const VERBS: [(&str, &str); 8] = [
    ("top", AGENT),
    ("exec", AGENT),
    ("rerun", AGENT),
    ("locks", AGENT),
    ("var", MESSAGES),
    ("pub", MESSAGES),
    ("sub", MESSAGES),
    ("import", MOVING_IN),
];

/// Why a verb is refused, if it is one that is still to come.
pub(crate) fn refusal(verb: &str) -> Option<String> {
    let (_, brings) = VERBS.iter().find(|(name, _)| *name == verb)?;
    Some(format!("`drover {verb}` is not built yet: it comes with {brings}"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::command_line::CommandLine;

    #[test]
    fn no_verb_is_both_built_and_refused() {
        for verb in CommandLine::command().get_subcommands() {
            assert_eq!(refusal(verb.get_name()), None);
        }
        assert!(refusal("pub").is_some_and(|said| said.contains("not built yet")));
        assert_eq!(refusal("pubb"), None);
    }
}
