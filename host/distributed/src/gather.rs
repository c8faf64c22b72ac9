//! Gathering what differs in size from process to process.

use crate::Result;
use crate::group::ProcessGroup;
use tch::{Device, Kind, Tensor};

impl ProcessGroup {
    /// The rows of all processes, by rank; process `r` brings `counts[r]` of them. // [Σ counts, …]
    ///
    /// # Errors
    /// As for [`ProcessGroup::sum`].
    pub fn gather_rows(&self, rows: &Tensor, counts: &[i64], name: &str) -> Result<Tensor> {
        let most = counts.iter().copied().max().unwrap_or(0);
        let all = self.gather(&padded(rows, most), name)?; // [processes, most, …]
        let parts: Vec<Tensor> =
            counts.iter().enumerate().map(|(rank, &count)| all.get(rank as i64).narrow(0, 0, count)).collect();
        Ok(Tensor::cat(&parts, 0))
    }

    /// The bytes of all processes, by rank.
    ///
    /// # Errors
    /// As for [`ProcessGroup::sum`].
    pub fn gather_bytes(&self, bytes: &[u8], name: &str) -> Result<Vec<Vec<u8>>> {
        let sizes = self.gather(&Tensor::from(bytes.len() as i64), name)?; // [processes]
        let sizes: Vec<i64> = sizes.iter::<i64>().map(Iterator::collect).unwrap_or_default();
        let most = sizes.iter().copied().max().unwrap_or(0).max(1);
        let own = padded(&Tensor::from_slice(bytes), most);
        let all = self.gather(&own, name)?; // [processes, most]
        let taken = |(rank, &size): (usize, &i64)| {
            Vec::<u8>::try_from(all.get(rank as i64).narrow(0, 0, size).to_device(Device::Cpu)).unwrap_or_default()
        };
        Ok(sizes.iter().enumerate().map(taken).collect())
    }

    /// The numbers of all processes, by rank.
    ///
    /// # Errors
    /// As for [`ProcessGroup::sum`].
    pub fn gather_numbers(&self, numbers: &[f64], name: &str) -> Result<Vec<Vec<f64>>> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let read = |bytes: Vec<u8>| {
            let (numbers, _) = bytes.as_chunks::<8>();
            numbers.iter().map(|number| f64::from_le_bytes(*number)).collect()
        };
        Ok(self.gather_bytes(&bytes, name)?.into_iter().map(read).collect())
    }
}

/// The same rows, and zeros up to `most`. // [most, …]
fn padded(rows: &Tensor, most: i64) -> Tensor {
    let mut size = rows.size();
    size[0] = most - size[0];
    if size[0] == 0 {
        return rows.shallow_clone();
    }
    let kind = if rows.kind() == Kind::Bool { Kind::Bool } else { rows.kind() };
    Tensor::cat(&[rows.shallow_clone(), Tensor::zeros(&size, (kind, rows.device()))], 0)
}
