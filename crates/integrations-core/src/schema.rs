//! JSON Schema of what is text in JSON and a type of its own here.

use crate::page::Cursor;

/// What is said about a text, and which values are known, where there is such a list. Others may come.
macro_rules! text_schemas {
    ($($name:ident: $about:literal $(, $known:expr)?;)+) => {$(
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                #[allow(unused_mut, reason = "only some have known values")]
                let mut schema = schemars::json_schema!({ "type": "string", "description": $about });
                $(schema.insert("examples".to_owned(), $known.to_vec().into());)?
                schema
            }
        }
    )+};
}

#[cfg(feature = "music")]
pub(crate) use text_schemas;

text_schemas! {
    Cursor: "where a page begins, as an earlier page gave it";
}
