//! Nothing is lost and nothing is told twice, wherever links are cut.

use proptest::{collection, prelude::*};

use super::*;

#[derive(Clone, Debug)]
enum Step {
    /// So many lines of this length are written.
    Write { lines: usize, length: usize },
    /// All that was said arrives.
    Carry,
    /// Time passes.
    Wait,
    /// What was heard is safe.
    Acknowledge,
    /// The link is lost after so many payloads, or the next one is there.
    Link { arrive: usize, is_new: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..5_usize, 0..60_usize).prop_map(|(lines, length)| Step::Write { lines, length }),
        1 => (1..4_usize).prop_map(|lines| Step::Write { lines, length: 150_000 }),
        3 => Just(Step::Carry),
        4 => Just(Step::Wait),
        2 => Just(Step::Acknowledge),
        4 => (0..12_usize, any::<bool>()).prop_map(|(arrive, is_new)| Step::Link { arrive, is_new }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_chatty_command_is_heard_once_over_links_that_are_cut_anywhere(
        steps in collection::vec(step(), 1..60),
        cut_at_end in 0..12_usize,
        is_new in any::<bool>(),
        has_disk in any::<bool>(),
    ) {
        let mut world = World::running(shell());
        world.has_disk = has_disk;
        let mut wanted = String::new();
        for step in steps {
            match step {
                Step::Write { lines, length } => {
                    for line in 0..lines {
                        let line = format!("{} {line} {}\n", wanted.len(), "x".repeat(length));
                        world.write(&line);
                        wanted += &line;
                    }
                }
                Step::Carry => world.exchange(),
                Step::Wait => world.wait(60),
                Step::Acknowledge => world.acknowledge(),
                Step::Link { arrive, .. } if matches!(world.far, Far::Up(_)) => world.cut(arrive),
                Step::Link { is_new, .. } => world.connect(is_new),
            }
            if has_disk {
                world.far.stow();
            }
        }
        world.end();
        if matches!(world.far, Far::Up(_)) {
            world.cut(cut_at_end);
        }
        world.connect(is_new);
        world.exchange();
        prop_assert!(world.upper.output == wanted.as_bytes(), "{} of {}", world.upper.output.len(), wanted.len());
        prop_assert_eq!(&world.upper.rc, &[0]);
        prop_assert_eq!(&world.upper.ends, &[None]);
        prop_assert_eq!(world.upper.unknown, 0);
        prop_assert!(world.is_forgotten());
        prop_assert!(!world.interrupts.contains(&id()), "it has ended by itself");
    }
}

/// A transfer over links that are cut after so many payloads each.
fn transferred(command: &WorkerCommand, cuts: [usize; 2], content: &[u8]) -> World {
    let mut world = World::new();
    match command {
        WorkerCommand::UploadFile(_) => world.file = content.to_vec(),
        _ => world.upper.file = content.to_vec(),
    }
    world.start(command.clone());
    // It is sent and taken before anything is lost: what no worker has heard of is started again by others.
    let Far::Up(bot) = &mut world.far else { panic!("the link is up") };
    bot.hear(&world.master.poll_output().unwrap()).unwrap();
    world.obey();
    for cut in cuts {
        world.cut(cut);
        world.connect(false);
    }
    world.exchange();
    world
}

#[test]
fn a_file_reaches_the_master_whole_wherever_its_link_is_cut() {
    let content: Vec<u8> = (0..30).collect();
    for first in 0..40 {
        for second in [0, 1, 2, 3, 5, 8, 12, 16, 20, 24, 28] {
            let mut world = transferred(&upload(), [first, second], &content);
            let upper = &world.upper;
            let seen = (&upper.file, upper.closed, upper.times, &upper.rc[..], &upper.ends[..]);
            assert_eq!(seen, (&content, 1, 1, &[0][..], &[None][..]), "{first}, {second}");
            assert!(world.is_forgotten() && !world.interrupts.contains(&id()));
        }
    }
}

#[test]
fn a_file_reaches_the_worker_whole_wherever_its_link_is_cut() {
    let content: Vec<u8> = (0..30).collect();
    for first in 0..40 {
        for second in [0, 1, 2, 3, 5, 8, 12, 16, 20, 24, 28] {
            let mut world = transferred(&download(), [first, second], &content);
            let upper = &world.upper;
            let seen = (&world.file, upper.closed, &upper.rc[..], &upper.ends[..]);
            assert_eq!(seen, (&content, 1, &[0][..], &[None][..]), "{first}, {second}");
            assert!(world.is_forgotten() && !world.interrupts.contains(&id()));
        }
    }
}

#[test]
fn a_new_master_hears_again_what_the_one_before_had_not_made_safe() {
    let mut world = World::running(shell());
    for text in ["safe\n", "heard\n"] {
        world.write(text);
        world.wait(60);
        world.exchange();
        if text == "safe\n" {
            world.acknowledge();
        }
    }
    assert_eq!((world.upper.output.as_slice(), world.upper.mark), (&b"safe\nheard\n"[..], 2));
    // The first master comes back once, with what it has only heard: that is not safe by this.
    world.cut(usize::MAX);
    world.connect(false);
    world.end();
    world.exchange();
    assert_eq!((&world.upper.rc[..], &world.upper.ends[..]), (&[0][..], &[None][..]));
    world.cut(usize::MAX);
    world.connect(true);
    assert_eq!(world.upper.output, b"safe\n");
    world.exchange();
    assert_eq!(world.upper.output, b"safe\nheard\n");
    assert_eq!((&world.upper.rc[..], &world.upper.ends[..]), (&[0][..], &[None][..]));
    assert!(world.is_forgotten());
}
