//! A live bot token in the log, twenty-five lines of it in one day, because what holds it derives `Debug`:
//! <https://github.com/adolfousier/opencrabs/issues/1322>.

use integrations_core::SecretString;

const TOKEN: &str = "7712:AAH-live-token";

#[test]
fn the_reference_prints_it_with_everything_around_it() {
    #[derive(Debug)]
    struct Bot {
        #[allow(dead_code, reason = "its Debug is the point")]
        token: String,
    }
    let line = format!("cannot send: {:?}", Bot { token: TOKEN.to_owned() });
    assert!(line.contains(TOKEN));
}

#[test]
fn ours_prints_that_there_is_one() {
    #[derive(Debug)]
    struct Bot {
        token: SecretString,
    }
    let bot = Bot { token: TOKEN.into() };
    for line in [format!("cannot send: {bot:?}"), format!("cannot send: {bot:#?}")] {
        assert!(line.contains("***") && !line.contains("7712") && !line.contains("live"), "{line}");
    }
    assert_eq!(bot.token.expose(), TOKEN);
}
