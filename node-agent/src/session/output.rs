//! Streams of runs' output that the server opened, each a task of its own, paced by the server's credit.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use drover_wire::{Body, DEFAULT_WINDOW, EndStatus, Frame, MAX_DATA, OpenLogs, SendWindow, WireError};
use drover_world::World;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::Broken;
use super::frames::Out;
use crate::handle::Handle;
use crate::host::Host;
use crate::output::{self, Request};

/// Streams open at once.
const MAX_STREAMS: usize = 64;
/// Pieces read ahead of a stream's credit.
const AHEAD: usize = 2;

/// What the server may still be sent on a stream.
struct Paid {
    window: Mutex<SendWindow>,
    more: Notify,
}

/// The open streams of one session.
pub(crate) struct Streams {
    out: Out,
    handle: Handle,
    host: Arc<dyn Host>,
    world: World,
    open: BTreeMap<u32, (Arc<Paid>, Reading)>,
}

/// A stream's task, which goes with it.
struct Reading(JoinHandle<()>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Streams {
    pub(crate) fn new(out: Out, handle: Handle, host: Arc<dyn Host>, world: World) -> Self {
        Self { out, handle, host, world, open: BTreeMap::new() }
    }

    pub(crate) fn open(&mut self, open: OpenLogs) {
        self.open.retain(|_, (_, reading)| !reading.0.is_finished());
        let stream = open.stream;
        let paid =
            Arc::new(Paid { window: Mutex::new(SendWindow::new(DEFAULT_WINDOW)), more: Notify::new() });
        let full = self.open.len() >= MAX_STREAMS;
        let (out, handle) = (self.out.clone(), self.handle.clone());
        let (host, world) = (Arc::clone(&self.host), self.world.clone());
        let spend = Arc::clone(&paid);
        let task = tokio::spawn(async move {
            let end = if full {
                Some(end("TooManyStreams", format!("{MAX_STREAMS} streams of output are open on this node")))
            } else {
                match send_output(&out, (&handle, &world), host, open, &spend).await {
                    Ok(end) => end,
                    // The session is over.
                    Err(_) => return,
                }
            };
            let _ = out.stream(Frame { stream, body: Body::End(end) }).await;
        });
        self.open.insert(stream, (paid, Reading(task)));
    }

    /// The server allows more. For a stream that has ended meanwhile that is too late, and fine.
    pub(crate) fn credit(&mut self, stream: u32, credit: u32) -> Result<(), WireError> {
        if let Some((paid, _)) = self.open.get(&stream) {
            paid.window.lock().unwrap_or_else(PoisonError::into_inner).grant(credit)?;
            paid.more.notify_one();
        }
        Ok(())
    }

    /// The server wants no more of it.
    pub(crate) fn end(&mut self, stream: u32) {
        self.open.remove(&stream);
    }
}

fn end(reason: &str, message: String) -> EndStatus {
    EndStatus { reason: reason.to_owned(), message }
}

async fn send_output(
    out: &Out,
    (handle, world): (&Handle, &World),
    host: Arc<dyn Host>,
    open: OpenLogs,
    paid: &Paid,
) -> Result<Option<EndStatus>, Broken> {
    let Some(found) = handle.find_run(&open.uid).await? else {
        let message = format!("this node has no output of run {} (any more)", open.run);
        return Ok(Some(end("NotFound", message)));
    };
    let (sender, mut pieces) = mpsc::channel::<Bytes>(AHEAD);
    let request = Request { start: open.start, follow: open.follow, timestamps: open.timestamps };
    let reading =
        async { Ok(output::read((handle, world), host, (&open.uid, found), request, sender).await?) };
    let sending = async {
        while let Some(mut piece) = pieces.recv().await {
            while !piece.is_empty() {
                let wanted = piece.len().min(MAX_DATA);
                let taken = paid.window.lock().unwrap_or_else(PoisonError::into_inner).take(wanted);
                if taken == 0 {
                    paid.more.notified().await;
                    continue;
                }
                let body = Body::Data(piece.split_to(taken));
                out.stream(Frame { stream: open.stream, body }).await?;
            }
        }
        Ok::<(), Broken>(())
    };
    let (end, ()) = tokio::try_join!(reading, sending)?;
    Ok(end)
}
