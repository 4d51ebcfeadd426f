//! The body of a request, whole and bounded.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::error::ApiError;

/// The largest body.
pub const MAX_BODY: usize = 3 << 20;
/// A body that is too large and says so is taken in up to this length, and dropped: many clients read the answer only
/// when they have sent all, and over HTTP/2 it is lost otherwise.
const MAX_PASSED_OVER: u64 = 16 << 20;
/// How long a body may take to arrive.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The whole body, if it is not too long.
pub(crate) async fn read_body(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    let read = tokio::time::timeout(TIMEOUT, whole(headers, body)).await;
    read.unwrap_or_else(|_| {
        Err(ApiError::new(408, "Timeout", "the body of the request did not arrive in time"))
    })
}

async fn whole(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if let Some(length) = declared.filter(|length| *length > MAX_BODY as u64) {
        // Who waits to be told to go on sends nothing.
        if length <= MAX_PASSED_OVER && !headers.contains_key(header::EXPECT) {
            pass_over(body).await;
        }
        return Err(ApiError::too_large(MAX_BODY));
    }
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::too_large(MAX_BODY)),
        Err(error) => Err(ApiError::bad_request(format!("the body could not be read: {error}"))),
    }
}

/// Takes in a body whose length is bounded, and drops it.
async fn pass_over(mut body: Body) {
    while let Some(Ok(_)) = body.frame().await {}
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::{StreamExt as _, stream};

    use super::*;

    /// How much of a body of so many MiB is taken in, and the refusal.
    async fn taken(headers: &HeaderMap, mebibytes: usize) -> (usize, ApiError) {
        let taken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&taken);
        let sent = stream::iter(0..mebibytes).map(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            Ok::<_, std::convert::Infallible>(vec![b' '; 1 << 20])
        });
        let refused = read_body(headers, Body::from_stream(sent)).await.unwrap_err();
        (taken.load(Ordering::SeqCst), refused)
    }

    #[tokio::test]
    async fn who_says_that_it_sends_too_much_is_heard_out_within_reason_and_then_refused() {
        let mut headers = HeaderMap::new();
        let (took, refused) = taken(&headers, 10).await;
        assert_eq!((took, refused.code()), (4, 413), "it did not say how much would come");
        headers.insert(header::CONTENT_LENGTH, "10485760".parse().unwrap());
        let (took, refused) = taken(&headers, 10).await;
        assert_eq!((took, refused.code()), (10, 413));
        headers.insert(header::EXPECT, "100-continue".parse().unwrap());
        assert_eq!(taken(&headers, 10).await.0, 0, "it waits for a word before it sends");
        headers.remove(header::EXPECT);
        headers.insert(header::CONTENT_LENGTH, "1099511627776".parse().unwrap());
        assert_eq!(taken(&headers, 10).await.0, 0, "nobody listens to that");
    }
}
