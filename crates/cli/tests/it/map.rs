//! Pictures of partitions: lines in a terminal, files beside it.

use std::fs;

use crate::harness::Server;

#[test]
fn a_map_fits_the_terminal() {
    let server = Server::start();
    for columns in [80, 40] {
        let ran = server.run_wide(columns, &["partitions", "map"]).good();
        for line in ran.stdout.lines() {
            assert!(line.chars().count() <= columns, "{columns}: {line}");
        }
        insta::assert_snapshot!(format!("map_{columns}"), ran.stdout);
    }
    let ran = server
        .run_wide(
            80,
            &[
                "--color",
                "always",
                "partitions",
                "map",
                "--instance",
                "global",
                "--color-by",
                "bytes",
            ],
        )
        .good();
    assert!(ran.stdout.contains("\u{1b}["), "{}", ran.stdout);
    let one = server
        .run_wide(80, &["partitions", "map", "--non-global", "--most-instances", "1"])
        .good();
    assert!(one.stdout.contains("more"), "{}", one.stdout);
}

#[test]
fn a_map_goes_into_files() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    for (name, begins, color) in [("map.svg", "<svg ", "age"), ("map.html", "<!DOCTYPE html>", "bytes")] {
        let path = path(name);
        let ran = server
            .run(&[
                "partitions",
                "map",
                "--across",
                "event",
                "--color-by",
                color,
                "-o",
                &path,
            ])
            .good();
        assert_eq!(ran.stdout, "");
        assert!(ran.stderr.contains(name), "{}", ran.stderr);
        let drawn = fs::read_to_string(&path).unwrap();
        assert!(drawn.starts_with(begins), "{}", &drawn[..200]);
        assert!(drawn.contains(&server.url) && drawn.contains("event time"));
    }
    let ran = server.run(&["partitions", "map", "-o", &path("map.png")]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(
        ran.stderr.contains(".svg") && ran.stderr.contains(".html"),
        "{}",
        ran.stderr
    );
}
