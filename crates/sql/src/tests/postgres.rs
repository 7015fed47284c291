//! PostgreSQL's clients against a server.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::index::Index;
use super::lake::records;
use super::options;
use crate::postgres::{Passwords, serve};
use crate::session::{Database, Options, STACK_BYTES};

const USER: &str = "ana";
const PASSWORD: &str = "a pass:word";

/// A server over an index, until it is dropped.
struct Server {
    address: SocketAddr,
    _runtime: Runtime,
    _index: Index,
}

impl Server {
    fn over(records: &[String], options: Options) -> Self {
        let index = Index::of(records, 7);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let database = Arc::new(Database::open(index.path(), options).unwrap());
        let passwords = Passwords::of(&format!("{USER}:{PASSWORD}\nben:other\n")).unwrap();
        runtime.spawn(serve(listener, database, passwords));
        Self { address, _runtime: runtime, _index: index }
    }

    fn psql(&self, user: &str, password: &str, sql: &str) -> (bool, String, String) {
        let mut psql = Command::new("psql")
            .args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-d", "traildex"])
            .args(["-U", user, "-p", &self.address.port().to_string()])
            .env("PGPASSWORD", password)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        psql.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
        let out = psql.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (out.status.success(), text(out.stdout), text(out.stderr))
    }

    fn asked(&self, sql: &str) -> String {
        let (is_ok, out, error) = self.psql(USER, PASSWORD, sql);
        assert!(is_ok, "{sql}: {error}");
        out
    }
}

#[test]
fn by_hand() {
    let server = Server::over(&records(), options());
    println!("PORT {}", server.address.port());
    std::thread::sleep(std::time::Duration::from_secs(
        std::env::var("BY_HAND").ok().and_then(|it| it.parse().ok()).unwrap_or(0),
    ));
    println!("{}", server.asked("select count(*) from cloudtrail"));
}
