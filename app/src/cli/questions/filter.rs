//! Which questions a command is about.

use trivia_domain::model::{Category, Difficulty, Language, PackName, QuestionKind, Tag};
use trivia_domain::ports::{QuestionFilter, Repositories};

use crate::error::Failure;

#[derive(Debug, Clone, clap::Args)]
pub(in crate::cli) struct Filter {
    /// Only this category
    #[arg(long)]
    category: Option<Category>,
    /// Only this difficulty: easy, medium or hard
    #[arg(long)]
    difficulty: Option<Difficulty>,
    /// Only this kind: multiple_choice, true_false or fill_blank
    #[arg(long)]
    kind: Option<QuestionKind>,
    /// Only this language, such as is or pt-br
    #[arg(long)]
    language: Option<Language>,
    /// Only with this tag
    #[arg(long)]
    tag: Option<Tag>,
    /// Only of this pack
    #[arg(long, value_name = "NAME")]
    pack: Option<PackName>,
}

impl Filter {
    /// The filter; a pack that does not exist is an error, not an empty list.
    pub(in crate::cli) async fn checked(&self, store: &dyn Repositories) -> Result<QuestionFilter, Failure> {
        let Self { category, difficulty, kind, language, tag, pack } = self.clone();
        if let Some(name) = &pack {
            store.packs().get(name).await?;
        }
        Ok(QuestionFilter { category, difficulty, kind, language, tag, pack })
    }
}
