//! The hosts of a database: which of them is followed, and whether it still answers.
//!
//! A primary may be killed, be cut off, or freeze, and another host be promoted. The driver knows none of that: it waits
//! for an answer without end, and connects to the one host that it was given. So whoever waits for a second asks all
//! hosts who they are, and everybody goes to the one that writes.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::sqlx::postgres::{PgConnectOptions, PgPool};
use sea_orm::sqlx::{self, Connection, PgConnection};
use sea_orm::{ConnectOptions, DatabaseConnection, DbErr, RuntimeErr};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use trivia_domain::{StoreError, StoreResult};

use super::DatabaseOptions;
use super::connect::Access;
use super::server::{Host, LONGEST_STATEMENT, Server, settings};
use crate::error::{is_lost, repeat, translate};

/// How long whoever waits for an answer waits before the hosts are asked.
const PULSE: Duration = Duration::from_secs(1);
/// How long a host may take to say who it is.
const INTRODUCTION: Duration = Duration::from_secs(2);
/// Between two rounds of questions while nobody is the primary.
const PAUSE: Duration = Duration::from_millis(100);
/// How long replicas are left alone when none of them answers: meanwhile there is the primary.
const REST: Duration = Duration::from_secs(5);
/// How long an idle connection may take to say that it still works, before another one is opened.
const PING: Duration = Duration::from_millis(500);
/// A connection that was used within this time is not asked whether it still works.
const FRESH: Duration = Duration::from_secs(1);
/// A connection of a pool is replaced by another one after so long.
const LIFETIME: Duration = Duration::from_secs(30 * 60);
/// A server ends a statement itself before; when its word does not come, the connection is gone.
const LONGEST_ANSWER: Duration = LONGEST_STATEMENT.saturating_add(Duration::from_secs(5));

/// Which host is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The one that writes.
    Primary,
    /// The first that answers.
    Any,
}

/// The host that is followed now.
#[derive(Debug, Clone, Copy)]
struct Standing {
    host: usize,
    /// How often another one was chosen.
    generation: u64,
    /// Older connections lead elsewhere.
    since: Instant,
    /// Something was lost, so it has to be asked before it is used again.
    in_doubt: bool,
}

/// What a host says of itself.
#[derive(Debug)]
enum Answer {
    /// It is a primary of this timeline: a promotion begins a higher one.
    Primary(u32),
    Standby,
    /// It answers, but not to us.
    Refusal(StoreError),
    Silence(String),
}

/// The last round of questions: when it ended, and why nobody was found.
#[derive(Debug, Default)]
struct Round {
    ended: Option<Instant>,
    failure: Option<StoreError>,
}

/// The hosts of a database.
pub(super) struct Hosts {
    hosts: Vec<Host>,
    wanted: Wanted,
    name: String,
    options: DatabaseOptions,
    standing: watch::Sender<Standing>,
    /// The highest timeline that was seen. A primary of a lower one was replaced: what it takes now is lost.
    newest: Arc<AtomicU32>,
    round: tokio::sync::Mutex<Round>,
    pools: Mutex<Vec<(PgPool, Access)>>,
}

impl Hosts {
    /// The hosts of a server. None of them has been asked yet.
    pub(super) fn new(server: &Server, options: &DatabaseOptions, wanted: Wanted) -> StoreResult<Self> {
        let standing = Standing { host: 0, generation: 0, since: Instant::now(), in_doubt: true };
        Ok(Self {
            hosts: server.hosts()?,
            wanted,
            name: server.to_string(),
            options: options.clone(),
            standing: watch::Sender::new(standing),
            newest: Arc::default(),
            round: tokio::sync::Mutex::default(),
            pools: Mutex::default(),
        })
    }

    /// How often another host was chosen.
    pub(super) fn generation(&self) -> u64 {
        self.standing.borrow().generation
    }

    /// A pool of at most `size` connections to the host that is followed.
    pub(super) async fn pool(&self, size: u32, access: Access) -> StoreResult<DatabaseConnection> {
        let driver = self.driver(self.standing.borrow().host, access);
        let (standing, newest) = (self.standing.subscribe(), Arc::clone(&self.newest));
        let (wanted, is_list) = (self.wanted, self.is_list());
        let lifetime = match access {
            // what it has locked ends with it
            Access::Schema | Access::AsItIs => None,
            Access::Read | Access::Write => Some(LIFETIME),
        };
        // the URL itself would come into traces, with its password
        let mut connect = ConnectOptions::new("postgres://");
        connect
            .max_connections(size)
            // the driver would try for minutes to replace a connection that was lost, and keep others from doing so
            .min_connections(0)
            .connect_lazy(true)
            .acquire_timeout(self.options.busy_timeout)
            .max_lifetime(lifetime)
            .idle_timeout(lifetime)
            .test_before_acquire(false)
            .sqlx_logging(self.options.log_statements)
            .map_sqlx_postgres_opts(move |_| driver.clone())
            .map_sqlx_postgres_pool_opts(move |pool| {
                let (standing, newest) = (standing.clone(), Arc::clone(&newest));
                pool.after_connect(move |connection, _| {
                    let newest = Arc::clone(&newest);
                    Box::pin(async move {
                        match introduction(connection, is_list).await? {
                            Answer::Primary(timeline) if timeline >= newest.load(Ordering::Relaxed) => Ok(()),
                            _ if wanted == Wanted::Any => Ok(()),
                            other => Err(sqlx::Error::Protocol(format!("not the primary any more: {other:?}"))),
                        }
                    })
                })
                .before_acquire(move |connection, its| {
                    let is_old = its.age > standing.borrow().since.elapsed();
                    Box::pin(async move {
                        match its {
                            _ if is_old => Ok(false),
                            its if its.idle_for < FRESH => Ok(true),
                            _ => answers(connection).await,
                        }
                    })
                })
                .after_release(|connection, _| Box::pin(answers(connection)))
            });
        let pool = sea_orm::Database::connect(connect).await.map_err(|error| translate(error, &self.name))?;
        let driver = pool.get_postgres_connection_pool().clone();
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).push((driver, access));
        Ok(pool)
    }

    /// Waits for `work` as long as the host answers that was followed when it began.
    pub(super) async fn watch<T>(
        &self,
        generation: u64,
        work: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        let mut news = self.standing.subscribe();
        let given_up = async {
            loop {
                if self.generation() != generation {
                    return;
                }
                // no news for a second is news, too
                let _ = timeout(PULSE, news.changed()).await;
                if self.seek(generation).await.is_err() {
                    return;
                }
            }
        };
        let result = tokio::select! {
            biased;
            result = work => result,
            () = given_up => Err(silence()),
            () = tokio::time::sleep(LONGEST_ANSWER) => Err(silence()),
        };
        if result.as_ref().is_err_and(is_lost) {
            self.standing.send_if_modified(|standing| {
                let is_new = standing.generation == generation && !standing.in_doubt;
                standing.in_doubt |= is_new;
                is_new
            });
        }
        result
    }

    /// Makes sure, when there is doubt, that the host that is followed is the right one. Waits for a primary for as long
    /// as for a server to come back; instead of a replica there is the primary.
    pub(super) async fn follow(&self) -> StoreResult<()> {
        let patience = if self.wanted == Wanted::Primary { self.options.busy_timeout } else { Duration::ZERO };
        let until = Instant::now() + patience;
        loop {
            let Standing { generation, in_doubt, .. } = *self.standing.borrow();
            if !in_doubt {
                return Ok(());
            }
            match self.seek(generation).await {
                Err(StoreError::Unreachable { .. }) if Instant::now() + PAUSE < until => {
                    tokio::time::sleep(PAUSE).await;
                }
                found => return found,
            }
        }
    }

    /// Asks all hosts at once, and follows the one that is wanted. Whoever comes meanwhile shares the answer.
    async fn seek(&self, generation: u64) -> StoreResult<()> {
        let asked = Instant::now();
        let mut round = self.round.lock().await;
        if self.generation() != generation {
            return Ok(());
        }
        if let Round { ended: Some(ended), failure } = &*round {
            let rests = self.wanted == Wanted::Any && failure.is_some() && ended.elapsed() < REST;
            if *ended > asked || rests {
                return failure.as_ref().map_or(Ok(()), |failure| Err(repeat(failure)));
            }
        }
        let answers = self.introductions().await;
        let found = self.choose(&answers).ok_or_else(|| self.failure(answers));
        if let (Err(error), None) = (&found, &round.failure) {
            tracing::warn!(%error, wanted = ?self.wanted, "there is no host to follow");
        }
        *round = Round { ended: Some(Instant::now()), failure: found.as_ref().err().map(repeat) };
        found.map(|host| self.go_to(host))
    }

    fn go_to(&self, host: usize) {
        if self.standing.borrow().host != host {
            let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
            if !pools.is_empty() {
                tracing::warn!(host = self.hosts[host].name, "this host is followed from now on");
            }
            for (pool, access) in &*pools {
                pool.set_connect_options(self.driver(host, *access));
            }
        }
        self.standing.send_if_modified(|standing| {
            standing.in_doubt = false;
            let is_new = standing.host != host;
            if is_new {
                *standing =
                    Standing { host, generation: standing.generation + 1, since: Instant::now(), in_doubt: false };
            }
            is_new
        });
    }

    /// What each host says of itself, in the order of the list.
    async fn introductions(&self) -> Vec<Answer> {
        let is_list = self.is_list();
        let mut asked = JoinSet::new();
        for (at, host) in self.hosts.iter().cloned().enumerate() {
            let name = self.name.clone();
            asked.spawn(async move { (at, ask(host, &name, is_list).await) });
        }
        let mut answers: Vec<_> = self.hosts.iter().map(|_| Answer::Silence("it was not asked".to_owned())).collect();
        while let Some(answered) = asked.join_next().await {
            if let Ok((at, answer)) = answered {
                answers[at] = answer;
            }
        }
        answers
    }

    /// The host to follow: the one that is followed already, if there is nothing against it.
    fn choose(&self, answers: &[Answer]) -> Option<usize> {
        let timelines = answers.iter().filter_map(|answer| match answer {
            Answer::Primary(timeline) => Some(*timeline),
            _ => None,
        });
        let newest = self.newest.load(Ordering::Relaxed).max(timelines.max().unwrap_or(0));
        self.newest.store(newest, Ordering::Relaxed);
        let fits = |answer: &Answer| match answer {
            Answer::Primary(timeline) => self.wanted == Wanted::Any || *timeline == newest,
            Answer::Standby => self.wanted == Wanted::Any,
            Answer::Refusal(_) | Answer::Silence(_) => false,
        };
        let current = self.standing.borrow().host;
        if fits(&answers[current]) {
            return Some(current);
        }
        let is_connected = !self.pools.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        // it may have no connection left for the question
        let stays = is_connected && matches!(answers[current], Answer::Refusal(_));
        answers.iter().position(fits).or_else(|| stays.then_some(current))
    }

    /// Why there is nobody to follow.
    fn failure(&self, mut answers: Vec<Answer>) -> StoreError {
        let what = self.name.clone();
        if let Some(at) = answers.iter().position(|answer| matches!(answer, Answer::Refusal(_)))
            && let Answer::Refusal(error) = answers.swap_remove(at)
        {
            return error;
        }
        if answers.iter().all(|answer| matches!(answer, Answer::Standby)) {
            return StoreError::ReadOnly { what, reason: "it is a standby, name the primary".to_owned() };
        }
        let newest = self.newest.load(Ordering::Relaxed);
        let reasons = answers.into_iter().zip(&self.hosts).map(|(answer, host)| {
            let reason = match answer {
                Answer::Primary(timeline) => {
                    format!("a former primary, of timeline {timeline} while {newest} is known")
                }
                Answer::Standby => "a standby".to_owned(),
                Answer::Refusal(error) => error.to_string(),
                Answer::Silence(reason) => reason,
            };
            if self.is_list() { format!("{}: {reason}", host.name) } else { reason }
        });
        StoreError::Unreachable { what, reason: reasons.collect::<Vec<_>>().join("; ") }
    }

    fn driver(&self, host: usize, access: Access) -> PgConnectOptions {
        self.hosts[host].options.clone().options(settings(&self.options, access)).statement_cache_capacity(256)
    }

    /// Timelines are asked for when there is something to compare: not every service that is one host can tell.
    fn is_list(&self) -> bool {
        self.hosts.len() > 1
    }
}

/// Asks a host of a server who it is.
async fn ask(host: Host, server: &str, is_list: bool) -> Answer {
    let asked = async {
        let mut connection = PgConnection::connect_with(&host.options).await?;
        let answer = introduction(&mut connection, is_list).await?;
        // it has said what it had to say
        drop(connection.close().await);
        Ok(answer)
    };
    let Ok(answer) = timeout(INTRODUCTION, asked).await else {
        return Answer::Silence("it does not answer".to_owned());
    };
    answer.unwrap_or_else(|error: sqlx::Error| {
        if let Some(reason) = distrust(&error) {
            return Answer::Refusal(StoreError::Denied { what: server.to_owned(), reason });
        }
        match translate(DbErr::Conn(RuntimeErr::SqlxError(error.into())), server) {
            StoreError::Unreachable { reason, .. } => Answer::Silence(reason),
            refusal => Answer::Refusal(refusal),
        }
    })
}

/// Why there is no secure line; waiting for a better one is of no use.
fn distrust(error: &sqlx::Error) -> Option<String> {
    match error {
        sqlx::Error::Tls(_) => Some(error.to_string()),
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => Some(error.to_string()),
        _ => None,
    }
}

async fn introduction(connection: &mut PgConnection, is_list: bool) -> sqlx::Result<Answer> {
    // a name of a file of the log begins with the timeline, in hexadecimal; a checkpoint would know it later
    let sql = if is_list {
        "SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END"
    } else {
        "SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE '0' END"
    };
    let timeline: Option<String> = sqlx::query_scalar(sql).fetch_one(connection).await?;
    Ok(match timeline {
        Some(timeline) => Answer::Primary(u32::from_str_radix(&timeline, 16).unwrap_or(0)),
        None => Answer::Standby,
    })
}

/// Whether a connection still works: one to a server that froze would be waited for without end.
async fn answers(connection: &mut PgConnection) -> sqlx::Result<bool> {
    match timeout(PING, connection.ping()).await {
        Ok(answer) => answer.map(|()| true),
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}

/// The error of a connection on which no answer comes any more.
fn silence() -> DbErr {
    let error = std::io::Error::new(std::io::ErrorKind::TimedOut, "it does not answer");
    DbErr::Conn(RuntimeErr::SqlxError(sqlx::Error::Io(error).into()))
}
