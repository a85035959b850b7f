//! The way to a server: TLS, proxies, replicas, logins and limits.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempDir;

use crate::harness::{Ran, Server, command, run};

const QUERY: [&str; 4] = ["query", "SELECT 1 AS one", "--format", "csv"];

fn query(options: &[&str]) -> Ran {
    let mut arguments = options.to_vec();
    arguments.extend(QUERY);
    run(&arguments)
}

/// A server of the embedded lake with a certificate for another name than its address.
struct Tls {
    _dir: TempDir,
    certificate: String,
    key: String,
    server: Server,
}

impl Tls {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["lake.example".to_owned()]).unwrap();
        let write = |name: &str, text: String| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let certificate = write("cert.pem", made.cert.pem());
        let key = write("key.pem", made.signing_key.serialize_pem());
        let server = Server::with(&["--tls-cert", &certificate, "--tls-key", &key]);
        Self {
            _dir: dir,
            certificate,
            key,
            server,
        }
    }
}

#[test]
fn tls_is_checked_against_another_name_or_not_at_all() {
    let tls = Tls::start();
    let url = &*tls.server.url;
    let authority = ["--url", url, "--ca-cert", &tls.certificate];
    let refused = query(&authority);
    assert_eq!(refused.code, 10, "{}", refused.stderr);
    assert!(refused.stderr.contains("another host name"), "{}", refused.stderr);

    let mut named = authority.to_vec();
    named.extend(["--tls-server-name", "lake.example"]);
    let ran = query(&named).good();
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("one\n1\n", ""));

    for quiet in [&[][..], &["--quiet"]] {
        let mut unchecked = vec!["--url", url, "--insecure-skip-verify"];
        unchecked.extend(quiet);
        let ran = query(&unchecked).good();
        assert_eq!(ran.stdout, "one\n1\n");
        assert!(
            ran.stderr.starts_with("warning: --insecure-skip-verify"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn a_client_certificate_has_two_files_that_belong_together() {
    let tls = Tls::start();
    let other = Tls::start();
    let base = [
        "--url",
        &tls.server.url,
        "--ca-cert",
        &tls.certificate,
        "--tls-server-name",
        "lake.example",
        "--client-cert",
        &tls.certificate,
    ];
    let with = |options: &[&str]| {
        let mut all = base.to_vec();
        all.extend(options);
        query(&all)
    };
    with(&["--client-key", &tls.key]).good();
    for (options, says) in [
        (&[][..], "--client-cert needs --client-key"),
        (
            &["--client-key", &other.key],
            "the key is not that of the client certificate",
        ),
        (&["--client-key", &tls.certificate], "cannot be read"),
    ] {
        let ran = with(options);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
    }
    let output = command()
        .args(&base[..6])
        .args(QUERY)
        .env("LAKEPILOT_CLIENT_CERT", &tls.certificate)
        .env("LAKEPILOT_CLIENT_KEY", &tls.key)
        .output()
        .unwrap();
    Ran::from(output).good();
}

/// An HTTP proxy for which every host is this machine; what it was asked for is in the list.
fn proxy() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    // It ends with the tests.
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let seen = Arc::clone(&seen);
            thread::spawn(move || tunnel(client, &seen));
        }
    });
    (address, requests)
}

fn tunnel(mut client: TcpStream, seen: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if client.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let port: u16 = head
        .split(' ')
        .nth(1)
        .unwrap()
        .rsplit_once(':')
        .unwrap()
        .1
        .parse()
        .unwrap();
    seen.lock().unwrap().push(head);
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)) else {
        let _ = client.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n");
        return;
    };
    let _ = client.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
    let (mut client_reads, mut server_writes) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || {
        let _ = std::io::copy(&mut client_reads, &mut server_writes);
        let _ = server_writes.shutdown(std::net::Shutdown::Both);
    });
    let _ = std::io::copy(&mut server, &mut client);
    let _ = client.shutdown(std::net::Shutdown::Both);
}

#[test]
fn a_proxy_is_an_option_or_a_variable_and_its_password_is_not_told() {
    let server = Server::start();
    let (address, requests) = proxy();
    let url = server.url.replace("127.0.0.1", "lake.example");
    let through = format!("http://ann:battery-staple@{address}");
    for verbosity in ["-v", "-vvv"] {
        let ran = query(&[verbosity, "--url", &url, "--proxy", &through]).good();
        assert_eq!(ran.stdout, "one\n1\n");
        for secret in ["battery-staple", "YW5uOmJhdHRlcnktc3RhcGxl"] {
            assert!(!ran.stderr.contains(secret), "{}", ran.stderr);
        }
    }
    let from_environment = |options: &[&str], no_proxy: &str| {
        let output = command()
            .args(["--url", &url])
            .args(options)
            .args(QUERY)
            .env("ALL_PROXY", &through)
            .env("NO_PROXY", no_proxy)
            .output()
            .unwrap();
        Ran::from(output)
    };
    from_environment(&[], "other.example").good();
    let seen = requests.lock().unwrap().clone();
    assert_eq!(seen.len(), 3);
    let authorization = "Proxy-Authorization: Basic YW5uOmJhdHRlcnktc3RhcGxl\r\n";
    assert!(seen.iter().all(|request| request.contains(authorization)), "{seen:?}");
    for (options, no_proxy) in [(&["--no-proxy"][..], ""), (&[], ".example")] {
        let ran = from_environment(options, no_proxy);
        assert_eq!(ran.code, 6, "{}", ran.stderr);
        assert!(ran.stderr.contains("cannot be resolved"), "{}", ran.stderr);
    }
    assert_eq!(requests.lock().unwrap().len(), 3);

    let ran = query(&["--url", "grpc://lake.example:1", "--proxy", &through]);
    assert_eq!(ran.code, 6, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("502 Bad Gateway") && ran.stderr.contains(&address) && !ran.stderr.contains("battery"),
        "{}",
        ran.stderr
    );
}

/// The URL of a port that nobody listens on.
fn gone() -> String {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    format!("grpc://{address}")
}

#[test]
fn of_several_servers_one_that_is_there_answers() {
    let server = Server::start();
    let list = format!("{},{}", gone(), server.url);
    for _ in 0..3 {
        query(&["--url", &list]).good();
        query(&["--url", &gone(), "--url", &server.url]).good();
    }
    let output = command()
        .args(QUERY)
        .env("MICROMEGAS_ANALYTICS_URI", &list)
        .output()
        .unwrap();
    Ran::from(output).good();
    let ran = query(&["--url", &format!("{},{}", gone(), gone())]);
    assert_eq!(ran.code, 6, "{}", ran.stderr);
}

#[test]
fn limits_of_connecting_planning_and_messages_are_kept() {
    // Accepts, as the system does by itself, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let ran = query(&["--url", &format!("grpc+tls://{address}"), "--connect-timeout", "1s"]);
    assert_eq!(ran.code, 7, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("no connection to") && ran.stderr.contains("within the limit of 1s"),
        "{}",
        ran.stderr
    );
    let ran = query(&["--url", &format!("grpc://{address}"), "--plan-timeout", "1s"]);
    assert_eq!(ran.code, 7, "{}", ran.stderr);
    assert!(ran.stderr.contains("GetFlightInfo"), "{}", ran.stderr);

    let server = Server::start();
    let large = [
        "--max-message-mb",
        "1",
        "query",
        "SELECT repeat('x', 2000000) AS long",
        "-o",
        "/dev/null",
        "--format",
        "csv",
    ];
    let ran = server.run(&large);
    assert_eq!(ran.code, 8, "{}", ran.stderr);
    server.run(&large[2..]).good();
}

#[test]
fn a_user_needs_a_password_and_a_server_that_knows_users() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let password = dir.path().join("password");
    fs::write(&password, "battery-staple\n").unwrap();
    let password = password.to_str().unwrap();
    let ran = server.run(&["--user", "ann", "query", "SELECT 1"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("LAKEPILOT_PASSWORD"), "{}", ran.stderr);
    let ran = server.run(&[
        "-vvv",
        "--user",
        "ann",
        "--password-file",
        password,
        "query",
        "SELECT 1",
    ]);
    assert_eq!(ran.code, 9, "{}", ran.stderr);
    assert!(ran.stderr.contains("no login with a user name"), "{}", ran.stderr);
    for secret in ["battery-staple", "YW5uOmJhdHRlcnktc3RhcGxl"] {
        assert!(!ran.stderr.contains(secret), "{}", ran.stderr);
    }
}

#[test]
fn a_profile_may_have_a_user() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".micromegas");
    fs::create_dir(&folder).unwrap();
    fs::write(
        folder.join("config.json"),
        r#"{"uri": "grpc://localhost", "user": "ann", "password_file": "~/password"}"#,
    )
    .unwrap();
    let whoami = || {
        let output = command().env("HOME", home.path()).arg("whoami").output().unwrap();
        Ran::from(output)
    };
    let ran = whoami();
    assert_eq!(ran.code, 12, "{}", ran.stderr);
    assert!(
        ran.stdout.contains("problem") && ran.stdout.contains("password"),
        "{}",
        ran.stdout
    );
    fs::write(home.path().join("password"), "battery-staple\n").unwrap();
    let ran = whoami().good();
    assert!(
        ran.stdout.contains("authentication  password\nuser            ann\n"),
        "{}",
        ran.stdout
    );
}
