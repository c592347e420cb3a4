//! Functions of the configuration that are called while builds run: by what they are known, and how they are asked.
//!
//! A function stays with its interpreter, which `config` keeps alive as long as somebody holds its [`Hooks`]. The
//! configuration itself remains data: it holds a [`Hook`], which compares by the text of its source lines.
//!
//! # Laws
//! - [`HookId`] and place stand outside equality: a plan tells a changed function by its text.
//! - All hooks of one configuration are of one interpreter, which is that configuration's own.
//!
//! # Not here
//! The interpreter (`config::calls`), and the way to it (`config::live`).

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;

use crate::{
    definition::{
        problem::{CalledFrom, Frame},
        render::Worth,
    },
    model::{Place, Properties, PropertyValue},
};

/// Which function of an interpreter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HookId(pub u32);

/// A function of the configuration.
#[derive(Clone)]
pub struct Hook {
    /// Which.
    pub id: HookId,
    /// Its source lines.
    pub text: Arc<str>,
    /// Where it begins.
    pub place: Place,
}

/// One call of a function.
#[derive(Clone, Debug)]
pub struct HookCall {
    /// Which.
    pub hook: HookId,
    /// What it is given, in order.
    pub arguments: Vec<HookArgument>,
}

/// What a function is given.
#[derive(Clone, Debug)]
pub enum HookArgument {
    /// A value.
    Value(PropertyValue),
    /// The properties of a build: `props:getProperty("os")`, `props.os`.
    Properties(Properties),
    /// A step about to run, or that has run.
    Step {
        /// Its name.
        name: String,
        /// The properties of its build.
        properties: Properties,
    },
}

/// Why a function gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    /// It raised an error, or returned what cannot be used.
    #[error("{text}")]
    Failed {
        /// What is wrong, with its line and the calls that led there.
        text: String,
    },
    /// It used up its time, its instructions or its memory.
    #[error("the function at {place} comes to no end; it was stopped{}", CalledFrom(trace))]
    Endless {
        /// Where it stood.
        place: Place,
        /// The calls that led there, the innermost first.
        trace: Vec<Frame>,
    },
    /// Its interpreter is gone, after a function that never came back.
    #[error("the interpreter of the configuration hangs in an earlier call; reload it")]
    Gone,
}

/// Functions that can be called.
pub trait Hooks: fmt::Debug + Send + Sync {
    /// Calls a function. What it returns may have to be rendered in its turn.
    ///
    /// # Cancel safety
    /// Dropped before it returns, a function that has begun runs to its end and nobody hears of it.
    fn call(&self, call: HookCall) -> BoxFuture<'_, Result<Worth, HookError>>;
}

/// The functions of a configuration that has none.
#[derive(Clone, Copy, Debug)]
pub struct NoHooks;

impl Hooks for NoHooks {
    fn call(&self, _: HookCall) -> BoxFuture<'_, Result<Worth, HookError>> {
        Box::pin(std::future::ready(Err(HookError::Gone)))
    }
}

/// Who calls the functions of one configuration. Stands outside equality, as the interpreter behind it does: two loads
/// of one text are equal.
#[derive(Clone, Debug, Default)]
pub struct Interpreter(Option<Arc<dyn Hooks>>);

impl Interpreter {
    /// Of a configuration without functions.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Of a configuration whose functions this one calls.
    pub fn of(hooks: Arc<dyn Hooks>) -> Self {
        Self(Some(hooks))
    }

    /// Who calls them.
    pub fn hooks(&self) -> &dyn Hooks {
        self.0.as_deref().unwrap_or(&NoHooks)
    }
}

impl PartialEq for Interpreter {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Interpreter {}

impl PartialEq for Hook {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Hook {}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a function at {}", self.place)
    }
}
