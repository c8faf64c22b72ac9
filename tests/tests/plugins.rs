//! The commands around plugins, over the real binary: check, install, search path; and files that no host should trust.
#![allow(clippy::unwrap_used)]

use prorl_tests::{built, host, text};
use std::path::{Path, PathBuf};
use std::process::Command;

fn library(name: &str) -> PathBuf {
    built().join(format!("libprorl_plugin_{name}.so"))
}

/// Runs the host on `arguments` and a path.
fn run(home: &Path, arguments: &[&str], path: &Path) -> (Option<i32>, String) {
    let output = host(home, arguments).arg(path).output().unwrap();
    (output.status.code(), text(&output))
}

/// A copy of a plugin, changed.
fn changed(home: &Path, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
    let mut bytes = std::fs::read(library("rloo")).unwrap();
    change(&mut bytes);
    let path = home.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Where the hello record begins: its magic bytes also stand in the code that compares them.
fn hello(bytes: &[u8]) -> Vec<usize> {
    let magic = b"PRORLPLG";
    bytes.windows(magic.len()).enumerate().filter(|(_, window)| window == magic).map(|(at, _)| at).collect()
}

/// Writes a number into every record that may be the hello.
fn with_number(bytes: &mut [u8], offset: usize, number: u32) {
    for at in hello(bytes) {
        bytes[at + offset..at + offset + 4].copy_from_slice(&number.to_le_bytes());
    }
}

fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let found: Vec<usize> =
        bytes.windows(from.len()).enumerate().filter(|(_, window)| *window == from).map(|(at, _)| at).collect();
    assert!(!found.is_empty() && from.len() == to.len());
    for at in found {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
}

/// What does not fit is told with both values and what to do.
const OLD: &str = "it speaks plugin ABI 0 and the host 1 (the plugin is older): rebuild it against this host's SDK";
const NEW: &str = "it speaks plugin ABI 99 and the host 1 (the host is older): rebuild it against this host's SDK";
const ABORT: &str =
    "built with panic = \"abort\" and the host needs \"unwind\": remove that line from its profile and rebuild it";
const LIBTORCH: &str = "built for libtorch 2.10.0 and the host for 2.11.0: rebuild it against this host's SDK";
const TARGET: &str = "built for x86_64-haiku and the host for x86_64-linux: rebuild it against this host's SDK";

/// Files that are no plugin of this host, and a word of the reason.
fn rogues(home: &Path) -> Vec<(PathBuf, &'static str)> {
    let text = home.join("text.so");
    std::fs::write(&text, "not a library").unwrap();
    let mapped = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut mapped = mapped.split_whitespace().filter(|word| word.contains("/libc.so") || word.contains("/libc-"));
    let other = PathBuf::from(mapped.next().unwrap());
    vec![
        (home.join("absent.so"), "cannot be opened"),
        (text, "no shared library"),
        (other, "no prorl plugin"),
        (changed(home, "empty.so", Vec::clear), "no shared library"),
        (changed(home, "cut.so", |it| it.truncate(it.len() / 2)), "cut off"),
        (changed(home, "header.so", |it| it.truncate(100)), "cut off"),
        (changed(home, "machine.so", |it| it[18] = 243), "riscv64"),
        (changed(home, "old.so", |it| with_number(it, 8, 0)), OLD),
        (changed(home, "new.so", |it| with_number(it, 8, 99)), NEW),
        (changed(home, "abort.so", |it| with_number(it, 12, 0)), ABORT),
        (changed(home, "libtorch.so", |it| replace(it, b"2.11.0\0", b"2.10.0\0")), LIBTORCH),
        (changed(home, "target.so", |it| replace(it, b"x86_64-linux\0", b"x86_64-haiku\0")), TARGET),
        (changed(home, "magic.so", |it| replace(it, b"PRORLPLG", b"PRORLXXX")), "no hello record"),
    ]
}

#[test]
fn what_does_not_fit_is_refused_in_a_line_and_ends_nobody() {
    let home = tempfile::tempdir().unwrap();
    for (path, reason) in rogues(home.path()) {
        let (code, said) = run(home.path(), &["plugin", "check"], &path);
        assert_eq!(code, Some(1), "{}: {said}", path.display());
        assert!(said.contains(reason), "{}: {said}", path.display());
        assert_eq!(said.lines().count(), 2, "{said}");
        let (code, said) = run(home.path(), &["plugin", "install"], &path);
        assert_eq!(code, Some(2), "{}: {said}", path.display());
        let refused = said.contains(reason) || said.contains("does not end in .so");
        assert!(refused && said.lines().count() == 1, "{}: {said}", path.display());
        let (code, said) = run(home.path(), &["version", "--plugin"], &path);
        assert_eq!(code, Some(2), "{}: {said}", path.display());
        assert!(said.contains(reason), "{}: {said}", path.display());
    }
    assert!(!home.path().join("prorl-host").exists(), "something was installed");
}

#[test]
fn a_bundled_plugin_passes_its_check() {
    let home = tempfile::tempdir().unwrap();
    let (code, said) = run(home.path(), &["plugin", "check"], &library("prorl"));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("gamma") && said.contains(" 0 failed") && said.contains("SHA-256"), "{said}");
}

#[test]
fn an_installed_plugin_is_found_and_goes_before_the_one_beside_the_binary() {
    let home = tempfile::tempdir().unwrap();
    for verb in ["installed", "replaced"] {
        let (code, said) = run(home.path(), &["plugin", "install"], &library("rloo"));
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(verb) && said.contains("`rloo`"), "{said}");
    }
    let place = home.path().join("prorl-host/plugins/libprorl_plugin_rloo.so");
    let left: Vec<_> = std::fs::read_dir(place.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    let info = text(&host(home.path(), &["plugin", "info", "rloo"]).output().unwrap());
    assert!(info.contains(place.to_str().unwrap()) && info.contains("is shadowed"), "{info}");
    assert!(info.contains("number") && info.contains("libtorch 2.11.0"), "{info}");
    let list = text(&host(home.path(), &["plugin", "list"]).output().unwrap());
    assert!(list.lines().any(|line| line.contains("rloo") && line.contains(place.to_str().unwrap())), "{list}");
}

#[test]
fn the_current_folder_is_not_searched_unasked() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("libprorl_plugin_rogue.so"), "not a library").unwrap();
    for variable in ["", ":"] {
        let said = text(&host(home.path(), &["version"]).env("PRORL_PLUGIN_PATH", variable).output().unwrap());
        assert!(!said.contains("rogue"), "{said}");
    }
    let said = text(&host(home.path(), &["version"]).env("PRORL_PLUGIN_PATH", home.path()).output().unwrap());
    assert!(said.contains("rogue") && said.contains("no shared library"), "{said}");
}

#[test]
fn a_library_that_others_may_write_to_is_loaded_only_when_trusted() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let path = changed(home.path(), "open.so", |_| {});
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    let (code, said) = run(home.path(), &["version", "--plugin"], &path);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("chmod o-w"), "{said}");
    let mut trusting = host(home.path(), &[]);
    trusting.args(["version", "--plugin"]).arg(&path).env("PRORL_PLUGIN_TRUST_WRITABLE", "1");
    let trusting = trusting.output().unwrap();
    assert!(trusting.status.success(), "{}", text(&trusting));
}

/// The archive of a bundled plugin, in `home`.
fn packed(home: &Path) -> PathBuf {
    let archive = home.join("rloo.tar.gz");
    let output = host(home, &["plugin", "pack", "--out"]).arg(&archive).arg(library("rloo")).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    archive
}

#[test]
fn a_packed_plugin_can_be_installed_elsewhere() {
    let home = tempfile::tempdir().unwrap();
    let archive = packed(home.path());
    let first = std::fs::read(&archive).unwrap();
    assert_eq!(std::fs::read(packed(home.path())).unwrap(), first, "packing is not repeatable");
    let (code, said) = run(home.path(), &["plugin", "install"], &archive);
    assert_eq!(code, Some(0), "{said}");
    let folder = home.path().join("prorl-host/plugins");
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, ["libprorl_plugin_rloo.so"]);
    assert_eq!(std::fs::read(folder.join(&left[0])).unwrap(), std::fs::read(library("rloo")).unwrap());
    let info = text(&host(home.path(), &["plugin", "info", "rloo"]).output().unwrap());
    assert!(info.contains(folder.to_str().unwrap()), "{info}");
}

#[test]
fn an_archive_that_was_tampered_with_is_refused_and_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let archive = packed(home.path());
    let whole = std::fs::read(&archive).unwrap();
    let unpacked = home.path().join("unpacked");
    std::fs::create_dir(&unpacked).unwrap();
    let tar = |arguments: &[&str]| {
        let done = Command::new("tar").current_dir(&unpacked).args(arguments).status().unwrap();
        assert!(done.success(), "tar {arguments:?}");
    };
    tar(&["xzf", archive.to_str().unwrap()]);
    let path = unpacked.join("libprorl_plugin_rloo.so");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let forged = home.path().join("forged.tar.gz");
    tar(&[
        "czf",
        forged.to_str().unwrap(),
        "SHA256SUMS",
        "hello.json",
        "libprorl_plugin_rloo.so",
        "schemas/algorithm-rloo.json",
    ]);
    let cut = home.path().join("cut.tar.gz");
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    // Another library under hashes of its own: the hello record beside it is not its own.
    let strange = unpacked.join("strange");
    std::fs::create_dir(&strange).unwrap();
    for (from, to) in [(library("grpo"), "libprorl_plugin_rloo.so"), (unpacked.join("hello.json"), "hello.json")] {
        std::fs::copy(from, strange.join(to)).unwrap();
    }
    let sums = Command::new("sha256sum").current_dir(&strange).args(["hello.json", "libprorl_plugin_rloo.so"]).output();
    std::fs::write(strange.join("SHA256SUMS"), sums.unwrap().stdout).unwrap();
    let exchanged = home.path().join("exchanged.tar.gz");
    tar(&["czf", exchanged.to_str().unwrap(), "-C", "strange", "SHA256SUMS", "hello.json", "libprorl_plugin_rloo.so"]);
    for (path, reason) in [
        (&forged, "libprorl_plugin_rloo.so in it has SHA-256"),
        (&cut, "no whole .tar.gz archive"),
        (&exchanged, "is not what its library says of itself"),
    ] {
        let (code, said) = run(home.path(), &["plugin", "install"], path);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(reason) && said.lines().count() == 1, "{said}");
        let folder = home.path().join("prorl-host/plugins");
        assert!(!folder.exists() || std::fs::read_dir(folder).unwrap().next().is_none(), "something was installed");
    }
}

#[test]
fn a_reader_that_has_seen_enough_ends_nothing() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [&["plugin", "info", "t5"][..], &["plugin", "list"], &["config", "show"]] {
        let mut command = host(home.path(), &[]);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command.args(arguments).stdout(writer).stderr(std::process::Stdio::piped()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        assert!(!text(&output).contains("panicked"), "{}", text(&output));
    }
}
