//! Names of users and groups to numbers, from `/etc/passwd` and `/etc/group` alone.
//!
//! The keeper is static, so the C library's name service (LDAP, sssd) is not available to it; a user that lives only
//! there is refused by name, and may be given by number together with a group. What is not found is an error: a run
//! never continues as whoever started it.

use std::fs;
use std::io;
use std::path::PathBuf;

/// A user as `/etc/passwd` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The login name.
    pub name: String,
    /// The user number.
    pub uid: u32,
    /// The number of the user's primary group.
    pub gid: u32,
    /// The home directory.
    pub home: PathBuf,
    /// The login shell.
    pub shell: PathBuf,
}

/// The ids that a child takes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// None: the user stays, only the group changes.
    pub(crate) uid: Option<u32>,
    pub(crate) gid: u32,
    /// Every supplementary group, the primary one included.
    pub(crate) groups: Vec<u32>,
}

impl User {
    /// Looks a user up by name, or by number; none when there is no such user.
    pub fn lookup(name_or_uid: &str) -> io::Result<Option<Self>> {
        Ok(find_user(&fs::read_to_string("/etc/passwd")?, name_or_uid))
    }
}

fn find_user(passwd: &str, wanted: &str) -> Option<User> {
    let users = || passwd.lines().filter_map(parse_user);
    // A login name may consist of digits; as everywhere else, the name wins.
    users().find(|u| u.name == wanted).or_else(|| {
        let uid: u32 = wanted.parse().ok()?;
        users().find(|u| u.uid == uid)
    })
}

fn parse_user(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    let home = fields.nth(1)?.into();
    let shell = fields.next().unwrap_or("").into();
    Some(User { name, uid, gid, home, shell })
}

fn groups(file: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    file.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let gid = fields.nth(1)?.parse().ok()?;
        Some((name, gid, fields.next().unwrap_or("")))
    })
}

/// Resolves what a spec names; none when it names neither. The error is the reason shown to the user.
pub(crate) fn resolve(user: Option<&str>, group: Option<&str>) -> Result<Option<Identity>, String> {
    if user.is_none() && group.is_none() {
        return Ok(None);
    }
    let read = |path: &str| fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
    resolve_in(user, group, &read("/etc/passwd")?, &read("/etc/group")?).map(Some)
}

fn resolve_in(
    user: Option<&str>,
    group: Option<&str>,
    passwd: &str,
    group_file: &str,
) -> Result<Identity, String> {
    let named_group = group
        .map(|wanted| {
            let by_name = groups(group_file).find(|g| g.0 == wanted).map(|g| g.1);
            by_name.or_else(|| wanted.parse().ok()).ok_or_else(|| format!("unknown group {wanted:?}"))
        })
        .transpose()?;
    let Some(wanted) = user else {
        let gid = named_group.ok_or("neither a user nor a group")?;
        return Ok(Identity { uid: None, gid, groups: vec![gid] });
    };
    match find_user(passwd, wanted) {
        Some(found) => {
            let gid = named_group.unwrap_or(found.gid);
            let member = |list: &str| list.split(',').any(|m| m == found.name);
            let mut all: Vec<u32> = groups(group_file).filter(|g| member(g.2)).map(|g| g.1).collect();
            all.push(gid);
            all.sort_unstable();
            all.dedup();
            Ok(Identity { uid: Some(found.uid), gid, groups: all })
        }
        None => {
            let uid = wanted.parse().map_err(|_| format!("unknown user {wanted:?}"))?;
            let gid =
                named_group.ok_or_else(|| format!("user {uid} is not in /etc/passwd; give a group too"))?;
            Ok(Identity { uid: Some(uid), gid, groups: vec![gid] })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/var/www:/bin/false\n# note\n";
    const GROUP: &str = "root:x:0:\nwww:x:34:\nadm:x:4:syslog,web\nssl:x:9:web\n";

    #[test]
    fn a_user_gets_every_group_that_lists_it() {
        let web = resolve_in(Some("web"), None, PASSWD, GROUP).expect("known");
        assert_eq!(web, Identity { uid: Some(33), gid: 34, groups: vec![4, 9, 34] });
        let by_number = resolve_in(Some("33"), Some("adm"), PASSWD, GROUP).expect("known");
        assert_eq!(by_number, Identity { uid: Some(33), gid: 4, groups: vec![4, 9] });
    }

    #[test]
    fn what_is_unknown_is_refused_by_name() {
        assert_eq!(resolve_in(Some("ghost"), None, PASSWD, GROUP), Err("unknown user \"ghost\"".into()));
        assert_eq!(
            resolve_in(Some("web"), Some("ghosts"), PASSWD, GROUP),
            Err("unknown group \"ghosts\"".into())
        );
        assert!(resolve_in(Some("4000"), None, PASSWD, GROUP).is_err(), "a number alone has no group");
        assert_eq!(
            resolve_in(Some("4000"), Some("4001"), PASSWD, GROUP),
            Ok(Identity { uid: Some(4000), gid: 4001, groups: vec![4001] })
        );
    }
}
