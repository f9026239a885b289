//! Requests to measure: those of the tests, with a body of any length.

#[path = "../../tests/it/support.rs"]
#[expect(dead_code, reason = "benches need a part of what tests need")]
pub(crate) mod support;

/// A body of so many bytes, at least 50.
pub(crate) fn body_of(bytes: usize) -> String {
    let body = |org: &str| format!(r#"{{"username":"jane@example.co","orgId":"{org}"}}"#);
    body(&"o".repeat(bytes - body("").len()))
}
