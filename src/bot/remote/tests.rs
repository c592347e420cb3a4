//! Workers whose masters are scripts of this test, or nobody. Those with real masters are in `tests/it/remote.rs`.

use std::net::Ipv4Addr;

use tokio::{io::AsyncReadExt as _, net::TcpListener, task::JoinHandle, time::Instant};

use super::*;
use crate::{exec::testing::within, model::Secret, protocol::bot::Identity};

/// A worker at work, and the strings that lead to it.
struct Running {
    stop: CancellationToken,
    wants_shutdown: CancellationToken,
    task: JoinHandle<Ended>,
    _dir: tempfile::TempDir,
}

impl Running {
    fn start(port: u16, wire: Wire, max_retries: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = RemoteSettings {
            server: Server {
                address: Address::Tcp { host: Ipv4Addr::LOCALHOST.to_string(), port },
                tls: None,
                proxy: None,
            },
            wire,
            identity: Identity { name: "w1".into(), password: Secret::new("sesame") },
            keepalive: None,
            max_delay: Duration::ZERO,
            max_retries: NonZeroU32::new(max_retries),
        };
        assert!(!format!("{settings:?}").contains("sesame"));
        let (stop, wants_shutdown) = (CancellationToken::new(), CancellationToken::new());
        let bot = BotSettings::new(dir.path().canonicalize().unwrap());
        let run = run(bot, settings, stop.clone(), wants_shutdown.clone(), watch::Sender::new(false));
        Self { stop, wants_shutdown, task: tokio::spawn(run), _dir: dir }
    }

    async fn ended(self) -> Ended {
        within(self.task).await.unwrap()
    }
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn reason(ended: &Ended) -> String {
    let Ended::GaveUp { last } = ended else { panic!("{ended:?}") };
    chain(last)
}

#[tokio::test]
async fn a_worker_without_a_master_tries_as_often_as_it_may_with_a_wait_before_each() {
    let (listener, port) = listener().await;
    drop(listener);
    let begun = Instant::now();
    let ended = Running::start(port, Wire::Pb, 3).ended().await;
    assert!(begun.elapsed() >= 2 * backoff::SHORTEST);
    let wanted =
        format!("cannot connect to the master at 127.0.0.1:{port}: nobody listens on 127.0.0.1:{port}");
    assert_eq!(reason(&ended), wanted);
}

#[tokio::test]
async fn a_master_that_hangs_up_before_it_lets_a_worker_in_counts_as_one_that_does_not() {
    for wire in [Wire::Pb, Wire::Msgpack] {
        let (listener, port) = listener().await;
        let worker = Running::start(port, wire, 2);
        for _ in 0..2 {
            drop(within(listener.accept()).await.unwrap());
        }
        let ended = worker.ended().await;
        let reason = reason(&ended);
        assert!(
            reason.starts_with(&format!("cannot log in to the master at 127.0.0.1:{port} as `w1`: ")),
            "{reason}"
        );
        assert!(reason.contains("closed the connection before it let this worker in"), "{reason}");
    }
}

#[tokio::test]
async fn a_worker_stops_at_once_wherever_it_is() {
    for wire in [Wire::Pb, Wire::Msgpack] {
        for is_wish in [false, true] {
            // The master is silent.
            let (listener, port) = listener().await;
            let worker = Running::start(port, wire, 0);
            let (mut socket, _) = within(listener.accept()).await.unwrap();
            if wire == Wire::Msgpack {
                assert!(within(socket.read(&mut [0; 64])).await.unwrap() > 0);
            }
            if is_wish {
                worker.wants_shutdown.cancel();
            } else {
                worker.stop.cancel();
            }
            let hangs_up = async { while socket.read(&mut [0; 64]).await.is_ok_and(|count| count > 0) {} };
            within(hangs_up).await;
            drop(socket);
            let ended = worker.ended().await;
            assert!(
                matches!((is_wish, &ended), (true, Ended::Wished) | (false, Ended::Stopped)),
                "{ended:?}"
            );
        }
    }
    // It waits for its next try.
    let (listener, port) = listener().await;
    drop(listener);
    let worker = Running::start(port, Wire::Pb, 0);
    worker.stop.cancel();
    assert!(matches!(worker.ended().await, Ended::Stopped));
}
