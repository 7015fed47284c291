//! The section `sql`.

use std::net::SocketAddr;
use std::path::PathBuf;

/// SQL, which is another program's: `traildex-sql serve` reads the same file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sql {
    /// Where it keeps what it writes.
    pub state_dir: PathBuf,
    /// Names of event data stores under which `cloudtrail` is found, too.
    pub stores: Vec<String>,
    /// Queries that run at once.
    pub queries_max: usize,
    /// Memory of all of them, shared out evenly.
    pub memory_bytes_max: usize,
    /// What all of them may write to disk.
    pub disk_bytes_max: usize,
    /// The longest that a query may take.
    pub timeout_s_max: u64,
    /// A loopback address for PostgreSQL's wire protocol; none where nothing listens.
    pub postgres_address: Option<SocketAddr>,
    /// The passwords of its users.
    pub postgres_passwords: PathBuf,
}

impl Default for Sql {
    fn default() -> Self {
        Self {
            state_dir: PathBuf::from("/var/lib/traildex-sql"),
            stores: Vec::new(),
            queries_max: 4,
            memory_bytes_max: 1 << 30,
            disk_bytes_max: 8 << 30,
            timeout_s_max: 600,
            postgres_address: None,
            postgres_passwords: PathBuf::from("/etc/traildex.postgres"),
        }
    }
}
