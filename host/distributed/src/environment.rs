//! Which process this is, as whoever started it says.

use crate::Result;
use crate::error::DistributedError;

/// A process's place among those of its run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// This process, from 0.
    pub rank: usize,
    /// The same among those of this machine: which GPU is its own.
    pub local_rank: usize,
    /// How many processes there are.
    pub processes: usize,
    /// Where the store is.
    pub master: String,
    /// Its port.
    pub port: u16,
    /// Whether the launcher runs the store; else process 0 does.
    pub agent_store: bool,
    /// How often the launcher has started the processes anew: each time they meet under other keys.
    pub attempt: u64,
}

impl Place {
    /// From RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT and TORCHELASTIC_USE_AGENT_STORE; where `srun`
    /// started the process and MASTER_ADDR is set, from SLURM_PROCID, SLURM_LOCALID and SLURM_NTASKS. None where
    /// nothing says that there is more than this process.
    ///
    /// # Errors
    /// A variable is absent or no number, or the rank is not below the number of processes.
    pub fn from_environment() -> Result<Option<Self>> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(read: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let variables = Variables(&read);
        let by_slurm = read("RANK").is_none() && read("SLURM_STEP_ID").is_some() && read("MASTER_ADDR").is_some();
        let [rank, local_rank, processes] = match (read("RANK").is_some(), by_slurm) {
            (true, _) => ["RANK", "LOCAL_RANK", "WORLD_SIZE"],
            (false, true) => ["SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS"],
            (false, false) => return Ok(None),
        };
        let (own, count) = (variables.number(rank)?, variables.number(processes)?);
        if own >= count {
            let problem = format!("is {own}, but should be below {processes}, which is {count}");
            return Err(DistributedError::Environment { variable: rank, problem });
        }
        if count == 1 {
            return Ok(None);
        }
        Ok(Some(Self {
            rank: own,
            local_rank: variables.number_or(local_rank, own)?,
            processes: count,
            master: variables.text("MASTER_ADDR")?,
            port: variables.number("MASTER_PORT")?,
            agent_store: read("TORCHELASTIC_USE_AGENT_STORE").is_some_and(|it| it.eq_ignore_ascii_case("true")),
            attempt: variables.number_or("TORCHELASTIC_RESTART_COUNT", 0)?,
        }))
    }

    /// Host and port of the store.
    pub fn address(&self) -> String {
        format!("{}:{}", self.master, self.port)
    }
}

struct Variables<'a, R>(&'a R);

impl<R: Fn(&str) -> Option<String>> Variables<'_, R> {
    fn text(&self, variable: &'static str) -> Result<String> {
        let value = (self.0)(variable).filter(|value| !value.is_empty());
        value.ok_or_else(|| DistributedError::Environment { variable, problem: "is not set".into() })
    }

    fn number<T: std::str::FromStr>(&self, variable: &'static str) -> Result<T> {
        let text = self.text(variable)?;
        let problem = || format!("is `{text}`, but should be a number");
        text.trim().parse().map_err(|_| DistributedError::Environment { variable, problem: problem() })
    }

    fn number_or<T: std::str::FromStr>(&self, variable: &'static str, default: T) -> Result<T> {
        if (self.0)(variable).is_none() { Ok(default) } else { self.number(variable) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Option<Place>> {
        Place::from_variables(|name| variables.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned()))
    }

    const TORCHRUN: [(&str, &str); 6] = [
        ("RANK", "3"),
        ("LOCAL_RANK", "1"),
        ("WORLD_SIZE", "4"),
        ("MASTER_ADDR", "node-0"),
        ("MASTER_PORT", "29500"),
        ("TORCHELASTIC_USE_AGENT_STORE", "True"),
    ];

    #[test]
    fn torchrun_says_all() {
        let place = of(&TORCHRUN).unwrap().unwrap();
        assert_eq!((place.rank, place.local_rank, place.processes), (3, 1, 4));
        assert_eq!((place.address().as_str(), place.agent_store, place.attempt), ("node-0:29500", true, 0));
    }

    #[test]
    fn slurm_says_the_rest_where_an_address_is_set() {
        let step = [("SLURM_STEP_ID", "0"), ("SLURM_PROCID", "1"), ("SLURM_LOCALID", "0"), ("SLURM_NTASKS", "2")];
        assert_eq!(of(&step).unwrap(), None);
        let meeting = [("MASTER_ADDR", "a"), ("MASTER_PORT", "1")];
        let place = of(&[&step[..], &meeting].concat()).unwrap().unwrap();
        assert_eq!((place.rank, place.processes, place.agent_store), (1, 2, false));
    }

    #[test]
    fn one_process_needs_no_group() {
        assert_eq!(of(&[]).unwrap(), None);
        assert_eq!(of(&[("RANK", "0"), ("WORLD_SIZE", "1")]).unwrap(), None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let problem = |variables: &[(&str, &str)]| of(variables).unwrap_err().to_string();
        assert!(problem(&TORCHRUN[..4]).contains("MASTER_PORT is not set"));
        assert!(problem(&[("RANK", "x")]).contains("RANK is `x`"));
        assert!(problem(&[("RANK", "2"), ("WORLD_SIZE", "2")]).contains("below WORLD_SIZE, which is 2"));
    }
}
