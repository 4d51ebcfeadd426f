//! The body of a request, whole and bounded.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::error::ApiError;

/// The largest body.
pub const MAX_BODY: usize = 3 << 20;
/// How much of a body that is too large is taken in before the connection is left to break.
const MAX_PASSED_OVER: usize = 16 << 20;
/// How long a body may take to arrive.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The whole body, if it is not too long.
pub(crate) async fn read_body(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    let read = tokio::time::timeout(TIMEOUT, whole(headers, body)).await;
    read.unwrap_or_else(|_| {
        Err(ApiError::new(408, "Timeout", "the body of the request did not arrive in time"))
    })
}

async fn whole(headers: &HeaderMap, mut body: Body) -> Result<Bytes, ApiError> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > MAX_BODY as u64) {
        // Who waits to be told to go on sends nothing.
        if !headers.contains_key(header::EXPECT) {
            pass_over(body).await;
        }
        return Err(ApiError::too_large(MAX_BODY));
    }
    match Limited::new(&mut body, MAX_BODY).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            pass_over(body).await;
            Err(ApiError::too_large(MAX_BODY))
        }
        Err(error) => Err(ApiError::bad_request(format!("the body could not be read: {error}"))),
    }
}

/// Takes in what a client still sends, and drops it: many read the answer only after that. Bounded.
async fn pass_over(mut body: Body) {
    let mut left = MAX_PASSED_OVER;
    while let Some(Ok(frame)) = body.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(1, Bytes::len));
        if left == 0 {
            return;
        }
    }
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
    async fn who_sends_too_much_is_heard_out_up_to_a_bound_and_then_refused() {
        let mut headers = HeaderMap::new();
        let (took, refused) = taken(&headers, 10).await;
        assert_eq!((took, refused.code()), (10, 413));
        assert!(taken(&headers, 1000).await.0 <= 21);
        headers.insert(header::CONTENT_LENGTH, "10485760".parse().unwrap());
        assert_eq!(taken(&headers, 10).await.0, 10);
        headers.insert(header::EXPECT, "100-continue".parse().unwrap());
        let (took, refused) = taken(&headers, 10).await;
        assert_eq!((took, refused.code()), (0, 413), "it waits for a word before it sends");
    }
}
