//! What is kept leaves memory, comes back, and has an end.

use super::*;

const MIB: usize = 1024 * 1024;

/// A command that has lost its link and written so many lines of 200 kB each.
fn written(lines: usize) -> (World, String) {
    let mut world = World::running(shell());
    world.cut(usize::MAX);
    let mut all = String::new();
    for line in 0..lines {
        let line = format!("{line:06} {}\n", "x".repeat(200_000));
        world.write(&line);
        all += &line;
    }
    (world, all)
}

impl World {
    fn suspended(&mut self) -> &mut Suspended {
        match &mut self.far {
            Far::Down(suspended) => suspended,
            Far::Up(_) => panic!("the link is up"),
        }
    }

    /// What should leave memory, all of it.
    fn overflow(&mut self) -> Vec<(KeptId, Bytes)> {
        let suspended = self.suspended();
        std::iter::from_fn(|| suspended.overflow()).collect()
    }
}

#[test]
fn what_is_too_much_for_memory_leaves_it_and_comes_back_when_it_is_to_be_sent() {
    let (mut world, all) = written(30);
    let out = world.overflow();
    let bytes = out.iter().map(|(_, body)| body.len()).sum::<usize>();
    assert!(bytes > 4 * MIB && bytes + MIB >= all.len(), "{bytes} of {}", all.len());
    let ids: Vec<_> = out.iter().map(|(kept, _)| *kept).collect();
    assert!(ids.is_sorted_by(|newer, older| newer > older), "the newest first: {ids:?}");
    assert_eq!(world.overflow(), [], "each is given once");
    for (kept, body) in out {
        world.suspended().stowed(kept, Box::new(Disk(Some(body))));
    }
    assert!(world.suspended().wanted().is_none(), "nothing is sent");
    world.connect(false);
    world.end();
    world.exchange();
    assert!(world.upper.output == all.as_bytes());
    assert_eq!(world.upper.ends, [None]);
    assert!(world.is_forgotten());
}

#[test]
fn what_comes_back_while_the_link_is_lost_is_not_lost() {
    let (mut world, all) = written(30);
    world.far.stow();
    world.connect(false);
    let mut fetched = None;
    // Listens until something is away.
    while fetched.is_none() {
        let Far::Up(bot) = &mut world.far else { panic!("the link is up") };
        fetched = bot.wanted();
        if let Some(payload) = bot.poll_output() {
            world.master.handle_message(&payload).unwrap();
        }
        world.hear();
        let Far::Up(bot) = &mut world.far else { panic!("the link is up") };
        while let Some(payload) = world.master.poll_output() {
            bot.hear(&payload).unwrap();
        }
        world.obey();
    }
    let (kept, away) = fetched.unwrap();
    assert!(world.bot().wanted().is_none(), "it is on its way");
    let Far::Up(bot) = mem::replace(&mut world.far, Far::Up(BotSession::new(facts()))) else {
        panic!("it is up")
    };
    world.far = Far::Down(bot.suspend().unwrap());
    world.suspended().fetched(kept, away.read());
    world.connect(false);
    world.end();
    world.exchange();
    assert!(world.upper.output == all.as_bytes());
}

#[test]
fn what_cannot_be_read_back_fails_its_command_with_a_word() {
    let (mut world, _) = written(30);
    for (kept, _) in world.overflow() {
        world.suspended().stowed(kept, Box::new(Disk(None)));
    }
    world.connect(false);
    world.exchange();
    let wanted = "what the command said cannot be read back: the disk is gone";
    assert_eq!(world.upper.ends, [Some(wanted.to_owned())]);
    assert_eq!(world.interrupts, [id()]);
    // It dies, and nobody hears of that.
    world.write("late\n");
    world.end();
    world.wait(60);
    world.exchange();
    assert_eq!((world.upper.ends.len(), &world.upper.rc[..]), (1, &[][..]));
    assert!(world.is_forgotten());
}

#[test]
fn the_failure_of_what_is_lost_is_said_again_on_the_next_link() {
    let (mut world, _) = written(30);
    for (kept, _) in world.overflow() {
        world.suspended().stowed(kept, Box::new(Disk(None)));
    }
    world.connect(false);
    // The end of the command is what does not arrive.
    let mut arrive = 0;
    while world.interrupts.is_empty() {
        arrive += 1;
        world.cut(arrive);
        world.connect(false);
    }
    world.exchange();
    assert_eq!(world.upper.ends.len(), 1);
    assert!(world.upper.ends[0].is_some());
}

#[test]
fn so_much_is_kept_and_no_more_whether_in_memory_or_not() {
    for has_disk in [false, true] {
        let (mut world, _) = written(0);
        let line = "y".repeat(500_000) + "\n";
        let mut lines = 0;
        while !world.suspended().is_full() {
            world.write(&line);
            world.wait(60);
            lines += 1;
            if has_disk {
                world.far.stow();
            }
            assert!(lines < 200);
        }
        assert_eq!(lines, (64 * MIB).div_ceil(line.len() + 200), "{has_disk}");
        world.connect(false);
        assert!(world.bot().is_full());
        world.has_disk = has_disk;
        world.exchange();
        assert_eq!(world.upper.output.len(), lines * line.len());
        assert!(world.bot().is_full(), "nothing of it is safe yet");
        world.acknowledge();
        world.exchange();
        assert!(!world.bot().is_full());
    }
}

#[test]
fn what_was_given_up_or_is_safe_has_no_use_for_what_comes_from_the_disk() {
    let (mut world, _) = written(30);
    let out = world.overflow();
    world.connect_until(false, 1000);
    world.order(ToWorker::Abandon { id: id() });
    world.exchange();
    for (kept, body) in out {
        world.bot().stowed(kept, Box::new(Disk(Some(body.clone()))));
        world.bot().fetched(kept, Err(io::Error::other("gone")));
    }
    assert_eq!((world.bot().output_len(), world.bot().is_full()), (0, false));
    assert_eq!(world.interrupts, [id()], "the failure of the disk is no matter");
}

#[test]
fn of_a_slow_link_little_waits_in_words_and_all_counts_as_to_be_sent() {
    let mut world = World::running(shell());
    let line = "z".repeat(200_000) + "\n";
    for _ in 0..20 {
        world.write(&line);
        world.wait(60);
    }
    assert!(world.bot().output_len() >= 20 * line.len());
    world.far.stow();
    let Far::Up(bot) = &mut world.far else { panic!("the link is up") };
    assert!(bot.overflow().is_none() && bot.output_len() >= 20 * line.len());
    world.exchange();
    assert_eq!(world.upper.output.len(), 20 * line.len());
    assert_eq!(world.bot().output_len(), 0);
}
