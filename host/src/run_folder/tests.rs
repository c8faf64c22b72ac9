#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;

fn manifest(started: &str) -> Manifest {
    let plugin = PluginOrigin {
        kind: "policy".into(),
        name: "t5".into(),
        package: "prorl-plugin-t5".into(),
        version: "0.1.0".into(),
        sdk: "0.1.0".into(),
        file: "plugins/libt5.so".into(),
        sha256: "00".into(),
    };
    let manifest = Manifest::new(7, "data", vec![plugin]);
    Manifest { started: started.into(), ..manifest }
}

fn create(root: &Path, started: &str) -> RunFolder {
    RunFolder::create(root, "tiny", "seed = 7\n", "seed: default\n", &manifest(started)).unwrap()
}

#[test]
fn a_run_s_folder_tells_where_it_comes_from() {
    let root = tempfile::tempdir().unwrap();
    let run = create(root.path(), "2026-11-23T06-20-00");
    let name = run.path().file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("2026-11-23T06-20-00-") && name.len() == 28, "{name}");
    assert!(run.path().starts_with(root.path().join("tiny")));
    assert_eq!(run.settings().unwrap(), "seed = 7\n");
    assert_eq!(fs::read_to_string(run.path().join(ORIGINS)).unwrap(), "seed: default\n");
    assert!(run.checkpoints().is_dir() && run.tables().is_dir());
    assert_eq!(run.manifest().unwrap(), manifest("2026-11-23T06-20-00"));
    let machine = run.manifest().unwrap().machine;
    assert!(machine.processors > 0 && machine.platform.contains(std::env::consts::ARCH));
    if cfg!(unix) {
        assert!(root.path().join("tiny/latest").join(MANIFEST).is_file());
    }
}

#[test]
fn a_file_that_a_program_keeps_does_not_make_its_checkout_modified() {
    let checkout = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let git = std::process::Command::new("git").arg("-C").arg(checkout.path()).args(arguments).output().unwrap();
        assert!(git.status.success(), "{git:?}");
    };
    let [kept, other] = ["kept.jsonl", "code.rs"].map(|name| checkout.path().join(name));
    let outside = tempfile::NamedTempFile::new().unwrap();
    let modified = |kept: Option<&Path>| Git::of(checkout.path(), kept).unwrap().modified;
    git(&["init", "-q"]);
    assert_eq!(Git::of(checkout.path(), None), None);
    for file in [&kept, &other] {
        fs::write(file, "").unwrap();
    }
    git(&["add", "."]);
    for setting in ["user.name=test", "user.email=test@example.org", "commit.gpgsign=false"] {
        let (name, value) = setting.split_once('=').unwrap();
        git(&["config", name, value]);
    }
    git(&["commit", "-q", "-m", "first"]);
    assert!(!modified(None) && !modified(Some(&kept)));
    fs::write(&kept, "{}").unwrap();
    assert!(modified(None) && modified(Some(outside.path())));
    assert!(!modified(Some(&kept)) && !modified(Some(Path::new("kept.jsonl"))));
    fs::write(&other, "// more").unwrap();
    assert!(modified(Some(&kept)));
}

#[test]
fn the_time_is_fit_for_a_name() {
    let time = manifest::utc_time();
    assert_eq!(time.len(), 19);
    assert!(time.chars().all(|c| c.is_ascii_digit() || "-T".contains(c)), "{time}");
}

#[test]
fn the_latest_run_is_found_from_above() {
    let root = tempfile::tempdir().unwrap();
    drop(create(root.path(), "2026-11-23T06-20-00"));
    let latest = create(root.path(), "2026-11-24T00-00-00").path().to_owned();
    fs::create_dir(root.path().join("tiny/2027-01-01T00-00-00-unfinished")).unwrap();
    for start in [root.path(), &root.path().join("tiny"), &latest] {
        assert_eq!(RunFolder::resume(start).unwrap().path(), latest);
    }
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(RunFolder::resume(empty.path()), Err(RunFolderError::NoRun(_))));
}

#[test]
fn runs_of_the_same_second_stay_apart() {
    let root = tempfile::tempdir().unwrap();
    let one = create(root.path(), "2026-11-23T06-20-00");
    let two = create(root.path(), "2026-11-23T06-20-00");
    assert_eq!(two.path(), durable::beside(one.path(), "-2"));
}

#[test]
fn one_process_works_in_a_run() {
    let root = tempfile::tempdir().unwrap();
    let run = create(root.path(), "2026-11-23T06-20-00");
    assert!(matches!(RunFolder::resume(run.path()), Err(RunFolderError::Busy(_))));
    let seen = RunFolder::view(run.path()).unwrap();
    let path = run.path().to_owned();
    drop(run);
    let resumed = RunFolder::resume(&path).unwrap();
    resumed.record_resumption().unwrap();
    assert_eq!(seen.manifest().unwrap().resumed.len(), 1);
}

#[test]
fn without_its_records_there_is_no_run() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    let manifest = manifest("2026-11-23T06-20-00");
    let error = RunFolder::create(&file, "tiny", "", "", &manifest).unwrap_err();
    assert!(error.to_string().contains("does not start without"), "{error}");
    let path = root.path().join("run");
    fs::create_dir(&path).unwrap();
    fs::create_dir(path.join(SETTINGS)).unwrap();
    assert!(write_records(&path, &[(SETTINGS, "")], &manifest).is_err());
    assert!(!is_run(&path));
}
