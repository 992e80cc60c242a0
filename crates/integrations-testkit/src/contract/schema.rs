//! Values against schemas.
//!
//! Unknown fields are told once all branches were followed: a field is known if any branch that applies names it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::document::{Document, Format, reference};
use super::leaf::{Leaf, Mode};
use super::violation::{Rule, Violation};

/// Schemas looked at for one value: more than any real value needs, and an end for a schema made to cost time.
const MAX_STEPS: usize = 500_000;

/// Schemas within each other that are searched for a name.
const MAX_SEARCH: usize = 12;

static NO_WORDS: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

/// A schema that everything fits.
pub(super) static ANYTHING: Value = Value::Bool(true);

/// Judges values of one operation.
pub(super) struct Checker<'d> {
    pub(super) document: &'d Document,
    pub(super) mode: Mode,
    /// The id under which a discovery document lists the required fields of a request.
    pub(super) operation: &'d str,
    /// Schema and value that are being looked at, by address: a circle of references ends here.
    active: Vec<(usize, usize)>,
    steps: usize,
}

/// What one schema says of one value.
#[derive(Default)]
struct Outcome {
    found: Vec<Violation>,
    /// The fields that the schema names.
    names: BTreeSet<String>,
    /// Says that there may be others.
    open: bool,
    /// Says that there are no others.
    closed: bool,
}

impl Outcome {
    fn take(&mut self, other: Self) {
        self.found.extend(other.found);
        self.take_names(other.names, other.open, other.closed);
    }

    fn take_names(&mut self, names: BTreeSet<String>, open: bool, closed: bool) {
        self.names.extend(names);
        self.open |= open;
        self.closed |= closed;
    }

    /// How far the value is from what the schema describes: another type is farther than anything within.
    fn distance(&self, at: &str) -> (bool, usize) {
        let is_other = self.found.iter().any(|violation| violation.rule == Rule::Type && violation.at == at);
        (is_other, self.found.len())
    }
}

impl<'d> Checker<'d> {
    pub(super) fn new(document: &'d Document, mode: Mode, operation: &'d str) -> Self {
        Self { document, mode, operation, active: Vec::new(), steps: MAX_STEPS }
    }

    /// Everything that is wrong with the value. `at` is the place in violations.
    pub(super) fn check(&mut self, schema: &'d Value, value: &Value, at: &str) -> Vec<Violation> {
        let Outcome { mut found, names, open, closed } = self.apply(schema, value, at);
        let Some(fields) = value.as_object() else { return found };
        let forbids = match self.mode {
            Mode::Request => closed || (!open && !names.is_empty()),
            Mode::StrictResponse => closed,
            Mode::LenientResponse => false,
        };
        if forbids {
            let unknown = fields.keys().filter(|name| !names.contains(*name));
            found.extend(
                unknown.map(|name| Violation::new(inside(at, name), Rule::UnknownField, "not described")),
            );
        }
        found
    }

    fn apply(&mut self, schema: &'d Value, value: &Value, at: &str) -> Outcome {
        let Some(words) = schema.as_object() else { return plain(schema, at) };
        let here = (std::ptr::from_ref(schema).addr(), std::ptr::from_ref(value).addr());
        if self.steps == 0 || self.active.contains(&here) {
            return Outcome { open: true, ..Outcome::default() };
        }
        self.steps -= 1;
        if value.is_null() && is_nullable(words) {
            return Outcome::default();
        }
        self.active.push(here);
        let outcome = self.words(schema, words, value, at);
        self.active.pop();
        outcome
    }

    fn words(
        &mut self,
        schema: &'d Value,
        words: &'d Map<String, Value>,
        value: &Value,
        at: &str,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        if let Some(target) = reference(schema) {
            match self.document.resolve(target) {
                Some(target) => outcome.take(self.apply(target, value, at)),
                None => outcome.open = true,
            }
            // Only since 3.1 do the words beside a reference count.
            if self.document.format != Format::OpenApi31 {
                return outcome;
            }
        }
        let leaf = self.document.leaf(schema);
        outcome.found.extend(leaf.violations(value, at, self.mode));
        if outcome.found.iter().any(|violation| violation.rule == Rule::Type && violation.at == at) {
            return outcome;
        }
        self.branches(words, value, at, &mut outcome);
        match value {
            Value::Object(fields) => self.object(words, fields, at, &mut outcome),
            Value::Array(items) => self.array(schema, items, at, &mut outcome),
            _ => {}
        }
        outcome
    }

    fn branches(&mut self, words: &'d Map<String, Value>, value: &Value, at: &str, outcome: &mut Outcome) {
        for part in list(words, "allOf") {
            outcome.take(self.apply(part, value, at));
        }
        for word in ["anyOf", "oneOf"] {
            let branches = list(words, word);
            if branches.is_empty() {
                continue;
            }
            let kind = if branches.iter().all(|branch| reference(branch).is_some()) {
                discriminator(words, value)
            } else {
                None
            };
            let branch = kind.and_then(|(name, kind)| {
                discriminated(words, branches, kind).or_else(|| self.called(branches, name, kind))
            });
            match (branch, kind) {
                (Some(branch), _) => outcome.take(self.apply(branch, value, at)),
                // A service adds kinds.
                (None, Some(_)) if self.mode == Mode::LenientResponse => outcome.open = true,
                (None, Some((name, _))) => {
                    let what = format!("names none of {} alternatives", branches.len());
                    outcome.found.push(Violation::new(inside(at, name), Rule::Alternatives, what));
                    outcome.open = true;
                }
                (None, None) => outcome.take(self.alternatives(branches, value, at)),
            }
        }
        if list(words, "anyOf").is_empty() && list(words, "oneOf").is_empty() {
            outcome.open |= has_subtypes(words, value);
        }
        if let Some(excluded) = words.get("not")
            && self.mode != Mode::LenientResponse
            && self.apply(excluded, value, at).found.is_empty()
        {
            outcome.found.push(Violation::new(at, Rule::Alternatives, "excluded by the description"));
        }
    }

    /// The one branch that lists this value for the field itself, as Spotify's do without a mapping.
    fn called(&self, branches: &'d [Value], name: &str, kind: &str) -> Option<&'d Value> {
        let lists = |branch: &&'d Value| {
            let listed =
                |schema: &&Value| schema["enum"].as_array().is_some_and(|all| all.contains(&kind.into()));
            self.property(branch, name).iter().any(listed)
        };
        let mut found = branches.iter().filter(lists);
        found.next().filter(|_| found.next().is_none())
    }

    /// At least one branch must fit. That exactly one does is not asked: where branches overlap, that is no fault of
    /// who sends the value.
    fn alternatives(&mut self, branches: &'d [Value], value: &Value, at: &str) -> Outcome {
        let mut outcomes: Vec<Outcome> =
            branches.iter().map(|branch| self.apply(branch, value, at)).collect();
        let mut fitting = Outcome::default();
        let mut closed = true;
        let mut is_any = false;
        for outcome in outcomes.extract_if(.., |outcome| outcome.found.is_empty()) {
            is_any = true;
            closed &= outcome.closed;
            fitting.take_names(outcome.names, outcome.open, false);
        }
        if is_any {
            fitting.closed = closed;
            return fitting;
        }
        // Of a value that fits nowhere, the nearest branch is told, unless none is near.
        let near = outcomes.iter().map(|outcome| outcome.distance(at)).min();
        let mut names = Outcome { open: true, ..Outcome::default() };
        let nearest = outcomes.into_iter().find(|outcome| Some(outcome.distance(at)) == near);
        if let Some(nearest) = nearest {
            let is_of_other_type = nearest.distance(at).0;
            if is_of_other_type && branches.len() > 1 {
                let what = format!("fits none of {} alternatives", branches.len());
                names.found.push(Violation::new(at, Rule::Alternatives, what));
            } else {
                names.take(nearest);
            }
        }
        names
    }

    fn object(
        &mut self,
        words: &'d Map<String, Value>,
        fields: &Map<String, Value>,
        at: &str,
        outcome: &mut Outcome,
    ) {
        let none: &'static Map<String, Value> = &NO_WORDS;
        let properties = words.get("properties").and_then(Value::as_object).unwrap_or(none);
        self.required(words, properties, fields, at, outcome);
        let mut patterned = BTreeSet::new();
        for (pattern, schema) in words.get("patternProperties").and_then(Value::as_object).unwrap_or(none) {
            let names = Leaf::new(&serde_json::json!({ "pattern": pattern }));
            for (name, value) in fields {
                if names.violations(&Value::from(name.as_str()), at, Mode::Request).is_empty() {
                    patterned.insert(name.as_str());
                    outcome.names.insert(name.clone());
                    outcome.found.extend(self.check(schema, value, &inside(at, name)));
                }
            }
        }
        let additional = words.get("additionalProperties");
        for (name, value) in fields {
            let place = inside(at, name);
            if let Some(schema) = properties.get(name) {
                if self.mode == Mode::Request && self.is_marked(schema, "readOnly") {
                    let what = "only the service sets this field";
                    outcome.found.push(Violation::new(place.as_str(), Rule::ReadOnly, what));
                }
                outcome.found.extend(self.check(schema, value, &place));
            } else if let Some(schema) = additional.filter(|schema| schema.is_object())
                && !patterned.contains(name.as_str())
            {
                outcome.found.extend(self.check(schema, value, &place));
            }
        }
        outcome.names.extend(properties.keys().cloned());
        match additional {
            Some(Value::Bool(false)) => outcome.closed = true,
            Some(Value::Bool(true) | Value::Object(_)) => outcome.open = true,
            _ => {}
        }
        match words.get("unevaluatedProperties") {
            Some(Value::Bool(false)) => outcome.closed = true,
            Some(Value::Bool(true)) => outcome.open = true,
            _ => {}
        }
    }

    fn required(
        &self,
        words: &Map<String, Value>,
        properties: &Map<String, Value>,
        fields: &Map<String, Value>,
        at: &str,
        outcome: &mut Outcome,
    ) {
        if self.mode == Mode::LenientResponse {
            return;
        }
        // A field that only the other side may send is not required of this one.
        let mark = if self.mode == Mode::Request { "readOnly" } else { "writeOnly" };
        let named = list(words, "required").iter().filter_map(Value::as_str);
        let annotated =
            properties.iter().filter(|(_, schema)| self.is_annotated(schema)).map(|(name, _)| name.as_str());
        for name in named.chain(annotated) {
            let is_excused = properties.get(name).is_some_and(|schema| self.is_marked(schema, mark));
            if !fields.contains_key(name) && !is_excused {
                outcome.found.push(Violation::new(inside(at, name), Rule::MissingField, "required"));
            }
        }
    }

    /// Discovery documents list the methods that require a field beside the field.
    fn is_annotated(&self, schema: &Value) -> bool {
        let methods = schema.pointer("/annotations/required").and_then(Value::as_array);
        self.mode == Mode::Request
            && self.document.format == Format::Discovery
            && methods.is_some_and(|methods| methods.iter().any(|method| method == self.operation))
    }

    fn is_marked(&self, schema: &Value, mark: &str) -> bool {
        let has = |schema: &Value| schema.get(mark) == Some(&Value::Bool(true));
        has(schema) || self.document.follow(schema).is_some_and(has)
    }

    fn array(&mut self, schema: &'d Value, items: &[Value], at: &str, outcome: &mut Outcome) {
        let is_repeated = schema.get("repeated") == Some(&Value::Bool(true));
        let tuple = ["prefixItems", "items"].iter().find_map(|word| schema.get(word)?.as_array());
        for (index, item) in items.iter().enumerate() {
            let place = inside(at, &index.to_string());
            if is_repeated {
                // The words of a repeated parameter are those of one value.
                let mut single = schema.clone();
                single.as_object_mut().and_then(|words| words.remove("repeated"));
                let leaf = Leaf::new(&single);
                outcome.found.extend(leaf.violations(item, &place, self.mode));
                continue;
            }
            let of_tuple = tuple.and_then(|schemas| schemas.get(index));
            let schema = of_tuple.or_else(|| schema.get("items").filter(|items| !items.is_array()));
            if let Some(schema) = schema {
                outcome.found.extend(self.check(schema, item, &place));
            }
        }
    }

    /// The schemas that describe a field of this name, in any branch.
    pub(super) fn property(&self, schema: &'d Value, name: &str) -> Vec<&'d Value> {
        self.search(schema, &|schema| {
            let named = schema.get("properties").and_then(|properties| properties.get(name));
            named.or_else(|| schema.get("additionalProperties").filter(|schema| schema.is_object()))
        })
    }

    /// The first schema that describes the items of a list, in any branch.
    pub(super) fn items(&self, schema: &'d Value) -> &'d Value {
        let found = self.search(schema, &|schema| schema.get("items").filter(|items| items.is_object()));
        found.first().copied().unwrap_or(&ANYTHING)
    }

    /// Whether any branch names this type.
    pub(super) fn admits(&self, schema: &'d Value, kind: &str) -> bool {
        let names = |schema: &'d Value| match schema.get("type") {
            Some(Value::Array(kinds)) => kinds.iter().any(|named| named == kind),
            Some(named) => named == kind,
            None => false,
        };
        !self.search(schema, &|schema| schema.get("type").filter(|_| names(schema))).is_empty()
    }

    /// The names of all fields, in any branch.
    pub(super) fn field_names(&self, schema: &'d Value) -> BTreeSet<String> {
        let found = self.search(schema, &|schema| schema.get("properties"));
        found.into_iter().filter_map(Value::as_object).flat_map(|map| map.keys().cloned()).collect()
    }

    fn search(&self, schema: &'d Value, pick: &dyn Fn(&'d Value) -> Option<&'d Value>) -> Vec<&'d Value> {
        let mut found = Vec::new();
        let mut level = vec![schema];
        let mut seen = BTreeSet::new();
        for _ in 0..MAX_SEARCH {
            let mut next = Vec::new();
            for schema in level {
                if !seen.insert(std::ptr::from_ref(schema).addr()) {
                    continue;
                }
                found.extend(pick(schema));
                next.extend(reference(schema).and_then(|target| self.document.resolve(target)));
                for word in ["allOf", "anyOf", "oneOf"] {
                    next.extend(schema.get(word).and_then(Value::as_array).into_iter().flatten());
                }
            }
            level = next;
        }
        found
    }
}

/// `true` and `false` are schemas; whatever else is no object says nothing.
fn plain(schema: &Value, at: &str) -> Outcome {
    let mut outcome = Outcome { open: true, ..Outcome::default() };
    if schema == &Value::Bool(false) {
        outcome.found.push(Violation::new(at, Rule::Alternatives, "nothing fits here"));
    }
    outcome
}

fn is_nullable(words: &Map<String, Value>) -> bool {
    ["nullable", "x-nullable"].iter().any(|word| words.get(*word) == Some(&Value::Bool(true)))
}

/// The field that tells which branch a value is of, and what the value says there.
fn discriminator<'v>(words: &'v Map<String, Value>, value: &'v Value) -> Option<(&'v str, &'v str)> {
    let name = words.get("discriminator")?.get("propertyName")?.as_str()?;
    Some((name, value.get(name)?.as_str()?))
}

/// The branch of this kind: by the mapping, or by the name of its schema.
fn discriminated<'d>(words: &Map<String, Value>, branches: &'d [Value], kind: &str) -> Option<&'d Value> {
    let mapping = words.get("discriminator").and_then(|discriminator| discriminator.get("mapping"));
    let mapped = mapping.and_then(|mapping| mapping.get(kind)).and_then(Value::as_str).unwrap_or(kind);
    branches.iter().find(|branch| {
        reference(branch).is_some_and(|target| target == mapped || target.rsplit('/').next() == Some(mapped))
    })
}

/// A schema whose value says that it is one of its subtypes, which have fields of their own.
fn has_subtypes(words: &Map<String, Value>, value: &Value) -> bool {
    let Some(discriminator) = words.get("discriminator") else { return false };
    let name = discriminator.as_str().or_else(|| discriminator.get("propertyName")?.as_str());
    name.is_some_and(|name| value.get(name).is_some())
}

fn list<'v>(words: &'v Map<String, Value>, word: &str) -> &'v [Value] {
    words.get(word).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The place of a field or item within a place.
pub(super) fn inside(at: &str, name: &str) -> String {
    let separator = if at.contains('/') { "/" } else { " /" };
    format!("{at}{separator}{}", name.replace('~', "~0").replace('/', "~1"))
}
