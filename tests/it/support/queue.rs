//! A master whose queue a test looks at: what was asked for, what became of it, and where.
//!
//! # Laws
//! - That a request does *not* begin is told by a later one of another builder that was served meanwhile: each look at the queue
//!   looks at all of it.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::master::{HEAD, MasterDir, Process, eventually, is_alive, touch};

/// Steps: `stays` runs until the test lets it go, no longer than its folder is there, and `quick` ends at once. A function that
/// makes a builder with one of them.
const PRELUDE: &str = r#"local stays = steps.ShellCommand { name = 'stays', command = util.Interpolate [[echo $$ > here-%(prop:buildnumber)s; while [ -d "$PWD" ] && [ ! -e go-%(prop:buildnumber)s ]; do sleep 0.05; done]] }
local quick = steps.ShellCommand { name = 'quick', command = 'true' }
local names = {}
local function build(name, on, step, options)
  options = options or {}
  options.name, options.workernames, options.collapseRequests = name, on, false
  options.factory = util.BuildFactory { step }
  table.insert(names, name)
  table.insert(c.builders, util.BuilderConfig(options))
end
"#;

/// A configuration that makes its builders by `build(name, workers, step, options)`. All of them can be forced.
pub(crate) fn config(body: &str) -> String {
    format!("{HEAD}{PRELUDE}{body}\nc.schedulers = {{ schedulers.ForceScheduler('force', names) }}\n")
}

/// The line of a configuration on which this stands, as `master.cfg.lua:12`.
pub(crate) fn line_of(config: &str, text: &str) -> String {
    let line = config.lines().position(|line| line.contains(text)).unwrap_or_else(|| panic!("no {text}"));
    format!("master.cfg.lua:{}", line + 1)
}

/// A master that runs.
pub(crate) struct Queue {
    pub(crate) dir: MasterDir,
    pub(crate) master: Process,
}

impl Queue {
    /// With this configuration; these of its workers are attached.
    pub(crate) fn of(config: &str, workers: &[&str]) -> Self {
        Self::with(config, &[], workers)
    }

    /// The same, started with options.
    pub(crate) fn with(config: &str, options: &[&str], workers: &[&str]) -> Self {
        let dir = MasterDir::new(config);
        let mut master = dir.spawn("start", options);
        master.wait_for_stderr("BuildMaster is running");
        for worker in workers {
            dir.wait_attached(worker);
        }
        Self { dir, master }
    }

    /// Asks for a build with these properties; the request.
    pub(crate) fn force(&self, builder: &str, properties: &[&str]) -> i64 {
        let options: Vec<&str> = properties.iter().flat_map(|property| ["-p", *property]).collect();
        let answer = self.dir.json("force", &[&[builder], options.as_slice()].concat());
        answer["buildrequestid"].as_i64().unwrap_or_else(|| panic!("{answer}"))
    }

    /// Asks for a build, and waits for its good end; the build.
    pub(crate) fn serve(&self, builder: &str) -> Value {
        let request = self.force(builder, &[]);
        assert_eq!(self.ended(request)["results"], 0, "{builder}");
        self.build(request).unwrap()
    }

    /// What is shown of a request.
    pub(crate) fn request(&self, request: i64) -> Value {
        self.dir.read(&format!("/api/v2/buildrequests/{request}"))["buildrequests"][0].take()
    }

    /// Whether a request waits for its first build.
    pub(crate) fn waits(&self, request: i64) -> bool {
        self.request(request)["complete"] == false && self.build(request).is_none()
    }

    /// The newest build of a request, if it has one.
    pub(crate) fn build(&self, request: i64) -> Option<Value> {
        let mut found =
            self.dir.read(&format!("/api/v2/builds?buildrequestid={request}&order=-buildid&limit=1"));
        found["builds"].as_array_mut()?.pop()
    }

    /// All builds in the order in which they began.
    pub(crate) fn builds(&self) -> Vec<Value> {
        self.dir.read("/api/v2/builds?order=buildid")["builds"].as_array().unwrap().clone()
    }

    /// A property of all builds, in the order in which they began.
    pub(crate) fn told(&self, property: &str) -> Vec<String> {
        self.builds().iter().map(|build| self::property(build, property)).collect()
    }

    /// Waits until a request is complete; what is shown of it.
    pub(crate) fn ended(&self, request: i64) -> Value {
        eventually(&format!("the end of request {request}"), || {
            Some(self.request(request)).filter(|row| row["complete"] == true)
        })
    }

    /// Waits until the command of `stays` runs for a request; the build and the command's process.
    pub(crate) fn runs(&self, request: i64) -> (Value, String) {
        eventually(&format!("the command of request {request}"), || {
            let build = self.build(request).filter(|build| build["complete"] == false)?;
            let here = folder(&build).join(format!("here-{}", build["number"]));
            let pid = std::fs::read_to_string(here).ok().filter(|pid| pid.ends_with('\n'))?;
            is_alive(&pid).then_some((build, pid))
        })
    }

    /// Lets the command of a request go, and waits for the good end of its build; the build.
    pub(crate) fn finish(&self, request: i64) -> Value {
        let (build, _) = self.runs(request);
        touch(&folder(&build).join(format!("go-{}", build["number"])));
        assert_eq!(self.ended(request)["results"], 0, "request {request}");
        build
    }

    /// Cancels a request, or stops its build.
    pub(crate) fn cancel(&self, request: i64) {
        let answer =
            self.dir.post(&format!("/api/v2/buildrequests/{request}"), "cancel", r#"{"reason": "enough"}"#);
        assert!(answer.contains(r#""result":null"#), "{answer}");
    }
}

/// The folder in which the commands of a build run.
pub(crate) fn folder(build: &Value) -> PathBuf {
    PathBuf::from(property(build, "builddir")).join("build")
}

/// A property of a build, as text.
pub(crate) fn property(build: &Value, name: &str) -> String {
    build["properties"][name]["value"].as_str().unwrap_or_else(|| panic!("{build}")).to_owned()
}

/// The name of the worker of a build.
pub(crate) fn worker(build: &Value) -> String {
    property(build, "workername")
}
