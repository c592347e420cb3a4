//! Peers on a worker's port that speak no PB, or too much of it, or nothing.

use super::{
    MasterDir, Process, is_attached, master_with_one_worker, needs_real_workers, port_of,
    raw::{CHOICE, DIALECTS, Peer, login},
};

/// Memory the master may hold more after a storm of such peers: far below what they sent.
const MORE_BYTES: u64 = 64 << 20;

/// A deed of a bad peer, after it has heard the list of dialects.
type Deed = (&'static str, fn(&mut Peer));

/// Bytes that follow no rule, the same in each run.
fn noise(count: usize) -> Vec<u8> {
    let mut state: u32 = 0x9e37_79b9;
    let next = || {
        // Marsaglia's xorshift.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// A number as Banana writes it, the lowest digit first, with its type.
fn token(mut number: usize, kind: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        bytes.push(u8::try_from(number % 128).unwrap());
        number /= 128;
        if number == 0 {
            bytes.push(kind);
            return bytes;
        }
    }
}

const DEEDS: [Deed; 10] = [
    ("noise", |peer| peer.say(&noise(1 << 16))),
    ("an HTTP client", |peer| {
        peer.say(b"GET /api/v2/workers HTTP/1.1\r\nHost: lunabot\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n");
    }),
    ("silence", |_| {}),
    ("a dialect and then silence", |peer| peer.say(CHOICE)),
    ("half a login", |peer| {
        peer.say(CHOICE);
        peer.say(&login("w1")[..20]);
    }),
    ("a login that is never proved", |peer| {
        peer.say(CHOICE);
        peer.say(&login("w1"));
    }),
    ("a text that is longer than any may be", |peer| {
        peer.say(CHOICE);
        peer.say(&token(655_361, 0x82));
    }),
    ("a list that is longer than any may be", |peer| peer.say(&[CHOICE, &token(655_361, 0x80)].concat())),
    ("lists in lists without an end", |peer| {
        peer.say(CHOICE);
        for _ in 0..1000 {
            peer.say(&[1, 0x80].repeat(1000));
        }
    }),
    ("texts without an end", |peer| {
        peer.say(&[CHOICE, &token(600_000, 0x80)].concat());
        let text = [token(60_000, 0x82), vec![b'x'; 60_000]].concat();
        for _ in 0..200 {
            peer.say(&text);
        }
    }),
];

fn resident_bytes(master: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", master.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

#[test]
fn a_peer_that_is_no_worker_is_cut_off_and_others_are_undisturbed() {
    needs_real_workers!("a_peer_that_is_no_worker_is_cut_off_and_others_are_undisturbed");
    let (dir, master, worker) = master_with_one_worker("steps.ShellCommand { command = 'echo well' }");
    let sockets = worker.sockets();
    assert_eq!(sockets.len(), 1);
    let before = resident_bytes(&master);
    let port = port_of(&dir);
    std::thread::scope(|scope| {
        for (name, deed) in DEEDS {
            for _ in 0..5 {
                scope.spawn(move || {
                    let mut peer = Peer::connect(port);
                    assert_eq!(peer.read(DIALECTS.len()), DIALECTS, "{name}");
                    deed(&mut peer);
                    // Panics if it is not cut off; nobody is told anything but a challenge.
                    let heard = peer.read_to_end();
                    assert!(heard.len() < 1000, "{name}: {}", heard.escape_ascii());
                });
            }
        }
        // In the midst of it.
        assert!(works(&dir));
    });
    assert!(works(&dir));
    assert_eq!((worker.sockets(), worker.attached_times()), (sockets, 1));
    let after = resident_bytes(&master);
    assert!(after < before + MORE_BYTES, "{before} bytes before, {after} after");
}

/// Whether a build succeeds and its worker is attached.
fn works(dir: &MasterDir) -> bool {
    dir.run("force", &["b1", "--wait"]).status.success() && is_attached(dir, "w1")
}
