//! What stands in the tables, and what happens to who changes it.

use bytes::Bytes;
use integrations_auth::{
    Draft, IdentityKey, LinkedIdentity, MailAddress, RecordId, RecordStore as _, SqlUsers, User,
    UserStore as _,
};
use integrations_core::store::{Param, Store};
use integrations_core::{ErrorKind, Secret};
use jiff::Timestamp;

use super::open::sql::{Directory, records, sealer, users};

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn user(id: &str) -> User {
    let mut user = User::new(id, "acme", Timestamp::UNIX_EPOCH);
    user.email = Some(MailAddress::parse(&format!("{id}.mail@example.org")).unwrap());
    user.identities = vec![LinkedIdentity::new(
        IdentityKey::new("https://issuer.example", format!("{id}-subject")),
        "oidc",
        Timestamp::UNIX_EPOCH,
    )];
    user.password = Some("$argon2id$hunter2".into());
    user
}

async fn run(store: &Store, sql: &'static str, params: Vec<Param>) -> u64 {
    store.write(move |tx| Box::pin(async move { tx.execute(sql, &params).await })).await.unwrap()
}

#[tokio::test]
async fn nothing_personal_is_in_the_file() {
    let directory = Directory::new();
    let store = directory.open().await;
    let users = users(store.clone()).await;
    let kept = users.insert(&user("ada")).await.unwrap();
    users.replace(&kept).await.unwrap().unwrap();
    let draft = Draft { owner: None, expires_at: Timestamp::MAX, value: Secret::new(b"hunter2".to_vec()) };
    let id = RecordId::new("acme", "state", "visible-name");
    records(store.clone()).await.put(&id, 0, &draft, Timestamp::UNIX_EPOCH).await.unwrap();
    store.close().await.unwrap();
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        all.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    let holds = |text: &str| all.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("visible-name") && holds("acme") && holds("ada"), "the search finds what is there");
    for text in ["ada.mail", "example.org", "issuer.example", "ada-subject", "hunter2"] {
        assert!(!holds(text), "{text}");
    }
}

#[tokio::test]
async fn a_row_that_was_moved_does_not_open() {
    let store = Store::in_memory().await.unwrap();
    let users = users(store.clone()).await;
    users.insert(&user("ada")).await.unwrap();
    users.insert(&user("eve")).await.unwrap();
    let swap =
        "UPDATE auth_users SET sealed = (SELECT sealed FROM auth_users WHERE id = 'ada') WHERE id = 'eve'";
    assert_eq!(run(&store, swap, vec![]).await, 1);
    assert!(users.user("acme", &"eve".into()).await.is_err());
    assert!(users.user("acme", &"ada".into()).await.unwrap().is_some());
    assert_eq!(run(&store, "UPDATE auth_users SET tenant = 'other' WHERE id = 'ada'", vec![]).await, 1);
    assert!(users.user("other", &"ada".into()).await.is_err());
}

#[tokio::test]
async fn an_index_that_was_changed_signs_nobody_in() {
    let store = Store::in_memory().await.unwrap();
    let users = users(store.clone()).await;
    users.insert(&user("ada")).await.unwrap();
    users.insert(&user("eve")).await.unwrap();
    assert_eq!(run(&store, "UPDATE auth_claims SET id = 'ada' WHERE id = 'eve'", vec![]).await, 2);
    let eve = user("eve");
    let e = users.by_identity("acme", &eve.identities[0].key).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Decode);
    assert!(users.by_email("acme", &eve.email.unwrap()).await.is_err());
    assert!(users.by_identity("acme", &user("ada").identities[0].key).await.unwrap().is_some());
}

#[tokio::test]
async fn the_key_of_the_index_is_long_and_stays() {
    let store = Store::in_memory().await.unwrap();
    let open = async |key: &str| SqlUsers::new(store.clone(), sealer("users"), &key.into()).await;
    open(KEY).await.unwrap();
    open(KEY).await.unwrap();
    for wrong in ["fedcba9876543210fedcba9876543210", "ab12", ""] {
        let e = open(wrong).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Config);
        assert!(wrong.is_empty() || !e.explain().contains(wrong));
    }
}

#[tokio::test]
async fn a_record_that_was_moved_given_away_or_prolonged_does_not_open() {
    let now = Timestamp::UNIX_EPOCH;
    let id = RecordId::new("acme", "session", "a");
    for tamper in [
        "UPDATE auth_records SET tenant = 'other'",
        "UPDATE auth_records SET kind = 'reset'",
        "UPDATE auth_records SET name = 'b'",
        "UPDATE auth_records SET owner = 'eve'",
        "UPDATE auth_records SET owner = NULL",
        "UPDATE auth_records SET expires = expires + 1",
    ] {
        let store = Store::in_memory().await.unwrap();
        let records = records(store.clone()).await;
        let draft = Draft {
            owner: Some("ada".into()),
            expires_at: Timestamp::from_second(9).unwrap(),
            value: Secret::new(b"x".to_vec()),
        };
        records.put(&id, 0, &draft, now).await.unwrap();
        assert!(records.get(&id, now).await.unwrap().is_some());
        assert_eq!(run(&store, tamper, vec![]).await, 1);
        let places = [
            id.clone(),
            RecordId::new("other", "session", "a"),
            RecordId::new("acme", "reset", "a"),
            RecordId::new("acme", "session", "b"),
        ];
        let mut refused = 0;
        for place in places {
            match records.get(&place, now).await {
                Err(_) => refused += 1,
                Ok(found) => assert!(found.is_none(), "{tamper}"),
            }
        }
        assert_eq!(refused, 1, "{tamper}");
    }
    let store = Store::in_memory().await.unwrap();
    let records = records(store.clone()).await;
    let draft = Draft { owner: None, expires_at: Timestamp::MAX, value: Secret::new(b"x".to_vec()) };
    records.put(&id, 0, &draft, now).await.unwrap();
    run(&store, "UPDATE auth_records SET sealed = $1", vec![Bytes::from_static(b"nonsense").into()]).await;
    assert!(records.get(&id, now).await.is_err());
}
