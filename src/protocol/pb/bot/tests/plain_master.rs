//! A master that is no more than its objects: it answers by what a test says, when the test says so.

use super::*;
use crate::protocol::pb::{
    banana::Limits,
    broker::{Broker, Call, Called, Reply, Said, Target},
    jelly::pairs,
};

/// What stands behind its objects: nothing.
#[derive(Debug)]
struct Thing;

/// A call of the worker.
#[derive(Debug)]
pub(super) struct Asks {
    pub(super) object: i64,
    pub(super) method: String,
    pub(super) args: Vec<Value>,
}

pub(super) struct PlainMaster {
    broker: Broker<(), Thing>,
    pub(super) bot: BotSession,
    mind: i64,
    builders: Vec<(String, i64)>,
    /// Calls that wait.
    pub(super) calls: VecDeque<(Asks, Reply)>,
    /// What its own calls were answered.
    pub(super) answers: Vec<Result<Value, Failure>>,
    pub(super) heard: Vec<BotEvent>,
    pub(super) now: Now,
}

impl PlainMaster {
    /// It lets anybody in.
    pub(super) fn attached(builders: &[&str]) -> Self {
        Self::attached_to(BotSession::new(identity("pass1"), info()), builders)
    }

    pub(super) fn attached_to(bot: BotSession, builders: &[&str]) -> Self {
        let mut master = Self {
            broker: Broker::server(Limits::FRIEND),
            bot,
            mind: 0,
            builders: Vec::new(),
            calls: VecDeque::new(),
            answers: Vec::new(),
            heard: Vec::new(),
            now: Now { instant: Instant::now(), epoch: 0.0 },
        };
        master.exchange();
        let challenger = master.broker.publish(Thing);
        master.answer(&Value::Tuple(vec![Value::Bytes(vec![1; 16].into()), Value::Remote(challenger)]));
        let Some(Value::Remote(mind)) = master.calls[0].0.args.get(1) else { panic!("{:?}", master.calls) };
        master.mind = *mind;
        master.set_builders(builders);
        let avatar = master.broker.publish(Thing);
        master.answer(&Value::Remote(avatar));
        assert!(master.heard.contains(&BotEvent::Attached), "{:?}", master.heard);
        master.heard.clear();
        master
    }

    pub(super) fn set_builders(&mut self, builders: &[&str]) {
        let pair = |name: &&str| Value::Tuple(vec![Value::text((*name).to_owned()), Value::text("dir")]);
        let answer = self.ask("setBuilderList", &[Value::List(builders.iter().map(pair).collect())]).unwrap();
        let object = |(name, object): &(Value, Value)| match object {
            Value::Remote(object) => (name.as_text().unwrap().into_owned(), *object),
            other => panic!("{other:?}"),
        };
        self.builders = answer.as_pairs().unwrap().iter().map(object).collect();
    }

    /// Calls the worker itself.
    pub(super) fn ask(&mut self, method: &'static str, args: &[Value]) -> Result<Value, Failure> {
        self.call(self.mind, method, args);
        self.answers.pop().expect("a worker answers at once")
    }

    /// Calls a builder.
    pub(super) fn ask_builder(
        &mut self,
        builder: &str,
        method: &'static str,
        args: &[Value],
    ) -> Result<Value, Failure> {
        let (_, object) =
            self.builders.iter().find(|(name, _)| name == builder).expect("it has that builder");
        self.call(*object, method, args);
        self.answers.pop().expect("a worker answers at once")
    }

    fn call(&mut self, object: i64, method: &'static str, args: &[Value]) {
        self.broker.call(Called::Object(object), method, args, &[], ()).unwrap();
        self.exchange();
    }

    /// Publishes an object of its own.
    pub(super) fn publish(&mut self) -> i64 {
        self.broker.publish(Thing)
    }

    /// How many of its objects the worker holds, beside the avatar, and how many of its calls wait.
    pub(super) fn held(&self) -> usize {
        self.broker.held().1 - 1
    }

    /// Starts a command; the number of its object, or why it could not be begun.
    pub(super) fn start(
        &mut self,
        builder: &str,
        id: &str,
        name: &str,
        arguments: Value,
    ) -> Result<i64, Failure> {
        let object = self.publish();
        let text = |text: &str| Value::text(text.to_owned());
        let args = [Value::Remote(object), text(id), text(name), arguments];
        let answer = self.ask_builder(builder, "startCommand", &args)?;
        assert_eq!(answer, Value::None);
        Ok(object)
    }

    /// Starts one that must be understood, and gives its name here and its object.
    pub(super) fn begin(
        &mut self,
        builder: &str,
        id: &str,
        name: &str,
        arguments: Value,
    ) -> (CommandId, i64) {
        let object = self.start(builder, id, name, arguments).unwrap();
        let begun = self.heard.pop();
        let Some(BotEvent::Order(ToWorker::Start { id, .. })) = begun else { panic!("{begun:?}") };
        (id, object)
    }

    /// Starts a line of shell.
    pub(super) fn begin_shell(&mut self, builder: &str, id: &str) -> (CommandId, i64) {
        let arguments = pairs([("workdir", Value::text("build")), ("command", Value::text("make"))]);
        self.begin(builder, id, "shell", Value::Dict(arguments))
    }

    pub(super) fn say(&mut self, message: FromWorker) {
        self.bot.say(message, self.now);
        self.exchange();
    }

    pub(super) fn update(&mut self, id: &CommandId, update: Update) {
        self.say(FromWorker::Update { id: id.clone(), update });
    }

    pub(super) fn transfer(&mut self, id: &CommandId, transfer: Transfer) {
        self.say(FromWorker::Transfer { id: id.clone(), transfer });
    }

    pub(super) fn complete(&mut self, id: &CommandId, failure: Option<&str>) {
        self.say(FromWorker::Complete { id: id.clone(), failure: failure.map(str::to_owned) });
    }

    /// The methods that wait for an answer.
    pub(super) fn methods(&self) -> Vec<&str> {
        self.calls.iter().map(|(call, _)| call.method.as_str()).collect()
    }

    /// Answers the oldest call that waits.
    pub(super) fn answer(&mut self, value: &Value) -> Asks {
        let (call, reply) = self.calls.pop_front().expect("a call waits");
        self.broker.answer(reply, value);
        self.exchange();
        call
    }

    /// Answers it by a failure.
    pub(super) fn refuse(&mut self, kind: &str, value: &str) -> Asks {
        let (call, reply) = self.calls.pop_front().expect("a call waits");
        self.broker.refuse(reply, &Failure::new(kind, value));
        self.exchange();
        call
    }

    /// The one key of each of the oldest updates that wait, which are answered.
    pub(super) fn take_updates(&mut self) -> Vec<(String, Value)> {
        let mut news = Vec::new();
        while self.calls.front().is_some_and(|(call, _)| call.method == "update") {
            let call = self.answer(&Value::Int(0));
            let [Value::List(updates)] = call.args.as_slice() else { panic!("{call:?}") };
            let [update] = updates.as_slice() else { panic!("one at once: {updates:?}") };
            let [Value::Dict(keys), Value::Int(0)] = update.as_items().unwrap() else { panic!("{update:?}") };
            let [(key, value)] = keys.as_slice() else { panic!("one key at once: {keys:?}") };
            assert!(matches!(key, Value::Text(_)), "{key:?}");
            news.push((key.as_text().unwrap().into_owned(), value.clone()));
        }
        news
    }

    pub(super) fn exchange(&mut self) {
        loop {
            self.heard.extend(std::iter::from_fn(|| self.bot.poll_event()));
            let (to_bot, to_master) = (self.broker.take_output(), self.bot.poll_output());
            if to_bot.is_none() && to_master.is_none() {
                return;
            }
            self.bot.hear(&to_bot.unwrap_or_default()).unwrap();
            self.broker.extend(&to_master.unwrap_or_default()).unwrap();
            while let Some(said) = self.broker.said().unwrap() {
                match said {
                    Said::Agreed | Said::Forgotten(Thing) => {}
                    Said::Call(Call { target, method, args, reply, .. }) => {
                        let object = if let Target::Object(object) = target { object } else { 0 };
                        let method = String::from_utf8(method.to_vec()).unwrap();
                        self.calls.push_back((Asks { object, method, args }, reply));
                    }
                    Said::Answer { answer, .. } => self.answers.push(answer),
                    Said::Stray(what) => panic!("a master of Twisted ends the connection at {what}"),
                }
            }
        }
    }
}
