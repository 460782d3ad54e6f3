//! Running load, and the figures that come out of it.

use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Wall and processor time since a moment.
pub(crate) struct Stopwatch {
    started: Instant,
    processor: Duration,
    /// A server that works for this process; its time is added.
    server: Option<u32>,
}

impl Stopwatch {
    /// Starts counting this process.
    pub(crate) fn start() -> Self {
        Self::start_with(None)
    }

    /// Starts counting this process and a server of it.
    pub(crate) fn start_with(server: Option<u32>) -> Self {
        Self { processor: processor_time(server), started: Instant::now(), server }
    }

    /// Wall and processor time up to now.
    pub(crate) fn stop(&self) -> (Duration, Duration) {
        (self.started.elapsed(), processor_time(self.server).saturating_sub(self.processor))
    }
}

/// Processor time of all threads of this process, user and system, and of a server.
fn processor_time(server: Option<u32>) -> Duration {
    let own = clock_gettime(ClockId::ProcessCPUTime);
    let own = Duration::new(own.tv_sec.unsigned_abs(), u32::try_from(own.tv_nsec).expect("less than a second"));
    own + server.map_or(Duration::ZERO, ticks)
}

/// Processor time of another process; Linux tells it in hundredths of a second.
fn ticks(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("the server runs");
    // the name may hold anything, so count from behind it: utime and stime are fields 14 and 15
    let fields = stat.rsplit(')').next().expect("there is a part after the name").split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).map(|field| field.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
}

/// What one caller has done.
#[derive(Default)]
struct Tally {
    latencies: Vec<u64>,
    errors: u64,
}

impl Tally {
    fn add(&mut self, started: Instant, done: bool) {
        if done {
            self.latencies.push(u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX));
        } else {
            self.errors += 1;
        }
    }
}

/// The figures of one run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// Operations that succeeded.
    pub(crate) done: u64,
    /// Operations that failed.
    pub(crate) errors: u64,
    /// Successes a second.
    pub(crate) per_second: f64,
    /// Processor time for each success, in microseconds.
    pub(crate) cpu_us: f64,
    /// Half of the successes were at most this slow, in microseconds.
    pub(crate) p50_us: f64,
    /// And 99 of 100 of them.
    pub(crate) p99_us: f64,
}

impl Run {
    /// The figures of work that was not made of single operations; nobody waited for one of them.
    pub(crate) fn of_batch(done: u64, watch: &Stopwatch) -> Self {
        let (wall, processor) = watch.stop();
        let each = wall.as_secs_f64() / done as f64;
        Self {
            done,
            errors: 0,
            per_second: 1.0 / each,
            cpu_us: processor.as_secs_f64() * 1e6 / done as f64,
            p50_us: f64::NAN,
            p99_us: f64::NAN,
        }
    }

    /// Microseconds of one operation of one caller, on average.
    pub(crate) fn cost_us(&self) -> f64 {
        1e6 / self.per_second
    }

    fn of(tallies: Vec<Tally>, watch: &Stopwatch) -> Self {
        let (wall, processor) = watch.stop();
        let errors = tallies.iter().map(|tally| tally.errors).sum();
        let mut latencies: Vec<u64> = tallies.into_iter().flat_map(|tally| tally.latencies).collect();
        latencies.sort_unstable();
        let percentile = |percent: usize| {
            let place = latencies.len().saturating_sub(1) * percent / 100;
            latencies.get(place).map_or(f64::NAN, |nanos| *nanos as f64 / 1e3)
        };
        Self {
            done: latencies.len() as u64,
            errors,
            per_second: latencies.len() as f64 / wall.as_secs_f64(),
            cpu_us: processor.as_secs_f64() * 1e6 / latencies.len() as f64,
            p50_us: percentile(50),
            p99_us: percentile(99),
        }
    }
}

/// Lets tasks repeat an operation until the time is up: each waits for its own last one only.
/// The operation says whether it succeeded.
pub(crate) async fn tasks<O, A>(callers: usize, time: Duration, operation: O) -> Run
where
    O: Fn() -> A + Clone + Send + 'static,
    A: Future<Output = bool> + Send,
{
    let begun = Instant::now();
    tasks_while(callers, move || begun.elapsed() < time, operation).await
}

/// The same as long as something holds.
pub(crate) async fn tasks_while<O, A>(
    callers: usize,
    holds: impl Fn() -> bool + Clone + Send + 'static,
    operation: O,
) -> Run
where
    O: Fn() -> A + Clone + Send + 'static,
    A: Future<Output = bool> + Send,
{
    let watch = Stopwatch::start();
    let callers: Vec<_> = (0..callers)
        .map(|_| {
            let (operation, holds) = (operation.clone(), holds.clone());
            tokio::spawn(async move {
                let mut tally = Tally::default();
                while holds() {
                    let started = Instant::now();
                    let done = operation().await;
                    tally.add(started, done);
                }
                tally
            })
        })
        .collect();
    let mut tallies = Vec::with_capacity(callers.len());
    for caller in callers {
        tallies.push(caller.await.expect("callers do not panic"));
    }
    Run::of(tallies, &watch)
}

/// Lets one thread for each of `states` repeat an operation until the time is up.
pub(crate) fn threads<S: Send>(states: Vec<S>, time: Duration, operation: impl Fn(&mut S) -> bool + Sync) -> Run {
    let (watch, operation) = (Stopwatch::start(), &operation);
    let tallies = std::thread::scope(|scope| {
        let callers: Vec<_> =
            states.into_iter().map(|mut state| scope.spawn(move || repeat(time, || operation(&mut state)))).collect();
        callers.into_iter().map(|caller| caller.join().expect("callers do not panic")).collect()
    });
    Run::of(tallies, &watch)
}

/// The same on this thread, with a server whose processor time counts too.
pub(crate) fn alone(server: Option<u32>, time: Duration, operation: impl FnMut() -> bool) -> Run {
    let watch = Stopwatch::start_with(server);
    let tally = repeat(time, operation);
    Run::of(vec![tally], &watch)
}

fn repeat(time: Duration, mut operation: impl FnMut() -> bool) -> Tally {
    let (begun, mut tally) = (Instant::now(), Tally::default());
    while begun.elapsed() < time {
        let started = Instant::now();
        let done = operation();
        tally.add(started, done);
    }
    tally
}

/// The middle of some figures, and how far they spread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    /// Of the figures of some rounds.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_unstable_by(f64::total_cmp);
        let (Some(min), Some(max)) = (figures.first(), figures.last()) else {
            return Self { median: f64::NAN, min: f64::NAN, max: f64::NAN };
        };
        let middle = figures.len() / 2;
        let median =
            if figures.len() % 2 == 1 { figures[middle] } else { f64::midpoint(figures[middle - 1], figures[middle]) };
        Self { median, min: *min, max: *max }
    }

    /// Of one figure of every run.
    pub(crate) fn over(runs: &[Run], figure: impl Fn(&Run) -> f64) -> Self {
        Self::of(runs.iter().map(figure))
    }

    /// Of the quotients of two rows of runs, round by round: what disturbs a round disturbs both.
    pub(crate) fn ratio(upper: &[Run], lower: &[Run], figure: impl Fn(&Run) -> f64) -> Self {
        Self::of(upper.iter().zip(lower).map(|(upper, lower)| figure(upper) / figure(lower)))
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { median, min, max } = *self;
        write!(f, "{} ({} - {})", short(median), short(min), short(max))
    }
}

/// A figure with about three digits.
pub(crate) fn short(figure: f64) -> String {
    match figure.abs() {
        none if none.is_nan() => "-".to_owned(),
        large if large >= 1000.0 => {
            let digits = format!("{figure:.0}");
            let mut grouped = String::new();
            for (place, digit) in digits.chars().enumerate() {
                if place > 0 && (digits.len() - place).is_multiple_of(3) {
                    grouped.push(',');
                }
                grouped.push(digit);
            }
            grouped
        }
        large if large >= 100.0 => format!("{figure:.0}"),
        medium if medium >= 10.0 => format!("{figure:.1}"),
        small if small >= 0.1 || small == 0.0 => format!("{figure:.2}"),
        _ => format!("{figure:.4}"),
    }
}
