//! Who is told what, and by which way: mail.
//!
//! # Laws
//! - It alone knows how a mail is written (lettre) and the language of the operator's texts (minijinja).
//! - No text of an operator or of a worker adds a header to a mail, or a command to a conversation.
//! - A text that is broken does not swallow the news: it is told in words of our own, with what is wrong.
//!
//! # Not here
//! What the operator may write (`definition::reporter`), and how a connection is protected (`net`).

pub mod mail;
