//! tmp
pub fn luals_stubs() -> String {
    String::new()
}
