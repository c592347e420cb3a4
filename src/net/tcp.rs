//! What a link over TCP asks of the system, the same on the side that listens and on the one that connects.

use std::{io, time::Duration};

use rustix::net::sockopt;
use tokio::net::TcpStream;

/// A dead link is found within 90 s whatever the options say: after 30 s of silence it is probed each 20 s, three times,
/// and what is sent must be acknowledged within 90 s. What is sent goes at once.
pub fn tune(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, Duration::from_secs(30))?;
    sockopt::set_tcp_keepintvl(socket, Duration::from_secs(20))?;
    sockopt::set_tcp_keepcnt(socket, 3)?;
    sockopt::set_tcp_user_timeout(socket, 90_000)?;
    Ok(())
}
