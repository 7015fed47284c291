//! Whose socket it is, and where it may be.

use super::*;

#[test]
fn a_socket_is_opened_for_its_group_in_a_new_directory() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("run/deep/s");
    let _listener = bind(&socket, None).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&socket), 0o660);
    assert_eq!(mode(&folder.path().join("run")) & !0o750, 0);
}

#[test]
fn an_abandoned_socket_is_replaced_and_a_live_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    drop(bind(&socket, None).unwrap());
    assert!(socket.exists());
    let _live = bind(&socket, None).unwrap();
    let error = bind(&socket, None).unwrap_err().to_string();
    assert!(error.contains("another daemon answers"), "{error}");
}

#[test]
fn a_stop_removes_its_own_socket_only() {
    for is_replaced in [false, true] {
        let mut daemon = Daemon::start(ServerOptions::default());
        assert_eq!(daemon.ask("GET", "/healthz", b"").0, 200);
        if is_replaced {
            fs::remove_file(daemon.socket()).unwrap();
            let _other = std::os::unix::net::UnixListener::bind(daemon.socket()).unwrap();
        }
        daemon.stop().unwrap();
        assert_eq!(daemon.socket().exists(), is_replaced);
    }
}

#[test]
fn what_is_not_a_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("precious");
    fs::write(&file, "kept").unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    for path in [&file, &link] {
        let error = bind(path, None).unwrap_err().to_string();
        assert!(error.contains("is not a socket"), "{error}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
    let long = folder.path().join("x".repeat(108));
    assert!(bind(&long, None).unwrap_err().to_string().contains("at most 107"));
}

#[test]
fn a_directory_where_others_could_put_a_socket_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let outer = folder.path().join("outer");
    let inner = outer.join("inner");
    fs::create_dir_all(&inner).unwrap();
    let outcome = |modes: [u32; 2]| {
        for (dir, mode) in [&outer, &inner].into_iter().zip(modes) {
            fs::set_permissions(dir, fs::Permissions::from_mode(mode)).unwrap();
        }
        bind(&inner.join("s"), None).map(drop).map_err(|error| error.to_string())
    };
    // Sticky: what is in it stays, so it may be above the socket's directory.
    for modes in [[0o700, 0o700], [0o755, 0o755], [0o1777, 0o700], [0o1770, 0o711]] {
        assert_eq!(outcome(modes), Ok(()), "{modes:?}");
    }
    for mode in [0o777, 0o770, 0o720, 0o702, 0o1777, 0o1770, 0o2775] {
        let error = outcome([0o755, mode]).unwrap_err();
        let expected = format!("the socket's directory {} has mode {mode:04o}: ", inner.display());
        assert!(error.starts_with(&expected), "{error}");
        // What everybody may write to may be the machine's own, such as /tmp.
        let advice = match mode & 0o002 {
            0 => format!("; run chmod g-w {}, or set socket.path", inner.display()),
            _ => "; set socket.path to a directory of its own".to_owned(),
        };
        assert!(error.contains(&advice), "{error}");
    }
    for mode in [0o777, 0o775, 0o702] {
        let error = outcome([mode, 0o700]).unwrap_err();
        let expected = format!("above the socket, {} has mode {mode:04o}: ", outer.display());
        assert!(error.starts_with(&expected), "{error}");
    }
    // By way of a link, it is the directory itself that counts.
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&inner, &link).unwrap();
    assert!(bind(&link.join("s"), None).is_err());
}

#[test]
fn a_directory_of_another_user_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("theirs");
    fs::create_dir(&dir).unwrap();
    if std::os::unix::fs::chown(&dir, Some(4_000_001), None).is_err() {
        println!("not tried: this user cannot give directories away");
        return;
    }
    let error = bind(&dir.join("s"), None).unwrap_err().to_string();
    assert!(error.contains("theirs belongs to user 4000001, who could put"), "{error}");
    fs::create_dir(dir.join("ours")).unwrap();
    let error = bind(&dir.join("ours/s"), None).unwrap_err().to_string();
    assert!(error.starts_with("above the socket, "), "{error}");
}

#[test]
fn a_socket_and_its_new_directory_are_given_to_a_group() {
    use std::os::unix::fs::MetadataExt as _;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("new/s");
    let own = fs::metadata(folder.path()).unwrap();
    // Only root can give to a group that it is not in.
    let group = if own.uid() == 0 { 4_000_002 } else { own.gid() };
    let _listener = bind(&socket, Some(group)).unwrap();
    for path in [&socket, &folder.path().join("new")] {
        assert_eq!(fs::metadata(path).unwrap().gid(), group, "{}", path.display());
    }
    assert_eq!(fs::metadata(folder.path()).unwrap().gid(), own.gid());
}
