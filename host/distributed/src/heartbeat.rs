//! Who is still there: every process writes into the store, every second, how often it has done so and which collective
//! it has come to. When a collective breaks off, the others' notes tell who is gone and who has not come.

use crate::Result;
use crate::environment::Place;
use crate::store::Store;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// From one note to the next.
const BEAT: Duration = Duration::from_secs(1);
/// Whoever has written nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(4);

/// How far a process has come: the number and name of its latest collective.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    count: u64,
    name: String,
}

/// Writes this process's notes until it is dropped.
pub struct Heartbeat {
    standing: Arc<Mutex<Standing>>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Heartbeat {
    /// Starts over a connection of its own, for a store serves one call of a connection at a time.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub fn start(place: &Place, timeout: Duration) -> Result<Self> {
        let store = Store::again(place, timeout)?;
        let standing = Arc::new(Mutex::new(Standing::default()));
        let (stop, stopped) = channel();
        let (shared, key) = (standing.clone(), key(place.rank));
        store.set(&key, b"0 0 the start")?;
        let thread = std::thread::spawn(move || {
            for beat in 1_u64.. {
                if stopped.recv_timeout(BEAT) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                let Standing { count, name } = shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if store.set(&key, format!("{beat} {count} {name}").as_bytes()).is_err() {
                    return; // the store is gone; the next collective says so
                }
            }
        });
        Ok(Self { standing, stop: Some(stop), thread: Some(thread) })
    }

    /// Notes that this process has come to the collective `name`.
    pub fn arrive(&self, name: &str) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        standing.count += 1;
        name.clone_into(&mut standing.name);
    }

    /// Watches the others for some seconds, and says who is gone or has not come to this process's collective. Empty
    /// where nothing can be said.
    pub fn others(&self, place: &Place, store: &Store) -> String {
        let own = self.standing.lock().unwrap_or_else(PoisonError::into_inner).count;
        let ranks: Vec<usize> = (0..place.processes).filter(|&rank| rank != place.rank).collect();
        let notes = || ranks.iter().map(|&rank| store.look(&key(rank))).collect::<Result<Vec<_>>>();
        let gone = || match place.agent_store {
            true => "; the launcher, which keeps the processes' store, is gone".to_owned(),
            false => "; process 0, which keeps the processes' store, is gone".to_owned(),
        };
        let Ok(before) = notes() else { return gone() };
        std::thread::sleep(SILENCE);
        let Ok(after) = notes() else { return gone() };
        let mut said = String::new();
        for (rank, (before, after)) in ranks.iter().zip(before.iter().zip(&after)) {
            let note = after.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            let mut words = note.splitn(3, ' ').skip(1);
            let count: u64 = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
            let last = words.next().unwrap_or_default();
            if before == after {
                said += &format!("; process {rank} is gone");
            } else if count < own {
                said += &format!("; process {rank} has not come: it is after `{last}`");
            }
        }
        said
    }

    /// Whether process `rank` has written a note since `last`, which is brought up to date.
    ///
    /// # Errors
    /// The store is gone.
    pub fn has_moved(store: &Store, rank: usize, last: &mut Option<Vec<u8>>) -> Result<bool> {
        let note = store.look(&key(rank))?;
        let moved = note != *last;
        *last = note;
        Ok(moved)
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has written its last note; nothing else depends on it.
            let _ = thread.join();
        }
    }
}

fn key(rank: usize) -> String {
    format!("alive/{rank}")
}
