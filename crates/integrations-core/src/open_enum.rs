//! Enums that survive the day a vendor ships a new value.

/// Declares an enum of a vendor's known values that keeps unknown ones as they are.
///
/// Each variant names its text; a variant `Other(Box<str>)` is added for the rest. The enum gets `as_str`,
/// `is_known`, the list `KNOWN`, `Display`, `FromStr` (never fails), `From<&str>`, `From<String>`,
/// `AsRef<str>`, and serde's `Serialize` and `Deserialize` as text. It is `#[non_exhaustive]`: giving a value a
/// name later is no breaking change. Make values with `from` or `parse`, which never put a known text into `Other`.
///
/// ```
/// integrations_core::open_enum! {
///     /// What became of a payment.
///     pub enum PaymentStatus {
///         /// The money is on its way.
///         Paid = "paid",
///         /// The bank has not answered yet.
///         Pending = "pending",
///     }
/// }
///
/// assert_eq!(PaymentStatus::from("paid"), PaymentStatus::Paid);
/// let new = PaymentStatus::from("paid_in_cowries");
/// assert!(!new.is_known());
/// assert_eq!(new.to_string(), "paid_in_cowries");
/// assert_eq!(PaymentStatus::KNOWN, ["paid", "pending"]);
/// ```
#[macro_export]
macro_rules! open_enum {
    (
        $(#[$meta:meta])*
        $visibility:vis enum $name:ident {
            $($(#[$variant_meta:meta])* $variant:ident = $text:literal),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        $visibility enum $name {
            $($(#[$variant_meta])* $variant,)+
            /// A value that this version does not know, as the service wrote it.
            Other(::std::boxed::Box<str>),
        }

        impl $name {
            /// The texts of all known values, in the order of declaration.
            $visibility const KNOWN: &'static [&'static str] = &[$($text),+];

            /// The value as the service writes it.
            $visibility fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }

            /// Whether this version knows the value.
            $visibility fn is_known(&self) -> bool {
                !::core::matches!(self, Self::Other(_))
            }

            fn known(text: &str) -> ::core::option::Option<Self> {
                match text {
                    $($text => ::core::option::Option::Some(Self::$variant),)+
                    _ => ::core::option::Option::None,
                }
            }
        }

        impl ::core::convert::From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::known(text).unwrap_or_else(|| Self::Other(text.into()))
            }
        }

        impl ::core::convert::From<::std::string::String> for $name {
            fn from(text: ::std::string::String) -> Self {
                Self::known(&text).unwrap_or_else(|| Self::Other(text.into()))
            }
        }

        impl ::core::str::FromStr for $name {
            type Err = ::core::convert::Infallible;

            fn from_str(text: &str) -> ::core::result::Result<Self, Self::Err> {
                ::core::result::Result::Ok(Self::from(text))
            }
        }

        impl ::core::convert::AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl ::core::fmt::Display for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl $crate::__private::serde::Serialize for $name {
            fn serialize<S: $crate::__private::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> $crate::__private::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::__private::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                $crate::__private::open_enum(deserializer)
            }
        }
    };
}

/// What the code made by this crate's macros refers to.
#[doc(hidden)]
pub mod private {
    use std::fmt;
    use std::marker::PhantomData;

    pub use http::Uri;
    pub use serde;
    use serde::de::{Deserializer, Error, Visitor};

    /// Reads text, borrowing it where the format can.
    pub fn open_enum<'de, D, T>(deserializer: D) -> Result<T, D::Error>
    where
        D: Deserializer<'de>,
        T: for<'a> From<&'a str>,
    {
        deserializer.deserialize_str(TextVisitor(PhantomData))
    }

    struct TextVisitor<T>(PhantomData<T>);

    impl<T: for<'a> From<&'a str>> Visitor<'_> for TextVisitor<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("text")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            Ok(T::from(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    open_enum! {
        /// A state.
        pub(crate) enum State {
            /// On.
            On = "on",
            /// A keyword and an odd spelling.
            Self_ = "self",
            /// Two words.
            InReview = "IN-REVIEW",
        }
    }

    #[test]
    fn known_values_have_names_and_unknown_ones_are_kept() {
        for (text, state) in [("on", State::On), ("self", State::Self_), ("IN-REVIEW", State::InReview)] {
            assert_eq!(State::from(text), state);
            assert_eq!(State::from(text.to_owned()), state);
            assert!(state.is_known() && State::KNOWN.contains(&state.as_ref()));
        }
        assert_eq!(State::from("ON"), State::Other("ON".into()));
        assert!(!State::from("").is_known());
    }

    #[test]
    fn it_works_as_a_field_as_a_map_key_and_from_owned_json() {
        #[derive(serde::Serialize, serde::Deserialize)]
        struct Answer {
            states: Vec<State>,
            count: std::collections::BTreeMap<State, u8>,
        }
        let json = r#"{"states":["on","zz_new"],"count":{"IN-REVIEW":1,"zz_new":2}}"#;
        let answer: Answer = serde_json::from_str(json).unwrap();
        assert_eq!(answer.states, [State::On, State::from("zz_new")]);
        assert_eq!(serde_json::to_string(&answer).unwrap(), json);
        let owned: State = serde_json::from_value(serde_json::json!("on")).unwrap();
        assert_eq!(owned, State::On);
        assert!(serde_json::from_str::<State>("1").is_err());
    }

    proptest! {
        #[test]
        fn any_text_comes_back_unchanged(text: String) {
            let state: State = text.parse().unwrap();
            prop_assert_eq!(state.as_str(), &text);
            prop_assert_eq!(state.to_string(), text.clone());
            let json = serde_json::to_string(&state).unwrap();
            prop_assert_eq!(&json, &serde_json::to_string(&text).unwrap());
            prop_assert_eq!(serde_json::from_str::<State>(&json).unwrap(), state);
        }
    }
}
