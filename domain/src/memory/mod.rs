//! A complete store without a database.
