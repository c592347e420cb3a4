//! The secrets that a configuration names, as far as they can be looked for without running anything.

use std::path::Path;

use crate::{
    definition::{Need, Password, Problem, check::Checked},
    secret::{FindError, Providers, Reach},
};

/// Of which kind these warnings are.
const KIND: &str = "secret that is not there";

/// What is wrong with them, for a master in this folder. No program is asked; a secret that only a program can tell is a
/// warning if the master needs it to start.
pub(super) async fn problems(checked: &Checked, root: &Path) -> Vec<Problem> {
    let providers = Providers::new(&checked.definition, root);
    let mut problems = Vec::new();
    for (name, used) in &checked.secrets {
        let place = used.place.clone();
        let text = match (providers.find(name, Reach::Offline).await, used.need) {
            (Ok(secret), Need::Start) => match Password::new(secret.into()) {
                Ok(_) => continue,
                Err(error) => format!("the secret `{name}` is no password: {error}"),
            },
            (Ok(_) | Err(FindError::Nowhere { is_incomplete: true, .. }), Need::Build) => {
                continue;
            }
            (Err(FindError::Nowhere { is_incomplete: true, .. }), Need::Start) => {
                let text =
                    format!("the secret `{name}` is not looked for here, since that would run a program");
                problems.push(Problem::warning(place, KIND, text));
                continue;
            }
            (Err(error), _) => format!("cannot have the secret `{name}`: {error}"),
        };
        problems.push(match used.need {
            Need::Start => Problem::error(place, text),
            // It may come before a build does.
            Need::Build => Problem::warning(place, KIND, text),
        });
    }
    problems
}
