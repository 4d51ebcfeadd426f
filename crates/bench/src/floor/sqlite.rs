//! What SQLite allows with `synchronous = FULL`: one row of 1 KiB a transaction, or as many as wait, from one writer
//! thread.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::load::closed_loop;
use crate::stats::Round;

/// The most rows of one transaction.
const BATCH: usize = 256;

struct Row {
    key: u64,
    answer: oneshot::Sender<()>,
}

/// Group commit for so many producers.
pub(crate) async fn group_commit(dir: &Path, producers: usize, measured: Duration) -> Result<Round> {
    let path = dir.join("floor.db");
    let connection = open(&path)?;
    let (send, receive) = mpsc::channel::<Row>();
    let writer = std::thread::spawn(move || write(&connection, &receive));
    let clients = (0..producers)
        .map(|_| {
            let send = send.clone();
            let client: closed_loop::Client = Box::new(move |key| {
                let send = send.clone();
                Box::pin(async move {
                    let (answer, answered) = oneshot::channel();
                    send.send(Row { key, answer }).ok().context("the writer is gone")?;
                    Ok(answered.await?)
                })
            });
            client
        })
        .collect();
    drop(send);
    let round = closed_loop::run("", clients, Duration::from_millis(300), measured).await;
    let wrote = writer.join().ok().context("the writer panicked")?;
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
    }
    wrote?;
    round
}

fn open(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE row (key INTEGER PRIMARY KEY, value BLOB NOT NULL) STRICT;",
    )?;
    Ok(connection)
}

fn write(connection: &Connection, receive: &mpsc::Receiver<Row>) -> Result<()> {
    let mut begin = connection.prepare("BEGIN IMMEDIATE")?;
    let mut commit = connection.prepare("COMMIT")?;
    let mut insert = connection.prepare("INSERT OR REPLACE INTO row (key, value) VALUES (?1, ?2)")?;
    let value = [b'x'; 1024];
    while let Ok(first) = receive.recv() {
        let rows: Vec<Row> = std::iter::once(first).chain(receive.try_iter().take(BATCH - 1)).collect();
        begin.execute([])?;
        for row in &rows {
            insert.execute((i64::try_from(row.key)?, &value[..]))?;
        }
        commit.execute([])?;
        for row in rows {
            let _ = row.answer.send(());
        }
    }
    Ok(())
}
