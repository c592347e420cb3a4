//! A master of WebSocket on the other side of a pipe. What is said over it is a test's own.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    io::{DuplexStream, duplex},
    time::{Duration, Instant},
};

use super::{
    super::{
        pump::{End, Pump},
        spool::Spool,
        testing::{Script, outside, station},
    },
    *,
};
use crate::{
    exec::testing::within,
    model::Secret,
    protocol::{
        ToWorker,
        bot::Identity,
        link::WorkerEnd,
        msgpack::handshake::{self, HandshakeError, MAX_HEAD_BYTES, Upgrade},
    },
};

const MINUTE: Duration = Duration::from_secs(60);

fn opening() -> Opening {
    let identity = Identity { name: "w1".into(), password: Secret::new("p\u{e4}ss:word") };
    Opening::new(&identity, "ci.example.org:9990", [7; 16]).unwrap()
}

/// What a worker asks.
async fn asked(socket: &mut DuplexStream) -> Upgrade {
    let mut head = Vec::new();
    loop {
        head.push(within(socket.read_u8()).await.unwrap());
        if let Some(upgrade) = handshake::read(&head).unwrap() {
            return upgrade;
        }
    }
}

/// Why a connection is not opened that is answered like this.
async fn refused(answer: &[u8]) -> LinkError {
    let (near, mut far) = duplex(64 * 1024);
    let asking = opening();
    let served = async {
        asked(&mut far).await;
        far.write_all(answer).await.unwrap();
        drop(far);
    };
    tokio::join!(served, open(near, &asking)).1.expect_err("it is refused")
}

/// The master's side of a connection that is open.
type Master = WebSocketStream<DuplexStream>;

/// Runs a pump between a bot and a master, and closes the connection afterwards.
async fn with<T>(keepalive: Option<Duration>, test: impl AsyncFnOnce(Master, WorkerEnd) -> T) -> (End, T) {
    let (near, mut far) = duplex(4096);
    let (mut station, bot) = station();
    let outside = outside();
    let run = async {
        let frames = open(near, &opening()).await.unwrap();
        let mut pump = Pump::new(frames, Script::new(), keepalive, &outside);
        let end = pump.run(&mut station, &mut Spool::new("/nonexistent".into())).await;
        pump.close().await;
        end
    };
    let master = async {
        let answer = asked(&mut far).await.answer();
        // Its first message is at the heels of the answer.
        let mut first = answer.into_bytes();
        first.extend(b"\x82\x09attached\n");
        far.write_all(&first).await.unwrap();
        let mut master = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
        assert_eq!(heard(&mut master).await, "hello\n");
        test(master, bot).await
    };
    tokio::join!(run, master)
}

/// The next line that a worker says.
async fn heard(master: &mut Master) -> String {
    loop {
        match timeout(20 * MINUTE, master.next()).await.unwrap() {
            Some(Ok(Message::Binary(line))) => return String::from_utf8(line.to_vec()).unwrap(),
            Some(Ok(Message::Ping(_))) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn say(master: &mut Master, line: &str) {
    within(master.send(Message::Binary(format!("{line}\n").into()))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn name_and_password_are_asked_with_and_a_refusal_has_its_reason() {
    let (near, mut far) = duplex(4096);
    let asking = opening();
    let served = async {
        let upgrade = asked(&mut far).await;
        assert_eq!((upgrade.name.as_str(), upgrade.password.expose()), ("w1", "p\u{e4}ss:word"));
        far.write_all(HandshakeError::NoCredentials.answer().as_bytes()).await.unwrap();
    };
    let error = tokio::join!(served, open(near, &asking)).1.expect_err("it is refused");
    assert_eq!(
        super::super::failure::chain(&error),
        "no WebSocket is opened: the master does not know this name or password"
    );
    assert!(!format!("{:?}", opening()).contains("ss"), "the password is not shown");

    let long = format!("HTTP/1.1 101 Switching Protocols\r\nX: {}", "x".repeat(MAX_HEAD_BYTES));
    for (answer, wanted) in [
        (&b"HTTP/1.1 502 Bad Gateway\r\n\r\n"[..], "502"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "answer"),
        (b"\x0e\x82none\x04\x87pb", "does not answer in HTTP"),
        (long.as_bytes(), "longer than"),
    ] {
        let LinkError::Opening(error) = refused(answer).await else { panic!("{wanted}") };
        assert!(error.to_string().contains(wanted), "{wanted}: {error}");
    }
    assert!(matches!(refused(b"").await, LinkError::ClosedEarly));
}

#[tokio::test(start_paused = true)]
async fn a_master_that_never_answers_the_request_is_given_up() {
    let (near, mut far) = duplex(4096);
    let asking = opening();
    let begun = Instant::now();
    let served = async {
        asked(&mut far).await;
        far
    };
    let (_far, opened) = tokio::join!(served, open(near, &asking));
    assert!(matches!(opened, Err(LinkError::Silent)));
    assert!(begun.elapsed() >= LOGIN_WITHIN);
}

#[tokio::test(start_paused = true)]
async fn messages_go_both_ways_and_the_last_words_before_the_farewell() {
    let (end, ()) = with(None, async |mut master, mut bot| {
        for number in 0..100 {
            say(&mut master, &format!("ping {number}")).await;
            assert_eq!(within(bot.from_master.recv()).await, Some(ToWorker::Ping(number)));
        }
        say(&mut master, "shutdown").await;
        assert_eq!(within(bot.from_master.recv()).await, Some(ToWorker::Shutdown));
        drop(bot);
        assert_eq!(heard(&mut master).await, "answer\n");
        assert!(matches!(master.next().await, Some(Ok(Message::Close(None)))));
    })
    .await;
    assert!(matches!(end, End::Shutdown), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_farewell_of_the_master_is_answered() {
    let (end, _bot) = with(None, async |mut master, bot| {
        master.close(None).await.unwrap();
        assert!(matches!(master.next().await, Some(Ok(Message::Close(None)))));
        bot
    })
    .await;
    assert!(matches!(end, End::Lost(LinkError::Closed)), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pong_is_a_sign_of_life_and_without_one_the_connection_is_given_up() {
    let begun = Instant::now();
    let (end, _rest) = with(Some(MINUTE), async |mut master, bot| {
        for _ in 0..3 {
            // Reading answers it.
            assert_eq!(heard(&mut master).await, "alive?\n");
        }
        master.flush().await.unwrap();
        (master, bot)
    })
    .await;
    assert!(matches!(end, End::Lost(LinkError::Dead { within: MINUTE })), "{end:?}");
    assert!(begun.elapsed() >= 4 * MINUTE && begun.elapsed() < 6 * MINUTE, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_too_long_ends_the_connection_before_it_has_come() {
    let (end, _bot) = with(None, async |mut master, bot| {
        let mut header = vec![0x82, 127];
        header.extend((MAX_MESSAGE_BYTES as u64 + 1).to_be_bytes());
        master.get_mut().write_all(&header).await.unwrap();
        bot
    })
    .await;
    assert!(matches!(end, End::Lost(LinkError::Protocol(_))), "{end:?}");
}
