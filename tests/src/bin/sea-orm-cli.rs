//! The stock `sea-orm-cli`, pinned by the workspace and built with it.

#[tokio::main]
async fn main() {
    sea_orm_cli::main().await;
}
