//! What is answered under which path.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use hyper::StatusCode;
use serde::Serialize;
use tokio::sync::watch;
use trivia_domain::StoreResult;
use trivia_domain::ports::{Clock, DatabaseStats, HealthCheck, HealthReport, HealthStatus, MaintenancePort};
use trivia_infrastructure::Scheduler;

use super::metrics::{self, Figures};

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Figures are counted anew when they are older: counting reads whole tables.
const FIGURES_AGE: TimeDelta = TimeDelta::seconds(60);

/// Says whether the schema is that of this program.
#[async_trait]
pub(crate) trait SchemaProbe: Send + Sync {
    /// Whether no migration is missing.
    async fn is_current(&self) -> StoreResult<bool>;
}

/// What the site speaks for.
pub(crate) struct Site {
    maintenance: Arc<dyn MaintenancePort>,
    schema: Arc<dyn SchemaProbe>,
    scheduler: Arc<Scheduler>,
    clock: Arc<dyn Clock>,
    /// True while the program ends.
    stop: watch::Receiver<bool>,
    patience: Duration,
    /// When they were counted, and what came out.
    figures: Mutex<Option<(DateTime<Utc>, DatabaseStats)>>,
    /// Held while they are.
    counting: tokio::sync::Mutex<()>,
}

/// What a client is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
}

impl Answer {
    /// A line for people.
    pub(crate) fn text(status: StatusCode, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into() }
    }
}

/// What `/readyz` says.
#[derive(Serialize)]
struct Readiness {
    ready: bool,
    #[serde(flatten)]
    health: HealthReport,
}

impl Site {
    /// A site of a database that is open.
    pub(crate) fn new(
        maintenance: Arc<dyn MaintenancePort>,
        schema: Arc<dyn SchemaProbe>,
        scheduler: Arc<Scheduler>,
        clock: Arc<dyn Clock>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let (figures, counting) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { maintenance, schema, scheduler, clock, stop, patience: PATIENCE, figures, counting }
    }

    /// The answer to a request for a path.
    pub(crate) async fn answer(self: &Arc<Self>, path: &str) -> Answer {
        let late = || Answer::text(StatusCode::SERVICE_UNAVAILABLE, "the database did not answer in time\n");
        let answered = match path {
            "/healthz" => tokio::time::timeout(self.patience, self.liveness()).await,
            "/readyz" => tokio::time::timeout(self.patience, self.readiness()).await,
            "/metrics" => Ok(self.metrics().await),
            "/" => Ok(Answer::text(StatusCode::OK, "trivia-db: /healthz /readyz /metrics\n")),
            _ => Ok(Answer::text(StatusCode::NOT_FOUND, "there are /healthz, /readyz and /metrics\n")),
        };
        answered.unwrap_or_else(|_| late())
    }

    /// The process lives, and its database answers.
    async fn liveness(&self) -> Answer {
        match self.maintenance.tasks().await {
            Ok(_) => Answer::text(StatusCode::OK, "ok\n"),
            Err(error) => Answer::text(StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
        }
    }

    /// The program can do its work and will go on doing so.
    async fn readiness(&self) -> Answer {
        let health = if *self.stop.borrow() {
            // the connections may be closed by now
            HealthReport::of(vec![critical("closing", "the program ends", "")])
        } else {
            let mut checks = self.maintenance.health().await.checks;
            checks.push(match self.schema.is_current().await {
                Ok(true) => HealthCheck {
                    name: "schema".to_owned(),
                    status: HealthStatus::Healthy,
                    reason: "it is that of this program".to_owned(),
                    recommendation: String::new(),
                },
                Ok(false) => critical("schema", "it is older than this program", "run `trivia-db migrate up`"),
                Err(error) => critical("schema", &error.to_string(), error.hint()),
            });
            HealthReport::of(checks)
        };
        let ready = health.status < HealthStatus::Critical;
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        match serde_json::to_string(&Readiness { ready, health }) {
            Ok(json) => Answer { status, content_type: "application/json", body: json + "\n" },
            Err(error) => Answer::text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        }
    }

    async fn metrics(self: &Arc<Self>) -> Answer {
        let stats = self.stats().await;
        let figures = Figures { stats, tasks: self.scheduler.status(), now: self.clock.now() };
        Answer { status: StatusCode::OK, content_type: metrics::CONTENT_TYPE, body: metrics::text(&figures) }
    }

    /// The last figures, counted anew when they are old and that does not take long.
    async fn stats(self: &Arc<Self>) -> Option<(DateTime<Utc>, DatabaseStats)> {
        if self.is_stale() {
            let site = Arc::clone(self);
            // it goes on when the client goes away, so that a large database is counted at last
            let counting = tokio::spawn(async move { site.count().await });
            if tokio::time::timeout(self.patience, counting).await.is_err() {
                tracing::warn!("the figures of the database did not come in time");
            }
        }
        self.figures().clone()
    }

    /// Counts, unless somebody else has just done it.
    async fn count(&self) {
        let _alone = self.counting.lock().await;
        if !self.is_stale() {
            return;
        }
        let now = self.clock.now();
        let counted = self.maintenance.stats().await;
        if let Err(error) = &counted {
            tracing::warn!(%error, "the database gives no figures");
        }
        *self.figures() = counted.ok().map(|stats| (now, stats));
    }

    fn is_stale(&self) -> bool {
        let now = self.clock.now();
        // also when the clock went back
        self.figures().as_ref().is_none_or(|(at, _)| (now - *at).abs() >= FIGURES_AGE)
    }

    fn figures(&self) -> MutexGuard<'_, Option<(DateTime<Utc>, DatabaseStats)>> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn critical(name: &str, reason: &str, recommendation: &str) -> HealthCheck {
    HealthCheck {
        name: name.to_owned(),
        status: HealthStatus::Critical,
        reason: reason.to_owned(),
        recommendation: recommendation.to_owned(),
    }
}

#[cfg(test)]
pub(crate) mod tests;
