//! Who is told what, and by which way: mail.
//!
//! [`watch`] looks who is [missing], decides [to whom](digest) that is told, has it [written](mod@write) into the outbox, from which
//! [`outbox`] sends it as [`mail`].
//!
//! # Laws
//! - It alone knows how a mail is written (lettre) and the language of the operator's texts (minijinja).
//! - No text of an operator or of a worker adds a header to a mail, or a command to a conversation.
//! - A text that is broken does not swallow the news: it is told in words of our own, with what is wrong.
//! - What was decided is in the store before it is sent; a restart of the master neither loses nor repeats it.
//!
//! # Not here
//! What the operator may write (`definition::reporter`), and how a connection is protected (`net`).

pub mod builds;
pub mod digest;
pub mod ended;
pub mod mail;
pub mod missing;
pub mod outbox;
pub mod people;
pub mod watch;
pub mod write;
