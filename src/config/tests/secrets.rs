//! Secrets in a configuration: what is suspicious, where they are named, and what a change of providers is.

use super::{checked, problems};
use crate::definition::{Need, ReconfigPlan};

const HEAD: &str = "local p = require 'buildbot.plugins'\nlocal worker, util, secrets, steps = p.worker, p.util, p.secrets, p.steps\n";

fn with(text: &str) -> String {
    format!("{HEAD}c.workers = {{ worker.LocalWorker 'w' }}\n{text}")
}

#[tokio::test]
async fn variables_that_commands_of_a_local_worker_see_are_told() {
    let text =
        with("c.secretsProviders = { secrets.SecretInEnvironment 'CI_', secrets.SecretInEnvironment {} }");
    assert_eq!(
        problems(&text).await,
        [
            "master.cfg.lua:4: warning: secrets.SecretInEnvironment: variables that begin with \"CI_\" are seen by each \
          command of a LocalWorker, let `prefix` begin with `LUNABOT_`"
        ]
    );
}

#[tokio::test]
async fn a_provider_that_is_made_and_not_listed_is_told() {
    assert_eq!(
        problems(&with("local forgotten = secrets.SecretInPass {}")).await,
        ["master.cfg.lua:4: warning: secrets.SecretInPass: made, but not listed in `c.secretsProviders`"]
    );
}

#[tokio::test]
async fn each_secret_is_known_with_its_most_urgent_need_wherever_it_is_named() {
    let text = format!(
        "{HEAD}c.protocols = {{ pb = {{ port = 9989 }} }}\n\
         local f = util.BuildFactory {{ steps.ShellCommand {{ command = {{ 'a', util.Secret 'argv' }},\n\
         env = {{ A = util.Secret 'both', B = {{ util.Secret 'joined' }} }}, initialStdin = util.Interpolate('%(kw:k)s',\n\
         {{ k = util.Secret 'keyword' }}), logfiles = {{ l = util.Interpolate '%(secret:log)s' }} }},\n\
         steps.SetProperty {{ property = 'x', value = {{ a = {{ util.Secret 'value' }} }} }} }}\n\
         c.builders = {{ util.BuilderConfig {{ name = 'b', workername = 'w', factory = f, env = {{ E = util.Secret 'env' }} }} }}\n\
         c.workers = {{ worker.Worker('w', {{ 'plain', util.Secret 'both' }}) }}\n"
    );
    let secrets = checked(&text).await.secrets;
    let needs: Vec<_> =
        secrets.iter().map(|(name, used)| (name.as_str(), used.need, used.place.line)).collect();
    let build = |name, line| (name, Need::Build, line);
    let expected = [
        build("argv", 4),
        ("both", Need::Start, 9),
        build("env", 8),
        build("joined", 4),
        build("keyword", 4),
        build("log", 4),
        build("value", 7),
    ];
    assert_eq!(needs, expected);
}

#[tokio::test]
async fn a_change_of_providers_is_told_item_by_item_and_shows_no_phrase() {
    let one = with(
        "c.secretsProviders = { secrets.SecretInAFile 'a', secrets.SecretInPass { gpgPassphrase = 'sesame' },\n\
         secrets.SecretInCommand { command = { 'get', 'x' } } }",
    );
    let two = with(
        "c.secretsProviders = { secrets.SecretInPass { gpgPassphrase = 'simsim' },\n\
         secrets.SecretInCommand { command = { 'get', 'x' }, timeout = 20 }, secrets.SecretInAFile 'b' }",
    );
    let plan = ReconfigPlan::between(&checked(&one).await.definition, &checked(&two).await.definition);
    assert_eq!(
        plan.lines(),
        [
            "- secrets provider \"SecretInAFile a\"",
            "~ secrets provider \"SecretInCommand get x\": order 3 -> 2 (in place)",
            "~ secrets provider \"SecretInCommand get x\": timeout 10 s -> 20 s (in place)",
            "~ secrets provider \"SecretInPass\": order 2 -> 1 (in place)",
            "~ secrets provider \"SecretInPass\": gpgPassphrase … -> … (in place)",
            "+ secrets provider \"SecretInAFile b\"",
        ]
    );
}
