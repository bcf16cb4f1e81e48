//! One HTTP exchange: what reqwest reports and what the server answers, as a [`Response`] or a typed [`Error`].

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use secrecy::ExposeSecret;
use serde_json::Value;
use url::Url;

use super::address::AddressRefused;
use super::api_errors::ApiErrors;
use super::call::{Answer, Call};
use super::error::{Error, ErrorKind, Unreachable};
use super::response::Response;

/// More than any answer that is asked for here: a page of 1,000 users, or all lambdas.
const BODY_LIMIT: usize = 256 * 1024 * 1024;

/// The media type of a body, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Media {
    Json,
    Html,
    Other,
    None,
}

/// Sends the request and reads the answer to its end.
pub(super) async fn exchange(
    call: &Call,
    key: &HeaderValue,
    request: reqwest::RequestBuilder,
) -> Result<Response, Error> {
    let fail = |kind| Error::new(&call.method, call.route, kind);
    let answer = request.send().await.map_err(|error| fail(send_error(error)))?;
    let status = answer.status().as_u16();
    let media = media_of(answer.headers());
    let date = header(answer.headers(), &DATE).and_then(parse_date);
    let retry_after = header(answer.headers(), &RETRY_AFTER).and_then(|text| parse_retry_after(text, date));
    if (300..400).contains(&status) {
        return Err(fail(redirect(status, answer.headers(), answer.url())));
    }
    let succeeded = (200..300).contains(&status);
    let body = match read(answer, status).await {
        Ok(body) => body,
        Err(kind) if succeeded => return Err(fail(kind)),
        // The status says enough about a failure.
        Err(_) => Bytes::new(),
    };
    let response = Response { status, date, method: call.method.clone(), route: call.route, body };
    if succeeded {
        accept(call, response, media)
    } else {
        Err(fail(refusal(call, key, &response, media, retry_after)))
    }
}

fn accept(call: &Call, response: Response, media: Media) -> Result<Response, Error> {
    if response.is_empty() {
        return match call.answer {
            Answer::EmptyOrJson => Ok(response),
            _ => Err(response.unexpected("an empty body where JSON is due")),
        };
    }
    let starts = response.body.iter().find(|byte| !byte.is_ascii_whitespace());
    let what = match media {
        Media::Html => "an HTML page",
        Media::Other => "a body that is not JSON",
        _ if starts == Some(&b'<') => "an HTML page",
        _ => return Ok(response),
    };
    let status = response.status;
    Err(response.error(ErrorKind::NotJson { status, what, retry_after: None }))
}

fn refusal(
    call: &Call,
    key: &HeaderValue,
    response: &Response,
    media: Media,
    retry_after: Option<Duration>,
) -> ErrorKind {
    let status = response.status;
    let api = |errors| ErrorKind::Api { status, errors, retry_after };
    // 401 is about the key, whatever a proxy writes beside it; the others come with an empty body or an Errors object
    // (wire notes §1).
    if response.is_empty() || status == 401 {
        return api(ApiErrors::default());
    }
    if matches!(media, Media::Html | Media::Other) {
        let what = if media == Media::Html { "an HTML page" } else { "a body that is not JSON" };
        return ErrorKind::NotJson { status, what, retry_after };
    }
    let value = serde_json::from_slice::<Value>(&response.body).unwrap_or_default();
    let sent = call.secrets.iter().map(|secret| secret.value.expose_secret());
    let sent: Vec<&str> = sent.chain(key.to_str().ok()).collect();
    match ApiErrors::parse(&value, &sent) {
        Some(errors) => api(errors),
        // An empty object says as little as an empty body.
        None if value.as_object().is_some_and(serde_json::Map::is_empty) => api(ApiErrors::default()),
        // FusionAuth's own 404 and 405 are empty: this is some gateway's.
        None if matches!(status, 404 | 405) => {
            ErrorKind::NotJson { status, what: "another service's error", retry_after }
        }
        None => api(ApiErrors::default()),
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &reqwest::header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn media_of(headers: &HeaderMap) -> Media {
    let Some(text) = header(headers, &CONTENT_TYPE) else { return Media::None };
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" => Media::Json,
        "text/html" | "application/xhtml+xml" => Media::Html,
        other if other.ends_with("+json") => Media::Json,
        _ => Media::Other,
    }
}

fn redirect(status: u16, headers: &HeaderMap, from: &Url) -> ErrorKind {
    let to = header(headers, &LOCATION).and_then(|location| from.join(location).ok());
    let to = to.map_or_else(|| "nowhere".to_owned(), |url| url.origin().ascii_serialization());
    ErrorKind::Redirect { status, to }
}

/// IMF-fixdate, which jiff's RFC 2822 parser reads as well.
fn parse_date(text: &str) -> Option<jiff::Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|date| date.timestamp())
}

/// Seconds, or a date, which is taken relative to the server's own clock.
fn parse_retry_after(text: &str, now: Option<jiff::Timestamp>) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = parse_date(text)?;
    let now = now.unwrap_or_else(jiff::Timestamp::now);
    Duration::try_from(until.duration_since(now)).ok()
}

async fn read(mut answer: reqwest::Response, status: u16) -> Result<Bytes, ErrorKind> {
    let expected = answer.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    let mut body = BytesMut::with_capacity(expected.min(16 * 1024 * 1024));
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > BODY_LIMIT => {
                return Err(ErrorKind::TooLarge { limit: BODY_LIMIT });
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body.freeze()),
            Err(error) if error.is_timeout() => return Err(timed_out()),
            Err(_) => return Err(ErrorKind::CutOff { status }),
        }
    }
}

fn timed_out() -> ErrorKind {
    ErrorKind::NoAnswer { timeout: true, detail: "timed out".to_owned() }
}

fn send_error(error: reqwest::Error) -> ErrorKind {
    // The URL can hold an e-mail in its query.
    let error = error.without_url();
    if error.is_builder() {
        return ErrorKind::Configuration(format!("the request cannot be built: {}", innermost(&error)));
    }
    let detail = innermost(&error);
    let refused = find::<AddressRefused>(&error).is_some();
    if refused || error.is_connect() || error.is_dns() {
        let cause = if refused {
            Unreachable::AddressRefused
        } else if error.is_dns() {
            Unreachable::Dns
        } else if let Some(error) = find::<rustls::Error>(&error) {
            // webpki's reason, which rustls passes on without a name of its own for it.
            let by_ca = error.to_string().contains("CaUsedAsEndEntity");
            if by_ca { Unreachable::TlsByCa } else { Unreachable::Tls }
        } else {
            Unreachable::Connect
        };
        return ErrorKind::Unreachable { cause, detail };
    }
    if error.is_timeout() { timed_out() } else { ErrorKind::NoAnswer { timeout: false, detail } }
}

/// The first error of type `T` in the chain; `io::Error` hides what it wraps from `source`.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => error.source(),
        };
    }
    None
}

/// The last message of the chain, which is the one that tells something ("connection refused").
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now = parse_date("Sun, 06 Nov 1994 08:49:37 GMT");
        assert!(now.is_some());
        assert_eq!(parse_retry_after("7", now), Some(Duration::from_secs(7)));
        assert_eq!(parse_retry_after("Sun, 06 Nov 1994 08:49:47 GMT", now), Some(Duration::from_secs(10)));
        assert_eq!(parse_retry_after("Sun, 06 Nov 1994 08:40:00 GMT", now), None);
        assert_eq!(parse_retry_after("soon", now), None);
    }
}
