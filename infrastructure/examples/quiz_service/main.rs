//! A quiz service on SQLite: `cargo run -p trivia-infrastructure --example quiz_service`.
//!
//! Only this file names a database; `service.rs` knows the ports alone, and its tests run on mocks.

mod service;

use std::error::Error;
use std::sync::Arc;

use service::QuizService;
use trivia_domain::model::{ChannelId, UserId};
use trivia_domain::ports::{MaintenancePort, Repositories};
use trivia_infrastructure::{Database, DatabaseOptions, DatabaseUrl, SystemClock, SystemRandom, schema};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("quiz-service-{}", std::process::id()));
    let options = DatabaseOptions::new(DatabaseUrl::of_file(folder.join("trivia.db")));
    schema::up(&options, None).await?;
    let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    let database = Database::open(options, clock.clone(), random.clone()).await?;

    let question = r#"{"kind":"fill_blank","category":"Nature","difficulty":"easy",
        "question":"What do bees make?","answer":"honey"}"#;
    database.questions().add(vec![serde_json::from_str(question)?]).await?;

    let service = QuizService::new(Arc::new(database.clone()), clock, random);
    let (host, channel) = (UserId::new(7)?, ChannelId::new(1)?);
    let (session, asked) = service.start(channel, host, 1).await?;
    println!("{}", asked.content.text());
    for text in ["Honey!", "honey"] {
        println!("> {text}\n{:?}", service.answer(&session, &asked, host, text).await?);
    }
    database.close().await?;
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
