//! The provider as a registry opens it, and what the registry says where it cannot.

use std::sync::Arc;

use async_trait::async_trait;
use http::header::{AUTHORIZATION, HeaderValue};
use integrations_core::provider::{ProviderSpec, Status};
use integrations_core::registry::{Category, ProbeCost, Registry};
use integrations_core::setup::Setup;
use integrations_core::{Authorize, Effect, Error, ErrorKind, Result, SecretString, WireRequest};
use integrations_example::notes::{Notes, spec};
use integrations_example::{FakeNotes, KNOWN, NewNote, Notebook};

const TOKEN: &str = "t-1";

fn registry() -> Registry {
    let mut registry = Registry::new();
    integrations_example::register(&mut registry);
    registry
}

fn without_token(service: &FakeNotes) -> Setup {
    Setup::new(&spec::SPEC).transport(Arc::new(service.clone()))
}

fn setup(service: &FakeNotes) -> Setup {
    without_token(service).set("token", SecretString::from(TOKEN))
}

fn verdict(error: &Error) -> (ErrorKind, Effect) {
    (error.kind(), error.effect())
}

#[tokio::test(start_paused = true)]
async fn the_registry_opens_the_portable_type() {
    let service = FakeNotes::new(TOKEN);
    let registry = registry();
    assert!(registry.schemes::<Notebook>().any(|scheme| scheme == "notes"));
    assert_eq!(registry.spec("notes"), Some(&spec::SPEC));
    let notebook: Notebook = registry.open(&setup(&service)).unwrap();
    notebook.writing().unwrap().create(NewNote { text: "Buy milk".to_owned() }).await.unwrap();
    assert_eq!(service.texts(), ["Buy milk"]);
    assert!(notebook.raw::<Notes>().is_some());
}

#[tokio::test(start_paused = true)]
async fn the_probe_is_one_call_of_quota() {
    let service = FakeNotes::new(TOKEN);
    let notebook: Notebook = registry().open(&setup(&service)).unwrap();
    assert_eq!(Category::caps(&notebook), None);
    let probe = notebook.probe().unwrap();
    assert_eq!((probe.cost, service.requests()), (ProbeCost::Quota, 0));
    probe.run.await.unwrap();
    assert_eq!(service.requests(), 1);
    let wrong = without_token(&service).set("token", SecretString::from("t-2"));
    let notebook: Notebook = registry().open(&wrong).unwrap();
    let error = notebook.probe().unwrap().run.await.unwrap_err();
    assert_eq!(verdict(&error), (ErrorKind::Unauthenticated, Effect::Rejected));
}

#[test]
fn a_missing_token_is_told_with_its_variable() {
    let error = registry().open::<Notebook>(&without_token(&FakeNotes::new(TOKEN))).unwrap_err();
    assert_eq!(verdict(&error), (ErrorKind::Config, Effect::NotSent));
    assert_eq!(error.message(), "`notes` needs the setting `token`");
    assert!(error.hint().unwrap().contains("`NOTES_TOKEN`"), "{error:?}");
}

/// The token of one end user.
struct Connection;

#[async_trait]
impl Authorize for Connection {
    async fn authorize(&self, request: &mut WireRequest) -> Result<()> {
        request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Bearer user-42"));
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_of_an_end_user_stands_in_for_the_token() {
    let service = FakeNotes::new("user-42");
    for setup in [without_token(&service), setup(&service)] {
        let notebook: Notebook = registry().open(&setup.authorize(Arc::new(Connection))).unwrap();
        notebook.list(None).await.unwrap();
    }
    assert_eq!(service.requests(), 2);
}

#[derive(Clone, Debug)]
struct Calendar;

impl Category for Calendar {
    const NAME: &'static str = "calendar";
}

#[test]
fn a_provider_of_another_category_is_told_apart() {
    let error = registry().open::<Calendar>(&setup(&FakeNotes::new(TOKEN))).unwrap_err();
    assert_eq!(verdict(&error), (ErrorKind::Config, Effect::NotSent));
    assert_eq!(error.message(), "an instance of the category `example` cannot be opened as `calendar`");
    assert_eq!(registry().schemes::<Calendar>().count(), 0);
}

#[test]
fn a_provider_that_is_not_in_the_build_is_told_with_its_feature() {
    let mut registry = Registry::new();
    registry.know(KNOWN);
    let error = registry.open::<Notebook>(&setup(&FakeNotes::new(TOKEN))).unwrap_err();
    assert_eq!(verdict(&error), (ErrorKind::Unsupported, Effect::NotSent));
    assert_eq!(error.message(), "the provider `notes` is not in this build");
    assert_eq!(error.hint(), Some("enable the feature `notes`"));
    assert_eq!(registry.missing("notes").map(|known| known.category), Some("example"));
    assert_eq!(self::registry().missing("notes"), None);
}

static MISSPELT: ProviderSpec = ProviderSpec::new("ntoes", "Notes", "example", Status::Full);

#[test]
fn a_misspelt_provider_is_answered_with_what_was_meant() {
    for registry in [registry(), {
        let mut known = Registry::new();
        known.know(KNOWN);
        known
    }] {
        let error = registry.open::<Notebook>(&Setup::new(&MISSPELT)).unwrap_err();
        assert_eq!(verdict(&error), (ErrorKind::Unsupported, Effect::NotSent));
        assert_eq!(error.message(), "there is no provider `ntoes`");
        assert_eq!(error.hint(), Some("did you mean `notes`?"));
    }
    let error = registry().absent("completely-else");
    assert!(error.hint().unwrap().starts_with("this build has "), "{error:?}");
}
