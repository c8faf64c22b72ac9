//! `--nproc N`: starts this program as N processes of one machine, and ends all of them when one fails.

use crate::progress;
use anyhow::{Context, Result};
use prorl_distributed::Store;
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use thiserror::Error;

/// Set in the processes that a launcher has started.
const MARK: &str = "PRORL_LAUNCHED";
/// How long the others may take to end by themselves, and to say what they miss, once one has failed.
const GRACE: Duration = Duration::from_secs(12);
/// From a request to end to the end by force.
const PATIENCE: Duration = Duration::from_secs(5);
/// From one look at the processes to the next.
const LOOK: Duration = Duration::from_millis(50);

/// Processes were started and one of them failed.
#[derive(Debug, Error)]
#[error("process {rank} of {processes} {how}; the others were ended")]
pub struct Failure {
    rank: usize,
    processes: usize,
    how: String,
    /// The exit code of the process that failed first.
    pub code: u8,
}

/// Whether a launcher has started this process. It then ends when its launcher does.
pub fn is_launched() -> bool {
    let launched = std::env::var_os(MARK).is_some();
    if launched && let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        log::debug!("this process will outlive its launcher: {error}");
    }
    launched
}

/// Runs `processes` processes with this process's own arguments, to their end.
///
/// # Errors
/// A process cannot be started; the first that failed.
pub fn launch(processes: usize) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("listening for signals")?;
    let store = Store::serve("127.0.0.1")?;
    let mut members = Vec::new();
    for rank in 0..processes {
        match Member::start(rank, processes, store.port()) {
            Ok(member) => members.push(member),
            Err(error) => {
                end(&mut members, Signal::KILL);
                return Err(error);
            }
        }
    }
    let failure = watch(&mut members, &mut signals);
    for member in &mut members {
        member.finish_output();
    }
    failure.map_or(Ok(()), |failure| Err(failure.into()))
}

/// A process of the run.
struct Member {
    rank: usize,
    child: Child,
    status: Option<ExitStatus>,
    output: Vec<JoinHandle<()>>,
}

impl Member {
    fn start(rank: usize, processes: usize, port: u16) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("finding this program")?);
        command.args(std::env::args_os().skip(1)).env(MARK, "1").env("RANK", rank.to_string());
        command.env("LOCAL_RANK", rank.to_string()).env("WORLD_SIZE", processes.to_string());
        command.env("MASTER_ADDR", "127.0.0.1").env("MASTER_PORT", port.to_string());
        command.env("TORCHELASTIC_USE_AGENT_STORE", "True").env_remove("TORCHELASTIC_RESTART_COUNT");
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        for (name, value) in [
            ("GLOO_SOCKET_IFNAME", "lo".to_owned()), // all are on this machine
            ("OMP_NUM_THREADS", (cores / processes).max(1).to_string()),
            ("OMP_WAIT_POLICY", "passive".to_owned()),
        ] {
            if std::env::var_os(name).is_none() {
                command.env(name, value);
            }
        }
        // A group of its own: the terminal's interrupt reaches the launcher alone, which hands it on once.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().with_context(|| format!("starting process {rank}"))?;
        let mut output = Vec::new();
        output.extend(child.stdout.take().map(|from| prefixed(rank, from, println_quietly)));
        output.extend(child.stderr.take().map(|from| prefixed(rank, from, progress::print_line)));
        Ok(Self { rank, child, status: None, output })
    }

    /// Whether it still runs.
    fn runs(&mut self) -> bool {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status.is_none()
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let (None, Some(pid)) = (self.status, pid) {
            // It may have ended meanwhile, which is what is wanted.
            let _ = kill_process(pid, signal);
        }
    }

    /// How it failed, if it has.
    fn failure(&self, processes: usize) -> Option<Failure> {
        let status = self.status.filter(|status| !status.success())?;
        let (how, code) = match (status.code(), status.signal()) {
            (Some(code), _) => (format!("failed with exit code {code}"), u8::try_from(code).unwrap_or(1)),
            (None, signal) => {
                let signal = signal.unwrap_or_default();
                (format!("was killed by signal {signal}"), u8::try_from(128 + signal).unwrap_or(1))
            }
        };
        Some(Failure { rank: self.rank, processes, how, code })
    }

    fn finish_output(&mut self) {
        for thread in self.output.drain(..) {
            let _ = thread.join(); // what could not be printed is lost
        }
    }
}

/// Waits for all; gives the first failure.
fn watch(members: &mut [Member], signals: &mut Signals) -> Option<Failure> {
    let (processes, mut first): (usize, Option<Failure>) = (members.len(), None);
    let mut deadline: Option<Instant> = None;
    loop {
        for signal in signals.pending() {
            let handed_on = if signal == SIGINT { Signal::INT } else { Signal::TERM };
            members.iter().for_each(|member| member.signal(handed_on));
            deadline.get_or_insert_with(|| Instant::now() + GRACE);
        }
        let running = members.iter_mut().filter_map(|member| member.runs().then_some(())).count();
        if first.is_none() {
            first = members.iter().find_map(|member| member.failure(processes));
            if first.is_some() {
                deadline = Some(Instant::now() + GRACE);
            }
        }
        if running == 0 {
            return first;
        }
        if deadline.is_some_and(|deadline| Instant::now() > deadline) {
            end(members, Signal::TERM);
            return first;
        }
        std::thread::sleep(LOOK);
    }
}

/// Ends all that still run, by force if they do not heed `signal`.
fn end(members: &mut [Member], signal: Signal) {
    members.iter().for_each(|member| member.signal(signal));
    let started = Instant::now();
    while members.iter_mut().any(Member::runs) && started.elapsed() < PATIENCE {
        std::thread::sleep(LOOK);
    }
    for member in members {
        member.signal(Signal::KILL);
        member.status = member.status.or_else(|| member.child.wait().ok());
    }
}

/// Prints the lines of a process, each with its rank in front.
fn prefixed(rank: usize, from: impl Read + Send + 'static, print: fn(&str)) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(from);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            print(&format!("[{rank}] {}", String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r'])));
            line.clear();
        }
    })
}

/// A closed standard output is no reason to stop a run.
fn println_quietly(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
