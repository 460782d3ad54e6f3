//! Ids as types of their own, so that a channel is never taken for a user.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, de};
use uuid::Uuid;

use crate::error::{StoreError, StoreResult};
use crate::ports::RandomSource;

/// Defines a numeric id of 0 to 2^63-1 whose JSON form is a string, because JavaScript rounds
/// large numbers; both strings and numbers are read.
macro_rules! define_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i64);

        impl $name {
            /// Builds the id.
            ///
            /// # Errors
            /// [`StoreError::Invalid`] when it is negative.
            pub fn new(value: i64) -> StoreResult<Self> {
                if value < 0 {
                    return Err(StoreError::invalid($what, format!("{value} is negative")));
                }
                Ok(Self(value))
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl TryFrom<u64> for $name {
            type Error = StoreError;
            fn try_from(value: u64) -> StoreResult<Self> {
                i64::try_from(value).map(Self).map_err(|_| {
                    StoreError::invalid($what, format!("{value} is larger than 2^63-1"))
                })
            }
        }

        impl FromStr for $name {
            type Err = StoreError;
            fn from_str(text: &str) -> StoreResult<Self> {
                let value = text.parse::<u64>().map_err(|_| {
                    StoreError::invalid($what, format!("{text:?} is not a whole number from 0 to 2^63-1"))
                })?;
                Self::try_from(value)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        write!(f, "a {} from 0 to 2^63-1, as a string or a number", $what)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                    fn visit_u64<E: de::Error>(self, value: u64) -> Result<$name, E> {
                        $name::try_from(value).map_err(E::custom)
                    }
                    fn visit_i64<E: de::Error>(self, value: i64) -> Result<$name, E> {
                        $name::new(value).map_err(E::custom)
                    }
                }
                deserializer.deserialize_any(Visitor)
            }
        }
    };
}

define_id!(
    /// A player; a Discord or Telegram snowflake fits.
    ///
    /// ```
    /// use trivia_domain::model::UserId;
    /// let user: UserId = "1399999999999999999".parse()?;
    /// assert_eq!(serde_json::to_string(&user).unwrap(), "\"1399999999999999999\"");
    /// assert!("9223372036854775808".parse::<UserId>().is_err());
    /// # Ok::<(), trivia_domain::StoreError>(())
    /// ```
    UserId,
    "user id"
);
define_id!(
    /// The place where a game runs: a channel, a chat, a room.
    ChannelId,
    "channel id"
);
define_id!(
    /// A question; its versions share it.
    QuestionId,
    "question id"
);
define_id!(
    /// A report of a player about a question.
    ReportId,
    "report id"
);

/// Defines a 128-bit id that the application makes.
macro_rules! define_uuid {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Takes an existing UUID.
            #[must_use]
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// Makes a time-ordered one (UUID version 7, RFC 9562) from an instant and chance.
            #[must_use]
            pub fn generate(at: DateTime<Utc>, random: &dyn RandomSource) -> Self {
                let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0);
                let mut bytes = [0; 10];
                bytes[..8].copy_from_slice(&random.next_u64().to_le_bytes());
                bytes[8..].copy_from_slice(&random.next_u64().to_le_bytes()[..2]);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid())
            }

            /// The UUID.
            #[must_use]
            pub const fn get(self) -> Uuid {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = StoreError;
            fn from_str(text: &str) -> StoreResult<Self> {
                Uuid::parse_str(text)
                    .map(Self)
                    .map_err(|error| StoreError::invalid($what, error.to_string()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

define_uuid!(
    /// One game in one channel.
    SessionId,
    "session id"
);
define_uuid!(
    /// Makes a request count once: a retry with the same key gets the first receipt.
    IdempotencyKey,
    "idempotency key"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t9_ids_up_to_the_largest_round_trip() {
        for value in [0, 1, i64::MAX] {
            let id = UserId::new(value).unwrap();
            assert_eq!(id.get(), value);
            assert_eq!(id.to_string().parse::<UserId>().unwrap(), id);
            assert_eq!(serde_json::from_str::<UserId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
            assert_eq!(serde_json::from_str::<UserId>(&value.to_string()).unwrap(), id, "as a number");
            assert_eq!(UserId::try_from(value.unsigned_abs()).unwrap(), id);
        }
    }

    #[test]
    fn t9_larger_and_negative_ids_are_refused_never_wrapped() {
        let invalid = |result: StoreResult<UserId>| matches!(result, Err(StoreError::Invalid { what: "user id", .. }));
        for value in [1 << 63, (1 << 63) + 1, u64::MAX] {
            assert!(invalid(UserId::try_from(value)), "{value}");
            assert!(invalid(value.to_string().parse()), "{value}");
            assert!(serde_json::from_str::<UserId>(&value.to_string()).is_err(), "{value}");
            assert!(serde_json::from_str::<UserId>(&format!("\"{value}\"")).is_err(), "{value}");
        }
        for value in [-1, i64::MIN] {
            assert!(invalid(UserId::new(value)), "{value}");
            assert!(invalid(value.to_string().parse()), "{value}");
            assert!(serde_json::from_str::<UserId>(&value.to_string()).is_err(), "{value}");
        }
        for text in ["", "seven", "1.0", "18446744073709551616", " 1"] {
            assert!(invalid(text.parse()), "{text:?}");
        }
    }
}
