//! Calls in both directions over one connection, and the objects that they are made on.
//!
//! # Laws
//! - What an honest peer of some age may say is heard and, where it means nothing here, passed over ([`Said::Stray`]);
//!   what is no message at all ends the connection.
//! - Nothing is sent that ends a worker: no unknown verb, no answer to what was not asked, no count given back that was
//!   not received, nothing longer than is taken.
//! - Numbers of calls and objects are never used twice.
//!
//! # Not here
//! What the methods do (`master`, `worker`).
//!
//! # Source
//! Twisted, `twisted/spread/pb.py`, `Broker`.

use bytes::Bytes;

use super::{
    PbError,
    banana::{Decoder, Limits, Sexp},
    encoder::{Encoder, Overlong},
    failure::Failure,
    jelly::{self, Value},
    numbered::Numbered,
};

/// The version of the protocol that both sides must have.
pub const VERSION: i64 = 6;

/// One end of a connection. `A` is what the caller keeps of a call until its answer; `O` is what stands behind an object
/// that the peer may call.
#[derive(Debug)]
pub struct Broker<A, O> {
    decoder: Decoder,
    encoder: Encoder,
    is_server: bool,
    is_agreed: bool,
    asked: Numbered<A>,
    last_request: i64,
    published: Numbered<Published<O>>,
    last_object: i64,
}

#[derive(Debug)]
struct Published<O> {
    object: O,
    /// How often the peer was told of it, less what it has given back.
    count: u32,
}

/// What the peer said.
#[derive(Debug)]
pub enum Said<A, O> {
    /// The dialect is agreed on; calls may be made.
    Agreed,
    /// It calls an object here.
    Call(Call),
    /// It answers a call.
    Answer {
        /// What was kept of the call.
        asked: A,
        /// The answer.
        answer: Result<Value, Failure>,
    },
    /// It holds an object no longer.
    Forgotten(O),
    /// It speaks of a call or an object that is not, or in a verb without a meaning here. Workers end their connection at
    /// such; a master lets it pass.
    Stray(&'static str),
}

/// A call from the peer.
#[derive(Debug)]
pub struct Call {
    /// How it is answered.
    pub reply: Reply,
    /// On which object.
    pub target: Target,
    /// Which method.
    pub method: Bytes,
    /// The arguments by place.
    pub args: Vec<Value>,
    /// The arguments by name.
    pub keywords: Vec<(Value, Value)>,
}

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The object that is there before all others.
    Root,
    /// A published one, by its number.
    Object(i64),
    /// A name that stands for nothing.
    Unknown,
}

/// The right to answer one call once. Without a number none is wanted.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply(Option<i64>);

impl<A, O> Broker<A, O> {
    /// The end that was connected to: it speaks first.
    pub fn server(limits: Limits) -> Self {
        let mut broker = Self::new(limits, true);
        broker.encoder.sexp(&Sexp::List(vec![word("pb"), word("none")]));
        broker
    }

    /// The end that connects.
    pub fn client(limits: Limits) -> Self {
        Self::new(limits, false)
    }

    fn new(limits: Limits, is_server: bool) -> Self {
        Self {
            decoder: Decoder::new(limits),
            encoder: Encoder::default(),
            is_server,
            is_agreed: false,
            asked: Numbered::new(),
            last_request: 0,
            published: Numbered::new(),
            last_object: 0,
        }
    }

    /// Other limits, from the next token on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.decoder.set_limits(limits);
    }

    /// Takes input, any cut of it.
    pub fn extend(&mut self, bytes: &[u8]) -> Result<(), PbError> {
        Ok(self.decoder.extend(bytes)?)
    }

    /// The next thing that was said; nothing if more input is needed.
    pub fn said(&mut self) -> Result<Option<Said<A, O>>, PbError> {
        loop {
            let Some(expression) = self.decoder.expression()? else { return Ok(None) };
            if !self.is_agreed {
                self.agree(expression)?;
                return Ok(Some(Said::Agreed));
            }
            if let Some(said) = self.message(expression)? {
                return Ok(Some(said));
            }
        }
    }

    /// Makes an object known; the peer holds it once.
    pub fn publish(&mut self, object: O) -> i64 {
        self.last_object += 1;
        self.published.push(self.last_object, Published { object, count: 1 });
        self.last_object
    }

    /// The peer is told of an object again, and holds it once more.
    pub fn publish_again(&mut self, object: i64) {
        if let Some(published) = self.published.get_mut(object) {
            published.count += 1;
        }
    }

    /// Forgets an object, held by the peer or not: its number lives on, see [`Broker::was_object`].
    pub fn forget(&mut self, object: i64) -> Option<O> {
        self.published.remove(object).map(|published| published.object)
    }

    /// How many objects are published.
    pub fn objects(&self) -> usize {
        self.published.len()
    }

    /// The object of a number.
    pub fn object(&self, object: i64) -> Option<&O> {
        self.published.get(object).map(|published| &published.object)
    }

    /// Whether the number was ever given to an object. A peer may call one that has been forgotten.
    pub fn was_object(&self, object: i64) -> bool {
        (1..=self.last_object).contains(&object)
    }

    /// Calls the peer's object; `asked` comes back with the answer.
    ///
    /// # Errors
    /// [`Overlong`]; then nothing was sent.
    pub fn call(
        &mut self,
        object: Called,
        method: &'static str,
        args: &[Value],
        keywords: &[(Value, Value)],
        asked: A,
    ) -> Result<(), Overlong> {
        let request = self.last_request + 1;
        self.encoder.write(|to| {
            to.list(7);
            to.bytes(b"message");
            to.int(request);
            match object {
                Called::Root => to.bytes(b"root"),
                Called::Object(number) => to.int(number),
            }
            to.bytes(method.as_bytes());
            to.int(1);
            jelly::encode_items(b"tuple", args, to);
            jelly::encode_pairs(keywords, to);
        })?;
        self.last_request = request;
        self.asked.push(request, asked);
        Ok(())
    }

    /// Answers a call.
    pub fn answer(&mut self, Reply(request): Reply, value: &Value) {
        self.reply(request, b"answer", value);
    }

    /// Answers a call with a failure.
    pub fn refuse(&mut self, Reply(request): Reply, failure: &Failure) {
        self.reply(request, b"error", &failure.write());
    }

    fn reply(&mut self, request: Option<i64>, verb: &[u8], value: &Value) {
        let Some(request) = request else { return };
        let mut send = |value: &Value| {
            self.encoder.write(|to| {
                to.list(3);
                to.bytes(verb);
                to.int(request);
                jelly::encode(value, to);
            })
        };
        // A call has its answer, if only an empty one.
        if send(value).is_err() {
            send(&Value::None).expect("an empty answer is short");
        }
    }

    /// Gives one count of the peer's object back.
    pub fn give_back(&mut self, object: i64) {
        self.encoder.list(2);
        self.encoder.bytes(b"decref");
        self.encoder.int(object);
    }

    /// All that is to be sent.
    pub fn take_output(&mut self) -> Option<Bytes> {
        self.encoder.take()
    }

    /// How much is to be sent, in bytes.
    pub fn output_len(&self) -> usize {
        self.encoder.len()
    }

    /// Memory that is held for what is on its way in, and how many objects and calls are known.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        (self.decoder.held_bytes(), self.published.len() + self.asked.len())
    }

    fn agree(&mut self, expression: Sexp) -> Result<(), PbError> {
        let dialect = match (self.is_server, expression) {
            (true, Sexp::Bytes(chosen)) => chosen,
            (false, Sexp::List(offered)) => offered
                .into_iter()
                .find_map(|offer| match offer {
                    Sexp::Bytes(offer) if is_dialect(&offer) => Some(offer),
                    _ => None,
                })
                .ok_or(PbError::Dialect)?,
            _ => return Err(PbError::Dialect),
        };
        if !is_dialect(&dialect) {
            return Err(PbError::Dialect);
        }
        if !self.is_server {
            self.encoder.bytes(&dialect);
        }
        if dialect.as_ref() == b"pb" {
            self.decoder.use_words();
            self.encoder.use_words();
        }
        self.is_agreed = true;
        self.encoder.sexp(&Sexp::List(vec![word("version"), Sexp::Int(VERSION)]));
        Ok(())
    }

    fn message(&mut self, expression: Sexp) -> Result<Option<Said<A, O>>, PbError> {
        let Sexp::List(items) = expression else { return Err(PbError::Malformed("a message is a list")) };
        let mut items = items.into_iter();
        let Some(Sexp::Bytes(verb)) = items.next() else {
            return Err(PbError::Malformed("a message begins with its verb"));
        };
        let said = match verb.as_ref() {
            b"version" => match items.next() {
                Some(Sexp::Int(VERSION)) => return Ok(None),
                _ => return Err(PbError::Version),
            },
            b"message" => Said::Call(call(items)?),
            b"answer" | b"error" => {
                let (Some(Sexp::Int(request)), Some(value)) = (items.next(), items.next()) else {
                    return Err(PbError::Malformed("an answer has a number and a value"));
                };
                let Some(asked) = self.asked.remove(request) else {
                    return Ok(Some(Said::Stray("an answer to no call")));
                };
                let value = jelly::decode(value);
                let answer = if verb.as_ref() == b"answer" { Ok(value) } else { Err(Failure::read(&value)) };
                Said::Answer { asked, answer }
            }
            b"decref" => {
                let Some(Sexp::Int(object)) = items.next() else {
                    return Err(PbError::Malformed("a decref has the number of an object"));
                };
                let Some(published) = self.published.get_mut(object) else {
                    return Ok(Some(Said::Stray("a decref of no object")));
                };
                published.count -= 1;
                if published.count > 0 {
                    return Ok(None);
                }
                self.forget(object).map_or(Said::Stray("a decref of no object"), Said::Forgotten)
            }
            // Objects that are kept in step at both ends, which neither side has, and verbs of other times.
            _ => Said::Stray("an unknown verb"),
        };
        Ok(Some(said))
    }
}

/// What of the peer's is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    /// The object that is there before all others.
    Root,
    /// One that it told of, by its number there.
    Object(i64),
}

/// Reads a call: number, object, method, whether an answer is wanted, arguments by place and by name.
fn call(mut items: impl ExactSizeIterator<Item = Sexp>) -> Result<Call, PbError> {
    const MALFORMED: PbError = PbError::Malformed("a call has seven elements");
    let mut next = || items.next().ok_or(MALFORMED);
    let (Sexp::Int(request), target, Sexp::Bytes(method), Sexp::Int(wants)) =
        (next()?, next()?, next()?, next()?)
    else {
        return Err(MALFORMED);
    };
    let target = match target {
        Sexp::Int(number) => Target::Object(number),
        Sexp::Bytes(name) if name.as_ref() == b"root" => Target::Root,
        _ => Target::Unknown,
    };
    let (args, keywords) = (jelly::decode(next()?), jelly::decode(next()?));
    let (Value::Tuple(args) | Value::List(args), Value::Dict(keywords)) = (args, keywords) else {
        return Err(PbError::Malformed("the arguments of a call are a tuple and a dictionary"));
    };
    Ok(Call { reply: Reply((wants != 0).then_some(request)), target, method, args, keywords })
}

fn is_dialect(name: &[u8]) -> bool {
    matches!(name, b"pb" | b"none")
}

fn word(word: &'static str) -> Sexp {
    Sexp::Bytes(Bytes::from_static(word.as_bytes()))
}
