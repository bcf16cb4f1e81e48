//! The emulated FusionAuth version, by which features are switched. Knows nothing else.

use std::fmt;
use std::str::FromStr;

use super::config::Error;

/// A FusionAuth version as `major.minor.patch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u16,
    minor: u16,
    patch: u16,
}

impl Version {
    /// What the sandbox is by default: the version of the reference documents.
    pub const NEWEST: Self = Self::new(1, 69, 0);
    /// The oldest version that can be asked for.
    pub const OLDEST: Self = Self::new(1, 37, 0);

    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch }
    }

    /// Whether this is 1.`minor`.0 or newer.
    pub fn since(self, minor: u16) -> bool {
        self >= Self::new(1, minor, 0)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::Version(text.to_owned());
        let mut parts = text.split('.').map(|part| part.parse::<u16>().map_err(|_| wrong()));
        let mut next = |default: Option<u16>| match (parts.next(), default) {
            (Some(part), _) => part,
            (None, Some(value)) => Ok(value),
            (None, None) => Err(wrong()),
        };
        let version = Self::new(next(None)?, next(None)?, next(Some(0))?);
        if parts.next().is_some() || version < Self::OLDEST || version.major != 1 {
            return Err(wrong());
        }
        Ok(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_ordered_as_numbers() {
        let version: Version = "1.45".parse().unwrap();
        assert_eq!(version.to_string(), "1.45.0");
        assert!(version.since(45) && version.since(5) && !version.since(46));
        for wrong in ["1.36.9", "2.0.0", "1", "1.69.0.1", "1.x", ""] {
            assert!(wrong.parse::<Version>().is_err(), "{wrong}");
        }
    }
}
