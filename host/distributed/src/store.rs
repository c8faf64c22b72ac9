//! The store in which processes meet and leave each other notes.

use crate::Result;
use crate::calls::StoreHandle;
use crate::environment::Place;
use crate::error::DistributedError;
use std::time::Duration;

/// A key-value server on TCP, or a connection to one.
pub struct Store {
    handle: StoreHandle,
    host: String,
    port: u16,
}

impl Store {
    /// Serves a store on a free port of this machine; it ends with this value.
    ///
    /// # Errors
    /// No port can be listened to.
    pub fn serve(host: &str) -> Result<Self> {
        Self::open(host, 0, true, Duration::from_secs(10), "")
    }

    /// The store of a run's processes, in which every attempt has keys of its own. Process 0 serves it where no launcher
    /// does.
    ///
    /// # Errors
    /// It cannot be reached within `timeout`.
    pub fn of(place: &Place, timeout: Duration) -> Result<Self> {
        let serve = place.rank == 0 && !place.agent_store;
        Self::open(&place.master, place.port, serve, timeout, &prefix(place))
    }

    /// One more connection to the same store.
    ///
    /// # Errors
    /// It cannot be reached within `timeout`.
    pub fn again(place: &Place, timeout: Duration) -> Result<Self> {
        Self::open(&place.master, place.port, false, timeout, &prefix(place))
    }

    /// The same store under keys that all attempts share: what a launcher's store keeps when it starts the processes anew.
    ///
    /// # Errors
    /// It cannot be reached within `timeout`.
    pub fn of_all_attempts(place: &Place, timeout: Duration) -> Result<Self> {
        Self::open(&place.master, place.port, false, timeout, "prorl/launch")
    }

    fn open(host: &str, port: u16, serve: bool, timeout: Duration, prefix: &str) -> Result<Self> {
        let opened = StoreHandle::open(host, port, serve, timeout.as_millis() as i64, prefix);
        let call = if serve { "serve" } else { "reach" };
        let address = format!("{host}:{port}");
        let (handle, port) = opened.map_err(|reason| DistributedError::Store { call, address, reason })?;
        Ok(Self { handle, host: host.to_owned(), port })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sets `key`.
    ///
    /// # Errors
    /// The server is gone.
    pub fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        self.handle.set(key, value).map_err(self.failed("write to"))
    }

    /// The value of `key`, if it is set.
    ///
    /// # Errors
    /// The server is gone.
    pub fn look(&self, key: &str) -> Result<Option<Vec<u8>>> {
        if !self.handle.check(key).map_err(self.failed("read"))? {
            return Ok(None);
        }
        self.handle.get(key, 10_000).map(Some).map_err(self.failed("read"))
    }

    fn failed(&self, call: &'static str) -> impl Fn(String) -> DistributedError {
        let address = format!("{}:{}", self.host, self.port);
        move |reason| DistributedError::Store { call, address: address.clone(), reason }
    }

    pub(crate) fn handle(&self) -> &StoreHandle {
        &self.handle
    }
}

fn prefix(place: &Place) -> String {
    format!("prorl/{}", place.attempt)
}
