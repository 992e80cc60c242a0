//! How the tables of a category's suite are written.

/// The names of all capabilities of a category.
macro_rules! cap_names {
    ($caps:ident) => {{
        let mut names = [""; $caps::ALL.len()];
        let mut at = 0;
        while at < names.len() {
            names[at] = $caps::ALL[at].as_str();
            at += 1;
        }
        names
    }};
}

/// Rows of cases: what each is called, what it needs, what it does.
macro_rules! cases {
    ($caps:ident: $($id:ident [$($cap:ident),+] $run:path;)+) => {
        &[$($crate::conformance::Case {
            id: stringify!($id),
            needs: &[$($caps::$cap.as_str()),+],
            run: |lab| Box::pin($run(lab)),
        }),+]
    };
}

/// Rows of twins: a capability, and a call that needs it.
macro_rules! twins {
    ($caps:ident: $($cap:ident |$client:ident| $call:expr;)+) => {
        &[$($crate::conformance::Twin {
            cap: $caps::$cap.as_str(),
            call: |$client| Box::pin(async move { $call.await.map(drop) }),
        }),+]
    };
}
