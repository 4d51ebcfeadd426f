//! `drover run TASK`: calls an OnDemand Task; with `--wait` or `--follow`, until it is done.

use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, bail};
use drover_client::{Client, ListOptions, Request};
use drover_types::Kind;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::command_line::{NameOrData, RunTask};
use crate::connect::{Connection, block_on, collection_path, connect, object_path};
use crate::failure::usage;
use crate::follow::Follow;
use crate::logs::{Ends, LogQuery, Prefix, Reader, Workload};
use crate::resources;
use crate::terminal;
use crate::waiting::because;
use drover_columns::fields::{condition, holds, name};

pub(crate) fn run(args: &RunTask) -> Result<ExitCode> {
    let task = match args.task.contains('/') {
        false => args.task.clone(),
        true => match resources::one(&args.task)? {
            (Kind::Task, name) => name,
            (kind, _) => {
                return Err(usage(format!("a {} cannot be called; a task can", kind.names().singular)));
            }
        },
    };
    let body = body(args)?;
    let connection = connect(&args.target)?;
    block_on(async {
        let (child, created) = call(&connection, &task, &body).await?;
        let name = name(&child).to_owned();
        match args.output {
            None if args.follow => {
                terminal::tell(&format!("task/{name} {}", word(created)));
            }
            None => terminal::report(&format!("task/{name} {}\n", word(created)))?,
            Some(NameOrData::Name) => terminal::report(&format!("task/{name}\n"))?,
            Some(NameOrData::Json) => terminal::report(&format!("{child:#}\n"))?,
            Some(NameOrData::Yaml) => terminal::report(&drover_manifest::emit(&child))?,
        }
        if !args.wait && !args.follow {
            return Ok(ExitCode::SUCCESS);
        }
        let work = outcome(args, &connection, child);
        let done = if args.timeout.is_zero() {
            work.await
        } else {
            match tokio::time::timeout(args.timeout.to_std(), work).await {
                Ok(done) => done,
                Err(_) => {
                    let path = object_path(Kind::Task, &connection.namespace, &name);
                    let live: Option<Value> = connection.client.get(&path).await.ok();
                    let why = live.as_ref().and_then(|task| condition(task, "Complete")).map(because);
                    Err(anyhow!("task/{name} is not done after {}{}", args.timeout, why.unwrap_or_default()))
                }
            }
        }?;
        judge(&done)
    })
}

fn word(created: bool) -> &'static str {
    if created { "created" } else { "exists" }
}

/// What is posted.
fn body(args: &RunTask) -> Result<Value> {
    let pair = |word: &str, flag: &str| {
        let pair = word.split_once('=').filter(|(key, _)| !key.is_empty());
        let (key, value) = pair.ok_or_else(|| usage(format!("{flag}: {word:?} is not NAME=VALUE")))?;
        Ok::<_, anyhow::Error>((key.to_owned(), json!(value)))
    };
    let mut body = json!({});
    let mut params = Map::new();
    for word in &args.params {
        let (key, value) = pair(word, "-p")?;
        if params.insert(key.clone(), value).is_some() {
            return Err(usage(format!("-p: {key} is given twice")));
        }
    }
    if !params.is_empty() {
        body["params"] = params.into();
    }
    if let Some(selector) = &args.selector {
        let pairs: Result<Map<_, _>> = selector
            .split(',')
            .map(|word| {
                if word.contains("!=") || word.contains(" in ") || word.contains(" notin ") {
                    return Err(usage(format!("-l: {word:?}: a call takes KEY=VALUE only")));
                }
                pair(&word.trim().replacen("==", "=", 1), "-l")
            })
            .collect();
        body["nodeSelector"] = pairs?.into();
    }
    if let Some(node) = &args.node {
        body["nodeName"] = json!(node);
    }
    if let Some(key) = &args.idempotency_key {
        body["idempotencyKey"] = json!(key);
    }
    Ok(body)
}

/// Calls the Task. Returns its child, and whether it is a new one.
async fn call(connection: &Connection, task: &str, body: &Value) -> Result<(Value, bool)> {
    let path = format!("{}/run", object_path(Kind::Task, &connection.namespace, task));
    let mut request = Request::new(Method::POST, &path);
    request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request.body = body.to_string().into();
    let answer = connection.client.send(request).await?;
    let child = serde_json::from_slice(&answer.body).context("the apiserver's answer cannot be read")?;
    Ok((child, answer.status == StatusCode::CREATED))
}

/// The child once it is done.
async fn outcome(args: &RunTask, connection: &Connection, child: Value) -> Result<Value> {
    let name = name(&child).to_owned();
    if !args.follow {
        return until_done(&connection.client, &connection.namespace, child).await;
    }
    let reader = Reader {
        client: connection.client.clone(),
        namespace: connection.namespace.clone(),
        query: LogQuery { follow: true, ..LogQuery::default() },
        prefix: Prefix::Auto,
    };
    let workload = Workload { kind: Kind::Task, name: name.clone(), node: None };
    if is_done(&child) {
        // A repeat of a call that is over. Its runs may have been let go; what they said is then no longer there.
        let query = LogQuery::default();
        let reader = Reader { query, ..reader };
        let sources = workload.newest(&reader).await?;
        reader.print_all(&sources).await?;
        return Ok(child);
    }
    let (done, _) = workload.follow(reader, Ends::WithTask).await?;
    done.with_context(|| format!("task/{name} is gone"))
}

async fn until_done(client: &Client, namespace: &str, child: Value) -> Result<Value> {
    // What a repeated call finds may have been let go since; what the answer says of it still holds.
    if is_done(&child) {
        return Ok(child);
    }
    let name = name(&child);
    let options =
        ListOptions { field_selector: Some(format!("metadata.name={name}")), ..ListOptions::default() };
    let path = collection_path(Kind::Task, Some(namespace));
    let (found, mut follow) = Follow::begin(client, &path, options).await?;
    let mut live = found.into_iter().next();
    loop {
        match live {
            None => bail!("task/{name} is gone"),
            Some(task) if is_done(&task) => return Ok(task),
            Some(_) => {}
        }
        let seen = follow.next().await?;
        live = (seen.kind != drover_client::EventKind::Deleted).then_some(seen.object);
    }
}

fn is_done(task: &Value) -> bool {
    holds(task, "Complete") || holds(task, "Failed")
}

/// The exit code by how the Task ended.
fn judge(task: &Value) -> Result<ExitCode> {
    if !holds(task, "Failed") {
        return Ok(ExitCode::SUCCESS);
    }
    let why = condition(task, "Failed").map(because).unwrap_or_default();
    bail!("task/{} failed{why}", name(task))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::command_line::{CommandLine, Verb};

    fn read(line: &str) -> Result<Value> {
        let words = std::iter::once("drover").chain(line.split(' '));
        match CommandLine::try_parse_from(words)?.verb {
            Verb::Run(args) => body(&args),
            _ => bail!("another verb"),
        }
    }

    #[test]
    fn a_call_says_what_was_given_and_nothing_else() {
        assert_eq!(read("run deploy").unwrap(), json!({}));
        assert_eq!(
            read("run deploy --node a -p n=5 -p text=a=b --idempotency-key k").unwrap(),
            json!({"nodeName": "a", "params": {"n": "5", "text": "a=b"}, "idempotencyKey": "k"})
        );
        assert_eq!(
            read("run deploy -l tier=web,dc==a").unwrap(),
            json!({"nodeSelector": {"tier": "web", "dc": "a"}})
        );
        for bad in
            ["run d -p n", "run d -p =x", "run d -p a=1 -p a=2", "run d -l a!=b", "run d -l a --node b"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_failed_call_fails_with_its_reason() {
        let task = |type_: &str| {
            json!({"metadata": {"name": "d"}, "status": {"conditions": [
                {"type": type_, "status": "True", "reason": "RunFailed", "message": "exit code 3 on a"},
            ]}})
        };
        assert!(judge(&task("Complete")).is_ok());
        let error = judge(&task("Failed")).unwrap_err();
        assert_eq!(error.to_string(), "task/d failed (RunFailed: exit code 3 on a)");
    }
}
