//! What a worker may prove itself by: a password, or several while they are changed; each as it is, or as a hash of it.
//!
//! # Laws
//! - Neither a password nor its hash is ever printed: a hash lets the password be guessed at leisure.
//! - What a check of a hash may cost is bounded when the configuration is read, and a hash that cannot be checked is no
//!   hash.
//!
//! # Not here
//! Who may try how often, and when (`worker::gate`).
//!
//! # Source
//! The text of a hash: the PHC string format, `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`.

use std::{collections::BTreeMap, fmt};

use argon2::{
    Argon2, Params, PasswordHash, PasswordHasher as _, PasswordVerifier as _, password_hash::phc::Output,
};

use crate::{
    definition::secret::{SecretName, SecretText},
    model::Secret,
};

/// The most passwords a worker may have at once: an old one, a new one, and some air.
pub const MOST_PASSWORDS: usize = 4;

/// What each hash begins with; the letter after it tells which of three.
const PREFIX: &str = "$argon2";

/// The most memory that the check of a hash may take, in KiB.
const MOST_KIB: u32 = 256 * 1024;

/// The most memory that the check of a hash may write, in KiB: a second of a slow core.
const MOST_WRITTEN_KIB: u64 = 1024 * 1024;

/// The most lanes of a hash. They take turns here, but each costs its bookkeeping.
const MOST_LANES: u32 = 16;

/// The least bytes of a hash: with fewer, some other password would have the same.
const LEAST_BYTES: usize = 16;

/// What a worker may prove itself by; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passwords(Vec<Password>);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    /// As it is.
    Plain(Secret),
    /// A hash of it.
    Hashed(HashedPassword),
    /// A provider of secrets knows it, or a hash of it.
    Named(SecretName),
}

/// A hash of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct HashedPassword {
    text: Secret,
    kib: u32,
    written_kib: u64,
}

/// Why texts are no passwords.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// There is none, or it is empty.
    #[error("the password is empty, so nobody could log in")]
    Empty,
    /// There are more than anybody can mean.
    #[error("it has {count} passwords; at most {MOST_PASSWORDS} are valid at once")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// It looks like a hash, and is none.
    #[error("its hashed password cannot be used")]
    Hash(#[from] HashError),
}

/// Why a text is no hash of a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// It does not have the form of one.
    #[error("it is not of the form `$argon2id$v=19$m=…,t=…,p=…$SALT$HASH`")]
    Malformed,
    /// It takes too much memory.
    #[error("a check of it takes {kib} KiB of memory; at most {MOST_KIB} KiB are allowed")]
    Memory {
        /// How much.
        kib: u32,
    },
    /// It takes too long.
    #[error("a check of it takes too long: `t` times `m` is {written_kib} KiB, more than {MOST_WRITTEN_KIB}")]
    Time {
        /// Memory times passes.
        written_kib: u64,
    },
    /// It has too many lanes.
    #[error("it has {lanes} lanes; at most {MOST_LANES} are allowed")]
    Lanes {
        /// How many.
        lanes: u32,
    },
}

impl Passwords {
    /// The passwords that these texts are.
    ///
    /// # Errors
    /// [`PasswordError`]; its text shows none of them.
    pub fn new(texts: Vec<SecretText>) -> Result<Self, PasswordError> {
        if texts.len() > MOST_PASSWORDS {
            return Err(PasswordError::TooMany { count: texts.len() });
        }
        let passwords: Vec<_> = texts.into_iter().map(Password::new).collect::<Result<_, _>>()?;
        if passwords.is_empty() { Err(PasswordError::Empty) } else { Ok(Self(passwords)) }
    }

    /// All of them.
    pub fn all(&self) -> &[Password] {
        &self.0
    }

    /// The one that an instance is told: the first that is no hash.
    pub fn handed_over(&self) -> Option<&Password> {
        self.0.iter().find(|password| !matches!(password, Password::Hashed(_)))
    }

    /// The names of those that a provider knows.
    pub fn named(&self) -> impl Iterator<Item = &SecretName> {
        self.0.iter().filter_map(|password| match password {
            Password::Named(name) => Some(name),
            Password::Plain(_) | Password::Hashed(_) => None,
        })
    }

    /// The same with what providers know in the place of names.
    ///
    /// # Errors
    /// The name of a secret that is no password; of one that is not in `known`, too, as an empty one.
    pub fn resolved(
        &self,
        known: &BTreeMap<SecretName, Secret>,
    ) -> Result<Self, (SecretName, PasswordError)> {
        let resolve = |password: &Password| match password {
            Password::Named(name) => {
                let secret = known.get(name).cloned().unwrap_or_else(|| Secret::new(""));
                Password::new(secret.into()).map_err(|error| (name.clone(), error))
            }
            other => Ok(other.clone()),
        };
        self.0.iter().map(resolve).collect::<Result<_, _>>().map(Self)
    }

    /// Those that are known as they are.
    pub fn plain(&self) -> impl Iterator<Item = &Secret> {
        self.0.iter().filter_map(|password| match password {
            Password::Plain(secret) => Some(secret),
            Password::Hashed(_) | Password::Named(_) => None,
        })
    }

    /// Those of which only a hash is known.
    pub fn hashed(&self) -> impl Iterator<Item = &HashedPassword> {
        self.0.iter().filter_map(|password| match password {
            Password::Plain(_) | Password::Named(_) => None,
            Password::Hashed(hash) => Some(hash),
        })
    }
}

impl Password {
    /// The password that a text is.
    ///
    /// # Errors
    /// [`PasswordError`]; its text shows nothing of it.
    pub fn new(text: SecretText) -> Result<Self, PasswordError> {
        match text {
            SecretText::Named(name) => Ok(Self::Named(name)),
            SecretText::Given(text) if text.expose().is_empty() => Err(PasswordError::Empty),
            SecretText::Given(text) if text.expose().starts_with(PREFIX) => {
                Ok(Self::Hashed(HashedPassword::new(text)?))
            }
            SecretText::Given(text) => Ok(Self::Plain(text)),
        }
    }
}

impl HashedPassword {
    fn new(text: Secret) -> Result<Self, HashError> {
        let hash = PasswordHash::new(text.expose()).map_err(|_| HashError::Malformed)?;
        let params = Params::try_from(&hash).map_err(|_| HashError::Malformed)?;
        let is_known = argon2::Algorithm::try_from(hash.algorithm.as_str()).is_ok()
            && hash.version.is_none_or(|version| argon2::Version::try_from(version).is_ok());
        let length = hash.hash.as_ref().map_or(0, Output::len);
        // A salt of fewer than 8 bytes is refused by the check itself, which then fails for every password.
        let has_salt = hash.salt.as_ref().is_some_and(|salt| salt.len() >= argon2::MIN_SALT_LEN);
        if !is_known || length < LEAST_BYTES || !has_salt {
            return Err(HashError::Malformed);
        }
        if params.m_cost() > MOST_KIB {
            return Err(HashError::Memory { kib: params.m_cost() });
        }
        let written_kib = u64::from(params.m_cost()) * u64::from(params.t_cost());
        if written_kib > MOST_WRITTEN_KIB {
            return Err(HashError::Time { written_kib });
        }
        if params.p_cost() > MOST_LANES {
            return Err(HashError::Lanes { lanes: params.p_cost() });
        }
        Ok(Self { text, kib: params.m_cost(), written_kib })
    }

    /// A hash of a password, as it may stand in a configuration. Takes some ten milliseconds of a core.
    pub fn make(password: &Secret, salt: &[u8; 16]) -> Secret {
        let hash = Argon2::default().hash_password_with_salt(password.expose().as_bytes(), salt);
        let hash = hash.expect("the defaults of argon2 take any password and a salt of 16 bytes");
        Secret::new(hash.to_string())
    }

    /// Whether this is the password. Takes as long as the hash says, up to a second: never on the runtime.
    pub fn verify(&self, password: &Secret) -> bool {
        PasswordHash::new(self.text.expose())
            .is_ok_and(|hash| Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok())
    }

    /// Takes as long as checks that write so much memory in all, in KiB, and no more of it at once than a check of this
    /// hash. Never on the runtime.
    pub fn waste(&self, written_kib: u64) {
        let kib = u64::from(self.kib);
        for (kib, passes) in [(kib, written_kib / kib), (written_kib % kib, 1)] {
            let (kib, passes) = (u32::try_from(kib).unwrap_or(0), u32::try_from(passes).unwrap_or(0));
            // What is too little to be asked for takes no time either.
            let Ok(params) = Params::new(kib, passes, 1, None) else { continue };
            let argon2 = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
            let mut hash = [0; LEAST_BYTES];
            let hashed = argon2.hash_password_into(b"nobody has this password", &[0; 16], &mut hash);
            std::hint::black_box((hashed.is_ok(), hash));
        }
    }

    /// The hash itself, for the one who remembers that a password was verified against it.
    pub const fn text(&self) -> &Secret {
        &self.text
    }

    /// What a check costs: KiB of memory that it writes.
    pub const fn written_kib(&self) -> u64 {
        self.written_kib
    }
}

impl fmt::Debug for HashedPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: the test vectors of the reference implementation; password `password`, salt `somesalt`.
    const REFERENCE: &str =
        "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA";

    fn read(text: &str) -> Result<HashedPassword, PasswordError> {
        let passwords = Passwords::new(vec![SecretText::Given(Secret::new(text))])?;
        Ok(passwords.hashed().next().expect("it is a hash").clone())
    }

    #[test]
    fn a_hash_of_another_program_is_checked_and_what_we_make_is_taken_back() {
        let reference = read(REFERENCE).expect("it is a hash");
        assert!(reference.verify(&Secret::new("password")));
        assert!(!reference.verify(&Secret::new("Password")));
        let made = HashedPassword::make(&Secret::new("sesame"), b"0123456789abcdef");
        assert!(made.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", made.expose());
        let made = read(made.expose()).expect("it is a hash");
        assert!(made.verify(&Secret::new("sesame")) && !made.verify(&Secret::new("sesam")));
        assert_eq!(format!("{made:?}"), "…");
    }

    #[test]
    fn a_hash_that_costs_too_much_or_says_too_little_is_refused() {
        let with = |from: &str, to: &str| read(&REFERENCE.replace(from, to)).expect_err(to);
        let hash = |error| PasswordError::Hash(error);
        assert_eq!(with("m=65536", "m=262145"), hash(HashError::Memory { kib: 262_145 }));
        assert_eq!(with("t=2", "t=17"), hash(HashError::Time { written_kib: 65_536 * 17 }));
        assert_eq!(with("p=1", "p=17"), hash(HashError::Lanes { lanes: 17 }));
        for (from, to) in [
            ("argon2i", "argon2x"),
            ("v=19", "v=20"),
            ("$c29tZXNhbHQ", "$c29t"),
            ("$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA", ""),
            ("wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA", "wWKIMhR9lyDFvRz9YTY"),
            ("m=65536", "m=1"),
        ] {
            assert_eq!(with(from, to), hash(HashError::Malformed), "{to}");
        }
    }

    #[test]
    fn a_secret_may_hold_a_password_or_a_hash_of_one() {
        let name = |text| SecretName::new(text).unwrap();
        let named = |text| SecretText::Named(name(text));
        let all = Passwords::new(vec![named("new"), Secret::new("b").into(), named("old")]).unwrap();
        assert_eq!(all.named().count(), 2);
        let mut known = BTreeMap::from([(name("new"), Secret::new("a"))]);
        assert_eq!(all.resolved(&known), Err((name("old"), PasswordError::Empty)));
        known.insert(name("old"), Secret::new(REFERENCE));
        let resolved = all.resolved(&known).unwrap();
        assert_eq!(
            (resolved.plain().count(), resolved.hashed().count(), resolved.named().count()),
            (2, 1, 0)
        );
        known.insert(name("old"), Secret::new("$argon2id$nonsense"));
        assert_eq!(all.resolved(&known), Err((name("old"), PasswordError::Hash(HashError::Malformed))));
    }

    #[test]
    fn a_worker_has_one_to_four_passwords_and_none_is_empty() {
        let new = |texts: &[&str]| {
            Passwords::new(texts.iter().copied().map(|text| SecretText::Given(Secret::new(text))).collect())
        };
        assert_eq!(new(&[]), Err(PasswordError::Empty));
        assert_eq!(new(&["a", ""]), Err(PasswordError::Empty));
        assert_eq!(new(&["a"; 5]), Err(PasswordError::TooMany { count: 5 }));
        let both = new(&["a", REFERENCE]).expect("both are good");
        assert_eq!((both.plain().count(), both.hashed().count()), (1, 1));
        assert_eq!(format!("{both:?}"), "Passwords([Plain(…), Hashed(…)])");
    }
}
