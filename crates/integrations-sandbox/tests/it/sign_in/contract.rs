//! What the vendors' own descriptions say of the answers, in the folder that `INTEGRATIONS_SPECS` names.

use std::path::Path;

use integrations_testkit::contract::{Description, Request};

use super::*;

fn description(file: &str) -> Option<Description> {
    let Some(folder) = std::env::var_os("INTEGRATIONS_SPECS") else {
        eprintln!("skipped: INTEGRATIONS_SPECS names no folder of descriptions");
        return None;
    };
    Some(Description::read(Path::new(&folder).join(file)).unwrap())
}

/// A request and what must be answered.
struct Asked<'a> {
    method: Method,
    host: &'a str,
    path: String,
    authorization: String,
    body: String,
    status: u16,
}

impl Asked<'_> {
    /// What is wrong with it and its answer.
    fn judged(self, description: &Description, fake: &Fake) -> Vec<String> {
        let headers = [
            ("authorization", self.authorization.as_str()),
            ("user-agent", "test"),
            ("accept", "application/json"),
        ];
        let url = format!("{}{}", self.host, self.path);
        let answer = fake.ask(&self.method, &url, &headers, &self.body);
        assert_eq!(answer.status, self.status, "{} {url} {:?}", self.method, answer.body);
        let json = HeaderValue::from_static("application/json");
        let request = Request::new(self.method.clone(), self.path.parse().unwrap());
        let request = if self.body.is_empty() { request } else { request.body(json, self.body) };
        let operation = description.operation(&self.method, &self.path).unwrap();
        let asked = operation.check_request(&request);
        let answered = operation.check_response_strict(self.status, &answer.headers, &answer.body);
        asked.iter().chain(&answered).map(|violation| format!("{operation}: {violation:?}")).collect()
    }
}

#[test]
fn github_answers_as_it_is_described() {
    let Some(description) = description("github/api.github.com.trimmed.json") else { return };
    let fake = Fake::new(
        "github-sign-in",
        "https://github.com/login/oauth/authorize",
        "https://github.com/login/oauth/access_token",
    );
    let access = text(&fake.tokens(&[("scope", "user")]), "access_token").to_owned();
    let (bearer, narrow) = (format!("Bearer {access}"), format!("Bearer {}", fake.known("narrow_token")));
    let (own, body) = (fake.setting("client_id"), serde_json::json!({"access_token": access}).to_string());
    let (token, grant) = (format!("/applications/{own}/token"), format!("/applications/{own}/grant"));
    let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
    let unknown = serde_json::json!({"access_token": "unknown"}).to_string();
    let basic = fake.basic();
    let wrong: Vec<String> = [
        (&get, "/user", &bearer, "", 200),
        (&get, "/user", &narrow, "", 200),
        (&get, "/user", &"Bearer unknown".to_owned(), "", 401),
        (&get, "/user/emails", &bearer, "", 200),
        (&get, "/user/emails", &narrow, "", 404),
        (&post, &token, &basic, &body, 200),
        (&post, &token, &basic, &unknown, 404),
        (&delete, &token, &basic, &unknown, 422),
        (&delete, &token, &basic, &body, 204),
        (
            &delete,
            &grant,
            &basic,
            &serde_json::json!({"access_token": fake.known("access_token")}).to_string(),
            204,
        ),
    ]
    .into_iter()
    .flat_map(|(method, path, authorization, body, status)| {
        let asked = Asked {
            method: method.clone(),
            host: "https://api.github.com",
            path: path.to_owned(),
            authorization: authorization.clone(),
            body: body.to_owned(),
            status,
        };
        asked.judged(&description, &fake)
    })
    .collect();
    assert!(wrong.is_empty(), "{} violations:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn spotify_answers_as_it_is_described() {
    let Some(description) = description("spotify/fixed-spotify-open-api.yml") else { return };
    let fake = Fake::new("spotify-sign-in", "", "");
    let wrong: Vec<String> = [(fake.known("access_token"), 200), ("unknown".to_owned(), 401)]
        .into_iter()
        .flat_map(|(token, status)| {
            let asked = Asked {
                method: Method::GET,
                host: "https://api.spotify.com",
                path: "/v1/me".to_owned(),
                authorization: format!("Bearer {token}"),
                body: String::new(),
                status,
            };
            asked.judged(&description, &fake)
        })
        .collect();
    assert!(wrong.is_empty(), "{} violations:\n{}", wrong.len(), wrong.join("\n"));
}
