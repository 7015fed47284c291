//! The description of the API, and whether the daemon is as described: schemathesis makes requests of
//! it, wrong ones too, and looks at every answer.

use std::env;
use std::fs;
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use crate::common::{PATIENCE_BULK, Place, copy_invictus};

fn checked_in() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/server/src/openapi.json")
}

#[test]
fn the_description_that_is_served_is_the_one_that_is_checked_in() {
    let place = Place::new();
    let daemon = place.start();
    let (status, served) = daemon.client.get("/openapi.json").unwrap();
    daemon.stop();
    assert_eq!(status, 200);
    if env::var_os("TRAILDEX_ACCEPT").is_some() {
        fs::write(checked_in(), &served).unwrap();
    }
    let known = fs::read(checked_in()).unwrap_or_default();
    assert!(
        served == known,
        "the API's description has changed; if that is meant, TRAILDEX_ACCEPT=1 ./.ci/test openapi::"
    );
}

/// A TCP port in front of the socket: schemathesis knows no other.
fn bridge(socket: PathBuf) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let daemon = UnixStream::connect(&socket).unwrap();
            let (mut from, mut to) = (client.try_clone().unwrap(), daemon.try_clone().unwrap());
            thread::spawn(move || {
                let _ = io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
            thread::spawn(move || answer(daemon, client));
        }
    });
    port
}

fn answer(mut daemon: UnixStream, mut client: TcpStream) {
    let _ = io::copy(&mut daemon, &mut client);
    let _ = client.shutdown(Shutdown::Both);
}

/// `TRAILDEX_SCHEMATHESIS_EXAMPLES` for the long form.
#[test]
fn schemathesis_finds_nothing() {
    let st = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients/bin/st");
    assert!(st.exists(), "run ./.ci/clients, which sets up {}", st.display());
    let place = Place::new();
    copy_invictus(&place.archive(), 1);
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, 2_900);
    let url = format!("http://127.0.0.1:{}", bridge(place.socket()));
    let examples = env::var("TRAILDEX_SCHEMATHESIS_EXAMPLES").unwrap_or_else(|_| "15".to_owned());
    let ran = Command::new(st)
        .current_dir(place.path(""))
        .args(["run", "--seed", "1", "--no-shrink", "--continue-on-failure", "--warnings", "off"])
        // Queries, times and cursors are texts to a schema, and most texts are none.
        .args(["--exclude-checks", "positive_data_acceptance"])
        // It answers for as long as it is read.
        .args(["--exclude-path", "/v1/tail", "--max-examples", &examples])
        .arg(format!("{url}/openapi.json"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{told}\n{}", String::from_utf8_lossy(&ran.stderr));
    // Searches have been answered, not refused only.
    let (_, metrics) = daemon.client.get("/metrics").unwrap();
    let metrics = String::from_utf8_lossy(&metrics);
    let searched = metrics.lines().any(|line| {
        line.starts_with("traildex_http_requests_total")
            && line.contains("/v1/search")
            && line.contains("status=\"200\"")
    });
    assert!(searched, "{metrics}");
    daemon.stop();
}
