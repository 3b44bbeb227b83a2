//! Building where Node.js, npm or the network is missing: what the build script does there.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

/// A checkout whose packages are not installed, and a PATH of its own.
struct Checkout {
    folder: tempfile::TempDir,
}

impl Checkout {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["web", "out", "bin"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        for source in fs::read_dir(web).unwrap() {
            let source = source.unwrap();
            if source.file_name() != "node_modules" {
                let link = folder.path().join("web").join(source.file_name());
                symlink(source.path(), link).unwrap();
            }
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a program in PATH.
    fn program(&self, name: &str, script: &str) {
        let file = self.path("bin").join(name);
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs the build script; returns whether it succeeds, and what it says.
    fn build(&self, more: &[(&str, &str)]) -> (bool, String) {
        let output = Command::new(env!("WSBRIDGE_BUILD_SCRIPT"))
            .env_clear()
            .env("PATH", self.path("bin"))
            .env("CARGO_MANIFEST_DIR", self.folder.path())
            .env("OUT_DIR", self.path("out"))
            .env("CARGO_FEATURE_CONSOLE", "1")
            .envs(more.iter().copied())
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    }

    /// Builds without the page, and returns the lines of the warning.
    fn warned(&self) -> Vec<String> {
        let (built, said) = self.build(&[]);
        assert!(built, "{said}");
        assert_eq!(fs::read_to_string(self.path("out/assets.rs")).unwrap(), "&[]");
        let warnings = said.lines().filter_map(|line| line.strip_prefix("cargo::warning="));
        let warnings: Vec<_> = warnings.map(str::to_owned).collect();
        assert_eq!(warnings[0], "THIS GATEWAY IS BUILT WITHOUT ITS PAGE.");
        warnings
    }
}

#[test]
fn without_node_the_build_goes_on_and_says_what_is_missing() {
    let checkout = Checkout::new();
    let said = checkout.warned();
    assert_eq!(said[1], "There is no `node`: the page needs Node.js 18 or newer.");
    assert_eq!(said[2], "There is no `npm`, which gets the packages of the page.");
    assert!(said[3].contains("sudo apt install npm"), "{said:?}");
    assert!(said[4].contains("WSBRIDGE_PAGE=DIR"), "{said:?}");
    assert!(said[5].contains("`/` of the gateway says how to get it"), "{said:?}");
}

#[test]
fn node_that_is_too_old_is_named() {
    let checkout = Checkout::new();
    checkout.program("node", "echo v12.22.9");
    checkout.program("npm", "echo 7.5.2");
    let said = checkout.warned();
    assert_eq!(said[1], "`node` is v12.22.9: the page needs Node.js 18 or newer.");
    assert!(!said.join(" ").contains("no `npm`"), "{said:?}");
}

#[test]
fn without_a_network_the_build_goes_on_with_what_npm_said() {
    let checkout = Checkout::new();
    checkout.program("node", "echo v20.1.0");
    let npm = "[ \"$1\" = ci ] || exit 0\necho 'npm error code EAI_AGAIN' >&2\n\
               echo 'npm error request to https://registry.example/ failed' >&2\nexit 1";
    checkout.program("npm", npm);
    let said = checkout.warned();
    assert_eq!(said[1], "`npm ci` cannot get the packages of the page. It says:");
    assert_eq!(said[2], "    npm error code EAI_AGAIN");
    assert_eq!(said[3], "    npm error request to https://registry.example/ failed");
    assert!(said[4].contains("npm ci --ignore-scripts --prefix web"), "{said:?}");
}

#[test]
fn who_needs_the_page_gets_an_error_in_place_of_a_gateway_without_it() {
    let checkout = Checkout::new();
    let (built, said) = checkout.build(&[("WSBRIDGE_NEEDS_PAGE", "1")]);
    assert!(!built && said.contains("cargo::error=the page cannot be assembled"), "{said}");
    assert!(said.contains("There is no `node`") && !said.contains("cargo::warning"), "{said}");
    // A page that was named and is not there is an error everywhere.
    let (built, said) = checkout.build(&[("WSBRIDGE_PAGE", "/nowhere/page")]);
    assert!(!built && said.contains("/nowhere/page/manifest.json"), "{said}");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/build");
    assert!(fs::read_to_string(script).unwrap().contains("export WSBRIDGE_NEEDS_PAGE=1"));
}
