//! What must hold in facts of the right shape.

use std::collections::BTreeSet;

use toml::Spanned;

use super::facts::{AuthKind, Facts, Op, Safety, Setting, SettingKind};
use super::oauth::Choice;
use super::problems::{Problems, is_kebab, is_screaming, is_snake};
use super::vendors::Vendors;

/// Collects what is wrong in facts of the right shape.
pub(super) struct Judge<'a> {
    facts: &'a Facts,
    vendors: &'a Vendors,
    problems: Problems,
}

impl<'a> Judge<'a> {
    pub(super) fn new(facts: &'a Facts, vendors: &'a Vendors) -> Self {
        Self { facts, vendors, problems: Problems::default() }
    }

    pub(super) fn judge(mut self, module: &str) -> Problems {
        let facts = self.facts;
        self.problems.words(&[&facts.name, &facts.summary]);
        self.problems.urls(&[&facts.terms]);
        self.problems.spelled(&facts.id, is_kebab, "kebab-case");
        let expected = facts.id.as_ref().replace('-', "_");
        self.problems.when(
            module != expected,
            facts.id.span(),
            format!("the folder is `{module}`, not `{expected}`"),
        );
        self.problems.unique("capability", facts.caps.iter());
        self.api();
        self.hosts();
        self.auth();
        self.settings();
        self.quotas();
        facts.ops.iter().for_each(|op| self.op(op));
        self.problems.unique("operation", facts.ops.iter().map(|op| &op.name));
        self.problems
    }

    fn api(&mut self) {
        let Some(api) = &self.facts.api else { return };
        self.problems.words(&[&api.pin]);
        self.problems.urls(&[&api.source]);
        for day in [&api.released, &api.sunset].into_iter().flatten() {
            let is_day = day.as_ref().date.is_some() && day.as_ref().time.is_none();
            self.problems.when(!is_day, day.span(), "a day is written as 2027-01-31".to_owned());
        }
    }

    fn hosts(&mut self) {
        let hosts = &self.facts.hosts;
        self.problems.unique("environment", hosts.iter().map(|host| &host.environment));
        for host in hosts {
            self.problems.urls(&[&host.url]);
            let has_slash = host.url.as_ref().ends_with('/');
            self.problems.when(
                has_slash,
                host.url.span(),
                "a host's address ends without a slash".to_owned(),
            );
        }
    }

    fn auth(&mut self) {
        let auth = &self.facts.auth;
        let is_oauth = *auth.kind.as_ref() == AuthKind::OAuth2;
        let message = "`oauth` belongs to kind `oauth2`, and only to it";
        self.problems.when(is_oauth != auth.oauth.is_some(), auth.kind.span(), message.to_owned());
        match &auth.oauth {
            None => {}
            Some(Choice::Vendor(name)) => self.problems.one_of(name, "vendor", self.vendors.names()),
            Some(Choice::Own(oauth)) => oauth.judge(&mut self.problems),
        }
    }

    fn settings(&mut self) {
        let settings = &self.facts.settings;
        self.problems.unique("setting", settings.iter().map(|setting| &setting.name));
        self.problems.unique("variable", settings.iter().filter_map(|setting| setting.env.as_ref()));
        for setting in settings {
            let name = &setting.name;
            self.problems.spelled(name, is_snake, "snake_case");
            let is_common = COMMON_KEYS.contains(&name.as_ref().as_str());
            let message =
                format!("`{}` configures every instance; name the setting otherwise", name.as_ref());
            self.problems.when(is_common, name.span(), message);
            self.problems.words(&[&setting.about]);
            if let Some(env) = &setting.env {
                self.problems.spelled(env, is_screaming, "SCREAMING_SNAKE_CASE");
            }
            self.shapes(setting);
        }
    }

    fn shapes(&mut self, setting: &Setting) {
        let is_text = matches!(setting.kind, SettingKind::Text | SettingKind::Secret);
        let mut seen = BTreeSet::new();
        for shape in &setting.shapes {
            let prefix = &shape.as_ref().prefix;
            self.problems.when(!is_text, shape.span(), "only a `text` or a `secret` has shapes".to_owned());
            self.problems.when(
                prefix.is_empty(),
                shape.span(),
                "an empty prefix fits every value".to_owned(),
            );
            let again = !seen.insert(prefix);
            self.problems.when(again, shape.span(), format!("the prefix `{prefix}` stands here twice"));
        }
    }

    fn quotas(&mut self) {
        let facts = self.facts;
        self.problems.unique("bucket", facts.buckets.iter().map(|bucket| &bucket.name));
        for bucket in &facts.buckets {
            self.problems.words(&[&bucket.name, &bucket.unit]);
            self.problems.urls(&[&bucket.source]);
            let per = &bucket.per_seconds;
            self.problems.when(
                *per.as_ref() == 0,
                per.span(),
                "a window lasts at least one second".to_owned(),
            );
        }
        self.problems.unique("quirk", facts.quirks.iter().map(|quirk| &quirk.id));
        for quirk in &facts.quirks {
            self.problems.words(&[&quirk.id, &quirk.about]);
            self.problems.urls(&[&quirk.source]);
        }
    }

    fn op(&mut self, op: &Op) {
        self.problems.words(&[&op.page]);
        self.problems.urls(&[&op.doc]);
        self.problems.spelled(&op.name, is_snake, "snake_case");
        self.http(op);
        self.problems.one_of(
            &op.bucket,
            "bucket",
            self.facts.buckets.iter().map(|bucket| bucket.name.as_ref()),
        );
        if let Some(cap) = &op.cap {
            self.problems.one_of(cap, "capability", self.facts.caps.iter().map(Spanned::as_ref));
        }
        let named = [&op.description_id, &op.undescribed].into_iter().flatten().count();
        let message = "give `description_id`, or say in `undescribed` why the vendor's description lacks it";
        self.problems.when(named != 1, op.name.span(), message.to_owned());
        self.safety(op);
    }

    fn http(&mut self, op: &Op) {
        match (&op.method, &op.path) {
            (None, None) => {}
            (Some(method), Some(path)) => {
                self.problems.one_of(method, "method", METHODS.iter().copied());
                let starts = path.as_ref().starts_with('/');
                self.problems.when(!starts, path.span(), "a path starts with `/`".to_owned());
            }
            _ => self.problems.push(op.name.span(), "`method` and `path` go together".to_owned()),
        }
    }

    fn safety(&mut self, op: &Op) {
        let safety = *op.safety.as_ref();
        let keyed = safety == Safety::Keyed;
        if let Some(lifetime) = &op.key_lifetime_seconds {
            self.problems.when(!keyed, lifetime.span(), "only a `keyed` operation has a key".to_owned());
        }
        if let Some(replays) = &op.replays_failures {
            self.problems.when(!keyed, replays.span(), "only a `keyed` operation has a key".to_owned());
        }
        if let Some(cache) = &op.cache {
            self.problems.when(
                safety != Safety::Read,
                cache.span(),
                "only a `read` may be cached".to_owned(),
            );
        }
        if let Some(cost) = &op.cost {
            self.problems.when(
                *cost.as_ref() == 0,
                cost.span(),
                "an attempt costs at least one unit".to_owned(),
            );
        }
        for status in &op.not_executed {
            let is_error = (400..600).contains(status.as_ref());
            self.problems.when(
                !is_error,
                status.span(),
                "only 400 to 599 can mean \"not executed\"".to_owned(),
            );
        }
    }
}

/// The keys that a configuration knows in every instance, whatever its provider.
const COMMON_KEYS: &[&str] = &[
    "use",
    "host",
    "enabled",
    "timeout",
    "attempt_timeout",
    "idle_timeout",
    "rate_limits",
    "circuit_breaker",
    "retry",
    "concurrency",
    "hedge",
    "development",
];

const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

#[cfg(test)]
mod tests {
    use super::super::facts::tests::problems;

    #[test]
    fn each_rule_beyond_the_shape_is_enforced() {
        let table = [
            ("safety = \"read\"", "safety = \"reed\"", "did you mean `read`?"),
            ("doc = \"https", "doc = \"http", "is not an https address"),
            ("doc = ", "# doc = ", "missing field `doc`"),
            ("id = \"notes\"", "id = \"other\"", "the folder is `notes`, not `other`"),
            ("bucket = \"api\"", "bucket = \"apy\"", "there is no bucket `apy`; did you mean `api`?"),
            ("cap = \"read\"", "cap = \"raed\"", "did you mean `read`?"),
            ("method = \"GET\"", "method = \"GTE\"", "there is no method `GTE`; did you mean `GET`?"),
            ("path = \"/notes/{id}\"", "path = \"notes/{id}\"", "a path starts with `/`"),
            ("path = ", "# path = ", "`method` and `path` go together"),
            ("description_id = ", "# description_id = ", "say in `undescribed`"),
            ("name = \"get_note\"", "name = \"create_note\"", "stands here twice"),
            ("kind = \"bearer\"", "kind = \"oauth2\"", "`oauth` belongs to kind `oauth2`"),
            ("kind = \"bearer\"", "kind = \"bearer\"\noauth = \"acme\"", "`oauth` belongs to kind `oauth2`"),
            (
                "kind = \"bearer\"",
                "kind = \"oauth2\"\noauth = \"acne\"",
                "no vendor `acne`; did you mean `acme`?",
            ),
            ("kind = \"bearer\"", "kind = \"oauth2\"\noauth = 7", "expected the name of a vendor such as"),
            (
                "kind = \"bearer\"",
                "kind = \"oauth2\"\noauth = { token_ulr = \"https://notes.example/token\" }",
                "did you mean `token_url`?",
            ),
            (
                "kind = \"bearer\"",
                "kind = \"oauth2\"\noauth = { token_url = \"http://notes.example/token\" }",
                "is not an https address",
            ),
            ("NOTES_TOKEN", "notes_token", "is not SCREAMING_SNAKE_CASE"),
            ("name = \"token\"", "name = \"apiToken\"", "`apiToken` is not snake_case"),
            ("name = \"token\"", "name = \"retry\"", "`retry` configures every instance; name the setting"),
            ("name = \"token\"", "name = \"region\"", "the setting `region` stands here twice"),
            ("kind = \"text\"", "env = \"NOTES_TOKEN\"", "the variable `NOTES_TOKEN` stands here twice"),
            ("kind = \"text\"", "kind = \"txt\"", "did you mean `text`?"),
            ("kind = \"text\"", "optional = true", "unknown field `optional`"),
            (
                "kind = \"text\"",
                "kind = \"flag\"\nshapes = [\"eu-\"]",
                "only a `text` or a `secret` has shapes",
            ),
            ("\"nt_\"", "\"\"", "an empty prefix fits every value"),
            ("\"nt_\"", "\"nt_live_\"", "the prefix `nt_live_` stands here twice"),
            ("\"nt_\"", "7", "expected a prefix such as"),
            ("mode = \"live\"", "mode = \"life\"", "did you mean `live`?"),
            ("prefix = \"nt_live_\"", "prefx = \"nt_live_\"", "did you mean `prefix`?"),
            ("sunset = 2027-06-30", "sunset = 2027-06-30T00:00:00", "a day is written as"),
            ("per_seconds = 60", "per_seconds = 0", "at least one second"),
            ("https://api.notes.example/v1\"", "https://api.notes.example/v1/\"", "without a slash"),
            ("safety = \"keyed\"", "safety = \"once\"", "only a `keyed` operation has a key"),
            ("cache = true", "cache = true\nnot_executed = [200]", "only 400 to 599"),
            ("summary = \"A", "summary = \"\" # \"A", "must not be empty"),
        ];
        for (from, to, expected) in table {
            let error = problems(from, to);
            assert!(error.contains(expected), "{from} -> {to}: {error}");
        }
    }
}
