//! Checking a published backup: what its files say, then what is in the copy.

use trivia_domain::model::{BackupId, BackupManifest};
use trivia_domain::{StoreError, StoreResult};

use super::content::{Contents, examine};
use super::directory::Directory;
use super::files::blocking;

/// The manifest of a backup that passes every check, or what is wrong with it.
pub(super) async fn inspect(directory: &Directory, id: &BackupId) -> StoreResult<Result<BackupManifest, Vec<String>>> {
    let (files, wanted) = (directory.clone(), id.clone());
    let (manifest, problems) = match blocking(move || files.check(&wanted)).await {
        Ok(checked) => checked,
        Err(error) => return finding(error).map(|problem| Err(vec![problem])),
    };
    if !problems.is_empty() {
        // a file that is not the one that was made is not opened
        return Ok(Err(problems));
    }
    let problems = match examine(&directory.copy(id)).await {
        Ok(contents) => differences(contents, &manifest),
        Err(error) => vec![finding(error)?],
    };
    Ok(if problems.is_empty() { Ok(manifest) } else { Err(problems) })
}

/// Damage is a result of a check; that it could not be made is an error.
fn finding(error: StoreError) -> StoreResult<String> {
    match error {
        StoreError::Corrupt { what, reason } => Ok(format!("{what}: {reason}")),
        other => Err(other),
    }
}

/// What is in a copy against what its manifest says.
pub(super) fn differences(contents: Contents, manifest: &BackupManifest) -> Vec<String> {
    let Contents { schema_version, rows, content, ledger, mut problems } = contents;
    if schema_version != manifest.schema_version {
        problems.push(format!("its schema is at {schema_version:?}, the manifest says {:?}", manifest.schema_version));
    }
    for (table, expected) in &manifest.rows {
        match rows.get(table) {
            None => problems.push(format!("table {table} is missing")),
            Some(found) if found != expected => {
                problems.push(format!("table {table} has {found} rows, the manifest says {expected}"));
            }
            Some(_) => {}
        }
    }
    for (table, expected) in &manifest.content {
        if content.get(table).is_some_and(|found| found != expected) {
            problems.push(format!("table {table} has other rows than the manifest says"));
        }
    }
    if manifest.ledger.is_some() && manifest.ledger != ledger {
        problems.push("the ledger ends elsewhere than the manifest says".to_owned());
    }
    for table in rows.keys().filter(|table| !manifest.rows.contains_key(*table)) {
        problems.push(format!("table {table} is not in the manifest"));
    }
    problems
}
