//! A value that may be rendered, other than text.

use crate::definition::{render::Renderable, shown::Shown};

/// A value, or what becomes one at the moment of the build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Late<T> {
    /// As it stands.
    Fixed(T),
    /// Rendered.
    Rendered(Renderable),
}

impl<T> Late<T> {
    /// The value, if it stands already.
    pub const fn fixed(&self) -> Option<&T> {
        match self {
            Self::Fixed(value) => Some(value),
            Self::Rendered(_) => None,
        }
    }
}

impl<T: Shown> Shown for Late<T> {
    fn shown(&self) -> String {
        match self {
            Self::Fixed(value) => value.shown(),
            Self::Rendered(renderable) => format!("{:?}", renderable.shown()),
        }
    }
}
