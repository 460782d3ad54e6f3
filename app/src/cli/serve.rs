//! `serve`: does what has to be done regularly, and tells others how it goes.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use trivia_domain::model::Task;
use trivia_infrastructure::{Attempt, Database};

use super::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::{Output, count, printable};
use crate::server::http::{self, Limits};
use crate::server::notify;
use crate::server::site::Site;
use crate::wiring::App;

/// How long what is under way may take to its end after a signal; it is dropped then, and done again later.
const GRACE: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to answer over HTTP; port 0 takes a free one [default: 127.0.0.1:9464; variable: TRIVIA_LISTEN]
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "once")]
    listen: Option<SocketAddr>,
    /// Do what is due now and end, for cron (exit code 1 when something failed)
    #[arg(long)]
    pub(super) once: bool,
}

/// What is told when the server is up.
#[derive(Serialize)]
struct Started {
    address: SocketAddr,
    database: String,
    pid: u32,
}

#[derive(Serialize)]
struct Done {
    tasks: Vec<TaskReport>,
}

#[derive(Serialize)]
struct TaskReport {
    task: Task,
    ok: bool,
    detail: String,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    // until the end, however that comes
    let lock = app.server_lock().await?;
    if args.once {
        return once(app, output).await;
    }
    tokio::select! {
        served = serve(app, args.listen.unwrap_or(app.listen), output) => served,
        () = lock.lost() => Err(Failure::new(
            format!("another process serves {} now", app.database_url()),
            "the connection with the lock was lost; start this one again where it should run",
        )),
    }
}

async fn once(app: &App, output: &mut Output) -> CommandResult {
    let attempts = app.with_recovered_database(async |database| Ok(app.scheduler(database).tick().await?)).await?;
    let style = output.style();
    let report = |Attempt { task, outcome }| {
        let ok = outcome.is_ok();
        TaskReport { task, ok, detail: outcome.unwrap_or_else(|reason| reason) }
    };
    let done = Done { tasks: attempts.into_iter().map(report).collect() };
    for TaskReport { task, ok, detail } in &done.tasks {
        let label = if *ok { style.good("done  ") } else { style.bad("failed") };
        writeln!(output, "{label} {task}: {}", printable(detail))?;
    }
    if done.tasks.is_empty() {
        writeln!(output, "Nothing is due.")?;
    }
    output.report(&done)?;
    match done.tasks.iter().filter(|task| !task.ok).count() {
        0 => Ok(Verdict::Good),
        failed => {
            let message = format!("{} failed", count(failed, "task"));
            Err(Failure::new(message, "`trivia-db health` says why and what to do; the next run tries again"))
        }
    }
}

/// Serves until a signal. Both signals are how a server is ended, so neither is a failure.
async fn serve(app: &App, address: SocketAddr, output: &mut Output) -> CommandResult {
    let mut signals = Signals::new()?;
    let (stop, stopped) = watch::channel(false);
    let mut serving =
        pin!(app.with_recovered_database(async |database| work(app, database, address, stopped, output).await));
    tokio::select! {
        // it could not begin
        ended = &mut serving => return ended.map(|()| Verdict::Good),
        name = signals.next() => tracing::info!(signal = name, "stopping"),
    }
    notify::tell("STOPPING=1");
    stop.send_replace(true);
    tokio::select! {
        ended = &mut serving => ended?,
        // whoever asks twice does not want to wait
        _ = signals.next() => return Err(Failure::Interrupted),
    }
    tracing::info!("stopped");
    Ok(Verdict::Good)
}

async fn work(
    app: &App,
    database: &Database,
    address: SocketAddr,
    stop: watch::Receiver<bool>,
    output: &mut Output,
) -> Result<(), Failure> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        Failure::because(format!("cannot listen at {address}"), "choose another address with --listen", error)
    })?;
    // the real one: the port may have been chosen by the system
    let address = listener
        .local_addr()
        .map_err(|error| Failure::because("cannot tell where it listens", "choose an address with --listen", error))?;
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "everybody who can reach this address can read the figures; there is no password");
    }
    let started = Started { address, database: app.database_url(), pid: std::process::id() };
    writeln!(output, "Listening at http://{address}")?;
    output.report(&started)?;
    output.flush()?;
    tracing::info!(%address, database = started.database, "serving");
    notify::tell("READY=1");

    let scheduler = Arc::new(app.scheduler(database));
    let (maintenance, schema) = (Arc::new(database.clone()), Arc::new(app.clone()));
    let site = Site::new(maintenance, schema, Arc::clone(&scheduler), Arc::clone(&app.clock), stop.clone());
    // a task of its own: a check that computes must not keep clients waiting
    let served = tokio::spawn(http::serve(listener, Arc::new(site), Limits::default(), stop.clone()));
    tokio::select! {
        _ = async { tokio::join!(scheduler.run(stop.clone()), served) } => {}
        () = overtime(stop.clone()) => tracing::warn!("what was under way is dropped; it is done again later"),
    }
    Ok(())
}

/// Waits until the program has tried to end for too long.
async fn overtime(mut stop: watch::Receiver<bool>) {
    // its sender is gone only together with this program
    let _ = stop.wait_for(|stop| *stop).await;
    tokio::time::sleep(GRACE).await;
}

/// The signals that end a server.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Failure::because("cannot listen for signals", "look at the limits of this user", error)
            })
        };
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// The name of the next one.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
