//! Who asks for a command, who does not, and who asks too late.

use super::*;

#[test]
fn a_command_that_nobody_knows_is_told_to_be_unknown_once() {
    let mut world = World::new();
    world.cut(usize::MAX);
    world.connect(false);
    world.exchange();
    assert_eq!((world.upper.unknown, &world.upper.ends[..]), (1, &[][..]));
    // Its id is free at the master, too.
    world.start(shell());
    world.exchange();
    world.end();
    world.exchange();
    assert_eq!((world.upper.unknown, &world.upper.ends[..]), (1, &[None][..]));
}

#[test]
fn a_command_is_asked_for_before_it_is_known_who_the_worker_is() {
    let mut world = World::running(shell());
    world.cut(0);
    world.write("meanwhile\n");
    world.links += 1;
    world.connect_until(false, 1000);
    world.master = MasterSession::new("early");
    world.adopt();
    world.wait(60);
    world.exchange();
    assert_eq!((world.upper.output.as_slice(), world.upper.unknown), (&b"meanwhile\n"[..], 0));
}

#[test]
fn nothing_is_said_of_a_command_before_it_is_wanted_and_the_rest_of_the_worker_is_not_held_back() {
    let mut world = World::running(shell());
    world.cut(usize::MAX);
    world.write("meanwhile\n");
    world.connect_until(false, 100_000);
    world.exchange();
    world.wait(60);
    world.exchange();
    assert_eq!((world.upper.output.len(), world.bot().output_len()), (0, 0));
    world.adopt();
    world.exchange();
    assert_eq!(world.upper.output, b"meanwhile\n");
    world.wait(200_000);
    assert_eq!(world.interrupts, [], "what is wanted has no end to wait for");
}

#[test]
fn what_nobody_asked_for_in_time_is_given_up_and_says_nothing_more() {
    let mut world = World::running(shell());
    world.cut(usize::MAX);
    world.write("meanwhile\n");
    world.connect_until(false, 5000);
    world.exchange();
    let begin = world.begin;
    world.wait(4990);
    assert_eq!(world.bot().due(), Some(at(begin, 5000).instant));
    world.obey();
    assert_eq!(world.interrupts, []);
    world.wait(10);
    world.obey();
    assert_eq!((world.interrupts.len(), &world.interrupts[0]), (1, &id()));
    assert_eq!(world.bot().due(), None);
    world.adopt();
    world.exchange();
    assert_eq!((world.upper.unknown, world.upper.output.len()), (1, 0));
    // While it dies its id is not free.
    world.start(shell());
    world.exchange();
    assert_eq!(world.upper.ends, [Some("(command c): it runs already".to_owned())]);
    world.upper.ends.clear();
    world.write("late\n");
    world.end();
    world.wait(60);
    world.exchange();
    assert_eq!((world.upper.output.len(), world.upper.ends.len()), (0, 0));
    world.start(shell());
    world.exchange();
    assert_eq!(world.upper.ends, []);
    assert_eq!(world.interrupts.len(), 1);
}

#[test]
fn links_that_come_and_go_do_not_put_off_the_end_of_what_nobody_asks_for() {
    let mut world = World::running(shell());
    world.cut(usize::MAX);
    world.connect_until(false, 5000);
    world.cut(usize::MAX);
    world.connect_until(false, 10_000);
    world.cut(usize::MAX);
    world.wait(5000);
    world.obey();
    assert_eq!(world.interrupts, [id()]);
    let Far::Down(suspended) = &world.far else { panic!("it was cut") };
    assert!(suspended.is_empty());
}

#[test]
fn an_interrupt_of_what_nobody_has_asked_for_gives_it_up() {
    let mut world = World::running(shell());
    world.write("before\n");
    world.cut(0);
    world.connect_until(false, 5000);
    world.order(ToWorker::Abandon { id: id() });
    world.exchange();
    assert_eq!(world.interrupts, [id()]);
    world.adopt();
    world.end();
    world.exchange();
    assert_eq!((world.upper.unknown, world.upper.ends.len(), world.upper.output.len()), (1, 0, 0));
}

#[test]
fn an_interrupt_of_what_was_asked_for_is_one_as_ever() {
    let mut world = World::running(shell());
    world.cut(usize::MAX);
    world.connect(false);
    world.order(ToWorker::Interrupt { id: id(), why: "enough".into() });
    world.exchange();
    assert_eq!(world.interrupts, [id()]);
    world.say(complete(ID, None));
    world.exchange();
    assert_eq!(world.upper.ends, [None]);
}

#[test]
fn a_second_start_of_what_is_kept_is_refused() {
    let mut world = World::running(shell());
    world.cut(usize::MAX);
    world.connect_until(false, 5000);
    world.start(shell());
    world.exchange();
    assert_eq!(world.upper.ends, [Some("(command c): it runs already".to_owned())]);
}

#[test]
fn a_master_that_misses_what_was_safe_or_knows_what_was_never_said_cannot_go_on() {
    for mark in [0, 7] {
        let mut world = World::running(shell());
        world.write("safe\n");
        world.wait(60);
        world.exchange();
        world.acknowledge();
        world.exchange();
        world.cut(usize::MAX);
        world.upper.mark = mark;
        world.connect(false);
        world.exchange();
        assert_eq!((world.upper.unknown, &world.interrupts[..]), (1, &[id()][..]), "{mark}");
    }
}

#[test]
fn a_master_that_does_not_know_its_answer_to_a_block_has_the_transfer_fail() {
    let mut world = World::new();
    world.file = vec![1; 30];
    world.start(upload());
    // The block arrives, its answer does not.
    world.cut(3);
    assert_eq!(world.upper.mark, 1);
    world.upper.reply = None;
    world.connect(false);
    world.exchange();
    assert_eq!(world.interrupts, [id()]);
    world.say(complete(ID, None));
    world.exchange();
    let wanted = "the master does not know what it answered to the last block";
    assert_eq!(world.upper.ends, [Some(wanted.to_owned())]);
}

#[test]
fn a_master_that_ends_a_link_leaves_alone_what_outlives_it_and_a_stop_of_the_worker_does_not() {
    let mut world = World::running(shell());
    world.master.interrupt_all("the master ends the connection");
    assert_eq!(world.master.output_len(), 0);
    world.order(ToWorker::Shutdown);
    world.exchange();
    assert_eq!(world.interrupts, [id()]);
}

#[test]
fn without_a_word_of_the_master_nothing_outlives_the_link_and_nothing_is_kept() {
    let mut pair = Pair::attached();
    pair.start("1", shell());
    pair.say(output("1", LogStream::Stdout, "a\n"));
    pair.tick();
    pair.say(complete("1", None));
    let told = pair.told();
    assert!(!told.iter().any(|message| matches!(message, FromWorker::Mark { .. })), "{told:?}");
    assert_eq!((pair.bot.crew.len(), pair.bot.is_full(), pair.bot.overflow()), (0, false, None));
    pair.start("2", shell());
    assert!(pair.bot.suspend().is_none());
}

#[test]
fn the_next_master_has_to_say_again_that_commands_outlive_the_link() {
    let mut world = World::running(shell());
    world.cut(usize::MAX);
    world.connect_until(false, 5000);
    world.master = MasterSession::new("another");
    let builder = BuilderFolder { builder: "b1".into(), folder: "b1-dir".into() };
    world.order(ToWorker::SetBuilders(vec![builder]));
    world.exchange();
    let other = CommandId::new("other");
    world.order(ToWorker::Start { id: other.clone(), builder: "b1".into(), command: shell() });
    world.exchange();
    world.cut(usize::MAX);
    world.obey();
    assert_eq!(world.interrupts, [other], "what was kept before still waits");
    world.connect(false);
    world.exchange();
    assert_eq!((world.upper.unknown, world.interrupts.len()), (0, 1));
}

#[test]
fn a_grace_that_is_none_or_no_time_is_refused_or_heard() {
    let mut talk = Talk::new();
    let asked = |grace: Value| vec![("grace", grace)];
    assert_eq!(talk.ask("resume_settings", asked(1.5.into())), Ok(Value::Nil));
    assert_eq!(talk.ask("resume_settings", asked((-1.0).into())), Err("`grace` is not seconds".into()));
    assert_eq!(
        talk.ask("resume_settings", vec![]),
        Err("message did not contain obligatory \"grace\" key".into())
    );
    assert_eq!(talk.ask("resume_settings", asked(0.into())), Ok(Value::Nil));
    assert!(talk.bot.suspend().is_none());
}

#[test]
fn a_wish_to_stop_outlives_the_link() {
    let mut world = World::new();
    world.cut(usize::MAX);
    world.say(FromWorker::WantsShutdown);
    world.connect_until(false, 5000);
    let Far::Up(bot) = &mut world.far else { panic!("the link is up") };
    let mut wishes = 0;
    loop {
        let (said, told) = (bot.poll_output(), world.master.poll_output());
        if said.is_none() && told.is_none() {
            break;
        }
        if let Some(payload) = said {
            world.master.handle_message(&payload).unwrap();
        }
        if let Some(payload) = told {
            bot.hear(&payload).unwrap();
        }
        for event in std::iter::from_fn(|| bot.poll_event()).collect::<Vec<_>>() {
            if let BotEvent::Order(ToWorker::Start { id, .. }) = event {
                bot.say(news(id.as_str(), Update::Rc(0)), at(world.begin, 0));
                bot.say(complete(id.as_str(), None), at(world.begin, 0));
            }
        }
        let is_wish = |event: &SessionEvent| *event == SessionEvent::Message(FromWorker::WantsShutdown);
        wishes += std::iter::from_fn(|| world.master.poll_event()).filter(is_wish).count();
    }
    assert_eq!(wishes, 1);
}

#[test]
fn an_order_that_came_just_before_the_link_was_lost_is_still_carried_out() {
    for is_late in [false, true] {
        let mut world = World::running(shell());
        world.order(ToWorker::Interrupt { id: id(), why: "enough".into() });
        let Far::Up(mut bot) = mem::replace(&mut world.far, Far::Up(BotSession::new(facts()))) else {
            panic!("the link is up")
        };
        while let Some(payload) = world.master.poll_output() {
            bot.hear(&payload).unwrap();
        }
        world.far = Far::Down(bot.suspend().unwrap());
        if is_late {
            world.connect_until(false, 5000);
        }
        world.obey();
        assert_eq!(world.interrupts, [id()], "{is_late}");
    }
}
