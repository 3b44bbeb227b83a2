//! Loads the configuration from its file, for `check` and for the daemon.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File},
    io, iter,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use sha2::{Digest as _, Sha256};

use super::CommandError;
use crate::{
    config::{
        Config, ConfigError, MAX_FILE, SecretSource, Text, Warning, parse_files, parse_uci,
        uci_as_yaml,
    },
    regular_file,
};

/// The largest file that a secret is read from, in bytes.
const MAX_SECRET: usize = 4096;

/// Where the configuration is unless another file is named.
pub(crate) const YAML_FILE: &str = "/etc/wsbridge/wsbridge.yaml";

/// Where OpenWrt keeps it.
pub(crate) const UCI_FILE: &str = "/etc/config/wsbridge";

/// A configuration file, and the form it is in.
#[derive(Clone, Debug)]
pub(crate) enum ConfigFile {
    /// YAML.
    Yaml(PathBuf),
    /// UCI, OpenWrt's form.
    Uci(PathBuf),
}

impl ConfigFile {
    /// The file that the command line names: `--uci` takes precedence.
    pub(crate) fn named(uci: Option<&PathBuf>, yaml: &Path) -> Self {
        uci.map_or_else(|| Self::Yaml(yaml.to_owned()), |file| Self::Uci(file.clone()))
    }

    /// Whether it is standard input.
    pub(crate) fn is_stdin(&self) -> bool {
        self.path() == Path::new("-")
    }

    /// The name that mistakes quote.
    pub(crate) fn name(&self) -> String {
        if self.is_stdin() { "standard input".into() } else { self.path().display().to_string() }
    }

    /// How to type a command about this file.
    pub(crate) fn typed(&self, command: &str) -> String {
        match self {
            Self::Yaml(path) if path == Path::new(YAML_FILE) => format!("sudo wsbridge {command}"),
            Self::Yaml(path) => format!("sudo wsbridge {command} {}", path.display()),
            Self::Uci(path) if path == Path::new(UCI_FILE) => format!("wsbridge {command} --uci"),
            Self::Uci(path) => format!("wsbridge {command} --uci {}", path.display()),
        }
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        let (Self::Yaml(path) | Self::Uci(path)) = self;
        path
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The file cannot be read.
    #[error("{}: {why}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why, and what to do.
        why: String,
    },
    /// The file is wrong.
    #[error(transparent)]
    Wrong(#[from] ConfigError),
}

impl LoadError {
    /// In one line, for the log: the first mistake, and how many more there are.
    pub(crate) fn brief(&self) -> String {
        let text = self.to_string();
        // A line of the file, shown below its mistake, begins with a space.
        let mut mistakes = text.lines().filter(|line| !line.starts_with(' '));
        let first = mistakes.next().unwrap_or_default();
        match mistakes.count() {
            0 => first.to_owned(),
            1 => format!("{first} (and 1 more mistake)"),
            more => format!("{first} (and {more} more mistakes)"),
        }
    }

    /// The exit code of sysexits(3): 66 if there is no input, 78 if the configuration is wrong.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Unreadable { .. } => 66,
            Self::Wrong(_) => 78,
        }
    }
}

impl From<&LoadError> for CommandError {
    fn from(error: &LoadError) -> Self {
        Self { code: error.exit_code(), message: error.to_string() }
    }
}

/// Finds the file of a systemd credential; `None` if there is none.
pub(super) type CredentialFile<'a> = dyn Fn(&str) -> Option<PathBuf> + 'a;

/// A configuration, and what there was to say about it.
#[derive(Debug)]
pub(crate) struct LoadedConfig {
    /// As the daemon would run it.
    pub(crate) config: Config,
    /// What is legal but odd.
    pub(crate) warnings: Vec<Warning>,
    /// Files that secrets were read from.
    pub(crate) secrets: Vec<PathBuf>,
}

/// Reads, parses and resolves a configuration file, with secrets from files and systemd
/// credentials.
///
/// # Errors
/// The file is missing, unreadable, larger than 1 MiB or not UTF-8, or its contents are wrong.
pub(crate) fn load(source: &ConfigFile) -> Result<(Config, Vec<Warning>), LoadError> {
    load_with(source, None)
}

/// [`load`] as if there were more: another file of endpoints, or another section at the end of a
/// UCI file.
pub(super) fn load_with(
    source: &ConfigFile,
    more: More,
) -> Result<(Config, Vec<Warning>), LoadError> {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from).or_else(the_services);
    let credential = |name: &str| Some(folder.as_ref()?.join(name));
    let LoadedConfig { config, mut warnings, .. } = read_with(source, more, &credential)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    for (name, token) in &config.access.tokens {
        if token.expires.is_some_and(|end| u64::try_from(end).map_or(true, |end| end <= now)) {
            warnings.push(Warning(format!(
                "{}: token {name} has expired; remove it",
                source.path().display()
            )));
        }
    }
    Ok((config, warnings))
}

/// The credentials of the running service, so that root's `wsbridge check` sees them.
fn the_services() -> Option<PathBuf> {
    let folder = PathBuf::from("/run/credentials/wsbridge.service");
    folder.is_dir().then_some(folder)
}

/// [`load`] without looking at the clock; `credential` finds the file of a systemd credential.
pub(super) fn read(
    source: &ConfigFile,
    credential: &CredentialFile<'_>,
) -> Result<LoadedConfig, LoadError> {
    read_with(source, None, credential)
}

/// What is tried out with a configuration before it is written: a file and its text.
pub(super) type More = Option<(PathBuf, String)>;

/// Reads the file, those beside it and `more`, and notes which files the secrets came from.
fn read_with(
    source: &ConfigFile,
    more: More,
    credential: &CredentialFile<'_>,
) -> Result<LoadedConfig, LoadError> {
    let path = source.path();
    let text = text(path)?;
    let files = RefCell::new(Vec::new());
    let secrets = |source: &SecretSource| {
        if let SecretSource::File(path) = source {
            files.borrow_mut().push(path.clone());
        }
        secret(source, credential)
    };
    let name = source.name();
    let mut hashes = BTreeMap::from([(name.clone(), hash(&text))]);
    let (mut config, warnings) = match source {
        ConfigFile::Yaml(_) => {
            let mut all = if source.is_stdin() { BTreeMap::new() } else { beside(path)? };
            if let Some((path, text)) = more {
                all.insert(path.display().to_string(), text);
            }
            hashes.extend(all.iter().map(|(name, text)| (name.clone(), hash(text))));
            let rest = all.iter().map(|(name, text)| Text { name, text });
            let files: Vec<_> = iter::once(Text { name: &name, text: &text }).chain(rest).collect();
            parse_files(&files, &secrets)?
        }
        ConfigFile::Uci(_) => {
            let more = more.map(|(_, text)| text).unwrap_or_default();
            parse_uci(&format!("{text}{more}"), &name, &secrets)?
        }
    };
    config.files = hashes;
    Ok(LoadedConfig { config, warnings, secrets: files.take() })
}

/// As `sha256sum` prints it.
fn hash(text: &str) -> String {
    format!("{:x}", Sha256::digest(text))
}

/// A UCI file as the YAML file would say it.
///
/// # Errors
/// The file cannot be read, or is not UCI.
pub(crate) fn as_yaml(path: &Path) -> Result<String, LoadError> {
    Ok(uci_as_yaml(&text(path)?, &path.display().to_string())?)
}

/// A file's text.
fn text(path: &Path) -> Result<String, LoadError> {
    let unreadable = |why: String| LoadError::Unreadable { path: path.to_owned(), why };
    let bytes = bytes(path).map_err(|why| unreadable(told(&why)))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line =
            error.as_bytes().get(..at).unwrap_or_default().split(|byte| *byte == b'\n').count();
        unreadable(format!("line {line} is not UTF-8; save the file in UTF-8"))
    })
}

/// The folder with more endpoints beside a configuration file.
pub(super) fn folder_of_endpoints(file: &Path) -> PathBuf {
    file.with_file_name("endpoints.d")
}

/// The files in that folder by their paths, if it exists. Drafts and the leftovers of editors have
/// other names.
fn beside(file: &Path) -> Result<BTreeMap<String, String>, LoadError> {
    let mut all = BTreeMap::new();
    let folder = folder_of_endpoints(file);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(all);
        }
        Err(error) => return Err(LoadError::Unreadable { path: folder, why: told(&error) }),
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.file_name().and_then(OsStr::to_str).is_some_and(is_of_endpoints) {
            let text = text(&path)?;
            all.insert(path.display().to_string(), text);
        }
    }
    Ok(all)
}

fn is_of_endpoints(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !name.starts_with('.')
        && name.chars().all(fits)
        && name.strip_suffix(".yaml").is_some_and(|stem| !stem.is_empty())
}

/// A file's bytes. A descriptor that the caller has open, as in `check <(...)`, may be any kind of
/// file.
fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let path = if path == Path::new("-") { Path::new("/dev/stdin") } else { path };
    let handed = ["/dev/stdin", "/dev/fd/", "/proc/self/fd/"];
    if path.to_str().is_some_and(|path| handed.iter().any(|name| path.starts_with(name))) {
        regular_file::read_at_most(File::open(path)?, MAX_FILE)
    } else {
        regular_file::read(path, MAX_FILE)
    }
}

/// The first line of a file or a credential.
fn secret(source: &SecretSource, credential: &CredentialFile<'_>) -> Result<String, String> {
    let path = match source {
        SecretSource::File(path) => path.clone(),
        SecretSource::Credential(name) => credential(name).ok_or_else(|| {
            format!("systemd handed over no credentials; add LoadCredential={name}:/path to the unit, or use `file:`")
        })?,
    };
    let bytes = regular_file::read(&path, MAX_SECRET)
        .map_err(|why| format!("{}: {}", path.display(), of_secret(&why)))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{}: is not UTF-8", path.display()))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Why a file with a secret cannot be read.
#[expect(clippy::wildcard_enum_match_arm, reason = "the rest is as of any file")]
fn of_secret(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "no such file; its first line must be the hash that `wsbridge passwd` or `wsbridge token new` prints".into()
        }
        io::ErrorKind::FileTooLarge => "the file is over 4 KiB; it holds one line, the hash".into(),
        _ => told(error),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the rest speaks for itself")]
fn told(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "no such file; name another, or begin with an example (configs/minimal.yaml)".into()
        }
        io::ErrorKind::PermissionDenied => "this user may not read it".into(),
        io::ErrorKind::FileTooLarge => {
            "the file is over 1 MiB, too big; is it the right one?".into()
        }
        io::ErrorKind::IsADirectory => "is a directory, not a file".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn load(path: &Path) -> Result<(Config, Vec<Warning>), LoadError> {
        super::load(&ConfigFile::Yaml(path.to_owned()))
    }

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn a_missing_file_is_no_input_and_a_wrong_one_is_a_wrong_configuration() {
        let error = load(Path::new("/nonexistent/wsbridge.yaml")).unwrap_err();
        assert_eq!(error.exit_code(), 66);
        assert!(error.to_string().contains("/nonexistent/wsbridge.yaml: no such file"), "{error}");
        assert_eq!(load(Path::new("/")).unwrap_err().exit_code(), 66);
        assert_eq!(load(file(b"").path()).unwrap_err().exit_code(), 78);
    }

    #[test]
    fn endpoints_beside_the_file_are_read_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let main = at("wsbridge.yaml");
        fs::write(&main, "auth: none\nendpoints: { a: { sim: echo } }\n").unwrap();
        let names =
            || load(&main).map(|(config, _)| config.endpoints.into_keys().collect::<Vec<_>>());
        assert_eq!(names().unwrap(), ["a"]);
        fs::create_dir(at("endpoints.d")).unwrap();
        fs::write(at("endpoints.d/b.yaml"), "b: { sim: echo }\n").unwrap();
        for other in [".c.yaml", "c.yaml~", "c.yml", "c d.yaml", ".yaml", "README"] {
            fs::write(at("endpoints.d").join(other), "c: { sim: echo }\n").unwrap();
        }
        assert_eq!(names().unwrap(), ["a", "b"]);
        fs::write(at("endpoints.d/c.yaml"), "a: { sim: echo }\n").unwrap();
        let error = names().unwrap_err().to_string();
        let (second, first) = (at("endpoints.d/c.yaml"), main.display());
        assert!(error.contains(&format!("{}:1:1: ", second.display())), "{error}");
        assert!(error.contains(&format!("`a` is in {first}:2 as well")), "{error}");
        fs::remove_file(&second).unwrap();
        fs::create_dir(&second).unwrap();
        assert!(names().unwrap_err().to_string().contains("c.yaml: is a directory"));
    }

    #[test]
    fn a_file_that_is_no_text_is_refused_with_its_line() {
        let error = load(file(b"auth: none\ntitle: \xff").path()).unwrap_err();
        assert!(error.to_string().contains("line 2 is not UTF-8"), "{error}");
    }

    #[test]
    fn a_file_is_read_no_further_than_a_mebibyte_and_a_device_not_at_all() {
        let error = load(file(&vec![b'#'; MAX_FILE + 1]).path()).unwrap_err();
        assert!(error.to_string().contains("too big"), "{error}");
        let error = load(Path::new("/dev/zero")).unwrap_err();
        assert!(error.to_string().contains("is a device, not a regular file"), "{error}");
    }

    #[test]
    fn secrets_come_from_files_and_credentials() {
        let folder = tempfile::tempdir().unwrap();
        let hash = "0f".repeat(32);
        fs::write(folder.path().join("token"), format!("{hash}\nnot this\n")).unwrap();
        let source = SecretSource::Credential("token".into());
        assert_eq!(secret(&source, &|name| Some(folder.path().join(name))), Ok(hash.clone()));
        assert!(secret(&source, &|_| None).unwrap_err().contains("LoadCredential=token"));
        let path = folder.path().join("token");
        let text = format!(
            "tokens: {{ old: {{ sha256: {{ file: {} }}, expires: 2001-01-01, rights: {{ /metrics: [ read ] }} }} }}",
            path.display()
        );
        let (config, warnings) = load(file(text.as_bytes()).path()).unwrap();
        assert_eq!(config.access.tokens["old"].sha256, [15; 32]);
        assert!(warnings.iter().any(|warning| warning.0.contains("has expired")), "{warnings:?}");
        let error = load(file(text.replace("/token", "/gone").as_bytes()).path()).unwrap_err();
        for part in ["tokens.old.sha256", "no such file", "`wsbridge token new` prints"] {
            assert!(error.to_string().contains(part), "{error}");
        }
        // A missing configuration gets other advice.
        assert!(!error.to_string().contains("minimal.yaml"), "{error}");
        let gone = load(Path::new("/nonexistent")).unwrap_err().to_string();
        assert!(gone.contains("configs/minimal.yaml") && !gone.contains("hash"), "{gone}");
    }
}
