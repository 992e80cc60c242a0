use http::Uri;
use integrations_core::Endpoint;
use integrations_music::spotify::ops::{Call, Fetch};
use integrations_music::spotify::{spec, wire};

#[test]
fn a_call_goes_to_the_service() {
    let base: Uri = spec::SPEC.hosts[0].url.parse().unwrap();
    let request = Call(Fetch::<wire::User>::default()).request(&base).unwrap();
    assert_eq!(request.uri(), "https://api.spotify.com/v1/me");
}
