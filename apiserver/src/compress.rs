//! Answers in gzip: where the client takes it, of JSON from 128 KiB on. What is smaller is not worth the time, and a watch
//! is told line by line.
//!
//! An answer is compressed a piece at a time while it is sent: no second copy of it is ever whole in memory.

use std::io::Write as _;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::body::Body as _;

/// The smallest answer that is compressed, in bytes.
const WORTH: u64 = 128 << 10;
/// So many bytes are compressed at once: other requests wait for no more.
const PIECE: usize = 64 << 10;

/// About how many bytes a body has whose length is not known yet; an extension of its response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About(pub(crate) usize);

/// Whether a client takes gzip.
pub(crate) fn is_taken(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let (mut named, mut any) = (None, None);
    for range in values.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let quality = parts.find_map(|part| part.strip_prefix("q="));
        let taken = quality.is_none_or(|quality| quality.parse::<f32>().is_ok_and(|quality| quality > 0.0));
        match name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => named = Some(taken),
            "*" => any = Some(taken),
            _ => {}
        }
    }
    named.or(any).unwrap_or(false)
}

/// The response, compressed where that is worth it and its client takes it.
pub(crate) fn answer(mut response: Response, taken: bool) -> Response {
    let about = response.extensions().get::<About>().map(|about| about.0 as u64);
    let size = response.body().size_hint().exact().or(about).unwrap_or(0);
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if response.status() != StatusCode::OK || size < WORTH || !is_json {
        return response;
    }
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if !taken {
        return response;
    }
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.remove(header::CONTENT_LENGTH);
    // Other bytes than those that the tag was made of.
    if let Some(weak) =
        headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()).map(|tag| format!("W/{tag}"))
        && let Ok(weak) = HeaderValue::from_str(&weak)
    {
        headers.insert(header::ETAG, weak);
    }
    response.map(compressed)
}

fn compressed(body: Body) -> Body {
    // The fastest: more would cost more time than it saves on the way.
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let begun = (body.into_data_stream(), Bytes::new(), encoder);
    Body::from_stream(stream::unfold(Some(begun), |state| async {
        let (mut body, mut waiting, mut encoder) = state?;
        loop {
            if waiting.is_empty() {
                waiting = match body.next().await {
                    Some(Ok(bytes)) => bytes,
                    Some(Err(error)) => return Some((Err(error), None)),
                    None => return Some((encoder.finish().map(Bytes::from).map_err(axum::Error::new), None)),
                };
            }
            let piece = waiting.split_to(waiting.len().min(PIECE));
            if let Err(error) = encoder.write_all(&piece) {
                return Some((Err(axum::Error::new(error)), None));
            }
            let made = std::mem::take(encoder.get_mut());
            if !made.is_empty() {
                return Some((Ok(Bytes::from(made)), Some((body, waiting, encoder))));
            }
            tokio::task::consume_budget().await;
        }
    }))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[test]
    fn gzip_is_taken_by_those_who_say_so() {
        for (value, taken) in [
            ("gzip", true),
            ("deflate, gzip;q=1.0, *;q=0.5", true),
            ("GZIP", true),
            ("*", true),
            ("gzip;q=0", false),
            ("gzip;q=0, *", false),
            ("gzip;q=much", false),
            ("br, zstd", false),
            ("identity, *;q=0", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(is_taken(&headers), taken, "{value:?}");
        }
        assert!(!is_taken(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn a_compressed_answer_has_a_weak_tag_and_every_byte() {
        let text = Bytes::from(format!("\"{}\"", "0123456789abcdef".repeat(20_000)));
        let response = |kind: &'static str, text: &Bytes| {
            let mut response = Response::new(Body::from(text.clone()));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
            response.headers_mut().insert(header::ETAG, HeaderValue::from_static("\"7\""));
            response
        };
        let small = answer(response("application/json", &text), true);
        assert_eq!(small.headers()[header::ETAG], "W/\"7\"");
        let packed = small.into_body().collect().await.unwrap().to_bytes();
        let mut whole = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut whole).unwrap();
        assert!(whole == text && packed.len() < text.len() / 10);
        let same = |response: Response| !response.headers().contains_key(header::CONTENT_ENCODING);
        assert!(same(answer(response("application/json", &text), false)));
        assert!(same(answer(response("text/plain", &text), true)));
        assert!(same(answer(response("application/json", &text.slice(..1000)), true)));
    }
}
