//! What a category's portable type asks of the provider behind it, whatever the category.
//!
//! There are three levels of "no". A facet that the provider does not have at all: the driver's accessor gives `None`.
//! A capability that this instance does not have: it is not among its [`Caps`]. A limit that only a call can find: the
//! call fails with [`ErrorKind::PermissionDenied`](crate::ErrorKind). The first two are errors before anything is sent.

use std::any::Any;
use std::borrow::Cow;

use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::provider::ProviderSpec;

/// Declares what the services of one category can do: an enum with the list `ALL` and the name of each in
/// `provider.toml`.
///
/// ```
/// integrations_core::caps! {
///     /// What a service that keeps notes can do.
///     pub enum NotesCap {
///         /// Notes are read.
///         Read = "read",
///         /// Notes are made.
///         Write = "write",
///     }
/// }
///
/// assert_eq!(NotesCap::ALL.map(NotesCap::as_str), ["read", "write"]);
/// ```
#[macro_export]
macro_rules! caps {
    (
        $(#[$meta:meta])*
        $visibility:vis enum $name:ident {
            $($(#[$variant_meta:meta])* $variant:ident = $text:literal),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        $visibility enum $name {
            $($(#[$variant_meta])* $variant,)+
        }

        impl $name {
            /// All of them.
            $visibility const ALL: [Self; [$($text),+].len()] = [$(Self::$variant),+];

            /// The capability as written in `provider.toml`.
            $visibility const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

/// Facets that a driver is itself: the accessors of its category's trait.
///
/// ```
/// trait Shelf {
///     fn notes(&self) -> Option<&dyn Notes> {
///         None
///     }
/// }
/// trait Notes {}
///
/// struct Client;
///
/// impl Notes for Client {}
///
/// impl Shelf for Client {
///     integrations_core::facets! { notes: Notes }
/// }
///
/// assert!(Client.notes().is_some());
/// ```
#[macro_export]
macro_rules! facets {
    ($($name:ident: $facet:ident),+ $(,)?) => {
        $(fn $name(&self) -> ::core::option::Option<&dyn $facet> {
            ::core::option::Option::Some(self)
        })+
    };
}

/// What is the same in the [`Driver`](crate::driver::Driver) of every client that is called over HTTP: its facts, itself,
/// and its field `caller`.
#[macro_export]
macro_rules! client_driver {
    ($spec:expr) => {
        fn spec(&self) -> &'static $crate::provider::ProviderSpec {
            $spec
        }

        fn raw(&self) -> &dyn ::core::any::Any {
            self
        }

        fn caller(&self) -> ::core::option::Option<&$crate::Caller> {
            ::core::option::Option::Some(&self.caller)
        }
    };
}

/// The part that the drivers of all categories have in common.
pub trait Driver: Send + Sync + 'static {
    /// The provider's facts.
    fn spec(&self) -> &'static ProviderSpec;

    /// What this instance can do. Default: everything that the provider can. A driver that knows its plan or its scopes
    /// leaves out what they do not allow.
    fn caps(&self) -> Caps {
        Caps::of(self.spec())
    }

    /// The provider's own client, for what the category does not have: `self`, or what `self` wraps.
    fn raw(&self) -> &dyn Any;

    /// What carries the calls of a provider that is called over HTTP: for operations that are chosen at run time.
    fn caller(&self) -> Option<&Caller> {
        None
    }
}

/// What one instance can do, by the names of its category.
///
/// ```
/// use integrations_core::driver::Caps;
/// use integrations_core::provider::{ProviderSpec, Status};
///
/// static SPEC: ProviderSpec =
///     ProviderSpec::new("notes", "Notes", "example", Status::Full).caps(&["read", "write"]);
///
/// let free_plan = Caps::of(&SPEC).without("write");
/// assert!(free_plan.has("read"));
/// let error = free_plan.require(["read", "write"]).unwrap_err();
/// assert_eq!(error.to_string(), "unsupported: this instance of `notes` lacks write");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caps {
    spec: &'static ProviderSpec,
    names: Cow<'static, [&'static str]>,
}

impl Caps {
    /// Everything that the provider can.
    pub fn of(spec: &'static ProviderSpec) -> Self {
        Self { spec, names: Cow::Borrowed(spec.caps) }
    }

    /// These without one of them.
    #[must_use]
    pub fn without(mut self, cap: &str) -> Self {
        self.names.to_mut().retain(|name| *name != cap);
        self
    }

    /// These, with `caps` among them only if they are granted: by the plan, a scope, a setting.
    #[must_use]
    pub fn only_if(self, granted: bool, caps: &[&str]) -> Self {
        let lacking = if granted { &[] } else { caps };
        lacking.iter().fold(self, |caps, cap| caps.without(cap))
    }

    /// Whether this one is among them.
    pub fn has(&self, cap: &str) -> bool {
        self.names.contains(&cap)
    }

    /// All of them, in the order of the provider's facts.
    pub fn iter(&self) -> impl Iterator<Item = &'static str> {
        self.names.iter().copied()
    }

    /// All of them, if they are fewer than the provider's.
    pub fn reduced(self) -> Option<Vec<&'static str>> {
        (self.names.len() < self.spec.caps.len()).then(|| self.names.into_owned())
    }

    /// [`ErrorKind::Unsupported`](crate::ErrorKind) that names each of `needs` that is not among them.
    pub fn require<'n>(&self, needs: impl IntoIterator<Item = &'n str>) -> Result<()> {
        let lacking: Vec<&str> = needs.into_iter().filter(|need| !self.has(need)).collect();
        if lacking.is_empty() { Ok(()) } else { Err(self.lacking(&lacking)) }
    }

    /// The part of a driver that serves `cap`. [`ErrorKind::Unsupported`](crate::ErrorKind) when there is none, or when
    /// this instance may not use it.
    pub fn facet<F>(&self, cap: &str, facet: Option<F>) -> Result<F> {
        facet.filter(|_| self.has(cap)).ok_or_else(|| self.lacking(&[cap]))
    }

    fn lacking(&self, caps: &[&str]) -> Error {
        let message = format!("this instance of `{}` lacks {}", self.spec.id, caps.join(", "));
        if caps.iter().all(|cap| self.spec.can(cap)) {
            return Error::unsupported(
                message,
                "the provider has it: look at the plan and the scopes of the instance",
            );
        }
        let hint = match self.names.as_ref() {
            [] => "choose a provider that has it".to_owned(),
            names => format!("choose a provider that has it; this one has {}", names.join(", ")),
        };
        Error::unsupported(message, hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Effect, ErrorKind};
    use crate::provider::Status;

    static SPEC: ProviderSpec =
        ProviderSpec::new("notes", "Notes", "example", Status::Full).caps(&["read", "write"]);

    #[test]
    fn what_is_missing_is_named_before_anything_is_sent() {
        let caps = Caps::of(&SPEC);
        caps.require(["write", "read"]).unwrap();
        caps.require([]).unwrap();
        let error = caps.require(["read", "share", "print"]).unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Unsupported, Effect::NotSent));
        assert_eq!(error.message(), "this instance of `notes` lacks share, print");
        assert_eq!(error.hint(), Some("choose a provider that has it; this one has read, write"));
    }

    #[test]
    fn a_plan_takes_away_what_the_provider_has() {
        let caps = Caps::of(&SPEC).without("write").without("unheard of");
        assert_eq!(caps.iter().collect::<Vec<_>>(), ["read"]);
        assert_eq!(Caps::of(&SPEC).only_if(false, &["write"]), caps);
        assert_eq!(Caps::of(&SPEC).only_if(true, &["write"]), Caps::of(&SPEC));
        let error = caps.require(["write"]).unwrap_err();
        assert!(error.hint().unwrap().contains("the plan and the scopes"), "{error:?}");
        assert_eq!((caps.reduced(), Caps::of(&SPEC).reduced()), (Some(vec!["read"]), None));
    }

    #[test]
    fn a_facet_needs_both_the_part_and_the_capability() {
        let caps = Caps::of(&SPEC);
        assert_eq!(caps.facet("write", Some(1)).unwrap(), 1);
        assert!(caps.facet::<u8>("write", None).is_err());
        assert!(caps.without("write").facet("write", Some(1)).is_err());
    }
}
