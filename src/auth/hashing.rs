//! argon2id in memory that is allocated once: as much as a few hashes need at a time, and none
//! while nobody signs in.

use std::{
    collections::TryReserveError,
    sync::{Mutex, MutexGuard, PoisonError},
};

use argon2::{
    Algorithm, Argon2, Block, Params,
    password_hash::{PasswordHasher, phc::PasswordHash},
};
use subtle::ConstantTimeEq;
use thiserror::Error;

/// The least number of 1 KiB blocks an area has room for. What a hash does not use of it costs
/// nothing; glibc returns freed areas larger than 32 MiB to the system, but keeps smaller ones once
/// it has seen them come and go.
const ROOM: usize = if cfg!(target_pointer_width = "64") { 33 * 1024 } else { 0 };

/// A password could not be hashed: no randomness, or no memory.
#[derive(Debug, Error)]
#[error("cannot hash the password: {0}")]
pub struct HashError(String);

/// The PHC string (argon2id, the library's current parameters, random salt) for a configuration
/// file.
pub fn hash_password(password: &str) -> Result<String, HashError> {
    let hash: PasswordHash = Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(|error| HashError(error.to_string()))?;
    Ok(hash.to_string())
}

/// Memory for hashes, while it is not in use; each hash takes an area and puts it back.
#[derive(Default)]
pub(super) struct Areas {
    spare: Mutex<Vec<Vec<Block>>>,
}

impl std::fmt::Debug for Areas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Areas").field("spare", &self.lock().len()).finish()
    }
}

impl Areas {
    /// Whether `password` is that of `stored`, a PHC string. Blocks while the hash is computed.
    /// `largest` is what the costliest hash takes, in KiB: an area fits any of them. Fails if there
    /// is no memory.
    pub(super) fn verify(
        &self,
        password: &str,
        stored: &str,
        largest: u32,
    ) -> Result<bool, TryReserveError> {
        let Ok(hash) = PasswordHash::new(stored) else { return Ok(false) };
        let Some((argon2, salt, right)) = parts(&hash) else { return Ok(false) };
        let mut area = self.take(argon2.params().block_count().max(largest as usize))?;
        let mut computed = vec![0; right.len()];
        let done = argon2.hash_password_into_with_memory(
            password.as_bytes(),
            salt,
            &mut computed,
            &mut area,
        );
        self.lock().push(area);
        Ok(done.is_ok() && bool::from(computed.ct_eq(right)))
    }

    /// Returns the spare memory to the system.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// An area of that many blocks; an area of another size, from before a reload, is dropped.
    fn take(&self, blocks: usize) -> Result<Vec<Block>, TryReserveError> {
        let mut area = self.lock().pop().filter(|area| area.len() == blocks).unwrap_or_default();
        if area.is_empty() {
            area.try_reserve_exact(blocks.max(ROOM))?;
            area.resize(blocks, Block::new());
        }
        Ok(area)
    }

    /// Lengths of the spare areas.
    #[cfg(test)]
    pub(super) fn lengths(&self) -> Vec<usize> {
        self.lock().iter().map(Vec::len).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<Block>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The hasher, the salt and the expected output of a PHC string.
fn parts(hash: &PasswordHash) -> Option<(Argon2<'static>, &[u8], &[u8])> {
    let (salt, right) = (hash.salt.as_ref()?, hash.hash.as_ref()?);
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
    let version =
        hash.version.map_or(Ok(argon2::Version::default()), argon2::Version::try_from).ok()?;
    let argon2 = Argon2::new(algorithm, version, Params::try_from(hash).ok()?);
    Some((argon2, salt, right.as_bytes()))
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::{CustomizedPasswordHasher, PasswordVerifier};

    use super::*;

    fn hashed(password: &str, params: Params) -> String {
        let hash: PasswordHash = Argon2::default()
            .hash_password_with_params(password.as_bytes(), b"0123456789abcdef", params)
            .unwrap();
        hash.to_string()
    }

    #[test]
    fn what_the_library_verifies_is_verified_here_and_nothing_else() {
        let areas = Areas::default();
        for (memory, passes, lanes, length) in [(64, 1, 1, 32), (256, 3, 2, 16), (1024, 2, 4, 64)] {
            let stored =
                hashed("s3cret", Params::new(memory, passes, lanes, Some(length)).unwrap());
            Argon2::default().verify_password(b"s3cret", stored.as_str()).unwrap();
            assert_eq!(areas.verify("s3cret", &stored, 2048), Ok(true), "{stored}");
            assert_eq!(areas.verify("s3cret ", &stored, 2048), Ok(false));
            assert_eq!(areas.verify("s3cret", &stored.replace("$v=19", "$v=16"), 2048), Ok(false));
        }
        assert_eq!(areas.verify("s3cret", "s3cret", 2048), Ok(false));
        assert_eq!(
            areas.verify("s3cret", "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ", 2048),
            Ok(false)
        );
    }

    #[test]
    fn an_area_is_used_again_and_given_back() {
        let (areas, stored) =
            (Areas::default(), hashed("s3cret", Params::new(64, 1, 1, None).unwrap()));
        for largest in [64, 64, 128, 128] {
            assert_eq!(areas.verify("s3cret", &stored, largest), Ok(true));
            assert_eq!(areas.lengths(), [largest as usize]);
        }
        areas.clear();
        assert!(areas.lengths().is_empty());
    }
}
