//! How a worker reaches its master: TCP on loopback, in the clear or through TLS.

use std::{
    error::Error,
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpSocket,
    time,
};
use tokio_rustls::TlsConnector;

/// How long a connect may take. Source: Twisted's endpoints.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// How many connections one source address carries: fewer than the kernel has ports for (28,232 unless told otherwise).
const PER_ADDRESS: usize = 20_000;

/// The bytes of one link.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// The way to the master.
pub(crate) struct Way {
    port: u16,
    tls: Option<TlsConnector>,
}

impl Way {
    /// A way on loopback; through TLS if there is a certificate to trust.
    pub(crate) fn new(port: u16, trusted: Option<&Path>) -> Result<Self, Box<dyn Error>> {
        let Some(trusted) = trusted else { return Ok(Self { port, tls: None }) };
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(trusted)?)?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        // Each worker is a program of its own, which has never been here.
        config.resumption = Resumption::disabled();
        Ok(Self { port, tls: Some(TlsConnector::from(Arc::new(config))) })
    }

    /// Connects.
    pub(crate) async fn connect(&self, index: usize) -> io::Result<Box<dyn Stream>> {
        let socket = TcpSocket::new_v4()?;
        if index >= PER_ADDRESS {
            let address = u8::try_from(index / PER_ADDRESS + 1).map_err(io::Error::other)?;
            socket.bind(SocketAddr::from(([127, 0, 0, address], 0)))?;
        }
        let master = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let socket = time::timeout(CONNECT_LIMIT, socket.connect(master)).await??;
        socket.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return Ok(Box::new(socket)) };
        let name = ServerName::IpAddress(Ipv4Addr::LOCALHOST.into());
        let stream = time::timeout(CONNECT_LIMIT, tls.connect(name, socket)).await??;
        Ok(Box::new(stream))
    }
}

/// Makes a certificate that says to be 127.0.0.1, and its key.
pub(crate) fn make_certificate(folder: &Path) -> Result<(), Box<dyn Error>> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    fs::write(folder.join("cert.pem"), made.cert.pem())?;
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem())?;
    Ok(())
}
