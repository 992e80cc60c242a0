//! The demo tells the truth.

#[allow(dead_code, reason = "its `main` runs the story and prints it")]
#[path = "../../examples/demo.rs"]
mod program;

#[tokio::test(start_paused = true)]
async fn the_demo_tells_what_the_readme_promises() {
    let story = Box::pin(program::story()).await.unwrap();
    for told in [
        "read it back: \"Buy milk\"",
        "two calls, 3 requests, both fine",
        "(backoff), the other one",
        "our keyed create left 1 note, a loop that just tries again left 2",
        "attempt 3 failed",
        "not retried: all attempts are used up",
        "the service may have acted: check there before trying again",
        "and the service keeps 1 of it",
        "integration_requests_total{provider=\"notes\",status=\"circuit_open\"}",
    ] {
        assert!(story.contains(told), "missing {told:?} in\n{story}");
    }
    let spared: u32 = number_after(&story, "the breaker ended ");
    let sent: u32 = number_after(&story, "An outage: 100 calls sent ");
    assert!(spared > 70 && sent < 40, "{story}");
}

fn number_after(story: &str, words: &str) -> u32 {
    let (_, rest) = story.split_once(words).unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}
