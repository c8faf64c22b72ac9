//! The processes of a run and what they do together.

use crate::Result;
use crate::calls::GroupHandle;
use crate::environment::Place;
use crate::error::DistributedError;
use crate::heartbeat::Heartbeat;
use crate::store::Store;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tch::{Device, Kind, Tensor, no_grad};

/// How long a process waits for another to announce something: as long as that one lives. It is taken for dead after
/// so long without a sign.
const SILENCE: Duration = Duration::from_secs(20);
/// How long to try to reach a store that was reached before.
const STORE_PATIENCE: Duration = Duration::from_secs(10);
/// From one look to the next while waiting.
const LOOK: Duration = Duration::from_millis(20);

/// All processes of a run; clones stand for the same group.
///
/// All processes must call the same collectives in the same order. Every collective is named, for messages.
#[derive(Clone)]
pub struct ProcessGroup {
    inner: Arc<Inner>,
}

struct Inner {
    // Fields are dropped in this order: the group says goodbye while the store is still there.
    group: GroupHandle,
    heartbeat: Heartbeat,
    store: Store,
    place: Place,
}

impl ProcessGroup {
    /// Joins the processes that the environment tells of, or none where this process is alone. A collective for which
    /// another process does not come within `timeout` fails.
    ///
    /// # Errors
    /// The environment is incomplete, or the others do not come.
    pub fn from_environment(timeout: Duration) -> Result<Option<Self>> {
        Place::from_environment()?.map(|place| Self::join(place, timeout)).transpose()
    }

    /// Joins the processes of `place`.
    ///
    /// # Errors
    /// The others do not come within `timeout`.
    pub fn join(place: Place, timeout: Duration) -> Result<Self> {
        let store = Store::of(&place, timeout)?;
        let heartbeat = Heartbeat::start(&place, timeout)?;
        let joined = GroupHandle::gloo(store.handle(), place.rank, place.processes, timeout.as_millis() as i64);
        let group = joined.map_err(|reason| {
            let (rank, processes, others) = (place.rank, place.processes, heartbeat.others(&place, &store));
            DistributedError::Join { rank, processes, reason, others }
        })?;
        Ok(Self { inner: Arc::new(Inner { group, heartbeat, store, place }) })
    }

    /// Which process this is.
    pub fn place(&self) -> &Place {
        &self.inner.place
    }

    /// This process, from 0.
    pub fn rank(&self) -> usize {
        self.inner.place.rank
    }

    /// How many processes there are.
    pub fn processes(&self) -> usize {
        self.inner.place.processes
    }

    /// Makes ready for tensors on `device`: GPUs need NCCL.
    ///
    /// # Errors
    /// This build has no NCCL, or NCCL fails.
    pub fn use_device(&self, device: Device) -> Result<()> {
        match device {
            Device::Cuda(_) => self.add_nccl(),
            _ => Ok(()),
        }
    }

    #[cfg(nccl)]
    fn add_nccl(&self) -> Result<()> {
        let Inner { group, store, place, .. } = &*self.inner;
        self.named("joining over NCCL", || group.add_nccl(store.handle(), place.rank, place.processes))
    }

    #[cfg(not(nccl))]
    fn add_nccl(&self) -> Result<()> {
        Err(DistributedError::NoNccl)
    }

    /// The sum of `tensor` over all processes. // shape of `tensor`
    ///
    /// # Errors
    /// Another process is gone or does not come; so for all collectives.
    pub fn sum(&self, tensor: &Tensor, name: &str) -> Result<Tensor> {
        let sum = tensor.detach().contiguous().copy();
        self.named(name, || self.inner.group.all_reduce(&sum))?;
        Ok(sum)
    }

    /// Gives all processes the values that process 0 has in `tensors`, in place.
    ///
    /// # Errors
    /// As for [`ProcessGroup::sum`].
    pub fn broadcast(&self, tensors: &[Tensor], name: &str) -> Result<()> {
        for tensor in tensors {
            let values = tensor.detach().contiguous();
            self.named(name, || self.inner.group.broadcast(&values, 0))?;
            no_grad(|| tensor.shallow_clone().copy_(&values));
        }
        Ok(())
    }

    /// The tensors of all processes, equal in shape, by rank. // [processes, …]
    ///
    /// # Errors
    /// As for [`ProcessGroup::sum`].
    pub fn gather(&self, tensor: &Tensor, name: &str) -> Result<Tensor> {
        let kind = tensor.kind();
        // Gloo knows no truth values.
        let carried = if kind == Kind::Bool { Kind::Uint8 } else { kind };
        let own = tensor.detach().to_kind(carried).contiguous();
        let size = [&[self.processes() as i64], &own.size()[..]].concat();
        let all = Tensor::empty(&size, (carried, own.device()));
        self.named(name, || self.inner.group.all_gather(&own, &all))?;
        Ok(all.to_kind(kind))
    }

    /// Waits until all processes are here.
    ///
    /// # Errors
    /// As for [`ProcessGroup::sum`].
    pub fn barrier(&self, name: &str) -> Result<()> {
        self.named(name, || self.inner.group.barrier())
    }

    /// Leaves a note for the others; each `key` serves once.
    ///
    /// # Errors
    /// The store is gone.
    pub fn announce(&self, key: &str, value: &[u8]) -> Result<()> {
        self.inner.store.set(&noted(key), value)
    }

    /// Waits for the note that process 0 leaves under `key`, as long as that process lives: for work of unknown length,
    /// where a collective would run out of time.
    ///
    /// # Errors
    /// Process 0 is gone.
    pub fn awaited(&self, key: &str) -> Result<Vec<u8>> {
        let Inner { store, .. } = &*self.inner;
        let (mut sign, mut seen, mut looked) = (None, Instant::now(), Instant::now());
        loop {
            if let Some(value) = store.look(&noted(key))? {
                return Ok(value);
            }
            if looked.elapsed() > Duration::from_secs(1) {
                looked = Instant::now();
                if Heartbeat::has_moved(store, 0, &mut sign)? {
                    seen = Instant::now();
                }
            }
            if seen.elapsed() > SILENCE {
                return Err(self.failed(key, "process 0 announced nothing".into(), "; process 0 is gone".into()));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Leaves a note for the processes that the launcher starts in place of these, should one fail.
    ///
    /// # Errors
    /// The store is gone.
    pub fn remember(&self, key: &str, value: &[u8]) -> Result<()> {
        Store::of_all_attempts(self.place(), STORE_PATIENCE)?.set(key, value)
    }

    /// What an earlier attempt of the same launch has left under `key`: nothing where the store has ended with it.
    ///
    /// # Errors
    /// The store is gone.
    pub fn remembered(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Store::of_all_attempts(self.place(), STORE_PATIENCE)?.look(key)
    }

    /// Runs a collective under a name; where it fails, finds out who is missing.
    pub(crate) fn named(&self, name: &str, call: impl FnOnce() -> Result<(), String>) -> Result<()> {
        let Inner { heartbeat, store, place, .. } = &*self.inner;
        heartbeat.arrive(name);
        call().map_err(|reason| self.failed(name, reason, heartbeat.others(place, store)))
    }

    fn failed(&self, collective: &str, reason: String, others: String) -> DistributedError {
        let (rank, processes, collective) = (self.rank(), self.processes(), collective.to_owned());
        DistributedError::Collective { rank, processes, collective, reason, others }
    }

    pub(crate) fn handle(&self) -> &GroupHandle {
        &self.inner.group
    }
}

fn noted(key: &str) -> String {
    format!("note/{key}")
}
