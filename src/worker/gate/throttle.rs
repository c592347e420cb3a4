//! How often somebody may be judged who keeps failing: plain values, time is an argument.
//!
//! Each address has a bucket of judgements, which only failures empty. Whoever finds it empty is given a later instant, each
//! one its own, in the order in which they came. A worker that was let in before, from the same address and with the same
//! name, has a bucket of its own: it gets in while somebody else guesses behind that address.
//!
//! # Laws
//! - From one address at most 20 guesses at once, and 2 a second after that, are judged.
//! - Who succeeds is not slowed, however many they are.
//! - Memory is bounded, whatever number of addresses is at it.
//!
//! # Not here
//! Waiting, and judging (`gate`).

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use tokio::time::Instant;

/// How long it takes until a failure is forgotten.
const EACH: Duration = Duration::from_millis(500);

/// How many judgements a full bucket has. An operator who corrects a password needs some; so does a machine with some
/// workers, all of them with an old one.
const AT_ONCE: u32 = 20;

/// How many may wait for a judgement: the last one waits 8 s.
const MOST_WAITING: u32 = 16;

/// How many buckets of addresses are kept. A full one is not kept at all, so these are addresses that failed within the
/// last 18 s.
const MOST_ADDRESSES: usize = 4096;

/// How many workers are remembered that were let in: more than the greatest farm has.
const MOST_KNOWN: usize = 32_768;

/// How long they are remembered after they were last seen.
const KNOWN_FOR: Duration = Duration::from_secs(3600);

/// Where somebody comes from: an address of IPv4, or a network of IPv6, since a machine there has as many addresses as it
/// likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin(IpAddr);

/// A judgement that was granted: given back if it was not used, or if it ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    origin: Origin,
    name: String,
    /// Of the bucket of the worker, not of the address.
    is_known: bool,
}

/// When somebody may be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// After this long, perhaps at once.
    In(Duration, Ticket),
    /// Not at all: too many wait already.
    Never,
}

/// Who failed of late, and who did not.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    origins: HashMap<Origin, Bucket>,
    known: HashMap<(Origin, String), Known>,
}

/// A bucket, as the instant at which it will be full again.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    full_at: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    seen_at: Instant,
    bucket: Bucket,
}

impl Origin {
    /// Where this address counts.
    pub(super) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

impl Throttle {
    /// Somebody wants to be judged.
    pub(super) fn ask(&mut self, origin: Origin, name: &str, now: Instant) -> Turn {
        let mut ticket = Ticket { origin, name: name.to_owned(), is_known: false };
        let key = (origin, ticket.name);
        let known = self.known.get_mut(&key).filter(|known| now < known.seen_at + KNOWN_FOR);
        let waits = match known {
            Some(known) => {
                ticket.is_known = true;
                known.bucket.take(now)
            }
            None => {
                if !self.origins.contains_key(&origin) {
                    make_room(&mut self.origins, MOST_ADDRESSES, |bucket| bucket.full_at, now);
                }
                self.origins.entry(origin).or_insert(Bucket { full_at: now }).take(now)
            }
        };
        ticket.name = key.1;
        waits.map_or(Turn::Never, |wait| Turn::In(wait, ticket))
    }

    /// A judgement that ended well, or was not used.
    pub(super) fn give_back(&mut self, ticket: &Ticket, now: Instant) {
        if ticket.is_known {
            if let Some(known) = self.known.get_mut(&(ticket.origin, ticket.name.clone())) {
                known.bucket.give_back();
            }
        } else if let Some(bucket) = self.origins.get_mut(&ticket.origin) {
            bucket.give_back();
            if bucket.full_at <= now {
                self.origins.remove(&ticket.origin);
            }
        }
    }

    /// A worker is, or was a moment ago, where it may be.
    pub(super) fn saw(&mut self, origin: Origin, name: &str, now: Instant) {
        let key = (origin, name.to_owned());
        if let Some(known) = self.known.get_mut(&key) {
            known.seen_at = now;
            return;
        }
        make_room(&mut self.known, MOST_KNOWN, |known| known.seen_at + KNOWN_FOR, now);
        self.known.insert(key, Known { seen_at: now, bucket: Bucket { full_at: now } });
    }
}

impl Bucket {
    /// Takes a judgement: how long to wait for it; nothing if too many wait.
    fn take(&mut self, now: Instant) -> Option<Duration> {
        let full_at = self.full_at.max(now) + EACH;
        let wait = full_at.duration_since(now).saturating_sub(EACH * AT_ONCE);
        if wait > EACH * MOST_WAITING {
            return None;
        }
        self.full_at = full_at;
        Some(wait)
    }

    fn give_back(&mut self) {
        // An instant before the clock began is as good as its beginning: both are past.
        self.full_at = self.full_at.checked_sub(EACH).unwrap_or(self.full_at);
    }
}

/// Makes room for one more: first those go that say nothing any more, then the one that says it first.
fn make_room<K: Clone + Eq + Hash, V>(
    map: &mut HashMap<K, V>,
    most: usize,
    says_until: impl Fn(&V) -> Instant,
    now: Instant,
) {
    if map.len() < most {
        return;
    }
    map.retain(|_, value| now < says_until(value));
    if map.len() >= most
        && let Some(first) = map.iter().min_by_key(|(_, value)| says_until(value)).map(|(key, _)| key.clone())
    {
        map.remove(&first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> Origin {
        Origin::of(address.parse().unwrap())
    }

    fn wait(turn: Turn) -> Option<(Duration, Ticket)> {
        match turn {
            Turn::In(wait, ticket) => Some((wait, ticket)),
            Turn::Never => None,
        }
    }

    #[test]
    fn guesses_are_judged_twenty_at_once_and_then_two_a_second_in_their_order() {
        let (mut throttle, here, start) = (Throttle::default(), from("192.0.2.1"), Instant::now());
        let waits: Vec<Option<Duration>> = (0..40)
            .map(|name| wait(throttle.ask(here, &name.to_string(), start)).map(|(wait, _)| wait))
            .collect();
        assert!(waits[..20].iter().all(|wait| *wait == Some(Duration::ZERO)));
        let later: Vec<_> = (1..=16).map(|nth| Some(EACH * nth)).collect();
        assert_eq!(waits[20..36], later);
        assert_eq!(waits[36..], [None; 4]);
        // Others are not slowed by it.
        assert!(matches!(throttle.ask(from("192.0.2.2"), "w", start), Turn::In(Duration::ZERO, _)));
        // After an hour of guessing, no more than two a second were judged.
        let mut judged = 0;
        for tick in 0..36_000 {
            let now = start + Duration::from_secs(10) + Duration::from_millis(100) * tick;
            judged += u32::from(wait(throttle.ask(here, "w", now)).is_some());
        }
        assert!(judged <= 7200 + AT_ONCE + MOST_WAITING, "{judged}");
    }

    #[test]
    fn who_succeeds_is_not_slowed_however_many_they_are() {
        let (mut throttle, here, now) = (Throttle::default(), from("192.0.2.1"), Instant::now());
        for name in 0..2000 {
            let (wait, ticket) = wait(throttle.ask(here, &name.to_string(), now)).unwrap();
            assert_eq!(wait, Duration::ZERO);
            throttle.give_back(&ticket, now);
            throttle.saw(here, &name.to_string(), now);
        }
        assert!(throttle.origins.is_empty());
    }

    #[test]
    fn a_worker_that_was_let_in_before_gets_in_while_somebody_guesses_behind_its_address() {
        let (mut throttle, here, start) = (Throttle::default(), from("192.0.2.1"), Instant::now());
        throttle.saw(here, "real", start);
        while throttle.ask(here, "guess", start) != Turn::Never {}
        let (waits, ticket) = wait(throttle.ask(here, "real", start)).unwrap();
        assert_eq!((waits, ticket.is_known), (Duration::ZERO, true));
        // From elsewhere, the name alone is no privilege; nor is it after an hour.
        let elsewhere = from("192.0.2.2");
        while throttle.ask(elsewhere, "guess", start) != Turn::Never {}
        assert_eq!(throttle.ask(elsewhere, "real", start), Turn::Never);
        let later = start + KNOWN_FOR;
        while throttle.ask(here, "guess", later) != Turn::Never {}
        assert_eq!(throttle.ask(here, "real", later), Turn::Never);
    }

    #[test]
    fn addresses_of_ipv6_count_by_their_network_and_mapped_ones_as_what_they_are() {
        assert_eq!(from("2001:db8:0:1::1"), from("2001:db8:0:1:ffff::2"));
        assert_ne!(from("2001:db8:0:1::1"), from("2001:db8:0:2::1"));
        assert_eq!(from("::ffff:192.0.2.1"), from("192.0.2.1"));
        assert_ne!(from("::ffff:192.0.2.1"), from("::ffff:192.0.2.2"));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_are_forgotten() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        let address = |n: usize| Origin::of(IpAddr::from(u32::try_from(n).unwrap().to_be_bytes()));
        for n in 0..MOST_ADDRESSES + 10 {
            throttle.ask(address(n), "w", start + Duration::from_nanos(u64::try_from(n).unwrap()));
        }
        assert_eq!(throttle.origins.len(), MOST_ADDRESSES);
        assert!(!throttle.origins.contains_key(&address(0)));
        assert!(throttle.origins.contains_key(&address(MOST_ADDRESSES)));
        for n in 0..MOST_KNOWN + 10 {
            throttle.saw(address(n), "w", start + Duration::from_nanos(u64::try_from(n).unwrap()));
        }
        assert_eq!(throttle.known.len(), MOST_KNOWN);
    }
}
