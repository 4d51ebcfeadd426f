//! `GET /apis/drover.dev/v1/backup`, for administrators: a backup of this server, made now and sent as it is read.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, header};
use tokio::sync::OwnedSemaphorePermit;

use crate::backup::{Backup, BackupError, place};
use crate::error::ApiError;
use crate::objects::store_error;
use crate::server::Server;

/// Where it is.
pub(crate) const PATH: &str = "/apis/drover.dev/v1/backup";

pub(crate) async fn answer(server: &Server) -> Result<Response, ApiError> {
    // A client that leaves does not end it half-way, so that nothing of the copy is left.
    let making = tokio::spawn(make(server.clone()));
    let (backup, turn) = making.await.map_err(|error| ApiError::internal(&error))??;
    let length = backup.length();
    let pieces = stream::try_unfold((backup, turn), |(mut backup, turn)| async {
        let read = tokio::task::spawn_blocking(move || backup.next_piece().map(|piece| (piece, backup)));
        let (piece, backup) = read.await.map_err(std::io::Error::other)??;
        Ok::<_, std::io::Error>(piece.map(|piece| (Bytes::from(piece), (backup, turn))))
    });
    let mut response = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    Ok(response)
}

/// Copies the store and gathers what goes with it. One at a time, until it was sent.
async fn make(server: Server) -> Result<(Backup, OwnedSemaphorePermit), ApiError> {
    let (turn, data_dir) = server.backup_turn()?;
    let objects = server.objects();
    room(data_dir, objects.store.status().await.map_err(store_error)?.db_bytes)?;
    let copied = objects.store.copy(&place(data_dir)).await;
    let copied = copied.inspect_err(|_| drop(std::fs::remove_file(place(data_dir)))).map_err(store_error)?;
    let (data_dir, now) = (data_dir.to_path_buf(), objects.world.clock.now());
    let gathered = tokio::task::spawn_blocking(move || Backup::gather(&data_dir, &copied, now)).await;
    let gathered = gathered.map_err(|error| ApiError::internal(&error))?;
    let backup = gathered.map_err(|error: BackupError| ApiError::internal(&error))?;
    tracing::info!(revision = copied.revision, keys = copied.keys, bytes = copied.bytes, "a backup is sent");
    Ok((backup, turn))
}

/// A copy that does not fit would take what the store needs for its next writes.
fn room(data_dir: &std::path::Path, needed: u64) -> Result<(), ApiError> {
    let free =
        rustix::fs::statvfs(data_dir).map_or(u64::MAX, |found| found.f_bavail.saturating_mul(found.f_frsize));
    if free > needed {
        return Ok(());
    }
    let shown = data_dir.display();
    let message = format!("a backup needs {needed} bytes for a while in {shown}, and {free} are free");
    Err(ApiError::new(507, "InsufficientStorage", message))
}
