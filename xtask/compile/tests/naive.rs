//! What naive code must not be able to say: account takeover by types that do not fit.

/// The compiler's words differ from one version to the next; what is compared was said by this one, which is the oldest
/// that the workspace supports. Elsewhere the examples marked `compile_fail` in the documentation say the same.
const SAID_BY: &str = "rustc 1.95.";

#[test]
fn naive_code_does_not_compile() {
    let rustc = std::process::Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .arg("--version")
        .output();
    let version =
        rustc.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    if !version.starts_with(SAID_BY) {
        eprintln!("SKIPPED: the messages of `{}` may differ from those of `{SAID_BY}`", version.trim());
        return;
    }
    trybuild::TestCases::new().compile_fail("tests/naive/*.rs");
}
