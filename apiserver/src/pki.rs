//! The cluster's own certificate authority, and the leaf that the server shows.
//!
//! The CA's key and certificate lie in the data directory. The leaf lives in memory only: it is made at every start
//! and again when two thirds of its life are over, so there is one key less on disk. Certificates that an operator
//! brings (`--tls-cert`, `--tls-key`) are not built yet.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, RwLock};

use drover_world::Disk;
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};

/// How long the CA lives.
const CA_YEARS: i64 = 20;
/// How long a leaf lives.
const LEAF_DAYS: i64 = 90;
/// A key or certificate file is never longer.
const MAX_FILE: u64 = 64 << 10;

/// Why there is no certificate to serve with.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file could not be read or written.
    #[error("cannot use {path}")]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// One of the two files of the CA is there and the other is not.
    #[error("{0} is missing while its counterpart is there; restore it from a backup (agents pin this CA)")]
    Half(std::path::PathBuf),
    /// A certificate could not be made.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
    /// What is on disk is not a certificate, or not a key.
    #[error("{path} is damaged ({why}); restore it from a backup (agents pin this CA)")]
    Damaged {
        /// Which.
        path: std::path::PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// TLS refused key or certificate.
    #[error("cannot use the certificate")]
    Tls(#[from] rustls::Error),
}

/// The CA, and the leaf it signed last.
pub(crate) struct Pki {
    ca_pem: String,
    pin: String,
    /// The CA's certificate, which goes with every leaf: whoever joins knows it by its hash only.
    ca: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    names: Vec<String>,
    leaf: Arc<Leaf>,
}

struct Leaf(RwLock<Arc<CertifiedKey>>);

impl std::fmt::Debug for Leaf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Leaf")
    }
}

impl ResolvesServerCert for Leaf {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone())
    }
}

/// Makes the CA unless it is there. Returns certificate and key, in PEM.
fn load_or_create(disk: &dyn Disk, dir: &Path, now: Timestamp) -> Result<(String, String), PkiError> {
    let (cert_path, key_path) = (dir.join("ca.crt"), dir.join("ca.key"));
    let read = |path: &Path| match disk.read(path, MAX_FILE) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PkiError::File { path: path.into(), source }),
    };
    match (read(&cert_path)?, read(&key_path)?) {
        (Some(cert), Some(key)) => return Ok((cert, key)),
        (Some(_), None) => return Err(PkiError::Half(key_path)),
        // The certificate is written last, so a key alone is the trace of a start that was cut short.
        (None, _) => {}
    }
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, "Drover CA");
    params.distinguished_name.push(DnType::OrganizationName, "Drover");
    validity(&mut params, now, CA_YEARS * 365);
    let cert = params.self_signed(&key)?.pem();
    let key = key.serialize_pem();
    for (path, text, mode) in [(&key_path, &key, 0o600), (&cert_path, &cert, 0o644)] {
        disk.write_atomic(path, text.as_bytes(), mode)
            .map_err(|source| PkiError::File { path: path.clone(), source })?;
    }
    Ok((cert, key))
}

fn validity(params: &mut CertificateParams, now: Timestamp, days: i64) {
    let date = |days: i64| {
        let at = now.checked_add((days * 24).hours()).unwrap_or(now).to_zoned(TimeZone::UTC);
        rcgen::date_time_ymd(at.year().into(), at.month().unsigned_abs(), at.day().unsigned_abs())
    };
    // A day of grace for hosts whose clock is behind.
    params.not_before = date(-1);
    params.not_after = date(days);
}

impl Pki {
    /// Loads the CA, or makes it, and makes a leaf for these names and addresses.
    pub(crate) fn open(
        disk: &dyn Disk,
        dir: &Path,
        names: Vec<String>,
        now: Timestamp,
    ) -> Result<Self, PkiError> {
        let (ca_pem, key) = load_or_create(disk, dir, now)?;
        let damaged = |name: &str, why: String| PkiError::Damaged { path: dir.join(name), why };
        let der = CertificateDer::from_pem_slice(ca_pem.as_bytes())
            .map_err(|error| damaged("ca.crt", error.to_string()))?;
        let pin = hex(&Sha256::digest(&der));
        let key = KeyPair::from_pem(&key).map_err(|error| damaged("ca.key", error.to_string()))?;
        let issuer =
            Issuer::from_ca_cert_der(&der, key).map_err(|error| damaged("ca.crt", error.to_string()))?;
        let first = sign(&issuer, &der, &names, now)?;
        Ok(Self { ca_pem, pin, ca: der, issuer, names, leaf: Arc::new(Leaf(RwLock::new(Arc::new(first)))) })
    }

    /// SHA-256 of the CA's certificate in DER, in hex: what join tokens carry.
    pub(crate) fn pin(&self) -> &str {
        &self.pin
    }

    pub(crate) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// How long a leaf is used.
    pub(crate) fn renewal() -> std::time::Duration {
        std::time::Duration::from_secs(LEAF_DAYS.unsigned_abs() * 24 * 3600 * 2 / 3)
    }

    /// Makes a new leaf; connections from now on see it.
    pub(crate) fn renew(&self, now: Timestamp) -> Result<(), PkiError> {
        let next = sign(&self.issuer, &self.ca, &self.names, now)?;
        *self.leaf.0.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(next);
        Ok(())
    }

    /// TLS for the server's side.
    pub(crate) fn server_config(&self) -> Result<rustls::ServerConfig, PkiError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.leaf.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn sign(
    issuer: &Issuer<'static, KeyPair>,
    ca: &CertificateDer<'static>,
    names: &[String],
    now: Timestamp,
) -> Result<CertifiedKey, PkiError> {
    let key = KeyPair::generate()?;
    // An IP address in text becomes an address here, everything else a DNS name.
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name.push(DnType::CommonName, "drover-apiserver");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    validity(&mut params, now, LEAF_DAYS);
    let cert = params.signed_by(&key, issuer)?;
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let signing = rustls::crypto::ring::sign::any_supported_type(&private)?;
    Ok(CertifiedKey::new(vec![cert.der().clone(), ca.clone()], signing))
}

/// The names for a leaf: what is advertised without its port, and what always leads here from the host itself.
pub(crate) fn leaf_names(advertised: &[String]) -> Vec<String> {
    let bare = |name: &String| {
        if name.parse::<IpAddr>().is_ok() {
            return name.clone();
        }
        match name.rsplit_once(':') {
            Some((host, port)) if port.parse::<u16>().is_ok() => {
                host.trim_start_matches('[').trim_end_matches(']').to_owned()
            }
            _ => name.clone(),
        }
    };
    let mut names: Vec<String> = advertised.iter().map(bare).filter(|name| !name.is_empty()).collect();
    names.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    names.sort();
    names.dedup();
    names
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let digit = |n: u8| char::from_digit(u32::from(n), 16).unwrap_or('0');
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
        text
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use drover_world::{Clock, RealDisk, SystemClock};

    use super::*;

    #[test]
    fn the_ca_stays_and_its_key_is_for_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let names = leaf_names(&["drover.example.net:7443".into(), "[2001:db8::1]:7443".into()]);
        assert_eq!(names, ["127.0.0.1", "2001:db8::1", "::1", "drover.example.net", "localhost"]);
        let now = SystemClock.now();
        let first = Pki::open(&RealDisk, dir.path(), names.clone(), now).unwrap();
        let again = Pki::open(&RealDisk, dir.path(), names, now).unwrap();
        assert_eq!(first.pin(), again.pin());
        assert_eq!(first.pin().len(), 64);
        let shown = first.leaf.0.read().unwrap().cert.clone();
        assert_eq!(hex(&Sha256::digest(&shown[1])), first.pin(), "who joins has to be shown the CA");
        let mode = std::fs::metadata(dir.path().join("ca.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        again.renew(now).unwrap();
        std::fs::write(dir.path().join("ca.key"), "").unwrap();
        let damaged = Pki::open(&RealDisk, dir.path(), vec![], now).err().unwrap().to_string();
        assert!(damaged.contains("ca.key is damaged"), "{damaged}");
        std::fs::remove_file(dir.path().join("ca.key")).unwrap();
        let lost = Pki::open(&RealDisk, dir.path(), vec![], now);
        assert!(matches!(lost, Err(PkiError::Half(_))));
    }
}
