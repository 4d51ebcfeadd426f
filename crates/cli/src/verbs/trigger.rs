//! `drover trigger timer/X`: one line for each node, and a failure if none took it.

use std::process::ExitCode;

use anyhow::{Result, bail};
use drover_types::Kind;
use drover_world::World;
use serde_json::{Value, json};

use crate::command_line::{Output, Trigger};
use crate::connect::{block_on, connect, object_path};
use crate::failure::usage;
use crate::resources;
use crate::terminal;
use drover_columns::fields::{list, text};

pub(crate) fn run(args: &Trigger) -> Result<ExitCode> {
    let name = match args.timer.contains('/') {
        false => args.timer.clone(),
        true => match resources::one(&args.timer)? {
            (Kind::Timer, name) => name,
            (kind, _) => {
                return Err(usage(format!("a {} cannot be triggered; a timer can", kind.names().singular)));
            }
        },
    };
    let connection = connect(&args.target)?;
    let path = format!("{}/trigger", object_path(Kind::Timer, &connection.namespace, &name));
    let request = World::system().uuid_v4().to_string();
    let body = body(args.node.as_deref(), &request);
    let answer: Value = block_on(async { Ok(connection.client.create(&path, &body).await?) })?;
    let (lines, started) = lines(&name, &answer);
    match args.output {
        Output::Json => terminal::print(&format!("{answer:#}\n"))?,
        Output::Text => terminal::print(&lines)?,
    }
    if started == 0 {
        if args.output == Output::Json {
            return Ok(ExitCode::FAILURE);
        }
        bail!("no node started it");
    }
    Ok(ExitCode::SUCCESS)
}

/// The request's id makes one run of one call, however often the call is sent.
fn body(node: Option<&str>, request: &str) -> Value {
    let mut body = json!({ "requestId": request });
    if let Some(node) = node {
        body["nodeName"] = json!(node);
    }
    body
}

/// A line for each node, and how many of them started it.
fn lines(timer: &str, answer: &Value) -> (String, usize) {
    let (mut out, mut started) = (String::new(), 0);
    for node in list(answer, "/nodes") {
        let name = text(node, "/nodeName");
        match text(node, "/run") {
            "" => {
                let why = terminal::tame(text(node, "/refused"));
                out.push_str(&format!("timer/{timer} refused on {name}: {why}\n"));
            }
            run => {
                started += 1;
                out.push_str(&format!("timer/{timer} triggered on {name}: run/{run}\n"));
            }
        }
    }
    (out, started)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_has_a_line_and_only_started_ones_count() {
        let answer = json!({"nodes": [
            {"nodeName": "a", "run": "beat-0123"}, {"nodeName": "b", "refused": "it is not connected"},
        ]});
        let (said, started) = lines("beat", &answer);
        assert_eq!(
            said,
            "timer/beat triggered on a: run/beat-0123\ntimer/beat refused on b: it is not connected\n"
        );
        assert_eq!(started, 1);
        assert_eq!(lines("beat", &json!({"nodes": []})), (String::new(), 0));
    }

    #[test]
    fn a_call_names_its_node_only_if_it_was_given_one() {
        assert_eq!(body(None, "r"), json!({"requestId": "r"}));
        assert_eq!(body(Some("a"), "r"), json!({"requestId": "r", "nodeName": "a"}));
    }
}
