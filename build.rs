//! Assembles the page and embeds it: a table of compressed files for `src/http/assets.rs`.
//!
//! `WSBRIDGE_PAGE=DIR` takes a page that `node web/build.mjs DIR` assembled elsewhere: for
//! packagers and cross builds without Node.js. Otherwise `web/build.mjs` runs here, with the
//! packages of `web/package-lock.json`: those in `web/node_modules` if they are the right ones, or
//! else those that `npm ci` installs beside a copy in the build's own folder. No source folder is
//! ever written to.
//!
//! If Node.js or npm is missing, or npm cannot get the packages, the gateway is built without its
//! page, and a warning says so. `WSBRIDGE_NEEDS_PAGE=1` makes that an error, for packagers.

use std::{
    collections::BTreeSet,
    env,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use serde_json::Value;

/// What the page is made of, in `web/`.
const SOURCES: [&str; 6] =
    [".npmrc", "build.mjs", "client", "console", "package-lock.json", "package.json"];

/// The Node.js that esbuild needs.
const NODE: u32 = 18;

/// How many lines of npm's output a warning repeats; npm adds many more about its own logs.
const SAID: usize = 8;

/// Why there is no page.
enum Missing {
    /// This machine lacks something. A gateway without the page can be built.
    Tools(Vec<String>),
    /// The sources are wrong, or the page that was named is.
    Broken(String),
}

fn main() -> ExitCode {
    match embed() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("cargo::error=the page cannot be assembled: {why}");
            ExitCode::FAILURE
        }
    }
}

fn embed() -> Result<(), String> {
    for name in ["WSBRIDGE_PAGE", "WSBRIDGE_NEEDS_PAGE", "DOCS_RS"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    // A test runs this program where tools are missing.
    let own = env::current_exe().map_err(|error| error.to_string())?;
    println!("cargo::rustc-env=WSBRIDGE_BUILD_SCRIPT={}", own.display());
    let needed = env::var_os("WSBRIDGE_NEEDS_PAGE").is_some_and(|value| value != "0");
    if env::var_os("CARGO_FEATURE_CONSOLE").is_none() {
        let why = "WSBRIDGE_NEEDS_PAGE is set, and the feature `console` is off".to_owned();
        return if needed { Err(why) } else { Ok(()) };
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("no OUT_DIR")?);
    let no_page = "&[]".to_owned();
    let table = if env::var_os("DOCS_RS").is_some() {
        // Documentation is built without a network, and shows no page.
        no_page
    } else {
        match page(&out) {
            Ok(page) => table(&page)?,
            Err(Missing::Broken(why)) => return Err(why),
            Err(Missing::Tools(why)) if needed => return Err(why.join(" | ")),
            Err(Missing::Tools(why)) => {
                warn(&why);
                no_page
            }
        }
    };
    write(&out.join("assets.rs"), &table)
}

/// Says that there is no page, in lines that stand out from cargo's own.
fn warn(why: &[String]) {
    println!("cargo::warning=THIS GATEWAY IS BUILT WITHOUT ITS PAGE.");
    for line in why {
        println!("cargo::warning={line}");
    }
    for line in [
        "Then build again. Or name a page assembled elsewhere by `node web/build.mjs DIR`: WSBRIDGE_PAGE=DIR cargo build ..",
        "Everything but the page works; `/` of the gateway says how to get it.",
    ] {
        println!("cargo::warning={line}");
    }
}

/// The folder of the assembled page.
fn page(out: &Path) -> Result<PathBuf, Missing> {
    if let Some(given) = env::var_os("WSBRIDGE_PAGE") {
        // Relative to where the command was typed, not to the package, as it would be in cargo.
        let given = PathBuf::from(given);
        println!("cargo::rerun-if-changed={}", given.display());
        return Ok(given);
    }
    let web = env::var_os("CARGO_MANIFEST_DIR")
        .ok_or_else(|| Missing::Broken("no CARGO_MANIFEST_DIR".to_owned()))?;
    let web = PathBuf::from(web).join("web");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", web.join(source).display());
    }
    let installed_here = installed(&web);
    tools(!installed_here)?;
    let sources = if installed_here { web.clone() } else { out.join("web") };
    if !installed_here {
        copy(&web, &sources).map_err(Missing::Broken)?;
        packages(&web, &sources)?;
    }
    let page = out.join("page");
    run(Command::new("node").arg(sources.join("build.mjs")).arg(&page)).map_err(|said| {
        Missing::Broken(format!("`node build.mjs` failed: {}", said.join(" | ")))
    })?;
    Ok(page)
}

/// Checks that Node.js is there, and npm if it is needed.
fn tools(npm: bool) -> Result<(), Missing> {
    let version = |name: &str| run(Command::new(name).arg("--version")).ok();
    let mut lacks = Vec::new();
    match version("node") {
        None => lacks.push(format!("There is no `node`: the page needs Node.js {NODE} or newer.")),
        Some(text) => {
            let major = text.trim().trim_start_matches('v').split('.').next().unwrap_or_default();
            if major.parse::<u32>().is_ok_and(|major| major < NODE) {
                let text = text.trim();
                lacks.push(format!("`node` is {text}: the page needs Node.js {NODE} or newer."));
            }
        }
    }
    if npm && version("npm").is_none() {
        lacks.push("There is no `npm`, which gets the packages of the page.".to_owned());
    }
    if lacks.is_empty() {
        return Ok(());
    }
    lacks.push("Install what is missing (Debian 12 or newer: `sudo apt install npm`).".to_owned());
    // To notice once it is installed, be it by a package, by hand, or by a version manager.
    println!("cargo::rerun-if-env-changed=PATH");
    for folder in ["/usr/bin", "/usr/local/bin"] {
        println!("cargo::rerun-if-changed={folder}");
    }
    Err(Missing::Tools(lacks))
}

/// Has npm put the packages beside the copy of the sources.
fn packages(web: &Path, copy: &Path) -> Result<(), Missing> {
    if installed(copy) {
        return Ok(());
    }
    let npm = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    run(Command::new("npm").args(npm).current_dir(copy)).map(drop).map_err(|mut said| {
        // The command suggested below puts `node_modules` there.
        println!("cargo::rerun-if-changed={}", web.display());
        said.truncate(SAID);
        let mut lines = vec!["`npm ci` cannot get the packages of the page. It says:".to_owned()];
        lines.extend(said.iter().map(|line| format!("    {line}")));
        lines.push("Once that is mended (is the network there?), type `npm ci --ignore-scripts --prefix web`.".to_owned());
        Missing::Tools(lines)
    })
}

/// Whether `node_modules` contains what the lock file says: npm records there what it installed.
fn installed(web: &Path) -> bool {
    let packages = |path: &str| {
        let text = fs::read_to_string(web.join(path)).ok()?;
        let lock: Value = serde_json::from_str(&text).ok()?;
        let all = lock.get("packages")?.as_object()?.iter().filter(|(name, _)| !name.is_empty());
        // Packages for other machines are only in the lock file.
        let optional = |package: &Value| package.get("optional").is_some();
        Some(
            all.filter(|(_, package)| !optional(package))
                .map(|(name, package)| format!("{name} {:?}", package.get("integrity")))
                .collect::<BTreeSet<_>>(),
        )
    };
    let wanted = packages("package-lock.json");
    wanted.is_some() && wanted == packages("node_modules/.package-lock.json")
}

/// Copies the sources.
fn copy(web: &Path, copy: &Path) -> Result<(), String> {
    for source in SOURCES {
        let to = copy.join(source);
        let removed = if to.is_dir() { fs::remove_dir_all(&to) } else { fs::remove_file(&to) };
        if let Err(error) = removed
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(format!("{}: {error}", to.display()));
        }
        copy_all(&web.join(source), &to).map_err(|error| format!("{source}: {error}"))?;
    }
    Ok(())
}

fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        return fs::copy(from, to).map(drop);
    }
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        copy_all(&from.join(&name), &to.join(&name))?;
    }
    Ok(())
}

/// Runs a program; returns its output, or the lines it printed if it failed.
fn run(command: &mut Command) -> Result<String, Vec<String>> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| vec![format!("it does not start: {error}")])?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = said
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect();
    Err(if lines.is_empty() { vec![output.status.to_string()] } else { lines })
}

/// The table, as the expression of a `&[Asset]`.
fn table(page: &Path) -> Result<String, String> {
    let list = page.join("manifest.json");
    let wrong = |what: &dyn std::fmt::Display| format!("{}: {what}", list.display());
    let text = fs::read_to_string(&list).map_err(|error| wrong(&error))?;
    let manifest: Vec<Value> = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
    let mut table = String::from("&[\n");
    for asset in manifest {
        let word = |key: &str| {
            asset.get(key).and_then(Value::as_str).ok_or_else(|| wrong(&format!("no `{key}`")))
        };
        let flag = |key: &str| asset.get(key).and_then(Value::as_bool).unwrap_or(false);
        let gzip = page.join(word("gzip")?);
        let gzip = gzip.canonicalize().map_err(|error| format!("{}: {error}", gzip.display()))?;
        let gzip = gzip.to_str().ok_or_else(|| wrong(&"its path is not UTF-8"))?;
        let (path, kind, etag) = (word("path")?, word("type")?, format!("W/\"{}\"", word("etag")?));
        let _ = writeln!(
            table,
            "    Asset {{ path: {path:?}, kind: {kind:?}, etag: {etag:?}, immutable: {}, shared: {}, \
             gzip: include_bytes!({gzip:?}) }},",
            flag("immutable"),
            flag("shared"),
        );
    }
    table.push(']');
    Ok(table)
}

/// Writes a file only if that changes it, since a new time makes cargo build again.
fn write(path: &Path, text: &str) -> Result<(), String> {
    if fs::read_to_string(path).is_ok_and(|before| before == text) {
        return Ok(());
    }
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
