//! `drover token create node|user`: the token alone on stdout, what to do with it on stderr.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::command_line::{CreateToken, Output, Token, TokenFor};
use crate::connect::{block_on, configuration, connect};
use crate::failure::usage;
use crate::terminal;
use drover_columns::fields::text;

pub(crate) fn run(args: &Token) -> Result<ExitCode> {
    let Token::Create(what) = args;
    match what {
        CreateToken::User(user) => create(&user.token, &json!({ "role": "user", "name": user.name })),
        CreateToken::Node(node) => {
            let mut wish = json!({ "role": "node", "allowedLabels": labels(&node.allow_label)? });
            if let Some(name) = &node.node_name {
                wish["nodeName"] = json!(name);
            }
            let done = create(&node.token, &wish)?;
            let server = format!("https://{}", configuration(&node.token.target)?.authority());
            if node.token.output == Output::Text {
                terminal::tell(&hint(&server, node.node_name.as_deref()));
            }
            Ok(done)
        }
    }
}

fn create(args: &TokenFor, wish: &Value) -> Result<ExitCode> {
    let mut wish = wish.clone();
    let seconds = args.ttl.as_millis() / 1000;
    if seconds == 0 {
        return Err(usage("--ttl: a token is good for a second at least"));
    }
    wish["ttlSeconds"] = json!(seconds);
    let connection = connect(&args.target)?;
    let answer: Value =
        block_on(async { Ok(connection.client.create("/apis/drover.dev/v1/tokens", &wish).await?) })?;
    match args.output {
        Output::Json => terminal::print(&format!("{answer}\n"))?,
        Output::Text => {
            let token = Some(text(&answer, "/token")).filter(|token| !token.is_empty());
            terminal::print(&format!("{}\n", token.context("the server's answer has no token")?))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `k=v` words as the values that each key may have.
fn labels(words: &[String]) -> Result<BTreeMap<&str, Vec<&str>>> {
    let mut allowed: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for word in words {
        let Some((key, value)) = word.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(usage(format!("--allow-label: {word:?} is not KEY=VALUE")));
        };
        allowed.entry(key).or_default().push(value);
    }
    Ok(allowed)
}

/// How the host uses it. Everybody on a host can read the arguments of a process, so the token goes by file.
fn hint(server: &str, node: Option<&str>) -> String {
    let named = node.map(|name| format!(" --node-name {name}")).unwrap_or_default();
    format!(
        "on the host, with the token in a file that only root can read:\n  \
         drover agent --server {server} --token-file join.token --data-dir /var/lib/drover{named}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_label_may_have_several_values() {
        let words = ["tier=web".to_owned(), "tier=db".to_owned(), "dc=".to_owned()];
        let allowed = labels(&words).unwrap();
        assert_eq!((&allowed["tier"], &allowed["dc"]), (&vec!["web", "db"], &vec![""]));
        assert!(labels(&["tier".to_owned()]).is_err() && labels(&["=x".to_owned()]).is_err());
    }

    #[test]
    fn the_hint_never_puts_a_token_into_arguments() {
        let said = hint("https://a:7443", Some("web-1"));
        assert!(said.contains("--server https://a:7443") && said.contains("--node-name web-1"), "{said}");
        assert!(!said.contains("--token "), "{said}");
    }
}
