//! Why a command failed, for people.

use std::error::Error as StdError;
use std::io::{self, Write};
use std::process::ExitCode;

use trivia_domain::StoreError;

use trivia_app::importers::ImportError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A port says so.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The importers say so.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The command line is incomplete.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
    },
    /// Anything else.
    #[error("{message}")]
    Other {
        /// What happened.
        message: String,
        /// What to do.
        hint: String,
        /// Why.
        #[source]
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// The reader of the output has gone away: it has what it wanted.
    #[error("the output was closed")]
    PipeClosed,
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl Failure {
    /// A failure without a deeper cause.
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Other { message: message.into(), hint: hint.into(), source: None }
    }

    /// A failure with its cause.
    pub(crate) fn because(
        message: impl Into<String>,
        hint: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::Other { message: message.into(), hint: hint.into(), source: Some(source.into()) }
    }

    /// Something that would destroy data was not confirmed.
    pub(crate) fn unconfirmed(what: &str) -> Self {
        Self::Usage { message: format!("{what} needs a confirmation"), hint: "add --yes; nothing was changed".into() }
    }

    /// The next step for a person.
    pub(crate) fn hint(&self) -> &str {
        match self {
            Self::Store(StoreError::Missing { entity: "database", .. }) => {
                "run `trivia-db init` to create it, or name another with --database-url"
            }
            Self::Store(error) => error.hint(),
            Self::Import(ImportError::Store(error)) => error.hint(),
            Self::Import(error) => error.hint(),
            Self::Usage { hint, .. } | Self::Other { hint, .. } => hint,
            Self::PipeClosed => "",
            Self::Interrupted => "run the command again; nothing was left half done",
        }
    }

    /// 1 failed, 2 usage, 130 interrupted.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage { .. } => 2,
            Self::Interrupted => 130,
            _ => 1,
        })
    }

    /// The failure, its causes and its hint.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("error: {self}\n");
        let mut cause = self.source();
        while let Some(error) = cause {
            let line = error.to_string();
            // many errors repeat their cause in their own words
            if !text.contains(&line) {
                text.push_str(&format!("  caused by: {line}\n"));
            }
            cause = error.source();
        }
        text.push_str(&format!("hint: {}\n", self.hint()));
        text
    }

    /// Prints it on stderr.
    pub(crate) fn report(&self) {
        // without stderr there is nobody to tell
        let _ = io::stderr().write_all(self.text().as_bytes());
    }
}
