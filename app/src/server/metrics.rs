//! Figures in the text format of Prometheus:
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::fmt::{Display, Write};

use chrono::{DateTime, Utc};
use trivia_domain::ports::DatabaseStats;
use trivia_infrastructure::TaskStatus;

/// What the text is.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is written down.
pub(crate) struct Figures {
    /// Those of the database, with the time at which they were counted; `None` when it gives none.
    pub(crate) stats: Option<(DateTime<Utc>, DatabaseStats)>,
    /// Where the tasks stand.
    pub(crate) tasks: Vec<TaskStatus>,
    /// The present time.
    pub(crate) now: DateTime<Utc>,
}

/// The figures as text.
pub(crate) fn text(figures: &Figures) -> String {
    let mut page = Page::default();
    build(figures, &mut page);
    let up = u8::from(figures.stats.is_some());
    page.one("trivia_database_up", "gauge", "Whether the database gives figures.", up);
    if let Some((counted_at, stats)) = &figures.stats {
        let help = "When the figures of the database were counted.";
        page.one("trivia_database_figures_timestamp_seconds", "gauge", help, seconds(*counted_at));
        database(stats, &mut page);
        backups(stats, figures.now, &mut page);
    }
    tasks(&figures.tasks, &mut page);
    page.0
}

fn build(figures: &Figures, page: &mut Page) {
    let (schema, engine) =
        figures.stats.as_ref().map_or(("", ""), |(_, stats)| (stats.schema_version.as_str(), stats.engine.as_str()));
    let labels = [("version", env!("CARGO_PKG_VERSION")), ("schema_version", schema), ("engine", engine)];
    page.family("trivia_build_info", "gauge", "The program, the schema of its database and the engine.");
    page.sample("trivia_build_info", &labels, 1);
}

fn database(stats: &DatabaseStats, page: &mut Page) {
    let size = stats.database_size_bytes;
    page.one("trivia_database_size_bytes", "gauge", "Size of the database, without its log.", size);
    page.one("trivia_database_free_pages", "gauge", "Pages that are free inside the database.", stats.free_pages);
    page.family("trivia_table_rows", "gauge", "Rows of each table.");
    for (table, rows) in &stats.rows {
        page.sample("trivia_table_rows", &[("table", table)], rows);
    }
    let pool = &stats.pool;
    page.family("trivia_pool_connections", "gauge", "Connections of this process: most that write and read, and idle.");
    for (state, number) in [("writer", pool.writers), ("reader", pool.readers), ("idle", pool.idle)] {
        page.sample("trivia_pool_connections", &[("state", state)], number);
    }
    let help = "Operations of this process that were slow.";
    page.one("trivia_slow_operations_total", "counter", help, pool.slow_operations);
    let help = "Transactions of this process that were tried again because the database was busy.";
    page.one("trivia_busy_retries_total", "counter", help, pool.busy_retries);
    page.family("trivia_errors_total", "counter", "Failures of the database in this process, by their kind.");
    for (kind, number) in &stats.errors_by_kind {
        page.sample("trivia_errors_total", &[("kind", kind)], number);
    }
    if let Some(at) = stats.last_integrity_check {
        let help = "When the integrity was last checked.";
        page.one("trivia_last_integrity_check_timestamp_seconds", "gauge", help, seconds(at));
    }
}

fn backups(stats: &DatabaseStats, now: DateTime<Utc>, page: &mut Page) {
    let Some(at) = stats.last_backup else { return };
    let help = "When the last good backup was made.";
    page.one("trivia_last_backup_timestamp_seconds", "gauge", help, seconds(at));
    let age = (now - at).as_seconds_f64();
    page.one("trivia_last_backup_age_seconds", "gauge", "How old the last good backup is.", age);
}

fn tasks(tasks: &[TaskStatus], page: &mut Page) {
    let mut family = |name: &str, help: &str, value: &dyn Fn(&TaskStatus) -> Option<f64>| {
        page.family(name, "gauge", help);
        for (task, value) in tasks.iter().filter_map(|task| Some((task, value(task)?))) {
            page.sample(name, &[("task", task.record.task.as_str())], value);
        }
    };
    family("trivia_task_ok", "Whether a task did not fail when it was last tried.", &|task| {
        Some(f64::from(u8::from(task.record.failing.is_none())))
    });
    family("trivia_task_done_timestamp_seconds", "When a task was last done.", &|task| {
        task.record.done_at.map(seconds)
    });
    family("trivia_task_failing_since_timestamp_seconds", "Since when a task fails, if it does.", &|task| {
        task.record.failing.as_ref().map(|failing| seconds(failing.since))
    });
    family("trivia_task_failures", "Failures of a task in a row since the start.", &|task| {
        Some(f64::from(task.failures))
    });
    family("trivia_task_next_timestamp_seconds", "When a task is tried next.", &|task| {
        // what no clock makes due has no such time
        (task.next_at < DateTime::<Utc>::MAX_UTC).then(|| seconds(task.next_at))
    });
}

/// A text of families, each with its samples after it.
#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<_> = labels.iter().map(|(label, text)| format!("{label}=\"{}\"", escaped(text))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        self.line(format_args!("{name}{labels} {value}\n"));
    }

    /// A family of one sample.
    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // writing to a string cannot fail
        let _ = self.0.write_fmt(line);
    }
}

/// The value of a label: a backslash, a quotation mark and the end of a line are written in two characters.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Seconds since 1970, to the millisecond.
#[expect(clippy::cast_precision_loss, reason = "milliseconds fit for 285,000 years")]
fn seconds(at: DateTime<Utc>) -> f64 {
    at.timestamp_millis() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use trivia_domain::model::{Failing, Task, TaskRecord};

    use super::*;

    fn figures(stats: Option<DatabaseStats>) -> Figures {
        let now: DateTime<Utc> = "2026-03-04T12:00:00.250Z".parse().unwrap();
        let done = TaskRecord { done_at: Some(now), ..TaskRecord::new(Task::Scrub) };
        let since = now - TimeDelta::hours(1);
        let failing = Some(Failing { since, reason: "no".to_owned() });
        let failing = TaskRecord { failing, ..TaskRecord::new(Task::DailyBackup) };
        let tasks = vec![
            TaskStatus { record: failing, failures: 3, next_at: now },
            TaskStatus { record: done, failures: 0, next_at: now + TimeDelta::hours(6) },
        ];
        Figures { stats: stats.map(|stats| (now, stats)), tasks, now }
    }

    #[test]
    fn tasks_are_told_with_and_without_a_database() {
        let text = text(&figures(None));
        for line in [
            "trivia_database_up 0",
            "trivia_task_ok{task=\"daily_backup\"} 0",
            "trivia_task_ok{task=\"scrub\"} 1",
            "trivia_task_failing_since_timestamp_seconds{task=\"daily_backup\"} 1772622000.25",
            "trivia_task_failures{task=\"daily_backup\"} 3",
            "trivia_task_done_timestamp_seconds{task=\"scrub\"} 1772625600.25",
            "trivia_task_next_timestamp_seconds{task=\"scrub\"} 1772647200.25",
        ] {
            assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
        }
        assert!(!text.contains("failing_since_timestamp_seconds{task=\"scrub\"}"), "{text}");
    }

    #[test]
    fn each_family_is_there_once_and_its_samples_follow_it() {
        let text = text(&figures(Some(crate::server::site::tests::stats())));
        let mut family = "";
        let mut seen = Vec::new();
        for line in text.lines() {
            let name = line.split([' ', '{']).next().unwrap();
            match line.strip_prefix("# HELP ").or(line.strip_prefix("# TYPE ")) {
                Some(rest) if line.starts_with("# HELP") => {
                    family = rest.split(' ').next().unwrap();
                    assert!(!seen.contains(&family), "{family} twice");
                    seen.push(family);
                }
                Some(rest) => assert_eq!(rest.split(' ').next(), Some(family)),
                None => assert_eq!(name, family, "{line}"),
            }
        }
        assert!(seen.len() > 15, "{seen:?}");
        for line in [
            "trivia_database_up 1",
            "trivia_table_rows{table=\"users\"} 7",
            "trivia_errors_total{kind=\"busy\"} 2",
            "trivia_last_backup_age_seconds 3600.25",
            "trivia_pool_connections{state=\"reader\"} 4",
        ] {
            assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
        }
    }

    #[test]
    fn labels_are_escaped() {
        let mut page = Page::default();
        page.sample("x", &[("label", "a\"b\\c\nd")], 1);
        assert_eq!(page.0, "x{label=\"a\\\"b\\\\c\\nd\"} 1\n");
    }
}
