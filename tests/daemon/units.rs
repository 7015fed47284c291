//! The systemd units: what they name is there, they go together with the defaults, and systemd itself,
//! where it is installed, finds nothing wrong with them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use traildex::config::Config;

use crate::common::{self, Place, trail};

/// `systemd-analyze security`: 0 is closed, 10 open. It came to 0.6.
const EXPOSURE_MAX: f64 = 1.0;

/// The same with the drop-in for AWS's tools, which opens loopback.
const EXPOSURE_WITH_LOOPBACK_MAX: f64 = 1.8;

fn unit(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/systemd");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// The values of a setting, which may be there several times.
fn values<'u>(unit: &'u str, name: &str) -> Vec<&'u str> {
    let lines = unit.lines().filter_map(|line| line.split_once('='));
    lines.filter(|(key, _)| *key == name).map(|(_, value)| value).collect()
}

#[track_caller]
fn check_value(unit: &str, name: &str, expected: &str) {
    assert_eq!(values(unit, name), [expected], "{name}");
}

#[test]
fn the_units_go_with_the_default_configuration() {
    let (service, socket) = (unit("traildex.service"), unit("traildex.socket"));
    let config = Config::default();
    check_value(&socket, "ListenStream", config.socket.path.to_str().unwrap());
    let below = |root: &str, name: &str| Path::new(root).join(values(&service, name)[0]);
    assert_eq!(below("/var/lib", "StateDirectory"), config.index.data_dir);
    assert_eq!(below("/run", "RuntimeDirectory"), config.socket.path.parent().unwrap());
    // Else systemd removes the socket unit's socket when the service ends.
    check_value(&service, "RuntimeDirectoryPreserve", "yes");
    check_value(&socket, "SocketMode", "0660");
    assert_eq!(values(&service, "Group"), values(&socket, "SocketGroup"));
}

/// A stop is done within 10 seconds, and the watchdog's time is one that the daemon understands.
#[test]
fn the_service_has_its_promises() {
    let service = unit("traildex.service");
    for (name, value) in [
        ("Type", "notify"),
        ("TimeoutStartSec", "infinity"),
        ("TimeoutStopSec", "15"),
        ("WatchdogSec", "60"),
        ("Restart", "on-failure"),
        ("User", "traildex"),
        ("PrivateNetwork", "yes"),
        ("RestrictAddressFamilies", "AF_UNIX"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
    ] {
        check_value(&service, name, value);
    }
    assert_eq!(values(&service, "SystemCallFilter")[0], "@system-service");
    assert!(values(&service, "ReadWritePaths").is_empty(), "it writes to its index only");
}

/// Loopback is opened, and nothing else that the service forbids.
#[test]
fn the_drop_in_for_awss_tools_opens_loopback_only() {
    let drop_in = unit("aws.conf");
    let settings: Vec<&str> =
        drop_in.lines().filter(|line| !line.starts_with('#') && line.contains('=')).collect();
    let expected = [
        "PrivateNetwork=no",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        "IPAddressAllow=localhost",
        "SocketBindDeny=any",
        "SocketBindAllow=tcp:8123",
    ];
    assert_eq!(settings, expected);
    // What the drop-in adds to.
    check_value(&unit("traildex.service"), "IPAddressDeny", "any");
}

/// The command line is one that the program takes: run as it is, but for the file that it names.
#[test]
fn the_services_command_starts_the_daemon() {
    let service = unit("traildex.service");
    let [line] = values(&service, "ExecStart")[..] else { panic!("not one ExecStart") };
    let (program, arguments) = line.split_once(' ').unwrap();
    assert_eq!(program, "/usr/bin/traildex");
    let place = Place::new();
    fs::write(place.archive().join("a.json"), trail(&["a"])).unwrap();
    let file = place.path("traildex.toml");
    let lines = format!(
        "[watch]\ndirs = ['{}']\n[index]\ndata_dir = '{}'\n[socket]\npath = '{}'\n",
        place.archive().display(),
        place.data_dir().display(),
        place.socket().display()
    );
    fs::write(&file, lines).unwrap();
    let mut command = common::traildex();
    for argument in arguments.split(' ') {
        let is_file = argument == "/etc/traildex/traildex.toml";
        command.arg(if is_file { file.as_os_str() } else { argument.as_ref() });
    }
    let daemon = place.spawn(command);
    daemon.wait_count("*", 1);
    daemon.stop();
}

/// The units with this program in place of an installed one, as systemd's tools want it.
fn installed(folder: &Path) -> Vec<PathBuf> {
    let program = env!("CARGO_BIN_EXE_traildex");
    let units = ["traildex.socket", "traildex.service"].map(|name| {
        let path = folder.join(name);
        fs::write(&path, unit(name).replace("/usr/bin/traildex", program)).unwrap();
        path
    });
    units.to_vec()
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    check_with_systemd(false);
}

#[test]
fn systemd_finds_nothing_wrong_with_the_drop_in() {
    check_with_systemd(true);
}

fn check_with_systemd(is_for_aws: bool) {
    let folder = tempfile::tempdir().unwrap();
    let units = installed(folder.path());
    if is_for_aws {
        let drop_ins = folder.path().join("traildex.service.d");
        fs::create_dir(&drop_ins).unwrap();
        fs::write(drop_ins.join("aws.conf"), unit("aws.conf")).unwrap();
    }
    let Ok(verified) = Command::new("systemd-analyze").arg("verify").args(&units).output() else {
        println!("not tried: there is no systemd-analyze");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    let about_ours: Vec<&str> = said.lines().filter(|line| line.contains("traildex")).collect();
    assert!(verified.status.success() && about_ours.is_empty(), "{said}");

    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=true", "--no-pager"]).arg(&units[1]);
    let output = security.output().unwrap();
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    let Some((_, overall)) = table.split_once("Overall exposure level for traildex.service: ")
    else {
        // Before systemd 250.
        println!("not tried: {}", String::from_utf8_lossy(&output.stderr));
        return;
    };
    let exposure: f64 = overall.split_whitespace().next().unwrap().parse().unwrap();
    let max = if is_for_aws { EXPOSURE_WITH_LOOPBACK_MAX } else { EXPOSURE_MAX };
    assert!(exposure <= max, "{table}");
}
