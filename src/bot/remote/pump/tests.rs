//! A bot and a master on either side of a pump, both of them the test.

use std::sync::Arc;

use proptest::prelude::*;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, Lines,
    ReadHalf, WriteHalf, duplex, split,
};

use super::{
    super::{
        pb::Plain,
        testing::{GATHERED, Script, complete, output, outside, station},
    },
    *,
};
use crate::{
    exec::testing::within,
    net::Stranger,
    protocol::link::{DEPTH, WorkerEnd},
};

const MINUTE: Duration = Duration::from_secs(60);

/// The test's side of both.
struct Ends {
    bot: WorkerEnd,
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    say: WriteHalf<DuplexStream>,
    outside: Arc<Outside>,
}

impl Ends {
    async fn say(&mut self, line: &str) {
        within(self.say.write_all(format!("{line}\n").as_bytes())).await.unwrap();
    }

    async fn line(&mut self) -> Option<String> {
        timeout(20 * MINUTE, self.lines.next_line()).await.unwrap().unwrap()
    }

    async fn attach(&mut self) {
        assert!(!*self.outside.attached.borrow());
        self.say("attached\nping 99").await;
        assert_eq!(self.line().await.as_deref(), Some("hello"));
        // What follows finds it attached.
        assert_eq!(within(self.bot.from_master.recv()).await, Some(ToWorker::Ping(99)));
        assert!(*self.outside.attached.borrow());
    }
}

/// Runs a pump between a bot and a master over a socket that holds so many bytes, and closes the connection afterwards.
async fn with<T>(room: usize, keepalive: Option<Duration>, test: impl AsyncFnOnce(Ends) -> T) -> (End, T) {
    let (near, far) = duplex(room);
    let (mut station, bot) = station();
    let outside = Arc::new(outside());
    let (read, say) = split(far);
    let ends = Ends { bot, lines: BufReader::new(read).lines(), say, outside: Arc::clone(&outside) };
    let mut pump = Pump::new(Plain::new(near), Script::new(), keepalive, &outside);
    let run = async {
        let mut spool = Spool::new("/nonexistent".into());
        let end = pump.run(&mut station, &mut spool).await;
        pump.close().await;
        end
    };
    tokio::join!(run, test(ends))
}

/// The error that a connection ended with, after the master said this and hung up.
async fn after(words: &[&str]) -> LinkError {
    let (end, _bot) = with(4096, None, async |mut ends| {
        for word in words {
            ends.say(word).await;
        }
        ends.bot
    })
    .await;
    let End::Lost(error) = end else { panic!("{end:?}") };
    error
}

#[tokio::test(start_paused = true)]
async fn messages_go_both_ways_in_their_order() {
    let (end, _bot) = with(4096, None, async |mut ends| {
        ends.attach().await;
        for number in 0..100 {
            ends.say(&format!("ping {number}")).await;
            assert_eq!(ends.bot.from_master.recv().await, Some(ToWorker::Ping(number)));
            ends.bot.to_master.send(FromWorker::Pong(number)).await.unwrap();
        }
        for number in 0..100 {
            assert_eq!(ends.line().await, Some(format!("pong {number}")));
        }
        ends.bot
    })
    .await;
    assert!(matches!(end, End::Lost(LinkError::Closed)), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn gathered_output_leaves_when_it_is_due_and_no_later() {
    with(4096, None, async |mut ends| {
        ends.attach().await;
        let begun = Instant::now();
        for word in ["one", "two"] {
            ends.bot.to_master.send(output(word)).await.unwrap();
        }
        assert_eq!(ends.line().await.as_deref(), Some("out one two"));
        let waited = begun.elapsed();
        assert!(waited >= GATHERED && waited < 2 * GATHERED, "{waited:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_master_that_does_not_read_slows_the_bot_and_is_heard_all_the_same() {
    const ROOM: usize = 1024;
    with(ROOM, None, async |mut ends| {
        ends.attach().await;
        // As much as the bot is let say within a minute, while nobody reads.
        let text = "x".repeat(500);
        let mut taken = 0;
        while timeout(MINUTE, ends.bot.to_master.send(output(&text))).await.is_ok() {
            taken += 1;
        }
        let held = (taken - DEPTH) * text.len();
        assert!(held < ROOM + 8192, "beside the queue, {held} bytes are held");
        for number in 0..1000 {
            ends.say(&format!("ping {number}")).await;
            assert_eq!(within(ends.bot.from_master.recv()).await, Some(ToWorker::Ping(number)));
        }
        // Once it reads, all comes.
        let mut heard = 0;
        while heard < taken {
            heard += ends.line().await.unwrap().matches(&text).count();
        }
        assert_eq!(heard, taken);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_word_of_the_master_keeps_it_heard_however_much_it_is() {
    let (near, far) = duplex(4096);
    let (mut station, bot) = station();
    let outside = outside();
    let mut pump = Pump::new(Plain::new(near), Script::with_window(1), None, &outside);
    let master = async {
        let (read, mut say) = split(far);
        let mut lines = BufReader::new(read).lines();
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("hello"));
        let long = "x".repeat(2 * MOST_UNREAD_BYTES);
        bot.to_master.send(output(&long)).await.unwrap();
        bot.to_master.send(FromWorker::Pong(1)).await.unwrap();
        // Nothing comes before the first is taken.
        assert!(timeout(2 * FAREWELL, lines.next_line()).await.is_err());
        say.write_all(b"attached\ntaken\n").await.unwrap();
        assert_eq!(lines.next_line().await.unwrap(), Some(format!("out {long}")));
        say.write_all(b"taken\n").await.unwrap();
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("pong 1"));
        bot
    };
    let mut spool = Spool::new("/nonexistent".into());
    tokio::select! {
        end = pump.run(&mut station, &mut spool) => panic!("{end:?}"),
        _bot = within(master) => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_bot_that_takes_no_orders_holds_back_the_master() {
    const ROOM: usize = 64;
    with(ROOM, None, async |mut ends| {
        ends.attach().await;
        let mut said = 0;
        while timeout(MINUTE, ends.say.write_all(b"ping 1\n")).await.is_ok() {
            said += 1;
        }
        // Beside the queue one order is kept, what was read with it, and what is in the socket.
        assert!(said <= DEPTH + 1 + 2 * ROOM / 7, "{said}");
        for _ in 0..said {
            assert_eq!(within(ends.bot.from_master.recv()).await, Some(ToWorker::Ping(1)));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_master_that_gives_no_sign_of_life_is_given_up_at_the_next_question() {
    let begun = Instant::now();
    let (end, _ends) = with(4096, Some(MINUTE), async |mut ends| {
        ends.attach().await;
        for answer in ["alive", "print whatever is heard is life"] {
            assert_eq!(ends.line().await.as_deref(), Some("alive?"));
            ends.say(answer).await;
        }
        assert_eq!(ends.line().await.as_deref(), Some("alive?"));
        ends
    })
    .await;
    assert!(matches!(end, End::Lost(LinkError::Dead { within: MINUTE })), "{end:?}");
    let waited = begun.elapsed();
    assert!(waited >= 4 * MINUTE && waited < 5 * MINUTE, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_master_that_does_not_say_yes_or_no_is_given_up() {
    let begun = Instant::now();
    let (end, _ends) = with(4096, Some(MINUTE), async |ends| ends).await;
    assert!(matches!(end, End::Lost(LinkError::Silent)), "{end:?}");
    let waited = begun.elapsed();
    assert!(waited >= LOGIN_WITHIN && waited < 2 * LOGIN_WITHIN, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn each_end_has_its_reason() {
    assert_eq!(
        after(&["refused wrong name\u{7} or password"]).await.to_string(),
        "the master does not let this worker in: wrong name\\u{7} or password"
    );
    let LinkError::Refused { reason } = after(&["refused by name\nnonsense"]).await else {
        panic!("what follows the reason is none")
    };
    assert_eq!(reason, "by name");
    assert!(matches!(after(&[]).await, LinkError::ClosedEarly));
    assert!(matches!(after(&["attached"]).await, LinkError::Closed));
    assert!(matches!(after(&["HTTP/1.1 400 Bad Request"]).await, LinkError::Protocol(_)));
    assert!(matches!(after(&["GET / HTTP/1.1"]).await, LinkError::Stranger(Stranger::Http)));
    let LinkError::Protocol(why) = after(&["attached", "nonsense"]).await else {
        panic!("nonsense is no word")
    };
    assert_eq!(why.to_string(), "heard \"nonsense\"");
}

#[tokio::test(start_paused = true)]
async fn what_a_master_says_before_it_hangs_up_is_heard_though_it_hears_nothing_more() {
    let (near, mut far) = duplex(4096);
    far.write_all(b"refused by the house rules\n").await.unwrap();
    drop(far);
    let (mut station, _bot) = station();
    let outside = outside();
    let end = Pump::new(Plain::new(near), Script::new(), None, &outside)
        .run(&mut station, &mut Spool::new("/nonexistent".into()))
        .await;
    assert!(matches!(end, End::Lost(LinkError::Refused { reason }) if reason == "by the house rules"));
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_shutdown_is_sent_before_the_connection_is_closed() {
    // So little room that nothing goes before it is read.
    let (end, ()) = with(8, None, async |mut ends| {
        ends.attach().await;
        ends.bot.to_master.send(FromWorker::Pong(1)).await.unwrap();
        ends.say("shutdown").await;
        assert_eq!(within(ends.bot.from_master.recv()).await, Some(ToWorker::Shutdown));
        drop(ends.bot);
        let mut lines = Vec::new();
        while let Some(line) = within(ends.lines.next_line()).await.unwrap() {
            lines.push(line);
        }
        assert_eq!(lines.last().map(String::as_str), Some("answer"), "{lines:?}");
    })
    .await;
    assert!(matches!(end, End::Shutdown), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_master_that_orders_a_shutdown_and_hangs_up_is_obeyed() {
    let (end, _bot) = with(4096, None, async |mut ends| {
        ends.say("attached\nshutdown").await;
        drop((ends.say, ends.lines));
        ends.bot
    })
    .await;
    assert!(matches!(end, End::Shutdown), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wish_to_stop_is_told_once_and_needs_no_word_where_nobody_is_attached() {
    let (end, ()) = with(4096, None, async |mut ends| {
        ends.attach().await;
        ends.outside.wants_shutdown.cancel();
        assert_eq!(ends.line().await.as_deref(), Some("wish"));
        ends.bot.to_master.send(FromWorker::Pong(1)).await.unwrap();
        assert_eq!(ends.line().await.as_deref(), Some("pong 1"));
        ends.outside.stop.cancel();
        assert_eq!(ends.line().await, None);
    })
    .await;
    assert!(matches!(end, End::Stopped), "{end:?}");

    let (end, _ends) = with(4096, None, async |ends| {
        ends.outside.wants_shutdown.cancel();
        ends
    })
    .await;
    assert!(matches!(end, End::Wished), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_bot_that_ends_unasked_ends_the_connection() {
    let (end, _rest) = with(4096, None, async |mut ends| {
        ends.attach().await;
        let Ends { bot, lines, say, .. } = ends;
        drop(bot);
        (lines, say)
    })
    .await;
    assert!(matches!(end, End::Lost(LinkError::Bot)), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_farewell_that_nobody_reads_is_short() {
    let begun = Instant::now();
    let (end, _ends) = with(2, None, async |ends| {
        ends.outside.stop.cancel();
        ends
    })
    .await;
    assert!(matches!(end, End::Stopped), "{end:?}");
    assert!(begun.elapsed() <= 2 * FAREWELL);
}

/// Reads until this has come, so many bytes at a time.
async fn read_until(mut from: impl AsyncRead + Unpin, end: &str, at_once: usize) -> String {
    let mut all = Vec::new();
    let mut piece = vec![0; at_once];
    while !all.ends_with(end.as_bytes()) {
        match from.read(&mut piece).await.unwrap() {
            0 => panic!("it ended early"),
            count => all.extend_from_slice(&piece[..count]),
        }
        tokio::task::yield_now().await;
    }
    String::from_utf8(all).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_the_socket_takes_at_once_all_comes_and_in_order(
        room in 1_usize..200,
        at_once in 1_usize..300,
        words in prop::collection::vec((0_u32..100, any::<bool>()), 0..80),
    ) {
        let builder = &mut tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().unwrap();
        let test = async |mut ends: Ends| {
            ends.say("attached").await;
            let speak = async {
                for (number, is_output) in &words {
                    let message =
                        if *is_output { output(&number.to_string()) } else { FromWorker::Pong((*number).into()) };
                    ends.bot.to_master.send(message).await.unwrap();
                }
                ends.bot.to_master.send(complete()).await.unwrap();
            };
            let read = ends.lines.into_inner();
            let ((), heard) = tokio::join!(speak, read_until(read, "complete\n", at_once));
            heard
        };
        let (_, heard) = runtime.block_on(with(room, None, test));
        let is_number = |word: &&str| word.parse::<u32>().is_ok();
        let numbers: Vec<_> = heard.split_whitespace().filter(is_number).map(str::to_owned).collect();
        let wanted: Vec<_> = words.iter().map(|(number, _)| number.to_string()).collect();
        prop_assert_eq!(numbers, wanted);
    }
}
