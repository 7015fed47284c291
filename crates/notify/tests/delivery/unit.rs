//! The systemd unit: it goes with the program's defaults and the daemon's unit, and systemd, where it
//! is installed, finds nothing wrong with it.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::program::Program;

/// `systemd-analyze security`: 0 is closed, 10 open. It came to 1.4: it has a network.
const EXPOSURE_MAX: f64 = 2.0;

fn unit(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/systemd");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// The values of a setting, which may be there several times.
fn values<'u>(unit: &'u str, name: &str) -> Vec<&'u str> {
    let lines = unit.lines().filter_map(|line| line.split_once('='));
    lines.filter(|(key, _)| *key == name).map(|(_, value)| value).collect()
}

#[test]
fn the_unit_is_as_closed_as_the_daemons_but_for_the_network() {
    let (ours, daemons) = (unit("traildex-notify.service"), unit("traildex.service"));
    for name in [
        "User",
        "Group",
        "UMask",
        "ProtectSystem",
        "ProtectHome",
        "PrivateTmp",
        "PrivateDevices",
        "NoNewPrivileges",
        "CapabilityBoundingSet",
        "AmbientCapabilities",
        "RestrictSUIDSGID",
        "RestrictNamespaces",
        "RestrictRealtime",
        "LockPersonality",
        "MemoryDenyWriteExecute",
        "RemoveIPC",
        "KeyringMode",
        "SystemCallArchitectures",
        "ProtectProc",
        "ProtectClock",
        "ProtectControlGroups",
        "ProtectHostname",
        "ProtectKernelLogs",
        "ProtectKernelModules",
        "ProtectKernelTunables",
    ] {
        assert_eq!(values(&ours, name).len(), 1, "{name}");
        assert_eq!(values(&ours, name), values(&daemons, name), "{name}");
    }
    assert_eq!(values(&ours, "SystemCallFilter"), values(&daemons, "SystemCallFilter")[..2]);
    assert_eq!(values(&ours, "StateDirectory"), ["traildex-notify"]);
    assert_eq!(values(&ours, "SocketBindDeny"), ["any"]);
    assert!(values(&ours, "ReadWritePaths").is_empty());
    assert!(values(&daemons, "PrivateNetwork") == ["yes"], "the daemon stays without a network");
}

/// The command line is one that the program takes: run as it is, but for the file that it names.
#[test]
fn the_units_command_starts_the_program() {
    let unit = unit("traildex-notify.service");
    let command = "/usr/bin/traildex-notify run --config /etc/traildex/notify.toml";
    assert_eq!(values(&unit, "ExecStart"), [command]);
    let mut program = Program::new();
    program.configure(&program.path("s"), "");
    program.start();
    program.wait_for_log("there is no target");
    program.stop();
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("traildex-notify.service");
    let program = env!("CARGO_BIN_EXE_traildex-notify");
    let text = unit("traildex-notify.service").replace("/usr/bin/traildex-notify", program);
    fs::write(&path, text).unwrap();
    let Ok(verified) = Command::new("systemd-analyze").arg("verify").arg(&path).output() else {
        println!("not tried: there is no systemd-analyze");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    let about_ours: Vec<&str> = said.lines().filter(|line| line.contains("traildex")).collect();
    assert!(verified.status.success() && about_ours.is_empty(), "{said}");

    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=true", "--no-pager"]).arg(&path);
    let output = security.output().unwrap();
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    let overall = "Overall exposure level for traildex-notify.service: ";
    let Some((_, overall)) = table.split_once(overall) else {
        // Before systemd 250.
        println!("not tried: {}", String::from_utf8_lossy(&output.stderr));
        return;
    };
    let exposure: f64 = overall.split_whitespace().next().unwrap().parse().unwrap();
    assert!(exposure <= EXPOSURE_MAX, "{table}");
}
