//! What leaves: control messages first, output of runs as there is room, one task that writes.

use bytes::Bytes;
use drover_client::WebSocketSender;
use drover_wire::{AgentMessage, Frame};
use tokio::sync::mpsc;

use super::Broken;

/// Control frames that wait; at most eight of them are reports.
const CONTROL: usize = 64;
/// Data frames that wait, of all streams together.
const DATA: usize = 8;

/// Where frames go.
#[derive(Clone)]
pub(crate) struct Out {
    control: mpsc::Sender<Bytes>,
    data: mpsc::Sender<Bytes>,
}

impl Out {
    /// Sends a message. Waits while the socket takes nothing.
    pub(crate) async fn message(&self, message: &AgentMessage) -> Result<(), Broken> {
        let frame = Frame::control(message)?.encode()?;
        self.control.send(frame).await.map_err(|_| Broken::Gone)
    }

    /// Sends what belongs to a stream.
    pub(crate) async fn stream(&self, frame: Frame) -> Result<(), Broken> {
        self.data.send(frame.encode()?).await.map_err(|_| Broken::Gone)
    }
}

/// A queue, and the task that empties it. It ends with the socket, or when every [`Out`] is gone.
pub(crate) fn writer(mut socket: WebSocketSender) -> (Out, tokio::task::JoinHandle<()>) {
    let (control, mut controls) = mpsc::channel::<Bytes>(CONTROL);
    let (data, mut datas) = mpsc::channel::<Bytes>(DATA);
    let task = tokio::spawn(async move {
        loop {
            let frame = tokio::select! {
                biased;
                Some(frame) = controls.recv() => frame,
                Some(frame) = datas.recv() => frame,
                else => break,
            };
            // The reader hears of the end of the socket too.
            if socket.send(frame).await.is_err() {
                return;
            }
        }
        let _ = socket.close().await;
    });
    (Out { control, data }, task)
}
