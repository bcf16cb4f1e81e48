//! TLS: a certificate that no one vouches for is refused, and a CA file vouches. The certificate and key beside this file
//! are made for these tests and good for nothing else.

use std::io::{Read, Write};
use std::sync::Arc;

use fusionkeep::fusionauth::{Client, ErrorKind, Target, Unreachable};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::SecretString;

use super::KEY;

const CERTIFICATE: &[u8] = include_bytes!("tls-certificate.pem");
/// Of the same key, and says of itself that it is a CA.
const CA_CERTIFICATE: &[u8] = include_bytes!("tls-ca-certificate.pem");

/// Answers each connection's first request with a version.
fn serve(certificate: &[u8]) -> url::Url {
    let certificate = CertificateDer::from_pem_slice(certificate).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls-key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut tls = rustls::StreamOwned::new(connection, stream);
            // A client that refuses the certificate ends the connection here.
            if tls.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {
                let body = r#"{"version":"1.69.0"}"#;
                let head = format!("content-type: application/json\r\ncontent-length: {}", body.len());
                drop(write!(tls, "HTTP/1.1 200 OK\r\n{head}\r\nconnection: close\r\n\r\n{body}"));
            }
        }
    });
    url
}

#[tokio::test]
async fn a_private_ca_is_trusted_when_it_is_given_and_only_then() {
    let mut target = Target::new(serve(CERTIFICATE), SecretString::from(KEY));
    target.environment_proxies = false;
    // Should this machine have no certificates at all, the client says so itself.
    match Client::new(&target) {
        Ok(client) => {
            let error = client.system_version().await.unwrap_err();
            let cause = match error.kind() {
                ErrorKind::Unreachable { cause, .. } => *cause,
                kind => panic!("{kind:?}"),
            };
            assert_eq!(cause, Unreachable::Tls, "{error}");
        }
        Err(error) => assert!(error.to_string().contains("TLS cannot be set up"), "{error}"),
    }
    target.ca_pem = Some(CERTIFICATE.to_vec());
    let client = Client::new(&target).unwrap();
    assert!(client.system_version().await.unwrap().at_least(1, 69));
}

/// `openssl req -x509` makes one unless it is told otherwise; curl takes it for the server's, and rustls does not.
#[tokio::test]
async fn a_ca_that_shows_itself_for_the_server_is_told_as_such() {
    let mut target = Target::new(serve(CA_CERTIFICATE), SecretString::from(KEY));
    target.environment_proxies = false;
    target.ca_pem = Some(CA_CERTIFICATE.to_vec());
    let error = Client::new(&target).unwrap().system_version().await.unwrap_err();
    let by_ca = matches!(error.kind(), ErrorKind::Unreachable { cause: Unreachable::TlsByCa, .. });
    assert!(by_ca, "{error}");
    assert!(error.hint().unwrap().contains("CA:FALSE"), "{:?}", error.hint());
}
