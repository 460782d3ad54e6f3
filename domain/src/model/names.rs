//! One way to give a type its form in files and tables.

/// Gives an enum `ALL`, `as_str`, `Display` and `FromStr` by a list of names.
macro_rules! define_names {
    ($type:ident, $what:literal, $($variant:ident = $name:literal),+) => {
        impl $type {
            /// All of them, in order.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// The name in files and tables.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::error::StoreError;
            fn from_str(text: &str) -> $crate::error::StoreResult<Self> {
                Self::ALL.into_iter().find(|known| known.as_str() == text).ok_or_else(|| {
                    let reason = format!("{text:?} is not one of {}", [$($name),+].join(", "));
                    $crate::error::StoreError::invalid($what, reason)
                })
            }
        }
    };
}

/// Gives a type around a text, whose `new` checks it, `as_str`, `Display`, `FromStr` and both
/// conversions that serde uses.
macro_rules! define_text {
    ($type:ident) => {
        impl $type {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = $crate::error::StoreError;
            fn try_from(text: String) -> $crate::error::StoreResult<Self> {
                Self::new(&text)
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::error::StoreError;
            fn from_str(text: &str) -> $crate::error::StoreResult<Self> {
                Self::new(text)
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.0.into()
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

pub(super) use {define_names, define_text};
