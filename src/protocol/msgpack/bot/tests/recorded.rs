//! What a real worker said, said by this one.

use super::*;
use crate::protocol::{FailureReason, message::FileStat};

fn read(recording: &str) -> Value {
    rmpv::decode::read_value(&mut recorded(recording).as_slice()).unwrap()
}

/// A message as text, without its number and with times to the microsecond.
fn shown(message: &Value) -> String {
    let mut fields = message.as_map().unwrap().clone();
    fields.retain(|(key, _)| key.as_str() != Some("seq_number"));
    rendered(&Value::Map(fields))
}

/// A worker with the command that a recording is about.
fn running(message: &Value, name: &str) -> Talk {
    let file =
        [("path", "/f".into()), ("maxsize", Value::Nil), ("blocksize", 9.into()), ("mode", Value::Nil)];
    let extra = [("workdir", "/w".into()), ("command", "make".into()), ("compress", Value::Nil)];
    let arguments = file.into_iter().chain(extra).map(|(key, value)| (key.into(), value)).collect();
    Talk::with(message["command_id"].as_str().unwrap(), name, Value::Map(arguments))
}

/// Says what a recorded pair says, each line when it came.
fn retell(talk: &mut Talk, id: &str, pair: &Value) {
    let (key, value) = (pair[0].as_str().unwrap(), &pair[1]);
    let number = |value: &Value| value.as_i64().unwrap();
    let mut lines = |triple: &Value, update: &dyn Fn(Bytes) -> Update| {
        let text = triple[0].as_str().unwrap();
        for (line, time) in text.split_inclusive('\n').zip(triple[2].as_array().unwrap()) {
            let now = Now { instant: talk.begin, epoch: time.as_f64().unwrap() };
            talk.bot.say(news(id, update(Bytes::copy_from_slice(line.as_bytes()))), now);
        }
    };
    let stream = |stream| move |bytes| Update::Output { stream, bytes };
    let plain = match key {
        "stdout" => return lines(value, &stream(LogStream::Stdout)),
        "stderr" => return lines(value, &stream(LogStream::Stderr)),
        "header" => return lines(value, &stream(LogStream::Header)),
        "log" => {
            let name = value[0].as_str().unwrap();
            return lines(&value[1], &|bytes| Update::Log { name: name.into(), bytes });
        }
        "rc" => Update::Rc(number(value).try_into().unwrap()),
        "elapsed" => Update::Elapsed(Duration::from_secs_f64(value.as_f64().unwrap())),
        "failure_reason" => {
            assert_eq!(value, &"timeout_without_output".into());
            Update::FailureReason(FailureReason::TimeoutWithoutOutput)
        }
        "files" => Update::Files(
            value.as_array().unwrap().iter().map(|file| file.as_str().unwrap().into()).collect(),
        ),
        "stat" => Update::Stat(Box::new(FileStat {
            mode: value[0].as_u64().unwrap().try_into().unwrap(),
            inode: value[1].as_u64().unwrap(),
            device: value[2].as_u64().unwrap(),
            links: value[3].as_u64().unwrap(),
            uid: value[4].as_u64().unwrap().try_into().unwrap(),
            gid: value[5].as_u64().unwrap().try_into().unwrap(),
            size: value[6].as_u64().unwrap(),
            accessed_at: number(&value[7]),
            modified_at: number(&value[8]),
            changed_at: number(&value[9]),
        })),
        other => panic!("{other}"),
    };
    talk.say(news(id, plain), 0);
}

#[test]
fn news_are_told_as_a_real_worker_tells_them() {
    for recording in [
        "update_glob",
        "update_interrupted",
        "update_listdir",
        "update_log",
        "update_mkdir",
        "update_mkdir_failed",
        "update_output",
        "update_stat",
        "update_timeout",
    ] {
        let message = read(recording);
        let id = message["command_id"].as_str().unwrap().to_owned();
        let mut talk = running(&message, "shell");
        for pair in message["args"].as_array().unwrap() {
            retell(&mut talk, &id, pair);
        }
        talk.bot.tick(at(talk.begin, 1000));
        assert_eq!(shown(&talk.request().unwrap()), shown(&message), "{recording}");
    }
}

#[test]
fn ends_and_transfers_are_told_as_a_real_worker_tells_them() {
    let text = |message: &Value| message["args"].as_str().map(str::to_owned);
    let bytes = |message: &Value| Bytes::copy_from_slice(message["args"].as_slice().unwrap());
    let time = |message: &Value, name: &str| message[name].as_f64().unwrap();
    for (recording, command) in [
        ("complete", "shell"),
        ("complete_failed", "shell"),
        ("upload_write", "upload_file"),
        ("upload_close", "upload_file"),
        ("upload_utime", "upload_file"),
        ("upload_directory_write", "upload_directory"),
        ("upload_directory_unpack", "upload_directory"),
        ("read_file", "download_file"),
        ("read_file_close", "download_file"),
    ] {
        let message = read(recording);
        let id = message["command_id"].as_str().unwrap();
        let mut talk = running(&message, command);
        let said = match recording {
            "complete" | "complete_failed" => complete(id, text(&message).as_deref()),
            "upload_write" | "upload_directory_write" => moved(id, Transfer::Write(bytes(&message))),
            "upload_utime" => moved(
                id,
                Transfer::Times {
                    accessed_at: time(&message, "access_time"),
                    modified_at: time(&message, "modified_time"),
                },
            ),
            "upload_directory_unpack" => moved(id, Transfer::Unpack),
            "read_file" => moved(id, Transfer::Read { most: 16_384 }),
            _ => moved(id, Transfer::Close),
        };
        talk.say(said, 0);
        assert_eq!(shown(&talk.request().unwrap()), shown(&message), "{recording}");
    }
}

#[test]
fn answers_are_those_of_a_real_worker() {
    let start = |id: &str, name: &str| {
        vec![
            ("command_id", id.into()),
            ("command_name", name.into()),
            ("builder_name", "b1".into()),
            ("args", map([("path", "/w".into())])),
        ]
    };
    for (recording, op, fields) in [
        ("print_answer", "print", vec![("message", "attached".into())]),
        ("keepalive_answer", "keepalive", vec![]),
        ("start_answer", "start_command", start("1", "stat")),
        ("start_refused", "start_command", start("9", "rmmount")),
        ("unknown_answer", "frobnicate", vec![]),
    ] {
        let message = read(recording);
        let mut talk = Talk::new();
        let mut asked = vec![("op", op.into()), ("seq_number", message["seq_number"].clone())];
        asked.extend(fields);
        talk.hear(&Value::Map(asked.into_iter().map(|(key, value)| (key.into(), value)).collect()));
        talk.listen();
        assert_eq!(talk.answers, [message], "{recording}");
    }
}

#[test]
fn of_itself_a_worker_tells_all_that_a_master_reads_of_a_real_one() {
    let recorded = read("worker_info")["result"].clone();
    let told = Talk::new().ask("get_worker_info", vec![]).unwrap();
    let keys = |value: &Value| -> Vec<String> {
        value.as_map().unwrap().iter().map(|(key, _)| key.as_str().unwrap().to_owned()).collect()
    };
    let (of_both, ours) = (keys(&recorded), keys(&told));
    // Its other facts are files of its operator's, and the system's name.
    for name in
        ["basedir", "delete_leftover_dirs", "environ", "numcpus", "system", "version", "worker_commands"]
    {
        assert!(of_both.contains(&name.to_owned()) && ours.contains(&name.to_owned()), "{name}");
    }
    let versions = |info: &Value| {
        let mut versions = info["worker_commands"].as_map().unwrap().clone();
        versions.sort_by_key(|(name, _)| name.as_str().unwrap().to_owned());
        versions
    };
    assert_eq!(versions(&told), versions(&recorded));
}
