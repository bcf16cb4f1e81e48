//! FusionAuth's version number, comparable. Knows nothing of what a version can do: that stands where it is used.

use std::fmt;
use std::str::FromStr;

/// A server's version such as `1.69.0`. A suffix such as `-RC.1` is kept for printing and makes the version older than the
/// one without it, as in semantic versioning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerVersion {
    major: u32,
    minor: u32,
    patch: u32,
    suffix: Option<String>,
}

impl ServerVersion {
    /// The oldest server that the client speaks to: group search came with it (wire notes §14).
    pub const OLDEST_SUPPORTED: ServerVersion = ServerVersion::new(1, 45, 0);

    /// A version without a suffix.
    #[must_use]
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch, suffix: None }
    }

    /// Whether this server has what came with `major.minor`; a pre-release of that very version counts as having it.
    #[must_use]
    pub fn at_least(&self, major: u32, minor: u32) -> bool {
        (self.major, self.minor) >= (major, minor)
    }

    /// The first two numbers, by which features are known.
    #[must_use]
    pub fn major_minor(&self) -> (u16, u16) {
        let small = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
        (small(self.major), small(self.minor))
    }

    /// Whether the client speaks to this server at all.
    #[must_use]
    pub fn is_supported(&self) -> bool {
        self.at_least(Self::OLDEST_SUPPORTED.major, Self::OLDEST_SUPPORTED.minor)
    }
}

impl Ord for ServerVersion {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.major, self.minor, self.patch).cmp(&(other.major, other.minor, other.patch)).then_with(
            || match (&self.suffix, &other.suffix) {
                (None, None) => std::cmp::Ordering::Equal,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(_), None) => std::cmp::Ordering::Less,
                (Some(a), Some(b)) => a.cmp(b),
            },
        )
    }
}

impl PartialOrd for ServerVersion {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        match &self.suffix {
            Some(suffix) => f.write_str(suffix),
            None => Ok(()),
        }
    }
}

/// The text is not a version number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a version number such as 1.69.0")]
pub struct ParseVersionError;

impl FromStr for ServerVersion {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (numbers, suffix) = text.split_at(end);
        // "1.70.0.RC1": the dot belongs to the suffix.
        let (numbers, suffix) = match numbers.strip_suffix('.') {
            Some(shorter) => (shorter, text.get(shorter.len()..).unwrap_or(suffix)),
            None => (numbers, suffix),
        };
        let usable =
            suffix.len() <= 32 && suffix.chars().all(|c| c.is_ascii_alphanumeric() || "-+._".contains(c));
        let mut parts = numbers.split('.').map(|part| part.parse::<u32>().map_err(|_| ParseVersionError));
        let major = parts.next().unwrap_or(Err(ParseVersionError))?;
        let minor = parts.next().unwrap_or(Err(ParseVersionError))?;
        let patch = parts.next().unwrap_or(Ok(0))?;
        if !usable || parts.any(|part| part.is_err()) {
            return Err(ParseVersionError);
        }
        let suffix = (!suffix.is_empty()).then(|| suffix.to_owned());
        Ok(Self { major, minor, patch, suffix })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_servers_say() {
        for (text, shown) in [
            ("1.69.0", "1.69.0"),
            ("1.45", "1.45.0"),
            ("1.70.0-RC.1", "1.70.0-RC.1"),
            ("1.70.0.RC1", "1.70.0.RC1"),
            (" 1.5.0\n", "1.5.0"),
        ] {
            assert_eq!(text.parse::<ServerVersion>().unwrap().to_string(), shown);
        }
        for text in ["", "1", "x.1", "1.x", "1..2", "<html>", "1.2.3 <b>"] {
            assert!(text.parse::<ServerVersion>().is_err(), "{text}");
        }
    }

    #[test]
    fn compares_by_number_and_not_by_text() {
        let version = |text: &str| text.parse::<ServerVersion>().unwrap();
        assert!(version("1.9.0") < version("1.10.0"));
        assert!(version("1.70.0-RC.1") < version("1.70.0"));
        assert!(version("1.70.0-RC.1").at_least(1, 70));
        assert!(!version("1.44.9").is_supported());
        assert!(version("1.45.0").is_supported());
    }
}
