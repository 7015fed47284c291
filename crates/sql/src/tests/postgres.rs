//! PostgreSQL's clients against a server.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::index::Index;
use super::lake::records;
use crate::config::Config;
use crate::postgres::{Passwords, serve};
use crate::serve::make_empty;
use crate::serve::queries::Queries;
use crate::session::STACK_BYTES;

const USER: &str = "ana";
const PASSWORD: &str = "pass:word";

/// A server over an index, until it is dropped.
struct Server {
    address: SocketAddr,
    _runtime: Runtime,
    _state: TempDir,
    queries: Arc<Queries>,
    index: Option<Index>,
}

/// What a client said.
struct Said {
    is_ok: bool,
    out: String,
    error: String,
}

impl Server {
    fn new() -> Self {
        Self::with("")
    }

    /// With these keys of the section `sql`.
    fn with(keys: &str) -> Self {
        let index = Index::of(&records(), 2);
        let mut server = Self::at(index.path(), keys);
        while server.queries.database().is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
        server.index = Some(index);
        server
    }

    /// Over what is in a folder.
    fn at(data: &Path, keys: &str) -> Self {
        let state = tempfile::tempdir().unwrap();
        let file = state.path().join("traildex.toml");
        let (data, dir) = (data.display(), state.path().display());
        let text = format!("[index]\ndata_dir = '{data}'\n[sql]\nstate_dir = '{dir}'\n{keys}\n");
        std::fs::write(&file, text).unwrap();
        let config = Config::load(Some(&file), []).unwrap();
        make_empty(&config.spill_dir()).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let queries = Arc::new(Queries::new(config));
        runtime.spawn(Arc::clone(&queries).keep_open());
        let passwords = Passwords::of(&format!("{USER}:{PASSWORD}\nben:other\n")).unwrap();
        runtime.spawn(serve(listener, Arc::clone(&queries), passwords));
        Self { address, _runtime: runtime, _state: state, queries, index: None }
    }

    fn run(client: &mut Command, input: &str) -> Said {
        let mut client = client
            .env("PGDATABASE", "traildex")
            .env("TRAILDEX_CLIENTS", clients())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{client:?}: {error}; run .ci/clients"));
        client.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let out = client.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { is_ok: out.status.success(), out: text(out.stdout), error: text(out.stderr) }
    }

    fn psql(&self, (user, password): (&str, &str), sql: &str) -> Said {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"])
            .args(["-U", user, "-p", &self.port()])
            .env("PGPASSWORD", password);
        Self::run(&mut psql, sql)
    }

    fn port(&self) -> String {
        self.address.port().to_string()
    }

    fn asked(&self, sql: &str) -> String {
        let said = self.psql((USER, PASSWORD), sql);
        assert!(said.is_ok, "{sql:.100}: {:.1000}", said.error);
        said.out
    }

    fn refused(&self, sql: &str) -> String {
        let said = self.psql((USER, PASSWORD), sql);
        assert!(!said.is_ok, "{sql:.100}: {:.1000}", said.out);
        said.error
    }

    /// What a script of the tests' clients shows: a name and a value a line.
    fn script(&self, mut client: Command, name: &str) -> Vec<Value> {
        client
            .args([repository().join("tests/clients").join(name)])
            .arg(self.port())
            .env("PGUSER", USER)
            .env("PGPASSWORD", PASSWORD);
        let said = Self::run(&mut client, "");
        assert!(said.is_ok, "{name}: {}\n{}", said.out, said.error);
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// Where `.ci/clients` puts the clients.
fn clients() -> PathBuf {
    repository().join("target/clients")
}

#[test]
fn psql_asks_and_describes() {
    let mut server = Server::new();
    assert_eq!(server.asked("SELECT count(*) FROM cloudtrail"), "5\n");
    assert_eq!(server.asked("select count(*) from public.cloudtrail; select 1;"), "5\n1\n");
    let sql = "BEGIN; SELECT eventid FROM cloudtrail WHERE any_match(resources, x -> x.type = \
               'AWS::S3::Object'); COMMIT;";
    assert_eq!(server.asked(sql), "BEGIN\ne1\nCOMMIT\n", "in Trino's dialect, one by one");
    assert_eq!(server.asked("SELECT count(*) FROM 3a5f0e21-7c9b-4d2e-9f10-1b2c3d4e5f60"), "5\n");
    assert!(server.asked("\\d").contains("public|cloudtrail|table"));
    let described = server.asked("\\d cloudtrail");
    assert!(described.contains("eventtime|timestamp without time zone"), "{described}");
    assert!(described.contains("readonly|boolean"), "{described}");
    assert!(server.asked("\\d files").contains("path|text"));
    assert!(server.asked("\\dn").contains("public"));
    assert!(server.asked("\\l").contains("traildex"));
    assert_eq!(server.asked("\\df"), "");
    assert!(server.asked("SELECT version()").starts_with("PostgreSQL 16.6, traildex"));
    let version = "SELECT current_setting('server_version_num')::int / 100";
    assert_eq!(server.asked(version), "1600\n");
    // Grafana's pickers, and its macros for time.
    let tables = "SELECT quote_ident(table_name) FROM information_schema.tables WHERE \
                  quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog') AND \
                  table_type = 'BASE TABLE' ORDER BY 1";
    assert_eq!(server.asked(tables), "alerts\ncloudtrail\nfiles\n");
    let columns = "SELECT quote_ident(column_name) FROM information_schema.columns WHERE \
                   quote_ident(table_name) = 'cloudtrail' AND column_name LIKE 'event%'";
    assert!(server.asked(columns).contains("eventname\n"));
    let series = "SELECT floor(extract(epoch from eventtime)/86400)*86400 AS time, count(*) FROM \
                  cloudtrail WHERE eventtime BETWEEN '2023-07-10T00:00:00Z' AND \
                  '2023-07-11T00:00:00Z' GROUP BY 1 ORDER BY 1";
    assert_eq!(server.asked(series), "1688947200.0|2\n");
    // What is indexed later is found by the same server.
    server.index.as_mut().unwrap().commit(&records()[..1]);
    assert_eq!(server.asked("SELECT count(*) FROM cloudtrail"), "6\n");
}

#[test]
fn who_does_not_know_a_password_learns_nothing() {
    let server = Server::new();
    let refused = |who| {
        let said = server.psql(who, "SELECT 1");
        assert!(!said.is_ok, "{}", said.out);
        said.error.replace(&server.port(), "PORT")
    };
    let wrong = refused((USER, "wrong"));
    assert!(wrong.contains("assword authentication failed"), "{wrong}");
    assert_eq!(refused((USER, "other")), wrong);
    assert_eq!(refused(("nobody", PASSWORD)), wrong, "nor who there is");
    assert!(server.psql(("ben", "other"), "SELECT count(*) FROM cloudtrail").is_ok);
}

#[test]
fn clients_only_read() {
    let server = Server::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    for sql in [
        format!("COPY cloudtrail TO '{path}'"),
        format!("COPY (SELECT 1) TO '{path}'"),
        "COPY cloudtrail TO PROGRAM 'cat'".to_owned(),
        format!("COPY cloudtrail FROM '{path}'"),
        format!("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{path}'"),
        format!("SELECT * FROM '{path}'"),
        "CREATE TABLE t AS SELECT 1".to_owned(),
        "CREATE VIEW v AS SELECT 1".to_owned(),
        "SELECT 1 AS a INTO t".to_owned(),
        "SELECT * INTO t FROM cloudtrail".to_owned(),
        "INSERT INTO cloudtrail (eventid) VALUES ('x')".to_owned(),
        "DELETE FROM cloudtrail".to_owned(),
        "UPDATE cloudtrail SET eventid = 'x'".to_owned(),
        "DROP TABLE cloudtrail".to_owned(),
        "EXPLAIN ANALYZE INSERT INTO cloudtrail (eventid) VALUES ('x')".to_owned(),
        "BEGIN; DECLARE c CURSOR FOR SELECT 1 AS a INTO t".to_owned(),
        "PREPARE p AS DELETE FROM cloudtrail; EXECUTE p".to_owned(),
        "SELECT 1; DROP TABLE cloudtrail".to_owned(),
        "SELECT * FROM pg_class, cloudtrail".to_owned(),
        "SET datafusion.runtime.memory_limit = '100G'".to_owned(),
        "SET datafusion.execution.target_partitions = 100000".to_owned(),
        "RESET datafusion.runtime.memory_limit; SELECT nothing".to_owned(),
    ] {
        let error = server.refused(&sql);
        assert!(error.contains("ERROR"), "{sql}: {error}");
    }
    assert_eq!(file.as_file().metadata().unwrap().len(), 0);
    assert_eq!(server.asked("SELECT count(*) FROM cloudtrail"), "5\n");
    let tables = server.asked("\\dt");
    assert_eq!(tables.lines().count(), 3, "{tables}");
}

#[test]
fn rows_are_copied_out() {
    let server = Server::new();
    let sql = "\\copy (SELECT eventid, errorcode FROM cloudtrail ORDER BY eventtime LIMIT 2) TO STDOUT CSV HEADER";
    assert_eq!(server.asked(sql), "\"eventid\",\"errorcode\"\ne1,\ne2,AccessDenied\n");
    let sql =
        "COPY cloudtrail (eventid, errorcode) TO STDOUT WITH (FORMAT csv, DELIMITER ';', NULL '-')";
    let mut lines: Vec<String> = server.asked(sql).lines().map(str::to_owned).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["e1;-", "e2;AccessDenied", "e3;-", "e4;-", "e5;-"]);
    for sql in
        ["COPY cloudtrail TO STDOUT (FORMAT csv, QUOTE 'x')", "COPY cloudtrail TO STDOUT (HEADER)"]
    {
        assert!(server.refused(sql).contains("COPY"), "{sql}");
    }
}

#[test]
fn bounds_hold_for_every_statement() {
    let server = Server::with("timeout_s_max = 1");
    let endless = "generate_series(1, 1000000000000)";
    for sql in [
        format!("SELECT count(*) FROM {endless}"),
        format!("SELECT count(*) FROM cloudtrail, {endless}"),
        format!("SELECT count(*) FROM cloudtrail, {endless}; SELECT 1"),
        format!("COPY (SELECT count(*) FROM cloudtrail, {endless}) TO STDOUT"),
        format!("BEGIN; DECLARE c CURSOR FOR SELECT count(*) FROM {endless}; FETCH ALL FROM c"),
    ] {
        let started = Instant::now();
        let error = server.refused(&sql);
        assert!(error.contains("deadline"), "{sql}: {error}");
        assert!(started.elapsed() < Duration::from_secs(20), "{sql}");
    }
    let server = Server::new();
    let sql = format!("SET statement_timeout = 100; SELECT count(*) FROM cloudtrail, {endless}");
    assert!(server.refused(&sql).contains("deadline"));
}

#[test]
fn statements_take_turns_and_too_many_are_refused() {
    let server = Server::with("queries_max = 1\ntimeout_s_max = 6");
    let sql = "SELECT count(*) FROM cloudtrail, generate_series(1, 1000000000000)";
    let errors: Vec<String> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..8).map(|_| scope.spawn(|| server.refused(sql))).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let count = |text: &str| errors.iter().filter(|error| error.contains(text)).count();
    let refused = count("1 queries run and 4 wait; try again in a while");
    assert_eq!(refused + count("deadline"), 8, "{errors:#?}");
    assert!(refused > 0, "{errors:#?}");
    assert_eq!(server.asked("SELECT count(*) FROM cloudtrail"), "5\n", "places are free again");
}

#[test]
fn rows_that_nobody_reads_give_their_turn_back_in_time() {
    let server = Server::with("queries_max = 1\ntimeout_s_max = 2");
    let sql = "BEGIN; DECLARE c CURSOR FOR SELECT eventid FROM cloudtrail, generate_series(1, 1000000); \
               FETCH 1 FROM c;\n\\! sleep 4\nFETCH ALL FROM c;";
    std::thread::scope(|scope| {
        let left = scope.spawn(|| server.refused(sql));
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(server.asked("SELECT count(*) FROM cloudtrail"), "5\n");
        let error = left.join().unwrap();
        assert!(error.contains("deadline"), "a cut is told: {error}");
    });
    let few = "BEGIN; DECLARE c CURSOR FOR SELECT count(*) FROM cloudtrail;\n\\! sleep 3\nFETCH ALL FROM c;";
    assert!(server.asked(few).contains("\n5\n"), "what was whole in time is given later, too");
}

#[test]
fn long_and_deep_texts_are_refused_at_once() {
    let server = Server::with("timeout_s_max = 60");
    let chain = |part: &str, by: &str, count: usize| vec![part; count].join(by);
    for sql in [
        format!("SELECT 1 WHERE {}", chain("1=1", " OR ", 9_000)),
        format!("SELECT 1 WHERE {}", chain("1=1", " OR ", 2_000)),
        format!("SELECT 1 WHERE {}", chain("1=1", " OR ", 100_000)),
        format!("SELECT 1 FROM pg_class WHERE {}", chain("oid = 1", " OR ", 1_000)),
        format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000)),
        format!("SELECT {}", chain("1", "+", 5_000)),
        format!("SELECT 1 FROM cloudtrail WHERE {}", chain("readonly", " OR ", 7_000)),
        format!("SELECT '{}'", "x".repeat(900_000)),
    ] {
        let started = Instant::now();
        let error = server.refused(&sql);
        assert!(error.contains("ERROR"), "{}: {error}", &sql[..60]);
        assert!(started.elapsed() < Duration::from_secs(20), "{}", &sql[..60]);
    }
    // What is as long, and wide in place of deep, is no harm.
    for sql in [
        chain("SELECT 1", " UNION ALL ", 800),
        format!("SELECT 1 WHERE 1 IN ({})", chain("1", ",", 5_000)),
        format!("SELECT {}", chain("1", ",", 3_000)),
        format!("SELECT count(*) FROM cloudtrail WHERE eventid IN ({})", chain("'x'", ",", 9_000)),
    ] {
        let started = Instant::now();
        let _ = server.psql((USER, PASSWORD), &sql);
        assert!(started.elapsed() < Duration::from_secs(30), "{}", &sql[..60]);
    }
    assert_eq!(server.asked("SELECT count(*) FROM cloudtrail"), "5\n", "and it lives");
}

#[test]
fn the_catalogs_memory_is_its_own_and_small() {
    let server = Server::new();
    let error = server.refused("SELECT array_agg(v) FROM generate_series(1, 100000000) AS t(v)");
    assert!(error.contains("needs more memory"), "{error}");
}

#[test]
fn who_finds_no_place_is_told() {
    let server = Server::new();
    let held: Vec<TcpStream> =
        (0..64).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    let started = Instant::now();
    loop {
        let said = server.psql((USER, PASSWORD), "SELECT 1");
        if said.error.contains("64 clients are connected") {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(15), "{}", said.error);
    }
    drop(held);
    while !server.psql((USER, PASSWORD), "SELECT 1").is_ok {
        assert!(started.elapsed() < Duration::from_secs(30), "places are given back");
    }
}

#[test]
fn where_there_is_no_index_a_statement_is_told_so_and_the_server_waits() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::at(&dir.path().join("data"), "");
    assert_eq!(server.asked("SELECT 1"), "1\n");
    assert!(server.asked("\\d").contains("cloudtrail"), "the columns are known without one");
    let error = server.refused("SELECT count(*) FROM cloudtrail");
    assert!(error.contains("No such file or directory"), "{error}");
}

#[test]
fn psycopg_and_adbc_ask_in_their_ways() {
    let server = Server::new();
    let said = server.script(Command::new(clients().join("bin/python")), "postgres.py");
    let times = ["2023-07-10 10:00:00", "2023-07-10 11:00:00"];
    let expected = [
        json!(["count", [[5]]]),
        json!(["text", ["e1"]]),
        json!(["time", ["e4", "e5"]]),
        json!(["time with a zone", ["e4", "e5"]]),
        json!(["time as a text", ["e4", "e5"]]),
        json!(["list", ["e1", "e2"]]),
        json!(["truth", ["e1"]]),
        json!(["limit", ["e2", "e3"]]),
        json!(["binary", [["e1", times[0], true]]]),
        json!(["cursor", ["e1", "e2", "e3"]]),
        json!(["nested", "dev"]),
        json!(["prepared", ["e2"]]),
        json!(["copy", [["e1", "t"], ["e2", "f"]]]),
        json!(["error", ["42601", "No field named nothing"]]),
        json!(["after an error", [[1]]]),
        json!(["refused", "25006"]),
        json!(["refused", "25006"]),
        json!(["arrow", [
            { "eventid": "e1", "eventtime": times[0], "readonly": true },
            { "eventid": "e2", "eventtime": times[1], "readonly": false },
        ]]),
        json!(["arrow of nothing", []]),
    ];
    assert_eq!(said, expected);
}

#[test]
fn nodes_pg_asks_in_its_ways() {
    let server = Server::new();
    let said = server.script(Command::new("node"), "postgres.mjs");
    let expected = [
        json!(["count", [{ "n": "5" }]]),
        json!(["text", ["e1"]]),
        json!(["time", ["e4", "e5"]]),
        json!(["list", ["e1", "e2"]]),
        json!(["error", "42601"]),
        json!(["after an error", [{ "one": "1" }]]),
    ];
    assert_eq!(said, expected);
}

#[test]
fn jdbc_asks_describes_and_stops() {
    let server = Server::new();
    let mut java = Command::new("java");
    java.args(["-cp", "/usr/share/java/postgresql.jar"])
        .arg(repository().join("tests/clients/Postgres.java"))
        .args([&server.port(), USER, PASSWORD]);
    let said = Server::run(&mut java, "");
    assert!(said.is_ok, "{}{}", said.out, said.error);
    let expected = "\
        text: [e1]\ntime: [e4, e5]\nin parts: [e1, e2, e3, e4, e5]\nschemas: true\ntables: true\n\
        columns: 34\nkeys: []\nreferences: []\nindexes: []\ntypes: true\nprocedures: []\n\
        stopped: 57014\nstopped, of the tables: 57014\nvalid: true\n";
    assert_eq!(said.out, expected, "{}", said.error);
}
