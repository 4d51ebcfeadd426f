//! Which objects a verb that changes several is about: those named, those with labels, or all of a kind.

use anyhow::Result;
use clap::Args;
use drover_client::{List, ListOptions};
use drover_columns::fields::{name, namespace};
use drover_types::Kind;
use serde_json::Value;

use crate::connect::{Connection, collection_path, object_path};
use crate::failure::usage;
use crate::resources::{self, Named, shown};

/// Flags that choose objects.
#[derive(Default, Args)]
pub(crate) struct Choice {
    /// Objects with these labels
    #[arg(short = 'l', long, conflicts_with = "all")]
    pub(crate) selector: Option<String>,
    /// All objects of the kind
    #[arg(long)]
    pub(crate) all: bool,
    /// In all namespaces
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
}

/// One object.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub(crate) kind: Kind,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Chosen {
    /// Where it is.
    pub(crate) fn path(&self) -> String {
        object_path(self.kind, &self.namespace, &self.name)
    }

    /// As a user names it.
    pub(crate) fn shown(&self) -> String {
        shown(self.kind, &self.name)
    }
}

/// The objects that `words` name, for a verb that takes no others.
pub(crate) fn named(words: &[String], connection: &Connection, deed: &str) -> Result<Vec<Chosen>> {
    let mut chosen = Vec::new();
    for wanted in resources::parse(words)? {
        if wanted.names.is_empty() {
            return Err(usage(format!("name what is to be {deed}, as in `timer beat` or `timer/beat`")));
        }
        chosen.extend(by_name(wanted, connection));
    }
    Ok(chosen)
}

fn by_name(wanted: Named, connection: &Connection) -> impl Iterator<Item = Chosen> {
    wanted.names.into_iter().map(move |name| Chosen {
        kind: wanted.kind,
        namespace: connection.namespace.clone(),
        name,
    })
}

impl Choice {
    /// The objects that `words` and the flags choose; `deed` is what is to be done with them, as `deleted`.
    pub(crate) async fn of(
        &self,
        words: &[String],
        connection: &Connection,
        deed: &str,
    ) -> Result<Vec<Chosen>> {
        let selects = self.all || self.selector.is_some();
        let mut chosen = Vec::new();
        for wanted in resources::parse(words)? {
            match (wanted.names.is_empty(), selects) {
                (true, false) => {
                    return Err(usage(format!(
                        "name what is to be {deed}, or give a selector (-l) or --all"
                    )));
                }
                (false, true) => {
                    return Err(usage("a name cannot be given together with a selector or --all"));
                }
                (false, false) if self.all_namespaces => {
                    return Err(usage("a name cannot be given together with --all-namespaces"));
                }
                (false, false) => chosen.extend(by_name(wanted, connection)),
                (true, true) => {
                    let space = (!self.all_namespaces).then_some(connection.namespace.as_str());
                    let options =
                        ListOptions { label_selector: self.selector.clone(), ..ListOptions::default() };
                    let path = collection_path(wanted.kind, space);
                    let list: List<Value> = connection.client.list(&path, &options).await?;
                    chosen.extend(list.items.iter().map(|object| Chosen {
                        kind: wanted.kind,
                        namespace: namespace(object).to_owned(),
                        name: name(object).to_owned(),
                    }));
                }
            }
        }
        Ok(chosen)
    }
}
