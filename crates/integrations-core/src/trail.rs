//! Deserialisation that knows where in the document it failed and names nothing but what the *type* names.
//!
//! `serde_path_to_error` names every key on the way. A vendor's map may be keyed by secrets, and a field that the type
//! does not know may be anything; so here a place is built from the type's own field names and from indices, and any
//! other key is written as `*`: `items[1].limits.*`.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

use serde::Deserialize;
use serde::de::value::CowStrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

/// Names of the fields of a struct, as its type gives them.
type Fields = &'static [&'static str];

/// Deserialises; on failure gives the error and its place, empty for the document itself.
pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, (D::Error, String)>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let trail = Trail::default();
    T::deserialize(Traced::new(deserializer, &trail)).map_err(|e| (e, trail.to_string()))
}

#[derive(Clone, Copy)]
enum Step {
    Field(&'static str),
    Key,
    Index(usize),
}

/// The steps to the place that is being read. A step stays when reading behind it fails; whoever swallows that error
/// goes on from a shorter trail.
#[derive(Default)]
struct Trail(RefCell<Vec<Step>>);

impl Trail {
    fn depth(&self) -> usize {
        self.0.borrow().len()
    }

    fn enter(&self, depth: usize, step: Step) {
        let mut steps = self.0.borrow_mut();
        steps.truncate(depth);
        steps.push(step);
    }

    fn leave(&self, depth: usize) {
        self.0.borrow_mut().truncate(depth);
    }
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.borrow().iter().enumerate() {
            let dot = if number == 0 { "" } else { "." };
            match step {
                Step::Field(name) => write!(f, "{dot}{name}")?,
                Step::Key => write!(f, "{dot}*")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A deserializer, visitor, seed or access whose descendants are traced.
struct Traced<'t, X> {
    inner: X,
    trail: &'t Trail,
    fields: Option<Fields>,
}

impl<'t, X> Traced<'t, X> {
    fn new(inner: X, trail: &'t Trail) -> Self {
        Self { inner, trail, fields: None }
    }

    fn wrap<Y>(&self, inner: Y) -> Traced<'t, Y> {
        Traced::new(inner, self.trail)
    }

    fn of_struct(self, fields: Fields) -> Self {
        Self { fields: Some(fields), ..self }
    }
}

/// Methods of a deserializer that take what is listed and a visitor.
macro_rules! forward_to_deserializer {
    ($($method:ident($($argument:ident: $type:ty),*);)+) => {$(
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            let visitor = self.wrap(visitor);
            self.inner.$method($($argument,)* visitor)
        }
    )+};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Traced<'_, D> {
    type Error = D::Error;

    forward_to_deserializer! {
        deserialize_any();
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_str();
        deserialize_string();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_option();
        deserialize_unit();
        deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple(len: usize);
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map();
        deserialize_enum(name: &'static str, variants: Fields);
        deserialize_identifier();
        deserialize_ignored_any();
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: Fields,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = self.wrap(visitor).of_struct(fields);
        self.inner.deserialize_struct(name, fields, visitor)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// Methods of a visitor for values without an inside.
macro_rules! forward_to_visitor {
    ($($method:ident($type:ty);)+) => {$(
        fn $method<E: serde::de::Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$method(value)
        }
    )+};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Traced<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    forward_to_visitor! {
        visit_bool(bool);
        visit_i8(i8);
        visit_i16(i16);
        visit_i32(i32);
        visit_i64(i64);
        visit_i128(i128);
        visit_u8(u8);
        visit_u16(u16);
        visit_u32(u32);
        visit_u64(u64);
        visit_u128(u128);
        visit_f32(f32);
        visit_f64(f64);
        visit_char(char);
        visit_str(&str);
        visit_borrowed_str(&'de str);
        visit_string(String);
        visit_bytes(&[u8]);
        visit_borrowed_bytes(&'de [u8]);
        visit_byte_buf(Vec<u8>);
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let deserializer = self.wrap(deserializer);
        self.inner.visit_some(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let deserializer = self.wrap(deserializer);
        self.inner.visit_newtype_struct(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let items = Items { access: self.wrap(access), depth: self.trail.depth(), next: 0 };
        self.inner.visit_seq(items)
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let access = Traced { fields: self.fields, ..self.wrap(access) };
        let entries = Entries { access, depth: self.trail.depth(), step: Step::Key };
        self.inner.visit_map(entries)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let access = self.wrap(access);
        self.inner.visit_enum(access)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Traced<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        let deserializer = self.wrap(deserializer);
        self.inner.deserialize(deserializer)
    }
}

struct Items<'t, A> {
    access: Traced<'t, A>,
    depth: usize,
    next: usize,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Items<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let trail = self.access.trail;
        trail.enter(self.depth, Step::Index(self.next));
        self.next += 1;
        let seed = self.access.wrap(seed);
        let item = self.access.inner.next_element_seed(seed)?;
        trail.leave(self.depth);
        Ok(item)
    }

    fn size_hint(&self) -> Option<usize> {
        self.access.inner.size_hint()
    }
}

struct Entries<'t, A> {
    access: Traced<'t, A>,
    depth: usize,
    /// The key that was read last.
    step: Step,
}

/// A key, borrowed from the document where it stands there as it is.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de, A: MapAccess<'de>> Entries<'_, A> {
    fn next_key<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let Some(fields) = self.access.fields else { return self.access.inner.next_key_seed(seed) };
        let Some(Key(key)) = self.access.inner.next_key()? else { return Ok(None) };
        let known = fields.iter().find(|field| **field == key);
        self.step = known.map_or(Step::Key, |field| Step::Field(field));
        let key: CowStrDeserializer<'_, A::Error> = key.into_deserializer();
        seed.deserialize(key).map(Some)
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Entries<'_, A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.access.trail.enter(self.depth, Step::Key);
        let key = self.next_key(seed)?;
        self.access.trail.leave(self.depth);
        Ok(key)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.access.trail.enter(self.depth, self.step);
        let seed = self.access.wrap(seed);
        let value = self.access.inner.next_value_seed(seed)?;
        self.access.trail.leave(self.depth);
        Ok(value)
    }

    fn size_hint(&self) -> Option<usize> {
        self.access.inner.size_hint()
    }
}

impl<'de, 't, A: EnumAccess<'de>> EnumAccess<'de> for Traced<'t, A> {
    type Error = A::Error;
    type Variant = Traced<'t, A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let (value, variant) = self.inner.variant_seed(seed)?;
        Ok((value, Traced::new(variant, self.trail)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Traced<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        let seed = self.wrap(seed);
        self.inner.newtype_variant_seed(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let visitor = self.wrap(visitor);
        self.inner.tuple_variant(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: Fields, visitor: V) -> Result<V::Value, A::Error> {
        let visitor = self.wrap(visitor).of_struct(fields);
        self.inner.struct_variant(fields, visitor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Whole {
        items: Vec<Item>,
        #[serde(default)]
        limits: HashMap<String, u32>,
        #[serde(default, rename = "camelCase")]
        renamed: Option<Wrapped>,
        #[serde(default)]
        shapes: Vec<Shape>,
        #[serde(default)]
        strict: Option<Strict>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Item {
        price: u32,
        note: Option<String>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Wrapped(BTreeMap<u8, (i8, f64)>);

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        known: bool,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    enum Shape {
        Point,
        Circle(u32),
        Line(u8, u8),
        Box { width: u8 },
    }

    fn place(document: &str) -> String {
        let mut reader = serde_json::Deserializer::from_str(document);
        let (error, place) = deserialize::<Whole, _>(&mut reader).unwrap_err();
        assert!(error.line() > 0 && error.column() > 0, "{document}: {error}");
        place
    }

    #[test]
    fn places_are_named_by_the_type_alone() {
        for (document, expected) in [
            ("7", ""),
            ("{}", ""),
            (r#"{"items":7}"#, "items"),
            (r#"{"items":[{"price":1},{"price":"hunter2"}]}"#, "items[1].price"),
            (r#"{"items":[{"note":"hunter2"}]}"#, "items[0]"),
            (r#"{"items":[{"price":1,"note":7}]}"#, "items[0].note"),
            (r#"{"items":[],"limits":{"hunter2":"x"}}"#, "limits.*"),
            (r#"{"items":[],"camelCase":{"1":[1,"x"]}}"#, "camelCase.*[1]"),
            (r#"{"items":[],"camelCase":{"hunter2":[1,1]}}"#, "camelCase.*"),
            (r#"{"items":[],"shapes":["hunter2"]}"#, "shapes[0]"),
            (r#"{"items":[],"shapes":[{"hunter2":1}]}"#, "shapes[0]"),
            (r#"{"items":[],"shapes":[{"Circle":"hunter2"}]}"#, "shapes[0]"),
            (r#"{"items":[],"shapes":["Point",{"Line":[1,"x"]}]}"#, "shapes[1][1]"),
            (r#"{"items":[],"shapes":[{"Box":{"width":"x"}}]}"#, "shapes[0].width"),
            (r#"{"items":[],"strict":{"hunter2":1}}"#, "strict.*"),
            (r#"{"items":[],"hunter2":"#, "*"),
        ] {
            assert_eq!(place(document), expected, "{document}");
        }
    }

    #[test]
    fn what_is_read_is_what_serde_json_reads() {
        let document = json!({
            "items": [{ "price": 1, "note": null }, { "price": 2, "note": "a\"b", "new": [{}] }],
            "limits": { "a": 1, "ü\n": 2 },
            "camelCase": { "7": [-1, 2.5] },
            "shapes": ["Point", { "Circle": 1 }, { "Line": [1, 2] }, { "Box": { "width": 3 } }],
            "strict": { "known": true },
        });
        let text = document.to_string();
        let plain: Whole = serde_json::from_str(&text).unwrap();
        let mut reader = serde_json::Deserializer::from_str(&text);
        assert_eq!(deserialize::<Whole, _>(&mut reader).unwrap(), plain);
        assert_eq!(deserialize::<Whole, _>(&document).unwrap(), plain);
        assert_eq!(deserialize::<Value, _>(&document).unwrap(), document);
    }

    #[test]
    fn a_swallowed_error_leaves_no_step_behind() {
        #[derive(Debug, Deserialize)]
        struct Lenient {
            #[serde(deserialize_with = "or_none")]
            #[expect(dead_code, reason = "only its shape matters")]
            first: Option<u8>,
            #[expect(dead_code, reason = "only its shape matters")]
            second: u8,
        }
        #[expect(clippy::unnecessary_wraps, reason = "serde asks for this signature")]
        fn or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
            Ok(<Vec<u8>>::deserialize(deserializer).ok().and_then(|list| list.first().copied()))
        }
        let (_, place) = deserialize::<Lenient, _>(&json!({ "first": ["x"], "second": "x" })).unwrap_err();
        assert_eq!(place, "second");
    }
}
