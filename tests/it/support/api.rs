//! What tests say to a master that runs: its API over its socket, and what an operator orders.

use serde_json::Value;

use crate::support::master::{MasterDir, PATIENCE, eventually};

impl MasterDir {
    /// Calls a JSON-RPC method over the socket, as a program without a client library would; the whole answer.
    pub(crate) fn post(&self, path: &str, method: &str, params: &str) -> String {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        self.http(
            &format!(
                "POST {path} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {}",
                body.len()
            ),
            &body,
        )
    }

    /// What `workers` shows of a worker, as JSON; null if it does not show it.
    pub(crate) fn worker(&self, name: &str) -> Value {
        let all = self.json("workers", &[]);
        all["workers"].as_array().unwrap().iter().find(|row| row["name"] == name).cloned().unwrap_or_default()
    }

    /// Orders something of a worker, which must be obeyed; what is said of it.
    pub(crate) fn order(&self, deed: &str, worker: &str, arguments: &[&str]) -> String {
        let output = self.run("worker", &[&[deed, worker], arguments].concat());
        assert!(output.status.success(), "{deed}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a path of the API answers.
    pub(crate) fn read(&self, path: &str) -> Value {
        let answer = self.get(path);
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{path}: {error}: {answer}"))
    }

    /// Puts another configuration in the place of this one, which the master must take.
    pub(crate) fn reload(&self, config: &str) {
        std::fs::write(self.file("master.cfg.lua"), config).unwrap();
        let output = self.run("reconfig", &[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Waits until a worker is attached.
    pub(crate) fn wait_attached(&self, name: &str) {
        eventually(&format!("worker {name} to attach"), || {
            self.worker(name)["connected_to"].as_array().is_some_and(|links| !links.is_empty()).then_some(())
        });
    }

    /// Reads a path over the socket; the whole answer.
    pub(crate) fn get(&self, path: &str) -> String {
        self.http(&format!("GET {path} HTTP/1.1"), "")
    }

    fn http(&self, head: &str, body: &str) -> String {
        use std::io::{Read as _, Write as _};
        let mut socket = std::os::unix::net::UnixStream::connect(self.file("lunabot.sock")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(socket, "{head}\r\nHost: lunabot\r\nConnection: close\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }
}
