//! A real group of real processes over Gloo: this test's binary starts itself as every member.
#![allow(clippy::unwrap_used, clippy::panic)]

use prorl_distributed::{Place, ProcessGroup, Reducer, Store};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tch::{Kind, Tensor};

/// Set in the processes that a test starts.
const PART: &str = "PRORL_TEST_PART";

fn start(part: &str, processes: usize, port: u16) -> Vec<Child> {
    let member = |rank: usize| {
        Command::new(std::env::current_exe().unwrap())
            .args(["a_member", "--exact", "--nocapture", "--ignored"])
            .env(PART, part)
            .env("RANK", rank.to_string())
            .env("WORLD_SIZE", processes.to_string())
            .env("MASTER_ADDR", "127.0.0.1")
            .env("MASTER_PORT", port.to_string())
            .env("TORCHELASTIC_USE_AGENT_STORE", "True")
            .env("GLOO_SOCKET_IFNAME", "lo")
            .env("OMP_NUM_THREADS", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    (0..processes).map(member).collect()
}

fn text(child: Child) -> (bool, String) {
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

fn together(part: &str, processes: usize) {
    let store = Store::serve("127.0.0.1").unwrap();
    for (rank, child) in start(part, processes, store.port()).into_iter().enumerate() {
        let (well, said) = text(child);
        assert!(well, "process {rank}: {said}");
    }
}

#[test]
fn collectives_agree() {
    together("collectives", 3);
}

#[test]
fn gradients_are_those_of_all() {
    together("gradients", 2);
}

#[test]
fn a_killed_process_is_named_with_the_collective() {
    let store = Store::serve("127.0.0.1").unwrap();
    let mut members = start("killed", 3, store.port());
    let started = Instant::now();
    members[1].wait().unwrap();
    for rank in [2, 0] {
        let (well, said) = text(members.remove(rank));
        assert!(!well && said.contains("process 1 is gone"), "process {rank}: {said}");
        assert!(said.contains("the collective `second sum` failed"), "process {rank}: {said}");
    }
    assert!(started.elapsed() < Duration::from_secs(25), "{:?}", started.elapsed());
}

#[test]
fn an_absent_process_is_named() {
    let store = Store::serve("127.0.0.1").unwrap();
    let mut members = start("late", 2, store.port());
    let (well, said) = text(members.remove(0));
    assert!(!well && said.contains("process 1 has not come: it is after `first sum`"), "{said}");
    members[0].kill().unwrap();
    members[0].wait().unwrap();
}

/// What a process that a test has started does.
#[test]
#[ignore = "a test starts it"]
fn a_member() {
    let Ok(part) = std::env::var(PART) else { return };
    let timeout = Duration::from_secs(if part == "late" { 3 } else { 20 });
    let group = ProcessGroup::from_environment(timeout).unwrap().unwrap();
    match part.as_str() {
        "collectives" => collectives(&group),
        "gradients" => gradients(&group),
        "killed" | "late" => {
            let one = Tensor::from(1.0);
            drop(group.sum(&one, "first sum").unwrap());
            match (part.as_str(), group.rank()) {
                ("killed", 1) => std::process::abort(),
                ("late", 1) => std::thread::sleep(Duration::from_secs(60)),
                _ => drop(group.sum(&one, "second sum").unwrap_or_else(|error| panic!("{error}"))),
            }
        }
        other => panic!("no part {other}"),
    }
}

/// What can be seen of NCCL with one GPU.
#[test]
#[ignore = "needs a GPU"]
fn one_process_over_nccl() {
    let store = Store::serve("127.0.0.1").unwrap();
    let place = Place {
        rank: 0,
        local_rank: 0,
        processes: 1,
        master: "127.0.0.1".into(),
        port: store.port(),
        agent_store: true,
        attempt: 0,
    };
    let group = ProcessGroup::join(place, Duration::from_secs(60)).unwrap();
    let device = tch::Device::Cuda(0);
    group.use_device(device).unwrap();
    let own = Tensor::from_slice(&[2.0, 3.0]).to_device(device);
    assert_eq!(group.sum(&own, "sum").unwrap(), own);
    assert_eq!(group.gather(&own, "gather").unwrap(), own.unsqueeze(0));
    let x = Tensor::ones([3], (Kind::Float, device)).set_requires_grad(true);
    let mut reducer = Reducer::new(&group, &[x.shallow_clone()]).unwrap();
    reducer.backward(&(&x * 2.0).sum(Kind::Float)).unwrap();
    assert_eq!(Vec::<f32>::try_from(x.grad()).unwrap(), [2.0; 3]);
}

fn collectives(group: &ProcessGroup) {
    let (rank, own) = (group.rank(), Tensor::from_slice(&[group.rank() as f64, 1.0]));
    assert_eq!(group.sum(&own, "sum").unwrap(), Tensor::from_slice(&[3.0, 3.0]));
    assert_eq!(own, Tensor::from_slice(&[rank as f64, 1.0]), "the own tensor stays");
    let values = Tensor::from_slice(&[rank as i64 + 7]);
    group.broadcast(&[values.shallow_clone()], "broadcast").unwrap();
    assert_eq!(values, Tensor::from_slice(&[7_i64]));
    let rows = Tensor::from_slice(&vec![rank % 2 == 0; rank]).view([-1, 1]); // 0, 1 and 2 rows
    let all = group.gather_rows(&rows, &[0, 1, 2], "rows").unwrap();
    assert_eq!(all, Tensor::from_slice(&[false, true, true]).view([3, 1]));
    let bytes = group.gather_bytes(&b"abc"[..rank], "bytes").unwrap();
    assert_eq!(bytes, [b"".to_vec(), b"a".to_vec(), b"ab".to_vec()]);
    assert_eq!(group.gather_numbers(&[0.1], "numbers").unwrap(), [[0.1], [0.1], [0.1]]);
    group.barrier("barrier").unwrap();
    match rank {
        0 => group.announce("done", b"well").unwrap(),
        _ => assert_eq!(group.awaited("done").unwrap(), b"well"),
    }
    assert_eq!(Place::from_environment().unwrap().unwrap(), *group.place());
    group.barrier("end").unwrap(); // the notes are read before anyone leaves
}

/// `Σ_r (r + 1)·(x + 2x)` by two parts, `y` reached by process 1 alone, `z` by none.
fn gradients(group: &ProcessGroup) {
    let leaf = |size: i64| Tensor::ones([size], (Kind::Float, tch::Device::Cpu)).set_requires_grad(true);
    let (x, y, z) = (leaf(3), leaf(2), leaf(1));
    let mut reducer = Reducer::new(group, &[x.shallow_clone(), y.shallow_clone(), z.shallow_clone()]).unwrap();
    let weight = group.rank() as f64 + 1.0;
    for _ in 0..3 {
        for mut parameter in [x.shallow_clone(), y.shallow_clone()] {
            parameter.zero_grad();
        }
        reducer.accumulate(&(&x * weight).sum(Kind::Float)).unwrap();
        let mut last = (&x * weight * 2.0).sum(Kind::Float);
        if group.rank() == 1 {
            last += (&y * 5.0).sum(Kind::Float);
        }
        reducer.backward(&last).unwrap();
        let values = |tensor: &Tensor| Vec::<f32>::try_from(tensor.grad()).unwrap();
        assert_eq!(values(&x), [4.5; 3]);
        assert_eq!(values(&y), [2.5; 2]);
        assert!(!z.grad().defined());
    }
}
