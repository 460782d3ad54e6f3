//! Tells systemd how far the program is (`Type=notify`).

use std::os::unix::net::UnixDatagram;

/// Sends a state such as `READY=1` to the socket that the service manager has named; nothing when there is none.
pub(crate) fn tell(state: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let sent = UnixDatagram::unbound().and_then(|datagram| datagram.send_to(state.as_bytes(), &socket));
    if let Err(error) = sent {
        tracing::warn!(?socket, %error, "the service manager could not be told");
    }
}
