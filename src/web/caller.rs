//! Who asks: the user at the other end of the socket, as the kernel tells, so that nobody can speak for another.
//!
//! # Not here
//! Who may ask (the mode of the socket).

use std::time::Duration;

use axum::{extract::connect_info::Connected, serve::IncomingStream};
use tokio::{net::UnixListener, time};

/// The local list of users; others, of a directory service, are shown by their number.
const USERS: &str = "/etc/passwd";

/// How long that list may take: a name is not worth more.
const READ_WITHIN: Duration = Duration::from_secs(2);

/// The one who asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    uid: Option<u32>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self { uid: stream.io().peer_cred().ok().map(|peer| peer.uid()) }
    }
}

impl Caller {
    /// The name of the user, `uid 1000` for one that has none here, `unknown` if the kernel does not tell.
    pub(super) async fn name(self) -> String {
        let Some(uid) = self.uid else { return "unknown".into() };
        let read = time::timeout(READ_WITHIN, tokio::fs::read(USERS)).await;
        let users = read.ok().and_then(Result::ok).unwrap_or_default();
        name_in(&String::from_utf8_lossy(&users), uid).unwrap_or_else(|| format!("uid {uid}"))
    }
}

/// The name of a user in a list as passwd(5) has it.
fn name_in(users: &str, uid: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, number) = (fields.next()?, fields.next()?, fields.next()?);
        (number.parse() == Ok(uid) && !name.is_empty()).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_number_and_nonsense_is_passed_over() {
        let users = "root:x:0:0::/root:/bin/sh\nnonsense\n:x:7:7\nada:x:1000:1000:Ada,,,:/home/ada:/bin/sh\n";
        assert_eq!(name_in(users, 1000).as_deref(), Some("ada"));
        assert_eq!(name_in(users, 0).as_deref(), Some("root"));
        assert_eq!(name_in(users, 7), None);
        assert_eq!(name_in(users, 8), None);
    }
}
