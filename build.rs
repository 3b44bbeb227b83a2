//! Assembles the page and embeds it: a table of compressed files for `src/http/assets.rs`.
//!
//! `WSBRIDGE_PAGE=DIR` takes a page that `node web/build.mjs DIR` assembled elsewhere: for
//! packagers and cross builds without Node.js. Else `web/build.mjs` is run here, with the packages
//! of `web/package-lock.json`: those in `web/node_modules` when they are the right ones, else what
//! `npm ci` puts beside a copy in the build's own folder. No source folder is ever written to.

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

/// What to do without Node.js.
const NEEDED: &str = "Install Node.js and npm (18 or later; Debian: `sudo apt install npm`), or name a page assembled elsewhere \
                      by `node web/build.mjs DIR` with WSBRIDGE_PAGE=DIR, or build a gateway with no page: \
                      `cargo build --no-default-features`";

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
    for name in ["WSBRIDGE_PAGE", "DOCS_RS"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_CONSOLE").is_none() {
        return Ok(());
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("no OUT_DIR")?);
    let table = if env::var_os("DOCS_RS").is_some() {
        // Documentation is built without a network, and shows no page.
        "&[]".to_owned()
    } else {
        table(&page(&out)?)?
    };
    write(&out.join("assets.rs"), &table)
}

/// The folder of the assembled page.
fn page(out: &Path) -> Result<PathBuf, String> {
    if let Some(given) = env::var_os("WSBRIDGE_PAGE") {
        // Not below the package, as cargo would have it: where the command was typed.
        let given = PathBuf::from(given);
        println!("cargo::rerun-if-changed={}", given.display());
        return Ok(given);
    }
    let web = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("no CARGO_MANIFEST_DIR")?)
        .join("web");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", web.join(source).display());
    }
    let web = if installed(&web) { web } else { copy(&web, &out.join("web"))? };
    let page = out.join("page");
    run("node", Command::new("node").arg(web.join("build.mjs")).arg(&page))?;
    Ok(page)
}

/// Whether `node_modules` holds what the lock file says: npm notes there what it has installed.
fn installed(web: &Path) -> bool {
    let packages = |path: &str| {
        let text = fs::read_to_string(web.join(path)).ok()?;
        let lock: Value = serde_json::from_str(&text).ok()?;
        let all = lock.get("packages")?.as_object()?.iter().filter(|(name, _)| !name.is_empty());
        // What is for other machines stands in the lock file alone.
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

/// A copy of the sources with their packages beside it.
fn copy(web: &Path, copy: &Path) -> Result<PathBuf, String> {
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
    if !installed(copy) {
        let npm = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
        run("npm", Command::new("npm").args(npm).current_dir(copy))?;
    }
    Ok(copy.to_owned())
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

/// Runs a program whose output matters only when it fails.
fn run(name: &str, command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            format!("there is no `{name}`. {NEEDED}")
        } else {
            format!("`{name}` does not start: {error}")
        }
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', " | ");
    Err(format!("`{name}` failed: {said}. {NEEDED}"))
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

/// Writes a file that is not already so, since its time makes cargo build again.
fn write(path: &Path, text: &str) -> Result<(), String> {
    if fs::read_to_string(path).is_ok_and(|before| before == text) {
        return Ok(());
    }
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
