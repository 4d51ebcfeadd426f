//! Who follows every collection over the API, as any controller would, and tells the history what it was shown.

use drover_client::{Client, Error, EventKind, List, ListOptions, WatchOptions};
use drover_types::Kind;
use serde_json::Value;
use tokio::task::JoinSet;

use super::ServerSite;
use super::client::client;
use crate::history::History;
use crate::net::Link;
use crate::seed::Seed;
use crate::step::{Event, Part};

/// What is followed. The rest is written by so few, or so often, that nothing new is seen.
const KINDS: [Kind; 6] = [Kind::Node, Kind::Timer, Kind::Task, Kind::Service, Kind::Assignment, Kind::Run];

/// Between two lists.
const LOOK: std::time::Duration = std::time::Duration::from_secs(120);

/// Follows everything for ever.
pub async fn watch_everything(seed: Seed, history: History, server: ServerSite, link: Link, token: String) {
    let client = client(seed, "witness", &server, &link, &token);
    let mut tasks = JoinSet::new();
    for kind in KINDS {
        tasks.spawn(follow(client.clone(), history.clone(), kind.path(None)));
    }
    tasks.spawn(look_around(client.clone(), history.clone()));
    while tasks.join_next().await.is_some() {}
}

async fn follow(client: Client, history: History, path: String) {
    let pause = std::time::Duration::from_secs(1);
    let mut from: Option<u64> = None;
    loop {
        let revision = match from {
            Some(revision) => revision,
            None => match list(&client, &history, &path).await {
                Ok(revision) => revision,
                Err(_) => {
                    tokio::time::sleep(pause).await;
                    continue;
                }
            },
        };
        from = Some(revision);
        let why = match watch(&client, &history, &path, &mut from).await {
            Ok(()) => "it was over".to_owned(),
            Err(error) => {
                if matches!(&error, Error::Api(error) if error.status.code == 410) {
                    from = None;
                }
                error.to_string()
            }
        };
        let resumes = from.is_some();
        history.step(Part::Witness, Event::WatchOver { path: path.clone(), why, resumes });
        tokio::time::sleep(pause).await;
    }
}

/// Lists one collection after the other, now and then.
async fn look_around(client: Client, history: History) {
    for kind in KINDS.into_iter().cycle() {
        tokio::time::sleep(LOOK).await;
        let path = kind.path(None);
        if let Ok((revision, items)) = read(&client, &path).await {
            history.step(Part::Witness, Event::Read { path, revision, items });
        }
    }
}

async fn read(client: &Client, path: &str) -> Result<(u64, Vec<(String, u64)>), Error> {
    let list: List<Value> = client.list(path, &ListOptions::default()).await?;
    let revision = list.metadata.resource_version.parse().unwrap_or(0);
    Ok((revision, list.items.iter().map(identity).collect()))
}

async fn list(client: &Client, history: &History, path: &str) -> Result<u64, Error> {
    let (revision, items) = read(client, path).await?;
    history.step(Part::Witness, Event::Listed { path: path.to_owned(), revision, items });
    Ok(revision)
}

async fn watch(client: &Client, history: &History, path: &str, from: &mut Option<u64>) -> Result<(), Error> {
    let options = WatchOptions {
        resource_version: from.map(|revision| revision.to_string()),
        bookmarks: true,
        ..WatchOptions::default()
    };
    let mut watch = client.watch(path, &options).await?;
    while let Some(event) = watch.next().await? {
        let object: Value = event.object()?;
        let (name, revision) = identity(&object);
        let kind = match event.kind {
            EventKind::Added => "ADDED",
            EventKind::Modified => "MODIFIED",
            EventKind::Deleted => "DELETED",
            EventKind::Bookmark => "BOOKMARK",
            EventKind::Error => "ERROR",
        };
        *from = Some(revision);
        history.step(Part::Witness, Event::Watched { path: path.to_owned(), kind, name, revision });
    }
    Ok(())
}

fn identity(object: &Value) -> (String, u64) {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    let name = match text("namespace") {
        "" => text("name").to_owned(),
        namespace => format!("{namespace}/{}", text("name")),
    };
    (name, text("resourceVersion").parse().unwrap_or(0))
}
