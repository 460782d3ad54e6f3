//! An S3 server over a directory, on a free port of this machine, for as long as it is held.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use trivia_infrastructure::S3Options;

pub(crate) const BUCKET: &str = "copies";
const KEY: &str = "test-key";
const SECRET: &str = "test-secret-that-nobody-shall-see";

pub(crate) struct S3Server {
    address: SocketAddr,
    _root: TempDir,
    refuses_parts: Arc<AtomicBool>,
    runtime: Option<Runtime>,
}

impl S3Server {
    pub(crate) fn start() -> Self {
        let root = TempDir::new().unwrap();
        std::fs::create_dir(root.path().join(BUCKET)).unwrap();
        let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let (service, refuses_parts) = (service.build(), Arc::new(AtomicBool::new(false)));
        // threads of its own: a test may block while it waits for the program
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let refuses = Arc::clone(&refuses_parts);
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            let one = Arc::new(tokio::sync::Mutex::new(()));
            loop {
                let Ok((socket, _)) = listener.accept().await else { continue };
                let (service, refuses) = (service.clone(), Arc::clone(&refuses));
                let one = Arc::clone(&one);
                let answer = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                    let late = request.uri().query().is_some_and(|query| query.contains("partNumber=2"));
                    let refused = late && refuses.load(Ordering::Relaxed);
                    let (service, one) = (service.clone(), Arc::clone(&one));
                    async move {
                        if refused {
                            let mut no = hyper::Response::new(s3s::Body::empty());
                            *no.status_mut() = hyper::StatusCode::FORBIDDEN;
                            return Ok(no);
                        }
                        // this server looks whether a name is taken and writes in two steps; S3 does not
                        let _turn = one.lock().await;
                        service.call(request.map(s3s::Body::from)).await
                    }
                });
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(socket), answer));
            }
        });
        Self { address, _root: root, refuses_parts, runtime: Some(runtime) }
    }

    /// Whether an upload in parts fails in its middle.
    #[allow(dead_code)]
    pub(crate) fn refuse_parts(&self, refuse: bool) {
        self.refuses_parts.store(refuse, Ordering::Relaxed);
    }

    pub(crate) fn url(&self, prefix: &str) -> String {
        format!("s3://{BUCKET}/{prefix}")
    }

    /// The variables that the program and the adapter read.
    pub(crate) fn variables(&self) -> HashMap<String, String> {
        let endpoint = format!("http://{}", self.address);
        let variables =
            [("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_ENDPOINT_URL", &endpoint)];
        variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[allow(dead_code)]
    pub(crate) fn options(&self, prefix: &str) -> S3Options {
        S3Options { url: self.url(prefix), variables: self.variables(), ..S3Options::default() }
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        // waiting for it is not possible inside of another runtime
        self.runtime.take().unwrap().shutdown_background();
    }
}

/// What must never be printed.
pub(crate) const CANARY: &str = SECRET;
