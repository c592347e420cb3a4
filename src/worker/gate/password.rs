//! Whether a password that somebody gave is the right one, at a bounded cost.
//!
//! A hashed password is dear to check, which is its purpose. So at most two checks run at once, and a pair of name and
//! password that was found right is remembered, by a digest under a key that this process alone has: a fleet that comes back
//! costs one check a worker in the life of the master.
//!
//! # Laws
//! - What is remembered is of no use outside this process, and of none once the configuration has another hash.
//! - As soon as one worker has a hashed password, every refusal costs as much as its check: an unknown name, a name whose
//!   password is not hashed, and a wrong password take the same time.
//! - How long a comparison takes says nothing of the password.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use blake2::{
    Blake2bMac512,
    digest::{KeyInit as _, Mac as _},
};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

use crate::{
    definition::{HashedPassword, Passwords},
    model::Secret,
    net::random,
    worker::roster::HashCost,
};

/// How many checks run at once. Each takes a core, and up to 256 MiB.
const CHECKS_AT_ONCE: usize = 2;

/// How many may wait for a check. With the hashes that `lunabot hash-password` makes the last one waits some 2 s.
const MOST_WAITING: usize = 128;

/// How many right passwords are remembered; beyond it all are forgotten, and checked once more.
const MOST_REMEMBERED: usize = 32_768;

type Digest = [u8; 64];

/// Checks passwords.
pub(super) struct Verifier {
    key: [u8; 64],
    /// By the name of the worker, the last pair that was found right.
    remembered: Mutex<HashMap<String, Digest>>,
    queue: Semaphore,
    checks: Arc<Semaphore>,
    /// KiB that hashes were computed over: the cost that a peer's clock can see.
    computed: Arc<AtomicU64>,
}

/// Too many wait for the check of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Busy;

impl Verifier {
    /// Remembers nothing yet.
    pub(super) fn new() -> Self {
        Self {
            key: random(),
            remembered: Mutex::default(),
            queue: Semaphore::new(MOST_WAITING + CHECKS_AT_ONCE),
            checks: Arc::new(Semaphore::new(CHECKS_AT_ONCE)),
            computed: Arc::default(),
        }
    }

    /// Whether this is a password of the worker of this name; `passwords` is absent for one that is not defined.
    ///
    /// # Errors
    /// [`Busy`] if too many wait; nothing was checked.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has at most remembered that the password was right. A check that runs goes on, and
    /// keeps its place until it has ended.
    pub(super) async fn check(
        &self,
        name: &str,
        passwords: Option<&Passwords>,
        cost: &HashCost,
        given: &Secret,
    ) -> Result<bool, Busy> {
        let given_digest = self.digest(&[given.expose()]);
        let mut is_right = false;
        for plain in passwords.into_iter().flat_map(Passwords::plain) {
            is_right |= bool::from(self.digest(&[plain.expose()]).ct_eq(&given_digest));
        }
        let hashes: Vec<HashedPassword> =
            passwords.into_iter().flat_map(Passwords::hashed).cloned().collect();
        if is_right || self.remembers(name, &hashes, given) {
            return Ok(true);
        }
        let Some(dearest) = cost.dearest.clone() else { return Ok(false) };
        let most = u64::try_from(cost.most).unwrap_or(u64::MAX).saturating_mul(dearest.written_kib());
        let _in_queue = self.queue.try_acquire().map_err(|_| Busy)?;
        let check = Arc::clone(&self.checks).acquire_owned().await.map_err(|_| Busy)?;
        let (secret, computed) = (given.clone(), Arc::clone(&self.computed));
        let found = tokio::task::spawn_blocking(move || {
            let verify = |hash: &HashedPassword| {
                computed.fetch_add(hash.written_kib(), Ordering::Relaxed);
                hash.verify(&secret)
            };
            let found = hashes.iter().position(verify);
            if found.is_none() {
                // What a stranger is told takes as long as for the worker whose check is the dearest, whatever is known
                // of the name.
                let spent: u64 = hashes.iter().map(HashedPassword::written_kib).sum();
                let rest = most.saturating_sub(spent);
                computed.fetch_add(rest, Ordering::Relaxed);
                dearest.waste(rest);
            }
            drop(check);
            found.map(|index| hashes[index].clone())
        });
        // It ends without a result only if the runtime stops.
        let Some(hash) = found.await.map_err(|_| Busy)? else { return Ok(false) };
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MOST_REMEMBERED && !remembered.contains_key(name) {
            remembered.clear();
        }
        remembered.insert(name.to_owned(), self.pair(name, &hash, given));
        Ok(true)
    }

    /// Whether it was found right before, against a hash that still counts.
    fn remembers(&self, name: &str, hashes: &[HashedPassword], given: &Secret) -> bool {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied();
        let Some(remembered) = remembered else { return false };
        hashes.iter().any(|hash| self.pair(name, hash, given).ct_eq(&remembered).into())
    }

    /// The hash is in it, so that another one in its place forgets the pair.
    fn pair(&self, name: &str, hash: &HashedPassword, given: &Secret) -> Digest {
        self.digest(&[name, hash.text().expose(), given.expose()])
    }

    fn digest(&self, texts: &[&str]) -> Digest {
        let mut mac = Blake2bMac512::new_from_slice(&self.key).expect("a key of BLAKE2b has up to 64 bytes");
        for text in texts {
            mac.update(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
            mac.update(text.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashed(password: &str) -> Secret {
        HashedPassword::make(&Secret::new(password), &random())
    }

    fn passwords(texts: &[Secret]) -> (Passwords, HashCost) {
        let passwords = Passwords::new(texts.iter().cloned().map(Into::into).collect()).unwrap();
        let dearest = passwords.hashed().next().cloned();
        let most = passwords.hashed().count();
        (passwords, HashCost { dearest, most })
    }

    /// Whether it is right, and over how many KiB hashes were computed for that.
    async fn counted(
        verifier: &Verifier,
        name: &str,
        passwords: Option<&Passwords>,
        cost: &HashCost,
        given: &Secret,
    ) -> (bool, u64) {
        let before = verifier.computed.load(Ordering::Relaxed);
        let is_right = verifier.check(name, passwords, cost, given).await.unwrap();
        (is_right, verifier.computed.load(Ordering::Relaxed) - before)
    }

    #[tokio::test]
    async fn a_hashed_password_is_checked_once_and_then_remembered_until_its_hash_changes() {
        let verifier = Verifier::new();
        let (old, cost) = passwords(&[hashed("new"), hashed("old")]);
        let secret = Secret::new("old");
        let both = 2 * cost.dearest.as_ref().unwrap().written_kib();
        assert_eq!(counted(&verifier, "w", Some(&old), &cost, &secret).await, (true, both));
        for _ in 0..1000 {
            assert_eq!(counted(&verifier, "w", Some(&old), &cost, &secret).await, (true, 0));
        }
        // Right for this name only, and for this password only.
        assert_eq!(verifier.check("v", None, &cost, &secret).await, Ok(false));
        assert_eq!(verifier.check("w", Some(&old), &cost, &Secret::new("wrong")).await, Ok(false));
        let (other, cost) = passwords(&[hashed("another")]);
        assert_eq!(verifier.check("w", Some(&other), &cost, &secret).await, Ok(false));
    }

    #[tokio::test]
    async fn once_one_password_is_hashed_each_refusal_costs_a_check() {
        let verifier = Verifier::new();
        let (two, cost) = passwords(&[hashed("a"), hashed("b")]);
        let (plain, _) = passwords(&[Secret::new("c")]);
        // Of a thirtieth of the cost; which password it is of does not matter.
        let text = format!("$argon2id$v=19$m=1024,t=1,p=1$c29tZXNhbHRzb21lc2FsdA${}", "A".repeat(43));
        let (cheap, _) = passwords(&[Secret::new(text)]);
        let wrong = Secret::new("wrong");
        let whole = 2 * cost.dearest.as_ref().unwrap().written_kib();
        for known in [Some(&two), Some(&plain), None, Some(&cheap)] {
            assert_eq!(counted(&verifier, "w", known, &cost, &wrong).await, (false, whole));
        }
        // With none hashed, nobody waits.
        assert_eq!(verifier.check("w", None, &HashCost::default(), &wrong).await, Ok(false));
    }

    #[tokio::test]
    async fn a_flood_of_checks_runs_two_at_once_and_the_rest_is_not_heard() {
        let verifier = Arc::new(Verifier::new());
        let (passwords, cost) = passwords(&[hashed("a")]);
        // All places are taken: whoever comes now waits, up to the bound.
        let taken = Arc::clone(&verifier.checks).acquire_many_owned(2).await.unwrap();
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..MOST_WAITING + CHECKS_AT_ONCE {
            let (verifier, passwords, cost) = (Arc::clone(&verifier), passwords.clone(), cost.clone());
            waiting
                .spawn(async move { verifier.check("w", Some(&passwords), &cost, &Secret::new("a")).await });
        }
        while verifier.queue.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let late = verifier.check("w", Some(&passwords), &cost, &Secret::new("a")).await;
        assert_eq!(late, Err(Busy));
        waiting.shutdown().await;
        drop(taken);
        assert_eq!(verifier.queue.available_permits(), MOST_WAITING + CHECKS_AT_ONCE);
        assert_eq!(verifier.check("w", Some(&passwords), &cost, &Secret::new("a")).await, Ok(true));
    }
}
