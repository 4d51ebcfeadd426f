//! Kubeconfigs, and the URL of a server.

use drover_client::{ClientConfig, FromKubeconfig};
use drover_manifest::{Limits, decode_value};

pub(crate) fn kubeconfig(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(config) = ClientConfig::from_url(text, Vec::new(), None) {
        let again = ClientConfig::from_url(&format!("https://{}", config.authority()), Vec::new(), None);
        assert_eq!(again.expect("an authority is one").authority(), config.authority());
    }
    let Ok(value) = decode_value("kubeconfig", text, &Limits::default()) else { return };
    let read = |_: &std::path::Path| Ok(b"of a file".to_vec());
    for context in [None, Some("drover")] {
        if let Ok(config) = ClientConfig::from_kubeconfig(&value, &FromKubeconfig { context, read: &read }) {
            assert!(!config.authority().is_empty());
        }
    }
}
