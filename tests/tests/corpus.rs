//! Every file that the fuzzers keep, through the functions that they run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sekisho_tests::fuzzing::TARGETS;

/// A folder of `fuzz/`.
fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz")
        .join(name)
}

/// The files of a folder in the order of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect()
        })
        .unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    files.sort();
    files
}

#[test]
fn every_file_of_every_corpus_passes() {
    for (name, run) in TARGETS {
        let files = files(&folder("corpus").join(name));
        assert!(!files.is_empty(), "the corpus of {name} is empty");
        for file in &files {
            // Tells which one it was if the target panics.
            println!("{name}: {}", file.display());
            run(&fs::read(file).unwrap());
        }
    }
}

#[test]
fn every_target_has_a_fuzzer_and_every_fuzzer_a_target() {
    let stems = |folder: &str, extension: bool| -> BTreeSet<String> {
        files(&self::folder(folder))
            .iter()
            .filter(|path| path.extension().is_some() == extension)
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect()
    };
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(stems("fuzz_targets", true), targets);
    assert_eq!(stems("corpus", false), targets);
    let manifest = fs::read_to_string(folder("Cargo.toml")).unwrap();
    for target in targets {
        assert!(
            manifest.contains(&format!("name = \"{target}\"")),
            "{target}"
        );
    }
}
