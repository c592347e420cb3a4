//! Laws under random input.

use proptest::{collection::vec, prelude::*};

use super::{super::super::tests::recorded, *};

/// What a master of ours says in an attach and three commands.
fn honest() -> Vec<u8> {
    let (mut bot, mut master) = (BotSession::new(identity("pass1"), info()), MasterSession::new(CHALLENGE));
    let (mut all, mut number) = (Vec::new(), 0);
    for _ in 0..60 {
        let bytes = master.poll_output().unwrap_or_default();
        all.extend_from_slice(&bytes);
        bot.hear(&bytes).unwrap();
        work(&mut bot);
        master.handle_input(&bot.poll_output().unwrap_or_default()).unwrap();
        while let Some(event) = master.poll_event() {
            match event {
                SessionEvent::Login(_) => {
                    master.accept_login();
                    master.handle_order(ToWorker::SetBuilders(folders(&["b1", "b2"])));
                }
                SessionEvent::Message(FromWorker::Transfer { id, transfer: Transfer::Write(_) }) => {
                    master.handle_order(ToWorker::Reply { id, reply: TransferReply::Taken });
                }
                SessionEvent::Attached | SessionEvent::Message(FromWorker::Complete { .. }) => {
                    let orders = [shell(), upload(), WorkerCommand::Glob { pattern: "*".into() }];
                    if let Some(order) = orders.get(number) {
                        number += 1;
                        master.handle_order(start(&number.to_string(), "b1", order.clone()));
                    }
                }
                SessionEvent::Message(_) => {}
            }
        }
    }
    assert_eq!(number, 3);
    all
}

fn upload() -> WorkerCommand {
    WorkerCommand::sample_upload("a", 128)
}

/// Does a little of each thing, and nothing twice.
fn work(bot: &mut BotSession) -> usize {
    let mut now = Now { instant: Instant::now(), epoch: 0.0 };
    let mut events = 0;
    while let Some(event) = bot.poll_event() {
        events += 1;
        let end = |bot: &mut BotSession, id: CommandId| {
            bot.say(FromWorker::Update { id: id.clone(), update: Update::Rc(0) }, now);
            bot.say(FromWorker::Complete { id, failure: None }, now);
        };
        match event {
            BotEvent::Order(ToWorker::Start { id, command: WorkerCommand::Glob { .. }, .. }) => end(bot, id),
            BotEvent::Order(ToWorker::Start { id, command: WorkerCommand::UploadFile(_), .. }) => {
                bot.say(FromWorker::Transfer { id, transfer: Transfer::Write("block".into()) }, now);
            }
            BotEvent::Order(ToWorker::Start { id, .. }) => {
                bot.say(FromWorker::Update { id: id.clone(), update: stdout(b"line\nrest") }, now);
                bot.say(FromWorker::Complete { id, failure: Some("odd".into()) }, now);
            }
            BotEvent::Order(ToWorker::Reply { id, .. } | ToWorker::Interrupt { id, .. }) => {
                bot.say(FromWorker::Transfer { id: id.clone(), transfer: Transfer::Close }, now);
                end(bot, id);
            }
            BotEvent::Printed(_) => bot.keep_alive(),
            BotEvent::Attached => bot.say(FromWorker::WantsShutdown, now),
            _ => {}
        }
    }
    if let Some(due) = bot.due() {
        now.instant = due;
        bot.tick(now);
    }
    events
}

/// The memory of one string that is on its way, as the decoder may make room for it, and what else is held.
const MOST_HELD_BYTES: usize = 2 * 640 * 1024 + 256 * 1024;
/// Objects, calls and commands.
const MOST_KNOWN: usize = 64;

/// Gives a worker these bytes in these cuts, whatever comes of it.
fn endure(bytes: &[u8], cut: usize) {
    let mut bot = BotSession::new(identity("pass1"), info());
    let (mut events, mut said) = (0, 0);
    for piece in bytes.chunks(cut) {
        let heard = bot.hear(piece);
        events += work(&mut bot);
        let (bytes, known) = bot.worker.held();
        let known = known + bot.commands.len();
        assert!(bytes < MOST_HELD_BYTES && known < MOST_KNOWN, "{bytes} bytes and {known} things are held");
        said += bot.poll_output().map_or(0, |bytes| bytes.len());
        if heard.is_err() {
            break;
        }
    }
    assert!(events <= bytes.len() && said <= 4000 + bytes.len() * 100, "{events} events, {said} bytes said");
}

type Damage = (prop::sample::Index, u8, u8);

fn damage(bytes: &mut Vec<u8>, damages: Vec<Damage>) {
    for (place, byte, kind) in damages {
        let place = place.index(bytes.len());
        match kind {
            0 => bytes[place] = byte,
            1 => bytes.insert(place, byte),
            2 => drop(bytes.remove(place)),
            3 => bytes.rotate_left(place),
            4 => bytes.extend_from_within(place..),
            _ => bytes.truncate(place.max(8)),
        }
    }
}

#[test]
fn what_is_damaged_below_is_sound() {
    endure(&honest(), 1);
    assert!(honest().starts_with(&recorded("dialects")));
}

proptest! {
    #[test]
    fn random_bytes_are_endured(bytes in vec(any::<u8>(), 0..400), cut in 1_usize..100) {
        endure(&bytes, cut);
        endure(&[&recorded("dialects"), bytes.as_slice()].concat(), cut);
    }

    #[test]
    fn damaged_exchanges_are_endured(
        damages in vec((any::<prop::sample::Index>(), any::<u8>(), 0..6_u8), 1..6),
        cut in 1_usize..200,
    ) {
        let mut bytes = honest();
        damage(&mut bytes, damages);
        endure(&bytes, cut);
    }

    /// However the bytes of a command and the news of it are cut.
    #[test]
    fn what_a_command_writes_is_what_its_master_hears(
        pieces in vec(("[a-c\n]{0,8}", any::<bool>(), any::<bool>()), 0..20),
    ) {
        let mut pair = Pair::attached(&["b1"]);
        let id = pair.begin("1", "b1", shell());
        let mut wanted = [String::new(), String::new()];
        for (text, is_error, wait) in &pieces {
            let stream = if *is_error { LogStream::Stderr } else { LogStream::Stdout };
            wanted[usize::from(*is_error)] += text;
            pair.update(&id, Update::Output { stream, bytes: Bytes::from(text.clone()) });
            if *wait && pair.bot.due().is_some() {
                pair.wait();
            }
        }
        pair.complete(&id, None);
        let end = pair.news.pop();
        prop_assert!(matches!(end, Some(FromWorker::Complete { failure: None, .. })), "{:?}", end);
        let mut heard = [Vec::new(), Vec::new()];
        for update in pair.updates("1") {
            let Update::Output { stream, bytes } = update else { panic!("{update:?}") };
            prop_assert!(bytes.ends_with(b"\n"), "whole lines: {:?}", bytes);
            heard[usize::from(stream == LogStream::Stderr)].extend_from_slice(&bytes);
        }
        for (mut wanted, heard) in wanted.into_iter().zip(heard) {
            if !wanted.is_empty() && !wanted.ends_with('\n') {
                wanted.push('\n');
            }
            prop_assert_eq!(wanted.as_bytes(), heard);
        }
    }
}
