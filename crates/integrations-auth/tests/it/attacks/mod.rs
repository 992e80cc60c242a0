//! Ways to become somebody else, each of which has worked somewhere. All are refused.
//!
//! What the types refuse is in `xtask/compile/tests/naive`.

mod flows;
mod linking;
mod statements;
mod world;

/// Every attack that is tried here, for the table in the guide.
const ATTACKS: &[&[&str]] = &[flows::TABLE, statements::TABLE, linking::TABLE];

/// Declares attacks: a test for each, and the table of what they are.
macro_rules! attacks {
    ($($(#[doc = $about:literal])+ async fn $name:ident() $body:block)+) => {
        pub(super) const TABLE: &[&str] = &[$(concat!($($about),+)),+];

        $(
            #[tokio::test(start_paused = true)]
            async fn $name() $body
        )+
    };
}

use attacks;

#[test]
fn the_guide_has_a_row_for_each_attack_and_none_besides() {
    const GUIDE: &str = include_str!("../../../../../docs/src/guides/sign-in.md");
    let rows: Vec<&str> = GUIDE.lines().filter_map(|line| line.strip_prefix("| attack: ")).collect();
    let rows: Vec<String> = rows.iter().map(|row| row.split(" | ").next().unwrap().to_owned()).collect();
    let tried: Vec<String> =
        ATTACKS.concat().iter().map(|about| about.trim().trim_end_matches('.').to_owned()).collect();
    assert_eq!(rows, tried);
}
