//! Connections, with limits that keep strangers from using up the process.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::site::{Answer, Site};

/// Largest head of a request.
const HEAD: usize = 8 * 1024;
/// Before the next connection is taken after one could not be.
const PAUSE: Duration = Duration::from_millis(100);

/// What a client may use up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Connections at a time; others wait.
    pub(crate) connections: usize,
    /// Time to send the head of a request.
    pub(crate) head: Duration,
    /// Time for everything.
    pub(crate) all: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 32, head: Duration::from_secs(5), all: Duration::from_secs(15) }
    }
}

/// Answers requests until `stop` becomes true or its sender is gone; those under way are answered first.
pub(crate) async fn serve(listener: TcpListener, site: Arc<Site>, limits: Limits, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accept = async {
            // one after the other: a client who finds no place waits in the queue of the system
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        tokio::select! {
            () = stopped(&mut stop) => break,
            (place, accepted) = accept => match accepted {
                Ok((stream, _)) => {
                    let site = Arc::clone(&site);
                    connections.spawn(async move {
                        converse(stream, site, limits).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// One request and its answer.
async fn converse(stream: TcpStream, site: Arc<Site>, limits: Limits) {
    let service = service_fn(move |request| {
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(respond(&site, &request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD)
        // a connection that does nothing would take the place of another
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(limits.all, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection ended badly"),
        Err(_) => tracing::debug!("a connection took too long"),
    }
}

async fn respond(site: &Arc<Site>, request: &Request<Incoming>) -> Response<String> {
    let answer = if ![Method::GET, Method::HEAD].contains(request.method()) {
        Answer::text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered\n")
    } else if request.body().is_end_stream() {
        site.answer(request.uri().path()).await
    } else {
        Answer::text(StatusCode::PAYLOAD_TOO_LARGE, "a request has no body here\n")
    };
    let mut response = Response::new(answer.body);
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if answer.status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task::JoinHandle;
    use trivia_domain::ports::MockMaintenancePort;

    use super::*;
    use crate::server::site::tests::bench;

    struct Server {
        address: SocketAddr,
        stop: watch::Sender<bool>,
        task: JoinHandle<()>,
    }

    impl Server {
        async fn start(limits: Limits) -> Self {
            let mut maintenance = MockMaintenancePort::new();
            maintenance.expect_tasks().returning(|| Ok(Vec::new()));
            let bench = bench(maintenance, true);
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let task = tokio::spawn(serve(listener, bench.site, limits, bench.stop.subscribe()));
            Self { address, stop: bench.stop, task }
        }

        async fn connect(&self) -> TcpStream {
            TcpStream::connect(self.address).await.unwrap()
        }

        /// Sends bytes and returns all that comes back before the connection is closed.
        async fn send(&self, bytes: &str) -> String {
            talk(self.connect().await, bytes).await
        }
    }

    async fn talk(mut stream: TcpStream, bytes: &str) -> String {
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // a connection that is cut has said what it had to say
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    const GET: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

    #[tokio::test]
    async fn a_request_is_answered_and_the_connection_closed() {
        let server = Server::start(Limits::default()).await;
        let answer = server.send(GET).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok\n"), "{answer}");
        let answer = server.send(&GET.replace("GET", "HEAD")).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    }

    #[tokio::test]
    async fn what_is_no_plain_question_is_refused() {
        let server = Server::start(Limits::default()).await;
        let long = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(4 * HEAD));
        for (request, status) in [
            ("POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405),
            ("DELETE / HTTP/1.1\r\nHost: x\r\n\r\n", 405),
            ("GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody", 413),
            ("GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", 413),
            ("nonsense\r\n\r\n", 400),
            (&long, 431),
        ] {
            let answer = server.send(request).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}\n{answer}");
        }
    }

    #[tokio::test]
    async fn a_client_who_is_slow_is_cut_off_and_the_next_one_gets_the_place() {
        let (head, all) = (Duration::from_millis(50), Duration::from_secs(3_600));
        let server = Server::start(Limits { connections: 1, head, all }).await;
        let slow = server.connect().await;
        let patient = server.connect().await;
        let both = async { tokio::join!(talk(slow, "GET /healthz HTT"), talk(patient, GET)) };
        let (slow, patient) = tokio::time::timeout(Duration::from_secs(60), both).await.unwrap();
        assert!(!slow.contains("200 OK"), "{slow}");
        assert!(patient.contains("200 OK"), "{patient}");
    }

    #[tokio::test]
    async fn who_was_taken_is_answered_before_the_end() {
        let server = Server::start(Limits::default()).await;
        let mut stream = server.connect().await;
        stream.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
        // the one after it was answered, so it was taken
        server.send(GET).await;
        server.stop.send(true).unwrap();
        assert!(talk(stream, "Host: x\r\n\r\n").await.contains("200 OK"));
        server.task.await.unwrap();
        assert!(TcpStream::connect(server.address).await.is_err(), "it still listens");
    }
}
