//! What decides for or against something in a build: `doStepIf`, `hideStepIf`.

use crate::definition::{
    hook::{Hook, HookArgument, HookCall},
    render::{Known, RenderError, Worth, is_false},
};

/// A truth value, or what becomes one in a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// As it stands.
    Fixed(bool),
    /// Rendered.
    Rendered(Worth),
    /// What a function answers.
    Asked(Hook),
}

impl Condition {
    /// Whether it holds; a function is given `arguments`. As in Buildbot, false, zero, nothing, and what is empty do not.
    pub async fn holds(
        &self,
        known: Known<'_>,
        arguments: impl FnOnce() -> Vec<HookArgument> + Send,
    ) -> Result<bool, RenderError> {
        let value = match self {
            Self::Fixed(flag) => return Ok(*flag),
            Self::Rendered(worth) => worth.value(known).await?,
            Self::Asked(hook) => {
                let call = HookCall { hook: hook.id, arguments: arguments() };
                known.hooks.call(call).await?.value(known).await?
            }
        };
        Ok(!is_false(&value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        definition::{Renderable, render::Known},
        model::{Properties, PropertyValue, WorkerInfo},
    };

    #[tokio::test]
    async fn what_is_false_zero_or_empty_does_not_hold() {
        let worker = WorkerInfo::default();
        let condition = Condition::Rendered(Worth::Rendered(Renderable::Property {
            name: "x".to_owned(),
            default: None,
            default_when_false: true,
        }));
        let holds = async |value: Option<PropertyValue>| {
            let mut properties = Properties::new();
            if let Some(value) = value {
                properties.set("x", value, "test");
            }
            condition.holds(Known::plain(&properties, &worker), Vec::new).await
        };
        for value in [serde_json::json!(false), 0.into(), 0.0.into(), "".into(), serde_json::json!([])] {
            assert_eq!(holds(Some(value.clone())).await, Ok(false), "{value}");
        }
        assert_eq!(holds(None).await, Ok(false));
        for value in [serde_json::json!(true), 1.into(), "false".into(), serde_json::json!({ "a": 1 })] {
            assert_eq!(holds(Some(value.clone())).await, Ok(true), "{value}");
        }
    }
}
