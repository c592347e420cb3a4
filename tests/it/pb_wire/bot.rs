//! Our own worker's end in the place of a real one: told to say what that said, it says it in the same words.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

use lunabot::{
    model::Secret,
    protocol::{
        CommandId, FromWorker, ToWorker, Transfer,
        bot::{BotEvent, Conversation, Identity, gather::Now},
        pb::{
            BotSession,
            banana::{Decoder, Limits, Sexp},
        },
    },
};

use super::{NAME, PASSWORD, Play, exchanges, recorded};

/// A worker that says of its one command what another said.
struct Echo {
    session: BotSession,
    script: VecDeque<FromWorker>,
    id: Option<CommandId>,
    /// All that it said.
    said: Vec<u8>,
}

impl Echo {
    fn converse(&mut self, play: &mut Play) {
        loop {
            let (heard, said) = (play.session.poll_output(), self.session.poll_output());
            if heard.is_none() && said.is_none() {
                return;
            }
            if let Some(said) = said {
                self.said.extend_from_slice(&said);
                play.hear(&said);
            }
            self.session.hear(&heard.unwrap_or_default()).unwrap();
            while let Some(event) = self.session.poll_event() {
                match event {
                    BotEvent::Order(ToWorker::Start { id, .. }) => {
                        self.id = Some(id);
                        self.go_on();
                    }
                    BotEvent::Order(ToWorker::Reply { .. } | ToWorker::Interrupt { .. }) => self.go_on(),
                    _ => {}
                }
            }
        }
    }

    /// Says what follows, up to the next block: that is answered first.
    fn go_on(&mut self) {
        let id = self.id.clone().expect("a command runs");
        while let Some(message) = self.script.pop_front() {
            let id = id.clone();
            let waits = matches!(
                &message,
                FromWorker::Transfer { transfer: Transfer::Write(_) | Transfer::Read { .. }, .. }
            );
            let message = match message {
                FromWorker::Update { update, .. } => FromWorker::Update { id, update },
                FromWorker::Transfer { transfer, .. } => FromWorker::Transfer { id, transfer },
                FromWorker::Complete { failure, .. } => FromWorker::Complete { id, failure },
                other => panic!("{other:?}"),
            };
            self.session.say(message, Now { instant: Instant::now(), epoch: 0.0 });
            if waits {
                return;
            }
        }
    }
}

/// What a worker said, in a form that compares: its calls in order, then its answers by their numbers. When it gives objects
/// back is its own affair.
fn told(bytes: &[u8]) -> (Vec<String>, BTreeMap<i64, String>) {
    let mut decoder = Decoder::new(Limits::FRIEND);
    decoder.use_words();
    decoder.extend(bytes).unwrap();
    let (mut calls, mut answers) = (Vec::new(), BTreeMap::new());
    while let Some(expression) = decoder.expression().unwrap() {
        let text = plain(expression.clone()).to_string();
        match &expression {
            Sexp::List(items) => match (&items[0], &items[1]) {
                (Sexp::Bytes(verb), _) if verb.as_ref() == b"decref" => {}
                (Sexp::Bytes(verb), Sexp::Int(number)) if verb.as_ref() == b"answer" => {
                    assert_eq!(answers.insert(*number, text), None, "answered once");
                }
                _ => calls.push(text),
            },
            _ => calls.push(text),
        }
    }
    (calls, answers)
}

/// Without what nobody tells twice: its environment, and parts of a microsecond. The pairs of a dictionary are in order.
fn plain(expression: Sexp) -> Sexp {
    match expression {
        Sexp::Float(number) => Sexp::Float((number * 1e6).round() / 1e6),
        Sexp::List(items) => {
            let is_dictionary =
                matches!(items.first(), Some(Sexp::Bytes(tag)) if tag.as_ref() == b"dictionary");
            let is_environment = |item: &Sexp| item.to_string().starts_with("(('unicode' 'environ')");
            let mut items: Vec<Sexp> =
                items.into_iter().filter(|item| !is_dictionary || !is_environment(item)).map(plain).collect();
            if is_dictionary {
                items[1..].sort_by_key(ToString::to_string);
            }
            Sexp::List(items)
        }
        other => other,
    }
}

#[test]
fn our_worker_says_the_same_as_a_real_one_in_the_same_words() {
    for ((name, order, _), (_, again, check)) in exchanges().into_iter().zip(exchanges()) {
        let real = recorded::bytes(name);
        let mut play = Play::new(order);
        for byte in &real {
            play.hear(std::slice::from_ref(byte));
        }
        let identity = Identity { name: NAME.into(), password: Secret::new(PASSWORD) };
        let info = play.info.take().expect("it said who it is");
        let session = BotSession::new(identity, info);
        let mut echo = Echo { session, script: play.heard.into(), id: None, said: Vec::new() };
        let mut play = Play::new(again);
        echo.converse(&mut play);
        assert!(play.is_over(), "{name}");
        play.ended.iter().for_each(check);
        let ((calls, answers), (real_calls, real_answers)) = (told(&echo.said), told(&real));
        assert_eq!(calls, real_calls, "{name}");
        assert_eq!(answers, real_answers, "{name}");
    }
}
