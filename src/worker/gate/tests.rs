//! Logins as a link brings them to the gate, with the password itself as proof.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::*;
use crate::{
    definition::{
        HashedPassword, Hook, HookId, IdlePolicy, LatentDefinition, MasterDefinition, WorkerDefinition,
        WorkerKind,
        latent::{Backend, ScriptDefinition},
    },
    model::Place,
    net::random,
    worker::{
        Roster,
        tests::{Master, master},
    },
};

fn passwords(all: &[Secret]) -> Passwords {
    Passwords::new(all.iter().cloned().map(Into::into).collect()).unwrap()
}

fn roster(workers: &[(&str, &[Secret])]) -> Arc<Roster> {
    let remote = |all| WorkerKind::Remote { passwords: passwords(all) };
    roster_of(workers.iter().map(|(name, all)| (*name, remote(all))))
}

fn roster_of<'a>(workers: impl Iterator<Item = (&'a str, WorkerKind)>) -> Arc<Roster> {
    let mut all = MasterDefinition::nothing();
    for (name, kind) in workers {
        let definition = WorkerDefinition { kind, ..WorkerDefinition::bare(name) };
        all.workers.insert(definition.name.clone(), Arc::new(definition));
    }
    Arc::new(Roster::new(&all, &BTreeMap::new()).unwrap())
}

async fn gate(workers: &[(&str, &[Secret])]) -> (Master, Gate) {
    let master = master().await;
    master.roster.send_replace(roster(workers));
    let gate = Gate::new(master.roster.subscribe(), master.registry.clone(), CancellationToken::new());
    (master, gate)
}

async fn may_enter(gate: &Gate, name: &str, password: &str, peer: &str) -> bool {
    let secret = Secret::new(password);
    let verdict = gate.judge(name, Proof::Password(&secret), peer.parse().unwrap()).await;
    matches!(verdict, Verdict::Admitted(worker) if worker.as_str() == name)
}

const HERE: &str = "192.0.2.1:4000";
const THERE: &str = "192.0.2.2:4000";

#[tokio::test]
async fn both_passwords_let_a_worker_in_during_a_rotation_and_the_old_one_no_more_after_it() {
    let [old, new] = ["old", "new"].map(Secret::new);
    let (master, gate) = gate(&[("w", &[new.clone(), old])]).await;
    assert!(may_enter(&gate, "w", "old", HERE).await);
    assert!(may_enter(&gate, "w", "new", HERE).await);
    assert!(!may_enter(&gate, "w", "other", HERE).await);
    assert!(!may_enter(&gate, "v", "old", HERE).await);
    master.roster.send_replace(roster(&[("w", &[new])]));
    assert!(may_enter(&gate, "w", "new", HERE).await);
    assert!(!may_enter(&gate, "w", "old", HERE).await);
}

#[tokio::test]
async fn nobody_logs_in_as_a_latent_worker_of_which_no_instance_was_started() {
    let secret = Secret::new("sesame");
    let hook = Hook { id: HookId(0), text: "".into(), place: Place::new("master.cfg.lua", 1) };
    let latent = |passwords| {
        WorkerKind::Latent(Box::new(LatentDefinition {
            passwords,
            build_wait_timeout: IdlePolicy::KeepUntilShutdown,
            attach_timeout: Duration::from_secs(1200),
            check_instance_interval: Duration::from_secs(10),
            backend: Backend::Script(ScriptDefinition {
                start_instance: hook.clone(),
                stop_instance: hook.clone(),
                check_instance: None,
            }),
        }))
    };
    let (master, gate) = gate(&[]).await;
    let known = Some(passwords(std::slice::from_ref(&secret)));
    let workers = [
        ("minted", latent(None)),
        ("known", latent(known)),
        ("here", WorkerKind::Local { workdir: "w".into() }),
    ];
    let roster = roster_of(workers.into_iter());
    master.roster.send_replace(Arc::clone(&roster));
    for name in ["minted", "known", "here", "stranger"] {
        for password in ["sesame", "", "other"] {
            // The peer hears the same of all of them; the log of the master does not.
            let verdict =
                gate.judge(name, Proof::Password(&Secret::new(password)), HERE.parse().unwrap()).await;
            assert_eq!(verdict, Verdict::Refused, "{name}");
        }
    }
    let reasons = ["minted", "known", "here", "stranger"].map(|name| roster.why_not(name));
    assert_eq!(reasons[0], reasons[1]);
    assert!(reasons[0].contains("no instance was started"), "{reasons:?}");
    assert!(reasons[2].contains("LocalWorker") && reasons[3].contains("no such worker"), "{reasons:?}");
}

#[tokio::test]
async fn a_hashed_password_lets_its_worker_in_until_the_configuration_has_another() {
    let hash = |password: &str| HashedPassword::make(&Secret::new(password), &random());
    let (master, gate) = gate(&[("w", &[hash("old")])]).await;
    assert!(may_enter(&gate, "w", "old", HERE).await);
    assert!(may_enter(&gate, "w", "old", HERE).await);
    assert!(!may_enter(&gate, "w", "wrong", HERE).await);
    // The hash itself is no password.
    let hashed = hash("new");
    master.roster.send_replace(roster(&[("w", std::slice::from_ref(&hashed))]));
    assert!(!may_enter(&gate, "w", "old", HERE).await);
    assert!(!may_enter(&gate, "w", hashed.expose(), HERE).await);
    assert!(may_enter(&gate, "w", "new", HERE).await);
}

#[tokio::test]
async fn while_somebody_guesses_a_worker_gets_in_from_elsewhere_and_a_known_one_from_there_too() {
    let (_master, gate) = gate(&[("known", &[Secret::new("a")]), ("new", &[Secret::new("b")])]).await;
    assert!(may_enter(&gate, "known", "a", HERE).await);
    let peer = HERE.parse().unwrap();
    let wrong = Secret::new("wrong");
    let guess = || gate.judge("new", Proof::Password(&wrong), peer);
    // The first ones are judged at once; then there are those that wait, and one more is not heard.
    for _ in 0..20 {
        assert_eq!(guess().await, Verdict::Refused);
    }
    let start = Instant::now();
    let mut waiting = Vec::new();
    loop {
        let mut more = Box::pin(guess());
        match futures_util::poll!(&mut more) {
            std::task::Poll::Ready(Verdict::Unheard) => break,
            // On a slow machine another judgement has been granted meanwhile.
            std::task::Poll::Ready(verdict) => assert_eq!(verdict, Verdict::Refused),
            std::task::Poll::Pending => waiting.push(more),
        }
        assert!(start.elapsed() < Duration::from_secs(30));
    }
    assert!(!waiting.is_empty());
    assert!(may_enter(&gate, "known", "a", HERE).await);
    assert!(may_enter(&gate, "new", "b", THERE).await);
    // Who gives up waiting leaves its turn to others.
    waiting.clear();
    assert_ne!(guess().await, Verdict::Unheard);
}
