//! What TLS has to know: whom to trust, which name a certificate has to be for, and who we are.

use std::sync::Arc;

use lakepilot_query::{Error, ErrorKind, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, InconsistentKeys, RootCertStore, SignatureScheme};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use crate::address::ServerUrl;

/// What is said of TLS in the configuration of a client.
#[derive(Clone, Default)]
pub(crate) struct TlsSettings {
    /// PEM files of authorities, beside those of the system.
    authorities: Vec<Vec<u8>>,
    identity: Option<Identity>,
    server_name: Option<String>,
    /// Whether any certificate is taken.
    unverified: bool,
}

impl TlsSettings {
    pub(crate) fn add_authority(&mut self, pem: &[u8]) -> Result<()> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(pem, "CA")? {
            roots.add(certificate).map_err(|error| {
                let problem = format!("holds a certificate that cannot be an authority ({error})");
                invalid_certificate("CA", &problem)
            })?;
        }
        self.authorities.push(pem.to_vec());
        Ok(())
    }

    pub(crate) fn set_identity(&mut self, certificate: &[u8], key: &[u8]) -> Result<()> {
        let chain = certificates(certificate, "client")?;
        // What is wrong with a key is told without its text.
        let private = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
            invalid("the key of the client certificate cannot be read: give a PEM file with an unencrypted '-----BEGIN PRIVATE KEY-----' in it")
        })?;
        rustls::sign::CertifiedKey::from_der(chain, private, &ring::default_provider()).map_err(|error| {
            invalid(match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    "the key is not that of the client certificate: give the two that were made together"
                }
                _ => "the client certificate and its key cannot be used for TLS",
            })
            .with_source(error)
        })?;
        self.identity = Some(Identity::from_pem(certificate, key));
        Ok(())
    }

    pub(crate) fn set_server_name(&mut self, name: &str) -> Result<()> {
        ServerName::try_from(name).map_err(|error| {
            invalid(&format!(
                "the TLS server name '{}' is neither a host name nor an IP address",
                name.escape_debug()
            ))
            .with_source(error)
        })?;
        self.server_name = Some(name.to_owned());
        Ok(())
    }

    pub(crate) fn verify_nothing(&mut self) {
        self.unverified = true;
    }

    /// The endpoint, which speaks TLS.
    pub(crate) fn apply(&self, endpoint: Endpoint, url: &ServerUrl) -> Result<Endpoint> {
        let mut tls = ClientTlsConfig::new();
        if let Some(identity) = &self.identity {
            tls = tls.identity(identity.clone());
        }
        if let Some(name) = &self.server_name {
            tls = tls.domain_name(name);
        }
        let applied = if self.unverified {
            endpoint.tls_config_with_verifier(tls, Arc::new(Unverified::new(url)))
        } else {
            let tls = tls
                .with_webpki_roots()
                .ca_certificates(self.authorities.iter().map(Certificate::from_pem));
            // A machine without any system roots, such as a small container, is not an error: the others are there.
            let with_system = endpoint.clone().tls_config(tls.clone().with_native_roots());
            with_system.or_else(|error| {
                tracing::debug!(error = ?error, "the system's certificate authorities cannot be read");
                endpoint.tls_config(tls)
            })
        };
        applied.map_err(|error| Error::new(ErrorKind::InvalidInput, "TLS cannot be set up").with_source(error))
    }
}

impl std::fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsSettings")
            .field("authorities", &self.authorities.len())
            .field("has_identity", &self.identity.is_some())
            .field("server_name", &self.server_name)
            .field("unverified", &self.unverified)
            .finish()
    }
}

/// The certificates of a PEM file: at least one.
fn certificates(pem: &[u8], whose: &str) -> Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|error| invalid_certificate(whose, &format!("is damaged ({error})")))?;
    if certificates.is_empty() {
        return Err(invalid_certificate(whose, "holds no certificate"));
    }
    Ok(certificates)
}

fn invalid_certificate(whose: &str, problem: &str) -> Error {
    invalid(&format!(
        "the {whose} certificate {problem}: give a PEM file with '-----BEGIN CERTIFICATE-----' in it"
    ))
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, message.to_owned())
}

/// Takes any certificate, for any name, and says so each time. That the server has the key of what it shows is still checked:
/// it costs nothing, and a broken handshake is told as one.
#[derive(Debug)]
struct Unverified {
    url: ServerUrl,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Unverified {
    fn new(url: &ServerUrl) -> Self {
        Self {
            url: url.clone(),
            algorithms: ring::default_provider().signature_verification_algorithms,
        }
    }
}

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        tracing::warn!(
            url = %self.url,
            "the certificate of the server is not verified: whoever is on the way to it can read and change everything"
        );
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(name: &str) -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn a_file_that_is_no_certificate_is_refused() {
        for (pem, says) in [
            (&b""[..], "holds no certificate"),
            (b"not a certificate", "holds no certificate"),
            (
                b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                "cannot be an authority",
            ),
            (
                b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
                "damaged",
            ),
        ] {
            let error = TlsSettings::default().add_authority(pem).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.message().contains(says), "{error}");
        }
    }

    #[test]
    fn a_client_certificate_goes_with_its_own_key() {
        let ((one, key), (other, other_key)) = (made("one"), made("another"));
        let mut settings = TlsSettings::default();
        settings.set_identity(one.as_bytes(), key.as_bytes()).unwrap();
        let shown = format!("{settings:?}");
        let inside = key.lines().nth(1).unwrap();
        assert!(
            shown.contains("has_identity: true") && !shown.contains(inside),
            "{shown}"
        );
        for (certificate, key, says) in [
            (&one, &other_key, "is not that of the client certificate"),
            (&one, &other, "key of the client certificate cannot be read"),
            (&key, &key, "the client certificate holds no certificate"),
            (&other, &String::new(), "cannot be read"),
        ] {
            let error = settings
                .set_identity(certificate.as_bytes(), key.as_bytes())
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.message().contains(says), "{error}");
            assert!(!format!("{error:?}").contains(inside), "{error:?}");
        }
    }

    #[test]
    fn a_server_name_is_a_host() {
        let mut settings = TlsSettings::default();
        for name in ["lake.example", "10.0.0.1", "::1"] {
            settings.set_server_name(name).unwrap();
        }
        for name in ["", "two words", "grpc://host", "host:50051"] {
            let error = settings.set_server_name(name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
        }
    }
}
