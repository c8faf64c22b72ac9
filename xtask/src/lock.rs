//! One set-up at a time.

use anyhow::{Context, Result};
use std::fs::{File, TryLockError};
use std::path::Path;
use std::process::Stdio;

/// An exclusive hold on a file. The system releases it when the last process that has it open ends,
/// however it ends; the file itself stays.
pub struct Lock(File);

impl Lock {
    /// Takes the lock, waiting for another process where there is one.
    ///
    /// # Errors
    /// The file cannot be made, or its file system has no locks.
    pub fn take(path: &Path) -> Result<Self> {
        let shown = path.display();
        let open = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let file = open.with_context(|| format!("cannot open the lock {shown}"))?;
        let taken = match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                println!("waiting for another set-up, which holds {shown} …");
                file.lock()
            }
            Err(TryLockError::Error(error)) => Err(error),
            Ok(()) => Ok(()),
        };
        taken.with_context(|| format!("cannot lock {shown}"))?;
        Ok(Self(file))
    }

    /// The hold as a child's standard input: should this process be killed, the lock lasts until
    /// the child has ended too, so that nothing is read that it still writes.
    ///
    /// # Errors
    /// The process has no file handle left.
    pub fn shared(&self) -> Result<Stdio> {
        Ok(self.0.try_clone().context("cannot share the lock with a child")?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_child_keeps_the_lock_after_its_parent() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("lock");
        let lock = Lock::take(&path)?;
        let mut child = Command::new("sleep").arg("5").stdin(lock.shared()?).spawn()?;
        drop(lock);
        let other = File::open(&path)?;
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        child.kill()?;
        child.wait()?;
        Lock::take(&path)?;
        Ok(())
    }
}
