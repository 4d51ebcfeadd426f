//! A certificate authority that is the same in every run, since no randomness may come from outside the seed.
//!
//! Its key is made of a word that anybody can read: it is good for nothing but this.

use std::path::Path;

use drover_world::Disk;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls_pki_types::PrivatePkcs8KeyDer;
use sha2::{Digest, Sha256};

/// What an Ed25519 key begins with in PKCS #8.
const ED25519: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// Puts it where a server finds it.
///
/// # Panics
/// If the disk does not take it, or the library not the key: a run without it is none.
pub(crate) fn install(disk: &dyn Disk, directory: &Path) {
    let mut pkcs8 = ED25519.to_vec();
    pkcs8.extend_from_slice(&Sha256::digest(b"a key that is no secret"));
    let key = KeyPair::try_from(&PrivatePkcs8KeyDer::from(pkcs8)).expect("it is a key");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, "Drover simulation");
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(2100, 1, 1);
    let certificate = params.self_signed(&key).expect("it signs itself").pem();
    disk.create_dir(directory, 0o700).expect("an empty disk takes a directory");
    for (name, text, mode) in [("ca.key", key.serialize_pem(), 0o600), ("ca.crt", certificate, 0o644)] {
        disk.write_atomic(&directory.join(name), text.as_bytes(), mode).expect("an empty disk takes a file");
    }
}
