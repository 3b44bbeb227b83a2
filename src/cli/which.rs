//! Which configuration a command is about: named in the same way for all commands.

use std::path::{Path, PathBuf};

use super::load::{ConfigFile, UCI_FILE, YAML_FILE};

/// The configuration that is named.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Which {
    /// Configuration file; the same as --config [default: /etc/wsbridge/wsbridge.yaml]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Configuration file
    #[arg(short, long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
    /// Read OpenWrt's UCI instead of YAML
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = UCI_FILE, conflicts_with_all = ["file", "config"])]
    uci: Option<PathBuf>,
}

impl Which {
    /// Where to read it.
    pub(crate) fn source(&self) -> ConfigFile {
        let yaml = self.config.as_deref().or(self.file.as_deref()).unwrap_or(Path::new(YAML_FILE));
        ConfigFile::named(self.uci.as_ref(), yaml)
    }

    /// The configuration in this file of YAML, or in the usual one.
    pub(crate) fn at(config: Option<PathBuf>) -> Self {
        Self { config, ..Self::default() }
    }

    /// The file, if it is UCI's.
    pub(crate) fn uci(&self) -> Option<&Path> {
        self.uci.as_deref()
    }

    /// The configuration in this file.
    #[cfg(test)]
    pub(crate) fn of(file: impl Into<PathBuf>) -> Self {
        Self { file: Some(file.into()), ..Self::default() }
    }

    /// The configuration in this UCI file.
    #[cfg(test)]
    pub(crate) fn of_uci(uci: Option<PathBuf>) -> Self {
        Self { uci, ..Self::default() }
    }
}
