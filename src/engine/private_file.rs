//! Files that only their owner may read, and that are there whole or not at all: records, plans, journals.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

/// Writes a file of mode 0600 in one step: whoever reads it finds the old content or the new one.
///
/// # Errors
/// The folder cannot be written, the disk is full; the old file is then untouched.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    write_with(path, |mut file| file.write_all(content))
}

/// The same, its content written by `write` piece by piece.
///
/// # Errors
/// As [`write()`], and whatever `write` answers.
pub(crate) fn write_with(path: &Path, write: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    // A pipe or a device, such as /dev/stdout, is written to and must not be replaced.
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        let mut file = std::fs::OpenOptions::new().write(true).open(path)?;
        write(&file)?;
        return file.flush();
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // Mode 0600 is what tempfile gives from the start.
    let file = tempfile::NamedTempFile::new_in(folder)?;
    write(file.as_file())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_folder(folder)
}

/// So that the new name survives a power cut.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Folders cannot be opened as files there.
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn files_are_private_and_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
        assert!(write(&folder.path().join("missing/plan.json"), b"x").is_err());
        assert!(write(folder.path(), b"x").is_err(), "a folder is no file");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_device_is_written_to_and_stays() {
        use std::os::unix::fs::FileTypeExt as _;
        assert!(write(Path::new("/dev/null"), b"x").is_ok());
        let full = write(Path::new("/dev/full"), b"x").unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        for device in ["/dev/null", "/dev/full"] {
            assert!(std::fs::metadata(device).unwrap().file_type().is_char_device(), "{device}");
        }
    }
}
