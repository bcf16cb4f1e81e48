//! The wire: HTTP/1.1 over TCP, with connections that can be reset and bodies that can be cut. Knows no endpoint.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, SERVER};
use hyper::service::service_fn;
use hyper::{Request as HttpRequest, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::reply::Reply;
use super::server::{Answer, Request, Server, Wire};

/// A larger request is a mistake; an import of 100,000 users has some 50 MiB.
const MAX_BODY: usize = 512 * 1024 * 1024;

/// How long exchanges under way may take to end once the sandbox is told to stop.
const GRACE: std::time::Duration = std::time::Duration::from_secs(2);

/// Accepts connections until told to stop; then lets exchanges under way end.
pub async fn serve(listener: TcpListener, server: Arc<Server>, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY cannot be set");
                }
                connections.spawn(connection(stream, Arc::clone(&server), stop.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
    }
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, all_ended).await.is_err() {
        tracing::debug!("connections were cut off at the end");
    }
}

async fn connection(stream: TcpStream, server: Arc<Server>, mut stop: watch::Receiver<bool>) {
    let reset = Arc::new(AtomicBool::new(false));
    let socket = Socket { stream, reset: Arc::clone(&reset) };
    let service = service_fn(move |request| {
        let (server, reset) = (Arc::clone(&server), Arc::clone(&reset));
        async move { exchange(request, server, &reset).await }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(socket), service);
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        _ = stop.changed() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Why a connection is dropped on purpose.
#[derive(Debug, thiserror::Error)]
#[error("reset by a fault rule")]
struct Dropped;

type ReplyBody = Either<Full<Bytes>, Cut>;

async fn exchange(
    request: HttpRequest<Incoming>,
    server: Arc<Server>,
    reset: &AtomicBool,
) -> Result<Response<ReplyBody>, Dropped> {
    let Ok(request) = received(request).await else {
        return Ok(response(&server, Reply::empty(413), Wire::Send));
    };
    let Answer { reply, wire } = answer(&server, request).await;
    if wire != Wire::Send {
        reset.store(true, Ordering::SeqCst);
    }
    if wire == Wire::Reset {
        return Err(Dropped);
    }
    Ok(response(&server, reply, wire))
}

async fn answer(server: &Arc<Server>, request: Request) -> Answer {
    let routed = server.route(request);
    let latency = routed.verdict.latency;
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    if routed.is_heavy() {
        tokio::task::block_in_place(|| server.serve(routed))
    } else {
        server.serve(routed)
    }
}

async fn received(request: HttpRequest<Incoming>) -> Result<Request, ()> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await.map_err(|error| {
        tracing::debug!(%error, "a request body did not arrive");
    })?;
    let text = |name: &str| header(&head.headers, name);
    Ok(Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or("").to_owned(),
        authorization: text("authorization"),
        tenant: text("x-fusionauth-tenantid"),
        content_type: text("content-type"),
        user_agent: text("user-agent"),
        body: body.to_bytes(),
    })
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn response(server: &Server, reply: Reply, wire: Wire) -> Response<ReplyBody> {
    let length = reply.body.len();
    let body = if wire == Wire::Truncate && length > 1 {
        let half = reply.body.get(..length / 2).unwrap_or_default().to_vec();
        Either::Right(Cut { half: Some(half.into()), announced: length as u64 })
    } else {
        Either::Left(Full::new(Bytes::from(reply.body)))
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static("FusionAuth emulator (fusionkeep sandbox)"));
    headers.insert("x-fusionkeep-sandbox", HeaderValue::from_static("emulator"));
    if let Some(date) = date(server.clock.now()) {
        headers.insert(DATE, date);
    }
    if let Some(content_type) = reply.content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// The sandbox's own time, so that a moved clock shows in the Date header too.
fn date(now: i64) -> Option<HeaderValue> {
    let instant = jiff::Timestamp::from_millisecond(now).ok()?;
    let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&instant).ok()?;
    HeaderValue::from_str(&text).ok()
}

/// A body that announces more than it sends.
struct Cut {
    half: Option<Bytes>,
    announced: u64,
}

impl Body for Cut {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        // The end comes before what Content-Length announced; hyper then drops the connection.
        Poll::Ready(self.half.take().map(|half| Ok(Frame::data(half))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.announced)
    }
}

/// A connection that, when marked, ends with a TCP reset instead of an orderly close.
struct Socket {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.reset.load(Ordering::SeqCst)
            && let Err(error) = self.stream.set_zero_linger()
        {
            tracing::debug!(%error, "a connection could not be reset");
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // An orderly shutdown would tell the client that the answer is complete.
        if self.reset.load(Ordering::SeqCst) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
