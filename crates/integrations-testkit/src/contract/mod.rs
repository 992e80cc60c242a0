//! The contract judge: requests and responses against a vendor's own machine-readable description.
//!
//! A [`Description`] is read from OpenAPI 3.0 and 3.1, OpenAPI 2, Google discovery documents or JSON hyper-schema, in
//! JSON or YAML, plain or gzipped. Requests are judged strictly: a client must not send what the vendor does not
//! describe. Responses are judged twice: leniently what a vendor sent, since descriptions promise more than services
//! keep, and strictly what a fake answers.
//!
//! ```
//! use http::{Method, Uri};
//! use integrations_testkit::contract::{Description, Request, Rule};
//!
//! let description = Description::parse(br#"{
//!     "openapi": "3.1.0",
//!     "paths": {"/songs/{id}": {"get": {
//!         "operationId": "song",
//!         "parameters": [
//!             {"in": "path", "name": "id", "required": true, "schema": {"type": "integer"}},
//!             {"in": "query", "name": "market", "schema": {"type": "string", "maxLength": 2}}
//!         ],
//!         "responses": {"200": {"content": {"application/json": {"schema": {
//!             "type": "object", "required": ["title"], "properties": {"title": {"type": "string"}}
//!         }}}}}
//!     }}}
//! }"#).unwrap();
//!
//! let good = Request::new(Method::GET, Uri::from_static("/songs/7?market=CH"));
//! assert!(description.check_request(&good).is_empty());
//! let bad = Request::new(Method::GET, Uri::from_static("/songs/7?markt=CH"));
//! assert_eq!(description.check_request(&bad)[0].rule, Rule::UnknownParameter);
//!
//! let song = description.operation(&Method::GET, "/songs/7").unwrap();
//! let json = http::HeaderMap::from_iter([(http::header::CONTENT_TYPE, "application/json".parse().unwrap())]);
//! assert!(song.check_response(200, &json, b"{}").is_empty());
//! assert_eq!(song.check_response_strict(200, &json, b"{}")[0].rule, Rule::MissingField);
//! ```
//!
//! What is not judged is told by [`Operation::unchecked`], never passed over in silence: references that lead nowhere,
//! bodies that are neither JSON nor forms, cookies. Of `oneOf` at least one branch must fit, not exactly one.

mod check;
mod document;
#[cfg(feature = "golden")]
mod judge;
mod leaf;
mod plan;
mod report;
mod schema;
mod template;
mod violation;
mod wire;
mod yaml;

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

pub use document::{Format, ReadError};
#[cfg(feature = "golden")]
pub use judge::Judge;
pub use report::{ProviderReport, Report, Unchecked};
pub use violation::{Rule, Violation};

use document::Document;
use leaf::Mode;
use plan::Entry;
use template::Template;

/// A request as it goes out.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The address: path and query are looked at, scheme and host are not.
    pub uri: Uri,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: Method, uri: Uri) -> Self {
        Self { method, uri, headers: HeaderMap::new(), body: Vec::new() }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Sets the body and its content type.
    #[must_use]
    pub fn body(mut self, content_type: HeaderValue, body: impl Into<Vec<u8>>) -> Self {
        self.headers.insert(http::header::CONTENT_TYPE, content_type);
        self.body = body.into();
        self
    }
}

/// Shows sizes instead of texts: a request holds credentials.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, uri, headers, body } = self;
        let path = violation::shown_path(uri.path());
        write!(f, "Request({method} {path}, {} headers, {} bytes)", headers.len(), body.len())
    }
}

impl<B: Into<Vec<u8>>> From<http::Request<B>> for Request {
    fn from(request: http::Request<B>) -> Self {
        let (parts, body) = request.into_parts();
        Self { method: parts.method, uri: parts.uri, headers: parts.headers, body: body.into() }
    }
}

/// A vendor's description of its API.
///
/// Reading looks at the operations only; what an operation consists of is worked out when it is first used.
pub struct Description {
    document: Document,
    entries: Vec<Entry>,
}

impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Description({}, {} operations)", self.document.format, self.entries.len())
    }
}

impl Description {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, or is in none of the formats; the error names the file.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ReadError> {
        Document::read(path.as_ref()).map(Self::new)
    }

    /// Reads what a file holds.
    ///
    /// # Errors
    /// If it is in none of the formats.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReadError> {
        Document::parse(bytes).map(Self::new)
    }

    fn new(document: Document) -> Self {
        let entries = plan::entries(&document);
        Self { document, entries }
    }

    /// Accepts every path also behind this one, which may hold variables: `/services/data/{version}`. For descriptions
    /// that leave out where their paths begin.
    #[must_use]
    pub fn at_base(mut self, base: &str) -> Self {
        for entry in &mut self.entries {
            if entry.method.is_some() {
                let base = base.trim_end_matches('/');
                entry
                    .templates
                    .push(Template::new(&format!("{base}/{}", entry.path.trim_start_matches('/'))));
            }
        }
        self
    }

    /// What it is written in.
    pub fn format(&self) -> Format {
        self.document.format
    }

    /// All operations.
    pub fn operations(&self) -> impl Iterator<Item = Operation<'_>> {
        self.entries.iter().map(|entry| Operation { document: &self.document, entry })
    }

    /// The operation with this id.
    pub fn by_id(&self, id: &str) -> Option<Operation<'_>> {
        self.operations().find(|operation| operation.id() == Some(id))
    }

    /// The operation that a request with this method and path is for. The path may carry a query, which tells some
    /// operations apart.
    pub fn operation(&self, method: &Method, path: &str) -> Option<Operation<'_>> {
        self.candidates(method, path).into_iter().next()
    }

    /// References that lead nowhere, each once. What they stand for accepts everything.
    pub fn dangling(&self) -> BTreeSet<String> {
        self.document.dangling()
    }

    /// Everything that is wrong with a request, to whichever operation it goes.
    pub fn check_request(&self, request: &Request) -> Vec<Violation> {
        let path = request.uri.path_and_query().map_or("/", |path| path.as_str());
        let candidates = self.candidates(&request.method, path);
        let judged = candidates.iter().map(|operation| operation.check_request(request));
        judged.min_by_key(Vec::len).unwrap_or_else(|| vec![check::unknown_operation(request)])
    }

    /// Of the operations that fit, those that fit best: usually one.
    fn candidates(&self, method: &Method, path: &str) -> Vec<Operation<'_>> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let query = wire::pairs(query);
        let mut found: Vec<_> = self
            .operations()
            .filter(|operation| operation.entry.method.as_ref() == Some(method))
            .filter_map(|operation| operation.fit(path, &query).map(|fit| (fit, operation)))
            .collect();
        found.sort_by_key(|(fit, _)| *fit);
        let best = found.first().map(|(fit, _)| *fit);
        found
            .into_iter()
            .filter(|(fit, _)| Some(fit) == best.as_ref())
            .map(|(_, operation)| operation)
            .collect()
    }
}

/// How well a path fits an operation; the least fits best.
type Fit<'o> = (usize, Reverse<(&'o [u8], usize)>, usize);

/// One operation of a description.
#[derive(Clone, Copy)]
pub struct Operation<'d> {
    document: &'d Document,
    entry: &'d Entry,
}

impl fmt::Debug for Operation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Operation({self})")
    }
}

/// The method and the path as they stand in the description.
impl fmt::Display for Operation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.entry.method {
            Some(method) => write!(f, "{method} {}", self.entry.path),
            None => write!(f, "webhook {}", self.entry.path),
        }
    }
}

impl<'d> Operation<'d> {
    /// The id, if the description gives one.
    pub fn id(&self) -> Option<&'d str> {
        self.entry.id.as_deref()
    }

    /// The method; none for a webhook, which the service sends.
    pub fn method(&self) -> Option<&'d Method> {
        self.entry.method.as_ref()
    }

    /// The path as it stands in the description, without what servers put before it; for a webhook its name.
    pub fn path(&self) -> &'d str {
        &self.entry.path
    }

    /// What of this operation is not judged, and why, each once.
    pub fn unchecked(&self) -> BTreeSet<String> {
        plan::unchecked(self.document, self.entry)
    }

    /// Whether an answer of this status is described.
    pub fn describes(&self, status: u16) -> bool {
        check::response(self.plan(), status).is_some()
    }

    /// Everything that is wrong with a request to this operation: strictly.
    pub fn check_request(&self, request: &Request) -> Vec<Violation> {
        check::request(self.document, self.entry, request)
    }

    /// What is wrong with an answer of the vendor: leniently. `required`, unknown fields, new values of listed ones and
    /// undescribed statuses are let through; types, formats and limits are not.
    pub fn check_response(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Vec<Violation> {
        check::answer(self.document, self.plan(), Mode::LenientResponse, status, headers, body)
    }

    /// What is wrong with an answer of a fake: everything that the description says holds. Unknown fields are let
    /// through where the description does not exclude them.
    pub fn check_response_strict(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Vec<Violation> {
        check::answer(self.document, self.plan(), Mode::StrictResponse, status, headers, body)
    }

    fn plan(&self) -> &'d plan::Plan {
        self.entry.plan(self.document)
    }

    fn fit(&self, path: &str, query: &[wire::Pair]) -> Option<Fit<'d>> {
        let templates = self.entry.templates.iter().chain(&self.entry.uploads);
        let fits = templates.filter_map(|template| {
            let is_given = |(name, value): &(String, String)| {
                query.iter().any(|pair| pair.name == *name && pair.value == *value)
            };
            let variables = template.matches(path).filter(|_| template.fixed.iter().all(is_given))?;
            let wrong = check::variables(self.document, self.entry, &variables).len();
            let rank = Reverse(template.rank());
            // Discovery documents tell operations of one path apart by patterns alone.
            let is_discovery = self.document.format == Format::Discovery;
            Some(if is_discovery { (wrong, rank, 0) } else { (0, rank, wrong) })
        });
        fits.min()
    }
}
