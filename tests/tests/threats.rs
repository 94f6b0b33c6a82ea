//! Every threat of the list has a test by its name: parsing and memory (A), phase 1 (B), quick
//! mode, extended authentication and lifecycle (C), data plane (D).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use isakmp_core::negotiate::phase1::Phase1;
use isakmp_core::wire::{Attribute, SaBody};

/// How many threats each part has.
const PARTS: [(char, u32); 4] = [('a', 11), ('b', 18), ('c', 12), ('d', 14)];

/// The sources of a folder, without what was built.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" && name != ".git" {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// The names of tests and stories in a source that begin with `threat_`, up to the second `_`.
fn named(source: &str) -> impl Iterator<Item = &str> {
    let lines: Vec<&str> = source.lines().map(str::trim_start).collect();
    let is_test = |place: usize| {
        let before = lines[..place].iter().rev();
        before
            .take_while(|line| line.starts_with("#[") || line.starts_with("///"))
            .any(|line| *line == "#[test]")
    };
    let names = (0..lines.len()).filter_map(|place| {
        let line = lines[place];
        let test = line.strip_prefix("fn ").filter(|_| is_test(place));
        let story = line.strip_prefix("story!(").map(|name| match name {
            "" => lines.get(place + 1).copied().unwrap_or(""),
            name => name,
        });
        let name = test.or(story)?;
        let row = name.strip_prefix("threat_")?;
        row.split('_').next()
    });
    names.collect::<Vec<_>>().into_iter()
}

#[test]
fn every_threat_has_a_test_of_its_name() {
    let mut files = Vec::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
        &mut files,
    );
    let mut tested = BTreeSet::new();
    for file in &files {
        let source = fs::read_to_string(file).expect("a source");
        tested.extend(named(&source).map(String::from));
    }
    let known: BTreeSet<String> = PARTS
        .iter()
        .flat_map(|(part, last)| (1..=*last).map(move |row| format!("{part}{row}")))
        .collect();
    let missing: Vec<_> = known.difference(&tested).collect();
    assert!(missing.is_empty(), "no test of {missing:?}");
    let of_a_part = |row: &&String| PARTS.iter().any(|(part, _)| row.starts_with(*part));
    let unknown: Vec<_> = tested.difference(&known).filter(of_a_part).collect();
    assert!(unknown.is_empty(), "no threat {unknown:?}");
}

#[test]
fn a_name_counts_where_it_is_a_test() {
    let source = "#[test]\nfn threat_a1_x() {}\nfn threat_a2_x() {}\nstory!(threat_b10_y, |e, s| {\nstory!(\n    threat_c1_z,";
    assert_eq!(named(source).collect::<Vec<_>>(), ["a1", "b10", "c1"]);
}

/// An SA body of so many proposals with so many transforms with so many attributes.
fn body(proposals: u8, transforms: u8, attributes: u16) -> Vec<u8> {
    let all: Vec<_> = (1..=proposals)
        .map(|number| {
            let attribute = |_| Attribute::short(1, 5);
            let transform = |_| (1, (0..attributes).map(attribute).collect());
            let transforms = (0..transforms).map(transform).collect();
            (number, 1, &[][..], transforms)
        })
        .collect();
    SaBody::write(&all)
}

/// However many combinations somebody offers, what is read and compared is bounded.
#[test]
fn threat_a3_proposals_without_end() {
    let is_read = |proposals, transforms, attributes| {
        let body = body(proposals, transforms, attributes);
        let offer = SaBody::parse(&body);
        if let Ok(offer) = &offer {
            // What is within the bounds is compared to its end, and chosen or not.
            let own = Phase1::of(
                &isakmp_core::config::IsakmpPolicyConfig::new(
                    ipsec_core::model::Name::new("i"),
                    ipsec_core::model::PeerAddress::Any,
                ),
                ipsec_core::model::Role::Responder,
            );
            assert!(own.choose(offer).is_err());
        }
        offer.is_ok()
    };
    assert!(is_read(32, 8, 32));
    assert!(!is_read(33, 1, 1));
    assert!(is_read(4, 64, 32));
    assert!(!is_read(1, 65, 1));
    assert!(!is_read(5, 52, 1), "260 transforms in all");
    assert!(!is_read(1, 1, 33));
}
