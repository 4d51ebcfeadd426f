//! `drover kubeconfig`: a kubeconfig of the current context that needs no other file. Its token is in it, so it is as
//! secret as the token.

use std::process::ExitCode;

use anyhow::Result;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use drover_client::ClientConfig;
use serde_json::{Value, json};

use crate::command_line::Kubeconfig;
use crate::connect::configuration;
use crate::terminal;

pub(crate) fn run(args: &Kubeconfig) -> Result<ExitCode> {
    let mut config = configuration(&args.target)?;
    if let Some(namespace) = &args.target.namespace {
        config.namespace = Some(namespace.clone());
    }
    if let Some(url) = &args.server {
        let at = ClientConfig::from_url(url, Vec::new(), None)?;
        (config.host, config.port, config.server_name) = (at.host, at.port, at.server_name);
    }
    terminal::print(&drover_manifest::emit(&document(&config)))?;
    Ok(ExitCode::SUCCESS)
}

fn document(config: &ClientConfig) -> Value {
    let mut cluster = json!({
        "server": format!("https://{}", config.authority()),
        "certificate-authority-data": BASE64_STANDARD.encode(&config.ca_pem),
    });
    if config.server_name != config.host {
        cluster["tls-server-name"] = json!(config.server_name);
    }
    let mut context = json!({"cluster": "drover", "user": "drover"});
    if let Some(namespace) = &config.namespace {
        context["namespace"] = json!(namespace);
    }
    let user = config.token.as_ref().map_or_else(|| json!({}), |token| json!({ "token": token }));
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "drover",
        "clusters": [{"name": "drover", "cluster": cluster}],
        "users": [{"name": "drover", "user": user}],
        "contexts": [{"name": "drover", "context": context}],
    })
}
